//! The conversations of an agent whose slots are all taken, its callers, and the addresses that it calls.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};
use mi_agent_core::{ConversationSlots, Dialling, HostIp, MiSocketAddress, NodeAddress, TcpAddress};

/// The first byte is a setting, what follows are steps: callers, lines, ends, time. The conversation that gives way is the
/// one that the rules name, or there is none.
///
/// # Panics
/// If it is not.
pub fn callers(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(mut run) = Run::begin(&mut input) else { return };
    while !input.is_empty() && run.step(&mut input).is_ok() {}
}

struct Run {
    slots: ConversationSlots<u32>,
    idle: Option<Duration>,
    now: Instant,
    begun: u32,
    /// The conversations, the oldest first.
    talks: Vec<Talk>,
}

#[derive(Clone, Copy)]
struct Talk {
    id: u32,
    ip: IpAddr,
    began: Instant,
    said_here: Instant,
    said: Instant,
}

impl Run {
    fn begin(input: &mut Unstructured<'_>) -> Result<Self> {
        let idle = *input.choose(&[None, Some(Duration::from_secs(5)), Some(Duration::from_secs(300))])?;
        let now = tokio::time::Instant::now().into_std();
        Ok(Self { slots: ConversationSlots::new(idle), idle, now, begun: 0, talks: Vec::new() })
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        match input.int_in_range(0..=8)? {
            0..=2 => self.calls(address(input)?),
            3 | 4 => {
                let (Some(at), is_own) = (self.any(input)?, input.arbitrary()?) else { return Ok(()) };
                let talk = &mut self.talks[at];
                talk.said = self.now;
                if is_own {
                    talk.said_here = self.now;
                }
                self.slots.handle_said(self.now, talk.id, is_own);
            }
            5 => {
                if let Some(at) = self.any(input)? {
                    let over = self.talks.remove(at);
                    self.slots.handle_over(over.id);
                }
            }
            6 => self.dials(*input.choose(&HOSTS)?, *input.choose(&HOSTS)?),
            _ => self.now += *input.choose(&TIMES)?,
        }
        let expected = self.gives_way(0).is_some();
        assert_eq!(self.slots.can_give_way(self.now), expected, "after {} callers", self.begun);
        Ok(())
    }

    /// Somebody calls from `ip`, and finds a slot or has a conversation give way.
    fn calls(&mut self, ip: IpAddr) {
        if self.talks.len() >= MOST {
            let expected = self.gives_way(self.count(ip));
            assert_eq!(self.slots.give_way(self.now, ip), expected, "for {ip} after {} callers", self.begun);
            let Some(gone) = expected else { return };
            self.talks.retain(|talk| talk.id != gone);
            // What happens to it from now on changes nothing.
            self.slots.handle_said(self.now, gone, true);
            self.slots.handle_over(gone);
        }
        let (id, now) = (self.begun, self.now);
        self.begun += 1;
        self.talks.push(Talk { id, ip, began: now, said_here: now, said: now });
        self.slots.handle_begun(now, id, ip);
    }

    /// A callee is at `found`, as the node at `node` says.
    fn dials(&self, node: [u8; 4], found: [u8; 4]) {
        let found = MiSocketAddress::new(TcpAddress::new(HostIp::from(found), 4456)).expect("a port");
        let node = NodeAddress::from(TcpAddress::new(HostIp::from(node), 3344));
        for (range, is_within) in [(None, true), (Some("127.0.0.0/8"), found.ip.is_loopback())] {
            let ranges = range.map(|range| range.parse().expect("a range"));
            let is_dialled = Dialling::within(ranges.into_iter().collect()).check(node, found).is_ok();
            let expected = is_within && (node.ip().is_loopback() || !found.ip.is_loopback());
            assert_eq!(is_dialled, expected, "{found} by an agent of {node}, within {range:?}");
        }
    }

    /// Returns the conversation that gives way to an address that has `of_caller` of them.
    fn gives_way(&self, of_caller: usize) -> Option<u32> {
        let mut crowding = Vec::new();
        for ip in self.talks.iter().map(|talk| talk.ip).filter(|ip| self.count(*ip) >= of_caller + 2) {
            let of_ip = self.talks.iter().filter(|talk| talk.ip == ip);
            crowding.extend(of_ip.min_by_key(|talk| (talk.said_here, talk.id)));
        }
        crowding.retain(|talk| self.now - talk.began > Duration::from_secs(30));
        crowding.sort_by_key(|talk| (MOST - self.count(talk.ip), talk.said_here, talk.id));
        let mut silent = self.talks.clone();
        silent.retain(|talk| self.idle.is_some_and(|idle| self.now - talk.said >= idle));
        silent.sort_by_key(|talk| (MOST - self.count(talk.ip), talk.said, talk.id));
        crowding.first().copied().or(silent.first()).map(|talk| talk.id)
    }

    fn count(&self, ip: IpAddr) -> usize {
        self.talks.iter().filter(|talk| talk.ip == ip).count()
    }

    fn any(&self, input: &mut Unstructured<'_>) -> Result<Option<usize>> {
        let number = usize::from(input.arbitrary::<u8>()?);
        Ok(number.checked_rem(self.talks.len()))
    }
}

fn address(input: &mut Unstructured<'_>) -> Result<IpAddr> {
    Ok(IpAddr::from([192, 0, 2, input.int_in_range(0..=3)?]))
}

/// The conversations that there may be.
const MOST: usize = 6;

/// The hosts of nodes and callees.
const HOSTS: [[u8; 4]; 4] = [[127, 0, 0, 1], [127, 0, 0, 9], [192, 0, 2, 1], [198, 51, 100, 7]];

const TIMES: [Duration; 6] = [
    Duration::from_millis(1),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(29),
    Duration::from_secs(31),
    Duration::from_secs(300),
];
