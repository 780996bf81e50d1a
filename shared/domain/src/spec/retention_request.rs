//! The request of the verb `explain_retention`. It is read like a spec: strictly, with every problem at once.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::limits::EXPLAINED;
use super::problem::Problem;
use super::reader::{Fields, Mode, Reader, Section, integer, list, parsed, section, text};
use super::snapshots::Retention;
use crate::retention::{Policy, Within};
use crate::schedule::TimeZoneName;
use crate::slots::time_zone;

/// What is to be explained.
pub(crate) struct RetentionRequest {
    /// The rules.
    pub(crate) policy: Policy,
    /// The zone that hours, days, weeks, months and years are of.
    pub(crate) zone: TimeZone,
    /// From which age of the newest on nothing would be deleted.
    pub(crate) max_age_hours: Option<u32>,
    /// The times, as they came.
    pub(crate) taken_at: Vec<TakenAt>,
    /// The clock, where it is given.
    pub(crate) now: Option<Timestamp>,
}

/// A time and the text that it came in.
pub(crate) struct TakenAt {
    pub(crate) text: String,
    pub(crate) at: Timestamp,
}

/// Reads a request.
pub(crate) fn read(value: &Value) -> Result<RetentionRequest, Vec<Problem>> {
    let mut reader = Reader::new(Mode::Put);
    let request = section(value, &mut reader);
    match (request, reader.problems()) {
        (Some(request), problems) if problems.is_empty() => Ok(request),
        (_, problems) => Err(problems),
    }
}

fn instant(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| {
        let shown = super::problem::shortened(text);
        format!("must be a time with its offset such as `2026-11-20T06:00:00Z`, not `{shown}`")
    })
}

impl Section for RetentionRequest {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let policy = fields.required("policy", section::<AskedPolicy>);
        let taken = parsed(|text| instant(text).map(|at| TakenAt { text: text.to_owned(), at }));
        let taken_at = fields.required("taken_at", list(0..=EXPLAINED, &[], taken));
        let now = fields.optional("now", parsed(instant));
        let AskedPolicy { policy, zone, max_age_hours } = policy?;
        Some(Self { policy, zone, max_age_hours, taken_at: taken_at?, now: now? })
    }
}

/// The policy: its counts alone, or as a spec has them, under `retention`, beside the time zone.
struct AskedPolicy {
    policy: Policy,
    zone: TimeZone,
    max_age_hours: Option<u32>,
}

impl Section for AskedPolicy {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let alone = Counts::read(fields);
        let nested = fields.optional("retention", section::<Counts>);
        let timezone = fields.or("timezone", TimeZoneName::utc, text);
        let max_age_hours = fields.optional("max_age_hours", integer(1..=8760));
        let zone = timezone.map(|name| time_zone(&name));
        let bad = zone.as_ref().and_then(|zone| zone.as_ref().err()).map(ToString::to_string);
        fields.require(bad.is_none(), "timezone", || bad.unwrap_or_default());
        let twice = matches!((&alone, &nested), (Some(alone), Some(Some(_))) if !alone.0.is_empty());
        fields.require(!twice, "", || "must give its counts here or in `retention`, not in both".to_owned());
        let policy = nested?.unwrap_or(alone?).0;
        Some(Self { policy, zone: zone?.ok()?, max_age_hours: max_age_hours? })
    }
}

/// The counts of a policy; none at all is something that may be asked about.
struct Counts(Policy);

impl Section for Counts {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let counts = Retention::counts(fields);
        let within =
            fields.optional("within", parsed(|text| text.parse::<Within>().map_err(|problem| problem.to_string())));
        Some(Self(Policy { counts: counts?, within: within? }))
    }
}
