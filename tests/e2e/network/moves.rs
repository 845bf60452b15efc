//! Hosts that get another address or another way, and nodes that are elsewhere.
//!
//! Agents of ours are on the host `near`: laura in `listen`, pere on the full screen, anna in `send` and line
//! mode. Their node, the name server and agents of L and S are on `far`. These call ours after each change,
//! and must not notice it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::{fs, thread};

use integration_tests::dns_server::DnsServer;
use integration_tests::emulators::Program as Peer;
use integration_tests::emulators::sockets::EmulatedAgent;
use integration_tests::host::Host;
use integration_tests::programs::{AGENT, NODE, NodeProgram, Program, Terminal, eventually, write_roster};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// They wait for what takes seconds, so they do it together.
#[test]
fn scenarios_in_which_hosts_move() {
    let scenarios = [
        the_address_of_the_host_changes as fn(Network),
        the_link_goes_down_and_up,
        the_default_route_moves,
        the_record_of_the_node_moves,
        the_hosts_line_of_the_node_moves,
        one_of_several_records_leads_nowhere,
    ];
    thread::scope(|scope| {
        for scenario in scenarios {
            scope.spawn(move || {
                if let Some(network) = Network::new() {
                    scenario(network);
                }
            });
        }
    });
}

fn the_address_of_the_host_changes(network: Network) {
    let _node = network.node("bb.com", FAR);
    let (mut laura, pere) = network.agents(&["--node", "10.9.0.1:3344"]);
    let mut peers = network.peers("bb.com", FAR);
    network.near.ip("addr del 10.9.0.10/16 dev e");
    let mut send = network.send("x1@bb.com", "nobody hears this", &["--node", "10.9.0.1:3344"]);
    assert_eq!(send.wait_exit(), 1);
    assert_eq!(
        send.stderr(),
        [
            "! cannot register anna@bb.com: cannot reach node 10.9.0.1:3344: Network is unreachable (os error 101)",
            "* this host cannot send to its node: check its network and firewall; `ip route get 10.9.0.1` shows the route",
        ]
    );
    network.near.ip("addr add 10.9.0.11/16 dev e");
    laura.expect_line("* registered laura@bb.com at node 10.9.0.1:3344");
    laura.expect_line("* listening for conversations on 10.9.0.11:");
    pere.expect_text("listening for conversations on 10.9.0.11:");
    network.all_talk(&mut peers, &mut laura, &pere, &["--node", "10.9.0.1:3344"]);
    network.end(peers);
}

/// Conversations go on.
fn the_link_goes_down_and_up(network: Network) {
    let _node = network.node("bb.com", FAR);
    let (mut laura, pere) = network.agents(&["--node", "10.9.0.1:3344"]);
    let mut peers = network.peers("bb.com", FAR);
    let mut anna = network.line_mode(&["--node", "10.9.0.1:3344"]);
    network.begin(&mut peers, &mut laura, &pere);
    network.near.ip("link set e down");
    anna.type_line("/call laura@bb.com");
    assert_eq!(
        anna.expect_line("! cannot reach"),
        "! cannot reach laura@bb.com: node 10.9.0.1:3344 does not answer: Network is unreachable (os error 101)"
    );
    anna.expect_line("* this host cannot send to its node");
    network.on(peers.l.say("said while the link is down"));
    network.near.ip("link set e up");
    assert_eq!(laura.expect_line("<x1>"), "<x1> said while the link is down");
    network.on(peers.s.say("said when it is up again"));
    pere.expect_text("said when it is up again");
    network.hang_up(&mut peers, &mut laura);
    anna.expect_line("* registered anna@bb.com again");
    anna.type_line("/quit");
    assert_eq!(anna.wait_exit(), 0);
    network.all_talk(&mut peers, &mut laura, &pere, &["--node", "10.9.0.1:3344"]);
    network.end(peers);
}

/// The host is in two networks, and the way to the node changes from one to the other.
fn the_default_route_moves(network: Network) {
    network.near.connect(&network.far, "f");
    network.near.ip("addr add 10.8.0.10/16 dev f");
    network.far.ip("addr add 10.8.0.1/16 dev f");
    network.far.ip("addr add 10.7.0.1/32 dev lo");
    network.near.ip("route add default via 10.9.0.1");
    let _node = network.node("bb.com", BEYOND);
    let (mut laura, pere) = network.agents(&["--node", "10.7.0.1:3344"]);
    let mut peers = network.peers("bb.com", BEYOND);
    network.near.ip("route replace default via 10.8.0.1");
    laura.expect_line("* listening for conversations on 10.8.0.10:");
    pere.expect_text("listening for conversations on 10.8.0.10:");
    network.all_talk(&mut peers, &mut laura, &pere, &["--node", "10.7.0.1:3344"]);
    network.end(peers);
}

fn the_record_of_the_node_moves(network: Network) {
    let dns = network.dns_server();
    the_node_moves(network, |_, ip| dns.set("bb.com", ip), ("bb.com", THIRD));
}

/// No name server answers. The peers are at a node of ours that runs all the time and reads the file of its
/// own host.
fn the_hosts_line_of_the_node_moves(network: Network) {
    let set_node = |network: &Network, ip| {
        network.near.set_hosts(&format!("{ip} bb.com # it moves\n"));
        network.far.set_hosts(&format!("{FOURTH} aa.com\n{ip} bb.com\n"));
    };
    for host in [&network.near, &network.far] {
        host.set_resolv_conf("nameserver 10.9.0.1\n");
    }
    set_node(&network, SECOND);
    let _aa = network.node("aa.com", FOURTH);
    the_node_moves(network, set_node, ("aa.com", FOURTH));
}

/// `set_node` names the address of the node of bb.com. The peers are at the node of another domain, or this
/// one.
fn the_node_moves(
    network: Network,
    set_node: impl Fn(&Network, Ipv4Addr),
    (domain_of_peers, node_of_peers): (&str, Ipv4Addr),
) {
    network.far.ip("addr add 10.9.0.2/16 dev e");
    set_node(&network, SECOND);
    let node = network.node("bb.com", SECOND);
    let (mut laura, pere) = network.agents(&["--refresh", "5"]);
    let mut anna = network.line_mode(&[]);
    drop(node);
    network.far.ip("addr del 10.9.0.2/16 dev e");
    let _node = network.node("bb.com", THIRD);
    set_node(&network, THIRD);
    // She asks because she calls, the others because they refresh their registration.
    eventually("her call goes to the node", || {
        anna.type_line("/call nobody@bb.com");
        anna.expect_line("! cannot reach nobody@bb.com")
            == "! cannot reach nobody@bb.com: no such user or domain"
    });
    anna.type_line("/quit");
    assert_eq!(anna.wait_exit(), 0);
    let moved = "* registered anna@bb.com at node 10.9.0.3:3344";
    assert!(anna.stdout().iter().any(|line| line == moved), "{:?}", anna.stdout());
    laura.expect_line("* registered laura@bb.com at node 10.9.0.3:3344");
    pere.expect_text("· registered at node 10.9.0.3:3344");
    let mut peers = network.peers(domain_of_peers, node_of_peers);
    network.all_talk(&mut peers, &mut laura, &pere, &[]);
    network.end(peers);
}

/// The peers are at a node of ours that finds bb.com by DNS as well.
fn one_of_several_records_leads_nowhere(network: Network) {
    let dns = network.dns_server();
    dns.set_all("bb.com", &[SECOND, THIRD], 60);
    dns.set("aa.com", FOURTH);
    let _bb = network.node("bb.com", THIRD);
    let _aa = network.node("aa.com", FOURTH);
    let (mut laura, pere) = network.agents(&[]);
    pere.expect_text("· registered at node 10.9.0.3:3344");
    let mut peers = network.peers("aa.com", FOURTH);
    network.all_talk(&mut peers, &mut laura, &pere, &[]);
    network.end(peers);
}

/// Two hosts with a cable between them, `e` at both ends.
struct Network {
    near: Host,
    far: Host,
    /// Its tasks run on `far`.
    runtime: Runtime,
    /// Each program has a folder of its own in it.
    home: TempDir,
}

/// An agent of L and one of S.
struct Peers {
    l: EmulatedAgent,
    s: EmulatedAgent,
}

impl Network {
    fn new() -> Option<Self> {
        let (near, far) = (Host::new()?, Host::new()?);
        near.connect(&far, "e");
        near.ip("addr add 10.9.0.10/16 dev e");
        for ip in [FAR, THIRD, FOURTH] {
            far.ip(&format!("addr add {ip}/16 dev e"));
        }
        let runtime = far.runtime();
        Some(Self { near, far, runtime, home: tempfile::tempdir().expect("a folder") })
    }

    /// Awaits what only talks to tasks on `far`.
    fn on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.path().join(name);
        fs::create_dir_all(&folder).expect("the folder is the test's own");
        folder
    }

    /// A name server on `far`, which both hosts ask.
    fn dns_server(&self) -> DnsServer {
        let _runtime = self.runtime.enter();
        for host in [&self.near, &self.far] {
            host.set_resolv_conf("nameserver 10.9.0.1\n");
        }
        self.far.dns_server(FAR)
    }

    /// The node of `domain` at `ip`, an address of `far`.
    fn node(&self, domain: &str, ip: Ipv4Addr) -> NodeProgram {
        let folder = self.folder(&format!("{domain} at {ip}"));
        write_roster(&folder, &format!("{domain}\nlaura\npere\nanna\nx1\nx2\n"));
        let node = self.far.start(NODE, &folder, &["--listen", &format!("{ip}:{NODE_PORT}")]);
        NodeProgram::ready(node, &folder)
    }

    /// Our agents on `near`, once they are registered: laura in `listen`, and pere on the full screen.
    fn agents(&self, options: &[&str]) -> (Program, Terminal) {
        let arguments = [&["listen", "--from", "laura@bb.com"], options].concat();
        let mut laura = self.near.start(AGENT, &self.folder("laura"), &arguments);
        let arguments = [&["pere@bb.com"], options].concat();
        let pere = self.near.start_at_terminal(AGENT, &self.folder("pere"), &arguments, (24, 120));
        laura.expect_line("* listening for conversations on ");
        pere.expect_text("listening for conversations on ");
        (laura, pere)
    }

    /// Anna's agent on `near` in line mode, once it is registered.
    fn line_mode(&self, options: &[&str]) -> Program {
        let mut anna = self.near.start(AGENT, &self.folder("anna"), &[&["anna@bb.com"], options].concat());
        anna.expect_line("* listening for conversations on ");
        anna
    }

    /// `mi-agent send` on `near`, as anna.
    fn send(&self, to: &str, text: &str, options: &[&str]) -> Program {
        let arguments = [&["send", "--from", "anna@bb.com"], options, &[to, text]].concat();
        self.near.start(AGENT, &self.folder("anna"), &arguments)
    }

    /// The peers, registered at the node of `domain` at `ip`.
    fn peers(&self, domain: &str, ip: Ipv4Addr) -> Peers {
        let start = |program, user: &str| {
            let address = format!("{user}@{domain}");
            let node = SocketAddrV4::new(ip, NODE_PORT);
            let start = async move { EmulatedAgent::start_at(FAR, FAR, program, &address, node).await };
            self.on(self.runtime.spawn(start)).expect("it registers")
        };
        Peers { l: start(Peer::L, "x1"), s: start(Peer::S, "x2") }
    }

    /// The peers call ours and talk with them, and then `send` calls the peers.
    fn all_talk(&self, peers: &mut Peers, laura: &mut Program, pere: &Terminal, options: &[&str]) {
        self.begin(peers, laura, pere);
        self.hang_up(peers, laura);
        for peer in [&mut peers.l, &mut peers.s] {
            let mut send = self.send(&peer.address, "said by send", options);
            assert_eq!(self.on(peer.expect("heard ")), "said by send");
            self.on(peer.expect("closed"));
            assert_eq!((send.wait_exit(), send.stderr()), (0, Vec::<String>::new()));
        }
    }

    /// The peers call ours, and are heard.
    fn begin(&self, peers: &mut Peers, laura: &mut Program, pere: &Terminal) {
        self.on(peers.l.talk_to("laura@bb.com"));
        laura.expect_line("* in conversation with x1");
        self.on(peers.l.say("hola laura"));
        assert_eq!(laura.expect_line("<x1>"), "<x1> hola laura");
        self.on(peers.s.talk_to("pere@bb.com"));
        self.on(peers.s.say("hola pere"));
        pere.expect_text("hola pere");
    }

    fn hang_up(&self, peers: &mut Peers, laura: &mut Program) {
        for peer in [&mut peers.l, &mut peers.s] {
            self.on(peer.hang_up());
            self.on(peer.expect("closed"));
        }
        laura.expect_line("* conversation with x1 ended");
    }

    /// Fails unless the peers live, and have seen nothing odd.
    fn end(self, peers: Peers) {
        self.on(peers.l.end());
        self.on(peers.s.end());
    }
}

/// The addresses of `far` that every network has: of the name server and the peers, and for nodes.
const FAR: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const THIRD: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 3);
const FOURTH: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 4);

/// An address that nobody has, unless a scenario gives it to `far`.
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);

/// An address of `far` that is in none of its networks.
const BEYOND: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);

const NODE_PORT: u16 = 3344;
