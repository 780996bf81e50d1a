//! What was seen, put together: the nodes, who leads them, and etcd's members.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use domain::spec::Nodes;
use jiff::Timestamp;
use ports::{InstanceState, LifecycleState};
use reach::gateway::EtcdMember;

use crate::journal::Journal;
use crate::observed::{Member, Observed, Part, Postgres, Seen};
use ports::Transition;

/// Whether a machine is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Up {
    /// On its way up.
    Starting,
    /// Up.
    Running,
    /// Shut down, or on its way there: what ran on it runs no longer or soon won't, and its disks are there still.
    Stopped,
    /// It is going or gone, as EC2 says, and its disks with it.
    Dead,
    /// EC2 did not say.
    Unknown,
}

/// A node.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    /// Its instance.
    pub id: &'a str,
    /// Where it is in its group. `None`: the group does not have it any more.
    pub state: Option<LifecycleState>,
    /// Whether its machine is up.
    pub up: Up,
    /// Its address, from EC2 or from the record of its action.
    pub address: Option<Ipv4Addr>,
    /// Its member of the Patroni cluster, as another node has it where one does.
    pub member: Option<&'a Member>,
    /// What its PostgreSQL says.
    pub postgres: Option<&'a Postgres>,
    /// Whether it receives WAL right now.
    pub streams: bool,
    /// Its member of etcd.
    pub etcd: Option<&'a EtcdMember>,
    /// Whether it is on its way out.
    pub leaves: bool,
}

impl Node<'_> {
    /// Whether it counts among those who stay.
    #[must_use]
    pub fn stays(&self) -> bool {
        let part_of_the_group = matches!(
            self.state,
            Some(LifecycleState::InService | LifecycleState::PendingWait | LifecycleState::PendingProceed)
        );
        part_of_the_group && !self.leaves && self.up == Up::Running
    }
}

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leader {
    /// This instance, under this name of Patroni's.
    Node {
        /// The instance.
        id: String,
        /// The member.
        name: String,
    },
    /// A member that is no instance of the group.
    Stranger(String),
    /// Every node that answered says that nobody does, or nothing listens on any of them.
    Nobody,
    /// The nodes say different things: something is changing hands.
    Unclear(String),
    /// No node answered.
    Unknown(String),
}

impl Leader {
    /// The instance that leads.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Node { id, .. } => Some(id),
            Self::Stranger(_) | Self::Nobody | Self::Unclear(_) | Self::Unknown(_) => None,
        }
    }
}

/// etcd, as far as its members told.
#[derive(Debug, Clone, Default)]
pub struct Etcd<'a> {
    /// All members, as agreed by a quorum in this pass.
    pub members: Vec<&'a EtcdMember>,
    /// The ids of those that answered and complained of nothing.
    pub well: BTreeSet<&'a str>,
    /// Who leads them.
    pub leader: Option<&'a str>,
}

impl<'a> Etcd<'a> {
    /// Those who vote.
    pub fn voters(&self) -> impl Iterator<Item = &'a EtcdMember> {
        self.members.iter().copied().filter(|m| !m.learner)
    }

    /// Those who don't, yet.
    pub fn learners(&self) -> impl Iterator<Item = &'a EtcdMember> {
        self.members.iter().copied().filter(|m| m.learner)
    }

    /// Whether a member runs and has nothing to complain of. A learner cannot say so: it refuses the question for the members
    /// ("rpc not supported for learner"). etcd promotes it only once it is in sync.
    #[must_use]
    pub fn is_well(&self, member: &EtcdMember) -> bool {
        member.started() && (member.learner || self.well.contains(member.id.as_str()))
    }
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Digest<'a> {
    /// The nodes, by instance.
    pub nodes: BTreeMap<&'a str, Node<'a>>,
    /// Who leads.
    pub leader: Leader,
    /// The leader's timeline.
    pub timeline: Option<u64>,
    /// Patroni is paused.
    pub paused: bool,
    /// A person's scheduled switchover.
    pub scheduled_switchover: Option<&'a str>,
    /// etcd. `None`: no member told, or the spec has none.
    pub etcd: Option<Etcd<'a>>,
    /// Why etcd is not known.
    pub etcd_trouble: String,
}

impl<'a> Digest<'a> {
    /// Puts together what was seen. `owners`: whose etcd's members are, by id, as far as that was ever seen.
    #[must_use]
    pub fn of(
        nodes: &Nodes,
        seen: &'a Observed,
        journals: &'a [Journal],
        owners: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Self {
        let etcd = nodes.etcd.as_ref().and_then(|_| etcd(seen));
        let open = || journals.iter().filter(|j| j.closed.is_none());
        let in_group = seen.group.known().map(|g| g.instances.as_slice()).unwrap_or_default();
        let ids: BTreeSet<&str> =
            in_group.iter().map(|i| i.id.as_str()).chain(open().map(|j| j.instance.as_str())).collect();
        let mut by_id = BTreeMap::new();
        for id in ids {
            let state = in_group.iter().find(|i| i.id == id).map(|i| i.state);
            let (up, told) = match seen.instances.get(id) {
                Some(Seen::Known(instance)) => (up(instance.state), instance.address),
                // EC2 tells of an ended instance for an hour, and may not tell of a young one yet.
                Some(Seen::Absent) if open().any(|j| j.instance == id && j.is_gone(now)) => (Up::Dead, None),
                Some(Seen::Absent) => (Up::Unknown, None),
                Some(Seen::Unknown(_) | Seen::NotAsked) | None => (Up::Unknown, None),
            };
            // An address may be a successor's by now.
            let of_another = |at: &Ipv4Addr| {
                seen.instances.iter().any(|(other, i)| other != id && i.known().is_some_and(|i| i.address == Some(*at)))
            };
            let kept = || open().find(|j| j.instance == id).and_then(|j| j.private_ip).filter(|at| !of_another(at));
            let address = told.or_else(kept);
            let leaves = matches!(
                state,
                Some(
                    LifecycleState::Terminating
                        | LifecycleState::TerminatingWait
                        | LifecycleState::TerminatingProceed
                        | LifecycleState::TerminatingRetained
                        | LifecycleState::Terminated
                ) | None
            ) || open().any(|j| j.instance == id && j.transition == Transition::Terminate);
            let member = address.and_then(|address| member(seen, id, address));
            // An address may be a dead node's, handed out again, and a terminated instance has none: who was seen to run a member
            // owns it.
            // What a member says of itself comes before both: its peers may know it by a name and by no address.
            let itself = seen.etcd.get(id).and_then(Seen::known).map(|view| view.status.member_id.as_str());
            let etcd = etcd.as_ref().and_then(|etcd| {
                let of = |member: &EtcdMember| owners.get(&member.id).map(String::as_str);
                let is_it = |member: &EtcdMember| itself == Some(member.id.as_str());
                let owned = etcd.members.iter().copied().find(|member| is_it(member));
                let owned = owned.or_else(|| etcd.members.iter().copied().find(|member| of(member) == Some(id)));
                let at = |member: &EtcdMember| of(member).is_none() && address.is_some_and(|a| member.is_at(a));
                owned.or_else(|| etcd.members.iter().copied().find(|member| at(member)))
            });
            let streams = false;
            by_id.insert(
                id,
                Node { id, state, up, address, member, postgres: seen.postgres(id), streams, etcd, leaves },
            );
        }
        let leader = leader(seen, &by_id);
        let leading = leader.id().and_then(|id| seen.postgres(id));
        for node in by_id.values_mut() {
            let said = node.member.zip(node.postgres);
            node.streams = said.is_some_and(|(member, postgres)| member.streams(postgres, leading));
        }
        let topologies = || seen.topologies.values().filter_map(Seen::known);
        let timeline = leader
            .id()
            .and_then(|id| by_id.get(id))
            .and_then(|node| node.postgres.and_then(|pg| pg.timeline).or(node.member.and_then(|m| m.timeline)));
        let etcd_trouble = seen.etcd.values().filter_map(Seen::trouble).next().unwrap_or("no member was asked");
        Self {
            nodes: by_id,
            leader,
            timeline,
            paused: topologies().any(|t| t.paused),
            scheduled_switchover: topologies().find_map(|t| t.scheduled_switchover.as_deref()),
            etcd,
            etcd_trouble: etcd_trouble.to_owned(),
        }
    }

    /// A node.
    #[must_use]
    pub fn node(&self, id: &str) -> Option<&Node<'a>> {
        self.nodes.get(id)
    }

    /// Voters of etcd of which it is not known on which instance they run.
    #[must_use]
    pub fn unplaced_voter(&self, owners: &BTreeMap<String, String>) -> Option<&'a EtcdMember> {
        let placed = |m: &EtcdMember| self.nodes.values().any(|node| node.etcd.is_some_and(|own| own.id == m.id));
        self.etcd.as_ref()?.voters().find(|member| !placed(member) && !owners.contains_key(&member.id))
    }

    /// The node that leads.
    #[must_use]
    pub fn leading(&self) -> Option<&Node<'a>> {
        self.leader.id().and_then(|id| self.node(id))
    }

    /// Whether the node that holds the lock runs and says itself that it leads.
    #[must_use]
    pub fn is_led(&self) -> bool {
        let says = |node: &Node<'_>| node.up == Up::Running && node.postgres.is_some_and(|pg| pg.leads && !pg.cut_off);
        self.leading().is_some_and(says)
    }

    /// Whether a node leads, or thinks that it does.
    #[must_use]
    pub fn leads(&self, id: &str) -> bool {
        self.leader.id() == Some(id) || self.node(id).is_some_and(|node| node.postgres.is_some_and(|pg| pg.leads))
    }

    /// Standbys that stay, follow the leader's timeline and stream, other than `but`.
    #[must_use]
    pub fn streaming(&self, but: &str) -> Vec<&Node<'a>> {
        let leader = self.leader.id();
        self.nodes
            .values()
            .filter(|node| node.id != but && Some(node.id) != leader && node.stays())
            .filter(|node| self.follows(node))
            .collect()
    }

    /// Whether a standby streams on the leader's timeline.
    #[must_use]
    pub fn follows(&self, node: &Node<'a>) -> bool {
        let Some(member) = node.member.filter(|m| matches!(m.part, Part::Replica { .. })) else {
            return false;
        };
        let timeline = node.postgres.and_then(|pg| pg.timeline).or(member.timeline);
        let runs = node.postgres.is_some_and(|pg| !pg.leads && pg.state == "running");
        node.streams && runs && timeline.is_some() && timeline == self.timeline
    }

    /// By how many bytes a standby's replay is behind the leader, both positions read in this pass. `None`: not known.
    #[must_use]
    pub fn lag(&self, node: &Node<'a>) -> Option<u64> {
        let written = self.leading()?.postgres?.written?;
        Some(written.saturating_sub(node.postgres?.replayed?))
    }
}

fn up(state: InstanceState) -> Up {
    match state {
        InstanceState::Pending => Up::Starting,
        InstanceState::Running => Up::Running,
        InstanceState::Stopping | InstanceState::Stopped => Up::Stopped,
        InstanceState::ShuttingDown | InstanceState::Terminated => Up::Dead,
        InstanceState::Unrecognized => Up::Unknown,
    }
}

/// The member at an address, as another node has it, or the node itself where no other answered.
fn member<'a>(seen: &'a Observed, id: &str, address: Ipv4Addr) -> Option<&'a Member> {
    let others = seen.topologies.iter().filter(|(asked, _)| asked.as_str() != id);
    let own = seen.topologies.iter().filter(|(asked, _)| asked.as_str() == id);
    others.chain(own).filter_map(|(_, topology)| topology.known()).find_map(|topology| topology.at(address))
}

fn leader(seen: &Observed, nodes: &BTreeMap<&str, Node<'_>>) -> Leader {
    // Who lost the way to the DCS speaks of the past.
    let cut_off = |id: &str| seen.postgres(id).is_some_and(|pg| pg.cut_off);
    let known: Vec<_> = seen
        .topologies
        .iter()
        .filter(|(id, _)| !cut_off(id))
        .filter_map(|(id, topology)| topology.known().map(|t| (id.as_str(), t)))
        .collect();
    if known.is_empty() {
        // Where every machine that is up says that nothing listens, nobody leads.
        if !seen.topologies.is_empty() && seen.topologies.values().all(|t| *t == Seen::Absent) {
            return Leader::Nobody;
        }
        let why = seen.topologies.values().filter_map(Seen::trouble).next().unwrap_or("no node was asked");
        return Leader::Unknown(why.to_owned());
    }
    let named: BTreeSet<Option<&str>> = known.iter().map(|(_, t)| t.leader().map(|m| m.name.as_str())).collect();
    let mut names = named.iter();
    let (Some(first), None) = (names.next(), names.next()) else {
        let said: Vec<String> = known
            .iter()
            .map(|(id, t)| format!("{id} says {}", t.leader().map_or("nobody", |m| m.name.as_str())))
            .collect();
        return Leader::Unclear(said.join(", "));
    };
    let Some(name) = first else {
        let unclear = known.iter().flat_map(|(_, t)| &t.members).find(|m| m.part == Part::Other);
        return match unclear {
            Some(member) => Leader::Unclear(format!("{} has a role that is not known, and may lead", member.name)),
            None => Leader::Nobody,
        };
    };
    let address = known.iter().find_map(|(_, t)| t.leader().and_then(|m| m.address));
    let node = address.and_then(|address| nodes.values().find(|n| n.address == Some(address)));
    let Some(node) = node else { return Leader::Stranger((*name).to_owned()) };
    let usurper = nodes.values().find(|n| n.id != node.id && n.postgres.is_some_and(|pg| pg.leads && !pg.cut_off));
    if let Some(usurper) = usurper {
        return Leader::Unclear(format!("{name} holds the lock, and {} says that it leads", usurper.id));
    }
    if node.up == Up::Running && node.postgres.is_some_and(|pg| !pg.leads) {
        return Leader::Unclear(format!("{name} holds the lock, and does not say that it leads"));
    }
    Leader::Node { id: node.id.to_owned(), name: (*name).to_owned() }
}

fn etcd(seen: &Observed) -> Option<Etcd<'_>> {
    let known: Vec<_> = seen.etcd.values().filter_map(Seen::known).collect();
    // The list that was agreed upon last: a change of members is an entry of the log.
    let newest = known.iter().max_by_key(|view| view.status.raft_index)?;
    let well = known.iter().filter(|view| view.status.errors.is_empty() && view.status.leader_id.is_some());
    let leader =
        known.iter().max_by_key(|view| view.status.raft_term).and_then(|view| view.status.leader_id.as_deref());
    Some(Etcd {
        members: newest.members.iter().collect(),
        well: well.map(|view| view.status.member_id.as_str()).collect(),
        leader,
    })
}
