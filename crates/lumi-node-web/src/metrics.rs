//! The figures of a node in the text format of Prometheus; the one file that names prometheus-client.
//!
//! `docs/metrics.md` explains them. Every label has values of a list that is fixed, but for what is the
//! node's own.

use std::fmt;

use lumi_node_core::{LocationTimes, MessageCounts, ServerStatus};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeMetric, MetricEncoder, NoLabelSet, prometheus_text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// The content type of [`text`].
pub(crate) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// All metrics of a node that is as `status` says, in version 0.0.4 of the format, which every Prometheus
/// reads.
pub(crate) fn text(status: &ServerStatus, lost: Lost) -> String {
    let mut registry = Registry::with_prefix("lumi_node");
    registry.register_collector(Box::new(Snapshot { status: status.clone(), lost }));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).expect("a string takes all that is written");
    text
}

/// The counts of lines that the program could not write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lost {
    pub(crate) log_lines: Option<u64>,
    pub(crate) diagnostics: Option<u64>,
}

#[derive(Debug)]
struct Snapshot {
    status: ServerStatus,
    lost: Lost,
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self { status, lost } = self;
        let mut families = Families(encoder);
        families.of_process(status)?;
        families.of_users(status)?;
        families.of_bindings(status)?;
        families.of_proofs(status)?;
        families.of_messages(status)?;
        families.of_locations(status)?;
        families.of_lookups(status)?;
        let help = "Lines of dropped and refused messages that were left out of the message log";
        families.counter("log_lines_left_out", help, status.lines_left_out)?;
        let help = "Answers to registrations that left before their lines were in the message log";
        families.counter("early_answers", help, status.early_answers)?;
        if let Some(lost) = lost.log_lines {
            families.counter("log_lines_lost", "Lines of the message log that could not be written", lost)?;
        }
        if let Some(lost) = lost.diagnostics {
            families.counter("diagnostics_lost", "Diagnostics that could not be written", lost)?;
        }
        Ok(())
    }
}

struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn of_process(&mut self, status: &ServerStatus) -> fmt::Result {
        self.info("build", "The program", &[("version", env!("CARGO_PKG_VERSION"))])?;
        let (domain, address) = (status.node.domain, status.local.to_string());
        let labels = [("domain", domain.as_str()), ("address", &address)];
        self.info("domain", "The domain, and the UDP address it is served at", &labels)?;
        let help = "How long the node has been serving";
        let mut family = self.0.encode_descriptor("uptime", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        family.encode_gauge(&status.uptime.as_secs_f64())
    }

    fn of_users(&mut self, status: &ServerStatus) -> fmt::Result {
        self.gauge("users", "Users of the domain", status.node.users)?;
        self.gauge("users_online", "Users of the domain that are online", status.node.online)?;
        let moves = status.node.moves;
        let moves = [("host", moves.to_host), ("port", moves.to_port)];
        self.counters("users_moved", "Online users who were registered at another address", "to", moves)
    }

    fn of_bindings(&mut self, status: &ServerStatus) -> fmt::Result {
        let Some(bindings) = &status.node.bindings else { return Ok(()) };
        let help = "Users whose registration was restored when the node started";
        self.gauge("bindings_restored", help, bindings.restored)?;
        let help = "Changes of registrations that are not saved yet";
        self.gauge("bindings_unsaved", help, bindings.unsaved)?;
        let help = "Whether the last attempt to save registrations failed";
        self.gauge("bindings_failing", help, u64::from(bindings.is_failing))?;
        let help = "Answers to registrations that left before these were saved";
        self.counter("unpromised_answers", help, bindings.unpromised)
    }

    fn of_proofs(&mut self, status: &ServerStatus) -> fmt::Result {
        let proofs = &status.node.proofs;
        self.counter("challenges", "Challenges sent to users who have a key", proofs.challenges)?;
        let results =
            [("accepted", proofs.accepted), ("repeated", proofs.repeated), ("refused", proofs.failed)];
        self.counters("proofs", "Proofs of users who have a key, by result", "result", results)?;
        self.counter("enrolments", "Keys that users enrolled by invitations", proofs.enrolled)
    }

    fn of_messages(&mut self, status: &ServerStatus) -> fmt::Result {
        let node = &status.node;
        let by_kind = |counts: &MessageCounts| {
            counts.iter().map(|(kind, count)| (kind.name(), count)).collect::<Vec<_>>()
        };
        self.counters("messages_received", "Messages received", "message", by_kind(&node.received))?;
        self.counters("messages_sent", "Messages sent", "message", by_kind(&node.sent))?;
        let help = "Datagrams received and dropped, by reason";
        // A series begins at 0, so that Prometheus sees it grow.
        let at_0 = (node.bindings.is_some() && node.dropped.being_saved == 0).then_some(("being-saved", 0));
        self.counters("datagrams_dropped", help, "reason", node.dropped.iter().chain(at_0))?;
        let help = "Errors of the socket instead of a datagram received";
        self.counter("receive_errors", help, status.unreceived)?;
        self.counter("send_errors", "Messages that the system did not send", status.unsent)
    }

    fn of_locations(&mut self, status: &ServerStatus) -> fmt::Result {
        let node = &status.node;
        let help = "Location requests sent on that wait for their answer";
        self.gauge("locations_pending", help, node.pendings)?;
        let help = "Location requests sent on that were not answered in time";
        self.counter("locations_unanswered", help, node.unanswered)?;
        let help = "Location requests under way that gave way to those of others";
        self.counter("locations_displaced", help, node.displaced)?;
        let help = "Time from a location request to its answer, by outcome";
        let unit = Some(&Unit::Seconds);
        let mut family = self.0.encode_descriptor("location_duration", help, unit, MetricType::Histogram)?;
        let locations = &node.locations;
        for (outcome, times) in [
            ("found", &locations.found),
            ("busy", &locations.busy),
            ("no-such-user", &locations.no_such_user),
            ("offline", &locations.offline),
        ] {
            encode_times(family.encode_family(&[("outcome", outcome)])?, times)?;
        }
        Ok(())
    }

    fn of_lookups(&mut self, status: &ServerStatus) -> fmt::Result {
        let lookups = &status.node.lookups;
        self.gauge("lookups_in_flight", "Look-ups of domains under way", lookups.in_flight)?;
        self.gauge("lookups_kept", "Domains whose look-up is kept, some out of date", lookups.kept)?;
        let results = [
            ("found", lookups.found),
            ("not-found", lookups.not_found),
            ("no-answer", lookups.no_answer),
            ("unusable", lookups.unusable),
        ];
        self.counters("lookups", "Look-ups of domains that have ended, by result", "result", results)?;
        let help = "Look-ups given up, because others had fewer under way";
        self.counter("lookups_displaced", help, lookups.displaced)?;
        let help = "Location requests whose domain was known without a look-up";
        self.counter("lookups_saved", help, lookups.from_kept)
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        let gauge = ConstGauge::new(value);
        gauge.encode(self.0.encode_descriptor(name, help, None, gauge.metric_type())?)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let counter = ConstCounter::new(value);
        counter.encode(self.0.encode_descriptor(name, help, None, counter.metric_type())?)
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (value, count) in values {
            ConstCounter::new(count).encode(family.encode_family(&[(label, value)])?)?;
        }
        Ok(())
    }

    fn info<const N: usize>(&mut self, name: &str, help: &str, labels: &[(&str, &str); N]) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Info)?.encode_info(labels)
    }
}

fn encode_times(mut family: MetricEncoder<'_>, times: &LocationTimes) -> fmt::Result {
    let bounds = LocationTimes::BOUNDS.map(|bound| bound.as_secs_f64());
    // The counts of each interval are added up on the way out.
    let buckets: Vec<_> = bounds.into_iter().zip(times.within()).collect();
    family.encode_histogram::<NoLabelSet>(times.sum().as_secs_f64(), times.count(), &buckets, None)
}
