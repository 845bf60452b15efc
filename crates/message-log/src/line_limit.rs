//! The limit of lines about messages that came to nothing.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::time::{Duration, Instant};

use crate::event::RemoteAddress;

/// Limits the lines about messages that came to nothing, and counts what is left out.
///
/// The size of a log has a bound, so a peer that sends only what is dropped or refused would push out the
/// lines of others. A second has [`MAX_OF_SOURCE`] lines about one IP address and [`MAX_IN_ALL`] in all. Half
/// of these are for addresses without a line in that second, so that the greediest are left out first.
///
/// It reads no clock. Its user calls [`LineLimit::end_second`] with the time before [`LineLimit::admits`],
/// and at [`LineLimit::poll_timeout`].
#[derive(Debug, Default)]
pub struct LineLimit {
    /// The beginning of the current second; `None` if nothing has come since the last one.
    begun: Option<Instant>,
    lines: usize,
    /// The addresses from which something has come in this second.
    sources: HashMap<u32, OfSource>,
    /// Messages from addresses for which `sources` has no room.
    untracked: u64,
    /// Set if something is left out of this second.
    lacks_some: bool,
    /// The lines that were left out since the limit was made.
    lines_left_out: u64,
}

#[derive(Debug, Default)]
struct OfSource {
    lines: usize,
    left_out: u64,
    /// The port of the last message that was left out.
    port: u16,
}

/// Messages of one second that have no lines. Its `Display` stands in their place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut {
    remote: RemoteAddress,
    messages: u64,
    /// The number of addresses, if these are the messages of several, and whether there are more.
    addresses: Option<(usize, bool)>,
}

impl LineLimit {
    /// Creates a limit for which nothing has come yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns whether a message from `remote`, which came at `now`, gets its `lines`: its own, and that of
    /// the answer, if there is one. Otherwise it is counted.
    pub fn admits(&mut self, now: Instant, remote: RemoteAddress, lines: usize) -> bool {
        self.begun.get_or_insert(now);
        let is_full = self.sources.len() >= MAX_SOURCES;
        let of_source = match self.sources.entry((*remote.ip()).into()) {
            Entry::Occupied(source) => source.into_mut(),
            Entry::Vacant(source) if !is_full => source.insert(OfSource::default()),
            Entry::Vacant(_) => {
                self.untracked += 1;
                self.leave_out(lines);
                return false;
            }
        };
        let in_all = if of_source.lines == 0 { MAX_IN_ALL } else { MAX_IN_ALL / 2 };
        let has_room = of_source.lines + lines <= MAX_OF_SOURCE && self.lines + lines <= in_all;
        if has_room {
            of_source.lines += lines;
            self.lines += lines;
        } else {
            of_source.left_out += 1;
            of_source.port = remote.port();
            self.leave_out(lines);
        }
        has_room
    }

    /// Returns the number of lines that were left out, of this second and of those before. A message may have
    /// two.
    pub fn lines_left_out(&self) -> u64 {
        self.lines_left_out
    }

    fn leave_out(&mut self, lines: usize) {
        self.lacks_some = true;
        self.lines_left_out += lines as u64;
    }

    /// Returns the time at which [`LineLimit::end_second`] has something to return; `None` if nothing is left
    /// out.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.begun.filter(|_| self.lacks_some).map(|begun| begun + SECOND)
    }

    /// Ends the current second if it is over at `now`, and returns what was left out of it: [`MAX_SUMMARIES`]
    /// addresses, those with the most first, and the rest as one.
    pub fn end_second(&mut self, now: Instant) -> Vec<LeftOut> {
        if self.begun.is_some_and(|begun| now >= begun + SECOND) { self.end() } else { Vec::new() }
    }

    /// Ends the current second as it is. As [`LineLimit::end_second`].
    pub fn end(&mut self) -> Vec<LeftOut> {
        (self.begun, self.lines, self.lacks_some) = (None, 0, false);
        let left_out = self.sources.drain().filter(|(_, source)| source.left_out > 0);
        let left_out = left_out.map(|(ip, source)| LeftOut {
            remote: RemoteAddress::new(ip.into(), source.port),
            messages: source.left_out,
            addresses: None,
        });
        let mut left_out: Vec<_> = left_out.collect();
        left_out.sort_unstable_by_key(|left_out| (Reverse(left_out.messages), *left_out.remote.ip()));
        let rest = left_out.split_off(left_out.len().min(MAX_SUMMARIES));
        let untracked = std::mem::take(&mut self.untracked);
        let messages = untracked + rest.iter().map(|left_out| left_out.messages).sum::<u64>();
        if messages > 0 {
            let addresses = Some((rest.len(), untracked > 0));
            left_out.push(LeftOut { remote: RemoteAddress::new(0.into(), 0), messages, addresses });
        }
        left_out
    }
}

impl LeftOut {
    /// Returns the address that they came from, with the port of the last one; 0.0.0.0 and 0 for those of
    /// several.
    pub fn remote(&self) -> RemoteAddress {
        self.remote
    }

    /// Returns the number of messages.
    pub fn messages(&self) -> u64 {
        self.messages
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "...{} more", self.messages)?;
        match self.addresses {
            None => Ok(()),
            Some((addresses, are_more)) => {
                write!(f, " of {addresses} addresses{}", if are_more { " or more" } else { "" })
            }
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// The limit of lines about one address in a second: more than a person reads, and what a mistaken agent
/// sends.
pub const MAX_OF_SOURCE: usize = 20;

/// The limit of lines in a second. At their longest, they fill a log of five times 100 MiB in an hour and a
/// half.
pub const MAX_IN_ALL: usize = 200;

/// The limit of addresses with a counting line of their own in a second.
pub const MAX_SUMMARIES: usize = 200;

/// The limit of addresses that are distinguished: many times those that get a line, at 24 bytes each.
const MAX_SOURCES: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_twenty_lines_a_second_and_others_theirs() {
        let (mut limit, start) = (LineLimit::new(), now());
        let admitted = |limit: &mut LineLimit, at, ip, times| {
            (0..times).filter(|_| limit.admits(at, from(ip, 5), 1)).count()
        };
        assert_eq!(admitted(&mut limit, start, 1, 63), MAX_OF_SOURCE);
        assert_eq!(admitted(&mut limit, start, 2, 1), 1);
        assert_eq!(limit.poll_timeout(), Some(start + SECOND));
        assert_eq!(limit.end_second(start + SECOND / 2), []);
        assert_eq!(texts(&limit.end_second(start + SECOND)), ["0.0.0.1:5 ...43 more"]);
        assert_eq!((limit.poll_timeout(), limit.end_second(start + 9 * SECOND)), (None, vec![]));
        assert_eq!(limit.lines_left_out(), 43, "the end of a second is not the end of the count");
        assert_eq!(admitted(&mut limit, start + SECOND, 1, 63), MAX_OF_SOURCE, "it is another second");
    }

    #[test]
    fn a_refusal_and_its_request_are_both_there_or_neither() {
        let (mut limit, start) = (LineLimit::new(), now());
        assert!(limit.admits(start, from(1, 5), 1));
        let admitted = (0..20).filter(|_| limit.admits(start, from(1, 6), 2)).count();
        assert_eq!(admitted, 9);
        assert_eq!(texts(&limit.end()), ["0.0.0.1:6 ...11 more"]);
        assert_eq!(limit.lines_left_out(), 22);
    }

    #[test]
    fn half_of_all_lines_are_for_addresses_without_one() {
        let (mut limit, start) = (LineLimit::new(), now());
        for ip in 0..10 {
            (0..1000).for_each(|_| _ = limit.admits(start, from(ip, 5), 1));
        }
        let newcomers = (100..300).filter(|&ip| limit.admits(start, from(ip, 5), 1)).count();
        // Five of the greedy ones had 20 lines each, and the others, which came too late for that, one each.
        assert_eq!(newcomers, 95);
        assert!(!limit.admits(start, from(100, 5), 1));
        limit.end_second(start + SECOND);
        assert!(limit.admits(start + SECOND, from(100, 5), 1), "it is another second");
    }

    #[test]
    fn what_is_left_out_has_so_many_lines_and_the_rest_is_one() {
        let (mut limit, start) = (LineLimit::new(), now());
        for ip in 0..5_000 {
            (0..=u32::from(ip < 10)).for_each(|_| _ = limit.admits(start, from(ip, 5), 1));
        }
        let left_out = texts(&limit.end());
        assert_eq!(left_out.len(), MAX_SUMMARIES + 1);
        assert_eq!(left_out[0], "0.0.0.190:5 ...1 more");
        let rest = left_out.last().unwrap();
        assert_eq!(rest, "0.0.0.0:0 ...4610 more of 3706 addresses or more");
        // There were 5,010 messages, and room for 200 lines.
        assert_eq!(limit.lines_left_out(), 5_010 - 200);
    }

    #[expect(clippy::disallowed_methods, reason = "any time is as good as another")]
    fn now() -> Instant {
        Instant::now()
    }

    fn from(ip: u32, port: u16) -> RemoteAddress {
        RemoteAddress::new(ip.into(), port)
    }

    fn texts(left_out: &[LeftOut]) -> Vec<String> {
        left_out.iter().map(|left_out| format!("{} {left_out}", left_out.remote())).collect()
    }
}
