//! The engine: its keys, scripts and answers. The only file that names the redis crate.
//!
//! ```text
//! lumi:{bb.com/p}:at:<0..255>    hash, user → entry of 18 bytes
//! lumi:{bb.com/p}:log            stream, one record for each script that changed something:
//!                                "p" → the ID of the record before, then user → entry, or "" → serving epoch
//! lumi:{bb.com/p}:epoch          hash, serving address → epoch
//! lumi:bb.com:node:<address>     the token of the process that holds the lease, PX 10 s
//! ```
//!
//! p is a partition, 0 to 63. The domain is in lower case. Each call has a deadline of its own, because the
//! time-out of the client does not cover everything that it waits for.

use std::collections::HashSet;
use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use plumi_proto::{HostIp, UserName};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, Script, ScriptInvocation,
};
use tokio::time::timeout;

use crate::binding::UnixMillis;
use crate::claims::{BUCKETS, Batch, PARTITIONS, bucket};
use crate::directory_report::LEASE;
use crate::entry::Entry;
use crate::keys::Keys;
use crate::options::{DirectoryOptions, Token};
use crate::scripts::{self, LOG_LENGTH};

/// A connection to the engine.
#[derive(Clone)]
pub(crate) struct Engine {
    connection: MultiplexedConnection,
    keys: Keys,
}

/// The reason why a call failed, in words of the engine or of the system.
pub(crate) type Reason = String;

/// What the engine says of itself.
#[derive(Debug)]
pub(crate) struct Inspection {
    /// A random name that changes at each start of the engine.
    pub(crate) run_id: String,
    pub(crate) is_cluster: bool,
    pub(crate) has_append_only_file: bool,
    /// `None` if the account may not read settings.
    pub(crate) evicts: Option<bool>,
}

/// The answer to a request for a lease.
#[derive(Debug)]
pub(crate) enum LeaseAnswer {
    Held,
    HeldByAnother { left: Duration },
}

/// The answer to a batch of claims.
#[derive(Debug)]
pub(crate) enum ClaimAnswer {
    /// All are in the engine except those that lost, which come with the entries that won.
    Done { refused: Vec<(UserName, Entry)> },
    /// Another process has the serving address.
    Fenced { epoch: u64 },
    /// The engine lost the epoch of this node, and perhaps more.
    Forgotten,
}

/// Entries that were read.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) entries: Vec<(UserName, Entry)>,
    /// The number of those that were ignored.
    pub(crate) malformed: u64,
}

/// A record of a stream.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) partition: usize,
    pub(crate) id: String,
    /// The ID of the record before it.
    pub(crate) previous: String,
    pub(crate) found: Found,
}

impl Engine {
    pub(crate) async fn connect(options: &DirectoryOptions) -> Result<Self, Reason> {
        let mut account = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(credentials) = &options.credentials {
            account = account.set_password(&credentials.password);
            if let Some(user) = &credentials.user {
                account = account.set_username(user);
            }
        }
        let address = ConnectionAddr::Tcp(options.url.host().to_owned(), options.url.port());
        let info =
            address.into_connection_info().map_err(|error| reason(&error))?.set_redis_settings(account);
        let client = Client::open(info).map_err(|error| reason(&error))?;
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connection =
            within(DEADLINE, client.get_multiplexed_async_connection_with_config(&config)).await?;
        Ok(Self { connection, keys: Keys::new(&options.domain) })
    }

    pub(crate) async fn inspect(&self) -> Result<Inspection, Reason> {
        let info: String = self.call(&redis::cmd("INFO")).await?;
        let field = |name: &str| {
            let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.unwrap_or_default().to_owned()
        };
        let policy: Result<Vec<String>, _> =
            self.call(redis::cmd("CONFIG").arg("GET").arg("maxmemory-policy")).await;
        Ok(Inspection {
            run_id: field("run_id"),
            is_cluster: field("cluster_enabled") == "1",
            has_append_only_file: field("aof_enabled") == "1",
            evicts: policy.ok().map(|policy| policy.get(1).is_some_and(|policy| policy != "noeviction")),
        })
    }

    /// Takes or renews a lease.
    pub(crate) async fn lease(&self, serving: HostIp, token: Token) -> Result<LeaseAnswer, Reason> {
        let milliseconds = u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX);
        let mut script = LEASE_SCRIPT.key(self.keys.lease(serving));
        let left: i64 = self.run(script.arg(token.to_string()).arg(milliseconds)).await?;
        Ok(match u64::try_from(left) {
            Err(_) => LeaseAnswer::Held,
            Ok(left) => LeaseAnswer::HeldByAnother { left: Duration::from_millis(left) },
        })
    }

    pub(crate) async fn release(&self, serving: HostIp, token: Token) -> Result<(), Reason> {
        self.run(RELEASE_SCRIPT.key(self.keys.lease(serving)).arg(token.to_string())).await
    }

    /// Returns the time of the engine.
    pub(crate) async fn time(&self) -> Result<UnixMillis, Reason> {
        let (seconds, micros): (u64, u64) = self.call(&redis::cmd("TIME")).await?;
        Ok(UnixMillis(seconds.saturating_mul(1_000).saturating_add(micros / 1_000)))
    }

    /// Raises the fence of `serving` in all partitions to an epoch that is larger than all before. Returns
    /// it. The caller holds the lease.
    pub(crate) async fn fence(&self, serving: HostIp) -> Result<u64, Reason> {
        let mut stored = redis::pipe();
        for partition in 0..PARTITIONS {
            stored.cmd("HGET").arg(self.keys.epoch(partition)).arg(serving.to_string());
        }
        let mut connection = self.connection.clone();
        let stored: Vec<Option<u64>> = within(DEADLINE, stored.query_async(&mut connection)).await?;
        let before = stored.into_iter().flatten().max().unwrap_or_default();
        let epoch = self.time().await?.0.max(before.saturating_add(1));
        for partition in 0..PARTITIONS {
            let mut script = FENCE_SCRIPT.key(self.keys.epoch(partition));
            script.key(self.keys.log(partition)).arg(serving.to_string()).arg(epoch).arg(LOG_LENGTH);
            let holds: u64 = self.run(&script).await?;
            if holds != epoch {
                return Err("another process took the serving address at the same time".to_owned());
            }
        }
        Ok(epoch)
    }

    /// Returns the epochs of all serving addresses. Malformed ones are left out.
    pub(crate) async fn epochs(&self) -> Result<Vec<(HostIp, u64)>, Reason> {
        let epochs: Vec<(Vec<u8>, Vec<u8>)> =
            self.call(redis::cmd("HGETALL").arg(self.keys.epoch(0))).await?;
        let number = |bytes: &[u8]| str::from_utf8(bytes).ok()?.parse().ok();
        let address = |bytes: &[u8]| str::from_utf8(bytes).ok()?.parse().ok();
        Ok(epochs.iter().filter_map(|(serving, epoch)| Some((address(serving)?, number(epoch)?))).collect())
    }

    /// Returns those of `servings` that have a lease.
    pub(crate) async fn leased(&self, servings: &[HostIp]) -> Result<HashSet<HostIp>, Reason> {
        if servings.is_empty() {
            return Ok(HashSet::new());
        }
        let keys: Vec<_> = servings.iter().map(|&serving| self.keys.lease(serving)).collect();
        let leases: Vec<Option<Vec<u8>>> = self.call(redis::cmd("MGET").arg(keys)).await?;
        Ok(servings.iter().zip(leases).filter_map(|(&serving, lease)| lease.map(|_| serving)).collect())
    }

    /// Claims a batch for `serving`.
    pub(crate) async fn claim(
        &self,
        serving: HostIp,
        epoch: u64,
        batch: &Batch,
    ) -> Result<ClaimAnswer, Reason> {
        let mut script = CLAIM_SCRIPT.key(self.keys.epoch(batch.partition));
        script.key(self.keys.log(batch.partition));
        script.arg(serving.to_string()).arg(epoch).arg(LOG_LENGTH);
        for (user, entry) in &batch.claims {
            script.key(self.keys.entries(batch.partition, bucket(user)));
            script.arg(user.as_str()).arg(&entry.to_bytes()[..]);
        }
        let answer: Vec<Vec<u8>> = self.run(&script).await?;
        let odd = || "the engine gave an answer that no script gives".to_owned();
        let (word, rest) = answer.split_first().ok_or_else(odd)?;
        match (word.as_slice(), rest) {
            (b"FENCED", [epoch]) => {
                let epoch = str::from_utf8(epoch).ok().and_then(|epoch| epoch.parse().ok());
                Ok(ClaimAnswer::Fenced { epoch: epoch.ok_or_else(odd)? })
            }
            (b"FORGOTTEN", []) => Ok(ClaimAnswer::Forgotten),
            (b"DONE", refused) => Ok(ClaimAnswer::Done { refused: Found::of_pairs(refused).entries }),
            _ => Err(odd()),
        }
    }

    /// Returns the ID of the last record of each stream.
    pub(crate) async fn ends(&self) -> Result<Vec<String>, Reason> {
        let mut pipe = redis::pipe();
        for partition in 0..PARTITIONS {
            pipe.cmd("XREVRANGE").arg(self.keys.log(partition)).arg("+").arg("-").arg("COUNT").arg(1);
        }
        let mut connection = self.connection.clone();
        let last: Vec<Vec<RawRecord>> = within(DEADLINE, pipe.query_async(&mut connection)).await?;
        let id =
            |records: Vec<RawRecord>| records.into_iter().next().map_or(BEGINNING.to_owned(), |(id, _)| id);
        Ok(last.into_iter().map(id).collect())
    }

    /// Returns all entries of a partition.
    pub(crate) async fn load(&self, partition: u8) -> Result<Found, Reason> {
        let mut pipe = redis::pipe();
        for bucket in 0..BUCKETS {
            pipe.cmd("HGETALL").arg(self.keys.entries(partition, bucket.to_be_bytes()[1]));
        }
        let mut connection = self.connection.clone();
        let hashes: Vec<Vec<Vec<u8>>> = within(DEADLINE, pipe.query_async(&mut connection)).await?;
        let mut found = Found::default();
        for hash in hashes {
            found.add(&hash);
        }
        Ok(found)
    }

    /// Waits up to [`BLOCK`] for records behind `positions`, and returns at most [`MAX_RECORDS`] of each
    /// stream. Uses the connection alone meanwhile.
    pub(crate) async fn follow(&self, positions: &[String]) -> Result<Vec<Record>, Reason> {
        let logs: Vec<_> = (0..PARTITIONS).map(|partition| self.keys.log(partition)).collect();
        let mut read = redis::cmd("XREAD");
        let block = u64::try_from(BLOCK.as_millis()).unwrap_or(u64::MAX);
        read.arg("COUNT").arg(MAX_RECORDS).arg("BLOCK").arg(block).arg("STREAMS").arg(&logs).arg(positions);
        let mut connection = self.connection.clone();
        let call = read.query_async(&mut connection);
        let streams: Option<Vec<(String, Vec<RawRecord>)>> = within(BLOCK + DEADLINE, call).await?;
        let mut records = Vec::new();
        for (log, raw) in streams.unwrap_or_default() {
            let Some(partition) = logs.iter().position(|known| *known == log) else { continue };
            for (id, fields) in raw {
                let (previous, entries) = match fields.split_at_checked(2) {
                    Some((previous, entries)) => {
                        (String::from_utf8_lossy(&previous[1]).into_owned(), entries)
                    }
                    None => (String::new(), &[][..]),
                };
                // The record of an epoch has no user.
                let is_epoch = entries.first().is_some_and(Vec::is_empty);
                let found = if is_epoch { Found::default() } else { Found::of_pairs(entries) };
                records.push(Record { partition, id, previous, found });
            }
        }
        Ok(records)
    }

    async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Reason> {
        let mut connection = self.connection.clone();
        within(DEADLINE, command.query_async(&mut connection)).await
    }

    async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Reason> {
        let mut connection = self.connection.clone();
        within(DEADLINE, script.invoke_async(&mut connection)).await
    }
}

impl Found {
    /// Reads users and entries, one after the other.
    fn of_pairs(pairs: &[Vec<u8>]) -> Self {
        let mut found = Self::default();
        found.add(pairs);
        found
    }

    fn add(&mut self, pairs: &[Vec<u8>]) {
        for pair in pairs.chunks(2) {
            let read =
                |user, entry| Some((str::from_utf8(user).ok()?.parse().ok()?, Entry::from_bytes(entry)?));
            match pair {
                [user, entry] => match read(user, entry) {
                    Some(entry) => self.entries.push(entry),
                    None => self.malformed += 1,
                },
                _ => self.malformed += 1,
            }
        }
    }
}

/// A record as the engine gives it: its ID, then names and values of its fields, one after the other.
type RawRecord = (String, Vec<Vec<u8>>);

/// Gives a call its deadline.
async fn within<T>(
    deadline: Duration,
    call: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, Reason> {
    match timeout(deadline, call).await {
        Ok(answer) => answer.map_err(|error| reason(&error)),
        Err(_) => Err(format!("the engine did not answer within {} s", deadline.as_secs())),
    }
}

fn reason(error: &RedisError) -> Reason {
    error.to_string()
}

static LEASE_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(scripts::LEASE));
static RELEASE_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(scripts::RELEASE));
static FENCE_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(scripts::FENCE));
static CLAIM_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(scripts::CLAIM));

/// The time that an answer may take. Loading a partition of 10^6 users takes some ten milliseconds; a lease of
/// 10 s survives three calls that fail.
const DEADLINE: Duration = Duration::from_secs(2);

/// The time that the engine waits for changes before it answers that there are none.
const BLOCK: Duration = Duration::from_secs(1);

/// The limit of records of one stream in one answer.
const MAX_RECORDS: usize = 16;

/// The ID before the first record of a stream.
const BEGINNING: &str = "0-0";
