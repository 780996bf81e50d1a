//! The record of one lifecycle action: what was seen, what was begun, what came of it. A kill at any moment leaves a record
//! of what to look for; every step is looked for before it is done again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};
use ports::{Expect, HookResult, Item, Key, LifecycleAction, PortError, Table, Transition, Write};
use runtime::records::AUDIT_DAYS;
use serde::{Deserialize, Serialize};

/// What every action's sort key begins with.
const SORT: &str = "action#";
/// How long an instance that EC2 does not know may be only not told of: one that was launched a moment ago, or an answer that
/// lacks one. Of an ended one EC2 tells for an hour.
const UNTOLD: SignedDuration = SignedDuration::from_mins(5);
/// The token of an action whose event never came.
const SWEPT: &str = "SWEEP#";

/// The steps, in the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Step {
    /// The node's data volumes.
    Volumes,
    /// The node's learner in etcd.
    AddLearner,
    /// The start grant.
    Grant,
    /// PostgreSQL follows the leader, or leads.
    Follow,
    /// A node whose restored data cannot be caught up with copies the leader instead.
    BaseBackup,
    /// The learner becomes a voter.
    Promote,
    /// The node is registered.
    Register,
    /// The node leaves the readers.
    ReaderOut,
    /// Another node leads.
    Switchover,
    /// The node leaves the writers, and drains.
    WriterOut,
    /// Patroni and PostgreSQL stop.
    Stop,
    /// A last restore point of the node.
    FinalRestorePoint,
    /// etcd's leadership moves.
    EtcdLeader,
    /// The node's member leaves etcd.
    EtcdRemove,
    /// The hook is answered, or a retained instance ended.
    Answer,
    /// A step of a version that this one does not know.
    #[serde(other)]
    Unrecognized,
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It was begun: whether it took effect is for observation to tell.
    Begun,
    /// It was seen to be so.
    Done,
    /// It was left out, and the evidence says why.
    Skipped,
    /// It was tried as often as it may be.
    Failed,
}

/// One step's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// How it stands.
    pub status: Status,
    /// How often it was begun.
    pub attempts: u32,
    /// When it was first begun.
    pub first_at: Timestamp,
    /// When it was last begun, or ended.
    pub last_at: Timestamp,
    /// What was seen: a command's id, a candidate's name, what a node printed.
    #[serde(default)]
    pub evidence: String,
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// When.
    pub at: Timestamp,
    /// `answered`, `expired`, `ended`, `failed`.
    pub how: String,
}

/// What was last seen to move, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// A text that changes when the node comes forward.
    pub mark: String,
    /// Since when it is that.
    pub at: Timestamp,
}

/// The record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The instance.
    pub instance: String,
    /// The hook.
    pub hook: String,
    /// The event's token, where the event came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Joining or leaving.
    pub transition: Transition,
    /// `Origin` and `Destination` of the event, where it had them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// See `origin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The instance's zone.
    #[serde(default)]
    pub az: String,
    /// Its address, which a terminated instance no longer tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_ip: Option<Ipv4Addr>,
    /// Since when EC2 has not known it, in every look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent_since: Option<Timestamp>,
    /// Patroni's name of the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_name: Option<String>,
    /// etcd's id of the node's member, decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd_member_id: Option<String>,
    /// Its launch was called off before it had a grant: nothing was ever started on it.
    #[serde(default)]
    pub never_granted: bool,
    /// The volumes that were made for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volume_ids: Vec<String>,
    /// The restore point that they are made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_set: Option<String>,
    /// When it was first seen. Times of events are not trusted: clocks differ, and events come late.
    pub first_seen: Timestamp,
    /// The hook's own time-out, as last read, in seconds.
    pub hb_timeout: u64,
    /// When the hook's time was last started anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hb_last_ok: Option<Timestamp>,
    /// When the hook ends, whatever is done.
    pub global_deadline: Timestamp,
    /// What was last seen to move.
    pub progress: Progress,
    /// Patroni's words for its state that were seen before it had a position. One that comes again is no progress.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub states: BTreeSet<String>,
    /// How often in a row the node was seen to be ready.
    #[serde(default)]
    pub ready: u32,
    /// When that was last counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Timestamp>,
    /// How far it had replayed then, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed: Option<u64>,
    /// The steps.
    #[serde(default)]
    pub steps: BTreeMap<Step, StepRecord>,
    /// Since when its end has been unsafe, without a pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsafe_since: Option<Timestamp>,
    /// The answer that was decided on, and the reason code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<(HookResult, String)>,
    /// No hook waits for it: its hook ran out, or it was in service before there was one. It is brought in all the same.
    #[serde(default)]
    pub unhooked: bool,
    /// Its hook was answered ABANDON, and the group retained it.
    #[serde(default)]
    pub retained: bool,
    /// Set once there is nothing left to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

impl Journal {
    /// The action to answer.
    #[must_use]
    pub fn action(&self, group: &str) -> LifecycleAction {
        LifecycleAction {
            group: group.to_owned(),
            hook: self.hook.clone(),
            instance: self.instance.clone(),
            token: self.token.clone(),
        }
    }

    /// How a step stands.
    #[must_use]
    pub fn status(&self, step: Step) -> Option<Status> {
        self.steps.get(&step).map(|record| record.status)
    }

    /// Whether nothing of a step is left to do.
    #[must_use]
    pub fn is_over(&self, step: Step) -> bool {
        matches!(self.status(step), Some(Status::Done | Status::Skipped))
    }

    /// A step is begun now, once more.
    pub fn begin(&mut self, step: Step, now: Timestamp, evidence: impl Into<String>) {
        let known = self.steps.get(&step);
        let record = StepRecord {
            status: Status::Begun,
            attempts: known.map_or(0, |k| k.attempts).saturating_add(1),
            first_at: known.map_or(now, |k| k.first_at),
            last_at: now,
            evidence: evidence.into(),
        };
        self.steps.insert(step, record);
    }

    /// A step ended. What was seen first stays: it is the evidence.
    pub fn end(&mut self, step: Step, status: Status, now: Timestamp, evidence: impl Into<String>) {
        if self.status(step) == Some(status) {
            return;
        }
        let known = self.steps.get(&step);
        let record = StepRecord {
            status,
            attempts: known.map_or(0, |k| k.attempts),
            first_at: known.map_or(now, |k| k.first_at),
            last_at: now,
            evidence: evidence.into(),
        };
        self.steps.insert(step, record);
    }

    /// Whether its machine is gone by EC2's not knowing it any more.
    #[must_use]
    pub fn is_gone(&self, now: Timestamp) -> bool {
        self.absent_since.is_some_and(|since| now.duration_since(since) > UNTOLD)
    }

    /// Whether anything was done to the node that its cluster feels.
    #[must_use]
    pub fn has_begun_to_leave(&self) -> bool {
        [Step::Switchover, Step::WriterOut, Step::Stop, Step::EtcdLeader, Step::EtcdRemove]
            .iter()
            .any(|step| self.steps.get(step).is_some_and(|record| record.attempts > 0))
    }

    /// The partition of a cluster's actions.
    #[must_use]
    pub fn partition(cluster: &str) -> String {
        format!("cluster#{cluster}")
    }

    fn key(&self, cluster: &str) -> Key {
        let token = match &self.token {
            Some(token) => token.clone(),
            None => format!("{SWEPT}{:.0}", self.first_seen),
        };
        Key::new(Self::partition(cluster), format!("{SORT}{}#{}#{token}", self.instance, self.hook))
    }
}

/// A journal and where it lies. The key stays what it was first, though the token be learnt later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    key: Key,
    /// 0 before it is stored.
    version: u64,
    /// The record.
    pub journal: Journal,
}

impl Kept {
    /// A new record of `cluster`.
    #[must_use]
    pub fn new(cluster: &str, journal: Journal) -> Self {
        Self { key: journal.key(cluster), version: 0, journal }
    }

    /// Stores `journal` in the place of the version that was read.
    #[must_use]
    pub fn put(&self, journal: &Journal) -> Write {
        let expect = if self.version == 0 { Expect::Absent } else { Expect::Version(self.version) };
        let closed = journal.closed.as_ref();
        Write::Put {
            key: self.key.clone(),
            body: serde_json::to_value(journal).unwrap_or_default(),
            expect,
            expires_at: closed.and_then(|c| c.at.checked_add(SignedDuration::from_hours(AUDIT_DAYS * 24)).ok()),
        }
    }

    /// Whether it was never stored.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.version == 0
    }

    /// Its sort key.
    #[must_use]
    pub fn sort_key(&self) -> &str {
        &self.key.sk
    }

    /// The write of `journal` was done.
    pub fn written(&mut self, journal: Journal) {
        self.version += 1;
        self.journal = journal;
    }
}

/// A cluster's actions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actions {
    /// Those that can be read, closed ones included.
    pub kept: Vec<Kept>,
    /// Sort keys of items that cannot be read. What they were about is not known, so nothing is derived from their absence.
    pub unreadable: Vec<String>,
}

impl Actions {
    /// The actions with these sort keys, as last written. One that is not there any more is left out.
    ///
    /// # Errors
    /// The table could not be read.
    pub async fn read(table: &impl Table, cluster: &str, keys: &BTreeSet<String>) -> Result<Self, PortError> {
        let mut actions = Self::default();
        for sk in keys {
            if let Some(item) = table.get(&Key::new(Journal::partition(cluster), sk.clone())).await? {
                actions.enter(item);
            }
        }
        Ok(actions)
    }

    /// The sort keys of all actions of a cluster that are not closed: for when the list of them was lost.
    ///
    /// # Errors
    /// The table could not be read.
    pub async fn find(table: &impl Table, cluster: &str) -> Result<BTreeSet<String>, PortError> {
        let mut actions = Self::default();
        for item in table.query(&Journal::partition(cluster)).await? {
            if item.key.sk.starts_with(SORT) {
                actions.enter(item);
            }
        }
        let open = actions.kept.into_iter().filter(|kept| kept.journal.closed.is_none()).map(|kept| kept.key.sk);
        Ok(open.chain(actions.unreadable).collect())
    }

    fn enter(&mut self, item: Item) {
        match Journal::deserialize(&item.body) {
            Ok(journal) => self.kept.push(Kept { key: item.key, version: item.version, journal }),
            Err(error) => {
                tracing::error!(key = %item.key, %error, "a lifecycle action's record cannot be read");
                self.unreadable.push(item.key.sk);
            }
        }
    }
}
