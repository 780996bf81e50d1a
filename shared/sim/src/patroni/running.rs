//! What a cluster does as time passes, second by second.

use std::time::Duration;

use jiff::Timestamp;

use super::switchover::Phase;
use super::{Cluster, Lock, Node, Postgres, Published, Stall};
use crate::instances::{Machine, Machines, after};

/// `loop_wait`.
const LOOP: Duration = Duration::from_secs(10);
/// `retry_timeout`: how long a leader goes on without the DCS.
const RETRY: Duration = Duration::from_secs(10);
/// `maximum_lag_on_failover`.
pub(super) const MOST_LAG: u64 = 1 << 20;
/// How long a server that stops waits for a standby that is connected and takes nothing (`systemd`'s `TimeoutSec` of 30 s).
const STOP_WAIT: Duration = Duration::from_secs(25);

pub(super) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl Node {
    fn new(instance: &str, machine: &Machine, boots_at: Timestamp) -> Option<Self> {
        Some(Self {
            name: format!("pg-{}", instance.trim_start_matches("i-")),
            address: machine.now().address?,
            up: false,
            boots_at,
            isolated: false,
            granted: None,
            stopped: false,
            patroni: false,
            postgres: Postgres::Down,
            writable: false,
            place: None,
            replayed: 0,
            streaming: false,
            stall: Stall::None,
            begun: false,
            wal_gone: false,
            anew: false,
            nofailover: false,
            member: None,
            etcd_down: false,
            blind_since: None,
        })
    }

    pub(super) fn state(&self) -> &'static str {
        match self.postgres {
            Postgres::Down => "stopped",
            Postgres::Copying(_) => "creating replica",
            Postgres::Starting(_) => "starting",
            Postgres::Running => "running",
            Postgres::Stopping(_) => "stopping",
        }
    }

    pub(super) fn online(&self) -> bool {
        self.up && !self.isolated
    }
}

impl Cluster {
    fn say(&mut self, line: String) {
        self.log.push(line);
    }

    /// What happened since this was last asked.
    pub(crate) fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// A cluster that has run for a while.
    pub(super) fn founded(&mut self, instances: &[String], machines: &Machines, now: Timestamp) {
        let start = self.wal.begin();
        self.initialized = true;
        for (n, instance) in instances.iter().enumerate() {
            let node = machines.get(instance).and_then(|machine| Node::new(instance, machine, now));
            let Some(mut node) = node else { continue };
            node.up = true;
            node.granted = Some(if n == 0 { "bootstrap" } else { "join" }.to_owned());
            node.patroni = true;
            node.postgres = Postgres::Running;
            node.writable = n == 0;
            node.place = Some(start);
            node.replayed = start.lsn;
            node.streaming = n > 0;
            if self.made.etcd {
                let member = self.etcd.found(node.address);
                self.etcd.start(member, &node.name, now.checked_sub(secs(600)).unwrap_or(now));
                node.member = Some(member);
            }
            self.nodes.insert(instance.clone(), node);
        }
        if let Some(first) = instances.first() {
            self.lock = Some(Lock { holder: first.clone(), until: after(now, self.made.ttl) });
        }
        self.optime = start.lsn;
        for _ in 0..2 {
            self.etcd.tick(|_| true, after(now, secs(3)));
        }
        self.etcd.tick(|_| true, after(now, secs(6)));
        self.publish(now);
    }

    /// `restored`: whether an instance has a volume attached that was made from a restore point.
    pub(crate) fn tick(
        &mut self,
        machines: &Machines,
        restored: impl Fn(&str) -> bool,
        rng: &mut fastrand::Rng,
        now: Timestamp,
    ) {
        self.power(machines, now);
        self.join(machines, now);
        self.restore(restored, rng);
        self.databases(rng, now);
        self.replicate();
        self.keep_lock(rng, now);
        self.carry_out_request(rng, now);
        self.race(rng, now);
        self.choose_standby(now);
        self.publish(now);
    }

    pub(super) fn reaches_dcs(&self, node: &Node) -> bool {
        node.online() && self.has_quorum()
    }

    fn power(&mut self, machines: &Machines, now: Timestamp) {
        for (id, machine) in machines.of_group(&self.made.group.clone()) {
            if machine.runs() && !self.nodes.contains_key(id) {
                let node = Node::new(id, machine, after(now, secs(8)));
                self.nodes.extend(node.map(|node| (id.clone(), node)));
            } else if !machine.runs() && self.nodes.remove(id).is_some() {
                self.say(format!("{id} is gone"));
            }
        }
        for node in self.nodes.values_mut() {
            node.up = now >= node.boots_at || node.up;
        }
    }

    fn join(&mut self, machines: &Machines, now: Timestamp) {
        let ids: Vec<String> = self.nodes.keys().cloned().collect();
        for id in &ids {
            let grant = machines.get(id).and_then(|m| m.now().tags.get("pilothouse:start").cloned());
            let Some(node) = self.nodes.get_mut(id).filter(|node| node.up && node.granted.is_none()) else { continue };
            let Some(grant) = grant else { continue };
            node.granted = Some(grant.clone());
            if grant != "bootstrap" {
                continue;
            }
            let address = node.address;
            if self.initialized || self.made.etcd && !self.etcd.is_new() {
                node.stopped = true;
                self.second += 1;
                self.say(format!("{id} bootstraps a second cluster"));
                continue;
            }
            let member = self.made.etcd.then(|| self.etcd.found(address));
            let place = self.wal.begin();
            self.initialized = true;
            if let Some(node) = self.nodes.get_mut(id) {
                member.into_iter().for_each(|member| self.etcd.start(member, &node.name, now));
                (node.member, node.place, node.writable, node.patroni) = (member, Some(place), true, true);
                node.postgres = Postgres::Starting(after(now, secs(8)));
            }
            self.say(format!("{id} bootstraps the cluster"));
        }
        let quorum = self.has_quorum();
        for id in &ids {
            let Some(node) = self.nodes.get_mut(id).filter(|n| n.online() && n.granted.is_some() && !n.stopped) else {
                continue;
            };
            if self.made.etcd && node.member.is_none() && !node.etcd_down && quorum {
                node.member = self.etcd.awaited(node.address);
                if let Some(member) = node.member {
                    self.etcd.start(member, &node.name, now);
                    self.log.push(format!("{id} starts etcd as {member}"));
                }
            }
            let dcs = quorum && (!self.made.etcd || node.member.is_some());
            if dcs && !node.patroni && (self.initialized || !self.made.etcd) {
                node.patroni = true;
                self.log.push(format!("{id} starts Patroni"));
            }
        }
        let nodes = &self.nodes;
        let alive = |id: u64| nodes.values().any(|n| n.member == Some(id) && n.online() && !n.etcd_down);
        self.etcd.tick(alive, now);
    }

    /// The node that a standby can copy and stream from.
    pub(super) fn source(&self) -> Option<(&String, &Node)> {
        let holder = self.lock.as_ref().map(|lock| &lock.holder)?;
        let (id, node) = self.nodes.get_key_value(holder)?;
        (node.writable && node.online() && matches!(node.postgres, Postgres::Running)).then_some((id, node))
    }

    fn databases(&mut self, rng: &mut fastrand::Rng, now: Timestamp) {
        let source = self.source().and_then(|(_, node)| node.place);
        let copy = self.made.copy.mul_f64(0.5 + rng.f64());
        let mut stopped = Vec::new();
        for (id, node) in &mut self.nodes {
            let runs = node.patroni && !node.stopped && node.online();
            node.postgres = match node.postgres {
                Postgres::Down if runs && node.place.is_some() => Postgres::Starting(after(now, secs(3))),
                Postgres::Down if runs && source.is_some() => Postgres::Copying(after(now, copy)),
                Postgres::Copying(_) if source.is_none() => {
                    node.anew = false;
                    Postgres::Down
                }
                Postgres::Copying(at) if at <= now => {
                    node.anew = false;
                    node.place = source;
                    node.replayed = source.map_or(0, |place| place.lsn);
                    Postgres::Starting(after(now, secs(3)))
                }
                Postgres::Starting(at) if at <= now => Postgres::Running,
                Postgres::Stopping(at) if at <= now => {
                    stopped.push((id.clone(), at));
                    node.postgres
                }
                other => other,
            };
        }
        for (id, at) in stopped {
            self.stops(&id, at, now);
        }
    }

    /// A server stops, in its own time. What is connected to a leader gets everything first.
    fn stops(&mut self, id: &str, at: Timestamp, now: Timestamp) {
        let Some(node) = self.nodes.get(id) else { return };
        let (leader, end) = (node.writable, node.place);
        if let (true, Some(end)) = (leader && node.online(), end) {
            let connected = |n: &Node| n.streaming && n.online();
            let waits = self.nodes.values().any(|n| connected(n) && n.stall == Stall::Receive);
            if waits && now < after(at, STOP_WAIT) {
                return;
            }
            for node in self.nodes.values_mut().filter(|n| connected(n) && n.stall != Stall::Receive) {
                node.place = Some(end);
            }
        }
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.writable = false;
        node.streaming = false;
        if node.stopped {
            node.postgres = Postgres::Down;
            node.patroni = false;
        } else {
            node.postgres = Postgres::Starting(after(now, secs(4)));
        }
        let reaches = self.nodes.get(id).is_some_and(|node| self.reaches_dcs(node));
        if leader && reaches && self.leader() == Some(id) {
            self.optime = end.map_or(self.optime, |end| end.lsn);
            self.release(id, now, secs(1));
            if let Some(request) = &mut self.request {
                request.phase = Phase::Released(now);
            }
        }
        if reaches {
            self.publish_one(id, now);
        }
        self.say(format!("{id} has stopped{}", if leader { ", the leader" } else { "" }));
    }

    fn release(&mut self, holder: &str, now: Timestamp, wait: Duration) {
        self.last_holder = Some(holder.to_owned());
        self.lock = None;
        self.races_at = Some(after(now, wait));
    }

    fn keep_lock(&mut self, rng: &mut fastrand::Rng, now: Timestamp) {
        let quorum = self.has_quorum();
        let paused = self.paused;
        let holder = self.leader().map(str::to_owned);
        for (id, node) in &mut self.nodes {
            let holds = holder.as_ref() == Some(id);
            if node.online() && quorum {
                node.blind_since = None;
                // Somebody else leads.
                if node.writable && node.patroni && !holds && holder.is_some() && node.postgres == Postgres::Running {
                    node.writable = false;
                    node.postgres = Postgres::Starting(after(now, secs(4)));
                }
            } else if node.patroni && node.writable {
                let since = *node.blind_since.get_or_insert(now);
                if after(since, RETRY) <= now && !paused {
                    node.writable = false;
                    node.postgres = Postgres::Starting(after(now, secs(4)));
                    self.log.push(format!("{id} steps down: it cannot reach the DCS"));
                }
            }
        }
        let Some(holder) = holder else { return };
        let node = self.nodes.get(&holder);
        let keeps = node.is_some_and(|n| n.patroni && self.reaches_dcs(n) && n.postgres != Postgres::Down);
        let promotes = keeps && node.is_some_and(|n| !n.writable && n.postgres == Postgres::Running);
        let ttl = self.made.ttl;
        match &mut self.lock {
            Some(lock) if keeps => lock.until = after(now, ttl),
            Some(lock) if quorum && lock.until <= now => {
                self.release(&holder, now, secs(rng.u64(1..4)));
                self.say(format!("the key of {holder} runs out"));
            }
            _ => {}
        }
        if promotes {
            self.promote(&holder, now);
        }
    }

    /// Who may take over.
    fn eligible(&self, id: &str, node: &Node) -> bool {
        let Some(place) = node.place else { return false };
        let fit = node.patroni && !node.stopped && node.postgres == Postgres::Running && self.reaches_dcs(node);
        let lag = self.optime.saturating_sub(place.lsn) <= MOST_LAG;
        let held = self.last_holder.as_deref() == Some(id);
        let synchronous = !self.synchronous || held || self.sync_standby.as_deref() == Some(id);
        fit && lag && synchronous && !node.nofailover
    }

    fn race(&mut self, rng: &mut fastrand::Rng, now: Timestamp) {
        if self.lock.is_some() || !self.initialized || !self.has_quorum() {
            return;
        }
        // Whoever is the primary already takes the key.
        let asked = self.request.as_ref().map(|request| (request.candidate.clone(), request.since()));
        let primary = self.nodes.iter().find(|(_, n)| {
            n.writable && n.patroni && !n.stopped && n.postgres == Postgres::Running && self.reaches_dcs(n)
        });
        if let Some(id) = primary.map(|(id, _)| id.clone()) {
            self.lock = Some(Lock { holder: id, until: after(now, self.made.ttl) });
            return;
        }
        if self.races_at.is_none_or(|at| at > now) || self.paused && asked.is_none() {
            return;
        }
        let mut able: Vec<(u32, u64, &String)> = self
            .nodes
            .iter()
            .filter(|(id, node)| self.eligible(id, node))
            .filter_map(|(id, node)| Some((self.wal.timeline(node.place?.branch), node.place?.lsn, id)))
            .collect();
        able.sort();
        let named = asked.filter(|(_, since)| after(*since, secs(12)) > now).map(|(candidate, _)| candidate);
        let winner = match &named {
            Some(candidate) => able.iter().find(|(.., id)| *id == candidate),
            None => able.last(),
        };
        match winner.map(|(.., id)| (*id).clone()) {
            Some(id) => self.promote(&id, now),
            None => self.races_at = Some(after(now, secs(rng.u64(1..4)))),
        }
    }

    fn promote(&mut self, id: &str, now: Timestamp) {
        let Some(place) = self.nodes.get(id).and_then(|node| node.place) else { return };
        let (place, lost) = self.wal.fork(place);
        self.lock = Some(Lock { holder: id.to_owned(), until: after(now, self.made.ttl) });
        self.races_at = None;
        self.optime = place.lsn;
        for (other, node) in &mut self.nodes {
            node.streaming = false;
            if other == id {
                node.place = Some(place);
                node.replayed = place.lsn;
                node.writable = true;
                node.wal_gone = false;
            }
        }
        if self.sync_standby.as_deref() == Some(id) {
            self.sync_standby = None;
        }
        let timeline = self.wal.timeline(place.branch);
        self.say(format!("{id} is promoted, timeline {timeline}; {lost} acknowledged bytes are left behind"));
        self.request_ends(id);
        self.publish_one(id, now);
    }

    pub(super) fn publish(&mut self, now: Timestamp) {
        if !self.has_quorum() {
            return;
        }
        self.keys.retain(|_, key| key.until > now);
        let due = self.nodes.iter().filter(|(id, node)| {
            let changed = |key: &Published| {
                after(key.at, LOOP) <= now || key.state != node.state() || key.streaming != node.streaming
            };
            node.patroni && node.online() && self.keys.get(*id).is_none_or(changed)
        });
        let due: Vec<String> = due.map(|(id, _)| id.clone()).collect();
        for id in due {
            self.publish_one(&id, now);
        }
    }

    fn publish_one(&mut self, id: &str, now: Timestamp) {
        let Some(node) = self.nodes.get(id) else { return };
        let key = Published {
            until: after(now, self.made.ttl),
            at: now,
            name: node.name.clone(),
            address: node.address,
            state: node.state(),
            streaming: node.streaming,
            timeline: node.place.map_or(0, |place| self.wal.timeline(place.branch)),
            received: node.place.map(|place| place.lsn),
            replayed: node.replayed,
            nofailover: node.nofailover,
        };
        if self.leader() == Some(id) && node.writable {
            self.optime = key.received.unwrap_or(self.optime);
        }
        self.keys.insert(id.to_owned(), key);
    }
}
