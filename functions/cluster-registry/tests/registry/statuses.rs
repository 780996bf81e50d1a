//! The status.

use serde_json::json;

use crate::support::{Bench, bare, spec};

#[tokio::test]
async fn a_status_has_all_that_is_known() {
    let bench = Bench::new();
    bench.ask(json!({"put": spec("acme", &["a"])})).await;
    let conditions = json!({"PeeringAccepted": {"status": "false", "reason": "Expired", "message": "pcx-1", "since": "2026-11-20T05:00:00Z"}});
    let outcome = json!({"outcome": "blocked", "reason": "Expired", "message": "pcx-1"});
    let state = json!({"generation": 1, "conditions": conditions, "outcome": outcome, "unknown": [1]});
    bench.table.set("state#peering-watcher", "acme", state.clone());
    bench.ask(json!({"acknowledge": {"cluster": "acme", "what": "FleetBrake", "by": "ops", "reason": "seen"}})).await;
    bench.ask(json!({"pause": {"by": "ops", "reason": "p"}})).await;
    let answer = bench.ask(json!({"status": "acme"})).await;
    assert_eq!((&answer["ok"], &answer["name"], &answer["generation"]), (&json!(true), &json!("acme"), &json!(1)));
    assert_eq!((&answer["paused"], &answer["tombstone"]), (&json!(false), &json!(null)));
    assert_eq!(answer["fleet_paused"], json!({"by": "ops", "reason": "p", "at": "2026-11-20T06:00:03Z"}));
    assert_eq!(answer["conditions"], json!({"peering-watcher": conditions}));
    assert_eq!(answer["outcome"], json!({"peering-watcher": outcome}));
    assert_eq!(answer["state"], json!({"peering-watcher": state}));
    assert_eq!(answer["spec"]["name"], "acme");
    assert_eq!(answer["acknowledgements"][0]["what"], "FleetBrake");
    let audit: Vec<&str> = answer["audit"].as_array().unwrap().iter().map(|e| e["what"].as_str().unwrap()).collect();
    assert_eq!(audit, ["acknowledge", "put"], "newest first");
    let table = answer["table"].as_str().unwrap();
    assert!(
        table.contains("PeeringAccepted  false   2026-11-20T05:00:00Z  Expired\n    pcx-1\n    Remedy: Request a new"),
        "{table}"
    );
    assert!(table.starts_with("acme  generation 1  EVERY CLUSTER PAUSED\n"), "{table}");
}

#[tokio::test]
async fn corrupt_items_are_shown_and_no_error() {
    let bench = Bench::new();
    bench.ask(json!({"put": bare("acme")})).await;
    bench.table.set("state#peering-watcher", "acme", json!("not json {"));
    bench.table.set("audit#acme", "9999", json!(["what is this"]));
    bench.table.set("cluster", "acme#ack#Flapping", json!(7));
    bench.table.set("control", "pause", json!(null));
    let answer = bench.ask(json!({"status": "acme"})).await;
    assert_eq!(answer["state"], json!({"peering-watcher": "not json {"}));
    assert_eq!(answer["conditions"], json!({}));
    assert_eq!(answer["audit"][0], json!(["what is this"]));
    assert_eq!(answer["acknowledgements"], json!([]));
    assert_eq!(answer["fleet_paused"]["by"], "unknown", "a pause put by hand is a pause");
    assert!(answer["table"].as_str().unwrap().contains("what is this"));
}

#[tokio::test]
async fn a_used_up_acknowledgement_and_another_clusters_are_not_shown() {
    let bench = Bench::new();
    bench.ask(json!({"put": bare("acme")})).await;
    bench.ask(json!({"put": bare("acme-two")})).await;
    let of =
        |cluster: &str, at: &str| json!({"cluster": cluster, "what": "Flapping", "by": "o", "reason": "r", "at": at});
    bench.table.set("cluster", "acme#ack#Flapping", of("acme", "2026-11-01T00:00:00Z"));
    bench.table.set("cluster", "acme-two#ack#Flapping", of("acme-two", "2026-11-20T00:00:00Z"));
    assert_eq!(bench.ask(json!({"status": "acme"})).await["acknowledgements"], json!([]));
    assert_eq!(bench.ask(json!({"status": "acme-two"})).await["acknowledgements"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_newest_twenty_entries_are_shown() {
    let bench = Bench::new();
    bench.ask(json!({"put": bare("acme")})).await;
    for n in 10..40 {
        let entry = json!({"at": format!("2026-11-21T00:00:{n}Z"), "function": "f", "what": format!("w{n}")});
        bench.table.set("audit#acme", &format!("2026-11-21T00:00:{n}Z#f#0"), entry);
    }
    let answer = bench.ask(json!({"status": "acme"})).await;
    let audit = answer["audit"].as_array().unwrap();
    assert_eq!((audit.len(), &audit[0]["what"], &audit[19]["what"]), (20, &json!("w39"), &json!("w20")));
}

#[tokio::test]
async fn a_status_says_how_the_restore_points_are() {
    let bench = Bench::new();
    bench.ask(json!({"put": bare("acme")})).await;
    let conditions = json!({"RestorePointRecent": {"status": "false", "reason": "RestorePointOverdue",
        "message": "the newest good one is 20 h old", "since": "2026-11-20T05:00:00Z"}});
    let outcome = json!({"outcome": "blocked", "reason": "RestorePointOverdue", "message": "20 h old"});
    let state = json!({"conditions": conditions, "outcome": outcome, "newest": {"us-east-1": "2026-11-19T10:00:00Z"}});
    bench.table.set("state#snapshot-scheduler", "acme", state.clone());
    let answer = bench.ask(json!({"status": "acme"})).await;
    assert_eq!(answer["state"], json!({"snapshot-scheduler": state}));
    assert_eq!(answer["conditions"], json!({"snapshot-scheduler": conditions}));
    assert_eq!(answer["outcome"], json!({"snapshot-scheduler": outcome}));
    let table = answer["table"].as_str().unwrap();
    assert!(table.contains("RestorePointRecent  false   2026-11-20T05:00:00Z  RestorePointOverdue\n"), "{table}");
}
