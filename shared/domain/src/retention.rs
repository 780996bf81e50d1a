//! Which restore points are kept and which go: rules, floors under them, and brakes on the whole.
//!
//! The rules are restic's (`internal/restic/snapshot_policy.go`), over restore points in place of snapshots and by slot in
//! place of the time of the call. Whatever a floor holds is kept whatever the rules say; whatever a brake holds keeps all.
//! Nothing here asks a clock or remembers anything: the same points give the same plan.

pub mod brakes;
pub mod ending;
pub mod explain;
mod floors;
pub mod plan;
pub mod policy;
mod rules;

use std::cmp::Reverse;
use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

pub use brakes::{Brake, Circumstances, Listing};
pub use ending::plan_final;
pub use explain::explain;
pub use plan::{Plan, plan};
pub use policy::{Policy, Within};

use crate::names::RegionName;

/// A restore point of one cluster in one place, as retention looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The set's id. Two points may have the same time, never the same id.
    pub id: String,
    /// Its slot; for one without a slot, when it was begun. The rules go by this time alone.
    pub at: Timestamp,
    /// Every member is complete and the set is what was expected. One that is not (pending, failed, incomplete, being
    /// deleted, state unknown) is neither counted nor judged here: it must not push a good one out.
    pub good: bool,
    /// It is proven restorable.
    pub verified: bool,
    /// Someone holds it by name.
    pub held: bool,
    /// Something is made of it or needs it: an image, a restore, a lock.
    pub in_use: bool,
    /// It is still being copied, or waits for it.
    pub copying: bool,
}

impl Point {
    /// A good restore point of which nothing else is known.
    #[must_use]
    pub fn new(id: impl Into<String>, at: Timestamp) -> Self {
        let id = id.into();
        Self { id, at, good: true, verified: false, held: false, in_use: false, copying: false }
    }
}

/// Where the points are. Each place is judged by itself: what is gone in one says nothing about another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The Region where they were taken.
    Source,
    /// A Region that they were copied to.
    Copies(RegionName),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source => f.write_str("source"),
            Self::Copies(region) => write!(f, "copies in {region}"),
        }
    }
}

/// Why a restore point is kept. In the order in which reasons are listed: rules, then floors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Because {
    /// One of the newest.
    Last,
    /// The newest of its hour, or the oldest of all while there are fewer hours than are to be kept; so the others.
    Hourly,
    /// The newest of its day.
    Daily,
    /// The newest of its ISO week.
    Weekly,
    /// The newest of its month.
    Monthly,
    /// The newest of its year.
    Yearly,
    /// Within a span of time before the newest.
    Within,
    /// One of those that a deleted cluster leaves.
    Final,
    /// The newest good one (S3).
    FloorNewest,
    /// The newest that is proven restorable (S3).
    FloorNewestVerified,
    /// The newest copy in its Region (S3).
    FloorNewestCopy,
    /// Held by name (S3).
    FloorHeld,
    /// In use (S3).
    FloorInUse,
    /// Still being copied (S3).
    FloorCopying,
    /// Of a time that has not come: a clock is wrong, and nobody knows by how much.
    FloorFuture,
    /// The policy keeps nothing by itself, which nobody can mean (S4).
    FloorEmptyPolicy,
    /// The cluster was deleted less than a day ago.
    FloorJustDeleted,
}

impl Because {
    /// The contract's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
            Self::Within => "within",
            Self::Final => "final",
            Self::FloorNewest => "floor-newest",
            Self::FloorNewestVerified => "floor-newest-verified",
            Self::FloorNewestCopy => "floor-newest-copy",
            Self::FloorHeld => "floor-held",
            Self::FloorInUse => "floor-in-use",
            Self::FloorCopying => "floor-copying",
            Self::FloorFuture => "floor-future",
            Self::FloorEmptyPolicy => "floor-empty-policy",
            Self::FloorJustDeleted => "floor-just-deleted",
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Because {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What becomes of one restore point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The point's id.
    pub id: String,
    /// Its time.
    pub at: Timestamp,
    /// Every reason to keep it, each once; none: it goes.
    pub because: Vec<Because>,
}

impl Decision {
    /// Whether anything keeps it.
    #[must_use]
    pub fn kept(&self) -> bool {
        !self.because.is_empty()
    }
}

/// What becomes of the good points of one place by rules and floors, newest first; those of one time stay in the order in
/// which they were given.
#[must_use]
pub fn decide(points: &[Point], policy: &Policy, zone: &TimeZone, place: &Place, now: Timestamp) -> Vec<Decision> {
    let points = newest_first(points);
    let by_rules = rules::reasons(&points, policy, zone, now);
    let by_floors = floors::reasons(&points, place, now);
    let empty = policy.is_empty().then_some(Because::FloorEmptyPolicy);
    decisions(
        &points,
        by_rules.into_iter().zip(by_floors).map(|(rules, floors)| rules.into_iter().chain(floors).chain(empty)),
    )
}

/// The good ones, newest first. What is not good is of no account before anything is counted (defects 4 and 5 of the peers).
fn newest_first(points: &[Point]) -> Vec<&Point> {
    let mut points: Vec<_> = points.iter().filter(|point| point.good).collect();
    points.sort_by_key(|point| Reverse(point.at));
    points
}

fn decisions<R: IntoIterator<Item = Because>>(points: &[&Point], reasons: impl Iterator<Item = R>) -> Vec<Decision> {
    let decision = |(point, because): (&&Point, R)| {
        let mut because: Vec<_> = because.into_iter().collect();
        because.sort_unstable();
        because.dedup();
        Decision { id: point.id.clone(), at: point.at, because }
    };
    points.iter().zip(reasons).map(decision).collect()
}
