//! What a retention policy says.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, civil};

use crate::spec::snapshots::Retention;

/// The rules of a policy. A point is kept if any keeps it; each counts for itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// How many points each rule keeps; 0 is no rule.
    pub counts: Retention,
    /// Every point within this span before the newest is kept. The cluster's spec has no such rule (yet); an explanation may
    /// ask for it.
    pub within: Option<Within>,
}

impl Policy {
    /// Whether no rule keeps anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts == Retention::default() && self.within.is_none()
    }
}

impl fmt::Display for Policy {
    /// The rules that keep something, `last 3 daily 7 within 1d`. A plan's name is made of it: a rule that is added later must
    /// not change this text where it is not used.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Retention { last, hourly, daily, weekly, monthly, yearly } = self.counts;
        let counts = [last, hourly, daily, weekly, monthly, yearly];
        let names = ["last", "hourly", "daily", "weekly", "monthly", "yearly"];
        let counts =
            names.iter().zip(counts).filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}"));
        let rules: Vec<_> = counts.chain(self.within.map(|span| format!("within {span}"))).collect();
        f.write_str(&rules.join(" "))
    }
}

impl From<&Retention> for Policy {
    fn from(counts: &Retention) -> Self {
        Self { counts: counts.clone(), within: None }
    }
}

/// A span of time as restic writes it: years, months, days and hours, `1y5m7d2h`. Never of no length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within {
    years: u16,
    months: u16,
    days: u16,
    hours: u16,
}

/// A text that is no such span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a span of years, months, days and hours such as `30d` or `1y5m7d2h`, each at most 9999 and one above 0"
)]
pub struct BadSpan;

impl FromStr for Within {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, BadSpan> {
        let mut span = Self { years: 0, months: 0, days: 0, hours: 0 };
        let mut seen = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(|c: char| !c.is_ascii_digit()) {
            let (number, unit) = rest.split_at_checked(at).ok_or(BadSpan)?;
            let mut unit_and_rest = unit.chars();
            let unit = unit_and_rest.next().ok_or(BadSpan)?;
            rest = unit_and_rest.as_str();
            let field = match unit {
                'y' => &mut span.years,
                'm' => &mut span.months,
                'd' => &mut span.days,
                'h' => &mut span.hours,
                _ => return Err(BadSpan),
            };
            *field = number.parse().ok().filter(|number| *number <= 9999).ok_or(BadSpan)?;
            if seen.contains(&unit) {
                return Err(BadSpan);
            }
            seen.push(unit);
        }
        let whole = rest.is_empty() && (span.years, span.months, span.days, span.hours) != (0, 0, 0, 0);
        whole.then_some(span).ok_or(BadSpan)
    }
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(self.years, 'y'), (self.months, 'm'), (self.days, 'd'), (self.hours, 'h')];
        parts.iter().filter(|(number, _)| *number > 0).try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

impl Within {
    /// The instant that this span reaches back to, itself outside. Nothing where that is before all calendars: then every
    /// point is within.
    ///
    /// As Go's `AddDate` has it, which restic uses: the day that a shorter month lacks runs on into the next month.
    pub(super) fn start(self, newest: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let wall = zone.to_datetime(newest);
        let months = i32::from(wall.year()) * 12 + i32::from(wall.month())
            - 1
            - i32::from(self.years) * 12
            - i32::from(self.months);
        let year = i16::try_from(months.div_euclid(12)).ok()?;
        let month = i8::try_from(months.rem_euclid(12) + 1).ok()?;
        let days = i64::from(wall.day()) - 1 - i64::from(self.days);
        let date = civil::Date::new(year, month, 1).ok()?.checked_add(SignedDuration::from_hours(24 * days)).ok()?;
        let day = zone.to_ambiguous_timestamp(date.to_datetime(wall.time())).compatible().ok()?;
        day.checked_sub(SignedDuration::from_hours(self.hours.into())).ok()
    }
}
