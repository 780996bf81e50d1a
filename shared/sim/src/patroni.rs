//! A Patroni cluster on a group's nodes, as far as joining and leaving go. What it does as time passes is in `running`, what it
//! tells in `telling`.
//!
//! Held here (Patroni 4.1, `ha.py`, `api.py`, `dcs/__init__.py`; documentation: "Dynamic configuration", "Replication modes", "Pause"): the
//! leader is who holds a key with a time to live; a leader that is gone is replaced once that is over, by the standby that is
//! furthest, unless Patroni is paused; a clean stop lets every connected standby have all, and gives the key back at once; without
//! a quorum in the DCS the leader steps down; in synchronous mode a write is acknowledged once the synchronous standby has
//! it, and only that standby can take over; members publish what they are every `loop_wait`, so what `/cluster` tells is old by
//! up to that, and a member that died is listed until its key runs out.

mod breaking;
mod replicating;
mod restoring;
mod running;
mod switchover;
mod telling;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use reach::gateway::{EtcdMember, Verb};

use crate::etcd::{Ensemble, MemberTruth};
use crate::instances::after;
use crate::wal::{Position, Stretch, Wal};
use crate::world::State;

pub(crate) use switchover::Request;

/// What replication does wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stall {
    /// Nothing.
    #[default]
    None,
    /// Connected, and receives nothing.
    Receive,
    /// Receives, and replays nothing.
    Replay,
    /// Not connected.
    Disconnected,
}

/// How a cluster is made.
#[derive(Debug, Clone)]
pub struct NewDatabase {
    /// The Auto Scaling group of its nodes.
    pub group: String,
    /// Patroni's scope.
    pub scope: String,
    /// Whether etcd runs on the nodes.
    pub etcd: bool,
    /// Whether it is Patroni 4 and not 3.
    pub version4: bool,
    /// `synchronous_mode`.
    pub synchronous: bool,
    /// `synchronous_mode_strict`.
    pub strict: bool,
    /// How long a leader's key lives.
    pub ttl: Duration,
    /// How long a base backup takes.
    pub copy: Duration,
    /// Bytes of the log that clients write in a second.
    pub writes: u64,
    /// How likely it is, from 0 to 1, that the WAL which restored data lacks is nowhere any more: no slot, and an archive that
    /// has expired.
    pub wal_gone: f64,
}

impl NewDatabase {
    /// An asynchronous cluster with etcd on the nodes.
    #[must_use]
    pub fn of(group: &str, scope: &str) -> Self {
        Self {
            group: group.to_owned(),
            scope: scope.to_owned(),
            etcd: true,
            version4: true,
            synchronous: false,
            strict: false,
            ttl: Duration::from_secs(30),
            copy: Duration::from_secs(30),
            writes: 40_000,
            wal_gone: 0.0,
        }
    }
}

/// A node as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTruth {
    /// Its instance.
    pub instance: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Patroni's name for it.
    pub name: String,
    /// Whether it holds the leader's key.
    pub leads: bool,
    /// Whether PostgreSQL takes writes on it.
    pub writable: bool,
    /// Whether Patroni runs.
    pub patroni: bool,
    /// Whether PostgreSQL runs.
    pub postgres: bool,
    /// Whether it streams from the leader.
    pub streaming: bool,
    /// Whether it is the synchronous standby.
    pub synchronous: bool,
    /// The tag `nofailover`.
    pub nofailover: bool,
    /// What it has received, or written.
    pub received: Option<Position>,
    /// How far it has replayed.
    pub replayed: u64,
    /// Whether the WAL that it needs is nowhere any more.
    pub wal_gone: bool,
    /// Whether the network reaches it.
    pub reachable: bool,
    /// What start was granted to it: the tag's value.
    pub granted: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Postgres {
    Down,
    Copying(Timestamp),
    Starting(Timestamp),
    Running,
    Stopping(Timestamp),
}

/// What a member has in the DCS about itself.
#[derive(Debug, Clone)]
struct Published {
    until: Timestamp,
    at: Timestamp,
    name: String,
    address: Ipv4Addr,
    state: &'static str,
    streaming: bool,
    timeline: u32,
    received: Option<u64>,
    replayed: u64,
    nofailover: bool,
}

#[derive(Debug, Clone)]
struct Node {
    name: String,
    address: Ipv4Addr,
    up: bool,
    boots_at: Timestamp,
    isolated: bool,
    granted: Option<String>,
    /// Somebody stopped the service: it does not start again by itself.
    stopped: bool,
    patroni: bool,
    postgres: Postgres,
    writable: bool,
    place: Option<Position>,
    replayed: u64,
    streaming: bool,
    stall: Stall,
    /// It has begun with data of some kind, once.
    begun: bool,
    /// The WAL that its data needs is nowhere any more.
    wal_gone: bool,
    /// It copies because it was asked to reinitialize.
    anew: bool,
    nofailover: bool,
    member: Option<u64>,
    etcd_down: bool,
    /// Since when it cannot reach the DCS.
    blind_since: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Lock {
    holder: String,
    until: Timestamp,
}

/// A cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    made: NewDatabase,
    nodes: BTreeMap<String, Node>,
    etcd: Ensemble,
    lock: Option<Lock>,
    /// Whether the DCS has the cluster's `initialize` key.
    initialized: bool,
    paused: bool,
    synchronous: bool,
    sync_standby: Option<String>,
    keys: BTreeMap<String, Published>,
    optime: u64,
    last_holder: Option<String>,
    races_at: Option<Timestamp>,
    request: Option<Request>,
    outcomes: BTreeMap<u64, (u16, String)>,
    requests: u64,
    wal: Wal,
    second: u32,
    log: Vec<String>,
}

impl Cluster {
    fn new(made: NewDatabase) -> Self {
        Self {
            synchronous: made.synchronous,
            made,
            nodes: BTreeMap::new(),
            etcd: Ensemble::default(),
            lock: None,
            initialized: false,
            paused: false,
            sync_standby: None,
            keys: BTreeMap::new(),
            optime: 0,
            last_holder: None,
            races_at: None,
            request: None,
            outcomes: BTreeMap::new(),
            requests: 0,
            wal: Wal::default(),
            second: 0,
            log: Vec::new(),
        }
    }

    /// How it was made.
    #[must_use]
    pub fn made(&self) -> &NewDatabase {
        &self.made
    }

    /// The nodes as they are. Those whose instance is gone are left out.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeTruth> {
        let told = self.nodes.iter().map(|(instance, node)| NodeTruth {
            instance: instance.clone(),
            address: node.address,
            name: node.name.clone(),
            leads: self.leader() == Some(instance),
            writable: node.writable && self.serves(node),
            patroni: node.patroni,
            postgres: self.serves(node),
            streaming: node.streaming,
            synchronous: self.sync_standby.as_deref() == Some(instance),
            nofailover: node.nofailover,
            received: node.place,
            replayed: node.replayed,
            wal_gone: node.wal_gone,
            reachable: node.up && !node.isolated,
            granted: node.granted.clone(),
        });
        told.collect()
    }

    fn serves(&self, node: &Node) -> bool {
        node.up && matches!(node.postgres, Postgres::Running | Postgres::Stopping(_))
    }

    /// The instance that holds the leader's key, alive or not.
    #[must_use]
    pub fn leader(&self) -> Option<&str> {
        self.lock.as_ref().map(|lock| lock.holder.as_str())
    }

    /// The timeline of a branch of its log.
    pub(crate) fn timeline(&self, branch: usize) -> u32 {
        self.wal.timeline(branch)
    }

    /// etcd's members.
    #[must_use]
    pub fn members(&self) -> Vec<MemberTruth> {
        self.etcd.truth()
    }

    /// Whether the DCS can be written.
    #[must_use]
    pub fn has_quorum(&self) -> bool {
        !self.made.etcd || self.etcd.has_quorum()
    }

    /// Whether Patroni is paused.
    #[must_use]
    pub fn paused(&self) -> bool {
        self.paused
    }

    /// Whether a write waits for the synchronous standby.
    #[must_use]
    pub fn synchronous(&self) -> bool {
        self.synchronous
    }

    /// How many clusters were begun beside the first.
    #[must_use]
    pub fn second_clusters(&self) -> u32 {
        self.second
    }

    /// Whether there ever was a leader.
    #[must_use]
    pub fn initialized(&self) -> bool {
        self.initialized
    }

    /// Bytes that were acknowledged in all.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.wal.acknowledged()
    }

    /// Acknowledged writes that are not on the present leader's history: those that a promotion left behind, and those that
    /// the server that leads now lacks.
    #[must_use]
    pub fn lost(&self) -> Vec<Stretch> {
        let place = self.leader().and_then(|leader| self.nodes.get(leader)).and_then(|node| node.place);
        let mut lost = self.wal.lost().to_vec();
        lost.extend(place.map(|place| self.wal.missing(place)).unwrap_or_default());
        lost
    }

    /// Acknowledged bytes that would be lost if this instance ended now: those that neither a leader elsewhere nor, where
    /// there is none, the best of the other nodes has. What was lost before is left out.
    #[must_use]
    pub fn lost_without(&self, instance: &str) -> u64 {
        let others = self.nodes.iter().filter(|(id, node)| *id != instance && node.up);
        let leads = |id: &str| self.leader() == Some(id);
        let elsewhere = others.clone().any(|(id, _)| leads(id));
        let places = others.filter(|(id, _)| !elsewhere || leads(id)).filter_map(|(_, node)| node.place);
        let bytes = |place: Position| self.wal.missing(place).iter().map(Stretch::bytes).sum::<u64>();
        places.map(bytes).min().unwrap_or_else(|| {
            self.wal.missing(Position { branch: usize::MAX, lsn: 0 }).iter().map(Stretch::bytes).sum()
        })
    }

    /// Whether a target group's health check passes: `/primary` or `/replica`.
    pub(crate) fn passes_check(&self, instance: &str, writer: bool) -> bool {
        let Some(node) = self.nodes.get(instance) else { return false };
        let here = node.patroni && node.postgres == Postgres::Running && node.up && !node.isolated;
        let leads = self.leader() == Some(instance);
        here && if writer { leads && node.writable } else { !leads && node.streaming }
    }

    /// `systemctl stop patroni`. Paused, it leaves PostgreSQL running and the key where it is.
    pub(crate) fn stop_service(&mut self, instance: &str, now: Timestamp) {
        let paused = self.paused;
        let Some(node) = self.nodes.get_mut(instance) else { return };
        node.stopped = true;
        if paused {
            node.patroni = false;
        } else if node.postgres != Postgres::Down && !matches!(node.postgres, Postgres::Stopping(_)) {
            let takes = if node.writable { 5 } else { 2 };
            node.postgres = Postgres::Stopping(after(now, Duration::from_secs(takes)));
        } else if node.postgres == Postgres::Down {
            node.patroni = false;
        }
    }

    /// Whether Patroni and PostgreSQL run, and whether they are being stopped.
    pub(crate) fn services(&self, instance: &str) -> (bool, bool, bool) {
        self.nodes.get(instance).map_or((false, false, false), |node| {
            let stopping = matches!(node.postgres, Postgres::Stopping(_));
            (node.patroni, node.postgres != Postgres::Down, stopping && node.stopped)
        })
    }

    /// What a member of etcd answers to the question for all.
    pub(crate) fn view_from(&self, member: u64) -> Result<reach::gateway::EtcdView, (&'static str, &'static str)> {
        self.etcd.view(member)
    }

    /// A change of etcd's members that `asked` is asked for.
    pub(crate) fn change_members(
        &mut self,
        verb: Verb,
        asked: u64,
        member: &str,
        now: Timestamp,
    ) -> Result<Vec<EtcdMember>, (&'static str, &'static str)> {
        let id = member.parse().unwrap_or_default();
        match verb {
            Verb::EtcdAddLearner => {
                let address = member.parse().map_err(|_| ("BadItem", "peer_url"))?;
                self.etcd.add_learner(asked, address)?;
            }
            Verb::EtcdPromote => self.etcd.promote(asked, id, now)?,
            Verb::EtcdRemove => self.etcd.remove(asked, id)?,
            _ => {
                self.etcd.move_leader(asked, id)?;
                return Ok(Vec::new());
            }
        }
        Ok(self.etcd.told())
    }
}

impl State {
    /// A cluster of a group appears, empty.
    pub fn put_database(&mut self, made: NewDatabase) {
        self.clusters.insert(made.group.clone(), Cluster::new(made));
    }

    /// A cluster appears that has run for a while: as many nodes as its group is to have, all in service and streaming.
    /// Gives their instances, the leader first.
    pub fn put_running_database(&mut self, made: NewDatabase, now: Timestamp) -> Vec<String> {
        let group = made.group.clone();
        let mut cluster = Cluster::new(made);
        let Some(scaling) = self.scaling.get_mut(&group) else { return Vec::new() };
        let zones = scaling.made.zones.clone();
        let mut instances = Vec::new();
        for zone in zones.iter().cycle().take(usize::try_from(scaling.made.desired).unwrap_or_default()) {
            let id = self.machines.launch(&group, false, Duration::ZERO, now);
            let grant = if instances.is_empty() { "bootstrap" } else { "join" };
            let _ = self.machines.tag(&id, "pilothouse:start", grant, now);
            scaling.adopt(&id, zone, now);
            instances.push(id);
        }
        cluster.founded(&instances, &self.machines, now);
        self.clusters.insert(group, cluster);
        instances
    }

    /// A group's cluster.
    #[must_use]
    pub fn database(&self, group: &str) -> Option<&Cluster> {
        self.clusters.get(group)
    }

    /// A group's cluster, for whoever breaks it.
    pub fn database_mut(&mut self, group: &str) -> Option<&mut Cluster> {
        self.clusters.get_mut(group)
    }

    /// The cluster of an instance and the instance's id.
    pub(crate) fn with_node<T>(&mut self, instance: &str, change: impl FnOnce(&mut Cluster, &str) -> T) -> Option<T> {
        let group = self.machines.get(instance)?.group.clone();
        self.clusters.get_mut(&group).map(|cluster| change(cluster, instance))
    }
}
