//! How settings are written.

use std::fmt::{Debug, Display};
use std::num::NonZeroU32;
use std::str::FromStr;

use lumi_node_core::{RateLimit, Takeover};

#[test]
fn a_rate_limit_is_a_number_and_a_burst_of_its_own() {
    let limit = |per_second, burst| {
        let [per_second, burst] = [per_second, burst].map(|number| NonZeroU32::new(number).unwrap());
        RateLimit { per_second, burst }
    };
    is_written(limit(500, 1_000), "500");
    is_written(limit(500, 20), "500/20");
    is_written(RateLimit::new(NonZeroU32::MAX), "4294967295");
    assert_eq!("500/1000".parse(), Ok(limit(500, 1_000)));
    for text in ["", "0", "-1", "off", "5.5", "4294967296", "5/", "/5", "5/0", "5/5/5", " 5"] {
        let error = text.parse::<RateLimit>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "a rate limit is a number from 1 on, alone or as in 500/1000",
            "{text:?}"
        );
    }
}

#[test]
fn a_takeover_is_a_word() {
    is_written(Takeover::Last, "last");
    is_written(Takeover::Deny, "deny");
    for text in ["", "Last", "first", " deny"] {
        let error = text.parse::<Takeover>().unwrap_err();
        assert_eq!(error.to_string(), "a takeover is `last` or `deny`", "{text:?}");
    }
}

/// Checks that `value` is written as `text`, and read from it.
fn is_written<T: FromStr<Err: Debug> + Display + Debug + PartialEq + Copy>(value: T, text: &str) {
    assert_eq!(value.to_string(), text);
    assert_eq!(text.parse::<T>().expect("it is well-formed"), value);
}
