//! A real DNS server on a loopback socket that does as it is told.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::{fmt, io};

use async_trait::async_trait;
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{Header, HeaderCounts, Metadata, ResponseCode};
use hickory_server::proto::rr::rdata::{A, AAAA};
use hickory_server::proto::rr::{Name, RData, Record, RecordType};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::UdpSocket;

/// A DNS server on UDP that knows the A records it was told, and no other name. Stops when dropped.
///
/// Names are compared without case and without a trailing dot.
pub struct DnsServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// Its tasks end when it is dropped.
    _server: Server<Answerer>,
}

impl DnsServer {
    /// A server without names on a free port of 127.0.0.1, served by tasks of the current tokio runtime.
    ///
    /// # Errors
    /// The socket's, when it is bound.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?)
    }

    /// A server without names on `socket`, served by tasks of the current tokio runtime.
    ///
    /// # Errors
    /// The socket's, when the runtime takes it.
    pub fn start_on(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        let address = socket.local_addr()?;
        let state = Arc::<Mutex<State>>::default();
        let mut server = Server::new(Answerer(Arc::clone(&state)));
        server.register_socket(socket);
        Ok(Self { address, state, _server: server })
    }

    /// The UDP address at which it is asked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts `domain` at `ip` from now on, for [`DEFAULT_TTL`].
    pub fn set(&self, domain: &str, ip: Ipv4Addr) {
        self.set_ttl(domain, ip, DEFAULT_TTL);
    }

    /// Puts `domain` at `ip` from now on, for `ttl` seconds.
    pub fn set_ttl(&self, domain: &str, ip: Ipv4Addr, ttl: u32) {
        self.set_all(domain, &[ip], ttl);
    }

    /// Puts `domain` at all of `ips` from now on, answered in this order, for `ttl` seconds. If there are
    /// none, the name exists and has no A record.
    pub fn set_all(&self, domain: &str, ips: &[Ipv4Addr], ttl: u32) {
        self.lock().names.insert(key(domain), Addresses { ips: ips.to_vec(), ipv6: None, ttl });
    }

    /// Has `domain` at an IPv6 address, and at no IPv4 address, from now on.
    pub fn set_ipv6_only(&self, domain: &str, ip: Ipv6Addr) {
        let addresses = Addresses { ips: Vec::new(), ipv6: Some(ip), ttl: DEFAULT_TTL };
        self.lock().names.insert(key(domain), addresses);
    }

    /// Removes `domain` from now on.
    pub fn remove(&self, domain: &str) {
        self.lock().names.remove(&key(domain));
    }

    /// Sets whether it receives and never answers.
    pub fn set_silent(&self, silent: bool) {
        self.lock().silent = silent;
    }

    /// Has it receive, and never answer, what is asked for the domains below `top`, from now on.
    pub fn silence(&self, top: &str) {
        self.lock().silent_below = Some(format!(".{}", key(top)));
    }

    /// Sets whether it answers everything by "refused".
    pub fn set_refusing(&self, refusing: bool) {
        self.lock().refusing = refusing;
    }

    /// Gives no answer to the next `queries` queries, as if they had been lost.
    pub fn lose(&self, queries: usize) {
        self.lock().to_lose = queries;
    }

    /// Returns the number of queries for A records that have arrived, answered or not.
    pub fn queries(&self) -> usize {
        self.lock().queries
    }

    /// Returns the number of different names that were asked for, answered or not.
    pub fn names_asked(&self) -> usize {
        self.lock().asked.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(NO_PANIC)
    }
}

impl fmt::Debug for DnsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsServer").field("address", &self.address).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    names: HashMap<String, Addresses>,
    silent: bool,
    /// The end of names that are not answered.
    silent_below: Option<String>,
    refusing: bool,
    to_lose: usize,
    queries: usize,
    asked: HashSet<String>,
}

struct Addresses {
    ips: Vec<Ipv4Addr>,
    ipv6: Option<Ipv6Addr>,
    ttl: u32,
}

impl State {
    /// The answer to a request; `None` for silence.
    fn answer(&mut self, request: &Request) -> Option<(ResponseCode, Vec<Record>)> {
        let Ok(query) = request.request_info().map(|info| info.query) else {
            return Some((ResponseCode::FormErr, Vec::new()));
        };
        let wants_address = query.query_type() == RecordType::A;
        if wants_address {
            self.queries += 1;
            self.asked.insert(asked(query.name()));
        }
        if self.to_lose > 0 {
            self.to_lose -= 1;
            return None;
        }
        let is_below = |top: &String| asked(query.name()).ends_with(top);
        if self.silent || self.silent_below.as_ref().is_some_and(is_below) {
            return None;
        }
        if self.refusing {
            return Some((ResponseCode::Refused, Vec::new()));
        }
        let Some(addresses) = self.names.get(&asked(query.name())) else {
            return Some((ResponseCode::NXDomain, Vec::new()));
        };
        let data: Vec<_> = match query.query_type() {
            RecordType::A => addresses.ips.iter().map(|&ip| RData::A(A(ip))).collect(),
            RecordType::AAAA => addresses.ipv6.iter().map(|&ip| RData::AAAA(AAAA(ip))).collect(),
            _ => Vec::new(),
        };
        let record = |data| Record::from_rdata(query.name().into(), addresses.ttl, data);
        Some((ResponseCode::NoError, data.into_iter().map(record).collect()))
    }
}

struct Answerer(Arc<Mutex<State>>);

#[async_trait]
impl RequestHandler for Answerer {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut out: R,
    ) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        let answer = self.0.lock().expect(NO_PANIC).answer(request);
        if let Some((code, records)) = answer {
            metadata.response_code = code;
            let response =
                MessageResponseBuilder::from_message_request(request).build(metadata, &records, [], [], []);
            if let Ok(sent) = out.send_response(response).await {
                return sent;
            }
        }
        Header { metadata, counts: HeaderCounts::default() }.into()
    }
}

/// Not its `Display`, which escapes: `-odd-` would be `\-odd-`.
fn asked(name: &Name) -> String {
    let labels: Vec<_> = name.iter().map(String::from_utf8_lossy).collect();
    key(&labels.join("."))
}

fn key(domain: &str) -> String {
    domain.trim_end_matches('.').to_ascii_lowercase()
}

/// Seconds that an address holds, unless told otherwise.
pub const DEFAULT_TTL: u32 = 60;

const NO_PANIC: &str = "nothing panics while it holds the lock";
