//! What a node says of where its data lies, and what follows from it: which volumes one call must take, and whether their file
//! systems may be frozen (invariants S1 and S2).

use std::collections::{BTreeMap, BTreeSet};

use domain::spec::snapshots::{Filesystem, FilesystemKind};
use ports::Disk;
use runtime::records::RestoreMember;

use crate::sets::{self, MOST_EXCLUDED, MOST_MEMBERS};

/// The script that asks a node.
pub const SURVEY: &str = include_str!("node/survey.sh");
/// The script that freezes, thaws, and tells how it went.
pub const FREEZE: &str = include_str!("node/freeze.sh");

/// A script with what it is to know before its text.
#[must_use]
pub fn script(text: &str, variables: &[(&str, &str)]) -> String {
    let quoted = |value: &str| value.replace('\'', r"'\''");
    let lines: String = variables.iter().map(|(name, value)| format!("{name}='{}'\n", quoted(value))).collect();
    format!("{lines}{text}")
}

/// A node's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// Whether it leads, as PostgreSQL itself says (`pg_is_in_recovery`).
    pub leads: bool,
    /// `database_system_identifier`.
    pub system: Option<String>,
    /// The timeline.
    pub timeline: Option<u64>,
    /// `server_version_num`.
    pub version: Option<u32>,
    /// The redo position of the last checkpoint.
    pub redo: Option<String>,
    /// The data directory.
    pub data_dir: String,
    /// What lies where: `data`, `wal`, `tablespace-16401`, and the mount point.
    pub places: Vec<(String, String)>,
    /// The mounts and their types.
    pub mounts: BTreeMap<String, String>,
    /// What lies on a mount that must never be frozen.
    pub holds: Vec<(String, String)>,
    /// The physical disks under the mounts.
    pub disks: Vec<Physical>,
    /// What came of the checkpoint.
    pub checkpoint: String,
}

/// A physical disk under a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Physical {
    /// The mount point.
    pub mount: String,
    /// The EBS volume, where the disk says.
    pub volume: Option<String>,
    /// The kernel's name of it.
    pub device: String,
    /// `ebs`, `instance-store`, or whatever else.
    pub kind: String,
}

/// Reads an answer.
///
/// # Errors
/// A sentence: the node's own, or that the answer is not whole.
pub fn read(text: &str) -> Result<Layout, String> {
    let mut layout = Layout::default();
    let (mut begun, mut ended, mut role) = (false, false, None);
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.as_slice() {
            ["survey", "1"] => begun = true,
            ["survey", other] => return Err(format!("the node answers in version {other}, which is not known")),
            ["problem", why] => return Err((*why).to_owned()),
            ["role", "leader"] => role = Some(true),
            ["role", "replica"] => role = Some(false),
            ["system", id] => layout.system = Some((*id).to_owned()),
            ["timeline", n] => layout.timeline = n.parse().ok(),
            ["version", n] => layout.version = n.parse().ok(),
            ["redo", lsn] => layout.redo = Some((*lsn).to_owned()),
            ["data", dir] => layout.data_dir = path(dir),
            ["place", what, _, mount] => layout.places.push(((*what).to_owned(), path(mount))),
            ["mount", mount, kind] => {
                layout.mounts.insert(path(mount), (*kind).to_owned());
            }
            ["holds", mount, what] => layout.holds.push((path(mount), (*what).to_owned())),
            ["disk", mount, volume, device, kind] => layout.disks.push(Physical {
                mount: path(mount),
                volume: (*volume != "-").then(|| (*volume).to_owned()),
                device: (*device).to_owned(),
                kind: (*kind).to_owned(),
            }),
            ["checkpoint", what] => layout.checkpoint = (*what).to_owned(),
            ["end"] => ended = true,
            // A newer script may say more.
            _ => {}
        }
    }
    let Some(leads) = role.filter(|_| begun && ended) else {
        return Err("the node's answer is not whole".to_owned());
    };
    layout.leads = leads;
    for what in ["data", "wal"] {
        if !layout.places.iter().any(|(place, _)| place == what) {
            return Err(format!("the node did not say where its {what} lies"));
        }
    }
    Ok(layout)
}

/// A path as the scripts write it, so that one with a tab or a newline stays in its field.
fn path(field: &str) -> String {
    field.replace("%09", "\t").replace("%0A", "\n").replace("%25", "%")
}

/// What one call takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whole {
    /// The volumes of the data, by device.
    pub members: BTreeMap<String, RestoreMember>,
    /// Leave out the volume that the instance starts from.
    pub exclude_boot: bool,
    /// Leave out these.
    pub exclude: Vec<String>,
}

/// Why there is nothing whole to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotWhole {
    /// A part of the data lies where no snapshot of this instance reaches.
    Elsewhere(String),
    /// More volumes than one call takes or leaves out.
    TooMany(String),
}

/// Which of an instance's volumes hold the data: all disks under all places.
///
/// # Errors
/// See [`NotWhole`]: each names the disk.
pub fn whole(layout: &Layout, attached: &[Disk]) -> Result<Whole, NotWhole> {
    let mut members: BTreeMap<String, RestoreMember> = BTreeMap::new();
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    for (place, mount) in &layout.places {
        let mut disks = layout.disks.iter().filter(|disk| disk.mount == *mount).peekable();
        if disks.peek().is_none() {
            return Err(NotWhole::Elsewhere(format!("{place} lies on {mount}, and no disk is known under it")));
        }
        for disk in disks {
            if disk.kind != "ebs" {
                let what =
                    format!("{place} lies on {mount}, of which {} is no EBS volume ({})", disk.device, disk.kind);
                return Err(NotWhole::Elsewhere(what));
            }
            let Some(volume) = attached.iter().find(|volume| is(disk, volume)) else {
                let name = disk.volume.as_deref().unwrap_or(&disk.device);
                let what = format!("{place} lies on {mount}, and {name} is not attached, as far as EC2 says");
                return Err(NotWhole::Elsewhere(what));
            };
            taken.insert(&volume.volume);
            members.insert(volume.device.clone(), sets::member(volume));
        }
    }
    let others: Vec<&Disk> = attached.iter().filter(|disk| !taken.contains(disk.volume.as_str())).collect();
    let exclude: Vec<String> = others.iter().filter(|disk| !disk.boot).map(|disk| disk.volume.clone()).collect();
    if members.len() > MOST_MEMBERS || exclude.len() > MOST_EXCLUDED {
        let counts = format!("{} volumes of data, {} others", members.len(), exclude.len());
        return Err(NotWhole::TooMany(counts));
    }
    Ok(Whole { members, exclude_boot: others.iter().any(|disk| disk.boot), exclude })
}

/// NVMe disks tell their volume; others have the attachment's name, with `xvd` for `sd` (EC2 user guide, device naming).
fn is(disk: &Physical, attached: &Disk) -> bool {
    match &disk.volume {
        Some(volume) => *volume == attached.volume,
        None => disk.device == attached.device || disk.device.replacen("/xvd", "/sd", 1) == attached.device,
    }
}

/// How a file-system consistent set can be had of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quiesce {
    /// By freezing these mounts.
    Freeze(Vec<String>),
    /// With nothing done: what ZFS has on disk is always one transaction.
    Needless,
    /// Not at all, and why: the set is crash-consistent.
    Not(String),
}

/// Whether a node's file systems may be frozen.
#[must_use]
pub fn quiesce(layout: &Layout, spec: &Filesystem, leads: bool, synchronous: bool) -> Quiesce {
    let used: BTreeSet<&str> = layout.places.iter().map(|(_, mount)| mount.as_str()).collect();
    if spec.kind == FilesystemKind::Zfs {
        let other = used.iter().find(|mount| layout.mounts.get(**mount).is_none_or(|kind| kind != "zfs"));
        return match other {
            None => Quiesce::Needless,
            Some(mount) => Quiesce::Not(format!("{mount} is no ZFS")),
        };
    }
    let given: BTreeSet<&str> = spec.mounts.iter().map(|mount| mount.as_str()).collect();
    if let Some(mount) = used.iter().find(|mount| !given.contains(*mount)) {
        return Quiesce::Not(format!("data lies on {mount}, which `filesystem.mounts` does not name"));
    }
    if let Some((mount, what)) = layout.holds.iter().find(|(mount, _)| given.contains(mount.as_str())) {
        return Quiesce::Not(format!("{mount} holds {what}, and is never frozen"));
    }
    if synchronous {
        return Quiesce::Not("the node is a synchronous standby: commits would wait for it".to_owned());
    }
    if (leads || layout.leads) && !spec.allow_leader {
        return Quiesce::Not("the node leads, and `filesystem.allow_leader` is false".to_owned());
    }
    Quiesce::Freeze(spec.mounts.iter().map(|mount| mount.as_str().to_owned()).collect())
}

/// What the node said after a freeze.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frozen {
    /// Every mount was still frozen when it was asked, after the call.
    Throughout,
    /// Not so: a sentence.
    Broken(String),
}

/// Reads the answer of `thaw` or `tell`.
#[must_use]
pub fn frozen(text: &str, mounts: &[String]) -> Frozen {
    let mut still = BTreeSet::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.as_slice() {
            ["mount", mount, "still", ..] => {
                still.insert(path(mount));
            }
            ["mount", mount, "early", ..] => {
                return Frozen::Broken(format!("{mount} had thawed by itself before the call returned"));
            }
            ["mount", mount, what, ..] => return Frozen::Broken(format!("{mount}: {what}")),
            _ => {}
        }
    }
    match mounts.iter().find(|mount| !still.contains(*mount)) {
        None => Frozen::Throughout,
        Some(mount) => Frozen::Broken(format!("the node did not say how long {mount} was frozen")),
    }
}
