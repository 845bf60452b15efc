//! The system's hosts file, hosts(5).

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use plumi_proto::{Domain, HostIp, NameError};

/// The hosts file as it is now: it is read again when it has changed, so that a node that runs for months
/// need not be restarted for a line in it.
#[derive(Debug)]
pub(crate) struct HostsFile {
    path: PathBuf,
    read: Mutex<Read>,
}

#[derive(Debug)]
struct Read {
    /// `None`: there was no file to be read.
    modified: Option<SystemTime>,
    hosts: Hosts,
}

impl HostsFile {
    /// The system's.
    pub(crate) fn of_system() -> Self {
        Self::at(PATH.into())
    }

    fn at(path: PathBuf) -> Self {
        let read = Mutex::new(Read::new(&path));
        Self { path, read }
    }

    /// The addresses of `domain`, at least one, in the order of the file; `None` if it is not there.
    pub(crate) fn addresses(&self, domain: &Domain) -> Option<Vec<HostIp>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if modified(&self.path) != read.modified {
            *read = Read::new(&self.path);
        }
        read.hosts.addresses.get(domain).cloned()
    }
}

impl Read {
    /// A file that cannot be read is taken for an empty one.
    fn new(path: &Path) -> Self {
        // Before the content: a change between the two is then noticed the next time.
        let modified = modified(path);
        let content = fs::read(path).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "the hosts file cannot be read, going without");
            Vec::new()
        });
        Self { modified, hosts: Hosts::parse(&content) }
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// The names that a hosts file gives IPv4 addresses, and `localhost`.
///
/// ```text
/// line = address name* ["#" comment]      an address of another kind, or a name that is no domain, is skipped
/// ```
#[derive(Debug)]
struct Hosts {
    addresses: HashMap<Domain, Vec<HostIp>>,
}

impl Hosts {
    fn parse(content: &[u8]) -> Self {
        // A comment in an old encoding must not cost the names of the other lines.
        let text = String::from_utf8_lossy(content);
        let mut addresses = HashMap::<Domain, Vec<HostIp>>::new();
        for line in text.trim_start_matches('\u{feff}').lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse) else { continue };
            for name in words.filter_map(|word| word.parse().ok()) {
                addresses.entry(name).or_default().push(address);
            }
        }
        // RFC 6761 §6.3: no name server is asked for it.
        let localhost: Result<_, NameError> = "localhost".parse();
        addresses.entry(localhost.expect("it is a name")).or_insert_with(|| vec![HostIp::LOCALHOST]);
        Self { addresses }
    }
}

const PATH: &str = "/etc/hosts";

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(content: &[u8], name: &str) -> Option<Vec<HostIp>> {
        Hosts::parse(content).addresses.get(&name.parse().unwrap()).cloned()
    }

    #[test]
    fn names_are_found_without_case_and_trailing_dot() {
        let file = b"10.100.100.103 PC-c my_node.Example.ORG. # the lab\n";
        for name in ["PC-c", "pc-C.", "MY_NODE.example.org"] {
            assert_eq!(addresses(file, name), Some(vec![HostIp::new(10, 100, 100, 103)]), "{name}");
        }
        for name in ["the", "lab", "example.org"] {
            assert_eq!(addresses(file, name), None, "{name}");
        }
    }

    #[test]
    fn a_name_keeps_all_its_addresses_in_order() {
        let file = b"10.0.0.2 bb.com\r\n\r\n10.0.0.1\tcc.com bb.com\r\n";
        assert_eq!(addresses(file, "bb.com"), Some(vec![HostIp::new(10, 0, 0, 2), HostIp::new(10, 0, 0, 1)]));
    }

    #[test]
    fn odd_lines_cost_no_other_line() {
        let file =
            b"\xef\xbb\xbf10.0.0.1 first\n# m\xe0quina\nfe80::1 six\nnonsense x\n10.0.0.2 b@d last\n10.0.0.3";
        assert_eq!(addresses(file, "first"), Some(vec![HostIp::new(10, 0, 0, 1)]));
        assert_eq!(addresses(file, "last"), Some(vec![HostIp::new(10, 0, 0, 2)]));
        assert_eq!(addresses(file, "six"), None);
        assert_eq!(addresses(file, "x"), None);
    }

    #[test]
    fn a_change_of_the_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        let hosts = HostsFile::at(path.clone());
        let addresses = |name: &str| hosts.addresses(&name.parse().unwrap());
        assert_eq!(addresses("bb.com"), None);
        for (second, ip) in [(1, [10, 0, 0, 2]), (2, [10, 0, 0, 3])] {
            fs::write(&path, format!("{} bb.com", HostIp::from(ip))).unwrap();
            // Clocks of file systems may tick slowly.
            let modified = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
            fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
            assert_eq!(addresses("bb.com"), Some(vec![ip.into()]));
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(addresses("bb.com"), None);
        assert_eq!(addresses("localhost"), Some(vec![HostIp::LOCALHOST]));
    }

    #[test]
    fn localhost_is_there_and_can_be_replaced() {
        assert_eq!(addresses(b"", "localhost"), Some(vec![HostIp::LOCALHOST]));
        assert_eq!(addresses(b"::1 localhost", "localhost"), Some(vec![HostIp::LOCALHOST]));
        assert_eq!(addresses(b"127.0.0.9 LocalHost", "localhost"), Some(vec![HostIp::new(127, 0, 0, 9)]));
    }
}
