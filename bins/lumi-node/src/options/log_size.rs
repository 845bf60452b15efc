//! The value of `log-max-size`.

use std::str::FromStr;

use message_log::DEFAULT_MAX_SIZE;
use serde::de::{Deserialize, Deserializer};
use settings_text::text_or_number;

/// The maximum size of the message log's file in bytes; `None` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogSize(pub(crate) Option<u64>);

impl Default for LogSize {
    fn default() -> Self {
        Self(Some(DEFAULT_MAX_SIZE))
    }
}

impl FromStr for LogSize {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self(None));
        }
        let with_unit = |&(letter, unit)| Some((text.strip_suffix(letter)?, unit));
        let (number, unit) = UNITS.iter().find_map(with_unit).unwrap_or((text, 1));
        // Parsing alone would accept a sign.
        let digits = Some(number).filter(|number| !number.starts_with('+'));
        let bytes = digits.and_then(|digits| digits.parse::<u64>().ok()?.checked_mul(unit));
        let size = bytes.filter(|&bytes| bytes > 0).map(|bytes| Self(Some(bytes)));
        size.ok_or("a size is `off` or a number from 1 on, perhaps with K, M or G")
    }
}

impl<'de> Deserialize<'de> for LogSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_number(deserializer)
    }
}

const UNITS: [(char, u64); 3] = [('K', 1 << 10), ('M', 1 << 20), ('G', 1 << 30)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_bytes_or_powers_of_1024() {
        let size = |text: &str| text.parse().map(|LogSize(bytes)| bytes);
        for (text, bytes) in [
            ("off", None),
            ("1", Some(1)),
            ("0100", Some(100)),
            ("1K", Some(1024)),
            ("100M", Some(104_857_600)),
            ("2G", Some(2_147_483_648)),
            ("18446744073709551615", Some(u64::MAX)),
            ("17179869183G", Some(u64::MAX - (1 << 30) + 1)),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        let too_large = ["18446744073709551616", "17179869184G"];
        for text in ["", "0", "0K", "K", "1k", "1 M", "1.5G", "+1", "+1K", "-1", "1MB", "1KK", "on", "1€"]
            .iter()
            .chain(&too_large)
        {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!("100M".parse(), Ok(LogSize::default()), "as `--help` says");
    }

    #[test]
    fn in_the_settings_it_is_a_number_or_a_text() {
        let size =
            |text: &str| toml::from_str::<toml::Table>(text).unwrap()["size"].clone().try_into::<LogSize>();
        assert_eq!(size("size = 4096"), Ok(LogSize(Some(4096))));
        assert_eq!(size("size = '4K'"), Ok(LogSize(Some(4096))));
        assert_eq!(size("size = 'off'"), Ok(LogSize(None)));
        for wrong in ["size = 0", "size = -1", "size = 1.5", "size = true", "size = ['1']"] {
            assert!(size(wrong).unwrap_err().to_string().contains("a size is `off` or a number"), "{wrong}");
        }
    }
}
