//! Invariants W1, W2, W3 (the record before the call), W6, W8, W9 and F1 at each change of a target group.

use jiff::{SignedDuration, Timestamp};
use ports::{Health, Key, PeeringState, Target};
use serde_json::{Value, json};
use sim::{Record, State};

use super::admission::admits;
use super::specs::Version;
use super::{Oracle, Ours, QUERY_LAG, READ_LAG, cluster_of};

/// How long a connection must be out of sight before that is its end.
const GONE_AFTER: SignedDuration = SignedDuration::from_mins(5);
const BRAKE_WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// Why a target may go.
enum Ground {
    /// A person's word, or an end that was read: not counted by the fleet brake.
    Said,
    /// Something else serves.
    Replaced,
    /// Gone without a word: counted.
    Uncounted(&'static str),
}

/// Whether our table holds a record of the target under its cluster.
pub(crate) fn on_record(state: &State, arn: &str, target: Target) -> bool {
    let item = state.document(&Key::new("state#peering-watcher", cluster_of(arn)));
    item.is_some_and(|item| has_record(&item.body, arn, target))
}

/// Whether a state has the target as its own.
pub(super) fn has_record(body: &Value, arn: &str, target: Target) -> bool {
    let owned = body["endpoints"][arn]["owned"].as_array();
    owned.into_iter().flatten().any(|o| o["target"] == json!({"address": target.address, "port": target.port}))
}

/// Whether the load balancer found the target healthy lately.
fn was_healthy(state: &State, arn: &str, target: Target, now: Timestamp) -> bool {
    [0, 10, 20, 30, 45, 60].into_iter().any(|seconds| {
        let at = now.checked_sub(SignedDuration::from_secs(seconds)).unwrap();
        state.targets(arn, at).iter().any(|t| t.target == target && t.health == Health::Healthy)
    })
}

impl Oracle {
    /// Targets that a pass finds registered and wants are ours from then on.
    pub(super) fn adopt(&mut self, state: &State, record: &Record, arn: &str) {
        let listed = self.passes[&*record.process].targets[arn].clone();
        for there in listed.iter().filter(|t| t.health != Health::Draining) {
            if self.wanted(state, record, arn, there.target.address, Some(there.target.port)) {
                self.take(state, record, arn, there.target);
            } else if self.handed_over.contains(&(cluster_of(arn), there.target)) {
                // It came over no connection of ours.
                let fresh = Ours { orphan: true, ..Ours::default() };
                let ours = self.ours.entry((arn.to_owned(), there.target)).or_insert(fresh);
                ours.orphan &= !on_record(state, arn, there.target);
            }
        }
    }

    fn take(&mut self, state: &State, record: &Record, arn: &str, target: Target) {
        let admitting = self.admitting(state, record, arn, target.address);
        // It is ours once our table says so.
        let ours = self.ours.entry((arn.to_owned(), target)).or_insert(Ours { orphan: true, ..Ours::default() });
        ours.connections.extend(admitting.into_iter().map(|(_, _, connection)| connection));
        ours.orphan &= !on_record(state, arn, target);
    }

    pub(super) fn registered(&mut self, state: &State, record: &Record, arn: &str, target: Target) {
        let process = &record.process;
        if self.admitting(state, record, arn, target.address).is_empty() {
            self.violate("W1", format!("{process}: {target} in {arn} was not admissible in this pass"));
        } else if !self.wanted(state, record, arn, target.address, Some(target.port)) {
            self.violate("W1", format!("{process}: nobody said that {target} serves {arn}"));
        }
        // Lost under the pass's hands, the record was there when it was needed.
        let started = self.pass(record).map_or(record.at, |pass| pass.started);
        let lost = self.lost_at.get(&cluster_of(arn)).is_some_and(|at| *at >= started);
        if !on_record(state, arn, target) && !lost {
            self.violate("W3", format!("{process}: {target} in {arn} was registered without a record of it"));
        }
        self.take(state, record, arn, target);
        self.chosen(record, arn, target);
    }

    /// The target that serves a writer from now on: another one than before is a switch.
    fn chosen(&mut self, record: &Record, arn: &str, target: Target) {
        if self.writers.insert(arn.to_owned(), target).is_some_and(|before| before != target) {
            self.switches.entry(arn.to_owned()).or_default().push(record.at);
        }
    }

    pub(super) fn deregistered(&mut self, state: &State, record: &Record, arn: &str, target: Target, was: bool) {
        let process = &record.process;
        let cluster = cluster_of(arn);
        let known = self.ours.get(&(arn.to_owned(), target)).cloned();
        let handed = self.handed_over.contains(&(cluster.clone(), target));
        // Lost under the pass's hands, the record was there when it was needed.
        let started = self.pass(record).map_or(record.at, |pass| pass.started);
        let lost = self.lost_at.get(&cluster).is_some_and(|at| *at >= started);
        if known.as_ref().is_none_or(|ours| ours.orphan && !lost) && !handed {
            self.violate("W6", format!("{process}: {target} in {arn} is not ours"));
            return;
        }
        if let [left] = state.registered(arn)[..] {
            self.chosen(record, arn, left);
        }
        let Some(pass) = self.pass(record).cloned() else { return };
        let versions = self.specs.since(&cluster, pass.started.checked_sub(QUERY_LAG).unwrap());
        let others = self.agreeing.get(&cluster).into_iter().flatten();
        let agreed = others.filter(|id| **id != (process.to_string(), pass.number)).count();
        if agreed < 2 && !lost && !self.acknowledged(&cluster, "RebuildingState") {
            let what = format!("{process}: {target} in {arn} went although only {agreed} passes had agreed");
            self.violate("W2", what);
        }
        let ours = known.unwrap_or_default();
        match self.ground(state, record, &versions, arn, target, &ours) {
            Err(why) => {
                let at = if was { "W2" } else { "W8" };
                self.violate(at, format!("{process}: {target} in {arn} went without grounds: {why}"));
            }
            Ok(Ground::Said | Ground::Replaced) => {}
            Ok(Ground::Uncounted(_)) if !was || !state.registered(arn).is_empty() => {}
            Ok(Ground::Uncounted(ground)) => self.lost(record, &cluster, ground),
        }
    }

    /// A group was emptied with nothing in its place (invariant F1).
    fn lost(&mut self, record: &Record, cluster: &str, ground: &str) {
        let now = record.at;
        // The brake is asked some seconds before the call.
        let window = BRAKE_WINDOW.checked_sub(SignedDuration::from_secs(60)).unwrap();
        self.losses.retain(|(at, _)| now.duration_since(*at) < window);
        let said = self.acknowledged(cluster, "FleetBrake");
        if !said {
            self.losses.push((now, cluster.to_owned()));
        }
        let mut clusters: Vec<&str> = self.losses.iter().map(|(_, name)| name.as_str()).collect();
        clusters.sort_unstable();
        clusters.dedup();
        if clusters.len() > 3 {
            self.violate("F1", format!("{clusters:?} lost what served them within ten minutes ({ground})"));
        }
    }

    fn ground(
        &self,
        state: &State,
        record: &Record,
        versions: &[Version],
        arn: &str,
        target: Target,
        ours: &Ours,
    ) -> Result<Ground, String> {
        let (now, pass) = (record.at, &self.passes[&*record.process]);
        let asks = |version: &Version| {
            let Some((primary, _)) = version.endpoint(arn) else { return false };
            // Peered anew, the address may be the same.
            let truly = |p: &domain::spec::PeeringSpec| {
                let id = p.connection_id.as_str();
                let unread = pass.peering(id).all(|read| read.state == PeeringState::Active);
                unread && admits(state, p, state.peering(id), target.address)
            };
            ours.connections.is_empty()
                || ours.connections.iter().any(|c| version.peering(c).is_some())
                || primary.peerings.iter().any(truly)
        };
        let living = |version: &Version| version.record.as_ref().is_some_and(|r| r.tombstone.is_none());
        if versions.iter().any(|v| v.torn_down() || (living(v) && !asks(v))) {
            return Ok(Ground::Said);
        }
        if !versions.iter().any(|v| v.primary().is_some()) {
            return Err("the cluster is deleted, and what serves is to be retained".to_owned());
        }
        // Peered anew, and over before it carried anything: what the spec dropped and what it names have ended alike.
        let dropped = |id: &String| versions.iter().any(|v| living(v) && v.peering(id).is_none());
        let over = |id: &String| {
            let mut reads = pass.peering(id).peekable();
            reads.peek().is_some() && reads.all(|read| read.state.is_terminal())
        };
        if ours.connections.iter().any(dropped) && ours.connections.iter().all(over) {
            return Ok(Ground::Said);
        }
        let ended = |id: &String| pass.answers(id).flatten().any(|peering| peering.state.is_terminal());
        if ours.connections.iter().any(ended) {
            return Ok(Ground::Said);
        }
        let long = GONE_AFTER.checked_sub(READ_LAG).unwrap();
        for id in ours.connections.iter().filter(|id| pass.answers(id).any(|answer| answer.is_none())) {
            let in_sight = self.visible.get(id).is_some_and(|at| now.duration_since(*at) < long);
            let missed = self.missed.get(&(cluster_of(arn), id.clone()));
            if !in_sight || missed.is_some_and(|at| now.duration_since(*at) >= long) {
                return Ok(Ground::Uncounted("not found"));
            }
        }
        let replaced = self.replaced(state, record, versions, arn, target);
        if replaced == Some(Ok(())) {
            return Ok(Ground::Replaced);
        }
        // Known to be active, and not for this address: as read in this pass, and in truth.
        for version in versions {
            let specs: Vec<_> = ours.connections.iter().filter_map(|id| version.peering(id)).collect();
            let refused = specs.iter().any(|s| {
                pass.peering(s.connection_id.as_str())
                    .any(|p| p.state == PeeringState::Active && !admits(state, s, Some(p), target.address))
            });
            if refused {
                // It can have become so again since it was read.
                let truly = specs.iter().any(|s| {
                    let id = s.connection_id.as_str();
                    let [then, now] = [state.peering_at(id, pass.started), state.peering(id)];
                    admits(state, s, then, target.address) && admits(state, s, now, target.address)
                });
                if truly {
                    return Err("it is admissible; a read that lagged behind said otherwise".to_owned());
                }
                return Ok(Ground::Uncounted("not admitted"));
            }
        }
        if let Some(Err(why)) = replaced {
            return Err(why);
        }
        Err(format!("its connections {:?} as read: {:?}", ours.connections, self.told(record, ours)))
    }

    fn told(&self, record: &Record, ours: &Ours) -> Vec<Vec<PeeringState>> {
        let pass = &self.passes[&*record.process];
        ours.connections.iter().map(|id| pass.peering(id).map(|p| p.state).collect()).collect()
    }

    /// Whether something wanted serves in the target's place (invariant W8), as read in this pass and in truth.
    fn replaced(
        &self,
        state: &State,
        record: &Record,
        versions: &[Version],
        arn: &str,
        target: Target,
    ) -> Option<Result<(), String>> {
        let now = record.at;
        let listed = self.passes[&*record.process].targets.get(arn)?;
        let dead = listed.iter().any(|t| t.target == target && t.health == Health::Unhealthy);
        let full = state.group(arn).is_some_and(|group| group.most.is_some());
        let stays = |t: &Target| {
            *t != target
                && self.wanted(state, record, arn, t.address, Some(t.port))
                && state.registered(arn).contains(t)
        };
        let any = versions.iter().filter_map(|v| v.endpoint(arn)).any(|(_, e)| e.role == domain::spec::Role::Any);
        if dead && (full || (any && state.registered(arn).iter().any(stays))) {
            return Some(Ok(()));
        }
        let healthy: Vec<Target> = listed
            .iter()
            .filter(|t| t.health == Health::Healthy && t.target != target)
            .map(|t| t.target)
            .filter(|t| self.wanted(state, record, arn, t.address, Some(t.port)))
            .collect();
        if healthy.is_empty() {
            return None;
        }
        let serves = |t: &Target| state.registered(arn).contains(t) && was_healthy(state, arn, *t, now);
        // Meanwhile somebody may have deleted the group, or taken it off its load balancer: then nothing serves, and nothing is lost.
        let detached = state.group(arn).is_none_or(|group| !group.attached);
        if detached || healthy.iter().any(serves) {
            return Some(Ok(()));
        }
        Some(Err(format!("{healthy:?} was read as healthy in its place, and is no target any more")))
    }
}
