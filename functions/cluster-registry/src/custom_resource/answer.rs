//! What goes back to CloudFormation (`crpg-ref-responses`).

use domain::spec::Problem;
use serde_json::{Value, json};

use super::event::Envelope;

/// The largest body that CloudFormation takes, in bytes.
const LARGEST_BODY: usize = 4096;

/// The longest id or name of the request that is copied into an answer, in bytes. CloudFormation's own are far shorter (a physical
/// id may have 1 KB); a longer one would leave no room for the reason.
const LONGEST_ID: usize = 1024;

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The id that the resource has from now on.
    pub physical_id: String,
    /// How it ended.
    pub result: Result<Data, Vec<Problem>>,
}

/// What a template gets with `Fn::GetAtt`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Data {
    /// `Name`.
    pub name: Option<String>,
    /// `Generation`.
    pub generation: Option<u64>,
}

/// The body of the answer. Every problem is listed as far as they fit.
#[must_use]
pub fn body(envelope: &Envelope, ending: &Ending) -> String {
    let problems = match &ending.result {
        Ok(data) => return answer(envelope, &ending.physical_id, Ok(data)).to_string(),
        Err(problems) => problems,
    };
    let render = |reason: &str| answer(envelope, &ending.physical_id, Err(reason)).to_string();
    let said: Vec<String> = problems.iter().map(Problem::to_string).collect();
    for listed in (1..=said.len()).rev() {
        let mut reason = said.iter().take(listed).map(String::as_str).collect::<Vec<_>>().join("; ");
        if listed < said.len() {
            reason.push_str(&format!("; and {} more", said.len() - listed));
        }
        let body = render(&reason);
        if body.len() <= LARGEST_BODY {
            return body;
        }
    }
    // Not even the first one fits. JSON writes a character as six bytes at most, two surrogates as twelve.
    let first = said.first().map_or("failed", String::as_str);
    let room = LARGEST_BODY.saturating_sub(render("…").len());
    let mut reason = String::new();
    let mut used = 0;
    for character in first.chars() {
        used += Value::String(character.to_string()).to_string().len() - 2;
        if used > room {
            break;
        }
        reason.push(character);
    }
    reason.push('…');
    render(&reason)
}

fn answer(envelope: &Envelope, physical_id: &str, result: Result<&Data, &str>) -> Value {
    let mut answer = json!({
        "Status": if result.is_ok() { "SUCCESS" } else { "FAILED" },
        "PhysicalResourceId": bounded(physical_id),
        "StackId": bounded(&envelope.stack_id),
        "RequestId": bounded(&envelope.request_id),
        "LogicalResourceId": bounded(&envelope.logical_id),
        "NoEcho": false,
    });
    if let Some(answer) = answer.as_object_mut() {
        match result {
            Ok(data) => {
                let mut values = serde_json::Map::new();
                if let Some(name) = &data.name {
                    values.insert("Name".to_owned(), json!(name));
                }
                if let Some(generation) = data.generation {
                    values.insert("Generation".to_owned(), json!(generation.to_string()));
                }
                answer.insert("Data".to_owned(), Value::Object(values));
            }
            Err(reason) => {
                answer.insert("Reason".to_owned(), json!(reason));
            }
        }
    }
    answer
}

/// The whole id, or none of it: CloudFormation knows no part of an id.
fn bounded(id: &str) -> &str {
    if id.len() <= LONGEST_ID { id } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::at;

    fn envelope() -> Envelope {
        Envelope {
            response_url: "https://x/".to_owned(),
            stack_id: "arn:aws:cloudformation:eu-central-1:111122223333:stack/s/1".to_owned(),
            request_id: "r-1".to_owned(),
            logical_id: "Cluster".to_owned(),
            physical_id: None,
            request_type: "Create".to_owned(),
        }
    }

    fn failed(problems: Vec<Problem>) -> (usize, Value) {
        let text = body(&envelope(), &Ending { physical_id: "p".to_owned(), result: Err(problems) });
        (text.len(), serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn success_has_data_and_no_reason() {
        let ending = Ending {
            physical_id: "acme".to_owned(),
            result: Ok(Data { name: Some("acme".to_owned()), generation: Some(3) }),
        };
        let body: Value = serde_json::from_str(&body(&envelope(), &ending)).unwrap();
        assert_eq!(
            body,
            json!({"Status": "SUCCESS", "PhysicalResourceId": "acme", "RequestId": "r-1", "LogicalResourceId": "Cluster",
                "StackId": "arn:aws:cloudformation:eu-central-1:111122223333:stack/s/1", "NoEcho": false,
                "Data": {"Name": "acme", "Generation": "3"}})
        );
    }

    #[test]
    fn all_problems_that_fit_are_listed() {
        let (_, body) = failed(vec![at("name", "is required"), at("", "is odd")]);
        assert_eq!(body["Reason"], "name: is required; is odd");
        let many: Vec<Problem> = (0..200).map(|n| at(format!("field[{n}]"), "must be \"quoted\" text")).collect();
        let (length, body) = failed(many);
        let reason = body["Reason"].as_str().unwrap();
        assert!(length <= 4096 && length > 3900, "{length}");
        let listed = reason.matches("must be").count();
        assert!(reason.ends_with(&format!("; and {} more", 200 - listed)), "{reason}");
    }

    #[test]
    fn one_endless_problem_is_cut_and_still_json() {
        for filler in ["a", "\"", "\u{1}", "é", "😀"] {
            let (length, body) = failed(vec![at("", filler.repeat(5000))]);
            assert!(length <= 4096 && length > 4000, "{filler:?}: {length}");
            assert!(body["Reason"].as_str().unwrap().ends_with('…'));
        }
        let (_, body) = failed(Vec::new());
        assert_eq!(body["Reason"], "failed…", "CloudFormation refuses FAILED without a reason");
    }

    #[test]
    fn ids_that_are_no_ids_leave_room_for_the_reason() {
        let envelope = Envelope { stack_id: "s".repeat(5000), request_id: "r".repeat(5000), ..envelope() };
        let text = body(&envelope, &Ending { physical_id: "p".to_owned(), result: Err(vec![at("StackId", "is odd")]) });
        assert!(text.len() <= 4096 && text.contains("StackId: is odd"), "{text}");
    }
}
