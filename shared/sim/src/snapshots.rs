//! EBS snapshots, in every Region of an account.
//!
//! Held here (`API_CreateSnapshots`, `API_CopySnapshot`, `API_Snapshot`; EBS user guide, "Create Amazon EBS snapshots", "Copy an Amazon EBS
//! snapshot", "Delete an Amazon EBS snapshot", "Quotas for Amazon EBS"): one call takes every volume that is attached and not
//! left out, at one instant, and has no client token; a snapshot is pending, then complete; if one of a set fails, all do; of a
//! volume 5 are pending at the most (1 of st1 and sc1), begun 15 s apart; a copy wants a complete source, has an arbitrary
//! volume and none of its source's tags, waits for an older copy of its lineage, and fails late where its key, its source's or its
//! presigned URL is no good; 20 are in flight into a Region; one that is pending is deleted once it is complete; what an image is made
//! from, or is locked, is not deleted; what is in the Recycle Bin is there for nobody; reads by tag and by id lag behind.

mod drives;
mod node;
mod people;
mod requests;
mod stored;

use std::collections::BTreeMap;

use jiff::Timestamp;
use ports::{Disk, NewCopy, NewSet, PortError, Snapshot};

use crate::calls::Happened;
use crate::client::{Client, Kind, Moment};
use crate::world::State;

pub use drives::NewDrive;
pub use node::{FileSystems, Freeze, Mount};
pub use stored::{Content, SnapshotFacts, SnapshotHabits};

pub(crate) use drives::Drives;
pub(crate) use node::Nodes;
use stored::Kept;
pub(crate) use stored::Stored;

const DESCRIBE: &str = "ec2:DescribeSnapshots";
const DISKS: &str = "ec2:DescribeVolumes";
const CREATE: &str = "ec2:CreateSnapshots";
const COPY: &str = "ec2:CopySnapshot";
const TAG: &str = "ec2:CreateTags";
const IMAGES: &str = "ec2:DescribeImages";
const SHARES: &str = "ec2:DescribeSnapshotAttribute";
const DELETE: &str = "ec2:DeleteSnapshot";
const LAG: Kind = Kind::Lagging(stored::LAG);

/// What an event says about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotEventKind {
    /// "EBS Multi-Volume Snapshots Completion Status".
    SetCreated,
    /// "EBS Snapshot Notification", `copySnapshot`.
    Copied {
        /// The id of what was copied.
        source: String,
    },
}

/// What EventBridge is told (EBS user guide, "EventBridge events for Amazon EBS").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotEvent {
    /// When.
    pub at: Timestamp,
    /// In which Region.
    pub region: String,
    /// Of what.
    pub kind: SnapshotEventKind,
    /// Why it failed; `None`: it succeeded.
    pub cause: Option<String>,
    /// The snapshots.
    pub snapshots: Vec<String>,
}

fn refuse<T>(call: &'static str, (class, code, message): requests::Refusal) -> (Result<T, PortError>, Happened) {
    let happened = Happened::Refused(format!("{code}: {message}"));
    (Err(PortError { call, class, code: code.to_owned(), message }), happened)
}

/// The port.
#[derive(Debug, Clone)]
pub struct Snapshots(Client);

impl Snapshots {
    /// A process's way to it.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }

    async fn read(
        &self,
        region: &str,
        asked: Asked,
        wanted: impl Fn(&Snapshot) -> bool + Send + Sync,
    ) -> Result<Vec<Snapshot>, PortError> {
        self.0
            .call(DESCRIBE, LAG, |state, moment| {
                let there = state.stored.region(region).filter(|region| !region.unlisted);
                let all = there.into_iter().flat_map(|region| region.all.values());
                let told = all.filter_map(|kept| kept.told(moment.seen)).filter(|snapshot| wanted(snapshot));
                let snapshots: Vec<Snapshot> = told.cloned().collect();
                let region = state.stored.region_name(region).to_owned();
                let happened = Happened::SnapshotsRead { region, asked: asked.clone(), snapshots: snapshots.clone() };
                (Ok(snapshots), happened)
            })
            .await
    }

    async fn change<T>(
        &self,
        call: &'static str,
        effect: impl Fn(&mut State, Moment) -> Result<(T, Happened), requests::Refusal> + Send + Sync,
    ) -> Result<T, PortError> {
        self.0
            .call(call, Kind::Change, |state, moment| match effect(state, moment) {
                Ok((answer, happened)) => (Ok(answer), happened),
                Err(refusal) => refuse(call, refusal),
            })
            .await
    }
}

/// What a read of snapshots asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// All that carry these tags.
    Tags(Vec<(String, String)>),
    /// These.
    Ids(Vec<String>),
}

impl ports::Snapshots for Snapshots {
    async fn tagged(&self, region: &str, tags: &[(String, String)]) -> Result<Vec<Snapshot>, PortError> {
        let carries = |snapshot: &Snapshot| tags.iter().all(|(key, value)| snapshot.tags.get(key) == Some(value));
        self.read(region, Asked::Tags(tags.to_vec()), carries).await
    }

    async fn describe(&self, region: &str, ids: &[String]) -> Result<Vec<Snapshot>, PortError> {
        self.read(region, Asked::Ids(ids.to_vec()), |snapshot| ids.contains(&snapshot.id)).await
    }

    async fn disks(&self, instance: &str) -> Result<Vec<Disk>, PortError> {
        self.0
            .call(DISKS, Kind::Consistent, |state, _| {
                if state.instance(instance).is_none() {
                    return refuse(DISKS, (ports::Class::NotFound, "InvalidInstanceID.NotFound", instance.to_owned()));
                }
                let disks = state.drives(instance);
                (Ok(disks.clone()), Happened::DisksRead(instance.to_owned(), disks))
            })
            .await
    }

    async fn create(&self, set: &NewSet) -> Result<Vec<Snapshot>, PortError> {
        self.change(CREATE, |state, moment| {
            let snapshots = state.create_set(set, moment.now)?;
            Ok((snapshots.clone(), Happened::SnapshotsCreated { set: set.clone(), snapshots }))
        })
        .await
    }

    async fn copy(&self, region: &str, copy: &NewCopy) -> Result<String, PortError> {
        self.change(COPY, |state, moment| {
            let id = state.copy_snapshot(region, copy, moment.now)?;
            let region = state.stored.region_name(region).to_owned();
            Ok((id.clone(), Happened::SnapshotCopied { region, copy: copy.clone(), id }))
        })
        .await
    }

    async fn tag(&self, region: &str, ids: &[String], tags: &BTreeMap<String, String>) -> Result<(), PortError> {
        self.change(TAG, |state, moment| {
            state.tag_snapshots(region, ids, tags, moment.now)?;
            let region = state.stored.region_name(region).to_owned();
            Ok(((), Happened::SnapshotsTagged { region, ids: ids.to_vec(), tags: tags.clone() }))
        })
        .await
    }

    async fn bound(&self, region: &str, ids: &[String]) -> Result<BTreeMap<String, String>, PortError> {
        self.0
            .call(IMAGES, Kind::Consistent, |state, moment| {
                let why = |id: &String| {
                    let facts = &state.stored.get(region, id)?.facts;
                    let locked = facts.locked_until.filter(|until| *until > moment.now);
                    let image = facts.images.first().map(|image| format!("the image {image} is made from it"));
                    Some((id.clone(), image.or_else(|| locked.map(|until| format!("it is locked until {until}")))?))
                };
                let bound: BTreeMap<String, String> = ids.iter().filter_map(why).collect();
                (Ok(bound.clone()), Happened::SnapshotsBound(bound))
            })
            .await
    }

    async fn shared_with(&self, region: &str, id: &str) -> Result<Vec<String>, PortError> {
        self.0
            .call(SHARES, Kind::Consistent, |state, _| {
                match state.stored.get(region, id).filter(|kept| kept.usable()) {
                    Some(kept) => {
                        let with: Vec<String> = kept.facts.shared_with.iter().cloned().collect();
                        (Ok(with.clone()), Happened::SharesRead(id.to_owned(), with))
                    }
                    None => refuse(SHARES, (ports::Class::NotFound, "InvalidSnapshot.NotFound", id.to_owned())),
                }
            })
            .await
    }

    async fn delete(&self, region: &str, id: &str) -> Result<(), PortError> {
        self.change(DELETE, |state, moment| {
            let was = state.delete_snapshot(region, id, moment.now)?;
            let region = state.stored.region_name(region).to_owned();
            Ok(((), Happened::SnapshotDeleted { region, id: id.to_owned(), was }))
        })
        .await
    }
}
