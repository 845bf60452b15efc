//! Loads the settings in effect from the settings file and the command line.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::mem;
use std::path::{Path, PathBuf};

use anyhow::Context;
use etcetera::BaseStrategy;
use etcetera::base_strategy::Xdg;
use plumi_proto::MiAddress;
use settings_text::quoted;

use super::given::GivenOptions;
use super::settings::{NO_LOG, Settings};

impl Settings {
    /// Reads the settings file and writes the command line over it: the `address` that was given, and
    /// `options`.
    ///
    /// # Errors
    /// The file cannot be read, or has an error.
    pub(crate) fn load(address: Option<MiAddress>, options: &GivenOptions) -> anyhow::Result<Self> {
        // Without HOME there is no settings file; everything can still be given or asked for.
        let file = path().ok().map(|path| Self::read(&path)).transpose()?.flatten();
        file.map_or_else(Self::defaults, Ok)?.overridden(address, options)
    }

    /// Reads the settings file at `path`. Returns `None` if there is no file.
    ///
    /// # Errors
    /// Those of [`Settings::load`].
    pub(crate) fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.with_context(|| format!("cannot read the settings {}", path.display()))?,
        };
        let wrong = || format!("the settings {} are wrong", path.display());
        if text.len() as u64 > MAX_FILE {
            return Err(anyhow::anyhow!("they are longer than {MAX_FILE} bytes")).with_context(wrong);
        }
        settings_text::parse(&text).with_context(wrong).map(Some)
    }

    /// Returns the settings of an empty file.
    ///
    /// # Errors
    /// A required key is missing; there is none so far.
    pub(crate) fn defaults() -> anyhow::Result<Self> {
        Ok(settings_text::parse("")?)
    }

    /// Turns the message log off unless one is set: programs that scripts start leave no file behind.
    #[must_use]
    pub(crate) fn without_default_log(self) -> Self {
        Self { log: self.log.or_else(|| Some(NO_LOG.into())), ..self }
    }

    /// Writes the command line over these settings of a file.
    pub(crate) fn overridden(
        mut self,
        address: Option<MiAddress>,
        options: &GivenOptions,
    ) -> anyhow::Result<Self> {
        // If another address than the one set is given, nothing that belongs to the user at that one is
        // taken.
        if address.is_some() && self.address.is_some() && address != self.address {
            self = Self {
                nick: None,
                port: None,
                node: None,
                advertise: None,
                bare_user: false,
                accept_unproved: false,
                identity: None,
                key_command: Vec::new(),
                ..self
            };
        }
        self.address = address.or(self.address);
        // If name servers are given, they are asked, and the node that is set is ignored.
        let (node, name_servers) = (self.node.take(), mem::take(&mut self.name_servers));
        options.write_over(&mut self)?;
        if self.name_servers.is_empty() {
            self.name_servers = name_servers;
            self.node = self.node.or(node);
        }
        self.bare_user |= self.bare_user_flag;
        self.behind_nat |= self.behind_nat_flag;
        self.accept_unproved |= self.accept_unproved_flag;
        self.outbox_quiet |= self.outbox_quiet_flag;
        Ok(self)
    }
}

/// Adds the `address` to the settings file at `path`, which does not set one. Creates the file if necessary.
///
/// # Errors
/// Those of the operating system.
pub(crate) fn save_address(path: &Path, address: &MiAddress) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // The file is appended to, because it may be a link, and its comments are the user's.
    let mut file = File::options().read(true).append(true).create(true).open(path)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    file.write_all(format!("{end}address = {}\n", quoted(address.as_str())).as_bytes())
}

/// Returns the path of the settings file, whether or not it exists.
///
/// # Errors
/// HOME is not set.
pub(crate) fn path() -> anyhow::Result<PathBuf> {
    let folders = Xdg::new().context("cannot tell where settings are; set HOME")?;
    Ok(folders.config_dir().join("mi-agent").join("config.toml"))
}

/// The most bytes of a settings file, many times the size of the sample. A larger file is not a settings
/// file.
const MAX_FILE: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    const FILE: &str = "address = 'laura@bb.com'\nnick = 'Laura'\nport = 3500\nnode = '127.0.0.2:3344'\n\
        name-servers = ['127.0.0.3:53']\nadvertise = '192.0.2.7'\nrefresh = 30\nbare-user = true\n\
        behind-nat = true\naccept-unproved = true\nlog = 'laura.log'\nconversations = 4\nidle = '2h'\ndial = ['10.0.0.0/8']\nsecurity = 'known'\noutbox-quiet = true\n\
        key-command = ['pass', 'mi']\nhistory = false\nbell = false\nmouse = false\nplain = true\n";

    /// The settings in effect with `file` and the arguments `given`.
    fn settings(file: &str, given: &[&str]) -> Settings {
        let cli = Cli::parse_from([&["mi-agent"], given].concat());
        let file: Settings = settings_text::parse(file).unwrap();
        let mut settings = file.overridden(cli.address, &cli.options).unwrap();
        cli.chat.write_over(&mut settings);
        settings
    }

    #[test]
    fn flags_win_over_the_file_and_another_address_takes_nothing_of_the_users() {
        let shared = "name-servers = ['127.0.0.3:53']\nrefresh = 30\nbehind-nat = true\nlog = 'laura.log'\nconversations = 4\n\
            idle = '2h'\ndial = ['10.0.0.0/8']\nsecurity = 'known'\noutbox-quiet = true\nhistory = false\nbell = false\nmouse = false\nplain = true\n";
        let flags = [
            "--nick",
            "L",
            "--port",
            "0",
            "--node",
            "127.0.0.9:3344",
            "--name-server",
            "127.0.0.8:53",
            "--advertise",
            "192.0.2.8",
            "--refresh",
            "off",
            "--log",
            "-",
            "--conversations",
            "2",
            "--idle",
            "off",
            "--dial",
            "192.0.2.0/24",
            "--security",
            "offer",
            "--identity",
            "laura.pem",
        ];
        let flagged = "address = 'laura@bb.com'\nnick = 'L'\nport = 0\nnode = '127.0.0.9:3344'\n\
            name-servers = ['127.0.0.8:53']\nadvertise = '192.0.2.8'\nrefresh = 'off'\nlog = '-'\n\
            conversations = 2\nidle = 'off'\ndial = ['192.0.2.0/24']\nidentity = 'laura.pem'\n";
        let chat = "history = false\nbell = false\nmouse = false\nplain = true\n";
        // `expected` is a settings file with the same result.
        for (file, given, expected) in [
            ("", &[][..], String::new()),
            ("", &["laura@bb.com", "--bare-user"], "address = 'laura@bb.com'\nbare-user = true".into()),
            ("", &flags[..], flagged.replace("address = 'laura@bb.com'\n", "")),
            (FILE, &[], FILE.into()),
            // The address is given as in the file, or in another spelling.
            (FILE, &["laura@bb.com"], FILE.into()),
            (FILE, &["laura@BB.com."], FILE.replacen("laura@bb.com", "laura@BB.com.", 1)),
            (FILE, &["Laura@bb.com"], format!("address = 'Laura@bb.com'\n{shared}")),
            (FILE, &["joya@cc.com", "--port", "1"], format!("address = 'joya@cc.com'\nport = 1\n{shared}")),
            (
                FILE,
                &flags,
                format!(
                    "{flagged}key-command = ['pass', 'mi']\nbare-user = true\nbehind-nat = true\n\
                     accept-unproved = true\noutbox-quiet = true\n{chat}"
                ),
            ),
            ("", &["--behind-nat", "--accept-unproved"], "behind-nat = true\naccept-unproved = true".into()),
            (
                FILE,
                &["--name-server", "127.0.0.8:53"],
                FILE.replace("node = '127.0.0.2:3344'\n", "").replace("127.0.0.3:53", "127.0.0.8:53"),
            ),
            // Without an address, the keys of the file apply to every user.
            (
                "nick = 'L'\nport = 7",
                &["joya@cc.com"],
                "address = 'joya@cc.com'\nnick = 'L'\nport = 7".into(),
            ),
            ("nick = 'L'\nport = 7", &[], "nick = 'L'\nport = 7".into()),
        ] {
            let expected = settings_text::parse::<Settings>(&expected).unwrap();
            assert_eq!(settings(file, given).keys(), expected.keys(), "{file:?} {given:?}");
        }
    }

    #[test]
    fn a_port_that_was_chosen_is_not_the_default() {
        assert_eq!(settings("", &[]).port, None);
        assert_eq!(settings("", &["--port", "0"]).port, Some(0));
        assert_eq!(settings("port = 0", &[]).port, Some(0));
    }

    #[test]
    fn a_chat_is_as_flags_file_and_defaults_say() {
        let chat = |file: &str, given: &[&str]| {
            let Settings { history, bell, mouse, plain, .. } = settings(file, given);
            [history, bell, mouse, plain]
        };
        let defaults = [true, true, true, false];
        let flags = ["--no-history", "--no-bell", "--plain"];
        assert_eq!(chat("", &[]), defaults);
        assert_eq!(chat("history = true\nbell = true\nmouse = true\nplain = false", &[]), defaults);
        assert_eq!(chat(FILE, &[]), [false, false, false, true]);
        assert_eq!(
            chat("history = true\nbell = true\nmouse = true\nplain = false", &flags),
            [false, false, true, true]
        );
    }

    #[test]
    fn an_address_is_added_to_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mi-agent/config.toml");
        let address = "laura@bb.com".parse().unwrap();
        for before in [None, Some(""), Some("# mine\nnick = 'L'\n"), Some("nick = 'L'")] {
            match before {
                Some(before) => fs::write(&path, before).unwrap(),
                None => assert!(!path.exists()),
            }
            save_address(&path, &address).unwrap();
            let settings = Settings::read(&path).unwrap().unwrap();
            assert_eq!(settings.address, Some(address));
            assert_eq!(settings.nick.is_some(), before.is_some_and(|before| !before.is_empty()));
        }
    }

    #[test]
    fn no_file_is_no_settings_and_one_that_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let reason = || format!("{:#}", Settings::read(&path).unwrap_err());
        assert_eq!(Settings::read(&path).unwrap(), None);
        fs::write(&path, "#".repeat(64 << 10)).unwrap();
        assert_eq!(Settings::read(&path).unwrap(), Some(Settings::defaults().unwrap()));
        fs::write(&path, "#".repeat((64 << 10) + 1)).unwrap();
        assert_eq!(
            reason(),
            format!("the settings {} are wrong: they are longer than 65536 bytes", path.display())
        );
        fs::write(&path, b"nick = '\xff'").unwrap();
        assert!(
            reason().starts_with(&format!("cannot read the settings {}: ", path.display())),
            "{}",
            reason()
        );
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(
            reason().starts_with(&format!("cannot read the settings {}: ", path.display())),
            "{}",
            reason()
        );
    }
}
