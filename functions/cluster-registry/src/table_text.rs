//! A status as a person reads it.

use domain::condition::ConditionKind;
use domain::reason::Reason;
use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;

/// The width of the text, in characters.
const WIDTH: usize = 120;
/// How many audit entries the text shows.
const RECENT: usize = 10;
const INDENT: &str = "    ";

/// The text for an answer of `status`. Whatever in it has another shape than expected is left out or shown raw, never an
/// error.
#[must_use]
pub fn render(status: &Value) -> String {
    let mut lines = header(status);
    lines.push(String::new());
    lines.extend(conditions(status));
    let acknowledgements = list(status, "acknowledgements");
    if !acknowledgements.is_empty() {
        lines.push(String::new());
        lines.push("ACKNOWLEDGED, NOT USED YET".to_owned());
        for item in acknowledgements {
            let line = format!(
                "{}  {} by {}: {}",
                time(item, "at"),
                text(item, "what"),
                text(item, "by"),
                text(item, "reason")
            );
            lines.extend(wrapped(&line, "  ", INDENT));
        }
    }
    let audit = list(status, "audit");
    if !audit.is_empty() {
        lines.push(String::new());
        lines.push("RECENT".to_owned());
        lines.extend(audit.iter().take(RECENT).flat_map(audit_lines));
    }
    lines.join("\n") + "\n"
}

fn header(status: &Value) -> Vec<String> {
    let mut parts = vec![
        text(status, "name").to_owned(),
        format!("generation {}", status.get("generation").unwrap_or(&Value::Null)),
    ];
    let mut notes = Vec::new();
    if status.get("paused").and_then(Value::as_bool) == Some(true) {
        parts.push("PAUSED".to_owned());
    }
    if let Some(tombstone) = status.get("tombstone").filter(|t| t.is_object()) {
        let awaiting: Vec<&str> = list(tombstone, "awaiting").iter().filter_map(Value::as_str).collect();
        parts.push("DELETING".to_owned());
        notes.push(format!("Deleted {}; waiting for {}.", time(tombstone, "at"), awaiting.join(", ")));
    }
    if let Some(pause) = status.get("fleet_paused").filter(|p| p.is_object()) {
        parts.push("EVERY CLUSTER PAUSED".to_owned());
        let since = if pause.get("at").is_some_and(Value::is_string) {
            format!(" {}", time(pause, "at"))
        } else {
            String::new()
        };
        notes.push(format!("Everything was paused{since} by {}: {}", text(pause, "by"), text(pause, "reason")));
    }
    let header = parts.join("  ");
    [wrapped(&header, "", INDENT)]
        .into_iter()
        .chain(notes.iter().map(|note| wrapped(note, "", INDENT)))
        .flatten()
        .collect()
}

struct Row<'a> {
    condition: &'a str,
    status: &'a str,
    since: String,
    reason: &'a str,
    message: &'a str,
}

fn conditions(status: &Value) -> Vec<String> {
    let by_function = status.get("conditions").and_then(Value::as_object);
    let mut rows: Vec<Row<'_>> = by_function
        .into_iter()
        .flat_map(|functions| functions.values())
        .filter_map(Value::as_object)
        .flatten()
        .map(|(condition, found)| Row {
            condition,
            status: text(found, "status"),
            since: time(found, "since"),
            reason: text(found, "reason"),
            message: text(found, "message"),
        })
        .collect();
    // In the order in which one thing leads to the next, from the peering to the health of the target.
    rows.sort_by_key(|row| {
        ConditionKind::deserialize(Value::from(row.condition)).unwrap_or(ConditionKind::Unrecognized)
    });
    if rows.is_empty() {
        return vec!["No function has looked at this cluster yet.".to_owned()];
    }
    let width =
        |title: &str, cell: &dyn Fn(&Row<'_>) -> usize| rows.iter().map(cell).max().unwrap_or(0).max(title.len());
    let first = width("CONDITION", &|row| row.condition.chars().count());
    let second = width("STATUS", &|row| row.status.chars().count());
    let third = width("SINCE", &|row| row.since.chars().count());
    let line =
        |a: &str, b: &str, c: &str, d: &str| format!("{a:first$}  {b:second$}  {c:third$}  {d}").trim_end().to_owned();
    let mut lines = vec![line("CONDITION", "STATUS", "SINCE", "REASON")];
    for row in &rows {
        lines.push(line(row.condition, row.status, &row.since, row.reason));
        if row.status != "true" {
            lines.extend(wrapped(row.message, INDENT, INDENT));
            let remedy = remedy(row.reason);
            if !remedy.is_empty() {
                lines.extend(wrapped(&format!("Remedy: {remedy}"), INDENT, "            "));
            }
        }
    }
    lines
}

fn remedy(code: &str) -> &'static str {
    let reason = Reason::deserialize(Value::String(code.to_owned()));
    reason.map(Reason::remedy).unwrap_or_default()
}

fn audit_lines(entry: &Value) -> Vec<String> {
    if !entry.get("what").is_some_and(Value::is_string) {
        return wrapped(&entry.to_string(), "  ", INDENT);
    }
    let by = entry.get("by").and_then(Value::as_str).map(|by| format!(" by {by}")).unwrap_or_default();
    let detail = match entry.get("detail") {
        None | Some(Value::Null) => String::new(),
        Some(Value::Object(fields)) => {
            let fields = fields
                .iter()
                .filter(|(_, value)| !is_empty(value))
                .map(|(name, value)| format!("{name} {}", plain(value)));
            format!(": {}", fields.collect::<Vec<_>>().join(", "))
        }
        Some(other) => format!(": {}", plain(other)),
    };
    let line = format!(
        "{}  {} {}{by}{}",
        time(entry, "at"),
        text(entry, "function"),
        text(entry, "what"),
        detail.trim_end_matches(": ")
    );
    wrapped(&line, "  ", INDENT)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Bool(on) => !on,
        Value::Number(_) | Value::String(_) | Value::Object(_) => false,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
        Value::Bool(_) => "yes".to_owned(),
        other => other.to_string(),
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or("?")
}

/// A stored time, to the second.
fn time(value: &Value, field: &str) -> String {
    let given = text(value, field);
    given.parse::<Timestamp>().map_or_else(|_| given.to_owned(), |at| format!("{at:.0}"))
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Breaks a text into lines of at most `WIDTH` characters at its spaces; a longer word (an ARN) is broken where it must
/// be.
fn wrapped(text: &str, first: &str, rest: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut used = first.chars().count();
    let mut blank = true;
    for word in text.split([' ', '\n', '\r', '\t']) {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let space = usize::from(!blank);
            if used + space + word.len() <= WIDTH {
                line.extend((!blank).then_some(' ').into_iter().chain(word.iter().copied()));
                used += space + word.len();
                blank = false;
                break;
            }
            if blank {
                let over = word.split_off((WIDTH - used).min(word.len()));
                line.extend(word);
                word = over;
            }
            lines.push(std::mem::replace(&mut line, rest.to_owned()).trim_end().to_owned());
            used = rest.chars().count();
            blank = true;
        }
    }
    lines.push(line.trim_end().to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    #[test]
    fn a_person_reads_what_is_wrong_and_what_to_do() {
        let status = json!({
            "name": "acme-prod", "generation": 3, "paused": true,
            "fleet_paused": {"by": "ops", "reason": "maintenance of the transit VPC", "at": "2026-11-20T05:59:00Z"},
            "tombstone": {"at": "2026-11-20T06:30:00.5Z", "awaiting": ["peering-watcher"]},
            "conditions": {"peering-watcher": {
                "RouteReady": {"status": "true", "reason": "RoutesNotManaged", "message": "", "since": "2026-11-20T06:00:01Z"},
                "PeeringAccepted": {"status": "true", "reason": "Active", "message": "pcx-1", "since": "2026-11-20T06:00:00.123456Z"},
                "NameResolves": {"status": "false", "reason": "NxDomain", "message": "acme.example.internal does not exist, says 10.0.0.2; the last good answer, 10.9.0.5, was given seventeen minutes before that", "since": "2026-11-20T06:10:00Z"},
                "Healthy": {"status": "unknown", "reason": "AwaitingHealthCheck", "message": "10.9.0.5:5432 is initial", "since": "2026-11-20T06:11:00Z"},
                "FromTheFuture": {"status": "false", "reason": "NobodyKnows", "message": "m"}}},
            "acknowledgements": [{"cluster": "acme-prod", "what": "ForeignTarget:10.9.0.9:5432", "by": "ops", "reason": "ours since the migration", "at": "2026-11-20T06:20:00Z"}],
            "audit": [
                {"at": "2026-11-20T06:00:00Z", "function": "cluster-registry", "what": "put", "by": null,
                 "detail": {"generation": 3, "create": false, "claim": ["target-group#arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/acme/0123456789abcdef"], "release": []}},
                {"at": "2026-11-19T06:00:00Z", "function": "peering-watcher", "what": "RegisterTarget", "detail": "10.9.0.5:5432"},
                ["not", "an", "entry"]],
        });
        let text = render(&status);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        expect![[r#"
            acme-prod  generation 3  PAUSED  DELETING  EVERY CLUSTER PAUSED
            Deleted 2026-11-20T06:30:00Z; waiting for peering-watcher.
            Everything was paused 2026-11-20T05:59:00Z by ops: maintenance of the transit VPC

            CONDITION        STATUS   SINCE                 REASON
            PeeringAccepted  true     2026-11-20T06:00:00Z  Active
            RouteReady       true     2026-11-20T06:00:01Z  RoutesNotManaged
            NameResolves     false    2026-11-20T06:10:00Z  NxDomain
                acme.example.internal does not exist, says 10.0.0.2; the last good answer, 10.9.0.5, was given seventeen minutes
                before that
                Remedy: Correct `host`; for a name in the peer's private hosted zone, the peer must authorize the association of our
                        VPC with the zone.
            Healthy          unknown  2026-11-20T06:11:00Z  AwaitingHealthCheck
                10.9.0.5:5432 is initial
            FromTheFuture    false    ?                     NobodyKnows
                m
                Remedy: Deploy the newest version of every function.

            ACKNOWLEDGED, NOT USED YET
              2026-11-20T06:20:00Z  ForeignTarget:10.9.0.9:5432 by ops: ours since the migration

            RECENT
              2026-11-20T06:00:00Z  cluster-registry put: claim
                target-group#arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/acme/0123456789abcdef, generation 3
              2026-11-19T06:00:00Z  peering-watcher RegisterTarget: 10.9.0.5:5432
              ["not","an","entry"]
        "#]].assert_eq(&text);
    }

    #[test]
    fn a_cluster_that_nobody_looked_at_has_no_empty_table() {
        let text = render(&json!({"name": "acme", "generation": 1, "conditions": {}, "audit": []}));
        assert_eq!(text, "acme  generation 1\n\nNo function has looked at this cluster yet.\n");
    }

    #[test]
    fn a_corrupt_state_is_shown_and_no_error() {
        let status = json!({"conditions": {"peering-watcher": {"Healthy": 7, "Registered": {"status": 1, "since": "yesterday"}}}, "audit": 7});
        let text = render(&status);
        assert!(text.contains("yesterday"), "{text}");
    }

    #[test]
    fn long_words_are_broken_and_nothing_is_lost() {
        let long = "x".repeat(300);
        let lines = wrapped(&format!("a {long} b"), "  ", "    ");
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:?}");
        let together: String = lines.iter().map(|line| line.trim()).collect();
        assert_eq!(together.matches('x').count(), 300);
        assert!(lines.last().unwrap().ends_with(" b"), "{lines:?}");
    }
}
