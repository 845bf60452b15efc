//! The name servers: the one file that speaks to hickory.
//!
//! This file decides which server is asked when, and for which name of the search list, instead of hickory's
//! pool. That one asks two servers at once and believes the faster "no", does not go on after a server that
//! refuses, and after a time-out takes the next name's "no such name" for the answer.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use std::{fs, iter};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{TokioResolver, system_conf};
use plumi_proto::{Domain, HostIp};
use tokio::time;

use crate::error::{DirectoryError, LookupError};
use crate::watched_file::WatchedFile;

/// The name servers and the domains in which a short name is searched.
#[derive(Debug)]
pub(crate) struct NameServers {
    /// A client for each server, the preferred first.
    clients: Vec<TokioResolver>,
    /// Only a name without a dot is searched.
    search: Vec<Name>,
    /// The setting `ndots` of resolv.conf(5): with 0, a name without a dot is looked up as it stands first.
    min_dots: usize,
}

impl NameServers {
    /// These, and no search list.
    pub(crate) fn given(addresses: &[SocketAddr]) -> Result<Self, DirectoryError> {
        let servers = addresses.iter().map(|address| {
            let mut server = NameServerConfig::udp_and_tcp(address.ip());
            for connection in &mut server.connections {
                connection.port = address.port();
            }
            server
        });
        Self::new(servers.collect(), Vec::new(), 1).map_err(|error| DirectoryError::Client(error.into()))
    }

    /// Those of the system's resolver configuration, with its search list. The file is read again when it has
    /// changed: a host that gets or changes its network writes it.
    pub(crate) fn of_system() -> WatchedFile<Self> {
        WatchedFile::new(PATH, Self::read)
    }

    /// There are none if the file cannot be used.
    fn read(path: &Path) -> Self {
        Self::try_read(path).unwrap_or_else(|error| {
            tracing::warn!(
                "the resolver configuration {} cannot be used, so no name server is asked until it changes: {error}",
                path.display()
            );
            Self { clients: Vec::new(), search: Vec::new(), min_dots: 1 }
        })
    }

    fn try_read(path: &Path) -> Result<Self, NetError> {
        let (config, options) = system_conf::parse_resolv_conf(fs::read(path)?)?;
        let (domain, mut search, servers) = config.into_parts();
        if search.is_empty() {
            search.extend(domain);
        }
        Self::new(servers, search, options.ndots)
    }

    fn new(servers: Vec<NameServerConfig>, search: Vec<Name>, min_dots: usize) -> Result<Self, NetError> {
        let clients = servers.into_iter().map(client).collect::<Result<_, _>>()?;
        Ok(Self { clients, search, min_dots })
    }

    /// The A records of `domain`, or of the first name of the search list that has any: their addresses, and
    /// the least TTL of all the records on the way, aliases included.
    ///
    /// # Errors
    /// `NotFound` and `NoIpv4Address` only if each of the names was answered by "no". Sets no deadline.
    pub(crate) async fn look_up(&self, domain: &Domain) -> Result<(Vec<HostIp>, Duration), LookupError> {
        let mut failure = LookupError::NotFound;
        for name in names(domain, &self.search, self.min_dots) {
            match self.ask(&name).await {
                Ok(records) => return Ok(records),
                Err(LookupError::NotFound) => {}
                Err(LookupError::NoIpv4Address) if failure == LookupError::NoAnswer => {}
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Returns the answer of the first server that says yes or no to `name`.
    async fn ask(&self, name: &Name) -> Result<(Vec<HostIp>, Duration), LookupError> {
        let mut answers: FuturesUnordered<_> = iter::zip(&self.clients, 0..)
            .map(|(client, place)| async move {
                time::sleep(HEAD_START * place).await;
                ask(client, name).await
            })
            .collect();
        while let Some(answer) = answers.next().await {
            if !matches!(answer, Err(LookupError::NoAnswer)) {
                return answer;
            }
        }
        Err(LookupError::NoAnswer)
    }
}

/// A client of one server. It sends its question up to six times, so that some may be lost.
fn client(server: NameServerConfig) -> Result<TokioResolver, NetError> {
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.timeout = TRY;
    options.attempts = RETRIES;
    options.cache_size = 0;
    // Its own reading of that file loses all names at the first byte that is not UTF-8.
    options.use_hosts_file = ResolveHosts::Never;
    // A few A records fit in a plain answer, and servers that do not know EDNS are still about.
    options.edns0 = false;
    builder.build()
}

async fn ask(client: &TokioResolver, name: &Name) -> Result<(Vec<HostIp>, Duration), LookupError> {
    match ask_for_addresses(client, name).await {
        Err(LookupError::NoIpv4Address) if !has_ipv6_address(client, name).await => {
            Err(LookupError::NotFound)
        }
        answer => answer,
    }
}

/// Returns whether `name` has an AAAA record. Only the words of an error depend on that.
async fn has_ipv6_address(client: &TokioResolver, name: &Name) -> bool {
    let lookup = client.lookup(name.clone(), RecordType::AAAA).await;
    lookup.is_ok_and(|lookup| lookup.answers().iter().any(|record| matches!(record.data, RData::AAAA(_))))
}

/// Returns the A records of `name`, and `NoIpv4Address` if the name exists without any.
async fn ask_for_addresses(
    client: &TokioResolver,
    name: &Name,
) -> Result<(Vec<HostIp>, Duration), LookupError> {
    let lookup = client.lookup(name.clone(), RecordType::A).await.map_err(|error| match error {
        NetError::Dns(DnsError::NoRecordsFound(no)) if no.response_code == ResponseCode::NXDomain => {
            LookupError::NotFound
        }
        NetError::Dns(DnsError::NoRecordsFound(no)) if no.response_code == ResponseCode::NoError => {
            LookupError::NoIpv4Address
        }
        error => {
            tracing::debug!(%name, %error, "a name server gives no answer");
            LookupError::NoAnswer
        }
    })?;
    let addresses: Vec<_> = lookup
        .answers()
        .iter()
        .filter_map(|record| match record.data {
            RData::A(a) => Some(a.0),
            _ => None,
        })
        .collect();
    match lookup.answers().iter().map(|record| record.ttl).min() {
        Some(ttl) if !addresses.is_empty() => Ok((addresses, Duration::from_secs(ttl.into()))),
        _ => Err(LookupError::NoIpv4Address),
    }
}

/// The names that `domain` may be short for, the likeliest first.
///
/// A domain with a dot is never short for another: its users must not register at the node of
/// `bb.com.lab.example` because bb.com has none.
fn names(domain: &Domain, search: &[Name], min_dots: usize) -> Vec<Name> {
    let labels = domain.as_str().trim_end_matches('.').split('.').map(str::as_bytes);
    let is_short = labels.clone().count() == 1;
    let name = Name::from_labels(labels).expect("a domain has labels of 1 to 63 bytes, and few");
    if !is_short {
        return vec![name];
    }
    // A name that is too long with a search domain after it is none.
    let mut names: Vec<_> =
        search.iter().filter_map(|domain| name.clone().append_domain(domain).ok()).collect();
    let place = if min_dots > 0 { names.len() } else { 0 };
    names.insert(place, name);
    names
}

/// The system's resolver configuration, resolv.conf(5).
const PATH: &str = "/etc/resolv.conf";

/// The time for which a server is asked alone before the next one is asked as well: longer than a server at
/// hand takes for a name that it must look for, short enough that the three of a resolv.conf(5) all get a
/// second try.
const HEAD_START: Duration = Duration::from_millis(300);

/// The wait of one try. hickory repeats the datagram after 333 ms, unless the server was slow lately; the
/// tries alone are then three.
const TRY: Duration = Duration::from_millis(600);

/// The tries after the first. With [`TRY`], all end before the deadline of a look-up.
const RETRIES: usize = 2;

#[cfg(test)]
mod tests {
    use integration_tests::dns_server::DnsServer;

    use super::*;

    async fn searching(domain: &str) -> (DnsServer, NameServers) {
        let dns = DnsServer::start().await.unwrap();
        let name_servers = NameServers::given(&[dns.address()]).unwrap();
        (dns, NameServers { search: vec![Name::from_ascii(domain).unwrap()], ..name_servers })
    }

    #[tokio::test]
    async fn a_short_name_is_found_in_a_search_domain_and_as_it_stands() {
        let (dns, name_servers) = searching("lab.example").await;
        let [there, here] = [[10, 0, 0, 2], [10, 0, 0, 3]].map(HostIp::from);
        dns.set("PC-c", here);
        assert_eq!(name_servers.look_up(&"PC-c".parse().unwrap()).await.unwrap().0, [here]);
        dns.set("PC-c.lab.example", there);
        assert_eq!(name_servers.look_up(&"PC-c".parse().unwrap()).await.unwrap().0, [there]);
    }

    #[tokio::test]
    async fn silence_for_one_name_and_no_for_the_next_is_no_answer() {
        let (dns, name_servers) = searching("lab.example").await;
        dns.lose(6);
        let answer = name_servers.look_up(&"PC-c".parse().unwrap()).await;
        assert_eq!(answer.unwrap_err(), LookupError::NoAnswer);
    }

    #[tokio::test]
    async fn a_name_with_a_dot_is_not_searched() {
        let (dns, name_servers) = searching("lab.example").await;
        dns.set("zz.com.lab.example", [10, 0, 0, 2].into());
        for name in ["zz.com", "zz.com."] {
            let answer = name_servers.look_up(&name.parse().unwrap()).await;
            assert_eq!(answer.unwrap_err(), LookupError::NotFound);
        }
        assert_eq!(dns.names_asked(), 1);
    }

    fn names_of(domain: &str, search: &[&str], min_dots: usize) -> Vec<String> {
        let search: Vec<_> = search.iter().map(|name| Name::from_ascii(name).unwrap()).collect();
        let names = names(&domain.parse().unwrap(), &search, min_dots);
        names.iter().map(Name::to_string).collect()
    }

    #[test]
    fn a_single_label_is_searched_first_unless_the_configuration_says_otherwise() {
        for domain in ["PC-c", "PC-c."] {
            assert_eq!(
                names_of(domain, &["lab.example", "example."], 1),
                ["PC-c.lab.example.", "PC-c.example.", "PC-c."]
            );
        }
        assert_eq!(names_of("PC-c", &["lab.example"], 0), ["PC-c.", "PC-c.lab.example."]);
    }

    #[test]
    fn a_name_with_a_dot_is_taken_as_it_stands() {
        for min_dots in [0, 1, 2, 15] {
            assert_eq!(names_of("bb.com", &["example"], min_dots), ["bb.com."]);
        }
    }

    #[test]
    fn without_a_search_list_there_is_one_name() {
        assert_eq!(names_of("-odd_name-", &[], 1), ["\\-odd_name-."]);
    }

    #[test]
    fn a_search_domain_that_makes_the_name_too_long_is_left_out() {
        let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
        assert_eq!(names_of("bb", &[&long], 1), ["bb."]);
    }
}
