//! What holds when the command line says nothing: `config.toml` in the folder `mi-agent` of the user's settings.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use etcetera::BaseStrategy;
use etcetera::base_strategy::Xdg;
use mi_proto::Nickname;
use plumi_proto::MiAddress;
use serde::de::{Deserialize, Deserializer, Error as _};

use super::agent::AgentOptions;
use super::chat::ChatOptions;
use super::values::{self, Refresh};
use crate::toml_text;

/// What the settings file says, key by key.
#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    #[serde(deserialize_with = "text")]
    pub(crate) address: Option<MiAddress>,
    #[serde(deserialize_with = "text")]
    pub(crate) nick: Option<Nickname>,
    pub(crate) port: Option<u16>,
    #[serde(deserialize_with = "node")]
    pub(crate) node: Option<SocketAddrV4>,
    pub(crate) name_servers: Vec<SocketAddr>,
    #[serde(deserialize_with = "advertise")]
    pub(crate) advertise: Option<Ipv4Addr>,
    #[serde(deserialize_with = "refresh")]
    pub(crate) refresh: Option<Refresh>,
    pub(crate) bare_user: Option<bool>,
    pub(crate) log: Option<PathBuf>,
    #[serde(deserialize_with = "conversations")]
    pub(crate) conversations: Option<u8>,
    pub(crate) history: Option<bool>,
    pub(crate) bell: Option<bool>,
    pub(crate) mouse: Option<bool>,
    pub(crate) plain: Option<bool>,
}

impl Settings {
    /// Reads the settings file. Where there is none, nothing is set.
    ///
    /// # Errors
    /// A file that cannot be read, or one that is wrong, and where.
    pub(crate) fn load() -> anyhow::Result<Self> {
        // Whoever has no home has no settings, and can be asked or told by flags.
        let Ok(path) = path() else { return Ok(Self::default()) };
        Ok(Self::read(&path)?.unwrap_or_default())
    }

    /// Reads the settings file at `path`. `None`: there is none.
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
        toml_text::parse(&text).with_context(wrong).map(Some)
    }

    /// Completes what the command line says of an agent, and for whom it is.
    ///
    /// What belongs to the user whose address is set is not taken for another one. A node that is set is not taken
    /// when the name servers are given.
    pub(crate) fn complete(&self, address: &mut Option<MiAddress>, options: &mut AgentOptions) {
        let is_theirs = address.is_none() || self.address.is_none() || *address == self.address;
        if is_theirs {
            *address = address.or(self.address);
            options.nick = options.nick.take().or_else(|| self.nick.clone());
            options.port = options.port.or(self.port);
            if options.name_servers.is_empty() {
                options.node = options.node.or(self.node);
            }
            options.advertise = options.advertise.or(self.advertise);
            options.bare_user |= self.bare_user.unwrap_or(DEFAULT_BARE_USER);
        }
        if options.name_servers.is_empty() {
            options.name_servers.clone_from(&self.name_servers);
        }
        options.refresh = options.refresh.or(self.refresh);
        options.log = options.log.take().or_else(|| self.log.clone());
        options.conversations = options.conversations.or(self.conversations);
    }

    /// How a chat is, of which the command line says `options`.
    pub(crate) fn chat(&self, options: &ChatOptions) -> Chat {
        Chat {
            history: !options.no_history && self.history.unwrap_or(DEFAULT_HISTORY),
            bell: !options.no_bell && self.bell.unwrap_or(DEFAULT_BELL),
            mouse: self.mouse.unwrap_or(DEFAULT_MOUSE),
            plain: options.plain || self.plain.unwrap_or(DEFAULT_PLAIN),
        }
    }
}

/// How a chat is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chat {
    /// What is said is kept on the disk.
    pub(crate) history: bool,
    /// The terminal rings.
    pub(crate) bell: bool,
    /// The wheel scrolls, and selecting is not the terminal's.
    pub(crate) mouse: bool,
    /// Line mode, even on a terminal.
    pub(crate) plain: bool,
}

/// Where the settings file is, or would be.
///
/// # Errors
/// Nobody knows where the user's home is.
pub(crate) fn path() -> anyhow::Result<PathBuf> {
    let folders = Xdg::new().context("cannot tell where settings are; set HOME")?;
    Ok(folders.config_dir().join("mi-agent").join("config.toml"))
}

fn text<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<Option<T>, D::Error> {
    checked(deserializer, T::from_str)
}

fn node<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddrV4>, D::Error> {
    checked(deserializer, values::node)
}

fn advertise<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Ipv4Addr>, D::Error> {
    checked(deserializer, values::reachable)
}

fn refresh<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Refresh>, D::Error> {
    values::refresh(&text_or_number(deserializer)?).map(Some).map_err(D::Error::custom)
}

fn conversations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    values::conversations(&text_or_number(deserializer)?).map(Some).map_err(D::Error::custom)
}

fn checked<'de, D: Deserializer<'de>, T, E: Display>(
    deserializer: D,
    check: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, D::Error> {
    check(&String::deserialize(deserializer)?).map(Some).map_err(D::Error::custom)
}

/// What the settings file gives where the command line has the same text.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match toml::Value::deserialize(deserializer)? {
        toml::Value::String(text) => text,
        value => value.to_string(),
    })
}

pub(crate) const DEFAULT_PORT: u16 = 0;

pub(crate) const DEFAULT_BARE_USER: bool = false;

pub(crate) const DEFAULT_HISTORY: bool = true;

pub(crate) const DEFAULT_BELL: bool = true;

pub(crate) const DEFAULT_MOUSE: bool = true;

pub(crate) const DEFAULT_PLAIN: bool = false;

/// The most bytes of a settings file: many times what the sample has, so that what is no such file is not read whole.
const MAX_FILE: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;
    use crate::options::values::DEFAULT_CONVERSATIONS;

    const FILE: &str = "address = 'laura@bb.com'\nnick = 'Laura'\nport = 3500\nnode = '127.0.0.2:3344'\n\
        name-servers = ['127.0.0.3:53']\nadvertise = '192.0.2.7'\nrefresh = 30\nbare-user = true\n\
        log = 'laura.log'\nconversations = 4\nhistory = false\nbell = false\nmouse = false\nplain = true\n";

    /// The command line that `given`, with the settings `file`, comes to.
    fn completed(file: &str, given: &[&str]) -> String {
        let settings: Settings = toml_text::parse(file).unwrap();
        let mut cli = Cli::parse_from([&["mi-agent"], given].concat());
        settings.complete(&mut cli.address, &mut cli.options);
        let told = |name: &str, value: Option<String>| value.map(|value| format!("{name}={value} "));
        let options = &cli.options;
        [
            told("address", cli.address.map(|address| address.to_string())),
            told("nick", options.nick.as_ref().map(Nickname::to_string)),
            told("port", options.port.map(|port| port.to_string())),
            told("node", options.node.map(|node| node.to_string())),
            told("servers", options.name_servers.first().map(|_| format!("{:?}", options.name_servers))),
            told("advertise", options.advertise.map(|ip| ip.to_string())),
            told("refresh", options.refresh.map(|refresh| refresh.to_string())),
            told("bare", options.bare_user.then(String::new)),
            told("log", options.log.as_ref().map(|log| log.display().to_string())),
            told("conversations", options.conversations.map(|most| most.to_string())),
        ]
        .into_iter()
        .flatten()
        .collect::<String>()
        .trim_end()
        .to_owned()
    }

    #[test]
    fn flags_win_over_the_file_and_another_address_takes_nothing_of_the_users() {
        let all = "address=laura@bb.com nick=Laura port=3500 node=127.0.0.2:3344 servers=[127.0.0.3:53] \
            advertise=192.0.2.7 refresh=30 bare= log=laura.log conversations=4";
        let shared = "servers=[127.0.0.3:53] refresh=30 log=laura.log conversations=4";
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
        ];
        let flagged =
            "nick=L port=0 node=127.0.0.9:3344 servers=[127.0.0.8:53] advertise=192.0.2.8 refresh=off";
        for (file, given, expected) in [
            ("", &[][..], String::new()),
            ("", &["laura@bb.com", "--bare-user"], "address=laura@bb.com bare=".into()),
            (FILE, &[], all.into()),
            // Given as it is set, or as it is written elsewhere.
            (FILE, &["laura@bb.com"], all.into()),
            (FILE, &["laura@BB.com."], all.replacen("laura@bb.com", "laura@BB.com.", 1)),
            (FILE, &["Laura@bb.com"], format!("address=Laura@bb.com {shared}")),
            (FILE, &["joya@cc.com", "--port", "1"], format!("address=joya@cc.com port=1 {shared}")),
            (FILE, &flags, format!("address=laura@bb.com {flagged} bare= log=- conversations=2")),
            (
                FILE,
                &["--name-server", "127.0.0.8:53"],
                all.replace("node=127.0.0.2:3344 ", "").replace("127.0.0.3:53", "127.0.0.8:53"),
            ),
            // Without an address in the file, they are everybody's.
            ("nick = 'L'\nport = 7", &["joya@cc.com"], "address=joya@cc.com nick=L port=7".into()),
            ("nick = 'L'\nport = 7", &[], "nick=L port=7".into()),
        ] {
            assert_eq!(completed(file, given), expected, "{file:?} {given:?}");
        }
    }

    #[test]
    fn a_chat_is_as_flags_file_and_defaults_say() {
        let chat = |file: &str, given: &[&str]| {
            let settings: Settings = toml_text::parse(file).unwrap();
            let Chat { history, bell, mouse, plain } =
                settings.chat(&Cli::parse_from([&["mi-agent"], given].concat()).chat);
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
    fn a_wrong_value_is_told_with_its_line_its_key_and_what_is_right() {
        let reason = |text: &str| toml_text::parse::<Settings>(text).unwrap_err().to_string();
        for (text, told) in [
            ("address = 'laura'", "line 1, address: an address is user@domain, and there is no '@'"),
            ("\nnick = ''", "line 2, nick: "),
            ("nick = 7", "line 1, nick: invalid type: integer `7`, expected a string"),
            ("port = 70000", "line 1, port: invalid value: integer `70000`, expected u16"),
            ("node = '127.0.0.1'", "line 1, node: a node is given as IP:PORT, such as 127.0.0.2:3344"),
            ("node = '127.0.0.1:0'", "line 1, node: no node has port 0; they use 3344"),
            ("advertise = '224.0.0.1'", "line 1, advertise: nobody can be reached there"),
            ("refresh = 0", "line 1, refresh: it is a number of seconds, 1 or more, or off"),
            ("refresh = 'on'", "line 1, refresh: it is a number of seconds, 1 or more, or off"),
            ("conversations = 0", "line 1, conversations: it is a number from 1 to 16"),
            ("conversations = 17", "line 1, conversations: it is a number from 1 to 16"),
            ("bell = 'yes'", "line 1, bell: invalid type: string \"yes\", expected a boolean"),
            (
                "name-servers = [\n'127.0.0.3:53',\n'here']",
                "line 3, name-servers: invalid socket address syntax",
            ),
            ("port = 1\nnik = 'L'", "line 2: unknown field `nik`, expected one of `address`, `nick`, "),
            ("\"\\u001b[2J\" = 1", "line 1: unknown field `\\x1b[2J`, expected one of "),
            ("port", "line 1: "),
        ] {
            let reason = reason(text);
            assert!(reason.starts_with(told) && !reason.contains('\n'), "{text:?}: {reason:?}");
        }
    }

    #[test]
    fn no_file_is_no_settings_and_one_that_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let reason = || format!("{:#}", Settings::read(&path).unwrap_err());
        assert_eq!(Settings::read(&path).unwrap(), None);
        std::fs::write(&path, "#".repeat(64 << 10)).unwrap();
        assert_eq!(Settings::read(&path).unwrap(), Some(Settings::default()));
        std::fs::write(&path, "#".repeat((64 << 10) + 1)).unwrap();
        assert_eq!(
            reason(),
            format!("the settings {} are wrong: they are longer than 65536 bytes", path.display())
        );
        std::fs::write(&path, b"nick = '\xff'").unwrap();
        assert!(
            reason().starts_with(&format!("cannot read the settings {}: ", path.display())),
            "{}",
            reason()
        );
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(
            reason().starts_with(&format!("cannot read the settings {}: ", path.display())),
            "{}",
            reason()
        );
    }

    const SAMPLE: &str = include_str!("../../../../config/mi-agent.toml");

    #[test]
    fn the_sample_sets_nothing_as_it_stands() {
        assert_eq!(toml_text::parse::<Settings>(SAMPLE).unwrap(), Settings::default());
    }

    #[test]
    fn the_sample_names_every_key_and_the_defaults() {
        let text = SAMPLE.lines().map(|line| match line.strip_prefix("# ") {
            Some(key) if key.split_once(" = ").is_some_and(|(name, _)| !name.contains(' ')) => key,
            _ => line,
        });
        let settings: Settings = toml_text::parse(&text.collect::<Vec<_>>().join("\n")).unwrap();
        // No `..`, so that a new key is missed here.
        let Settings {
            address,
            nick,
            port,
            node,
            name_servers,
            advertise,
            refresh,
            bare_user,
            log,
            conversations,
            history,
            bell,
            mouse,
            plain,
        } = settings;
        assert!(address.is_some() && nick.is_some() && node.is_some() && !name_servers.is_empty());
        assert!(advertise.is_some() && log.is_some());
        assert_eq!((port, bare_user), (Some(DEFAULT_PORT), Some(DEFAULT_BARE_USER)));
        assert_eq!(refresh, Some(Refresh::default()));
        assert_eq!((conversations, plain), (Some(DEFAULT_CONVERSATIONS), Some(DEFAULT_PLAIN)));
        assert_eq!((history, bell, mouse), (Some(DEFAULT_HISTORY), Some(DEFAULT_BELL), Some(DEFAULT_MOUSE)));
    }
}
