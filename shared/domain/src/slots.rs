//! The slots of a schedule: the instants at which a restore point is due. A slot is known by its UTC time.
//!
//! The cron expression is walked on the wall clock of its time zone, and each time found there becomes one instant. Where the
//! clock is put forward, the times that it skips all become the instant of the change, as cron(8) runs such jobs; where it is
//! put back, a time that comes twice counts the first time. So every time of the schedule happens exactly once, and what is
//! later on the wall is never earlier in the world.

use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned, civil};
use sha2::{Digest, Sha256};

use crate::schedule::{Cron, TimeZoneName};

/// Why a schedule has no slots.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSlots {
    /// The time zone does not exist.
    #[error(transparent)]
    Zone(#[from] BadZone),
    /// The expression is read otherwise by the crate that walks it. No expression is known for which this is so.
    #[error("the schedule `{schedule}` cannot be walked: {why}; write it with single numbers and lists of them")]
    Schedule {
        /// The expression.
        schedule: String,
        /// What the crate says.
        why: String,
    },
}

/// A name that no time zone has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a zone of the IANA time zone database such as `UTC` or `Europe/Berlin`; the database of this version has no \
     `{name}`"
)]
pub struct BadZone {
    /// The name.
    pub name: String,
}

/// The time zone of this name, from the database that is built in.
///
/// # Errors
/// The database has no such name.
pub fn time_zone(name: &TimeZoneName) -> Result<TimeZone, BadZone> {
    TimeZone::get(name.as_str())
        .ok()
        .filter(|zone| !zone.is_unknown())
        .ok_or_else(|| BadZone { name: name.as_str().to_owned() })
}

/// The slots of one schedule.
#[derive(Debug, Clone)]
pub struct Slots {
    cron: croner::Cron,
    zone: TimeZone,
}

impl Slots {
    /// The slots of a cron expression in a time zone.
    ///
    /// # Errors
    /// There is no such time zone.
    pub fn new(schedule: &Cron, zone: &TimeZoneName) -> Result<Self, BadSlots> {
        let zone = time_zone(zone)?;
        let bad = |why: String| BadSlots::Schedule { schedule: schedule.to_string(), why };
        let cron = croner::parser::CronParser::builder()
            .dom_and_dow(days_must_both_match(schedule))
            .build()
            .parse(&spelled_out(schedule))
            .map_err(|error| bad(error.to_string()))?;
        Ok(Self { cron, zone })
    }

    /// The newest slot that is not after `now`.
    #[must_use]
    pub fn latest_at_or_before(&self, now: Timestamp) -> Option<Timestamp> {
        let wall = self.wall(now)?;
        let found = self.cron.find_previous_occurrence(&wall, true).ok();
        let mut latest = found.as_ref().and_then(|found| self.slot(found.datetime()));
        // In an hour that comes twice, times later on the wall may have been already, the first time round.
        let mut wall = wall;
        while let Ok(next) = self.cron.find_next_occurrence(&wall, false) {
            match self.slot(next.datetime()) {
                Some(slot) if slot <= now => latest = Some(slot),
                _ => break,
            }
            wall = next;
        }
        latest
    }

    /// The first slot after an instant.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let mut wall = self.wall(after)?;
        loop {
            wall = self.cron.find_next_occurrence(&wall, false).ok()?;
            let slot = self.slot(wall.datetime())?;
            if slot > after {
                return Some(slot);
            }
        }
    }

    /// The slot that is owed now: the newest one, if it came after the last that was handled and after the schedule was
    /// made. However many were missed, one is owed: a restore point of a time that has passed cannot be taken any more.
    #[must_use]
    pub fn due(&self, last_handled: Option<Timestamp>, created: Timestamp, now: Timestamp) -> Option<Timestamp> {
        self.latest_at_or_before(now).filter(|slot| *slot > created && last_handled.is_none_or(|last| *slot > last))
    }

    /// How long after a slot a cluster begins with it: less than `spread`, and than a tenth of the way to the next slot. It
    /// follows from the cluster's name, so that many clusters of one schedule begin at different times, and one cluster
    /// always at the same (systemd.timer(5), `FixedRandomDelay=`).
    #[must_use]
    pub fn delay(&self, cluster: &str, slot: Timestamp, spread: SignedDuration) -> SignedDuration {
        let Some(next) = self.next_after(slot) else { return SignedDuration::ZERO };
        let longest = spread.min(next.duration_since(slot) / 10).as_secs();
        let mut seconds = 0;
        for byte in Sha256::digest(cluster.as_bytes()).iter().take(4) {
            seconds = (seconds << 8) | i64::from(*byte);
        }
        SignedDuration::from_secs(seconds.checked_rem(longest).unwrap_or_default())
    }

    /// What the clock on the wall shows, as a time in UTC: the walk itself knows no time zone.
    fn wall(&self, at: Timestamp) -> Option<Zoned> {
        self.zone.to_datetime(at).to_zoned(TimeZone::UTC).ok()
    }

    fn slot(&self, wall: civil::DateTime) -> Option<Timestamp> {
        let read = self.zone.to_ambiguous_timestamp(wall);
        let skipped = matches!(read.offset(), AmbiguousOffset::Gap { .. });
        let slot = read.compatible().ok()?;
        if !skipped {
            return Some(slot);
        }
        let just_after = slot.checked_add(SignedDuration::from_secs(1)).ok()?;
        self.zone.preceding(just_after).next().map(|change| change.timestamp())
    }
}

/// crontab(5): a day matches by either field where both are restricted. A field with a `*` in front, a step behind it or
/// not, is not restricted, and then both have to match.
fn days_must_both_match(schedule: &Cron) -> bool {
    schedule.as_str().split(' ').skip(2).step_by(2).any(|field| field.starts_with('*'))
}

/// The expression with what croner takes in one form only: `5/20` is `5-59/20`, and a `*` in a list is its range.
fn spelled_out(schedule: &Cron) -> String {
    const RANGES: [(u8, u8); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
    let item = |item: &str, (min, max): (u8, u8)| {
        let (range, step) = item.split_once('/').unwrap_or((item, ""));
        let range = match range {
            "*" => format!("{min}-{max}"),
            single if !step.is_empty() && !single.contains('-') => format!("{single}-{max}"),
            other => other.to_owned(),
        };
        if step.is_empty() { range } else { format!("{range}/{step}") }
    };
    let field = |field: &str, range| match field {
        "*" => "*".to_owned(),
        list => list.split(',').map(|text| item(text, range)).collect::<Vec<_>>().join(","),
    };
    schedule.as_str().split(' ').zip(RANGES).map(|(text, range)| field(text, range)).collect::<Vec<_>>().join(" ")
}
