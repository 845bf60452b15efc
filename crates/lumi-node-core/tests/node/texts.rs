//! Settings as texts and as serde values.

use std::fmt::{Debug, Display};
use std::num::NonZeroU32;
use std::str::FromStr;

use lumi_node_core::{AddressRange, Ask, RateLimit, Takeover};
use plumi_proto::MiAddress;
use serde::Serialize;
use serde::de::DeserializeOwned;

#[test]
fn a_rate_limit_is_a_number_and_a_burst_of_its_own() {
    let limit = |per_second, burst| {
        let [per_second, burst] = [per_second, burst].map(|number| NonZeroU32::new(number).unwrap());
        RateLimit::new(per_second).with_burst(burst)
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

#[test]
fn a_range_is_its_text_for_serde_as_well() {
    is_written("192.0.2.0/24".parse::<AddressRange>().unwrap(), "192.0.2.0/24");
    assert_eq!(
        serde_json::from_str::<AddressRange>("\"192.0.2.7\"").unwrap(),
        "192.0.2.7/32".parse().unwrap()
    );
}

#[test]
fn serde_refuses_what_the_parsers_refuse() {
    let range = refusal::<AddressRange>("\"10.0.0.0/33\"");
    assert!(
        range.starts_with("after the '/' of a range of addresses stands how many bits they share"),
        "{range}"
    );
    let limit = refusal::<RateLimit>("\"0\"");
    assert!(limit.starts_with("a rate limit is a number from 1 on"), "{limit}");
    let number = refusal::<RateLimit>("500");
    assert!(number.starts_with("invalid type: integer `500`, expected a rate limit in quotes"), "{number}");
    let takeover = refusal::<Takeover>("\"first\"");
    assert!(takeover.starts_with("a takeover is `last` or `deny`"), "{takeover}");
    let ask = refusal::<Ask>("\"me\"");
    assert!(ask.starts_with("the askers that count are `any`, `bound` or `nodes`"), "{ask}");
}

#[test]
fn the_names_of_plumi_proto_are_serde_values_too() {
    is_written("laura@bb.com".parse::<MiAddress>().unwrap(), "laura@bb.com");
}

/// Checks that `value` is written as `text`, and read from it, with serde and without.
fn is_written<T>(value: T, text: &str)
where
    T: FromStr<Err: Debug> + Display + Debug + PartialEq + Copy + Serialize + DeserializeOwned,
{
    assert_eq!(value.to_string(), text);
    assert_eq!(text.parse::<T>().expect("it is well-formed"), value);
    let quoted = format!("\"{text}\"");
    assert_eq!(serde_json::to_string(&value).expect("it is a text"), quoted);
    assert_eq!(serde_json::from_str::<T>(&quoted).expect("it is well-formed"), value);
}

fn refusal<T: DeserializeOwned + Debug>(json: &str) -> String {
    serde_json::from_str::<T>(json).expect_err("it is refused").to_string()
}
