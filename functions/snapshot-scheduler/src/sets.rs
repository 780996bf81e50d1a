//! A set: the snapshots of one CreateSnapshots call, found again by their tags, which say all that is needed to rebuild its
//! record where our table is lost or in another Region (`facts`: tags are for snapshots only, so a volume's never make one ours).

use std::collections::BTreeMap;

use jiff::Timestamp;
use ports::{Disk, Snapshot, SnapshotState};
use runtime::records::{Grade, Hold, Origin, Phase, PointKind, RestoreMember, RestorePoint};

/// Which control plane made it: its table's name.
pub const DEPLOYMENT: &str = "pilothouse:deployment";
/// The cluster.
pub const CLUSTER: &str = "pilothouse:cluster";
/// The set.
pub const SET: &str = "pilothouse:set";
/// How many members the set has.
pub const MEMBERS: &str = "pilothouse:members";
/// One member of the set, followed by its number: `vol-1 /dev/sdf gp3 100 3000 125 <key or ->`. Every snapshot of a set names
/// all of its members.
pub const VOLUME: &str = "pilothouse:volume-";
/// The snapshot that this one is a copy of.
pub const COPY_OF: &str = "pilothouse:copy-of";
/// The volume that the source of a copy was taken of: a copy's own VolumeId means nothing.
pub const SOURCE_VOLUME: &str = "pilothouse:source-volume";
/// The Region of the source of a copy.
pub const SOURCE_REGION: &str = "pilothouse:source-region";
/// `deleting` from before the first member is deleted: such a set never counts again.
pub const STATE: &str = "pilothouse:state";
/// The value of [`STATE`].
pub const DELETING: &str = "deleting";
/// Who holds the set: names, each with `@` and when it ends where it ends by itself. The record counts; this is for when it is lost.
pub const HOLDS: &str = "pilothouse:holds";
/// The value of [`HOLDS`] of what was held once. We may set tags, and remove none.
pub const HOLDS_NONE: &str = "-";
const SLOT: &str = "pilothouse:slot";
const KIND: &str = "pilothouse:kind";
const NODE: &str = "pilothouse:node";
const SYSTEM: &str = "pilothouse:system";
const CONSISTENCY: &str = "pilothouse:consistency";

/// The most of a tag's value (EC2 user guide, "Tag restrictions").
const LONGEST_TAG: usize = 256;
/// The most members: a snapshot has 50 tags, and ours besides the members' are 14.
pub const MOST_MEMBERS: usize = 36;
/// How many volumes a call can leave out (`API_InstanceSpecification`, ExcludeDataVolumeIds).
pub const MOST_EXCLUDED: usize = 40;

/// The id of a set.
#[must_use]
pub fn id(cluster: &str, slot: Timestamp, kind: PointKind, attempt: u32) -> String {
    let kind = match kind {
        PointKind::Scheduled => String::new(),
        PointKind::Manual | PointKind::Final => format!("-{}", kind.word()),
    };
    format!("{cluster}.{}{kind}.{attempt}", slot.strftime("%Y%m%dT%H%M%SZ"))
}

/// The cluster that a set is of.
#[must_use]
pub fn cluster_of(set: &str) -> Option<&str> {
    let mut parts = set.split('.');
    let cluster = parts.next()?;
    (parts.count() == 2 && !cluster.is_empty()).then_some(cluster)
}

/// What a member is tagged with, and found by.
#[must_use]
pub fn member(disk: &Disk) -> RestoreMember {
    RestoreMember {
        volume: disk.volume.clone(),
        size_gib: disk.size_gib,
        kind: disk.kind.clone(),
        iops: disk.iops,
        throughput: disk.throughput,
        key: disk.key.clone(),
        ..RestoreMember::default()
    }
}

/// The time that a restore point counts for: its slot. One that was taken before its slot, by a clock that was ahead, counts
/// for when it was taken: it must not outlive as the newest one what was taken after it (invariant S3).
#[must_use]
pub fn time_of(point: &RestorePoint) -> Timestamp {
    point.slot.min(point.taken_at)
}

/// The tags of every snapshot of a point's set, as the call gives them.
#[must_use]
pub fn tags(deployment: &str, cluster: &str, point: &RestorePoint, wanted: Grade) -> BTreeMap<String, String> {
    let number = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let volumes = point.members.iter().zip(1_usize..).map(|((device, m), n)| {
        let key = m.key.as_deref().unwrap_or("-");
        let text = format!(
            "{} {device} {} {} {} {} {key}",
            m.volume,
            m.kind,
            m.size_gib,
            number(m.iops),
            number(m.throughput)
        );
        (format!("{VOLUME}{n}"), text)
    });
    let origin = &point.origin;
    let node = format!(
        "{} {} timeline={} version={} redo={}",
        origin.instance,
        origin.role,
        origin.timeline.map_or_else(|| "-".to_owned(), |t| t.to_string()),
        number(origin.version),
        origin.redo.as_deref().unwrap_or("-"),
    );
    let fixed = [
        (DEPLOYMENT, deployment.to_owned()),
        (CLUSTER, cluster.to_owned()),
        (SET, point.set.clone()),
        (SLOT, point.slot.to_string()),
        (KIND, point.kind.word().to_owned()),
        (MEMBERS, point.members.len().to_string()),
        (NODE, node),
        (SYSTEM, origin.system.clone().unwrap_or_else(|| "-".to_owned())),
        (CONSISTENCY, wanted.word().to_owned()),
    ];
    let held = (!point.holds.is_empty()).then(|| (HOLDS, holds_text(&point.holds)));
    fixed.into_iter().chain(held).map(|(key, value)| (key.to_owned(), value)).chain(volumes).collect()
}

/// What [`HOLDS`] says. A tag takes few characters, and 256 of them: others are an underscore, and what finds no room is held as
/// `more`.
#[must_use]
pub fn holds_text(holds: &BTreeMap<String, Hold>) -> String {
    const MORE: &str = "more";
    let mut text = String::new();
    for (name, hold) in holds {
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') { c } else { '_' };
        let name: String = name.chars().map(plain).collect();
        let until = hold.until.map(|until| format!("@{}", until.strftime("%Y-%m-%dT%H:%M:%SZ"))).unwrap_or_default();
        let room = LONGEST_TAG.saturating_sub(text.len() + MORE.len() + 2);
        if name.len() + until.len() > room {
            text.push_str(if text.is_empty() { MORE } else { " more" });
            break;
        }
        text.push_str(if text.is_empty() { "" } else { " " });
        text.push_str(&name);
        text.push_str(&until);
    }
    if text.is_empty() { HOLDS_NONE.to_owned() } else { text }
}

/// What a tag says of holds. One that ends at a time that cannot be read does not end.
fn read_holds(text: &str, at: Timestamp) -> BTreeMap<String, Hold> {
    let words = text.split_whitespace().filter(|word| *word != HOLDS_NONE);
    let hold = |word: &str| {
        let (name, until) = word.split_once('@').unwrap_or((word, ""));
        (name.to_owned(), Hold { by: "the tags".to_owned(), at, until: until.parse().ok() })
    };
    words.map(hold).collect()
}

/// Whether a snapshot says that it is of a set of ours (invariant S5).
#[must_use]
pub fn is_ours(deployment: &str, cluster: &str, set: &str, snapshot: &Snapshot) -> bool {
    let tag = |key: &str| snapshot.tags.get(key).map(String::as_str);
    tag(DEPLOYMENT) == Some(deployment) && tag(CLUSTER) == Some(cluster) && tag(SET) == Some(set)
}

/// The tags of the copy of one member: those of its set, and where it comes from.
#[must_use]
pub fn copy_tags(
    deployment: &str,
    cluster: &str,
    source: &RestorePoint,
    member: &RestoreMember,
) -> BTreeMap<String, String> {
    let mut tags = tags(deployment, cluster, source, source.grade.unwrap_or(Grade::Crash));
    tags.insert(COPY_OF.to_owned(), member.snapshot.clone());
    tags.insert(SOURCE_VOLUME.to_owned(), member.volume.clone());
    tags.insert(SOURCE_REGION.to_owned(), source.region.clone());
    tags
}

/// The snapshots of one call: those of a set that were begun at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'a> {
    /// The set's id.
    pub set: &'a str,
    /// When they were begun. `None`: they are copies, each with a moment of its own.
    pub started_at: Option<Timestamp>,
    /// The snapshots.
    pub snapshots: Vec<&'a Snapshot>,
}

/// Parts what was listed in a Region into calls. What does not say its deployment, cluster and set, each ours, is left out
/// (invariant S5).
#[must_use]
pub fn found<'a>(deployment: &str, cluster: &str, listed: &'a [Snapshot]) -> Vec<Found<'a>> {
    let mut calls: BTreeMap<(&str, Option<Timestamp>), Vec<&Snapshot>> = BTreeMap::new();
    for snapshot in listed {
        let tag = |key: &str| snapshot.tags.get(key).map(String::as_str);
        let ours = tag(DEPLOYMENT) == Some(deployment) && tag(CLUSTER) == Some(cluster);
        let Some(set) = tag(SET).filter(|set| ours && cluster_of(set) == Some(cluster)) else { continue };
        let at = tag(COPY_OF).is_none().then_some(snapshot.started_at);
        calls.entry((set, at)).or_default().push(snapshot);
    }
    calls.into_iter().map(|((set, started_at), snapshots)| Found { set, started_at, snapshots }).collect()
}

/// Whether it was deleted and lies in the Recycle Bin, or is on its way out of there: it can neither be used nor tagged.
#[must_use]
pub fn is_binned(snapshot: &Snapshot) -> bool {
    matches!(snapshot.state, SnapshotState::Recoverable | SnapshotState::Recovering)
}

/// The record of a set that we have none of, as far as its tags tell. `None`: they do not tell its members.
#[must_use]
pub fn rebuilt(found: &Found<'_>, region: &str) -> Option<RestorePoint> {
    let first = found.snapshots.first()?;
    let tag = |key: &str| first.tags.get(key).map(String::as_str);
    let count: usize = tag(MEMBERS)?.parse().ok()?;
    let members: BTreeMap<String, RestoreMember> =
        (1..=count).map(|n| read_volume(tag(&format!("{VOLUME}{n}"))?)).collect::<Option<_>>()?;
    if count == 0 || members.len() != count {
        return None;
    }
    let mut point = RestorePoint {
        set: found.set.to_owned(),
        taken_at: found.snapshots.iter().map(|s| s.started_at).min()?,
        region: region.to_owned(),
        members,
        slot: tag(SLOT)?.parse().ok()?,
        kind: match tag(KIND)? {
            "scheduled" => PointKind::Scheduled,
            "manual" => PointKind::Manual,
            "final" => PointKind::Final,
            _ => return None,
        },
        phase: Phase::Pending,
        origin: origin(tag(NODE).unwrap_or_default(), tag(SYSTEM).unwrap_or("-")),
        begun_at: first.started_at,
        copy_of: tag(SOURCE_REGION).map(str::to_owned),
        holds: read_holds(tag(HOLDS).unwrap_or_default(), first.started_at),
        ..RestorePoint::default()
    };
    if first.tags.get(STATE).is_some_and(|state| state == DELETING) {
        point.phase = Phase::Deleting;
    }
    if point.copy_of.is_some() {
        // A copy's own StartTime is the copy's, and with which key it was to be encrypted its tags do not tell.
        point.taken_at = point.slot.min(point.begun_at);
        point.members.values_mut().for_each(|member| member.key = None);
    }
    note(&mut point, found);
    Some(point)
}

fn read_volume(text: &str) -> Option<(String, RestoreMember)> {
    let mut words = text.split(' ');
    let (volume, device, kind, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let (iops, throughput, key) = (words.next()?, words.next()?, words.next()?);
    let member = RestoreMember {
        volume: volume.to_owned(),
        size_gib: size.parse().ok()?,
        kind: kind.to_owned(),
        iops: iops.parse().ok(),
        throughput: throughput.parse().ok(),
        key: (key != "-").then(|| key.to_owned()),
        ..RestoreMember::default()
    };
    Some((device.to_owned(), member))
}

fn origin(node: &str, system: &str) -> Origin {
    let mut words = node.split(' ');
    let (instance, role) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut origin = Origin { instance: instance.to_owned(), role: role.to_owned(), ..Origin::default() };
    for (name, value) in words.filter_map(|word| word.split_once('=')) {
        match name {
            "timeline" => origin.timeline = value.parse().ok(),
            "version" => origin.version = value.parse().ok(),
            "redo" => origin.redo = (value != "-").then(|| value.to_owned()),
            _ => {}
        }
    }
    origin.system = (system != "-").then(|| system.to_owned());
    origin
}

/// The volume that a snapshot stands for: its own, or of a copy its source's.
#[must_use]
pub fn volume_of(snapshot: &Snapshot) -> &str {
    snapshot.tags.get(SOURCE_VOLUME).map_or(snapshot.volume.as_str(), String::as_str)
}

/// Enters what was found of a set into its record: which snapshot is which member's.
pub fn note(point: &mut RestorePoint, found: &Found<'_>) {
    if let Some(at) = found.started_at {
        point.taken_at = at;
    }
    for member in point.members.values_mut().filter(|member| member.snapshot.is_empty()) {
        if let Some(snapshot) = found.snapshots.iter().find(|s| volume_of(s) == member.volume) {
            member.snapshot.clone_from(&snapshot.id);
        }
    }
}
