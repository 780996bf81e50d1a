//! Judges every call by what is true, what the caller was told in this pass, and what was called before. It shares no code
//! with the planner and asks nothing of it.

pub(crate) mod admission;
mod passes;
mod routes;
pub(crate) mod specs;
mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use ipnet::Ipv4Net;
use jiff::{SignedDuration, Timestamp};
use ports::{Key, Target, Write};
use sim::{Happened, Observer, Record, State};

use self::passes::Pass;
use self::specs::SpecBook;
pub(crate) use self::targets::on_record;

/// The longest that a query of our table lags behind.
pub(crate) const QUERY_LAG: SignedDuration = SignedDuration::from_secs(4);
/// The longest that a read of EC2 or ELB lags behind.
pub(crate) const READ_LAG: SignedDuration = SignedDuration::from_secs(25);

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    pub(crate) what: String,
}

/// A target that the watcher made, or was given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ours {
    /// The connections under which it was, or could have been, admitted.
    pub(crate) connections: BTreeSet<String>,
    /// The record of it was lost or let go of: nobody may take it down before it is adopted again.
    pub(crate) orphan: bool,
}

/// How long a pass lasts at most.
const LONGEST_PASS: SignedDuration = SignedDuration::from_secs(28);

/// What the oracle knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Oracle {
    pub(crate) specs: SpecBook,
    pub(crate) passes: BTreeMap<String, Pass>,
    /// Addresses that a name or a pin gave while they were admissible: group, endpoint, address, connection.
    pub(crate) good: BTreeMap<(String, String, Ipv4Addr, String), Timestamp>,
    pub(crate) ours: BTreeMap<(String, Target), Ours>,
    pub(crate) handed_over: BTreeSet<(String, Target)>,
    /// Words of people: when, cluster, what.
    pub(crate) words: Vec<(Timestamp, String, String)>,
    pub(crate) routes: BTreeSet<(String, Ipv4Net, String)>,
    /// When a connection could last be seen.
    pub(crate) visible: BTreeMap<String, Timestamp>,
    pub(crate) losses: Vec<(Timestamp, String)>,
    /// The passes that wrote a cluster's state since it began.
    pub(crate) agreeing: BTreeMap<String, BTreeSet<(String, u64)>>,
    /// Since when passes that wrote a cluster's state were told that a connection is not known, in an unbroken row.
    pub(crate) missed: BTreeMap<(String, String), Timestamp>,
    /// Who serves in a group of a writer.
    pub(crate) writers: BTreeMap<String, Target>,
    /// When the writer of a group was changed.
    pub(crate) switches: BTreeMap<String, Vec<Timestamp>>,
    pub(crate) pause_since: Option<Timestamp>,
    pub(crate) mutations: u64,
    pub(crate) writes: u64,
    pub(crate) notices: u64,
    pub(crate) passes_made: u64,
    /// When a process last could not read or write our table.
    pub(crate) table_failed: BTreeMap<String, Timestamp>,
    /// Whether any record of what we made was ever lost or let go of.
    pub(crate) any_loss: bool,
    /// When that last happened to a cluster.
    pub(crate) lost_at: BTreeMap<String, Timestamp>,
    pub(crate) now: Option<Timestamp>,
    pub(crate) violations: Vec<Violation>,
}

/// The oracle, shared with who asks it afterwards.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handle(Arc<Mutex<Oracle>>);

impl Handle {
    pub(crate) fn read<T>(&self, look: impl FnOnce(&mut Oracle) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// Another oracle that knows the same.
    pub(crate) fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.read(|oracle| oracle.clone()))))
    }

    pub(crate) fn state_lost(&self, cluster: &str) {
        self.read(|oracle| oracle.state_lost(cluster));
    }

    pub(crate) fn violate(&self, invariant: &'static str, what: String) {
        self.read(|oracle| oracle.violate(invariant, what));
    }
}

impl Observer for Handle {
    fn observe(&mut self, state: &State, record: &Record) {
        self.read(|oracle| oracle.observe(state, record));
    }
}

/// The cluster that a group is made for, from its name.
pub(crate) fn cluster_of(arn: &str) -> String {
    let name = arn.rsplit(":targetgroup/").next().unwrap_or_default();
    format!("{}-cluster", name.split('-').next().unwrap_or_default())
}

impl Oracle {
    pub(crate) fn violate(&mut self, invariant: &'static str, what: String) {
        let what = match self.now {
            Some(now) => format!("{now:.3} {what}"),
            None => what,
        };
        self.violations.push(Violation { invariant, what });
    }

    pub(crate) fn state_lost(&mut self, cluster: &str) {
        self.any_loss = true;
        if let Some(now) = self.now {
            self.lost_at.insert(cluster.to_owned(), now);
        }
        // What a pass that is under way was just told it may still write.
        let in_hand = self.now.and_then(|now| now.checked_sub(LONGEST_PASS).ok());
        self.good.retain(|(arn, ..), at| cluster_of(arn) != cluster || in_hand.is_some_and(|since| *at >= since));
        self.agreeing.remove(cluster);
        self.missed.retain(|(of, _), _| of != cluster);
        for ((arn, _), ours) in &mut self.ours {
            if cluster_of(arn) == cluster {
                ours.orphan = true;
            }
        }
    }

    fn observe(&mut self, state: &State, record: &Record) {
        let now = record.at;
        self.now = Some(now);
        if record.call.starts_with("dynamodb:") && !record.answered {
            self.table_failed.insert(record.process.to_string(), now);
        }
        for peering in state.peerings() {
            match self.visible.get_mut(&peering.id) {
                Some(at) => *at = now,
                None => {
                    self.visible.insert(peering.id.clone(), now);
                }
            }
        }
        if let Happened::Written(writes) = &record.happened {
            self.written(record, writes);
        }
        if &*record.process == "operator" {
            return;
        }
        self.remember(record);
        match &record.happened {
            Happened::Published(_) => self.notices += 1,
            Happened::Queried(pk, _) if pk == "cluster" => self.learn(state, record, None),
            Happened::PeeringsListed(_) | Happened::PeeringRead(..) if record.answered => {
                self.learn(state, record, None)
            }
            Happened::NameAsked(host, _) if record.answered => self.learn(state, record, Some(host)),
            Happened::GatewayResolved(_, names) if record.answered => {
                names.iter().for_each(|(host, _)| self.learn(state, record, Some(host)));
            }
            Happened::GatewayProbed(_, servers) => {
                servers.iter().for_each(|server| self.probed(state, record, server.address));
            }
            Happened::TargetsRead(arn, _) if record.answered => self.adopt(state, record, arn),
            Happened::Registered(arn, target, _) => {
                self.mutates(state, record, Some(arn), "RegisterTargets");
                self.registered(state, record, arn, *target);
            }
            Happened::Deregistered(arn, target, was) => {
                self.mutates(state, record, Some(arn), "DeregisterTargets");
                self.deregistered(state, record, arn, *target, *was);
            }
            Happened::RouteCreated(table, block, to) => {
                self.mutates(state, record, None, "CreateRoute");
                self.route_made(state, record, table, *block, to, None);
            }
            Happened::RouteReplaced(table, block, to, from) => {
                self.mutates(state, record, None, "ReplaceRoute");
                self.route_made(state, record, table, *block, to, Some(from));
            }
            Happened::RouteDeleted(table, block, was) => {
                self.mutates(state, record, None, "DeleteRoute");
                self.route_deleted(record, table, *block, was.as_ref());
            }
            _ => {}
        }
    }

    /// What holds for every change of the world: the lock, and the brakes that people pull.
    fn mutates(&mut self, state: &State, record: &Record, arn: Option<&str>, what: &str) {
        self.mutations += 1;
        let (now, process) = (record.at, &record.process);
        let mine = |cluster: &str| {
            let lock = state.document(&Key::new(format!("lock#{cluster}"), "lock"));
            lock.is_some_and(|item| {
                let owner = item.body["owner"].as_str().unwrap_or_default();
                let until: Option<Timestamp> = item.body["until"].as_str().and_then(|t| t.parse().ok());
                owner.starts_with(&format!("{process}#")) && until.is_some_and(|until| until > now)
            })
        };
        let locked = match arn {
            Some(arn) => mine(&cluster_of(arn)),
            None => self.specs.clusters().any(mine),
        };
        if !locked {
            self.violate("W4", format!("{process}: {what} without the cluster's lock"));
        }
        let started = self.pass(record).map_or(now, |pass| pass.started);
        let before = started.checked_sub(QUERY_LAG).unwrap();
        if self.pause_since.is_some_and(|since| since < before) {
            self.violate("pause", format!("{process}: {what} while everything is paused"));
        }
        if let Some(arn) = arn {
            let specs = self.specs.since(&cluster_of(arn), before);
            if !specs.is_empty() && specs.iter().all(|s| s.spec.as_ref().is_some_and(|spec| spec.paused)) {
                self.violate("pause", format!("{process}: {what} for {arn} while its cluster is paused"));
            }
        }
    }

    fn written(&mut self, record: &Record, writes: &[Write]) {
        let now = record.at;
        if &*record.process != "operator" {
            self.writes += 1;
        }
        for write in writes {
            let (key, body) = match write {
                Write::Put { key, body, .. } => (key, Some(body)),
                Write::Delete { key, .. } => (key, None),
                Write::Check { .. } => continue,
            };
            match (key.pk.as_str(), body) {
                ("cluster", Some(body)) if key.sk.contains("#ack#") => {
                    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
                    let (cluster, what) = (text("cluster"), text("what"));
                    if let Some(target) = what.strip_prefix("ForeignTarget:") {
                        let (address, port) = target.rsplit_once(':').unwrap();
                        let target = Target { address: address.parse().unwrap(), port: port.parse().unwrap() };
                        self.handed_over.insert((cluster.clone(), target));
                    }
                    self.words.push((now, cluster, what));
                }
                ("cluster", None) if key.sk.contains("#ack#") => {}
                ("cluster", body) => self.specs.written(&key.sk, body, now),
                ("control", body) if key.sk == "pause" => {
                    self.pause_since = body.map(|_| self.pause_since.unwrap_or(now));
                }
                ("state#peering-watcher", Some(body)) => {
                    for ((arn, target), ours) in &mut self.ours {
                        ours.orphan &= cluster_of(arn) != key.sk || !targets::has_record(body, arn, *target);
                    }
                    if let Some(pass) = self.pass(record).cloned() {
                        self.tell(&key.sk, &pass, now);
                        let id = (record.process.to_string(), pass.number);
                        self.agreeing.entry(key.sk.clone()).or_default().insert(id);
                    }
                }
                ("state#peering-watcher", None) => self.state_lost(&key.sk),
                _ => {}
            }
        }
    }

    /// What a pass was told of connections by their ids is known to the cluster from now on.
    fn tell(&mut self, cluster: &str, pass: &Pass, now: Timestamp) {
        for (id, answer) in &pass.by_id {
            let key = (cluster.to_owned(), id.clone());
            match answer {
                Some(_) => self.missed.remove(&key),
                None => self.missed.insert(key.clone(), self.missed.get(&key).copied().unwrap_or(now)),
            };
        }
        for peering in pass.listed.iter().flatten() {
            self.missed.remove(&(cluster.to_owned(), peering.id.clone()));
        }
    }

    /// How many clusters there were all through the last pass of a process.
    pub(crate) fn steady_clusters(&self, process: &str) -> u64 {
        let Some(pass) = self.passes.get(process) else { return 0 };
        let since = pass.started.checked_sub(QUERY_LAG).unwrap();
        let steady = |name: &&str| {
            let versions = self.specs.since(name, since);
            let first = versions.first().is_some_and(|version| version.from < since);
            first && versions.iter().all(|version| version.record.is_some())
        };
        self.specs.clusters().filter(steady).count() as u64
    }

    pub(crate) fn acknowledged(&self, cluster: &str, what: &str) -> bool {
        self.words.iter().any(|(_, of, said)| of == cluster && said == what)
    }
}
