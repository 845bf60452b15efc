//! The options of the command line, kept until the settings file is read.

use std::mem;

use clap::{ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use diagnostics::Level;
use lumi_node_core::UdpAddress;

use super::settings::Settings;

/// The options that were given, which win over the settings file whenever it is read.
#[derive(Clone, Debug, Args)]
pub(crate) struct GivenOptions {
    #[command(flatten)]
    keys: GivenKeys,

    /// More diagnostics: -v info, -vv debug, -vvv trace; RUST_LOG wins
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,

    /// Fewer diagnostics: -q only errors, -qq none; RUST_LOG wins
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "verbose")]
    quiet: u8,

    /// The address of a socket that the service manager passed.
    #[arg(skip)]
    passed: Option<UdpAddress>,
}

impl GivenOptions {
    /// Makes the address of a socket that the service manager passed win over every `listen`.
    pub(crate) fn set_passed(&mut self, local: UdpAddress) {
        self.passed = Some(local);
    }

    /// Writes what was given over `settings`, and leaves the rest of them as it is.
    ///
    /// # Errors
    /// None, as long as no option is required.
    pub(super) fn write_over(&self, settings: &mut Settings) -> Result<(), Error> {
        let mut peers = mem::take(&mut settings.peers);
        settings.update_from_arg_matches(&self.keys.0)?;
        // `--peer` adds to those of the file, and takes the place of those for its domain.
        peers.retain(|peer| settings.peers.iter().all(|given| given.domain != peer.domain));
        settings.peers.splice(..0, peers);
        if let Some(level) = Level::from_flags(self.verbose, self.quiet) {
            settings.diagnostics = level;
        }
        if let Some(local) = self.passed {
            settings.listen = local;
        }
        Ok(())
    }
}

/// The options of the table that were given.
#[derive(Clone, Debug)]
struct GivenKeys(ArgMatches);

impl Args for GivenKeys {
    fn augment_args(command: Command) -> Command {
        // An update requires no option.
        Settings::augment_args_for_update(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for GivenKeys {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
