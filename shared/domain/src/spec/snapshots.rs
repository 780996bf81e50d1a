//! The `snapshots` section: when restore points are taken, how, where they are copied and how long they are kept.

use schemars::JsonSchema;
use serde::Serialize;

use super::choices::choices;
use super::limits::{COPIES, KEPT, MOUNTS, SPREAD};
use super::reader::{Fields, Section, boolean, choice, integer, list, parsed, section, text};
use crate::names::{KmsKeyId, NodePath, RegionName};
use crate::schedule::{Cron, TimeZoneName};
use crate::slots::time_zone;

/// What the snapshot scheduler does for a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Snapshots {
    /// When a restore point is taken: a cron expression, `minute hour day month weekday`.
    pub schedule: Cron,
    /// The IANA time zone that the schedule and the retention's days are in.
    #[schemars(default = "defaults::timezone")]
    pub timezone: TimeZoneName,
    /// Clusters of one schedule do not all begin at once: each begins up to so many minutes after its time, always as many,
    /// and never later than a tenth of the way to the next time. 0: on time.
    #[schemars(default = "defaults::spread_minutes", range(max = SPREAD))]
    pub spread_minutes: u32,
    /// The node that a restore point is taken from.
    #[schemars(default)]
    pub source: SnapshotSource,
    /// When the newest good restore point is older than this, an alarm is raised and nothing is deleted.
    #[schemars(default = "defaults::max_age_hours", range(min = 1, max = 8760))]
    pub max_age_hours: u32,
    /// How consistent a restore point is.
    #[schemars(default)]
    pub consistency: Consistency,
    /// The file systems that are frozen. Required where `consistency` is `filesystem`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<Filesystem>,
    /// How many restore points are kept.
    pub retention: Retention,
    /// The Regions that each restore point is copied to.
    #[schemars(default, length(max = COPIES))]
    pub copies: Vec<CopyTo>,
    /// What is kept once the cluster is deleted.
    #[schemars(default)]
    pub r#final: FinalRetention,
}

impl Section for Snapshots {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let schedule =
            fields.required("schedule", parsed(|text| text.parse::<Cron>().map_err(|problem| problem.to_string())));
        let timezone = fields.or("timezone", defaults::timezone, text);
        let unknown = timezone.as_ref().and_then(|name| time_zone(name).err());
        fields.require(unknown.is_none(), "timezone", || unknown.map(|bad| bad.to_string()).unwrap_or_default());
        let spread_minutes = fields.or("spread_minutes", defaults::spread_minutes, integer(0..=SPREAD));
        let source = fields.or("source", SnapshotSource::default, choice);
        let max_age_hours = fields.or("max_age_hours", defaults::max_age_hours, integer(1..=8760));
        let consistency = fields.or("consistency", Consistency::default, choice);
        let filesystem = fields.optional("filesystem", section);
        let missing = consistency == Some(Consistency::Filesystem) && filesystem == Some(None);
        fields.require(!missing, "filesystem", || "is required where `consistency` is `filesystem`".to_owned());
        let retention = fields.required("retention", section);
        let copies = fields.or("copies", Vec::new, list(0..=COPIES, &["region"], section));
        let r#final = fields.or("final", FinalRetention::default, section);
        Some(Self {
            schedule: schedule?,
            timezone: timezone?,
            spread_minutes: spread_minutes?,
            source: source?,
            max_age_hours: max_age_hours?,
            consistency: consistency?,
            filesystem: filesystem?,
            retention: retention?,
            copies: copies?,
            r#final: r#final?,
        })
    }
}

choices! {
    /// The node that a restore point is taken from.
    SnapshotSource {
        /// A healthy standby, and the leader where there is none.
        PreferReplica = "prefer-replica",
    }
}

choices! {
    /// How consistent a restore point is.
    Consistency {
        /// One atomic set of all volumes, as after a loss of power.
        Crash = "crash",
        /// The file systems are frozen around the call.
        Filesystem = "filesystem",
    }
}

/// The file systems of a node that are frozen around the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Filesystem {
    /// What kind they are.
    pub kind: FilesystemKind,
    /// PostgreSQL's data directory; on one of the mounts.
    pub data_dir: NodePath,
    /// Where they are mounted, all that hold data of the cluster.
    #[schemars(length(min = 1, max = MOUNTS))]
    pub mounts: Vec<NodePath>,
    /// `true`: the leader may be frozen too.
    #[schemars(default)]
    pub allow_leader: bool,
}

impl Section for Filesystem {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let kind = fields.required("kind", choice);
        let data_dir = fields.required("data_dir", text);
        let mounts = fields.required("mounts", list(1..=MOUNTS, &[""], text));
        let allow_leader = fields.or("allow_leader", bool::default, boolean);
        let (data_dir, mounts): (NodePath, Vec<NodePath>) = (data_dir?, mounts?);
        let mounted = mounts.iter().any(|mount| {
            data_dir.as_str().strip_prefix(mount.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        fields.require(mounted, "data_dir", || "must be on one of `mounts`".to_owned());
        Some(Self { kind: kind?, data_dir, mounts, allow_leader: allow_leader? })
    }
}

choices! {
    /// A kind of file system.
    FilesystemKind {
        /// ZFS.
        Zfs = "zfs",
        /// ext4.
        Ext4 = "ext4",
        /// XFS.
        Xfs = "xfs",
    }
}

/// How many restore points are kept by each rule; one is kept if any rule keeps it. 0 is a rule that keeps nothing; at least
/// one must keep something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Retention {
    /// The newest ones.
    #[schemars(default, range(max = KEPT))]
    pub last: u32,
    /// The newest of each of so many hours.
    #[schemars(default, range(max = KEPT))]
    pub hourly: u32,
    /// The newest of each of so many days.
    #[schemars(default, range(max = KEPT))]
    pub daily: u32,
    /// The newest of each of so many ISO weeks.
    #[schemars(default, range(max = KEPT))]
    pub weekly: u32,
    /// The newest of each of so many months.
    #[schemars(default, range(max = KEPT))]
    pub monthly: u32,
    /// The newest of each of so many years.
    #[schemars(default, range(max = KEPT))]
    pub yearly: u32,
}

impl Retention {
    /// The counts, all of which may be 0.
    pub(super) fn counts(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let mut rule = |name| fields.or(name, u32::default, integer(0..=KEPT));
        let (last, hourly, daily) = (rule("last"), rule("hourly"), rule("daily"));
        let (weekly, monthly, yearly) = (rule("weekly"), rule("monthly"), rule("yearly"));
        Some(Self { last: last?, hourly: hourly?, daily: daily?, weekly: weekly?, monthly: monthly?, yearly: yearly? })
    }
}

impl Section for Retention {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let retention = Self::counts(fields)?;
        fields.require(retention != Self::default(), "", || {
            "must keep something: give `last`, `hourly`, `daily`, `weekly`, `monthly` or `yearly` a number above 0"
                .to_owned()
        });
        Some(retention)
    }
}

/// A Region that restore points are copied to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CopyTo {
    /// The Region. Unique in the list.
    pub region: RegionName,
    /// The KMS key there. Left out: the Region's default key for EBS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<KmsKeyId>,
    /// How many copies are kept there.
    pub retention: Retention,
}

impl Section for CopyTo {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let region = fields.required("region", text);
        let kms_key_id = fields.optional("kms_key_id", text);
        let retention = fields.required("retention", section);
        Some(Self { region: region?, kms_key_id: kms_key_id?, retention: retention? })
    }
}

/// What is kept once the cluster is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FinalRetention {
    /// How many of the newest restore points.
    #[schemars(default = "defaults::final_last", range(max = KEPT))]
    pub last: u32,
    /// For how many days.
    #[schemars(default = "defaults::final_days", range(max = 36_500))]
    pub days: u32,
}

impl Default for FinalRetention {
    fn default() -> Self {
        Self { last: defaults::final_last(), days: defaults::final_days() }
    }
}

impl Section for FinalRetention {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let last = fields.or("last", defaults::final_last, integer(0..=KEPT));
        let days = fields.or("days", defaults::final_days, integer(0..=36_500));
        Some(Self { last: last?, days: days? })
    }
}

mod defaults {
    use crate::schedule::TimeZoneName;

    pub(super) fn timezone() -> TimeZoneName {
        TimeZoneName::utc()
    }
    pub(super) fn spread_minutes() -> u32 {
        5
    }
    pub(super) fn max_age_hours() -> u32 {
        13
    }
    pub(super) fn final_last() -> u32 {
        1
    }
    pub(super) fn final_days() -> u32 {
        30
    }
}
