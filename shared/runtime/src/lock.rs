//! The cluster's lock: one holder at a time for what must not overlap.

use jiff::{SignedDuration, Timestamp};
use ports::{Clock, Expect, Item, Key, PortError, Table, TableError, Write};
use serde::{Deserialize, Serialize};

/// The longest that any single call of ours takes. A step starts only if the lease outlasts it.
pub const LONGEST_CALL: SignedDuration = SignedDuration::from_secs(10);

/// How long a lease runs. Long enough for the steps of one pass; a holder that died blocks a cluster no longer than
/// this.
pub const LEASE: SignedDuration = SignedDuration::from_secs(60);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LockRecord {
    owner: String,
    function: String,
    until: Timestamp,
    /// A loser asks the holder to look once more before it lets go.
    #[serde(default)]
    wake: bool,
}

/// A held lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    key: Key,
    record: LockRecord,
    /// The fencing version: raised with every change of the lock, never lowered.
    pub version: u64,
}

/// The answer to [`acquire`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquired {
    /// It is ours.
    Held(Lease),
    /// It is another's, who was asked to look once more.
    Busy {
        /// The function that holds it.
        function: String,
        /// Until when at the latest.
        until: Timestamp,
    },
}

impl Lease {
    /// Whether a step of one call may start.
    #[must_use]
    pub fn outlasts_a_call(&self, now: Timestamp) -> bool {
        self.outlasts(LONGEST_CALL, now)
    }

    /// Whether a step of this length may start.
    #[must_use]
    pub fn outlasts(&self, step: SignedDuration, now: Timestamp) -> bool {
        now.checked_add(step).is_ok_and(|end| end < self.record.until)
    }
}

fn key(cluster: &str) -> Key {
    Key::new(format!("lock#{cluster}"), "lock")
}

fn read(item: &Item) -> Option<LockRecord> {
    LockRecord::deserialize(&item.body).ok()
}

fn put(key: &Key, record: &LockRecord, expect: Expect) -> Write {
    let body = serde_json::to_value(record).unwrap_or_default();
    Write::Put { key: key.clone(), body, expect, expires_at: None }
}

/// Tries to take the lock of `cluster` for `owner` (unique to this invocation). A lock whose time is over, or that
/// cannot be read, is free: its version still fences its old holder off.
///
/// # Errors
/// The table could not be reached.
pub async fn acquire(
    table: &impl Table,
    clock: &impl Clock,
    cluster: &str,
    function: &str,
    owner: &str,
) -> Result<Acquired, PortError> {
    let key = key(cluster);
    // Twice: a condition that fails means that somebody moved, and what they did decides. It may be ourselves, when the
    // reply to our first try was lost.
    for _ in 0..2 {
        let now = clock.now();
        let item = table.get(&key).await?;
        let version = item.as_ref().map_or(0, |i| i.version);
        if let Some(held) = item.as_ref().and_then(read).filter(|r| r.until > now) {
            if held.owner == owner {
                return Ok(Acquired::Held(Lease { key, record: held, version }));
            }
            let busy = Acquired::Busy { function: held.function.clone(), until: held.until };
            if !held.wake {
                let woken = LockRecord { wake: true, ..held };
                // Where this fails, the holder has just let go or been asked by another: the next pass will see.
                let _ = table.write(vec![put(&key, &woken, Expect::Version(version))]).await;
            }
            return Ok(busy);
        }
        let until = now.checked_add(LEASE).unwrap_or(now);
        let record = LockRecord { owner: owner.to_owned(), function: function.to_owned(), until, wake: false };
        let expect = if item.is_some() { Expect::Version(version) } else { Expect::Absent };
        match table.write(vec![put(&key, &record, expect)]).await {
            Ok(()) => return Ok(Acquired::Held(Lease { key, record, version: version + 1 })),
            Err(TableError::ConditionFailed { .. }) => {}
            Err(TableError::Port(error)) => return Err(error),
        }
    }
    Ok(Acquired::Busy { function: "another".to_owned(), until: clock.now() })
}

/// Lets go of the lock. `true`: somebody asked for one more look while it was held.
///
/// # Errors
/// The table could not be reached: the lease runs out by itself.
pub async fn release(table: &impl Table, lease: Lease) -> Result<bool, PortError> {
    let mut version = lease.version;
    let mut wake = lease.record.wake;
    for _ in 0..3 {
        let record = LockRecord { until: Timestamp::UNIX_EPOCH, wake: false, ..lease.record.clone() };
        match table.write(vec![put(&lease.key, &record, Expect::Version(version))]).await {
            Ok(()) => return Ok(wake),
            Err(TableError::Port(error)) => return Err(error),
            Err(TableError::ConditionFailed { .. }) => match table.get(&lease.key).await? {
                Some(item) => {
                    match read(&item).filter(|r| r.owner == lease.record.owner && r.until == lease.record.until) {
                        Some(current) => {
                            version = item.version;
                            wake |= current.wake;
                        }
                        None => return Ok(wake),
                    }
                }
                None => return Ok(wake),
            },
        }
    }
    Ok(wake)
}
