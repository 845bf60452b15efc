//! The task of a server.

pub(super) mod ending;

use std::future::{self, Future};
use std::io;
use std::mem;
use std::pin::pin;
use std::time::{Duration, Instant};

use lumi_dns::{LookupError, NodeDirectory};
use message_log::{Batch, Direction, LeftOut, LineLimit, LogProgress, TrafficTap};
use plumi_proto::NodeAddress;
use tokio::{task, time};
use tracing::{debug, field, info, warn};

use super::administration::{AdminEvent, Administration};
use super::bindings::{Bindings, Step, wall_clock};
use super::datagrams::{Datagrams, Received};
#[cfg(feature = "proof")]
use super::enrolments::EnrolmentSender;
use super::events::NodeEventSender;
use super::outbox::Outbox;
use super::rate_limited_counter::RateLimitedCounter;
use super::resolving::{Resolved, Resolving};
use super::socket::DatagramSocket;
use crate::state::admin::{AdminId, AdminReply};
use crate::state::message_counts::MessageKind;
use crate::state::node::Node;
use crate::state::notice::Notice;
use crate::state::output::Output;
use crate::state::party::Party;
use crate::state::status::ServerStatus;

/// A running node.
pub(super) struct Task<S> {
    pub(super) node: Node,
    directory: NodeDirectory,
    events: Option<NodeEventSender>,
    tap: Option<TrafficTap>,
    lookups: Resolving,
    pub(super) administration: Administration,
    local: NodeAddress,
    started: Instant,
    log: Batch,
    line_limit: LineLimit,
    outbox: Outbox,
    pub(super) bindings: Box<Bindings>,
    #[cfg(feature = "proof")]
    enrolments: Option<EnrolmentSender>,
    kept_out: RateLimitedCounter,
    /// Set if the rate limit rejected any of the latest datagrams.
    is_flooded: bool,
    unreceived: RateLimitedCounter,
    displaced_requests: RateLimitedCounter,
    displaced_lookups: RateLimitedCounter,
    /// Set if the last receive failed.
    is_failing: bool,
    /// The time until which nothing is received.
    rests_until: Option<Instant>,
    /// Dropped last: a closed socket answers with an ICMP error, which ends some agents.
    socket: S,
}

/// An event of the task.
enum Event {
    Received(io::Result<()>),
    Resolved(Resolved),
    Admin(AdminEvent),
    Timeout,
    /// The log has the line that an answer waits for.
    Written,
    /// The store has all changes up to this one, or has failed to save them.
    Saved(Step),
    Shutdown,
}

impl<S: DatagramSocket> Task<S> {
    /// Creates the task of `node` on `socket`, which is bound to `local`.
    pub(super) fn new(
        socket: S,
        local: NodeAddress,
        node: Node,
        directory: NodeDirectory,
        administration: Administration,
    ) -> Self {
        Self {
            log: Batch::new(node.domain().as_str()),
            node,
            directory,
            events: None,
            tap: None,
            lookups: Resolving::default(),
            administration,
            local,
            started: now(),
            line_limit: LineLimit::new(),
            outbox: Outbox::new(),
            bindings: Box::default(),
            #[cfg(feature = "proof")]
            enrolments: None,
            kept_out: RateLimitedCounter::default(),
            is_flooded: false,
            unreceived: RateLimitedCounter::default(),
            displaced_requests: RateLimitedCounter::every(DISPLACED_INTERVAL),
            displaced_lookups: RateLimitedCounter::every(DISPLACED_INTERVAL),
            is_failing: false,
            rests_until: None,
            socket,
        }
    }

    /// Reports the events of the node to `events`.
    pub(super) fn report_events(&mut self, events: NodeEventSender) {
        self.node.report_events(true);
        self.events = Some(events);
    }

    /// Reports every datagram to `tap`.
    pub(super) fn report_traffic(&mut self, tap: TrafficTap) {
        self.tap = Some(tap);
    }

    /// Has enrolments saved by `enrolments`.
    #[cfg(feature = "proof")]
    pub(super) fn save_enrolments(&mut self, enrolments: Option<EnrolmentSender>) {
        self.enrolments = enrolments;
    }

    /// Lets answers wait for their lines in the log of `progress`.
    pub(super) fn wait_for_log(&mut self, progress: LogProgress) {
        self.outbox.wait_for_log(progress);
    }

    /// Serves until `shutdown` is ready, and then serves the datagrams that came before.
    pub(super) async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut datagrams = Datagrams::new();
        // There may be bindings of a store to be taken out of it.
        self.finish_turn(now());
        loop {
            let event = self.next_event(&mut datagrams, shutdown.as_mut()).await;
            let now = now();
            if self.bindings.is_on() {
                self.node.handle_wall_clock(now, wall_clock());
            }
            match event {
                Event::Received(Ok(())) => {
                    // This drains the outputs of each datagram.
                    self.serve(now, &datagrams);
                    // The runtime has other tasks, and does not know that one receive can be many datagrams.
                    for _ in datagrams.iter().skip(1) {
                        task::consume_budget().await;
                    }
                    continue;
                }
                Event::Received(Err(error)) => {
                    self.fail_to_receive(now, &error);
                    continue;
                }
                Event::Resolved(resolved) => self.resolved(now, &resolved),
                Event::Admin(event) => self.administer(now, event),
                Event::Written => {
                    self.outbox.release(now, &self.socket);
                    continue;
                }
                Event::Saved(step) => self.saved(now, step),
                Event::Timeout => {
                    self.node.handle_timeout(now);
                    let left_out = self.line_limit.end_second(now);
                    self.log_left_out(&left_out);
                }
                Event::Shutdown => break,
            }
            self.finish_turn(now);
        }
        self.end(datagrams).await;
    }

    /// Carries out what the node wants done after an event.
    fn finish_turn(&mut self, now: Instant) {
        self.drain_outputs(now);
        self.hand_over(now);
        self.send(now);
    }

    fn saved(&mut self, now: Instant, Step { last, result, is_lost }: Step) {
        if is_lost {
            self.node.handle_bindings_lost(now);
        }
        self.node.handle_binding_saved(now, last, result);
    }

    /// Gives the store the changes of this turn.
    fn hand_over(&mut self, now: Instant) {
        self.bindings.hand_over();
        if let Some(counts) = self.node.binding_counts() {
            self.bindings.report(now, counts.unpromised);
        }
    }

    /// Waits for the next event. Events have no fixed order, so that one that is always ready, such as a
    /// flood of datagrams, does not hold up the others. Cancel safe.
    async fn next_event(&mut self, datagrams: &mut Datagrams, shutdown: impl Future<Output = ()>) -> Event {
        let Self { socket, lookups, administration, rests_until, outbox, bindings, .. } = self;
        let timeouts = [self.node.poll_timeout(), self.line_limit.poll_timeout(), outbox.poll_timeout()];
        let timeout = timeouts.into_iter().flatten().min();
        let received = async {
            if let Some(until) = *rests_until {
                time::sleep_until(until.into()).await;
            }
            socket.receive(datagrams).await
        };
        let timeout = async {
            match timeout {
                Some(at) => time::sleep_until(at.into()).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown => Event::Shutdown,
            received = received => Event::Received(received),
            Some(resolved) = lookups.next() => Event::Resolved(resolved),
            event = administration.next_event() => Event::Admin(event),
            () = timeout => Event::Timeout,
            () = outbox.written() => Event::Written,
            step = bindings.next() => Event::Saved(step),
        }
    }

    fn resolved(&mut self, now: Instant, Resolved { id, domain, answer }: &Resolved) {
        match answer {
            Ok(found) if self.node.is_itself(found) => {
                info!(%domain, ip = %found.address.ip(), "this node goes by that domain too");
            }
            Ok(_) => {}
            Err(error @ LookupError::NoAnswer) => warn!("domain {domain} {error}"),
            Err(error) => info!("domain {domain} {error}"),
        }
        self.node.handle_resolved(now, *id, answer);
    }

    pub(super) fn administer(&mut self, now: Instant, event: AdminEvent) {
        match event {
            AdminEvent::Asked(id, command) => self.node.handle_admin(now, id, command),
            AdminEvent::Saved(id, result) => self.node.handle_roster_saved(now, id, result),
            AdminEvent::Read(id, result) => self.node.handle_roster_read(now, id, result),
            // The administrator may have gone.
            AdminEvent::StatusAsked(answer) => _ = answer.send(self.status(now)),
        }
    }

    fn status(&self, now: Instant) -> ServerStatus {
        ServerStatus {
            node: self.node.status(),
            local: self.local,
            uptime: now.saturating_duration_since(self.started),
            unreceived: self.unreceived.total(),
            lines_left_out: self.line_limit.lines_left_out(),
            early_answers: self.outbox.early(),
            bindings_failure: self.bindings.failure(),
            unsent: self.outbox.unsent(),
        }
    }

    fn serve(&mut self, now: Instant, datagrams: &Datagrams) {
        (self.is_failing, self.rests_until) = (false, None);
        let left_out = self.line_limit.end_second(now);
        self.log_left_out(&left_out);
        // Nothing is prefetched in a flood: a datagram that the rate limit rejects must not cost more.
        if !mem::take(&mut self.is_flooded) {
            self.node.prefetch(datagrams.iter().map(|(_, datagram)| datagram));
        }
        for (received, datagram) in datagrams.iter() {
            self.receive(now, received, datagram);
            self.drain_outputs(now);
            if self.outbox.is_full() {
                self.send(now);
            }
        }
        self.hand_over(now);
        self.send(now);
    }

    fn receive(&mut self, now: Instant, Received { from, to, .. }: Received, datagram: &[u8]) {
        if !self.node.admit(now, from, datagram) {
            self.is_flooded = true;
            if let Some(datagrams) = self.kept_out.add(now) {
                warn!(datagrams, latest = %from.ip(), "more datagrams than the rate limit allows; they are dropped");
            }
            return;
        }
        if let Some(tap) = &self.tap {
            tap.plumi(Direction::Received, from, datagram);
        }
        let party = Party { address: from, heard_at: to };
        let handled = self.node.handle_datagram(now, party, datagram);
        let answer = self.node.poll_output();
        // A refusal that another node or an agent sent is passed on, and no refusal of this node.
        let is_refused = !datagram.starts_with(b"R") && answer.as_ref().is_some_and(is_refusal);
        // A datagram that led to no message was dropped, or waits for a look-up and may come to nothing.
        let is_granted = matches!(
            answer,
            Some(Output::Transmit { .. } | Output::SaveBinding { .. } | Output::Claim { .. })
        );
        let is_limited = is_refused || !is_granted;
        let is_logged = !is_limited || self.line_limit.admits(now, from, 1 + usize::from(is_refused));
        if is_logged {
            self.log.received(from, datagram);
        }
        if let Some(answer) = answer {
            self.carry_out(answer, is_logged);
        }
        if let Err(reason) = handled {
            debug!(%from, %reason, "dropped a datagram");
        }
    }

    fn log_left_out(&mut self, left_out: &[LeftOut]) {
        for left_out in left_out {
            self.log.left_out(left_out.remote(), &left_out.to_string());
        }
    }

    fn fail_to_receive(&mut self, now: Instant, error: &io::Error) {
        if let Some(errors) = self.unreceived.add(now) {
            warn!(
                errors,
                "cannot receive datagrams, so the node tries again: {error}; if it lasts, check the network of this host"
            );
        }
        // A remote host can cause one error while the next datagram is waiting. Several in a row may last.
        self.rests_until = self.is_failing.then(|| now + ERROR_PAUSE);
        self.is_failing = true;
    }

    /// Drains the node's outputs.
    pub(super) fn drain_outputs(&mut self, now: Instant) {
        while let Some(output) = self.node.poll_output() {
            let is_logged = match &output {
                // A refusal after a look-up. Its request had its line, or was counted, when it came.
                Output::Transmit { to, .. } if is_refusal(&output) => self.line_limit.admits(now, *to, 1),
                _ => true,
            };
            self.carry_out(output, is_logged);
        }
        self.report_displaced(now);
        while let Some(notice) = self.node.poll_notice() {
            report(&notice);
        }
        if let Some(events) = &mut self.events
            && !events.forward(&mut self.node)
        {
            self.node.report_events(false);
            self.events = None;
        }
    }

    fn report_displaced(&mut self, now: Instant) {
        let [requests, lookups] = self.node.displaced();
        if let Some(requests) = self.displaced_requests.reach(now, requests) {
            let [most, _] = self.node.greediest().map(|source| source.map(field::display));
            warn!(
                requests,
                most,
                "location requests gave way to others, and agents ask again; name a node that speaks for many as a peer"
            );
        }
        if let Some(lookups) = self.displaced_lookups.reach(now, lookups) {
            let [_, most] = self.node.greediest().map(|source| source.map(field::display));
            warn!(lookups, most, "look-ups were given up for those of others, and agents ask again");
        }
    }

    /// Carries out one output: queues a message, starts a look-up, or does what an administrator asks for.
    fn carry_out(&mut self, output: Output, is_logged: bool) {
        match output {
            Output::Transmit { to, source, message } => {
                let bytes = message.encode();
                if is_logged {
                    self.log.sent(to, &bytes);
                }
                if let Some(tap) = &self.tap {
                    tap.plumi(Direction::Sent, to, &bytes);
                }
                self.outbox.push(to, source, bytes);
            }
            Output::Resolve { id, domain, instead_of } => {
                self.lookups.start(id, domain, self.directory.clone(), instead_of);
            }
            Output::SaveRoster { id, change } => self.administration.save(id, change),
            Output::SaveBinding { id, change } => self.bindings.add(id, change),
            // A server has no directory, so the claims of a node that shares its domain go nowhere.
            Output::Claim { .. } => {}
            #[cfg(feature = "proof")]
            Output::Enrol { request } => {
                if let Some(enrolments) = &self.enrolments {
                    enrolments.send(*request);
                }
            }
            Output::ReadRoster { id } => self.administration.read(id),
            Output::Answer { id, reply } => self.answer(id, *reply),
        }
    }

    fn answer(&mut self, id: AdminId, reply: AdminReply) {
        if let Some(settings) = self.administration.answer(id, reply) {
            self.node.handle_settings(settings.node);
            self.directory = settings.directory;
        }
    }

    /// Sends what is in the outbox.
    fn send(&mut self, now: Instant) {
        // The log is given the lines first, so an answer that an agent sees has its line there.
        self.log.write();
        self.outbox.send(now, &self.socket);
    }
}

fn report(notice: &Notice) {
    match notice {
        Notice::OutsideRanges { user, from } => warn!(
            %user, %from, "a registration was refused: the settings let this user register from other addresses only"
        ),
        Notice::Moved { user, from, to, is_proved: true } => info!("{user}: {from} → {to} (proved)"),
        Notice::Enrolled { user, from } => info!("the invitation of {user} was used by {from}"),
        Notice::InvitationTriedAgain { user, from } => {
            warn!(
                "the invitation of {user} was tried a second time from {from}; if that is not the user, remove the key"
            );
        }
        Notice::CannotProve { user, from, failures: 1 } => warn!("{user}: {from} cannot prove it"),
        Notice::CannotProve { user, from, failures } => warn!(
            "{user}: {from} cannot prove it, and {} more proofs failed since the last line like this",
            failures - 1
        ),
        Notice::Moved { user, from, to, .. } => warn!(
            %user, %from, %to, "an online user was registered from another host, and calls go there; that is a user who \
             moved, or somebody who took the name over"
        ),
    }
}

/// Returns whether `output` tells somebody that there is no such user, or not now.
fn is_refusal(output: &Output) -> bool {
    let Output::Transmit { message, .. } = output else { return false };
    matches!(
        MessageKind::of(message),
        Some(
            MessageKind::NotRegistered
                | MessageKind::NotDeregistered
                | MessageKind::NoSuchUser
                | MessageKind::Offline
        )
    )
}

/// Reads the clock of the state machine: tokio's, which tests can pause.
fn now() -> Instant {
    time::Instant::now().into_std()
}

/// The shortest time between two reports that something gave way. That goes on for as long as a table is
/// full.
const DISPLACED_INTERVAL: Duration = Duration::from_secs(60);

/// The pause from the second failed receive in a row on. Without it, a lasting error would use up a
/// processor.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests;
