//! The brakes: what stops every deletion of a pass (S4), whatever the rules say.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::Point;

/// More deletions than this at once, and more than one point in four, wait for an acknowledgement.
pub const FEW: usize = 3;

/// Whether all points of the place are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// Every page was read, and it agrees with what was known before.
    Complete,
    /// A page failed, was empty where points are known, or was refused: why.
    Incomplete(String),
}

/// What a pass knows beside the points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circumstances {
    /// The clock.
    pub now: Timestamp,
    /// When a pass last looked at this place.
    pub last_run: Option<Timestamp>,
    /// Whether the points are all.
    pub listing: Listing,
    /// The age of the newest point from which on nothing is deleted.
    pub max_age: Option<SignedDuration>,
    /// When the policy became what it is; nothing where that was before anybody's memory.
    pub policy_since: Option<Timestamp>,
    /// The time between two restore points: so long a changed policy is only shown.
    pub cycle: SignedDuration,
    /// What was acknowledged for this cluster.
    pub acknowledged: Vec<String>,
    /// Whether the cluster has a spec, or had one and was deleted.
    pub cluster_known: bool,
}

impl Circumstances {
    /// Those in which no brake holds because of anything but the points and the clock.
    #[must_use]
    pub fn untroubled(now: Timestamp) -> Self {
        Self {
            now,
            last_run: None,
            listing: Listing::Complete,
            max_age: None,
            policy_since: None,
            cycle: SignedDuration::ZERO,
            acknowledged: Vec::new(),
            cluster_known: true,
        }
    }
}

/// Why nothing is deleted now. Displays as a sentence with the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brake {
    /// The listing may lack points.
    ListingIncomplete(String),
    /// There is no such cluster, so nobody said what is to go.
    ClusterUnknown,
    /// No rule keeps anything.
    EmptyPolicy,
    /// A point is newer than the clock: one of them is wrong.
    ClockBehindNewest {
        /// The clock.
        now: Timestamp,
        /// The newest point.
        newest: Timestamp,
    },
    /// The clock has gone back since the last pass.
    ClockBehindLastRun {
        /// The clock.
        now: Timestamp,
        /// The last pass.
        last_run: Timestamp,
    },
    /// No good point was made for too long: those that are there may be the last.
    NewestTooOld {
        /// The newest good point.
        newest: Timestamp,
        /// How old it may be.
        max_age: SignedDuration,
    },
    /// The policy is new; its plan is shown for one cycle first.
    PolicyChanged {
        /// When deletions may begin.
        until: Timestamp,
        /// What to acknowledge to have them at once.
        acknowledge: String,
    },
    /// A large share would go at once.
    TooMany {
        /// How many would go.
        removed: usize,
        /// Of how many.
        of: usize,
        /// What to acknowledge.
        acknowledge: String,
    },
}

impl Brake {
    /// A stable word for it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::ListingIncomplete(_) => "listing-incomplete",
            Self::ClusterUnknown => "cluster-unknown",
            Self::EmptyPolicy => "empty-policy",
            Self::ClockBehindNewest { .. } => "clock-behind-newest",
            Self::ClockBehindLastRun { .. } => "clock-behind-last-run",
            Self::NewestTooOld { .. } => "newest-too-old",
            Self::PolicyChanged { .. } => "policy-changed",
            Self::TooMany { .. } => "too-many",
        }
    }
}

impl fmt::Display for Brake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ListingIncomplete(why) => {
                write!(f, "The list of restore points is not complete ({why}). Nothing is deleted until it is.")
            }
            Self::ClusterUnknown => {
                f.write_str("There is no such cluster. Put its spec again, or delete the restore points by hand.")
            }
            Self::EmptyPolicy => {
                f.write_str("The policy keeps nothing, so nothing is deleted. Give a rule a number above 0.")
            }
            Self::ClockBehindNewest { now, newest } => write!(
                f,
                "It is {now}, but a restore point is of {newest}. Nothing is deleted until the clock has passed it."
            ),
            Self::ClockBehindLastRun { now, last_run } => {
                write!(
                    f,
                    "It is {now}, but the last pass was at {last_run}. Nothing is deleted until the clock has passed it."
                )
            }
            Self::NewestTooOld { newest, max_age } => write!(
                f,
                "The newest good restore point is of {newest}, more than {} hours ago. Nothing is deleted until there is a \
                 newer one.",
                max_age.as_hours()
            ),
            Self::PolicyChanged { until, acknowledge } => write!(
                f,
                "The policy is new. What it removes is only shown until {until}, or until `{acknowledge}` is acknowledged."
            ),
            Self::TooMany { removed, of, acknowledge } => write!(
                f,
                "{removed} of {of} restore points would go at once. Look at the plan and acknowledge `{acknowledge}`, or \
                 change the policy."
            ),
        }
    }
}

impl Serialize for Brake {
    /// The contract's `{"brake": ..., "why": ...}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("brake", self.as_str())?;
        map.serialize_entry("why", &self.to_string())?;
        map.end()
    }
}

/// The brakes on anything that would be deleted: the listing, the cluster and the clocks. `points` are sorted, newest first.
pub(super) fn on_everything(points: &[&Point], about: &Circumstances) -> Vec<Brake> {
    let now = about.now;
    let listing = match &about.listing {
        Listing::Complete => None,
        Listing::Incomplete(why) => Some(Brake::ListingIncomplete(why.clone())),
    };
    let cluster = (!about.cluster_known).then_some(Brake::ClusterUnknown);
    let ahead = points.first().filter(|point| point.at > now);
    let newest = ahead.map(|point| Brake::ClockBehindNewest { now, newest: point.at });
    let last_run = about.last_run.filter(|last_run| *last_run > now);
    let last_run = last_run.map(|last_run| Brake::ClockBehindLastRun { now, last_run });
    [listing, cluster, newest, last_run].into_iter().flatten().collect()
}

/// The newest point that has a time at all is too old.
pub(super) fn on_age(points: &[&Point], about: &Circumstances) -> Option<Brake> {
    let max_age = about.max_age?;
    let newest = points.iter().map(|point| point.at).find(|at| *at <= about.now)?;
    (about.now.duration_since(newest) > max_age).then_some(Brake::NewestTooOld { newest, max_age })
}

/// The brakes on this many deletions; the acknowledgement of the plan lifts both.
pub(super) fn on_change(removed: usize, of: usize, acknowledge: &str, about: &Circumstances) -> Vec<Brake> {
    if removed == 0 || about.acknowledged.iter().any(|what| what == acknowledge) {
        return Vec::new();
    }
    let acknowledge = acknowledge.to_owned();
    // An instant past all calendars never comes, which is what such a cycle means.
    let until = about.policy_since.map(|since| since.checked_add(about.cycle).unwrap_or(Timestamp::MAX));
    let changed = until
        .filter(|until| about.now < *until)
        .map(|until| Brake::PolicyChanged { until, acknowledge: acknowledge.clone() });
    let many = removed > FEW && removed.saturating_mul(4) > of;
    changed.into_iter().chain(many.then_some(Brake::TooMany { removed, of, acknowledge })).collect()
}
