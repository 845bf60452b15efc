//! The options of the command line, kept until the settings file is read.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

use super::settings::Settings;

/// The options of [`Settings`] that were given.
#[derive(Clone, Debug)]
pub(crate) struct GivenOptions(ArgMatches);

impl GivenOptions {
    /// Writes the options that were given over `settings`, and leaves all other settings as they are.
    ///
    /// # Errors
    /// A required option is missing; there is none so far.
    pub(super) fn write_over(&self, settings: &mut Settings) -> Result<(), Error> {
        settings.update_from_arg_matches(&self.0)
    }
}

impl Args for GivenOptions {
    fn augment_args(command: Command) -> Command {
        // An update requires no option.
        Settings::augment_args_for_update(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for GivenOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
