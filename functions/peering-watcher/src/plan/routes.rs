//! Our side's routes: for each allowed block of the peer a route to the current connection, in each route table of the
//! spec.
//!
//! A route is changed only if it is on our record, still leads where we left it, and no other cluster claims it.

use std::collections::{BTreeMap, BTreeSet};

use domain::address::routable_blocks;
use domain::condition::Finding;
use domain::reason::Reason;
use domain::spec::Primary;
use ipnet::Ipv4Net;
use jiff::{SignedDuration, Timestamp};
use ports::{Peering, Route, RouteState, RouteTable, RouteTarget};

use super::peerings::{Allows, Verdict, judge};
use crate::action::Action;
use crate::observed::{Observed, Seen};
use crate::state::{RouteMemory, WatcherState};

/// How long after we made a route a table may be read that does not show it: reads of EC2 lag behind its writes.
const READS_LAG: SignedDuration = SignedDuration::from_secs(30);

/// A route as clusters claim it: table, block, connection.
pub type Claimed = (String, Ipv4Net, String);

/// Who claims and who made which route, over the whole fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FleetRoutes {
    claimed: BTreeMap<Claimed, BTreeSet<String>>,
    made: BTreeMap<Claimed, BTreeSet<String>>,
}

impl FleetRoutes {
    /// A living cluster wants this route, or has it on record.
    pub fn claim(&mut self, cluster: &str, route: Claimed) {
        self.claimed.entry(route).or_default().insert(cluster.to_owned());
    }

    /// A cluster, living or not, has this route on record as its own.
    pub fn record(&mut self, cluster: &str, route: Claimed) {
        self.made.entry(route).or_default().insert(cluster.to_owned());
    }

    /// Enters one cluster: what its spec wants by the list, and what it has on record. `primary`: what it asks for,
    /// nothing for a deleted one; `listed`: the Region's connections, nothing where they could not be listed.
    ///
    /// A route on record is claimed only while the cluster itself keeps it. Two clusters that give up a shared route
    /// together would otherwise each leave it to the other, and never could point it to a new connection.
    pub fn enter(
        &mut self,
        cluster: &str,
        primary: Option<&Primary>,
        listed: Option<&BTreeMap<String, Peering>>,
        state: &WatcherState,
        now: Timestamp,
    ) {
        let mut observed = Observed::default();
        if let (Some(primary), Some(listed)) = (primary, listed) {
            observed.peerings.extend(primary.peerings.iter().map(|p| {
                let id = p.connection_id.as_str();
                (id.to_owned(), listed.get(id).cloned().map_or(Seen::Absent, Seen::Known))
            }));
        }
        let peerings = primary.map_or(&[][..], |p| p.peerings.as_slice());
        let verdicts: Vec<Verdict> =
            peerings.iter().map(|p| judge(p, &observed, state.peerings.get(p.connection_id.as_str()), now)).collect();
        let tables: Vec<String> =
            primary.map_or_else(Vec::new, |p| p.route_table_ids.iter().map(|t| t.as_str().to_owned()).collect());
        for m in &state.routes {
            let route = (m.table.clone(), m.destination, m.connection.clone());
            if tables.contains(&m.table) && may_carry(&verdicts, &m.connection) {
                self.claim(cluster, route.clone());
            }
            self.record(cluster, route);
        }
        for route in wanted(&tables, &verdicts) {
            self.claim(cluster, route);
        }
    }
}

/// The fleet's routes as one cluster sees them.
#[derive(Debug, Clone, Copy)]
pub struct OtherClusters<'a> {
    /// The cluster that looks.
    pub cluster: &'a str,
    /// Everybody's routes.
    pub fleet: &'a FleetRoutes,
}

impl OtherClusters<'_> {
    /// Whether another living cluster claims the route.
    #[must_use]
    pub fn claim(&self, route: &Claimed) -> bool {
        self.another(self.fleet.claimed.get(route))
    }

    /// Whether another cluster made the route.
    #[must_use]
    pub fn made(&self, route: &Claimed) -> bool {
        self.another(self.fleet.made.get(route))
    }

    /// Whether another living cluster has the route on record and asks for its block, over whatever connection. It points
    /// the route there itself; a removal, which names the block alone, would take the new route.
    #[must_use]
    pub fn takes_over(&self, route: &Claimed) -> bool {
        let (table, destination, _) = route;
        let made = self.fleet.made.get(route);
        let asks = self.fleet.claimed.iter().filter(|((t, d, _), _)| t == table && d == destination);
        asks.flat_map(|(_, clusters)| clusters)
            .any(|name| name != self.cluster && made.is_some_and(|made| made.contains(name)))
    }

    fn another(&self, clusters: Option<&BTreeSet<String>>) -> bool {
        clusters.is_some_and(|c| c.iter().any(|name| name != self.cluster))
    }
}

/// Whether a connection may carry something again. What one carries now is claimed as what is wanted of it, block by block.
fn may_carry(verdicts: &[Verdict], connection: &str) -> bool {
    verdicts.iter().any(|v| v.connection == connection && v.allows == Allows::Nothing)
}

/// What is to be done about routes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoutePlan {
    /// Creations and replacements.
    pub make: Vec<Action>,
    /// Removals; they come last, after the targets that they serve.
    pub remove: Vec<Action>,
    /// Whether the routes are there; `None` where nothing new is known.
    pub finding: Option<Finding>,
    /// Whether nothing more is to be expected.
    pub settled: bool,
}

/// What a living spec asks for: the routable blocks of each usable connection, in each table.
#[must_use]
pub fn wanted(tables: &[String], verdicts: &[Verdict]) -> Vec<Claimed> {
    let blocks = verdicts.iter().filter_map(|v| match &v.allows {
        Allows::Registration(usable) => Some((usable, routable_blocks(&usable.peer_blocks, &usable.allowed).0)),
        _ => None,
    });
    let mut wanted: Vec<Claimed> = Vec::new();
    for (usable, blocks) in blocks {
        for (table, block) in tables.iter().flat_map(|t| blocks.iter().map(move |b| (t, b))) {
            // Two connections to equal blocks: a table can lead to one of them, and the first of the spec has it.
            if !wanted.iter().any(|(t, b, _)| t == table && b == block) {
                wanted.push((table.clone(), *block, usable.connection.clone()));
            }
        }
    }
    wanted
}

/// Plans the routes and brings `memory` up to date with what was read.
#[must_use]
pub fn plan(
    tables: &[String],
    verdicts: &[Verdict],
    observed: &Observed,
    others: OtherClusters<'_>,
    memory: &mut Vec<RouteMemory>,
    now: Timestamp,
) -> RoutePlan {
    let wanted = wanted(tables, verdicts);
    let mut plan = RoutePlan { settled: true, ..RoutePlan::default() };
    let mut findings = Vec::new();
    for claim in &wanted {
        findings.extend(one(claim, observed, others, memory, &mut plan, now));
    }
    retire(&wanted, tables, verdicts, observed, others, memory, &mut plan, now);
    memory.sort();

    let usable = verdicts.iter().any(|v| matches!(v.allows, Allows::Registration(_)));
    plan.finding = if tables.is_empty() {
        Some(Finding::yes(Reason::RoutesNotManaged, "the spec names no route tables"))
    } else if !verdicts.is_empty() && verdicts.iter().all(|v| v.finding.reason == Reason::PeeringUnreadable) {
        None
    } else if !usable {
        Some(Finding::unknown(Reason::AwaitingPeering, "routes are made once the peering is active"))
    } else if wanted.is_empty() {
        Some(Finding::no(Reason::BlockNotAllowed, block_message(verdicts)))
    } else if tables.iter().any(|t| *observed.table(t) == Seen::NotAsked) && findings.is_empty() {
        None
    } else {
        findings.into_iter().max_by_key(weight).or_else(|| {
            let blocks: BTreeSet<String> = wanted.iter().map(|(_, block, to)| format!("{block} -> {to}")).collect();
            let blocks = blocks.into_iter().collect::<Vec<_>>().join(", ");
            Some(Finding::yes(Reason::RoutesInPlace, format!("{blocks} in {}", tables.join(", "))))
        })
    };
    plan
}

fn weight(finding: &Finding) -> u8 {
    match finding.reason {
        Reason::RouteConflict => 5,
        Reason::RouteTableNotFound => 4,
        Reason::RouteTableUnreadable => 3,
        Reason::RouteBlackhole => 2,
        _ => 1,
    }
}

fn block_message(verdicts: &[Verdict]) -> String {
    let blocks: Vec<String> = verdicts
        .iter()
        .filter_map(|v| match &v.allows {
            Allows::Registration(usable) => Some(usable.peer_blocks.iter().map(ToString::to_string)),
            _ => None,
        })
        .flatten()
        .collect();
    format!("the peer's blocks are {}; `allowed_cidrs` holds none of them whole", blocks.join(", "))
}

/// One wanted route. Gives what is to be said of it where it is not in place.
fn one(
    claim: &Claimed,
    observed: &Observed,
    others: OtherClusters<'_>,
    memory: &mut Vec<RouteMemory>,
    plan: &mut RoutePlan,
    now: Timestamp,
) -> Option<Finding> {
    let (table_id, destination, connection) = claim;
    let table = match observed.table(table_id) {
        Seen::Known(table) => table,
        Seen::NotAsked => {
            // Made by another cluster after our last look: ours as well, once it is read.
            let on_record = memory.iter().any(|m| m.table == *table_id && m.destination == *destination);
            plan.settled &= on_record || !others.made(claim);
            return None;
        }
        Seen::Absent => {
            plan.settled = false;
            return Some(Finding::no(Reason::RouteTableNotFound, format!("{table_id} does not exist")));
        }
        Seen::Unknown(error) => {
            plan.settled = false;
            return Some(Finding::unknown(
                Reason::RouteTableUnreadable,
                format!("{table_id} could not be read: {error}"),
            ));
        }
    };
    let recorded = memory.iter().position(|m| m.table == *table_id && m.destination == *destination);
    let Some(existing) = table.routes.iter().find(|r| r.destination == *destination) else {
        plan.settled = false;
        if let Some(conflict) = overlap(table, *destination, memory, observed) {
            return Some(conflict);
        }
        // The answer may lag behind, and then the route is there and leads where we last had it.
        let previous = recorded.and_then(|at| memory.get(at)).and_then(|m| match &m.previous {
            Some(previous) if !m.confirmed => Some(previous.clone()),
            _ => (m.connection != *connection).then(|| m.connection.clone()),
        });
        let record = RouteMemory {
            table: table_id.clone(),
            destination: *destination,
            connection: connection.clone(),
            previous,
            confirmed: false,
            since: Some(now),
        };
        match recorded.and_then(|at| memory.get_mut(at)) {
            Some(known) => *known = record,
            None => memory.push(record),
        }
        plan.make.push(Action::CreateRoute {
            table: table_id.clone(),
            destination: *destination,
            connection: connection.clone(),
        });
        return Some(Finding::unknown(Reason::RoutePending, format!("{destination} -> {connection} in {table_id}")));
    };
    match &existing.target {
        RouteTarget::Peering(to) if to == connection => {
            match recorded.and_then(|at| memory.get_mut(at)) {
                Some(known) => {
                    known.connection.clone_from(connection);
                    known.previous = None;
                    known.confirmed = true;
                }
                // Another cluster of ours made it for the same peering: it is made by us, and whoever leaves last
                // removes it.
                None if others.made(claim) => memory.push(RouteMemory {
                    table: table_id.clone(),
                    destination: *destination,
                    connection: connection.clone(),
                    previous: None,
                    confirmed: true,
                    since: None,
                }),
                None => {}
            }
            (existing.state == RouteState::Blackhole).then(|| {
                plan.settled = false;
                Finding::no(
                    Reason::RouteBlackhole,
                    format!("{destination} -> {connection} in {table_id} is a blackhole"),
                )
            })
        }
        RouteTarget::Peering(to)
            if !others.claim(&(table_id.clone(), *destination, to.clone()))
                && recorded.and_then(|at| memory.get(at)).is_some_and(|m| m.leads_to(to)) =>
        {
            plan.settled = false;
            if let Some(known) = recorded.and_then(|at| memory.get_mut(at)) {
                known.connection.clone_from(connection);
                known.previous = Some(to.clone());
                known.confirmed = false;
                known.since = Some(now);
            }
            plan.make.push(Action::ReplaceRoute {
                table: table_id.clone(),
                destination: *destination,
                connection: connection.clone(),
                from: to.clone(),
            });
            Some(Finding::unknown(
                Reason::RoutePending,
                format!("{destination} -> {connection} in {table_id}, from {to}"),
            ))
        }
        foreign => {
            plan.settled = false;
            let message =
                format!("{table_id} has {destination} -> {foreign}, which is not ours; {connection} cannot have it");
            Some(Finding::no(Reason::RouteConflict, message))
        }
    }
}

/// A route that is not ours and shares addresses with a new one. The default route is none: it is where packets go that
/// nobody claimed. A narrower route would take our packets, and ours would take those of a wider one.
fn overlap(table: &RouteTable, destination: Ipv4Net, memory: &[RouteMemory], observed: &Observed) -> Option<Finding> {
    let ours = |route: &Route| {
        memory.iter().any(|m| {
            m.table == table.id
                && m.destination == route.destination
                && matches!(&route.target, RouteTarget::Peering(to) if m.leads_to(to) && observed.peerings.contains_key(to))
        })
    };
    table
        .routes
        .iter()
        .filter(|route| route.destination.prefix_len() > 0)
        .filter(|route| route.destination.contains(&destination) || destination.contains(&route.destination))
        .find(|route| !ours(route))
        .map(|route| {
            let message = format!(
                "{} has {} -> {}, which is not ours and overlaps {destination}",
                table.id, route.destination, route.target
            );
            Finding::no(Reason::RouteConflict, message)
        })
}

/// Routes on our record that nothing asks for any more.
#[expect(clippy::too_many_arguments, reason = "all that a route's end follows from")]
fn retire(
    wanted: &[Claimed],
    tables: &[String],
    verdicts: &[Verdict],
    observed: &Observed,
    others: OtherClusters<'_>,
    memory: &mut Vec<RouteMemory>,
    plan: &mut RoutePlan,
    now: Timestamp,
) {
    let is_wanted = |m: &RouteMemory| wanted.iter().any(|(t, d, _)| *t == m.table && *d == m.destination);
    // Only what is certainly not asked for: while a connection is not readable, its blocks are not known, nor whether it
    // takes over the route of one that the spec does not name any more.
    let may_still_be_wanted = |m: &RouteMemory| {
        let named = verdicts.iter().any(|v| v.connection == m.connection);
        let open = |v: &Verdict| if named { v.connection == m.connection } else { v.is_open() };
        tables.contains(&m.table) && verdicts.iter().any(|v| v.allows == Allows::Nothing && open(v))
    };
    // A block that the peer has just lost may be back in the next answer: one of them lags behind.
    let just_lost = |m: &RouteMemory| {
        let lacks = |v: &Verdict| match &v.allows {
            Allows::Registration(usable) => !usable.peer_blocks.contains(&m.destination),
            Allows::Nothing | Allows::Refused | Allows::Ended | Allows::NotFound => false,
        };
        let over = verdicts.iter().find(|v| v.connection == m.connection);
        tables.contains(&m.table) && over.is_some_and(|v| lacks(v) && !v.blocks_are_steady(now))
    };
    memory.retain(|m| {
        if is_wanted(m) || may_still_be_wanted(m) {
            return true;
        }
        if just_lost(m) {
            plan.settled = false;
            return true;
        }
        let table = match observed.table(&m.table) {
            Seen::Known(table) => table,
            Seen::Absent => return false,
            Seen::NotAsked | Seen::Unknown(_) => {
                plan.settled = false;
                return true;
            }
        };
        let to = match table.routes.iter().find(|r| r.destination == m.destination).map(|r| &r.target) {
            Some(RouteTarget::Peering(to)) if m.leads_to(to) => to,
            // Read back too soon after it was made: forgotten now, it would stay for good.
            None if m.since.is_some_and(|at| now.duration_since(at) < READS_LAG) => {
                plan.settled = false;
                return true;
            }
            Some(_) | None => return false,
        };
        let route = (m.table.clone(), m.destination, to.clone());
        if others.claim(&route) || others.takes_over(&route) {
            return false;
        }
        plan.settled = false;
        plan.remove.push(Action::DeleteRoute {
            table: m.table.clone(),
            destination: m.destination,
            connection: to.clone(),
        });
        true
    });
}
