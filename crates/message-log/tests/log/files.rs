//! The files that logs are kept in.

use std::fs;
use std::io::Write;
use std::path::{Component, Path};

use message_log::{agent_log_name, log_owner, node_log_name, open_log};
use proptest::prelude::*;

#[test]
fn names_are_those_of_the_protocol() {
    assert_eq!(node_log_name("PC-c"), "nodelumi-PC-c.log");
    assert_eq!(node_log_name("84.88.154.3"), "nodelumi-84.88.154.3.log");
    assert_eq!(agent_log_name("laura@bb.com"), "mi-agent-laura@bb.com.log");
    assert_eq!(agent_log_name("ñandú!~*@bb.com"), "mi-agent-ñandú!~*@bb.com.log");
}

#[test]
fn names_do_not_leave_the_folder() {
    assert_eq!(agent_log_name("../../etc/x@bb.com"), "mi-agent-..%2F..%2Fetc%2Fx@bb.com.log");
    assert_eq!(agent_log_name("/@bb.com"), "mi-agent-%2F@bb.com.log");
    assert_eq!(agent_log_name("%2F@bb.com"), "mi-agent-%252F@bb.com.log");
    assert_eq!(agent_log_name(r"..\@bb.com"), "mi-agent-..%5C@bb.com.log");
    assert_eq!(agent_log_name("a\0\n\u{202e}@bb.com"), "mi-agent-a%00%0A%E2%80%AE@bb.com.log");
    assert_eq!(node_log_name(".."), "nodelumi-...log");
}

#[test]
fn a_log_is_created_and_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(agent_log_name("a/b@bb.com"));
    for line in ["one\n", "two\n"] {
        open_log(&path).unwrap().write_all(line.as_bytes()).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

proptest! {
    #[test]
    fn a_name_is_one_plain_component_and_no_other_partys(one: String, other: String) {
        let name = agent_log_name(&one);
        let components: Vec<_> = Path::new(&name).components().collect();
        prop_assert_eq!(components, [Component::Normal(name.as_ref())]);
        prop_assert!(!name.contains(['\0', '\\']));
        prop_assert_eq!(name == agent_log_name(&other), one == other);
    }
}

#[test]
fn a_log_is_known_by_its_name() {
    for owned in ["bb.com", "PC-c", "a/b%c", "laura@bb.com"] {
        assert_eq!(log_owner(&node_log_name(owned)).as_deref(), Some(owned));
        assert_eq!(log_owner(&agent_log_name(owned)).as_deref(), Some(owned));
    }
    // One that was put aside.
    assert_eq!(log_owner("nodelumi-bb.com.log.1").as_deref(), Some("bb.com"));
    for other in ["bb.com.log", "nodelumi-bb.com", "-"] {
        assert_eq!(log_owner(other), None);
    }
}
