//! The system's hosts file, hosts(5).

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use plumi_proto::{Domain, HostIp, NameError};

use crate::watched_file::WatchedFile;

/// The names that a hosts file gives IPv4 addresses, and `localhost`.
///
/// ```text
/// line = address name* ["#" comment]      other addresses, and names that are no domains, are skipped
/// ```
#[derive(Debug)]
pub(crate) struct Hosts {
    addresses: HashMap<Domain, Vec<HostIp>>,
}

impl Hosts {
    /// Those of the system's hosts file, which is read again when it has changed.
    pub(crate) fn of_system() -> WatchedFile<Self> {
        WatchedFile::new(PATH, Self::read)
    }

    /// The addresses of `domain`, at least one, in the order of the file; `None` if it is not there.
    pub(crate) fn addresses(&self, domain: &Domain) -> Option<&[HostIp]> {
        self.addresses.get(domain).map(Vec::as_slice)
    }

    /// A file that cannot be read is treated as an empty one.
    fn read(path: &Path) -> Self {
        let content = fs::read(path).unwrap_or_else(|error| {
            tracing::warn!(
                "the hosts file {} cannot be read, so its names are not known: {error}",
                path.display()
            );
            Vec::new()
        });
        Self::parse(&content)
    }

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
        Hosts::parse(content).addresses(&name.parse().unwrap()).map(<[_]>::to_vec)
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_empty_one() {
        let hosts = Hosts::read(Path::new("/no/such/file"));
        assert_eq!(hosts.addresses(&"localhost".parse().unwrap()), Some(&[HostIp::LOCALHOST][..]));
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
    fn localhost_is_there_and_can_be_replaced() {
        assert_eq!(addresses(b"", "localhost"), Some(vec![HostIp::LOCALHOST]));
        assert_eq!(addresses(b"::1 localhost", "localhost"), Some(vec![HostIp::LOCALHOST]));
        assert_eq!(addresses(b"127.0.0.9 LocalHost", "localhost"), Some(vec![HostIp::new(127, 0, 0, 9)]));
    }
}
