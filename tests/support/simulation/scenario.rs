//! The scenario that a seed draws: the parties, their programs, and everything that will go wrong.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU32;
use std::time::Duration;

use fastrand::Rng;
use lumi_node_core::{NodeSettings, RateLimit, Takeover};
use plumi_proto::{Domain, MiAddress, NODE_PORT, UserName};

use super::network::Weather;

/// The program of a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// Ours, as it ships.
    Ours,
    /// An emulator of L.
    L,
    /// An emulator of S.
    S,
}

/// A world that has not begun.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) domains: Vec<DomainPlan>,
    pub(super) users: Vec<UserPlan>,
    /// Other names of the nodes, in DNS only.
    pub(super) aliases: Vec<(Domain, SocketAddrV4)>,
    pub(super) weather: Weather,
    pub(super) dangers: Dangers,
    pub(super) is_dns_slow: bool,
    /// The time for which everything goes wrong, before the network heals.
    pub(super) chaos: Duration,
}

/// A domain and its node.
#[derive(Debug)]
pub(super) struct DomainPlan {
    pub(super) domain: Domain,
    pub(super) node: SocketAddrV4,
    pub(super) program: Program,
    pub(super) settings: NodeSettings,
    /// A user of the domain who has no agent; attackers know the name.
    pub(super) ghost: UserName,
}

/// A user and the user's agent.
#[derive(Debug)]
pub(super) struct UserPlan {
    pub(super) address: MiAddress,
    /// The number of the user's domain.
    pub(super) home: usize,
    pub(super) program: Program,
    pub(super) host: Ipv4Addr,
    /// Publishes 0.0.0.0, as some emulated agents do.
    pub(super) knows_no_address: bool,
    pub(super) refresh: Duration,
}

/// The things beside the weather that go wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Dangers {
    pub(super) crashes: bool,
    pub(super) freezes: bool,
    pub(super) partitions: bool,
    pub(super) dns: bool,
    pub(super) administrators: bool,
    pub(super) attackers: bool,
    /// Attackers that send under the addresses of others, too.
    pub(super) spoofers: bool,
    /// Enough datagrams from one source to find the bounds.
    pub(super) floods: bool,
    /// Enough from so many sources that the bound of all requests together is found, or enough from one for
    /// its own.
    pub(super) deluge: bool,
}

impl Scenario {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let calm = rng.u8(0..100) < 15;
        let domains = draw_domains(rng);
        let users = draw_users(rng, &domains);
        let aliases = draw_aliases(rng, &domains);
        let weather = if calm { Weather::default() } else { draw_weather(rng) };
        let dangers = draw_dangers(rng, calm);
        let chaos = Duration::from_millis(rng.u64(10_000..35_000));
        Self { domains, users, aliases, weather, dangers, is_dns_slow: rng.u8(0..100) < 30, chaos }
    }
}

fn draw_domains(rng: &mut Rng) -> Vec<DomainPlan> {
    let count = rng.usize(2..=5);
    let ours = rng.usize(0..count);
    let mut ghosts = GHOSTS.to_vec();
    rng.shuffle(&mut ghosts);
    (0..count)
        .map(|number| {
            let ip = Ipv4Addr::new(10, 0, octet(number + 1), 1);
            let name = match rng.u8(0..10) {
                0 => ip.to_string(),
                1 | 2 => format!("PC-{number}"),
                3 => format!("A.Long-Name.n{number}.test"),
                _ => format!("d{number}.test"),
            };
            let program = match rng.u8(0..100) {
                _ if number == ours => Program::Ours,
                0..60 => Program::Ours,
                60..80 => Program::L,
                _ => Program::S,
            };
            DomainPlan {
                domain: name.parse().expect("a domain"),
                node: SocketAddrV4::new(ip, NODE_PORT),
                program,
                settings: draw_settings(rng),
                ghost: ghosts[number].parse().expect("a name"),
            }
        })
        .collect()
}

fn draw_settings(rng: &mut Rng) -> NodeSettings {
    let mut settings = NodeSettings::default();
    settings.rate_limit = match rng.u8(0..10) {
        0 => None,
        // Few enough for a flood to reach it. Both divide a second into whole nanoseconds.
        1..5 => Some(RateLimit::new(NonZeroU32::new(50).expect("is not 0"))),
        5 | 6 => Some(RateLimit::new(NonZeroU32::new(20).expect("is not 0"))),
        _ => settings.rate_limit,
    };
    if rng.u8(0..10) == 0 {
        settings.takeover = Takeover::Deny;
    }
    if rng.u8(0..5) == 0 {
        settings.strike_interval = Duration::from_millis(*rng.choice(&[0, 100, 2_000]).expect("not empty"));
    }
    if rng.u8(0..5) == 0 {
        settings.allow = vec![HONEST.parse().expect("a range")];
    }
    if rng.u8(0..5) == 0 {
        settings.exempt = vec!["192.0.2.0/30".parse().expect("a range")];
    }
    settings
}

fn draw_users(rng: &mut Rng, domains: &[DomainPlan]) -> Vec<UserPlan> {
    let mut users = Vec::new();
    for (home, plan) in domains.iter().enumerate() {
        let mut names = USERS.to_vec();
        rng.shuffle(&mut names);
        for (number, name) in names[..rng.usize(1..=3)].iter().enumerate() {
            let emulated = match plan.program {
                // The messages of S agents end an L node, and an S node knows no L agent (protocol.md §7, row
                // 2).
                Program::L => Program::L,
                Program::S => Program::S,
                Program::Ours if rng.bool() => Program::L,
                Program::Ours => Program::S,
            };
            let program = if rng.u8(0..100) < 65 { Program::Ours } else { emulated };
            let user: UserName = name.parse().expect("a name");
            // Some agents are on their node's host.
            let on_node = rng.u8(0..8) == 0;
            let host = if on_node {
                *plan.node.ip()
            } else {
                Ipv4Addr::new(10, 0, octet(home + 1), octet(10 + number))
            };
            users.push(UserPlan {
                address: MiAddress::new(&user, &plan.domain).expect("short enough"),
                home,
                program,
                host,
                knows_no_address: program != Program::Ours && rng.bool(),
                refresh: Duration::from_secs(if rng.bool() { 60 } else { rng.u64(5..60) }),
            });
        }
    }
    users
}

/// Some nodes have names that their own rosters do not know.
fn draw_aliases(rng: &mut Rng, domains: &[DomainPlan]) -> Vec<(Domain, SocketAddrV4)> {
    (0..rng.usize(0..=3))
        .map(|number| {
            let node = rng.choice(domains).expect("there are domains").node;
            (format!("alias-{number}.test").parse().expect("a domain"), node)
        })
        .collect()
}

fn draw_weather(rng: &mut Rng) -> Weather {
    let mut percent = |most: u8| if rng.bool() { rng.u8(0..=most) } else { 0 };
    Weather {
        loss: percent(60),
        duplication: percent(50),
        lateness: percent(60),
        damage: percent(8),
        longest: Duration::from_millis(rng.u64(10..=5_000)),
    }
}

fn draw_dangers(rng: &mut Rng, calm: bool) -> Dangers {
    let deluge = rng.u8(0..100) < 8;
    let mut is_drawn = |percent: u8| !calm && rng.u8(0..100) < percent;
    Dangers {
        crashes: is_drawn(50),
        freezes: is_drawn(50),
        partitions: is_drawn(40),
        dns: is_drawn(60),
        administrators: is_drawn(40),
        attackers: true,
        spoofers: is_drawn(70),
        floods: is_drawn(50),
        // It takes as long as many other worlds.
        deluge: deluge && !calm,
    }
}

fn octet(number: usize) -> u8 {
    u8::try_from(number).expect("a small number")
}

/// The addresses of everybody who plays by the rules.
const HONEST: &str = "10.0.0.0/8";

const USERS: [&str; 6] = ["laura", "pere", "u1", "Laura", "josé", "a!b"];

/// Not among [`USERS`].
const GHOSTS: [&str; 5] = ["ghost", "núria", "g", "Ghost", "0"];
