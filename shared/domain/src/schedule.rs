//! When restore points are taken: a cron expression of five fields and a time zone. Here is only what they may look like.

use std::fmt;
use std::str::FromStr;

use crate::names::text_type;

/// A cron expression, `minute hour day-of-month month day-of-week`, as crontab(5) has it: `*`, numbers, names of months and
/// days, ranges `a-b`, steps `/n` and lists. Kept with one space between its fields and names in upper case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Cron(String);

impl Cron {
    /// The expression.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl schemars::JsonSchema for Cron {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cron".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": r"^\s*[0-9A-Za-z*,/-]+(\s+[0-9A-Za-z*,/-]+){4}\s*$" })
    }
}

/// Why a text is no cron expression; the message is a sentence for the problem's list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSchedule {
    /// Not five fields.
    #[error("must have five fields, `minute hour day month weekday`, such as `0 */6 * * *`; it has {0}")]
    Fields(usize),
    /// One field is wrong.
    #[error("has a bad {field}, `{text}`: it must be {min} to {max}, `*`, a range, a step or a list of them")]
    Field {
        /// Which of the five.
        field: &'static str,
        /// What it says, shortened.
        text: String,
        /// The least number it takes.
        min: u8,
        /// The greatest number it takes.
        max: u8,
    },
    /// Such a date does not exist, so no restore point would ever be taken.
    #[error("never comes: none of its months has such a day")]
    Never,
}

struct Field {
    name: &'static str,
    min: u8,
    max: u8,
    /// Names for the numbers from `min` on.
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", min: 0, max: 59, names: &[] },
    Field { name: "hour", min: 0, max: 23, names: &[] },
    Field { name: "day of the month", min: 1, max: 31, names: &[] },
    Field {
        name: "month",
        min: 1,
        max: 12,
        names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    },
    // 7 is Sunday again.
    Field { name: "day of the week", min: 0, max: 7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] },
];

const LONGEST_MONTH: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

impl Field {
    fn number(&self, text: &str) -> Option<u8> {
        if let Some(at) = self.names.iter().position(|name| *name == text) {
            return u8::try_from(at).ok().map(|at| at + self.min);
        }
        // `parse` would take "+5".
        let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten().filter(|number| (self.min..=self.max).contains(number))
    }

    /// The numbers that one item of a list stands for.
    fn item(&self, text: &str) -> Option<Vec<u8>> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (text, None),
        };
        let (first, last) = if range == "*" {
            (self.min, self.max)
        } else if let Some((first, last)) = range.split_once('-') {
            (self.number(first)?, self.number(last)?)
        } else {
            let first = self.number(range)?;
            (first, if step.is_some() { self.max } else { first })
        };
        let step = match step {
            Some(step) if step.chars().all(|c| c.is_ascii_digit()) => {
                step.parse().ok().filter(|step| *step >= 1 && *step <= self.max)?
            }
            Some(_) => return None,
            None => 1_u8,
        };
        (first <= last).then(|| (first..=last).step_by(step.into()).collect())
    }

    fn numbers(&self, text: &str) -> Result<Vec<u8>, BadSchedule> {
        let items: Option<Vec<_>> = text.split(',').map(|item| self.item(item)).collect();
        items.map(|items| items.concat()).ok_or_else(|| BadSchedule::Field {
            field: self.name,
            text: text.chars().take(40).collect(),
            min: self.min,
            max: self.max,
        })
    }
}

impl FromStr for Cron {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        let text = text.to_ascii_uppercase();
        let given: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = given.as_slice() else {
            return Err(BadSchedule::Fields(given.len()));
        };
        let [of_minute, of_hour, of_day, of_month, of_weekday] = &FIELDS;
        of_minute.numbers(minute)?;
        of_hour.numbers(hour)?;
        let days = of_day.numbers(day)?;
        let months = of_month.numbers(month)?;
        of_weekday.numbers(weekday)?;
        // crontab(5): a day of the week without a `*` is matched beside the day of the month, so such a schedule comes.
        let exists = LONGEST_MONTH
            .iter()
            .zip(1_u8..)
            .any(|(length, month)| months.contains(&month) && days.iter().any(|day| day <= length));
        if !exists && weekday.starts_with('*') {
            return Err(BadSchedule::Never);
        }
        Ok(Self(given.join(" ")))
    }
}

text_type!(
    /// The name of a time zone in the IANA database, such as `UTC` or `Europe/Berlin`. Only its shape is checked here.
    TimeZoneName,
    "the name of an IANA time zone such as `UTC` or `Europe/Berlin`",
    "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$",
    |text| {
        let mut parts = text.split('/');
        let shaped = text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && parts.clone().count() <= 3
            && parts.all(|part| {
                !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-'))
            });
        shaped.then(|| text.to_owned())
    }
);

impl TimeZoneName {
    /// `UTC`.
    #[must_use]
    pub fn utc() -> Self {
        Self("UTC".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_that_are_taken_with_their_normal_form() {
        let cases = [
            ("0 */6 * * *", "0 */6 * * *"),
            ("  0   3 *\t* 1-5 ", "0 3 * * 1-5"),
            ("0,15,30,45 0-23/2 1,15 jan-mar,DEC sun", "0,15,30,45 0-23/2 1,15 JAN-MAR,DEC SUN"),
            ("59 23 31 12 7", "59 23 31 12 7"),
            ("0 0 29 2 *", "0 0 29 2 *"),
            ("5/20 * * * *", "5/20 * * * *"),
            ("0 0 30 2 MON", "0 0 30 2 MON"),
            ("0 0 31 2,3 *", "0 0 31 2,3 *"),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Cron>().map(|cron| cron.to_string()), Ok(expected.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn schedules_that_are_refused() {
        let field = |text: &str| match text.parse::<Cron>() {
            Err(BadSchedule::Field { field, text, .. }) => format!("{field}: {text}"),
            other => format!("{other:?}"),
        };
        let cases = [
            ("60 * * * *", "minute: 60"),
            ("-1 * * * *", "minute: -1"),
            ("+5 * * * *", "minute: +5"),
            ("* 24 * * *", "hour: 24"),
            ("* * 0 * *", "day of the month: 0"),
            ("* * 32 * *", "day of the month: 32"),
            ("* * * 13 *", "month: 13"),
            ("* * * SUN *", "month: SUN"),
            ("* * * * 8", "day of the week: 8"),
            ("* * * * JAN", "day of the week: JAN"),
            ("*/0 * * * *", "minute: */0"),
            ("*/60 * * * *", "minute: */60"),
            ("*/ * * * *", "minute: */"),
            ("*/-2 * * * *", "minute: */-2"),
            ("30-10 * * * *", "minute: 30-10"),
            ("1,,2 * * * *", "minute: 1,,2"),
            ("1-2-3 * * * *", "minute: 1-2-3"),
            ("a * * * *", "minute: A"),
            ("256 * * * *", "minute: 256"),
            ("", "Err(Fields(0))"),
            ("* * * *", "Err(Fields(4))"),
            ("0 0 * * * *", "Err(Fields(6))"),
            ("@daily", "Err(Fields(1))"),
            ("rate(6 hours)", "Err(Fields(2))"),
            ("0 0 31 2 *", "Err(Never)"),
            ("0 0 31 4,6,9,11 *", "Err(Never)"),
            ("0 0 30 2 */2", "Err(Never)"),
        ];
        for (text, expected) in cases {
            assert_eq!(field(text), expected, "{text:?}");
        }
    }

    #[test]
    fn time_zones_have_the_shape_of_iana_names() {
        for good in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT"] {
            assert!(TimeZoneName::try_from(good).is_ok(), "{good}");
        }
        for bad in ["", "+02:00", "Europe/", "/UTC", "a/b/c/d", "Europe Berlin", "../etc/passwd", "5", "Zürich"] {
            assert!(TimeZoneName::try_from(bad).is_err(), "{bad}");
        }
    }
}
