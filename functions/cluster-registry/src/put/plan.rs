//! What a put changes, as far as it can be told from what was read. Pure.

use std::collections::{BTreeMap, BTreeSet};

use domain::spec::{self, ClusterSpec, Problem};
use jiff::Timestamp;
use ports::{Expect, Item, Key, Write};
use runtime::records::{ClaimRecord, ClusterRecord, Stored};
use serde_json::Value;

use crate::ownership::Requester;
use crate::refusal::at;

/// What was read for a put.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The cluster's record.
    pub record: Option<ClusterRecord>,
    /// The items under the claims that the record does not hold, by claim. Absent: nobody holds it.
    pub claims: BTreeMap<String, Item>,
    /// Whether the watcher keeps a state of the cluster, and so may have registered things for an older generation.
    pub has_state: bool,
}

/// What a put comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The stored spec says the same.
    Unchanged,
    /// It cannot be done.
    Refused(Vec<Problem>),
    /// The change.
    Store(Box<Change>),
}

/// A change of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The record to be stored.
    pub record: ClusterRecord,
    /// Whether there was none before.
    pub created: bool,
    /// Claims that nobody holds, to be taken.
    pub take: Vec<String>,
    /// Claims that are in our name although the record did not list them, by key and version.
    pub confirm: Vec<(Key, u64)>,
    /// Claims to be given up at once.
    pub release: Vec<String>,
    /// Claims that a function gives up once it has taken down what it made there.
    pub releasing: Vec<String>,
}

impl Change {
    /// The writes, but for the audit entry.
    #[must_use]
    pub fn writes(&self) -> Vec<Write> {
        let take = self.take.iter().map(|claim| ClaimRecord::take(claim, &self.record.name));
        let confirm = self
            .confirm
            .iter()
            .map(|(key, version)| Write::Check { key: key.clone(), expect: Expect::Version(*version) });
        let release = self.release.iter().map(|claim| ClaimRecord::release(claim));
        [self.record.put()].into_iter().chain(take).chain(confirm).chain(release).collect()
    }
}

/// The claims of a spec that the record does not hold yet: they must be read.
#[must_use]
pub fn new_claims(spec: &ClusterSpec, record: Option<&ClusterRecord>) -> BTreeSet<String> {
    let held = |key: &String| record.is_some_and(|r| r.claims.contains(key) || r.releasing.contains(key));
    spec::claims(spec).into_iter().map(|claim| claim.key).filter(|key| !held(key)).collect()
}

/// Decides. `requester` is `None` where only the spec is to be validated, whoever may put it.
#[must_use]
pub fn decide(spec: &ClusterSpec, requester: Option<&Requester>, found: &Found, now: Timestamp) -> Decision {
    let name = spec.name.as_str();
    let body = serde_json::to_value(spec).unwrap_or_default();
    let wanted: Vec<String> = dedup(spec::claims(spec).into_iter().map(|claim| claim.key));
    let old = found.record.as_ref();

    let mut problems = Vec::new();
    if let Some(record) = old {
        if let Some(objection) = requester.and_then(|r| r.objection(name, record.owner.as_ref())) {
            return Decision::Refused(vec![at("name", objection)]);
        }
        if let Some(tombstone) = &record.tombstone {
            let awaiting = tombstone.awaiting.join(", ");
            let problem = format!("`{name}` is being deleted (waiting for {awaiting}); put it again once it is gone");
            return Decision::Refused(vec![at("name", problem)]);
        }
        match record.read_spec() {
            Stored::Newer(schema) => {
                let problem = format!(
                    "`{name}` is stored with schema {schema}, by a newer version of Pilothouse; deploy that version"
                );
                return Decision::Refused(vec![at("schema", problem)]);
            }
            Stored::Spec(stored) if *stored == *spec && same_claims(&record.claims, &wanted) => {
                return Decision::Unchanged;
            }
            // The normal form is compared too: a reader may see less in a stored spec than is written there.
            Stored::Unreadable(_) | Stored::Spec(_) if record.spec == body && same_claims(&record.claims, &wanted) => {
                return Decision::Unchanged;
            }
            Stored::Unreadable(_) | Stored::Spec(_) => {}
        }
    }

    let mut confirm = Vec::new();
    for claim in spec::claims(spec) {
        let Some(item) = found.claims.get(&claim.key) else { continue };
        match ClaimRecord::read(item) {
            Ok(holder) if holder.cluster == name => confirm.push((item.key.clone(), item.version)),
            Ok(holder) => problems.push(at(claim.path, format!("claimed by {}", holder.cluster))),
            Err(error) => problems.push(at(claim.path, format!("claimed, but by whom cannot be read: {error}"))),
        }
    }
    if !problems.is_empty() {
        return Decision::Refused(problems);
    }
    confirm.sort();
    confirm.dedup();

    let take = new_claims(spec, old).into_iter().filter(|claim| !found.claims.contains_key(claim)).collect();
    let dropped = old.map(|r| r.claims.as_slice()).unwrap_or_default().iter().filter(|claim| !wanted.contains(claim));
    let (moved, release): (Vec<String>, Vec<String>) =
        dropped.cloned().partition(|claim| old.is_some_and(|record| to_be_taken_down(claim, record, found.has_state)));
    let still = old.map(|r| r.releasing.as_slice()).unwrap_or_default().iter().filter(|claim| !wanted.contains(claim));
    let releasing = dedup(still.cloned().chain(moved.iter().cloned()));
    let record = ClusterRecord {
        name: name.to_owned(),
        generation: old.map_or(1, |r| r.generation.saturating_add(1)),
        spec: body,
        owner: match requester {
            Some(requester) => requester.owner(),
            None => old.and_then(|r| r.owner.clone()),
        },
        claims: wanted,
        releasing,
        created_at: old.map_or(now, |r| r.created_at),
        updated_at: now,
        tombstone: None,
        version: old.map_or(0, |r| r.version),
    };
    Decision::Store(Box::new(Change { created: old.is_none(), record, take, confirm, release, releasing: moved }))
}

/// Whether a function may have made something under a claim that the spec no longer names. The claim then stays until
/// that is gone: another cluster that took it sooner would see its targets removed.
fn to_be_taken_down(claim: &str, record: &ClusterRecord, has_state: bool) -> bool {
    if !claim.starts_with("target-group#") {
        return false;
    }
    match record.read_spec() {
        Stored::Spec(spec) => {
            has_state || spec::claims(&spec).iter().any(|c| c.key == claim && c.path.starts_with("primary."))
        }
        Stored::Newer(_) | Stored::Unreadable(_) => true,
    }
}

fn dedup(claims: impl Iterator<Item = String>) -> Vec<String> {
    claims.collect::<BTreeSet<_>>().into_iter().collect()
}

fn same_claims(stored: &[String], wanted: &[String]) -> bool {
    dedup(stored.iter().cloned()) == wanted
}

/// The names of the sections that a spec, as stored, has.
#[must_use]
pub fn sections(spec: &Value) -> Vec<&'static str> {
    ["primary", "nodes", "snapshots"]
        .into_iter()
        .filter(|section| spec.get(section).is_some_and(Value::is_object))
        .collect()
}
