//! What a person asks of the function: one verb for each payload.

use domain::spec::Problem;
use jiff::{SignedDuration, Timestamp};
use runtime::envelope::kind;
use serde_json::{Map, Value};

use super::cost::{self, Prices};

/// A hold that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its name.
    pub name: String,
    /// After so many days it ends by itself. `None`: it is released, or never ends.
    pub days: Option<u32>,
}

impl Held {
    /// When it ends by itself.
    #[must_use]
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        now.checked_add(SignedDuration::from_hours(24 * i64::from(self.days?))).ok()
    }
}

/// The longest hold that ends by itself, in days: ten years.
const LONGEST: u64 = 3650;

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// A restore point now.
    Take {
        /// Of this cluster.
        cluster: String,
        /// The hold that it gets.
        hold: Option<Held>,
        /// Who asks.
        by: String,
        /// Only say what would be done.
        dry_run: bool,
    },
    /// The restore points of a cluster.
    List(String),
    /// That a restore point be kept.
    Hold {
        /// The set.
        set: String,
        /// The hold.
        hold: Held,
        /// Who asks.
        by: String,
    },
    /// The end of a hold.
    Release {
        /// The set.
        set: String,
        /// The hold's name.
        name: String,
        /// Who asks.
        by: String,
    },
    /// What a policy would keep.
    Explain(Value),
    /// What a cluster's restore points take up.
    Cost {
        /// Of this cluster.
        cluster: String,
        /// For the amounts.
        prices: Prices,
    },
}

const VERBS: [(&str, &[&str]); 6] = [
    ("take", &["hold", "days", "by", "dry_run"]),
    ("list", &[]),
    ("hold", &["name", "days", "by"]),
    ("release", &["name", "by"]),
    ("explain_retention", &[]),
    ("cost", &["prices"]),
];

/// Reads a payload. `None`: it has no verb, and may be a wake-up.
///
/// # Errors
/// Every problem at once.
pub fn read(payload: &Value) -> Option<Result<Request, Vec<Problem>>> {
    let object = payload.as_object()?;
    // `take` has a field of the name of another verb.
    let (verb, fields) = VERBS.into_iter().find(|(verb, _)| object.contains_key(*verb))?;
    Some(request(verb, fields, object))
}

fn request(verb: &str, fields: &[&str], object: &Map<String, Value>) -> Result<Request, Vec<Problem>> {
    let mut problems = Vec::new();
    for field in object.keys().filter(|field| *field != verb && !fields.contains(&field.as_str())) {
        problems.push(problem(field, unknown(field, fields)));
    }
    let mut text = |field: &str, what: &str, longest: usize| match object.get(field) {
        Some(Value::String(text)) if !text.trim().is_empty() && text.len() <= longest => text.clone(),
        Some(Value::String(text)) if text.len() > longest => {
            problems.push(problem(field, format!("must be at most {longest} bytes, not {}", text.len())));
            String::new()
        }
        Some(Value::String(_)) => {
            problems.push(problem(field, format!("must be {what}, not empty")));
            String::new()
        }
        Some(other) => {
            problems.push(problem(field, format!("must be {what}, not {}", kind(other))));
            String::new()
        }
        None => {
            problems.push(problem(field, format!("is required: {what}")));
            String::new()
        }
    };
    let (cluster, set, name, who) = (
        "the name of a cluster",
        "the id of a restore point's set",
        "the hold's name",
        "who asks, for the audit trail",
    );
    let request = match verb {
        "take" => {
            let (cluster, by) = (text("take", cluster, 40), text("by", who, 200));
            let hold = object.contains_key("hold").then(|| text("hold", name, 60));
            if hold.is_none() && object.contains_key("days") {
                problems.push(problem("days", "is for how long a `hold` lasts: name one"));
            }
            let days = days(object, &mut problems);
            let hold = hold.map(|name| Held { name, days });
            let dry_run = match object.get("dry_run") {
                None => false,
                Some(Value::Bool(on)) => *on,
                Some(other) => {
                    problems.push(problem("dry_run", format!("must be true or false, not {}", kind(other))));
                    true
                }
            };
            Request::Take { cluster, hold, by, dry_run }
        }
        "list" => Request::List(text("list", cluster, 40)),
        "hold" => {
            let (set, name, by) = (text("hold", set, 120), text("name", name, 60), text("by", who, 200));
            Request::Hold { set, hold: Held { name, days: days(object, &mut problems) }, by }
        }
        "release" => {
            Request::Release { set: text("release", set, 120), name: text("name", name, 60), by: text("by", who, 200) }
        }
        "cost" => {
            let cluster = text("cost", cluster, 40);
            let prices = cost::prices(object.get("prices")).unwrap_or_else(|problem| {
                problems.push(problem);
                Prices::new()
            });
            Request::Cost { cluster, prices }
        }
        _ => Request::Explain(object.get(verb).cloned().unwrap_or_default()),
    };
    if problems.is_empty() { Ok(request) } else { Err(problems) }
}

/// How long a hold lasts.
fn days(object: &Map<String, Value>, problems: &mut Vec<Problem>) -> Option<u32> {
    let given = object.get("days")?;
    let days = given.as_u64().filter(|days| (1..=LONGEST).contains(days)).and_then(|days| u32::try_from(days).ok());
    if days.is_none() {
        problems.push(problem("days", format!("must be an integer from 1 to {LONGEST}, not {given}")));
    }
    days
}

/// A problem at a field.
#[must_use]
pub fn problem(path: &str, problem: impl Into<String>) -> Problem {
    Problem { path: path.to_owned(), problem: problem.into() }
}

fn unknown(field: &str, fields: &[&str]) -> String {
    let like = |known: &&&str| strsim::damerau_levenshtein(known, field) <= (known.len() / 2).max(1);
    match fields.iter().filter(like).min_by_key(|known| strsim::damerau_levenshtein(known, field)) {
        Some(known) => format!("unknown field; did you mean `{known}`?"),
        None if fields.is_empty() => "unknown field; nothing goes with this verb".to_owned(),
        None => format!("unknown field; known are {}", fields.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn verbs_and_their_fields() {
        let take = read(&json!({"take": "acme", "hold": "before-upgrade", "by": "ada"}));
        let hold = Some(Held { name: "before-upgrade".to_owned(), days: None });
        assert_eq!(
            take,
            Some(Ok(Request::Take { cluster: "acme".into(), hold, by: "ada".into(), dry_run: false })),
            "`hold` is a field of `take`, not the verb"
        );
        assert_eq!(read(&json!({"list": "acme"})), Some(Ok(Request::List("acme".into()))));
        assert_eq!(read(&json!({})), None);
        assert_eq!(read(&json!({"cluster": "acme"})), None);
        assert_eq!(read(&json!([])), None);
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let told = read(&json!({"hold": 7, "nam": "x", "by": ""})).unwrap().unwrap_err();
        let told: Vec<String> = told.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "nam: unknown field; did you mean `name`?",
                "hold: must be the id of a restore point's set, not a number",
                "name: is required: the hold's name",
                "by: must be who asks, for the audit trail, not empty",
            ]
        );
        let days = |payload: Value| read(&payload).unwrap().map_err(|told| told[0].to_string());
        let not = |given: &str| Err(format!("days: must be an integer from 1 to 3650, not {given}"));
        assert_eq!(days(json!({"hold": "s", "name": "n", "by": "ada", "days": 0})), not("0"));
        assert_eq!(days(json!({"hold": "s", "name": "n", "by": "ada", "days": "14"})), not("\"14\""));
        let nothing = days(json!({"take": "acme", "by": "ada", "days": 14}));
        assert_eq!(nothing, Err("days: is for how long a `hold` lasts: name one".to_owned()));
        let hold = Held { name: "n".into(), days: Some(14) };
        let held = Request::Hold { set: "s".into(), hold, by: "ada".into() };
        assert_eq!(days(json!({"hold": "s", "name": "n", "by": "ada", "days": 14})), Ok(held));
    }
}
