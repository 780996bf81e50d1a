//! What people ask for by hand: a restore point now, the list, holds, what it all costs.

pub mod cost;
pub mod request;

use std::collections::BTreeMap;

use domain::spec::Problem;
use jiff::Timestamp;
use ports::{PortError, Table, TableError, Write};
use runtime::records::{AuditEntry, ClusterRecord, Hold, Phase, PointKind, RestorePoint, Stored, TakeRequest};
use serde_json::{Value, json};

use self::request::{Held, problem};
use crate::sets;
use crate::state::FUNCTION;

/// How often a record that another run changes meanwhile is tried.
const TRIES: usize = 5;

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    /// It cannot be as it is.
    Refused(Vec<Problem>),
    /// The table could not be read or written.
    Table(PortError),
}

impl From<PortError> for Stop {
    fn from(error: PortError) -> Self {
        Self::Table(error)
    }
}

fn refused(path: &str, why: impl Into<String>) -> Stop {
    Stop::Refused(vec![problem(path, why)])
}

/// The answer that lists problems.
#[must_use]
pub fn refusal(problems: &[Problem]) -> Value {
    json!({"ok": false, "errors": problems})
}

/// Whether a restore point of a cluster can be asked for.
///
/// # Errors
/// There is no such cluster, or its spec does not say how.
pub async fn may_take(table: &impl Table, cluster: &str) -> Result<(), Stop> {
    let Some(item) = table.get(&ClusterRecord::key(cluster)).await? else {
        return Err(refused("take", format!("there is no cluster `{cluster}` (`{{\"list\": {{}}}}` to the registry)")));
    };
    let record = ClusterRecord::read(&item).map_err(|error| refused("take", error.to_string()))?;
    if record.tombstone.is_some() {
        return Err(refused("take", format!("`{cluster}` is being deleted")));
    }
    match record.read_spec() {
        Stored::Spec(spec) if spec.snapshots.is_none() => Err(refused(
            "take",
            format!("the spec of `{cluster}` has no `snapshots`: add the section and put it again"),
        )),
        Stored::Spec(spec) if spec.nodes.is_none() => {
            Err(refused("take", format!("the spec of `{cluster}` has no `nodes`, so its instances are not known")))
        }
        Stored::Spec(_) => Ok(()),
        Stored::Newer(schema) => Err(refused("take", format!("the spec of `{cluster}` has schema {schema}"))),
        Stored::Unreadable(why) => Err(refused("take", format!("the spec of `{cluster}` cannot be read: {why}"))),
    }
}

/// Asks for a restore point, and gives the id that its set will have at its first try.
///
/// # Errors
/// The table could not be written.
pub async fn ask(
    table: &impl Table,
    cluster: &str,
    hold: Option<Held>,
    by: &str,
    now: Timestamp,
) -> Result<String, Stop> {
    // To the second, as its id has it.
    let at = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let request = TakeRequest {
        cluster: cluster.to_owned(),
        kind: PointKind::Manual,
        instance: None,
        hold: hold.as_ref().map(|hold| hold.name.clone()),
        until: hold.as_ref().and_then(|hold| hold.until(now)),
        by: by.to_owned(),
        at,
    };
    let set = sets::id(cluster, at, PointKind::Manual, 1);
    let entry = entry("take", by, json!({"set": set, "hold": request.hold, "until": request.until}), now);
    write(table, vec![request.put(), entry.append(cluster, nonce(now))]).await?;
    Ok(set)
}

/// Every restore point of a cluster, the newest first, each with its copies.
///
/// # Errors
/// The table could not be read; or there is neither such a cluster nor a restore point of it.
pub async fn list(table: &impl Table, cluster: &str) -> Result<Value, Stop> {
    let (mut points, unreadable) = RestorePoint::all(table, cluster).await?;
    if points.is_empty() && unreadable.is_empty() && table.get(&ClusterRecord::key(cluster)).await?.is_none() {
        return Err(refused("list", format!("there is no cluster `{cluster}`, and no restore point of one")));
    }
    points.sort_by(|a, b| b.taken_at.cmp(&a.taken_at).then_with(|| a.copy_of.cmp(&b.copy_of)));
    let mut shown: Vec<(String, Value)> = Vec::new();
    let mut copies: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let sources: Vec<String> = points.iter().filter(|p| p.copy_of.is_none()).map(|p| p.set.clone()).collect();
    for point in points {
        let set = point.set.clone();
        // A copy whose source is gone stands for itself.
        if point.copy_of.is_some() && sources.contains(&set) {
            copies.entry(set).or_default().push(json!(point));
        } else {
            shown.push((set, json!(point)));
        }
    }
    let points: Vec<Value> = shown
        .into_iter()
        .map(|(set, mut point)| {
            if let Some(point) = point.as_object_mut() {
                point.insert("copies".to_owned(), Value::Array(copies.remove(&set).unwrap_or_default()));
                point.entry("holds").or_insert_with(|| json!({}));
                point.entry("grade").or_insert(Value::Null);
            }
            point
        })
        .collect();
    let unreadable: Vec<String> = unreadable.iter().map(ToString::to_string).collect();
    Ok(json!({"ok": true, "cluster": cluster, "restore_points": points, "unreadable": unreadable}))
}

/// What becomes of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish<'a> {
    /// It begins.
    Hold(&'a Held),
    /// It ends.
    Release(&'a str),
}

impl Wish<'_> {
    fn days(self) -> Option<u32> {
        match self {
            Self::Hold(held) => held.days,
            Self::Release(_) => None,
        }
    }
}

/// Holds or releases a restore point, in every Region that has it.
///
/// # Errors
/// There is no such restore point, or it is being deleted already, or it has no such hold; or the table could not be read or
/// written.
pub async fn hold(table: &impl Table, set: &str, wish: Wish<'_>, by: &str, now: Timestamp) -> Result<Value, Stop> {
    let (verb, name) = match wish {
        Wish::Hold(held) => ("hold", held.name.as_str()),
        Wish::Release(name) => ("release", name),
    };
    let Some(cluster) = sets::cluster_of(set) else {
        return Err(refused(verb, format!("`{set}` is no set: `{{\"list\": \"<cluster>\"}}` shows them")));
    };
    for _ in 0..TRIES {
        let (points, _) = RestorePoint::all(table, cluster).await?;
        let mut points: Vec<RestorePoint> = points.into_iter().filter(|point| point.set == set).collect();
        if points.is_empty() {
            return Err(refused(
                verb,
                format!("there is no restore point `{set}`: `{{\"list\": \"{cluster}\"}}` shows them"),
            ));
        }
        if verb == "hold" && points.iter().all(|point| point.phase == Phase::Deleting) {
            return Err(refused(verb, format!("`{set}` is being deleted already")));
        }
        if verb == "release" && !points.iter().any(|point| point.holds.contains_key(name)) {
            let held: Vec<String> = points.iter().flat_map(|point| point.holds.keys().cloned()).collect();
            let held =
                if held.is_empty() { "nothing holds it".to_owned() } else { format!("held by {}", held.join(", ")) };
            return Err(refused("name", format!("`{set}` has no hold `{name}`; {held}")));
        }
        for point in points.iter_mut().filter(|point| point.phase != Phase::Deleting) {
            match wish {
                Wish::Hold(held) => {
                    let hold = Hold { by: by.to_owned(), at: now, until: held.until(now) };
                    // A second hold of one name prolongs the first, and never shortens what somebody else relies on.
                    if point.holds.get(name).is_none_or(|first| hold.outlasts(first)) {
                        point.holds.insert(name.to_owned(), hold);
                    }
                }
                Wish::Release(name) => {
                    point.holds.remove(name);
                }
            }
        }
        let entry = entry(verb, by, json!({"set": set, "name": name, "days": wish.days()}), now);
        let mut writes: Vec<Write> = points.iter().map(|point| point.put(cluster)).collect();
        writes.push(entry.append(cluster, nonce(now)));
        match table.write(writes).await {
            Ok(()) => {
                let holds = points.first().map(|point| json!(point.holds)).unwrap_or_default();
                return Ok(json!({"ok": true, "set": set, "holds": holds}));
            }
            Err(TableError::ConditionFailed { .. }) => {}
            Err(TableError::Port(error)) => return Err(Stop::Table(error)),
        }
    }
    Err(refused(verb, format!("`{set}` was changed by others {TRIES} times meanwhile; try again")))
}

fn entry(what: &str, by: &str, detail: Value, at: Timestamp) -> AuditEntry {
    AuditEntry { at, function: FUNCTION.to_owned(), what: what.to_owned(), by: Some(by.to_owned()), detail }
}

fn nonce(now: Timestamp) -> u32 {
    u32::try_from(now.subsec_nanosecond()).unwrap_or_default()
}

/// A write of items that nobody else writes. One whose reply was lost is the same when it is sent again.
async fn write(table: &impl Table, writes: Vec<Write>) -> Result<(), Stop> {
    let again = writes.clone();
    match table.write(writes).await {
        Ok(()) => Ok(()),
        Err(TableError::Port(error)) if !error.class.outcome_unknown() => Err(Stop::Table(error)),
        Err(_) => match table.write(again).await {
            Ok(()) => Ok(()),
            Err(TableError::Port(error)) => Err(Stop::Table(error)),
            Err(TableError::ConditionFailed { .. }) => Err(refused("", "changed by others meanwhile; try again")),
        },
    }
}
