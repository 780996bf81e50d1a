//! A cluster of three nodes, as seen: i-1 leads, i-2 and i-3 follow, each with PostgreSQL and a voter of etcd.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use asg_lifecycle::action::{Action, START_TAG};
use asg_lifecycle::event::Hint;
use asg_lifecycle::journal::Journal;
use asg_lifecycle::observed::{Member, Observed, Part, Postgres, Seen, Settings, Targets, Topology};
use asg_lifecycle::plan::{Plan, View, plan};
use asg_lifecycle::state::LifecycleState as State;
use domain::reason::Reason;
use domain::spec::{Nodes, validate};
use jiff::{SignedDuration, Timestamp};
use ports::{
    CommandState, Group, GroupInstance, Health, Hook, HookResult, Instance, InstanceState, LifecycleState, NodeTarget,
    NodeTargetGroup, NodeTargetHealth, TargetKind, Transition,
};
use reach::gateway::{EtcdMember, EtcdStatus, EtcdView};
use serde_json::{Value, json};

pub(crate) const WRITERS: &str =
    "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/acme-w/0000000000000001";
pub(crate) const READERS: &str =
    "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/acme-r/0000000000000002";

/// What is seen, what is kept, and what the spec says. Everything may be changed before a look.
pub(crate) struct World {
    pub(crate) nodes: Nodes,
    /// The spec asks for restore points.
    pub(crate) has_snapshots: bool,
    pub(crate) seen: Observed,
    pub(crate) state: State,
    pub(crate) new: bool,
    pub(crate) journals: Vec<Journal>,
    pub(crate) unreadable: bool,
    pub(crate) hints: Vec<Hint>,
    pub(crate) acknowledged: BTreeSet<String>,
    pub(crate) held: Option<Reason>,
    pub(crate) now: Timestamp,
}

pub(crate) fn nodes(change: impl FnOnce(&mut Value)) -> Nodes {
    let mut spec = json!({"name": "acme", "nodes": {
        "asg": "acme-pg", "hooks": {"launch": "acme-launch", "terminate": "acme-terminate"},
        "patroni": {"scope": "acme"}, "etcd": {},
        "target_groups": [{"arn": WRITERS, "role": "writer"}, {"arn": READERS, "role": "reader"}],
        "volumes": {"source": "none"}}});
    change(&mut spec["nodes"]);
    validate(&spec).unwrap_or_else(|problems| panic!("{problems:#?}")).nodes.unwrap()
}

pub(crate) fn address(id: &str) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, id.trim_start_matches("i-").parse().unwrap())
}

pub(crate) fn name(id: &str) -> String {
    id.replace("i-", "pg")
}

fn member(id: &str, part: Part) -> Member {
    let state = if part == Part::Leader { "running" } else { "streaming" };
    Member {
        name: name(id),
        address: Some(address(id)),
        port: Some(5432),
        part,
        state: state.to_owned(),
        timeline: Some(3),
        nofailover: false,
    }
}

pub(crate) fn voter(id: &str) -> EtcdMember {
    EtcdMember {
        id: format!("9{}", id.trim_start_matches("i-")),
        name: name(id),
        peer_urls: vec![format!("http://{}:2380", address(id))],
        client_urls: vec![format!("http://{}:2379", address(id))],
        learner: false,
    }
}

impl World {
    /// Three nodes at rest.
    pub(crate) fn at_rest() -> Self {
        let mut world = Self {
            nodes: nodes(|_| {}),
            has_snapshots: false,
            seen: Observed::default(),
            state: State { system: Some("7268616322854375442".to_owned()), ..State::default() },
            new: false,
            journals: Vec::new(),
            unreadable: false,
            hints: Vec::new(),
            acknowledged: BTreeSet::new(),
            held: None,
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
        };
        world.seen.group = Seen::Known(Group {
            name: "acme-pg".to_owned(),
            desired: 3,
            instances: Vec::new(),
            attached: Vec::new(),
            retains: true,
            suspended: BTreeSet::new(),
            warm_pool: false,
            spot: false,
            deleting: false,
        });
        let hook = |name: &str, transition, default| Hook {
            name: name.to_owned(),
            transition: Some(transition),
            heartbeat: Duration::from_secs(900),
            global: Duration::from_secs(90_000),
            default,
        };
        world.seen.has_restore_points = Seen::Known(false);
        world.seen.hooks = Seen::Known(vec![
            hook("acme-launch", Transition::Launch, HookResult::Continue),
            hook("acme-terminate", Transition::Terminate, HookResult::Abandon),
        ]);
        world.seen.settings = Seen::Known(Settings { ttl: 30, loop_wait: 10, synchronous: false, strict: false });
        for arn in [WRITERS, READERS] {
            let group = NodeTargetGroup { kind: TargetKind::Instance, drain: Duration::from_secs(30) };
            world.seen.targets.insert(arn.to_owned(), Seen::Known(Targets { group, targets: Vec::new() }));
        }
        for id in ["i-1", "i-2", "i-3"] {
            world.add(id, LifecycleState::InService);
            world.runs(id, Part::Replica { synchronous: false });
            world.registered(id);
            world.votes(id);
        }
        world.leads("i-1");
        world.group().instances[0].protected = true;
        world.state.protected = Some("i-1".to_owned());
        // What the first look learns is learnt.
        world.state = world.look().state;
        world
    }

    pub(crate) fn group(&mut self) -> &mut Group {
        match &mut self.seen.group {
            Seen::Known(group) => group,
            other => panic!("{other:?}"),
        }
    }

    /// A machine in the group, with its grant.
    pub(crate) fn add(&mut self, id: &str, state: LifecycleState) {
        let zone = "eu-central-1a".to_owned();
        self.group().instances.push(GroupInstance { id: id.to_owned(), state, healthy: true, protected: false, zone });
        let tags = BTreeMap::from([(START_TAG.to_owned(), "join".to_owned())]);
        let state = InstanceState::Running;
        let instance = Instance { id: id.to_owned(), state, address: Some(address(id)), tags, spot: false };
        self.seen.instances.insert(id.to_owned(), Seen::Known(instance));
    }

    pub(crate) fn instance(&mut self, id: &str) -> &mut Instance {
        match self.seen.instances.get_mut(id) {
            Some(Seen::Known(instance)) => instance,
            other => panic!("{other:?}"),
        }
    }

    /// Patroni and PostgreSQL run on it.
    pub(crate) fn runs(&mut self, id: &str, part: Part) {
        let leads = part == Part::Leader;
        let postgres = Postgres {
            leads,
            state: "running".to_owned(),
            written: Some(1_000_000),
            replayed: Some(1_000_000),
            replayed_at: None,
            timeline: Some(3),
            streams: (!leads).then_some(true),
            receivers: None,
            system: Some("7268616322854375442".to_owned()),
            cut_off: false,
        };
        self.seen.postgres.insert(id.to_owned(), Seen::Known(postgres));
        let mut members: Vec<Member> = self.topology().map(|t| t.members.clone()).unwrap_or_default();
        members.retain(|m| m.address != Some(address(id)));
        members.push(member(id, part));
        members.sort_by(|a, b| a.name.cmp(&b.name));
        let topology = Topology { members, ..self.topology().cloned().unwrap_or_default() };
        self.seen.topologies.insert(id.to_owned(), Seen::Known(topology.clone()));
        for known in self.seen.topologies.values_mut() {
            *known = Seen::Known(topology.clone());
        }
    }

    fn topology(&self) -> Option<&Topology> {
        self.seen.topologies.values().find_map(Seen::known)
    }

    pub(crate) fn topologies(&mut self, change: impl Fn(&mut Topology)) {
        for topology in self.seen.topologies.values_mut() {
            if let Seen::Known(topology) = topology {
                change(topology);
            }
        }
    }

    pub(crate) fn postgres(&mut self, id: &str) -> &mut Postgres {
        match self.seen.postgres.get_mut(id) {
            Some(Seen::Known(postgres)) => postgres,
            other => panic!("{other:?}"),
        }
    }

    /// It leads, and nobody else.
    pub(crate) fn leads(&mut self, id: &str) {
        let others: Vec<String> = self.seen.postgres.keys().filter(|other| *other != id).cloned().collect();
        for other in others {
            self.runs(&other, Part::Replica { synchronous: false });
        }
        self.runs(id, Part::Leader);
    }

    /// Its Patroni and PostgreSQL have stopped, and its member's key has run out.
    pub(crate) fn stopped(&mut self, id: &str) {
        self.seen.postgres.insert(id.to_owned(), Seen::Absent);
        self.seen.topologies.insert(id.to_owned(), Seen::Absent);
        let at = Some(address(id));
        self.topologies(|t| t.members.retain(|m| m.address != at));
    }

    pub(crate) fn targets(&mut self, arn: &str) -> &mut Vec<NodeTargetHealth> {
        match self.seen.targets.get_mut(arn) {
            Some(Seen::Known(targets)) => &mut targets.targets,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn registered(&mut self, id: &str) {
        for arn in [WRITERS, READERS] {
            let target = NodeTarget { id: id.to_owned(), port: 5432 };
            self.targets(arn).push(NodeTargetHealth { target, health: Health::Healthy });
        }
    }

    pub(crate) fn deregistered(&mut self, id: &str) {
        for arn in [WRITERS, READERS] {
            self.targets(arn).retain(|t| t.target.id != id);
        }
    }

    /// It has a voter of etcd, well.
    pub(crate) fn votes(&mut self, id: &str) {
        let mut members = self.members();
        members.push(voter(id));
        let status = EtcdStatus {
            member_id: voter(id).id,
            leader_id: Some(voter("i-1").id),
            raft_index: 100,
            raft_term: 7,
            learner: false,
            version: "3.5.28".to_owned(),
            errors: Vec::new(),
        };
        self.seen.etcd.insert(id.to_owned(), Seen::Known(EtcdView { status, members: Vec::new() }));
        self.set_members(members);
    }

    pub(crate) fn members(&self) -> Vec<EtcdMember> {
        self.seen.etcd.values().find_map(Seen::known).map(|view| view.members.clone()).unwrap_or_default()
    }

    pub(crate) fn set_members(&mut self, members: Vec<EtcdMember>) {
        for view in self.seen.etcd.values_mut() {
            if let Seen::Known(view) = view {
                view.members.clone_from(&members);
            }
        }
    }

    /// Its member is out of the list.
    pub(crate) fn removed(&mut self, id: &str) {
        let rest = self.members().into_iter().filter(|m| m.id != voter(id).id).collect();
        self.seen.etcd.insert(id.to_owned(), Seen::Absent);
        self.set_members(rest);
    }

    pub(crate) fn state_of(&mut self, id: &str, state: LifecycleState) {
        self.group().instances.iter_mut().find(|i| i.id == id).unwrap().state = state;
    }

    /// The group lets go of it.
    pub(crate) fn terminating(&mut self, id: &str) {
        self.state_of(id, LifecycleState::TerminatingWait);
    }

    pub(crate) fn machine(&mut self, id: &str, state: InstanceState) {
        self.instance(id).state = state;
        if state != InstanceState::Running {
            self.seen.postgres.remove(id);
            self.seen.topologies.remove(id);
            self.seen.etcd.remove(id);
        }
    }

    pub(crate) fn says(&mut self, id: &str, command: CommandState) {
        self.seen.commands.insert(id.to_owned(), Seen::Known(command));
    }

    pub(crate) fn after(&mut self, seconds: i64) -> &mut Self {
        self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        self
    }

    pub(crate) fn look(&self) -> Plan {
        let view = View {
            name: "acme",
            nodes: &self.nodes,
            has_snapshots: self.has_snapshots,
            state: &self.state,
            state_is_new: self.new,
            journals: &self.journals,
            unreadable: self.unreadable,
            hints: &self.hints,
            acknowledged: &self.acknowledged,
            held: self.held,
            brake_holds: false,
        };
        plan(&view, &self.seen, self.now)
    }

    /// Looks, and keeps what the plan keeps. Gives the actions, heartbeats left out.
    pub(crate) fn step(&mut self) -> Vec<Action> {
        let plan = self.look();
        self.state = plan.state;
        self.journals = plan.journals.into_iter().filter(|j| j.closed.is_none()).collect();
        plan.actions.into_iter().filter(|a| !matches!(a, Action::Heartbeat(_))).collect()
    }

    /// The names of what a step does.
    pub(crate) fn does(&mut self) -> Vec<&'static str> {
        self.step().iter().map(Action::name).collect()
    }

    /// The reason of `NodesSettled`.
    pub(crate) fn reason(&self) -> Reason {
        self.look().state.conditions[&domain::condition::ConditionKind::NodesSettled].reason
    }

    pub(crate) fn journal(&mut self, id: &str) -> &mut Journal {
        self.journals.iter_mut().find(|j| j.instance == id).unwrap()
    }
}
