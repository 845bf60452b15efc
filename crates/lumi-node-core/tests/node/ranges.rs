//! The text of ranges of addresses.

use std::net::Ipv4Addr;

use lumi_node_core::AddressRange;

#[test]
fn a_range_has_the_addresses_that_share_its_bits() {
    for (text, shown, inside, outside) in [
        (
            "192.0.2.0/24",
            "192.0.2.0/24",
            &["192.0.2.0", "192.0.2.255"][..],
            &["192.0.1.255", "192.0.3.0"][..],
        ),
        ("192.0.2.7", "192.0.2.7/32", &["192.0.2.7"], &["192.0.2.6", "192.0.2.8"]),
        ("192.0.2.7/32", "192.0.2.7/32", &["192.0.2.7"], &["192.0.2.6", "192.0.2.8"]),
        ("192.0.2.7/25", "192.0.2.0/25", &["192.0.2.0", "192.0.2.127"], &["192.0.2.128"]),
        ("10.200.0.1/8", "10.0.0.0/8", &["10.0.0.0", "10.255.255.255"], &["9.255.255.255", "11.0.0.0"]),
        ("0.0.0.0/0", "0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &[]),
    ] {
        let range: AddressRange = text.parse().unwrap();
        assert_eq!(range.to_string(), shown);
        assert_eq!(shown.parse(), Ok(range));
        let contains = |address: &&str| range.contains(address.parse::<Ipv4Addr>().unwrap());
        assert!(inside.iter().all(contains) && !outside.iter().any(contains), "{text}");
    }
}

#[test]
fn what_is_no_range_is_told_in_words() {
    let address = "a range of addresses is an IPv4 address, alone or as in 192.0.2.0/24";
    let bits = "after the '/' of a range of addresses stands how many bits they share, 0 to 32";
    for (text, reason) in [
        ("", address),
        ("/24", address),
        ("bb.com", address),
        ("192.0.2/24", address),
        ("192.0.2.256/24", address),
        ("192.0.2.07", address),
        (" 192.0.2.7", address),
        ("::1/128", address),
        ("192.0.2.0/", bits),
        ("192.0.2.0/33", bits),
        ("192.0.2.0/256", bits),
        ("192.0.2.0/+24", bits),
        ("192.0.2.0/-1", bits),
        ("192.0.2.0/24/24", bits),
        ("192.0.2.0/255.255.255.0", bits),
    ] {
        let error = text.parse::<AddressRange>().unwrap_err();
        assert_eq!(error.to_string(), reason, "{text:?}");
    }
}
