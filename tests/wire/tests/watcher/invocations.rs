//! Payloads, the environment, the pulse.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use stack::{Requester, World, WorldCluster};
use wire::{ACME, SECOND, Scene, text};

#[test]
fn watcher_case_a_dry_run_changes_nothing_and_can_be_read() {
    let scene = Scene::with_peering("active");
    scene.put(&scene.spec(ACME));
    let mark = scene.mark();
    let report = scene.watcher.invoke(&json!({"cluster": ACME, "dry_run": true})).unwrap();
    assert_eq!(report["dry_run"], true);
    let calls = scene.calls_since(mark);
    assert!(!calls.iter().any(stack::Call::mutates), "{calls:#?}");
    let planned: Vec<(String, String)> = report["clusters"][0]["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| (text(&a["do"]), text(&a["result"])))
        .collect();
    assert_eq!(
        planned,
        [("CreateRoute".to_owned(), "planned".to_owned()), ("RegisterTarget".to_owned(), "planned".to_owned())]
    );
    let lines: Vec<String> = report["text"].as_array().unwrap().iter().map(text).collect();
    assert!(lines[0].starts_with("acme-prod: "), "{lines:#?}");
    assert!(lines.contains(&"  RegisterTarget 10.9.0.5:5432: would be done".to_owned()), "{lines:#?}");
    let route = format!("  CreateRoute 10.9.0.0/16 -> {}", scene.connection(ACME));
    assert!(lines.iter().any(|line| line.starts_with(&route)), "{lines:#?}");

    scene.settle(ACME);
    scene.name_moves_to(&[SECOND]);
    scene.look(ACME);
    let mark = scene.mark();
    // Over the whole fleet, too.
    let report = scene.watcher.invoke(&json!({"dry_run": true})).unwrap();
    let planned: Vec<String> =
        report["clusters"][0]["actions"].as_array().unwrap().iter().map(|a| text(&a["on"])).collect();
    assert_eq!(planned, ["10.9.0.6:5432"], "the old one goes once the new one is healthy: {report:#}");
    assert!(!scene.calls_since(mark).iter().any(stack::Call::mutates));
}

#[test]
fn watcher_case_what_is_no_wake_up_is_ignored_and_no_error() {
    let scene = Scene::serving();
    let mark = scene.mark();
    for (payload, path) in [
        (json!([]), ""),
        (json!("wake up"), ""),
        (json!(null), ""),
        (json!({"clutser": ACME}), "clutser"),
        (json!({"cluster": 7}), "cluster"),
        (json!({"cluster": ""}), "cluster"),
        (json!({"dryrun": true}), "dryrun"),
        (json!({"dry_run": "yes"}), "dry_run"),
        (json!({"source": "aws.events"}), "source"),
    ] {
        let report = scene.watcher.invoke(&payload).unwrap();
        assert_eq!(report["ignored"]["path"], path, "{payload}: {report:#}");
        assert_eq!(report["counts"], json!({"ignored": 1}), "{payload}");
    }
    assert_eq!(scene.names_since(mark), [""; 0], "nothing was even looked at");
    let logged = scene.watcher.log_lines().iter().filter(|l| l.contains("ignored") && l.contains("WARN")).count();
    assert_eq!(logged, 9);
}

#[test]
fn watcher_case_any_event_is_a_wake_up_and_a_duplicate_changes_nothing() {
    let scene = Scene::with_peering("active");
    scene.put(&scene.spec(ACME));
    let event = json!({"version": "0", "id": "1", "source": "aws.ec2", "detail-type": "AWS API Call via CloudTrail",
        "detail": {"eventName": "AcceptVpcPeeringConnection", "requestParameters": {"vpcPeeringConnectionId": "pcx-other"}}});
    let report = scene.watcher.invoke(&event).unwrap();
    assert_eq!(report["clusters"][0]["reason"], "PrimaryRegistered", "{report:#}");
    scene.settle(ACME);
    let mark = scene.mark();
    let schedule = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
    for event in [&event, &schedule, &event] {
        assert_eq!(scene.watcher.invoke(event).unwrap()["counts"], json!({"unchanged": 1}));
    }
    assert_eq!(scene.mutations_since(mark), [""; 0]);
}

#[test]
fn watcher_case_a_cluster_that_nobody_put_is_reported_as_unknown() {
    let scene = Scene::serving();
    let mark = scene.mark();
    let found = scene.look("acme-prd");
    assert_eq!([&found["outcome"], &found["reason"]], ["blocked", "UnknownCluster"], "{found:#}");
    assert_eq!(scene.mutations_since(mark), [""; 0]);
}

#[test]
fn watcher_case_a_spec_that_cannot_be_read_or_is_newer_is_only_observed() {
    let scene = Scene::serving();
    for (spec, reason) in [(json!({"schema": 2, "name": ACME}), "SchemaNewer"), (json!("a fork"), "SpecUnreadable")] {
        let mut item = scene.stack.item("cluster", ACME).unwrap().unwrap();
        let mut body: Value = serde_json::from_str(item["body"].as_str().unwrap()).unwrap();
        body["spec"] = spec;
        item["body"] = json!(body.to_string());
        scene.stack.put_item(&item).unwrap();
        let mark = scene.mark();
        let report = scene.pass();
        assert_eq!(report["clusters"][0]["reason"], reason, "{report:#}");
        assert_eq!(scene.mutations_since(mark), [""; 0]);
        assert_eq!(scene.writes_since(mark), [""; 0]);
    }
    let mut item = scene.stack.item("cluster", ACME).unwrap().unwrap();
    item["body"] = json!("[]");
    scene.stack.put_item(&item).unwrap();
    assert_eq!(scene.look(ACME)["reason"], "SpecUnreadable");
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
}

#[test]
fn watcher_case_a_bad_environment_stops_the_binary_with_every_problem() {
    let scene = Scene::with_peering("active");
    for (changes, problems) in [
        (vec![("PILOTHOUSE_TABLE", "")], vec!["PILOTHOUSE_TABLE"]),
        (
            vec![
                ("PILOTHOUSE_TABLE", "a b"),
                ("PILOTHOUSE_TOPIC_ARN", "arn:aws:sqs:us-east-1:123456789012:queue"),
                ("PILOTHOUSE_RESOLVERS", "10.0.0.2,dns.example:53,10.0.0.3:0"),
                ("PILOTHOUSE_PULSE_SECONDS", "0"),
                ("PILOTHOUSE_PULSE_BUDGET_SECONDS", "a minute"),
                ("PILOTHOUSE_RESOLVER", "10.0.0.2:53"),
            ],
            vec![
                "PILOTHOUSE_TABLE",
                "PILOTHOUSE_TOPIC_ARN",
                "10.0.0.2",
                "dns.example:53",
                "10.0.0.3:0",
                "PILOTHOUSE_PULSE_SECONDS",
                "PILOTHOUSE_PULSE_BUDGET_SECONDS",
                "did you mean `PILOTHOUSE_RESOLVERS`",
            ],
        ),
    ] {
        let mut environment: BTreeMap<String, String> = scene.environment.clone();
        environment.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mark = scene.mark();
        let watcher = scene.stack.function("peering-watcher", &environment).unwrap();
        let status = watcher.wait_for_exit(Duration::from_secs(10)).expect("it ends by itself");
        assert_eq!(status.code(), Some(1));
        let last = watcher.wait_for_line(|line| line.contains("not started"), Duration::from_secs(2)).unwrap();
        for problem in &problems {
            assert!(last.contains(problem), "{problem} is not in {last}");
            let own = watcher.log_lines().iter().any(|l| l.contains("bad environment") && l.contains(problem));
            assert!(own, "{problem} has no line of its own");
        }
        assert_eq!(scene.names_since(mark), [""; 0]);
    }
    let mut environment = scene.environment.clone();
    environment.remove("PILOTHOUSE_TABLE");
    let watcher = scene.stack.function("peering-watcher", &environment).unwrap();
    assert_eq!(watcher.wait_for_exit(Duration::from_secs(10)).and_then(|s| s.code()), Some(1));
}

#[test]
fn watcher_case_the_pulse_makes_several_passes_and_follows_a_failover_within_one_run() {
    let mut scene = Scene::serving();
    scene.environment.insert("PILOTHOUSE_PULSE_SECONDS".to_owned(), "1".to_owned());
    scene.environment.insert("PILOTHOUSE_PULSE_BUDGET_SECONDS".to_owned(), "3".to_owned());
    scene.cold_start();
    scene.name_moves_to(&[SECOND]);
    let report = scene.watcher.invoke(&json!({"source": "aws.events", "detail-type": "Scheduled Event"})).unwrap();
    assert_eq!(report["passes"], 3, "{report:#}");
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);
    assert_eq!(report["clusters"][0]["outcome"], "changed", "a change of an earlier pass is still news: {report:#}");
    let single = scene.watcher.invoke(&json!({"single_pass": true})).unwrap();
    assert_eq!(single["passes"], 1);
}

#[test]
fn watcher_case_a_topic_is_not_needed() {
    let acme = WorldCluster {
        state: Some("active".to_owned()),
        requested_by: Some(Requester::Us),
        ..WorldCluster::named(ACME, "10.9.0.0/16")
    };
    let mut scene = Scene::of(World { initial_seconds: Some(0.0), clusters: vec![acme], ..World::default() });
    scene.environment.remove("PILOTHOUSE_TOPIC_ARN");
    scene.cold_start();
    scene.put(&scene.spec(ACME));
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
    assert_eq!(scene.notices(), [""; 0]);
    let logged = scene.watcher.log_lines().iter().filter(|l| l.contains("\"message\":\"notice\"")).count();
    assert!(logged >= 6, "{logged}");
}
