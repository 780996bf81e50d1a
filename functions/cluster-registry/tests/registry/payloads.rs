//! Payloads that are no requests: the exact answer that each gets.

use serde_json::{Value, json};

use crate::support::{Bench, errors};

const VERBS: &str = "put, validate, get, list, delete, status, acknowledge, pause, resume";
const NAME: &str = "must be 2 to 40 characters of a-z, 0-9 and `-`, starting with a letter";

fn not_an_object(kind: &str) -> String {
    format!("must be an object with one of {VERBS}, not {kind}")
}

#[tokio::test]
async fn every_bad_payload_gets_its_exact_answer() {
    let known = format!("unknown verb; known are {VERBS}, dry_run");
    let none = format!("holds no verb; known are {VERBS}");
    let long = "x".repeat(1025);
    let ack = |change: Value| {
        let mut fields = json!({"cluster": "acme", "what": "Flapping", "by": "ops", "reason": "r"});
        for (field, value) in change.as_object().unwrap() {
            fields[field] = value.clone();
        }
        json!({"acknowledge": fields})
    };
    let what = |text: &str| ack(json!({"what": text}));
    let known_whats = "known are `BootstrapRefused`, `Flapping`, `FleetBrake`, `RebuildingState`, `ForeignTarget:<address>:<port>`, \
         `ForeignEtcdMember:<decimal id>` and `plan:<hash>`";
    let cases: Vec<(Value, Vec<(&str, String)>)> = vec![
        (json!(null), vec![("", not_an_object("null"))]),
        (json!(true), vec![("", not_an_object("true or false"))]),
        (json!(7), vec![("", not_an_object("a number"))]),
        (json!("list"), vec![("", not_an_object("text"))]),
        (json!([{"list": {}}]), vec![("", not_an_object("a list"))]),
        (json!({}), vec![("", none.clone())]),
        (json!({"dry_run": true}), vec![("", none.clone())]),
        (json!({"putt": {}}), vec![("putt", "unknown verb; did you mean `put`?".to_owned())]),
        (json!({"PUT": {}}), vec![("PUT", "unknown verb; did you mean `put`?".to_owned())]),
        (json!({"state": "acme"}), vec![("state", "unknown verb; did you mean `status`?".to_owned())]),
        (json!({"create": {}}), vec![("create", known.clone())]),
        (json!({"cluster": "acme"}), vec![("cluster", known.clone())]),
        (json!({"": {}}), vec![("", known.clone())]),
        (
            json!({"a": 1, "list": {}, "lst": {}}),
            vec![("a", known.clone()), ("lst", "unknown verb; did you mean `list`?".to_owned())],
        ),
        (
            json!({"put": {"name": "acme"}, "dryrun": true}),
            vec![("dryrun", "unknown verb; did you mean `dry_run`?".to_owned())],
        ),
        (
            json!({"put": {"name": "acme"}, "dry_run": "true"}),
            vec![("dry_run", "must be true or false, not text".to_owned())],
        ),
        (json!({"delete": "acme", "dry_run": null}), vec![("dry_run", "must be true or false, not null".to_owned())]),
        (json!({"get": "acme", "list": {}}), vec![("", "must hold one verb, not `get` and `list`".to_owned())]),
        (
            json!({"get": "a", "list": 7, "put": {}}),
            vec![("", "must hold one verb, not `get` and `list` and `put`".to_owned())],
        ),
        (json!({"get": 7}), vec![("get", "must be the name of a cluster, not a number".to_owned())]),
        (json!({"get": null}), vec![("get", "must be the name of a cluster, not null".to_owned())]),
        (json!({"get": {"name": "acme"}}), vec![("get", "must be the name of a cluster, not an object".to_owned())]),
        (json!({"get": ""}), vec![("get", NAME.to_owned())]),
        (json!({"get": "Acme"}), vec![("get", NAME.to_owned())]),
        (json!({"get": "acme#ack#Flapping"}), vec![("get", NAME.to_owned())]),
        (json!({"get": "acme"}), vec![("get", "no cluster named `acme`".to_owned())]),
        (json!({"delete": ["acme"]}), vec![("delete", "must be the name of a cluster, not a list".to_owned())]),
        (json!({"delete": "acme"}), vec![("delete", "no cluster named `acme`".to_owned())]),
        (json!({"delete": "acme", "dry_run": true}), vec![("delete", "no cluster named `acme`".to_owned())]),
        (json!({"status": true}), vec![("status", "must be the name of a cluster, not true or false".to_owned())]),
        (json!({"status": "acme"}), vec![("status", "no cluster named `acme`".to_owned())]),
        (json!({"list": null}), vec![("list", "must be {}, not null".to_owned())]),
        (json!({"list": "all"}), vec![("list", "must be {}, not text".to_owned())]),
        (json!({"list": {"limit": 5}}), vec![("list.limit", "unknown field; there are none".to_owned())]),
        (json!({"put": null}), vec![("", "must be an object, not null".to_owned())]),
        (json!({"put": "acme"}), vec![("", "must be an object, not text".to_owned())]),
        (json!({"validate": [1]}), vec![("", "must be an object, not a list".to_owned())]),
        (json!({"put": {}}), vec![("name", "is required".to_owned())]),
        (
            json!({"put": {"name": "acme", "primry": {}}}),
            vec![("primry", "unknown field; did you mean `primary`?".to_owned())],
        ),
        (
            json!({"put": {"name": null, "paused": "true", "deletion": "keep"}}),
            vec![
                ("name", "is required and must not be null".to_owned()),
                ("paused", "must be true or false, not text".to_owned()),
                ("deletion", "must be `retain` or `teardown`, not \"keep\"".to_owned()),
            ],
        ),
        (
            json!({"validate": {"name": "acme", "schema": 2}}),
            vec![("schema", "must be 1, the only schema that this version knows, not 2".to_owned())],
        ),
        (
            json!({"acknowledge": "acme"}),
            vec![("acknowledge", "must be an object of cluster, what, by, reason, not text".to_owned())],
        ),
        (
            json!({"acknowledge": {}}),
            vec![
                ("acknowledge.cluster", "is required".to_owned()),
                ("acknowledge.what", "is required".to_owned()),
                ("acknowledge.by", "is required".to_owned()),
                ("acknowledge.reason", "is required".to_owned()),
            ],
        ),
        (
            ack(json!({"by": "", "reason": "  "})),
            vec![
                ("acknowledge.by", "must not be empty".to_owned()),
                ("acknowledge.reason", "must not be empty".to_owned()),
            ],
        ),
        (
            ack(json!({"by": null, "reason": 7})),
            vec![
                ("acknowledge.by", "must be text, not null".to_owned()),
                ("acknowledge.reason", "must be text, not a number".to_owned()),
            ],
        ),
        (ack(json!({"cluster": "A"})), vec![("acknowledge.cluster", NAME.to_owned())]),
        (ack(json!({"reason": long})), vec![("acknowledge.reason", "must have at most 1024 characters".to_owned())]),
        (
            ack(json!({"reason": "line\nHealthy true"})),
            vec![("acknowledge.reason", "must be one line of text".to_owned())],
        ),
        (ack(json!({"resaon": "r"})), vec![("acknowledge.resaon", "unknown field; did you mean `reason`?".to_owned())]),
        (
            ack(json!({"until": "tomorrow"})),
            vec![("acknowledge.until", "unknown field; known are cluster, what, by, reason".to_owned())],
        ),
        (ack(json!({})), vec![("acknowledge.cluster", "no cluster named `acme`".to_owned())]),
        (what("Healthy"), vec![("acknowledge.what", format!("`Healthy` cannot be acknowledged; {known_whats}"))]),
        (
            what("flaping"),
            vec![("acknowledge.what", "`flaping` cannot be acknowledged; did you mean `Flapping`?".to_owned())],
        ),
        (
            what("ForeignTarget"),
            vec![(
                "acknowledge.what",
                "`ForeignTarget` cannot be acknowledged; did you mean `ForeignTarget:<address>:<port>`?".to_owned(),
            )],
        ),
        (
            what("ForeignTarget:10.9.0.5"),
            vec![(
                "acknowledge.what",
                "`ForeignTarget:10.9.0.5` names no target: write `ForeignTarget:<IPv4 address>:<port>`".to_owned(),
            )],
        ),
        (
            what("ForeignTarget:10.9.0.5:0"),
            vec![(
                "acknowledge.what",
                "`ForeignTarget:10.9.0.5:0` names no target: write `ForeignTarget:<IPv4 address>:<port>`".to_owned(),
            )],
        ),
        (
            what("ForeignEtcdMember:0x1f"),
            vec![(
                "acknowledge.what",
                "`ForeignEtcdMember:0x1f` names no member: write `ForeignEtcdMember:<decimal id>`".to_owned(),
            )],
        ),
        (
            what("ForeignTarget:10.9.0.5:+5432"),
            vec![(
                "acknowledge.what",
                "`ForeignTarget:10.9.0.5:+5432` names no target: write `ForeignTarget:<IPv4 address>:<port>`"
                    .to_owned(),
            )],
        ),
        (
            what("ForeignTarget:::1:5432"),
            vec![(
                "acknowledge.what",
                "`ForeignTarget:::1:5432` names no target: write `ForeignTarget:<IPv4 address>:<port>`".to_owned(),
            )],
        ),
        (
            what("plan:xyz"),
            vec![(
                "acknowledge.what",
                "`plan:xyz` is no plan hash: write `plan:` and the hash as the dry run gave it".to_owned(),
            )],
        ),
        (
            json!({"pause": {}}),
            vec![("pause.by", "is required".to_owned()), ("pause.reason", "is required".to_owned())],
        ),
        (json!({"pause": true}), vec![("pause", "must be an object of by, reason, not true or false".to_owned())]),
        (
            json!({"pause": {"by": "ops", "reason": "r", "cluster": "acme"}}),
            vec![("pause.cluster", "unknown field; known are by, reason".to_owned())],
        ),
        (json!({"resume": {"by": "ops"}}), vec![("resume.reason", "is required".to_owned())]),
        (json!({"RequestType": "Create"}), vec![("ResponseURL", "is required: there is nowhere to answer".to_owned())]),
        (json!({"RequestType": "Create", "ResponseURL": 7}), vec![("ResponseURL", "must be an https URL".to_owned())]),
        (
            json!({"RequestType": "Create", "ResponseURL": "http://example.com/"}),
            vec![("ResponseURL", "must be an https URL".to_owned())],
        ),
        (
            json!({"source": "aws.events", "detail-type": "Scheduled Event"}),
            vec![("", "an event (aws.events/Scheduled Event) asks nothing of the registry".to_owned())],
        ),
    ];
    assert!(cases.len() >= 60, "{}", cases.len());
    for (payload, expected) in cases {
        let bench = Bench::new();
        let answer = bench.ask(payload.clone()).await;
        let expected: Vec<(String, String)> =
            expected.into_iter().map(|(path, problem)| (path.to_owned(), problem)).collect();
        assert_eq!(errors(&answer), expected, "{payload}");
        assert_eq!(bench.table.written(), 0, "{payload}");
        assert_eq!(bench.answers.tries(), 0, "{payload}");
    }
}

#[tokio::test]
async fn an_event_is_ignored_and_says_so() {
    let answer = Bench::new().ask(json!({"source": "aws.ec2", "detail-type": "x", "detail": {}})).await;
    assert_eq!(answer["ignored"], true);
}
