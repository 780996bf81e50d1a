//! Which node a restore point is taken from: a standby that follows well, one that no commit waits for first, and the leader where
//! there is none. Never a node that is being made or is on its way out.

use domain::spec::Nodes;
use domain::spec::snapshots::{Consistency, Snapshots};
use ports::LifecycleState;
use reach::nodes::{Part, Postgres, Seen, Topology};

use crate::observed::Observed;

/// A node that can be taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its instance.
    pub instance: String,
    /// Whether it leads.
    pub leads: bool,
    /// Whether commits wait for it.
    pub synchronous: bool,
    /// The port that its PostgreSQL listens on, where Patroni says.
    pub port: Option<u16>,
}

/// The nodes that can be taken from, the best first.
///
/// # Errors
/// There is none: what is known of each node.
pub fn candidates(spec: &Snapshots, nodes: &Nodes, seen: &Observed) -> Result<Vec<Candidate>, String> {
    let group = match &seen.group {
        Seen::Known(group) => group,
        Seen::Absent => return Err(format!("there is no Auto Scaling group {}", nodes.asg)),
        other => return Err(other.trouble().unwrap_or("the Auto Scaling group is not known").to_owned()),
    };
    let in_service = group.instances.iter().filter(|instance| instance.state == LifecycleState::InService);
    let ids: Vec<&str> = in_service.map(|instance| instance.id.as_str()).collect();
    let postgres = |id: &str| seen.looked.postgres.get(id).and_then(Seen::known);
    let leaders: Vec<&str> = seen
        .looked
        .postgres
        .iter()
        .filter(|(_, pg)| pg.known().is_some_and(leads))
        .map(|(id, _)| id.as_str())
        .collect();
    let leader = match leaders.as_slice() {
        [leader] => *leader,
        [] => return Err(format!("no node leads; {}", standing(&ids, seen))),
        several => return Err(format!("several nodes say that they lead: {}", several.join(", "))),
    };
    let Some(at_leader) = postgres(leader) else { return Err(format!("no node leads; {}", standing(&ids, seen))) };
    // The leader's own view of the cluster, as far as it has one.
    let topology = seen.looked.topologies.get(leader).and_then(Seen::known);
    let mut standbys: Vec<(bool, u64, Candidate)> = ids
        .iter()
        .filter(|id| **id != leader)
        .filter_map(|id| {
            let (synchronous, lag) = follows(id, nodes, topology?, at_leader, seen)?;
            let candidate =
                Candidate { instance: (*id).to_owned(), leads: false, synchronous, port: port(id, topology, seen) };
            Some((synchronous, lag, candidate))
        })
        .collect();
    standbys.sort_by(|a, b| (a.0, a.1, &a.2.instance).cmp(&(b.0, b.1, &b.2.instance)));
    let mut candidates: Vec<Candidate> = standbys.into_iter().map(|(_, _, candidate)| candidate).collect();
    if ids.contains(&leader) {
        let port = port(leader, topology, seen);
        let candidate = Candidate { instance: leader.to_owned(), leads: true, synchronous: false, port };
        // A synchronous standby is never frozen; a leader is, where the spec allows it.
        let freezes = spec.consistency == Consistency::Filesystem
            && spec.filesystem.as_ref().is_some_and(|filesystem| filesystem.allow_leader);
        let place = if freezes { candidates.iter().position(|c| c.synchronous) } else { None };
        candidates.insert(place.unwrap_or(candidates.len()), candidate);
    }
    if candidates.is_empty() {
        return Err(format!("{leader} leads outside the group, and nobody follows it; {}", standing(&ids, seen)));
    }
    Ok(candidates)
}

fn leads(postgres: &Postgres) -> bool {
    postgres.leads && !postgres.cut_off
}

fn port(id: &str, topology: Option<&Topology>, seen: &Observed) -> Option<u16> {
    topology?.at(seen.instances.get(id)?.address?)?.port
}

/// Whether a node follows the leader within the limits: if so, whether commits wait for it, and its lag in bytes.
fn follows(id: &str, nodes: &Nodes, topology: &Topology, leader: &Postgres, seen: &Observed) -> Option<(bool, u64)> {
    let postgres = seen.looked.postgres.get(id).and_then(Seen::known)?;
    let member = topology.at(seen.instances.get(id)?.address?)?;
    let Part::Replica { synchronous } = member.part else { return None };
    let lag = leader.written?.saturating_sub(postgres.replayed?);
    let follows = !postgres.cut_off
        && member.streams(postgres, Some(leader))
        && postgres.timeline.is_some()
        && postgres.timeline == leader.timeline
        && lag <= nodes.max_lag_bytes;
    follows.then_some((synchronous, lag))
}

fn standing(ids: &[&str], seen: &Observed) -> String {
    let of = |id: &&str| match seen.looked.postgres.get(*id) {
        Some(Seen::Known(postgres)) => format!("{id} is {}", postgres.state),
        Some(Seen::Absent) => format!("{id}: nothing listens"),
        Some(other) => format!("{id}: {}", other.trouble().unwrap_or("not asked")),
        None => format!("{id} does not run"),
    };
    if ids.is_empty() { "no node is in service".to_owned() } else { ids.iter().map(of).collect::<Vec<_>>().join("; ") }
}
