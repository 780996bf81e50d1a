//! What the function does to the world.

use std::collections::BTreeMap;

use ports::{NewCopy, NewSet};
use runtime::records::Grade;

/// One action. It says all that is needed to carry it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Asks a node where its data lies, and has it write a checkpoint.
    SurveyNode {
        /// The instance.
        instance: String,
        /// The script.
        script: String,
    },
    /// Takes one atomic set, with the file systems frozen around the call where `freeze` names any.
    TakeSet {
        /// The set's id.
        set: String,
        /// What the call takes.
        new: NewSet,
        /// The mounts to freeze.
        freeze: Vec<String>,
        /// The data directory, for the freeze.
        data_dir: String,
        /// What it comes to where nothing is frozen.
        unfrozen: Grade,
    },
    /// Marks a set's snapshots as being deleted, all before the first one goes.
    MarkDeleting {
        /// The set.
        set: String,
        /// The Region.
        region: String,
        /// Its snapshots.
        snapshots: Vec<String>,
    },
    /// Notes in a tag of a set's snapshots who holds it.
    TagHolds {
        /// The set.
        set: String,
        /// The Region.
        region: String,
        /// Its snapshots.
        snapshots: Vec<String>,
        /// The tag's value.
        holds: String,
    },
    /// Deletes a snapshot.
    DeleteSnapshot {
        /// The set.
        set: String,
        /// The Region.
        region: String,
        /// The snapshot.
        snapshot: String,
    },
    /// Copies a snapshot into another Region.
    CopySnapshot {
        /// The set.
        set: String,
        /// The Region that it is copied into.
        region: String,
        /// The member's device.
        device: String,
        /// The copy.
        copy: NewCopy,
    },
}

impl Action {
    /// Its name in reports.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SurveyNode { .. } => "SurveyNode",
            Self::TakeSet { .. } => "TakeSet",
            Self::MarkDeleting { .. } => "MarkDeleting",
            Self::TagHolds { .. } => "TagHolds",
            Self::DeleteSnapshot { .. } => "DeleteSnapshot",
            Self::CopySnapshot { .. } => "CopySnapshot",
        }
    }

    /// What it is done to.
    #[must_use]
    pub fn on(&self) -> String {
        match self {
            Self::SurveyNode { instance, .. } => instance.clone(),
            Self::TakeSet { set, new, .. } => format!("{set} of {}", new.instance),
            Self::MarkDeleting { set, region, .. } => format!("{set} in {region}"),
            Self::TagHolds { set, region, holds, .. } => format!("{set} in {region}: {holds}"),
            Self::DeleteSnapshot { set, region, snapshot } => format!("{snapshot} of {set} in {region}"),
            Self::CopySnapshot { set, region, device, copy } => {
                format!("{} ({device} of {set}) into {region}", copy.source)
            }
        }
    }

    /// Of which set, and in which Region, it takes something away.
    #[must_use]
    pub fn deletes_of(&self) -> Option<(&str, &str)> {
        match self {
            Self::MarkDeleting { set, region, .. } | Self::DeleteSnapshot { set, region, .. } => Some((set, region)),
            Self::SurveyNode { .. } | Self::TakeSet { .. } | Self::TagHolds { .. } | Self::CopySnapshot { .. } => None,
        }
    }

    /// Whether it takes something away.
    #[must_use]
    pub fn deletes(&self) -> bool {
        matches!(self, Self::MarkDeleting { .. } | Self::DeleteSnapshot { .. })
    }
}

/// The tag by which a set's snapshots say that they are being deleted.
#[must_use]
pub fn deleting() -> BTreeMap<String, String> {
    BTreeMap::from([(crate::sets::STATE.to_owned(), crate::sets::DELETING.to_owned())])
}
