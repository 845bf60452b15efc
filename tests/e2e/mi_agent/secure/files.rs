//! The places of the own key, and what becomes of an agent without one.

use std::fs::Permissions;

use super::*;

/// Starts a chat that does not get as far as registering, and returns its exit code and its messages on
/// stderr.
fn fails(home: &Home, arguments: &[&str]) -> (i32, Vec<String>) {
    let arguments = [arguments, &["--node", "127.0.0.1:9", "--log", "off", home.address]].concat();
    let (code, stdout, stderr) = home.run(&arguments);
    assert_eq!(stdout, [""; 0]);
    (code, stderr)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is there");
}

/// A key of OpenSSL, and its public key.
const OF_OPENSSL: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIApRN1qaKfuHC48i2ocH8Js6EjxXSegNKo/ikjbffg6X
-----END PRIVATE KEY-----
";
const ITS_PUBLIC_KEY: &str = "3Pm+P1lUM5jQqd6Ibv1i4n3AKCNHzPUvtGG1neM6MIU=";

#[test]
fn a_key_that_others_may_read_is_refused_with_the_command_that_helps() {
    let laura = Home::of("laura@bb.com");
    laura.key("--line");
    let path = laura.data("identity.pem");
    set_mode(&path, 0o644);
    let told = format!(
        "mi-agent: the identity in {0} can be read by others (mode 0644): chmod 600 {0}",
        path.display()
    );
    assert_eq!(fails(&laura, &[]), (1, vec![told.clone()]));
    for arguments in [
        &["send", "--from", "laura@bb.com", "pere@bb.com", "hola"][..],
        &["listen", "--from", "laura@bb.com"],
        &["key", "show", "--from", "laura@bb.com"],
    ] {
        let (code, _, stderr) = laura.run(arguments);
        assert_eq!((code, &stderr), (1, &vec![told.clone()]), "{arguments:?}");
    }
    set_mode(&path, 0o400);
    laura.key("--line");
    set_mode(&path, 0o600);
    fs::write(&path, "no key").expect("written");
    let told =
        format!("mi-agent: the identity in {} is not an Ed25519 secret key in PEM (PKCS#8)", path.display());
    assert_eq!(fails(&laura, &[]), (1, vec![told]));
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "no key", "it is not replaced");
}

#[test]
fn a_key_of_another_program_is_used_where_it_is() {
    let (node, laura, pere) = node_and_homes();
    let mut pere_talks = pere.chat(&node, &[]);
    let path = laura.path().join("laura.pem");
    let given = path.to_str().expect("a path of the test's own");
    let told = format!(
        "mi-agent: there is no identity {given}; without --identity and the key `identity`, one is created automatically"
    );
    assert_eq!(fails(&laura, &["--identity", given]), (1, vec![told]));
    assert!(!path.exists() && !laura.data("identity.pem").exists());
    fs::write(&path, OF_OPENSSL).expect("written");
    set_mode(&path, 0o600);
    assert_eq!(laura.send(&node, &["--identity", "laura.pem", "pere@bb.com", "hola"]), (0, vec![]));
    begun(&mut pere_talks);
    pere_talks.expect_line("* conversation with ");
    let (code, told, _) =
        laura.run(&["key", "show", "--from", "laura@bb.com", "--identity", given, "--line"]);
    let line = format!("laura@bb.com ed25519 {ITS_PUBLIC_KEY}");
    assert_eq!((code, told), (0, vec![line.clone()]));
    assert!(!laura.data("identity.pem").exists(), "no other is created");
    // He calls her, and meets that one.
    let mut laura_talks = laura.chat(&node, &["--identity", given]);
    call(&mut pere_talks, "laura@bb.com");
    begun(&mut laura_talks);
    assert!(pere.known()[0].starts_with(&line), "{:?}", pere.known());
}

#[test]
fn a_command_may_print_the_key() {
    let laura = Home::of("laura@bb.com");
    let set = |command: &str| {
        let settings = format!("address = 'laura@bb.com'\nkey-command = {command}\n");
        integration_tests::programs::write_agent_settings(laura.path(), &settings);
        let (code, stdout, stderr) = laura.run(&["key", "show", "--line"]);
        (code, stdout.join("\n"), stderr.join("\n"))
    };
    fs::write(laura.path().join("laura.pem"), OF_OPENSSL).expect("written");
    let line = format!("laura@bb.com ed25519 {ITS_PUBLIC_KEY}");
    assert_eq!(set("['cat', 'laura.pem']"), (0, line, String::new()));
    assert!(!laura.data("identity.pem").exists());
    // No shell reads it.
    let (code, _, told) = set("['cat laura.pem']");
    assert_eq!(code, 1);
    assert!(told.starts_with("mi-agent: key-command: cannot run cat laura.pem: No such file"), "{told}");
    let (code, _, told) = set("['sh', '-c', 'echo locked >&2; exit 3']");
    let expected = "locked\nmi-agent: key-command: sh ended with exit status: 3";
    assert_eq!((code, told.as_str()), (1, expected));
    let (code, _, told) = set("['echo', 'no key']");
    let expected = "mi-agent: key-command: what echo prints is not an Ed25519 secret key in PEM (PKCS#8)";
    assert_eq!((code, told.as_str()), (1, expected));
    let (code, _, told) = set("['sh', '-c', 'exec sleep 1000']");
    assert_eq!((code, told.as_str()), (1, "mi-agent: key-command: sh has not ended after 10 s"));
}

/// Users that know the old key have to be ready for it.
#[test]
fn a_new_key_beside_known_ones_is_said() {
    let (node, laura, pere) = node_and_homes();
    let _pere_talks = pere.chat(&node, &[]);
    assert_eq!(laura.send(&node, &["pere@bb.com", "hola"]), (0, vec![]));
    fs::remove_file(laura.data("identity.pem")).expect("it was there");
    let (code, told) = laura.send(&node, &["pere@bb.com", "hola"]);
    let path = laura.data("identity.pem");
    let expected =
        format!("{} is a new key; users who know your old one are warned when they call you", path.display());
    assert!(code == 0 && told.len() == 1 && told[0].ends_with(&expected), "{told:?}");
    assert_eq!(laura.send(&node, &["pere@bb.com", "hola"]), (0, vec![]), "once");
}

/// It says so once, and talks as programs without keys do.
#[test]
fn without_a_place_for_a_key_an_agent_is_plain_or_does_not_start() {
    let (node, laura, pere) = node_and_homes();
    let mut pere_talks = pere.chat(&node, &[]);
    let at = node.address().to_string();
    let start = |arguments: &[&str]| {
        let mut command = command(laura.path(), &[arguments, &["--log", "off", "--node", &at]].concat());
        // Nobody can create anything there, not even root.
        Program::start_command(command.env("XDG_DATA_HOME", "/proc/nothing"))
    };
    let reason =
        "there is no key, because /proc/nothing/mi-agent/laura@bb.com/identity.pem cannot be written: ";
    let plain = "; conversations are plain, and users whose key is known are not called";
    let assert_warned = |program: &Program| {
        // Its stdout and its stderr are read by threads of their own.
        eventually("it is told on stderr", || !program.stderr().is_empty());
        let [told] = &program.stderr()[..] else { panic!("one line: {:?}", program.stderr()) };
        assert!(told.contains(reason) && told.ends_with(plain), "{told}");
    };
    let mut laura_talks = start(&["laura@bb.com"]);
    laura_talks.expect_line("* listening");
    assert_warned(&laura_talks);
    laura_talks.type_line("/words");
    laura_talks.expect_line("! this agent has no key, so it can only talk in plain text");
    assert_eq!(call(&mut laura_talks, "pere@bb.com"), PLAIN);
    assert_eq!(begun(&mut pere_talks), PLAIN);
    end(&mut laura_talks, &mut pere_talks);
    assert_eq!(call(&mut pere_talks, "laura@bb.com"), PLAIN, "she offers no encryption");
    begun(&mut laura_talks);
    end(&mut pere_talks, &mut laura_talks);
    drop(laura_talks);
    let mut sending = start(&["send", "--from", "laura@bb.com", "pere@bb.com", "hola"]);
    assert_eq!(sending.wait_exit(), 0);
    assert_warned(&sending);
    pere_talks.expect_line("<laura> hola");

    let mut demanding = start(&["--security", "encrypted", "laura@bb.com"]);
    assert_eq!((demanding.wait_exit(), demanding.stdout()), (1, vec![]));
    let expected = format!("mi-agent: security is `encrypted`, and {reason}");
    assert!(demanding.stderr()[0].starts_with(&expected), "{:?}", demanding.stderr());
}

/// A file of keys that is damaged is not an empty one.
#[test]
fn known_keys_that_cannot_be_read_end_the_start() {
    let laura = Home::of("laura@bb.com");
    laura.key("--line");
    let path = laura.data("known_peers");
    fs::write(&path, "pere@bb.com ed25519\n").expect("written");
    let (code, told) = fails(&laura, &[]);
    let expected = format!("mi-agent: {} is wrong in line 1: ", path.display());
    assert!(code == 1 && told[0].starts_with(&expected), "{told:?}");
    let (code, _, told) = laura.run(&["trust", "list", "--from", "laura@bb.com"]);
    assert!(code == 1 && told[0].starts_with(&expected), "{told:?}");
}

#[test]
fn the_keys_of_conversations_are_logged_only_on_demand_and_that_is_said() {
    let (node, laura, pere) = node_and_homes();
    let _pere_talks = pere.chat(&node, &[]);
    let log = laura.path().join("keys.log");
    let given = log.to_str().expect("a path of the test's own");
    let (code, told) = laura.send(&node, &["--tls-key-log", given, "pere@bb.com", "hola"]);
    let said = format!("keys are written to {given}: whoever has that file can read your conversations");
    assert!(code == 0 && told.len() == 1 && told[0].ends_with(&said), "{told:?}");
    let keys = fs::read_to_string(&log).expect("it is there");
    assert!(keys.contains("CLIENT_TRAFFIC_SECRET_0 ") && keys.contains("SERVER_TRAFFIC_SECRET_0 "), "{keys}");
    assert_eq!(fs::metadata(&log).expect("it is there").permissions().mode() & 0o7777, 0o600);
    // The variable of other programs does the same.
    let at = node.address().to_string();
    let sends = ["send", "--from", "laura@bb.com", "--node", &at, "pere@bb.com", "hola"];
    let mut sending = Program::start_command(command(laura.path(), &sends).env("SSLKEYLOGFILE", given));
    sending.close_stdin();
    assert_eq!(sending.wait_exit(), 0);
    assert!(fs::read_to_string(&log).expect("it is there").len() > keys.len());
    set_mode(&log, 0o644);
    let (code, told) = fails(&laura, &["--tls-key-log", given]);
    let expected =
        format!("mi-agent: the key log {given} can be read by others (mode 0644): chmod 600 {given}");
    assert_eq!((code, told), (1, vec![expected]));
}
