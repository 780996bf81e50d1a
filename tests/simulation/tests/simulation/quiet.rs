//! Quiet: faults and events end, and what was asked for must come to be (W3), however many run (W4), and then nothing moves
//! any more (W5).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use domain::spec::{Endpoint, Primary, Role};
use ipnet::Ipv4Net;
use jiff::SignedDuration;
use ports::{Health, Key, PeeringState, RouteTarget, Target};
use serde_json::json;
use sim::{Gateway, State, Task, Weather};

use crate::layout::{Layout, gateway};
use crate::oracle::admission::{admits, given, sides};
use crate::oracle::on_record;
use crate::oracle::specs::Version;
use crate::oracle::{Oracle, cluster_of};
use crate::process::{Ask, operate};
use crate::run::{Fleet, is_paused};

/// What there is at the end: targets by group, routes by table.
pub(crate) type End = (BTreeMap<String, Vec<Target>>, BTreeMap<String, Vec<(Ipv4Net, String)>>);

/// Faults end, operators resume what they paused, and names stop alternating.
pub(crate) fn calm(fleet: &Fleet, layout: &Layout, long: bool) {
    let world = &fleet.world;
    world.note(|| "==== quiet".to_owned());
    world.happen(|state, now| {
        state.set_weather(Weather::default());
        (0..layout.peers.len()).for_each(|peer| state.put_gateway(&gateway(peer), Gateway::default()));
        for endpoint in layout.clusters.iter().flat_map(|c| &c.endpoints) {
            let answers = state.name(&endpoint.host);
            if answers.len() > 1 {
                let first = answers[..1].to_vec();
                state.put_name(&endpoint.host, first, now);
            }
        }
    });
    if is_paused(world) {
        let resume = json!({"resume": {"by": "somebody", "reason": "quiet"}});
        sim::block_on(world.time(), operate(world, &resume, 1_000_000)).unwrap();
    }
    // Leases of those who were killed run out; sometimes the brake on flapping lets go as well.
    world.time().advance(Duration::from_secs(if long { 11 * 60 } else { 75 }));
}

/// Makes passes until nothing moves, and judges on the way.
pub(crate) fn settle(fleet: &Fleet, overlapping: bool) -> End {
    // Two answers of a name are as far apart as its TTL, a minute at the most.
    for gap in [65, 65] {
        pass(fleet, overlapping, gap);
    }
    judge(fleet, |oracle, state| oracle.missing_targets(state));
    for gap in [65, 65, 65, 330, 65, 65, 65, 65] {
        pass(fleet, overlapping, gap);
    }
    judge(fleet, |oracle, state| {
        let mut found = oracle.missing_targets(state);
        found.extend(oracle.stale_targets(state));
        found.extend(oracle.wrong_routes(state));
        found
    });
    // What was remembered for ten minutes is forgotten once more.
    fleet.world.time().advance(Duration::from_secs(11 * 60));
    pass(fleet, overlapping, 65);
    let counts = |fleet: &Fleet| fleet.oracle.read(|o| (o.mutations, o.notices));
    let (before, writes) = (counts(fleet), fleet.oracle.read(|o| o.writes));
    for gap in [20, 65] {
        pass(fleet, false, gap);
    }
    // The fleet brake lets go as time passes, and a pin runs out: such a world does not rest.
    let now = fleet.world.time().now();
    let recent = |at: jiff::Timestamp| at <= now && now.duration_since(at) < SignedDuration::from_mins(30);
    let moves = fleet.oracle.read(|o| o.losses.iter().any(|(at, _)| recent(*at)) || o.pins().any(recent));
    if moves {
        return end(fleet);
    }
    if counts(fleet) != before {
        fleet
            .oracle
            .violate("W5", format!("in an unchanged world: changes and notices {before:?}, then {:?}", counts(fleet)));
    }
    let written = fleet.oracle.read(|o| o.writes) - writes;
    // A registration that a full group refuses is tried again in every pass, and each try is on record.
    let full = fleet.world.read(|state| state.groups().any(|arn| state.group(arn).is_some_and(|g| g.most.is_some())));
    if written > 0 && !full {
        fleet.oracle.violate("W5", format!("in an unchanged world: {written} writes"));
    }
    end(fleet)
}

fn end(fleet: &Fleet) -> End {
    fleet.world.read(|state| {
        let targets = state.groups().map(|arn| (arn.to_owned(), state.registered(arn))).collect();
        let routes = state.route_tables().map(|table| {
            let rows = state.routes(table).into_iter().flatten();
            (table.to_owned(), rows.map(|(block, to)| (*block, to.to_string())).collect())
        });
        (targets, routes.collect())
    })
}

fn pass(fleet: &Fleet, overlapping: bool, gap: u64) {
    let time = fleet.world.time();
    let payload = json!({"single_pass": true});
    let ask = Ask { payload, budget: Duration::ZERO, limit: Duration::from_secs(60), doom: None };
    let ask = &ask;
    let tasks: Vec<Task<'_>> = (0..=usize::from(overlapping))
        .map(|process| -> Task<'_> {
            Box::pin(async move {
                time.sleep(Duration::from_millis(300 * process as u64)).await;
                fleet.invoke(process, ask).await;
            })
        })
        .collect();
    sim::run(time, tasks).unwrap();
    time.advance(Duration::from_secs(gap));
}

fn judge(fleet: &Fleet, look: impl FnOnce(&Oracle, &State) -> Vec<String>) {
    let found = fleet.world.read(|state| fleet.oracle.read(|oracle| look(oracle, state)));
    for what in found {
        fleet.world.note(|| format!("!!!! {what}"));
        fleet.oracle.violate("W3", what);
    }
}

/// The addresses that an endpoint should have, by what is true.
fn desired(state: &State, primary: &Primary, endpoint: &Endpoint, now: jiff::Timestamp) -> Vec<Ipv4Addr> {
    let admissible = |address: &Ipv4Addr| {
        primary.peerings.iter().any(|p| admits(state, p, state.peering(p.connection_id.as_str()), *address))
    };
    let said = match endpoint.pin.as_ref().filter(|pin| now < pin.until) {
        Some(pin) => vec![pin.address],
        None => match endpoint.host.as_str().parse() {
            Ok(address) => vec![address],
            Err(_) => state.name(endpoint.host.as_str()).iter().flat_map(|answer| given(endpoint, answer)).collect(),
        },
    };
    said.into_iter().filter(admissible).collect()
}

impl Oracle {
    /// The clusters that are looked after: alive, readable and not paused.
    fn looked_after(&self) -> Vec<(&str, &Version)> {
        let all = self.specs.clusters().filter_map(|name| Some((name, self.specs.now(name)?)));
        all.filter(|(_, version)| version.spec.as_ref().is_some_and(|spec| !spec.paused)).collect()
    }

    /// When the pins of the specs run out, or ran out.
    fn pins(&self) -> impl Iterator<Item = jiff::Timestamp> {
        let primaries = self.looked_after().into_iter().filter_map(|(_, version)| version.primary());
        primaries.flat_map(|primary| primary.endpoints.iter().filter_map(|e| e.pin.as_ref())).map(|pin| pin.until)
    }

    /// Desired targets that are not registered.
    fn missing_targets(&self, state: &State) -> Vec<String> {
        let mut found = Vec::new();
        for (name, version) in self.looked_after() {
            let Some(primary) = version.primary() else { continue };
            for endpoint in &primary.endpoints {
                let arn = endpoint.target_group_arn.as_str();
                let now = self.now.unwrap_or_default();
                let recent = |at: &&jiff::Timestamp| now.duration_since(**at) < SignedDuration::from_mins(11);
                let switches = self.switches.get(arn).map_or(0, |all| all.iter().filter(recent).count());
                // The brake on flapping, a full group and one that is gone keep it from being registered.
                let full = state.group(arn).is_none_or(|group| group.most.is_some());
                // A pin that has just run out leaves the name to be asked twice.
                let unpinned = endpoint.pin.as_ref().is_some_and(|pin| {
                    let since = now.duration_since(pin.until);
                    since >= SignedDuration::ZERO && since < SignedDuration::from_mins(5)
                });
                if full || unpinned || (switches >= 3 && endpoint.role == Role::Writer) {
                    continue;
                }
                let there = state.registered(arn);
                for address in desired(state, primary, endpoint, now) {
                    let target = Target { address, port: endpoint.port };
                    if !there.contains(&target) {
                        found.push(format!("{name}: {target} is wanted in {arn}, which has {there:?}"));
                    }
                }
            }
        }
        found
    }

    /// Targets of ours that should have gone.
    fn stale_targets(&self, state: &State) -> Vec<String> {
        let now = self.now.unwrap_or_default();
        let mut found = Vec::new();
        for ((arn, target), ours) in &self.ours {
            let name = cluster_of(arn);
            let Some(version) = self.specs.now(&name) else { continue };
            let paused = version.spec.as_ref().is_none_or(|spec| spec.paused);
            if ours.orphan || paused || !state.registered(arn).contains(target) {
                continue;
            }
            // Handed over once and taken out, it may have been registered by hand again: that is nobody's until the next word.
            if ours.connections.is_empty() && !on_record(state, arn, *target) {
                continue;
            }
            if version.torn_down() {
                found.push(format!("{name} is deleted, and {target} is still in {arn}"));
                continue;
            }
            let Some(primary) = version.primary() else { continue };
            let Some((_, endpoint)) = version.endpoint(arn) else {
                // An endpoint that moved leaves its old group once it is served in the new one.
                let served = primary.endpoints.iter().all(|e| {
                    let wanted = desired(state, primary, e, now);
                    let there = state.registered(e.target_group_arn.as_str());
                    wanted.iter().any(|a| there.contains(&Target { address: *a, port: e.port }))
                });
                if served {
                    found.push(format!("{name} does not name {arn} any more, and {target} is still there"));
                }
                continue;
            };
            let wanted = desired(state, primary, endpoint, now);
            if wanted.contains(&target.address) && target.port == endpoint.port {
                continue;
            }
            let ended =
                |id: &String| version.peering(id).is_some() && state.peering(id).is_some_and(|p| p.state.is_terminal());
            if !ours.connections.is_empty() && ours.connections.iter().all(ended) {
                found.push(format!("the peering of {target} in {arn} has ended: {:?}", ours.connections));
            }
            let healthy = |a: &Ipv4Addr| {
                let this = Target { address: *a, port: endpoint.port };
                state.targets(arn, now).iter().any(|t| t.target == this && t.health == Health::Healthy)
            };
            let flapping = self.switches.get(arn).is_some_and(|all| all.len() >= 3);
            let unjudged = |id: &String| {
                state.peering(id).is_none_or(|p| p.state != PeeringState::Active && !p.state.is_terminal())
            };
            let kept = endpoint.role == Role::Any && ours.connections.iter().any(unjudged);
            if !wanted.is_empty() && wanted.iter().all(healthy) && !flapping && !kept {
                found.push(format!("{target} in {arn} is replaced by {wanted:?}, which is healthy, and still there"));
            }
        }
        found
    }

    /// Routes that are missing, and routes of ours that should have gone.
    fn wrong_routes(&self, state: &State) -> Vec<String> {
        let mut found = Vec::new();
        let mut wanted: BTreeSet<(String, Ipv4Net, String)> = BTreeSet::new();
        for (_, version) in self.looked_after() {
            let Some(primary) = version.primary() else { continue };
            for spec in &primary.peerings {
                let id = spec.connection_id.as_str();
                let Some(peering) = state.peering(id).filter(|p| p.state == PeeringState::Active) else { continue };
                let Some((theirs, _)) = sides(spec, peering) else { continue };
                let allowed = |block: &&Ipv4Net| spec.allowed_cidrs.iter().any(|a| a.contains(*block));
                for block in theirs.blocks.iter().filter(allowed) {
                    wanted
                        .extend(primary.route_table_ids.iter().map(|t| (t.as_str().to_owned(), *block, id.to_owned())));
                }
            }
        }
        for (table, block, id) in &wanted {
            let Some(rows) = state.routes(table) else { continue };
            let contested = wanted.iter().any(|(t, b, i)| t == table && b == block && i != id);
            let overlaps = |(other, to): (&Ipv4Net, &RouteTarget)| {
                let near = other != block && (other.contains(block) || block.contains(other));
                near && !matches!(to, RouteTarget::Local)
            };
            if !contested && !rows.contains_key(block) && !rows.iter().any(overlaps) {
                found.push(format!("{block} -> {id} is missing in {table}"));
            }
        }
        // As long as nobody can tell what a connection that the spec names will be, it may take the route over.
        let open = |table: &str| {
            let primaries = self.looked_after().into_iter().filter_map(|(_, version)| version.primary());
            let here = primaries.filter(|p| p.route_table_ids.iter().any(|t| t.as_str() == table));
            here.flat_map(|p| &p.peerings).any(|p| {
                let state = state.peering(p.connection_id.as_str()).map(|p| p.state);
                state.is_none_or(|state| state == PeeringState::Unrecognized)
            })
        };
        // What was made under a state that is lost, or by a paused cluster, stays.
        let all_looked_after = self.specs.clusters().all(|name| {
            self.specs.now(name).is_none_or(|v| v.record.is_none() || v.spec.as_ref().is_some_and(|s| !s.paused))
        });
        if !self.any_loss && all_looked_after {
            for (table, block, id) in &self.routes {
                let there = state.routes(table).and_then(|rows| rows.get(block));
                let ended = state.peering(id).is_some_and(|p| p.state.is_terminal());
                let route = (table.clone(), *block, id.clone());
                if there == Some(&RouteTarget::Peering(id.clone())) && ended && !wanted.contains(&route) && !open(table)
                {
                    found.push(format!("{block} -> {id} is still in {table}, and the peering has ended"));
                }
            }
        }
        let left = self.specs.clusters().filter(|name| {
            let key = Key::new("cluster", *name);
            let gone = |v: &&Version| v.torn_down() && v.spec.as_ref().is_some_and(|s| !s.paused);
            self.specs.now(name).as_ref().is_some_and(gone) && state.document(&key).is_some()
        });
        found.extend(left.map(|name| format!("{name} is deleted, and its record is still there")));
        found
    }
}
