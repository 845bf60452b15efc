//! The output of tshark, Wireshark without windows, for a capture with the dissector.

use std::collections::HashMap;
use std::ops::Index;
use std::process::Command;

use integration_tests::skipped;
use tempfile::TempDir;

use crate::capture::Capture;

/// The tshark of this host, with the settings of nobody.
pub(crate) struct Tshark {
    home: TempDir,
}

impl Tshark {
    /// `None`, with a note for the tester, if there is no tshark.
    pub(crate) fn find() -> Option<Self> {
        if let Err(reason) = Command::new(PROGRAM).arg("--version").output() {
            skipped(&format!("there is no tshark here: {reason}"));
            return None;
        }
        Some(Self { home: tempfile::tempdir().expect("there can be temporary folders") })
    }

    /// Installs the dissector for this user, as its README says.
    pub(crate) fn install(&self) {
        let folder = self.home.path().join(".local/lib/wireshark/plugins");
        std::fs::create_dir_all(&folder).expect("the folder is the test's own");
        std::fs::copy(DISSECTOR, folder.join("plumi.lua")).expect("the folder is the test's own");
    }

    /// The packets of `capture`, each with these `fields` and those of [`ALWAYS`].
    pub(crate) fn read(&self, capture: &Capture, fields: &[&str]) -> Vec<Packet> {
        self.read_as(capture, fields, &[])
    }

    /// [`Tshark::read`], with more `arguments` for tshark.
    pub(crate) fn read_as(&self, capture: &Capture, fields: &[&str], arguments: &[&str]) -> Vec<Packet> {
        // Twice, as Wireshark does: only then does a request know its answer.
        self.run(capture, fields, &[&["-2"], arguments].concat())
    }

    /// [`Tshark::read`] in half the time, for packets that have nothing to do with each other.
    pub(crate) fn read_once(&self, capture: &Capture, fields: &[&str]) -> Vec<Packet> {
        self.run(capture, fields, &[])
    }

    fn run(&self, capture: &Capture, fields: &[&str], arguments: &[&str]) -> Vec<Packet> {
        let file = self.home.path().join("capture.pcap");
        std::fs::write(&file, capture.file()).expect("the folder is the test's own");
        let fields = [ALWAYS, fields].concat();
        let mut tshark = Command::new(PROGRAM);
        tshark
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path())
            .env("LC_ALL", "C.UTF-8");
        tshark.arg("-r").arg(&file).arg("-X").arg(format!("lua_script:{DISSECTOR}"));
        tshark.args(["-n", "-T", "fields", "-E", "separator=/t", "-E", "aggregator=|"]).args(arguments);
        for field in &fields {
            tshark.args(["-e", field]);
        }
        let output = tshark.output().expect("it was there before");
        let said = String::from_utf8_lossy(&output.stderr);
        // Errors of Lua while a packet is read are told here, and the exit code is 0.
        let trouble: Vec<_> = said.lines().filter(|line| !line.starts_with("Running as user")).collect();
        assert!(output.status.success() && trouble.is_empty(), "{}: {trouble:?}", output.status);
        let told = String::from_utf8(output.stdout).expect("tshark writes UTF-8");
        let packets: Vec<_> = told.lines().map(|line| Packet::new(&fields, line)).collect();
        for packet in &packets {
            assert_eq!(&packet["_ws.lua.error"], "", "{:?}", packet.0);
        }
        packets
    }
}

/// The output of tshark for one packet: fields by name, `""` if it has none of that name, `|` between
/// several.
pub(crate) struct Packet(HashMap<String, String>);

impl Packet {
    fn new(fields: &[&str], line: &str) -> Self {
        let values: Vec<_> = line.split('\t').collect();
        assert_eq!(values.len(), fields.len(), "{line:?}");
        Self(fields.iter().zip(values).map(|(&field, value)| (field.to_owned(), value.to_owned())).collect())
    }

    /// The list of packets.
    pub(crate) fn info(&self) -> &str {
        &self["_ws.col.Info"]
    }

    /// The expert flags: how severe, and what. TCP has flags of its own.
    pub(crate) fn flags(&self) -> Vec<(&'static str, &str)> {
        let severities = self["_ws.expert.severity"].split('|').map(severity);
        let messages = self["_ws.expert.message"].split('|');
        severities.zip(messages).filter(|(severity, _)| *severity != "chat" && !severity.is_empty()).collect()
    }
}

impl Index<&str> for Packet {
    type Output = str;

    fn index(&self, field: &str) -> &str {
        self.0.get(field).unwrap_or_else(|| panic!("{field} was not asked for"))
    }
}

fn severity(number: &str) -> &'static str {
    match number {
        "" => "",
        // The figures of TCP for each connection.
        "2097152" => "chat",
        "4194304" => "note",
        "6291456" => "warning",
        "8388608" => "error",
        other => panic!("there is no severity {other}"),
    }
}

/// The names of all expert flags of the dissector.
pub(crate) fn flag_names() -> Vec<&'static str> {
    let made = include_str!("../../contrib/wireshark/plumi.lua").split("= flag(\"").skip(1);
    let names: Vec<_> = made.filter_map(|rest| rest.split('"').next()).collect();
    assert!(names.contains(&"plumi.malformed") && names.contains(&"pmi.malformed"), "{names:?}");
    names
}

/// Fields that every packet is asked for.
const ALWAYS: &[&str] = &[
    "frame.number",
    "_ws.col.Protocol",
    "_ws.col.Info",
    "_ws.expert.severity",
    "_ws.expert.message",
    "_ws.lua.error",
];

const PROGRAM: &str = "tshark";

const DISSECTOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../contrib/wireshark/plumi.lua");
