//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory, Parser};
use clap_complete::Shell;
use diagnostics::Level;
use plumi_proto::{Domain, UserName};

use crate::admin::control::ctl::CtlArgs;
use crate::options::given::GivenOptions;
use crate::watch::WatchArgs;

/// The node of a domain: registers its users and finds those of other domains.
#[derive(Clone, Debug, Parser)]
#[command(version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) subcommand: Option<Subcommand>,

    /// Settings, TOML, with a key for every option below [default: config/lumi-node.toml if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) given: GivenOptions,
}

/// The subcommands. Without one, the program serves.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    /// Tell whether a node would start here and be found, and what to do if not
    Check(CheckArgs),
    Init(InitArgs),
    Ctl(CtlArgs),
    Watch(WatchArgs),
    /// Print a script that lets SHELL complete what is typed
    Completions {
        /// For which shell
        shell: Shell,
    },
}

/// Write a roster and settings to begin with, and check them; files that are there stay as they are
#[derive(Clone, Debug, Args)]
#[command(after_help = INIT_HELP)]
pub(crate) struct InitArgs {
    /// The domain to serve, such as bb.com
    #[arg(value_parser = domain)]
    pub(crate) domain: Domain,

    /// The users of the domain; others can be added later
    #[arg(value_parser = user)]
    pub(crate) users: Vec<UserName>,
}

fn domain(name: &str) -> Result<Domain, String> {
    Domain::new(name).map_err(|error| format!("the domain {error}; give one such as bb.com"))
}

fn user(name: &str) -> Result<UserName, String> {
    UserName::new(name)
        .map_err(|error| format!("the user name {error}; give each user by name alone, such as laura"))
}

/// The subject of a check.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = CHECK_HELP)]
pub(crate) struct CheckArgs {
    /// Settings, TOML [default: config/lumi-node.toml if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The domain and its users [default: what the settings say, or else config/nodelumi.cfg]
    #[arg(long, value_name = "FILE")]
    pub(crate) roster: Option<PathBuf>,

    /// Check, too, that the node of DOMAIN is found and answers; may repeat
    #[arg(long = "peer-domain", value_name = "DOMAIN")]
    pub(crate) peer_domains: Vec<Domain>,

    /// Show on stderr what is sent and what comes: -v info, -vv debug, -vvv trace; RUST_LOG wins
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
}

impl CheckArgs {
    /// Returns the level of diagnostics.
    pub(crate) fn diagnostics(&self) -> Level {
        Level::from_flags(self.verbose, 0).unwrap_or_default()
    }
}

/// Returns a script that lets `shell` complete command lines.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
    script
}

const INIT_HELP: &str = "\
The roster is config/nodelumi.cfg, the settings are config/lumi-node.toml, below the
working directory, where lumi-node looks for them. The exit code is that of the check:
0 if no line says FAIL, 1 if one does or nothing was written, 2 if the options are wrong.

Examples:
  lumi-node init bb.com laura pere
      begins the domain bb.com with two users";

const CHECK_HELP: &str = "\
Each line begins with one of
  ok     this is as it has to be
  FAIL   it is not: the line says why and, after the semicolon, what to do
  skip   this can be checked only when something else has been put right

The exit code is 0 if no line says FAIL, 1 if one does, 2 if the options are wrong.
Nothing is changed, and a node may be running; where systemd holds the port for one
that does not run, being asked starts it. Run it as the user whom the node runs as, in
the same folder; what that node is told by flags is not known here. Behind NAT the
domain leads to the router, and its line stays FAIL: it says what to forward there.";

const EXAMPLES: &str = "\
Examples:
  lumi-node init bb.com laura pere
      writes config/nodelumi.cfg and config/lumi-node.toml, and checks them
  lumi-node
      serves the domain of config/nodelumi.cfg on port 3344
  lumi-node --roster bb.cfg --listen 127.0.0.2:3344 --peer cc.com=127.0.0.3:3344
      a node beside others on one host, that knows where another one is
  echo 'register laura' | lumi-node --console
      registers a user and goes on serving

On a terminal it takes commands of the administrator: type help. From elsewhere,
`lumi-node ctl` gives them to it. SIGHUP reads roster and settings again, and begins
the message log in a new file.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::command::IN_A_SHELL;

    #[test]
    fn the_console_knows_what_is_for_a_shell() {
        let mut names: Vec<_> = IN_A_SHELL.into();
        names.sort_unstable();
        let command = Cli::command();
        let mut all: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
        all.sort_unstable();
        assert_eq!(names, all);
    }
}
