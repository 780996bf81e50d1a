//! What stands for Patroni and etcd on the nodes: a script that tests write, and servers that answer by it, each at an address of
//! its own. Shapes and texts are those of Patroni 4.1 (`docs/rest_api.rst`, `api.py`) and etcd 3.5 (its JSON gateway).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::{Value, json};
use stack::LocalAddress;

use crate::host::{ETCD, Host, LOOK, PATRONI, Request};

/// The system identifier of the cluster's databases.
pub(crate) const SYSTEM: &str = "7268616322854375442";

/// A cluster that does what its [`Script`] says.
pub(crate) struct Cluster {
    script: Arc<Mutex<Script>>,
    hosts: BTreeMap<Ipv4Addr, Host>,
}

/// How the cluster stands, and what was asked of it.
pub(crate) struct Script {
    /// The nodes on which something runs.
    pub(crate) up: BTreeSet<Ipv4Addr>,
    /// Patroni's members.
    pub(crate) members: BTreeMap<Ipv4Addr, Member>,
    /// Who holds the leader's lock.
    pub(crate) leader: Option<Ipv4Addr>,
    pub(crate) timeline: u64,
    /// How far the leader has written, in bytes.
    pub(crate) written: u64,
    /// It follows another cluster.
    pub(crate) standby: bool,
    /// The dynamic configuration.
    pub(crate) config: Value,
    /// What more `GET /cluster` says: `pause`, `scheduled_switchover`.
    pub(crate) more: Value,
    /// What comes of an order to switch over.
    pub(crate) handover: Handover,
    /// What an order must show in `Authorization`.
    pub(crate) authorization: Option<String>,
    /// etcd's members, voters and learners.
    pub(crate) voters: Vec<Voter>,
    /// Learners catch up as soon as they start.
    pub(crate) syncs: bool,
    /// The number of the last entry in etcd's log.
    index: u64,
    /// Every order, in its order: `switchover pg-1 to pg-2`, `reinitialize pg-2`, `add 10.1.0.5`, `promote 4`, `remove 1`, `move to 2`.
    pub(crate) orders: Vec<String>,
}

/// A member of Patroni's.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Patroni's word for it.
    pub(crate) state: String,
    /// How far it is behind, in bytes.
    pub(crate) lag: u64,
    pub(crate) tags: Value,
    /// Commits wait for it.
    pub(crate) synchronous: bool,
    /// The system identifier of its data.
    pub(crate) system: String,
    /// Its timeline, where that is not the leader's.
    pub(crate) timeline: Option<u64>,
}

/// A member of etcd's.
#[derive(Debug, Clone)]
pub(crate) struct Voter {
    pub(crate) id: u64,
    /// Empty until it has started.
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) learner: bool,
    /// A learner that has caught up.
    pub(crate) in_sync: bool,
}

/// What comes of `POST /switchover`.
#[derive(Debug, Clone)]
pub(crate) enum Handover {
    /// It is done, and so the answer says.
    Obeyed,
    /// It is done, and the standbys do not follow.
    Alone,
    /// It is done, and the answer says something else.
    DoneBut(u16, &'static str),
    /// It is not done.
    Refused(u16, &'static str),
}

/// An answer over HTTP: status and body.
pub(crate) type Reply = (u16, String);

impl Script {
    fn new() -> Self {
        Self {
            up: BTreeSet::new(),
            members: BTreeMap::new(),
            leader: None,
            timeline: 1,
            written: 67_395_656,
            standby: false,
            config: json!({"ttl": 30, "loop_wait": 10, "retry_timeout": 10, "maximum_lag_on_failover": 1_048_576}),
            more: json!({}),
            handover: Handover::Obeyed,
            authorization: None,
            voters: Vec::new(),
            syncs: true,
            index: 1,
            orders: Vec::new(),
        }
    }

    /// The node of that member leads from now on, on a new timeline.
    pub(crate) fn leads(&mut self, address: Ipv4Addr) {
        if let Some(old) = self.leader.and_then(|old| self.members.get_mut(&old)) {
            "streaming".clone_into(&mut old.state);
        }
        self.leader = Some(address);
        self.timeline += 1;
        "running".clone_into(&mut self.members.get_mut(&address).unwrap().state);
    }

    /// The member of etcd at an address.
    pub(crate) fn voter(&self, address: Ipv4Addr) -> Option<&Voter> {
        self.voters.iter().find(|voter| voter.address == address)
    }

    /// Patroni's answer on that node.
    pub(crate) fn patroni(&mut self, address: Ipv4Addr, request: &Request) -> Reply {
        let json = |value: Value| (200, value.to_string());
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/cluster") => json(self.topology()),
            ("GET", "/config") => json(self.config.clone()),
            ("GET", "/patroni") => json(self.node(address)),
            ("POST", "/switchover") => self.switch_over(request),
            ("POST", "/reinitialize") => self.reinitialize(address, request),
            _ => (404, String::new()),
        }
    }

    fn topology(&self) -> Value {
        let members = self.members.iter().map(|(address, member)| {
            let leads = self.leader == Some(*address);
            let role = match (leads, member.synchronous) {
                (true, _) if self.standby => "standby_leader",
                (true, _) => "leader",
                (false, true) => "sync_standby",
                (false, false) => "replica",
            };
            let mut shown = json!({"name": member.name, "role": role, "state": member.state, "host": address, "port": 5432,
                "api_url": format!("http://{address}:{PATRONI}/patroni"), "timeline": member.timeline.unwrap_or(self.timeline), "tags": member.tags});
            if !leads {
                shown["lag"] = member.lag.into();
            }
            shown
        });
        let mut shown = json!({"members": members.collect::<Vec<_>>(), "scope": "acme"});
        for (name, value) in self.more.as_object().unwrap() {
            shown[name] = value.clone();
        }
        shown
    }

    fn node(&self, address: Ipv4Addr) -> Value {
        let Some(member) = self.members.get(&address) else {
            return json!({"state": "starting", "role": "uninitialized", "patroni": {"version": "4.1.4", "scope": "acme"}});
        };
        let mut shown = json!({"state": "running", "timeline": member.timeline.unwrap_or(self.timeline), "server_version": 150_004,
            "dcs_last_seen": 1_692_356_718, "database_system_identifier": member.system,
            "patroni": {"version": "4.1.4", "scope": "acme", "name": member.name}});
        if self.leader == Some(address) {
            shown["role"] = (if self.standby { "standby_leader" } else { "primary" }).into();
            shown["xlog"] = json!({"location": self.written});
        } else {
            let at = self.written - member.lag;
            shown["role"] = "replica".into();
            shown["xlog"] =
                json!({"received_location": at, "replayed_location": at, "replayed_timestamp": null, "paused": false});
            shown["replication_state"] = member.state.clone().into();
            if !["streaming", "running"].contains(&member.state.as_str()) {
                shown["state"] = member.state.clone().into();
                shown.as_object_mut().unwrap().remove("replication_state");
            }
        }
        shown
    }

    fn switch_over(&mut self, request: &Request) -> Reply {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let named = |field: &str| body[field].as_str().unwrap().to_owned();
        let (from, to) = (named("leader"), named("candidate"));
        self.orders.push(format!("switchover {from} to {to}"));
        if self.authorization.as_deref().is_some_and(|wanted| request.authorization != wanted) {
            return (401, "not authenticated".to_owned());
        }
        if let Handover::Refused(status, text) = self.handover {
            return (status, text.to_owned());
        }
        let leader = self.leader.and_then(|leader| self.members.get(&leader));
        if leader.is_none_or(|leader| leader.name != from) {
            return (412, "leader name does not match".to_owned());
        }
        let candidate = self.members.iter().find(|(_, member)| member.name == to).map(|(address, _)| *address);
        self.leads(candidate.unwrap());
        if matches!(self.handover, Handover::Alone) {
            let leader = self.leader;
            let others = self.members.iter_mut().filter(|(address, _)| Some(**address) != leader);
            others.for_each(|(_, member)| "starting".clone_into(&mut member.state));
        }
        match self.handover {
            Handover::DoneBut(status, text) => (status, text.to_owned()),
            _ => (200, format!("Successfully switched over to \"{to}\"")),
        }
    }

    /// Its data is gone, and it copies the leader until a test says otherwise.
    fn reinitialize(&mut self, address: Ipv4Addr, request: &Request) -> Reply {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(body, json!({"force": false}));
        let leads = self.leader == Some(address);
        let unlocked = self.leader.is_none();
        let member = self.members.get_mut(&address).unwrap();
        self.orders.push(format!("reinitialize {}", member.name));
        if self.authorization.as_deref().is_some_and(|wanted| request.authorization != wanted) {
            return (401, "not authenticated".to_owned());
        }
        if unlocked {
            return (503, "Cluster has no leader, can not reinitialize".to_owned());
        }
        if leads {
            return (503, "I am the leader, can not reinitialize".to_owned());
        }
        if member.state == "creating replica" {
            return (503, "reinitialize already in progress".to_owned());
        }
        "creating replica".clone_into(&mut member.state);
        (200, "reinitialize started".to_owned())
    }

    /// etcd's answer on that node.
    pub(crate) fn etcd(&mut self, address: Ipv4Addr, request: &Request) -> Reply {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let id = |field: &str| body[field].as_str().and_then(|text| text.parse::<u64>().ok());
        let own = self.voter(address).unwrap().clone();
        let first = self.voters.iter().find(|voter| !voter.learner).map_or(0, |voter| voter.id);
        let header = json!({"cluster_id": "1", "member_id": own.id.to_string(), "raft_term": "2"});
        let refused = |code: u64, text: &str| {
            let text = format!("etcdserver: {text}");
            (if code == 5 { 404 } else { 400 }, json!({"error": text, "code": code, "message": text}).to_string())
        };
        let ok = |value: Value| (200, value.to_string());
        match request.path.as_str() {
            "/v3/maintenance/status" => ok(json!({"header": header, "version": "3.5.16", "dbSize": "20480",
                "leader": first.to_string(), "raftIndex": self.index.to_string(), "raftTerm": "2", "isLearner": own.learner})),
            "/v3/cluster/member/list" if own.learner => refused(14, "rpc not supported for learner"),
            "/v3/cluster/member/list" => ok(self.listed(&header)),
            "/v3/cluster/member/add" => {
                let url = body["peerURLs"][0].as_str().unwrap();
                let address: Ipv4Addr =
                    url.strip_prefix("http://").unwrap().split(':').next().unwrap().parse().unwrap();
                self.orders.push(format!("add {address}"));
                if self.voters.iter().any(|voter| voter.learner) {
                    return refused(9, "too many learner members in cluster");
                }
                if self.voters.iter().any(|voter| !self.up.contains(&voter.address)) {
                    return refused(14, "unhealthy cluster");
                }
                self.index += 1;
                let id = 1000 + self.index;
                // On a node that runs already its service finds the member, and starts etcd.
                let name = self.members.get(&address).map(|member| member.name.clone());
                let in_sync = name.is_some() && self.syncs;
                self.voters.push(Voter { id, name: name.unwrap_or_default(), address, learner: true, in_sync });
                ok(self.listed(&header))
            }
            "/v3/cluster/member/promote" => {
                let id = id("ID").unwrap();
                self.orders.push(format!("promote {id}"));
                let Some(voter) = self.voters.iter_mut().find(|voter| voter.id == id) else {
                    return refused(5, "member not found");
                };
                if !voter.in_sync {
                    return refused(9, "can only promote a learner member which is in sync with leader");
                }
                voter.learner = false;
                self.index += 1;
                ok(self.listed(&header))
            }
            "/v3/cluster/member/remove" => {
                let id = id("ID").unwrap();
                self.orders.push(format!("remove {id}"));
                if !self.voters.iter().any(|voter| voter.id == id) {
                    return refused(5, "member not found");
                }
                self.voters.retain(|voter| voter.id != id);
                self.index += 1;
                ok(self.listed(&header))
            }
            "/v3/maintenance/transfer-leadership" => {
                let id = id("targetID").unwrap();
                self.orders.push(format!("move to {id}"));
                // Who leads is the first of the list.
                let at = self.voters.iter().position(|voter| voter.id == id).unwrap();
                self.voters.swap(0, at);
                ok(json!({}))
            }
            other => panic!("nobody asks etcd for {other}"),
        }
    }

    fn listed(&self, header: &Value) -> Value {
        let members = self.voters.iter().map(|voter| {
            let mut shown = json!({"ID": voter.id.to_string(), "peerURLs": [format!("http://{}:2380", voter.address)]});
            if !voter.name.is_empty() {
                shown["name"] = voter.name.clone().into();
                shown["clientURLs"] = json!([format!("http://{}:{ETCD}", voter.address)]);
            }
            if voter.learner {
                shown["isLearner"] = true.into();
            }
            shown
        });
        json!({"header": header, "members": members.collect::<Vec<_>>()})
    }
}

impl Cluster {
    /// One in which nothing runs.
    pub(crate) fn new() -> Self {
        Self { script: Arc::new(Mutex::new(Script::new())), hosts: BTreeMap::new() }
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        lock(&self.script)
    }

    /// One more host in `10.<net>.0.0/16`, on which nothing runs yet. `number` tells its folder from others'.
    pub(crate) fn host(&mut self, net: u8, number: usize) -> Ipv4Addr {
        let host = Host::new(LocalAddress::in_net(net).unwrap(), number, &self.script);
        let address = host.address.ip();
        self.hosts.insert(address, host);
        address
    }

    /// Where the scripts of a host run, and with what before the system's programs.
    pub(crate) fn folder(&self, address: Ipv4Addr) -> String {
        self.hosts[&address].folder.display().to_string()
    }

    /// Patroni runs on this host, and etcd if it is a member. The first one leads.
    pub(crate) fn boot(&self, address: Ipv4Addr, name: &str) {
        {
            let mut script = self.script();
            if script.members.is_empty() {
                script.leader = Some(address);
                script.voters.push(Voter { id: 1, name: name.to_owned(), address, learner: false, in_sync: true });
            }
            let state = if script.leader == Some(address) { "running" } else { "streaming" };
            let member = Member {
                name: name.to_owned(),
                state: state.to_owned(),
                lag: 0,
                tags: json!({}),
                synchronous: false,
                system: SYSTEM.to_owned(),
                timeline: None,
            };
            script.members.insert(address, member);
            let syncs = script.syncs;
            if let Some(voter) = script.voters.iter_mut().find(|voter| voter.address == address) {
                (voter.name, voter.in_sync) = (name.to_owned(), syncs);
            }
            script.up.insert(address);
        }
        self.reaches(address, PATRONI, true);
    }

    /// Nothing runs on this host any more. Its member is forgotten as after Patroni's `ttl`, and the lock is free.
    pub(crate) fn down(&self, address: Ipv4Addr) {
        {
            let mut script = self.script();
            script.up.remove(&address);
            script.members.remove(&address);
            if script.leader == Some(address) {
                script.leader = None;
            }
        }
        self.reaches(address, PATRONI, false);
        self.reaches(address, ETCD, false);
    }

    fn reaches(&self, address: Ipv4Addr, port: u16, wanted: bool) {
        while TcpStream::connect((address, port)).is_ok() != wanted {
            thread::sleep(LOOK);
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
