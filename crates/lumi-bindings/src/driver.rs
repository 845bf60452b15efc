//! The thread of a directory: sessions with the engine, one after the other.
//!
//! ```text
//! connect ─► inspect ─► lease ─► fence ─┬─► keep     renews the lease, looks at siblings, each 2 s
//!    ▲                                  ├─► claim    sends what waits
//!    │ after ≤ 1 s                      └─► follow   joins or resumes, then reads the streams
//!    └──────── the first failure of any of them ends the session ◄──┘
//! ```

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use plumi_proto::{HostIp, UserName};
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

use crate::claims::{Claims, PARTITIONS, without};
use crate::directory_report::{DirectoryReport, EngineWarning, LeaseReport, MAX_PIECE};
use crate::entry::Entry;
use crate::options::DirectoryOptions;
use crate::report_queue::ReportSender;
use crate::shared::{ClaimAnswer, Engine, Inspection, LeaseAnswer, Reason};
use crate::sightings::Sightings;

pub(crate) fn start(options: DirectoryOptions, claims: Arc<Claims>, reports: ReportSender) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let driver = Driver { options, claims, reports };
    thread::Builder::new().name("directory".into()).spawn(move || runtime.block_on(driver.run()))?;
    Ok(())
}

struct Driver {
    options: DirectoryOptions,
    claims: Arc<Claims>,
    reports: ReportSender,
}

/// What outlives a session.
#[derive(Default)]
struct Memory {
    /// The connection and the epoch of the session that has a lease.
    held: Option<(Engine, u64)>,
    sightings: Sightings,
    copy: Option<Copy>,
}

/// The part of the engine's changes that the node has.
struct Copy {
    run_id: String,
    /// The ID of the last record of each stream.
    positions: Vec<String>,
}

/// The end of a session.
enum End {
    CutOff(Reason),
    Fenced { epoch: Option<u64> },
    Unusable(Reason),
}

impl From<Reason> for End {
    fn from(reason: Reason) -> Self {
        Self::CutOff(reason)
    }
}

impl Driver {
    async fn run(self) {
        let mut memory = Memory::default();
        tokio::select! {
            () = self.serve(&mut memory) => return,
            () = self.claims.closed() => {}
        }
        if let Some((engine, epoch)) = memory.held {
            // The lease ends by itself if this is cut short.
            _ = timeout(CLOSE_WITHIN, self.leave(&engine, epoch)).await;
        }
    }

    /// Has sessions until one ends for good.
    async fn serve(&self, memory: &mut Memory) {
        loop {
            let end = self.session(memory).await;
            memory.held = None;
            memory.sightings.broken();
            let last = match end {
                End::CutOff(reason) => {
                    self.reports.send(DirectoryReport::CutOff { reason }).await;
                    // Many nodes come back to an engine at the same time.
                    sleep(Duration::from_millis(fastrand::u64(MIN_REST_MILLIS..MAX_REST_MILLIS))).await;
                    continue;
                }
                End::Fenced { epoch } => DirectoryReport::Lease(LeaseReport::Fenced { epoch }),
                End::Unusable(reason) => DirectoryReport::Unusable { reason },
            };
            return self.reports.send(last).await;
        }
    }

    async fn leave(&self, engine: &Engine, epoch: u64) -> Result<(), Reason> {
        for batch in self.claims.take() {
            engine.claim(self.options.serving, epoch, &batch).await?;
        }
        engine.release(self.options.serving, self.options.token).await
    }

    async fn session(&self, memory: &mut Memory) -> End {
        match self.try_session(memory).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn try_session(&self, memory: &mut Memory) -> Result<Never, End> {
        let engine = Engine::connect(&self.options).await?;
        let following = Engine::connect(&self.options).await?;
        let inspection = engine.inspect().await?;
        if inspection.is_cluster {
            return Err(End::Unusable("it is a cluster, which is not supported".to_owned()));
        }
        let at = self.take_lease(&engine).await?;
        let epoch = engine.fence(self.options.serving).await?;
        memory.held = Some((engine.clone(), epoch));
        self.reports.send(DirectoryReport::Lease(LeaseReport::Taken { epoch, at })).await;
        self.warn(&inspection).await;
        let Memory { sightings, copy, .. } = memory;
        let (never, ..) = tokio::try_join!(
            self.keep(&engine, epoch, sightings),
            self.send_claims(&engine, epoch),
            self.follow(&following, inspection.run_id, copy),
        )?;
        Ok(never)
    }

    async fn warn(&self, inspection: &Inspection) {
        let is_bare = !self.options.url.is_local();
        let warnings = [
            (!inspection.has_append_only_file).then_some(EngineWarning::NoAppendOnlyFile),
            (inspection.evicts == Some(true)).then_some(EngineWarning::Evicts),
            inspection.evicts.is_none().then_some(EngineWarning::Unchecked),
            is_bare.then_some(EngineWarning::NotEncrypted),
        ];
        for warning in warnings.into_iter().flatten() {
            self.reports.send(DirectoryReport::Warning(warning)).await;
        }
    }

    /// Asks for the lease until this process holds it. Returns the time of the request that succeeded.
    async fn take_lease(&self, engine: &Engine) -> Result<Instant, End> {
        loop {
            let at = now();
            match engine.lease(self.options.serving, self.options.token).await? {
                LeaseAnswer::Held => return Ok(at),
                LeaseAnswer::HeldByAnother { left } => {
                    self.reports.send(DirectoryReport::Lease(LeaseReport::HeldByAnother { left })).await;
                    sleep(LEASE_RETRY_INTERVAL).await;
                }
            }
        }
    }

    /// Renews the lease, and looks at the other nodes.
    async fn keep(&self, engine: &Engine, epoch: u64, sightings: &mut Sightings) -> Result<Never, End> {
        let serving = self.options.serving;
        loop {
            let at = now();
            if let LeaseAnswer::HeldByAnother { .. } = engine.lease(serving, self.options.token).await? {
                return Err(End::Fenced { epoch: None });
            }
            self.reports.send_now(DirectoryReport::Lease(LeaseReport::Renewed { at }));
            let at = now();
            let time = engine.time().await?;
            self.reports.send_now(DirectoryReport::Time { engine: time, at });
            let (own, others): (Vec<_>, Vec<_>) =
                engine.epochs().await?.into_iter().partition(|&(address, _)| address == serving);
            match own.first().map_or(0, |&(_, stored)| stored) {
                stored if stored > epoch => return Err(End::Fenced { epoch: Some(stored) }),
                stored if stored < epoch => return Err(forgotten()),
                _ => {}
            }
            let addresses: Vec<HostIp> = others.iter().map(|&(address, _)| address).collect();
            let leased = engine.leased(&addresses).await?;
            let siblings = sightings.answered(now(), others, &leased);
            self.reports.send_now(DirectoryReport::Siblings(siblings));
            sleep(KEEP_INTERVAL).await;
        }
    }

    /// Sends claims that wait, until a session ends.
    async fn send_claims(&self, engine: &Engine, epoch: u64) -> Result<Never, End> {
        loop {
            self.claims.ready().await;
            // More of them go with the same scripts.
            sleep(COLLECT_FOR).await;
            for batch in self.claims.take() {
                let refused = match engine.claim(self.options.serving, epoch, &batch).await? {
                    ClaimAnswer::Done { refused } => refused,
                    ClaimAnswer::Fenced { epoch } => return Err(End::Fenced { epoch: Some(epoch) }),
                    ClaimAnswer::Forgotten => return Err(forgotten()),
                };
                let claimed = without(batch.claims, &refused);
                self.send_pieces(&claimed, DirectoryReport::Claimed).await;
                self.send_pieces(&refused, DirectoryReport::Refused).await;
            }
        }
    }

    /// Joins or resumes, and follows the streams.
    async fn follow(&self, engine: &Engine, run_id: String, copy: &mut Option<Copy>) -> Result<Never, End> {
        // Until all is loaded there is no copy that could be resumed.
        let mut positions = match copy.take() {
            Some(copy) if copy.run_id == run_id => {
                self.reports.send(DirectoryReport::Resumed).await;
                copy.positions
            }
            _ => self.join(engine).await?,
        };
        loop {
            *copy = Some(Copy { run_id: run_id.clone(), positions: positions.clone() });
            let mut next = positions.clone();
            let mut changed = Vec::new();
            let mut malformed = 0;
            let mut has_gap = false;
            for record in engine.follow(&positions).await? {
                // Records that were trimmed, or lost with the engine, are missing from this copy for good.
                has_gap |= record.previous != next[record.partition];
                next[record.partition] = record.id;
                changed.extend(record.found.entries);
                malformed += record.found.malformed;
            }
            if has_gap {
                *copy = None;
                positions = self.join(engine).await?;
                continue;
            }
            self.send_pieces(&changed, DirectoryReport::Changed).await;
            self.warn_of_malformed(malformed).await;
            // If the session ends before all is reported, the next one reads it once more.
            positions = next;
        }
    }

    /// Loads everything. Returns the ends of the streams before that: what came meanwhile is read once more.
    async fn join(&self, engine: &Engine) -> Result<Vec<String>, End> {
        let ends = engine.ends().await?;
        let mut malformed = 0;
        for partition in 0..PARTITIONS {
            let found = engine.load(partition).await?;
            self.send_pieces(&found.entries, DirectoryReport::Joining).await;
            malformed += found.malformed;
        }
        self.reports.send(DirectoryReport::Joined).await;
        self.warn_of_malformed(malformed).await;
        Ok(ends)
    }

    async fn warn_of_malformed(&self, count: u64) {
        if count > 0 {
            self.reports.send(DirectoryReport::Warning(EngineWarning::Malformed { count })).await;
        }
    }

    async fn send_pieces(
        &self,
        entries: &[(UserName, Entry)],
        report: fn(Vec<(UserName, Entry)>) -> DirectoryReport,
    ) {
        for piece in entries.chunks(MAX_PIECE) {
            self.reports.send(report(piece.to_vec())).await;
        }
    }
}

/// The result of what does not end without a failure.
enum Never {}

fn forgotten() -> End {
    End::CutOff("the engine lost the epoch of this node".to_owned())
}

/// The time by which leases are judged.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The time between two renewals of a lease of 10 s.
const KEEP_INTERVAL: Duration = Duration::from_secs(2);

/// The time between two requests for a lease that another process holds.
const LEASE_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The time for which claims are collected before they are sent. With the script, it is less than 20 ms.
const COLLECT_FOR: Duration = Duration::from_millis(10);

/// The time that the end may take. A node has to end within 1 s.
const CLOSE_WITHIN: Duration = Duration::from_millis(250);

// The time between two sessions is random, in milliseconds.
const MIN_REST_MILLIS: u64 = 100;
const MAX_REST_MILLIS: u64 = 1_000;
