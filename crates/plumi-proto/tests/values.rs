//! The traits of names and addresses.

use std::collections::BTreeSet;

use plumi_proto::{AddressError, Domain, MiAddress, MiSocketAddress, NameError, NodeAddress, UserName};

#[test]
fn domains_are_ordered_as_they_are_equal() {
    let domains = ["a.com", "A.org.", "B.com", "b.net"].map(domain);
    assert!(domains.is_sorted_by(|one, next| one < next));
    assert!(domain("bb.com") <= domain("BB.com.") && domain("bb.com") >= domain("BB.com."));
    assert!(domain("b") < domain("b.a") && domain("b.") < domain("b-"));
    let set = BTreeSet::from([domain("PC-c"), domain("pc-C.")]);
    assert_eq!(set.len(), 1);
}

#[test]
fn addresses_are_ordered_by_domain_and_then_by_user() {
    let addresses = ["z@a.com", "Laura@BB.com", "laura@bb.com", "pere@bb.com.", "a@cc.com"].map(address);
    assert!(addresses.is_sorted_by(|one, next| one < next));
    let set = BTreeSet::from([address("laura@bb.com"), address("laura@BB.com."), address("Laura@bb.com")]);
    assert_eq!(set.len(), 2);
}

#[test]
fn texts_convert_into_values_and_values_are_texts() {
    fn length(text: impl AsRef<str>) -> usize {
        text.as_ref().len()
    }
    assert_eq!(length(address("laura@BB.com")), 12);
    assert_eq!(length(domain("BB.com.")), 7);
    assert_eq!(MiAddress::try_from("laura@bb.com"), Ok(address("laura@bb.com")));
    assert_eq!(MiAddress::try_from("laura".to_owned()), Err(AddressError::NoAt));
    assert_eq!(UserName::try_from("laura".to_owned()).map(length), Ok(5));
    assert_eq!(UserName::try_from(""), Err(NameError::Empty));
    assert_eq!(Domain::try_from("a..b".to_owned()), Err(NameError::Label { at: 2 }));
}

#[test]
fn a_socket_address_is_read_as_it_is_written() {
    let address: MiSocketAddress = "84.88.154.3:4456".parse().expect("an address");
    assert_eq!((address.to_string().as_str(), address.port.get()), ("84.88.154.3:4456", 4456));
    for wrong in ["", "84.88.154.3", "84.88.154.3:0", "84.88.154.3:65536", "[::1]:4456", "bb.com:4456"] {
        let error = wrong.parse::<MiSocketAddress>().expect_err(wrong).to_string();
        assert_eq!(error, "it is not ip:port, with an IPv4 address and a port of 1 to 65535");
    }
    let ordered = ["9.0.0.1:80", "9.0.0.1:4456", "10.0.0.1:80"].map(|text| text.parse().expect("an address"));
    assert!(ordered.is_sorted_by(|one: &MiSocketAddress, next| one < next));
}

#[test]
fn values_are_serialized_as_texts_and_read_by_their_parsers() {
    type Values = (MiAddress, UserName, Domain, MiSocketAddress, NodeAddress);
    let json = r#"["laura@BB.com.","laura","BB.com.","84.88.154.3:4456","84.88.154.3:3344"]"#;
    let values: Values = serde_json::from_str(json).expect("values");
    assert_eq!(serde_json::to_string(&values).expect("texts"), json);
    let wrong = |json: &str| serde_json::from_str::<MiAddress>(json).expect_err(json).to_string();
    assert!(wrong(r#""laura""#).starts_with("an address is user@domain, and there is no '@' at line 1"));
    assert!(wrong("7").contains("expected an MI address, user@domain"), "{}", wrong("7"));
    assert!(serde_json::from_str::<MiSocketAddress>(r#""84.88.154.3:0""#).is_err());
}

fn address(text: &str) -> MiAddress {
    text.parse().expect("an address")
}

fn domain(text: &str) -> Domain {
    text.parse().expect("a domain")
}
