//! The settings file, and what the command line writes over it.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;

use super::given::GivenOptions;
use super::settings::Settings;
use super::values::PathOrOff;

impl Settings {
    /// Reads the settings file at `config`, or the default one if it exists, and writes the options `given`
    /// over it.
    ///
    /// # Errors
    /// A file that was asked for cannot be read, or a file is wrong.
    pub(crate) fn load(config: Option<&Path>, given: &GivenOptions) -> anyhow::Result<Self> {
        let mut settings = read(config)?;
        given.write_over(&mut settings)?;
        Ok(settings)
    }
}

/// The control socket in the settings file at `config`, or in the default one.
///
/// # Errors
/// The file at `config` cannot be read, or is wrong.
pub(crate) fn control_socket(config: Option<&Path>) -> anyhow::Result<Option<PathOrOff>> {
    match read(config) {
        Ok(settings) => Ok(settings.control_socket),
        Err(error) if config.is_some() => Err(error),
        // Nobody asked for this file, and the node itself reports what is wrong with it.
        Err(_) => Ok(None),
    }
}

/// Reads the settings file that was `asked` for, or the default one if it exists.
fn read(asked: Option<&Path>) -> anyhow::Result<Settings> {
    let path = asked.unwrap_or(Path::new(DEFAULT_CONFIG));
    match fs::read_to_string(path) {
        Ok(text) => {
            Settings::parse(&text).with_context(|| format!("the settings {} are wrong", path.display()))
        }
        Err(error) if asked.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(Settings::default()),
        Err(error) => Err(error).with_context(|| format!("cannot read the settings {}", path.display())),
    }
}

/// The default settings file, which need not exist.
pub(crate) const DEFAULT_CONFIG: &str = "config/lumi-node.toml";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    /// The settings in effect with `file` and the `flags`.
    fn loaded(file: &str, flags: &[&str]) -> Settings {
        let path = tempfile::NamedTempFile::new().unwrap();
        fs::write(&path, file).unwrap();
        let cli = Cli::parse_from([&["lumi-node"], flags].concat());
        Settings::load(Some(path.path()), &cli.given).unwrap()
    }

    #[test]
    fn flags_win_over_the_file_and_only_peers_add_to_it() {
        let file = "roster = 'bb.cfg'\nlog = 'bb.log'\nname-servers = ['127.0.0.3:53']\nconsole = true\n\
            diagnostics = 'debug'\nrate-limit = 5\n[peers]\n'cc.com' = '127.0.0.1:1'\n";
        for (flags, expected) in [
            (&[][..], file.to_owned()),
            (&["--roster", "cc.cfg"], file.replace("bb.cfg", "cc.cfg")),
            (&["--name-server", "127.0.0.8:53"], file.replace("127.0.0.3", "127.0.0.8")),
            (&["-q"], file.replace("debug", "error")),
            (&["--rate-limit", "off"], file.replace("rate-limit = 5", "rate-limit = 'off'")),
            (&["--web", "127.0.0.1:8344"], format!("web = '127.0.0.1:8344'\n{file}")),
        ] {
            assert_eq!(loaded(file, flags), Settings::parse(&expected).unwrap(), "{flags:?}");
        }
        let both = loaded("[peers]\n'cc.com' = '127.0.0.1:1'", &["--peer", "dd.com=127.0.0.1:2"]);
        let domains: Vec<_> = both.peers.iter().map(|peer| peer.domain.to_string()).collect();
        assert_eq!(domains, ["cc.com", "dd.com"], "those of the command line come later");
        let file = "[peers]\n'cc.com' = ['127.0.0.1:1', '127.0.0.1:2']\n'ee.com' = '127.0.0.1:5'";
        let both = loaded(file, &["--peer", "CC.com=127.0.0.1:4", "--peer", "cc.com=127.0.0.1:3"]);
        let peers = both.node().peers;
        let ports = |domain: &str| {
            peers[&domain.parse().unwrap()].iter().map(lumi_node_core::NodeAddress::port).collect::<Vec<_>>()
        };
        assert_eq!(ports("cc.com"), [4, 3], "for its domain, the command line wins");
        assert_eq!(ports("ee.com"), [5]);
        assert_eq!(loaded(file, &[]).peers.len(), 3);
        assert!(loaded("console = false", &["--console"]).console);
    }

    #[test]
    fn the_address_of_a_passed_socket_wins_over_every_listen() {
        let mut given = Cli::parse_from(["lumi-node", "--listen", "127.0.0.2:3344"]).given;
        let local = "127.0.0.9:3344".parse().unwrap();
        given.set_passed(local);
        let mut settings = Settings::parse("listen = '127.0.0.3:3344'").unwrap();
        given.write_over(&mut settings).unwrap();
        assert_eq!(settings.listen, local);
    }
}
