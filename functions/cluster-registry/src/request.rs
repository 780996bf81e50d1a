//! From a payload to a request: strict, with every problem at once.

use domain::names::ClusterName;
use domain::spec::Problem;
use runtime::envelope::kind;
use serde_json::{Map, Value};

use crate::nearest::nearest;
use crate::refusal::at;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Store a spec.
    Put(Value),
    /// Say whether a spec could be stored.
    Validate(Value),
    /// Show the record of a cluster.
    Get(String),
    /// Name all clusters.
    List,
    /// Delete a cluster.
    Delete(String),
    /// Show all that is known of a cluster.
    Status(String),
    /// Let a held-back action go on.
    Acknowledge {
        /// The cluster.
        cluster: String,
        /// The reason code or plan hash.
        what: String,
        /// Who says so, and why.
        word: Word,
    },
    /// Pause every cluster.
    Pause(Word),
    /// End the pause.
    Resume(Word),
}

/// A person's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A payload, understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// A request of a person or a program.
    Direct {
        /// What is asked for.
        request: Request,
        /// Only say what would happen.
        dry_run: bool,
    },
    /// CloudFormation's.
    CustomResource,
    /// An EventBridge event. The registry has nothing to do on events.
    Event {
        /// `aws.events/Scheduled Event`.
        source: String,
    },
}

const VERBS: [&str; 9] = ["put", "validate", "get", "list", "delete", "status", "acknowledge", "pause", "resume"];
const DRY_RUN: &str = "dry_run";

/// The longest text of a person that is stored. A table item holds 400 KB, and the status must stay readable.
const LONGEST: usize = 1024;

/// Reads a payload.
///
/// # Errors
/// Every problem of a payload that is no request.
pub fn read(payload: &Value) -> Result<Payload, Vec<Problem>> {
    let Some(object) = payload.as_object() else {
        return Err(vec![at("", format!("must be an object with one of {}, not {}", VERBS.join(", "), kind(payload)))]);
    };
    if object.contains_key("RequestType") || object.contains_key("ResponseURL") {
        return Ok(Payload::CustomResource);
    }
    if let (Some(Value::String(source)), Some(Value::String(detail))) =
        (object.get("source"), object.get("detail-type"))
    {
        return Ok(Payload::Event { source: format!("{source}/{detail}") });
    }
    let mut problems = Vec::new();
    let mut verbs = Vec::new();
    let mut dry_run = false;
    for (field, value) in object {
        match VERBS.iter().find(|verb| *verb == field) {
            Some(verb) => verbs.push((*verb, value)),
            None if field == DRY_RUN => match value {
                Value::Bool(on) => dry_run = *on,
                other => problems.push(at(DRY_RUN, format!("must be true or false, not {}", kind(other)))),
            },
            None => problems.push(at(field, unknown("verb", field, VERBS.into_iter().chain([DRY_RUN])))),
        }
    }
    let mut request = None;
    match verbs.as_slice() {
        [] if problems.is_empty() => problems.push(at("", format!("holds no verb; known are {}", VERBS.join(", ")))),
        [] => {}
        [(verb, argument)] => request = self::argument(verb, argument, &mut problems),
        several => {
            let names: Vec<String> = several.iter().map(|(verb, _)| format!("`{verb}`")).collect();
            problems.push(at("", format!("must hold one verb, not {}", names.join(" and "))));
        }
    }
    match request {
        Some(request) if problems.is_empty() => Ok(Payload::Direct { request, dry_run }),
        _ => Err(problems),
    }
}

fn argument(verb: &str, argument: &Value, problems: &mut Vec<Problem>) -> Option<Request> {
    match verb {
        "put" => Some(Request::Put(argument.clone())),
        "validate" => Some(Request::Validate(argument.clone())),
        "get" => cluster_name(verb, argument, problems).map(Request::Get),
        "delete" => cluster_name(verb, argument, problems).map(Request::Delete),
        "status" => cluster_name(verb, argument, problems).map(Request::Status),
        "list" => {
            fields(verb, argument, &[], problems)?;
            Some(Request::List)
        }
        "acknowledge" => {
            let fields = fields(verb, argument, &["cluster", "what", "by", "reason"], problems)?;
            let cluster = match fields.get("cluster") {
                Some(given) => cluster_name("acknowledge.cluster", given, problems),
                None => text(verb, "cluster", fields, problems),
            };
            let what = text(verb, "what", fields, problems);
            let word = word(verb, fields, problems);
            Some(Request::Acknowledge { cluster: cluster?, what: what?, word: word? })
        }
        "pause" | "resume" => {
            let fields = fields(verb, argument, &["by", "reason"], problems)?;
            let word = word(verb, fields, problems)?;
            Some(if verb == "pause" { Request::Pause(word) } else { Request::Resume(word) })
        }
        _ => None,
    }
}

/// Only a name that a cluster can have is looked up: the table keeps other things beside the records.
fn cluster_name(path: &str, value: &Value, problems: &mut Vec<Problem>) -> Option<String> {
    let problem = match value {
        Value::String(name) => match ClusterName::try_from(name.as_str()) {
            Ok(name) => return Some(name.as_str().to_owned()),
            Err(malformed) => malformed.to_string(),
        },
        other => format!("must be the name of a cluster, not {}", kind(other)),
    };
    problems.push(at(path, problem));
    None
}

/// The fields of a verb's argument. Unknown ones are noted.
fn fields<'a>(
    verb: &str,
    argument: &'a Value,
    known: &[&'static str],
    problems: &mut Vec<Problem>,
) -> Option<&'a Map<String, Value>> {
    let Some(fields) = argument.as_object() else {
        let wanted = if known.is_empty() {
            "must be {}".to_owned()
        } else {
            format!("must be an object of {}", known.join(", "))
        };
        problems.push(at(verb, format!("{wanted}, not {}", kind(argument))));
        return None;
    };
    let unknown = fields.keys().filter(|field| !known.contains(&field.as_str()));
    problems.extend(
        unknown.map(|field| at(format!("{verb}.{field}"), self::unknown("field", field, known.iter().copied()))),
    );
    Some(fields)
}

fn word(verb: &str, fields: &Map<String, Value>, problems: &mut Vec<Problem>) -> Option<Word> {
    let by = text(verb, "by", fields, problems);
    let reason = text(verb, "reason", fields, problems);
    Some(Word { by: by?, reason: reason? })
}

fn text(verb: &str, field: &str, fields: &Map<String, Value>, problems: &mut Vec<Problem>) -> Option<String> {
    let problem = match fields.get(field) {
        None => "is required".to_owned(),
        Some(Value::String(text)) if text.trim().is_empty() => "must not be empty".to_owned(),
        Some(Value::String(text)) if text.chars().count() > LONGEST => {
            format!("must have at most {LONGEST} characters")
        }
        // Control characters would forge lines of the table that a person reads.
        Some(Value::String(text)) if text.chars().any(char::is_control) => "must be one line of text".to_owned(),
        Some(Value::String(text)) => return Some(text.trim().to_owned()),
        Some(other) => format!("must be text, not {}", kind(other)),
    };
    problems.push(at(format!("{verb}.{field}"), problem));
    None
}

fn unknown<'a>(what: &str, given: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(given, known.clone()) {
        return format!("unknown {what}; did you mean `{near}`?");
    }
    let known: Vec<&str> = known.collect();
    if known.is_empty() {
        format!("unknown {what}; there are none")
    } else {
        format!("unknown {what}; known are {}", known.join(", "))
    }
}
