//! The levels of diagnostics.

use std::fmt;

/// The least serious diagnostics that are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub enum Level {
    /// No diagnostics.
    Off,
    /// Only errors.
    Error,
    /// Errors and warnings; the default.
    #[default]
    Warn,
    /// The above, and what the program does.
    Info,
    /// The above, and every step.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// The level for this many `-v` and `-q`; `None` if they have no effect.
    pub fn from_flags(verbose: u8, quiet: u8) -> Option<Self> {
        match i16::from(verbose) - i16::from(quiet) {
            ..=-2 => Some(Self::Off),
            -1 => Some(Self::Error),
            0 => None,
            1 => Some(Self::Info),
            2 => Some(Self::Debug),
            3.. => Some(Self::Trace),
        }
    }
}

/// Reads the name of the level.
impl TryFrom<String> for Level {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, &'static str> {
        let all = [Self::Off, Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];
        let level = all.into_iter().find(|level| level.to_string() == name);
        level.ok_or("diagnostics are `off`, `error`, `warn`, `info`, `debug` or `trace`")
    }
}

/// The name of the level in settings and in RUST_LOG.
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_raise_and_lower_the_level() {
        let level = |verbose, quiet| Level::from_flags(verbose, quiet).unwrap_or_default();
        assert_eq!(
            [0, 1, 2, u8::MAX].map(|quiet| level(0, quiet)),
            [Level::Warn, Level::Error, Level::Off, Level::Off]
        );
        assert_eq!(
            [1, 2, 3, u8::MAX].map(|verbose| level(verbose, 0)),
            [Level::Info, Level::Debug, Level::Trace, Level::Trace]
        );
        assert_eq!((Level::from_flags(0, 0), Level::from_flags(2, 2)), (None, None));
    }
}
