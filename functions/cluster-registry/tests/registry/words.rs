//! Pause, resume and acknowledge.

use ports::Class;
use serde_json::json;

use crate::support::{Bench, Fault, bare, error};

#[tokio::test]
async fn a_pause_is_stored_with_its_word_and_ends() {
    let bench = Bench::new();
    let word = json!({"by": " ops ", "reason": "moving the transit VPC"});
    assert_eq!(
        bench.ask(json!({"pause": word, "dry_run": true})).await,
        json!({"ok": true, "paused": true, "dry_run": true})
    );
    assert_eq!(bench.table.written(), 0);
    assert_eq!(bench.ask(json!({"pause": word})).await, json!({"ok": true, "paused": true}));
    assert_eq!(
        bench.table.body("control", "pause").unwrap(),
        json!({"by": "ops", "reason": "moving the transit VPC", "at": "2026-11-20T06:00:02Z"})
    );
    assert_eq!(bench.ask(json!({"pause": {"by": "two", "reason": "r"}})).await["ok"], true);
    assert_eq!(bench.table.body("control", "pause").unwrap()["by"], "two");
    assert_eq!(
        bench.ask(json!({"resume": {"by": "ops", "reason": "done"}, "dry_run": true})).await,
        json!({"ok": true, "paused": false, "changed": true, "dry_run": true})
    );
    assert!(bench.table.body("control", "pause").is_some());
    let answer = bench.ask(json!({"resume": {"by": "ops", "reason": "done"}})).await;
    assert_eq!(answer, json!({"ok": true, "paused": false, "changed": true}));
    assert_eq!(bench.table.body("control", "pause"), None);
    let trail = bench.table.keys("audit#/");
    assert_eq!(trail.len(), 3, "{trail:?}");
    let written = bench.table.written();
    let answer = bench.ask(json!({"resume": {"by": "ops", "reason": "again"}})).await;
    assert_eq!(answer, json!({"ok": true, "paused": false, "changed": false}));
    assert_eq!(bench.table.written(), written);
}

#[tokio::test]
async fn whatever_a_person_put_as_the_pause_is_ended() {
    let bench = Bench::new();
    bench.table.set("control", "pause", json!("by hand"));
    assert_eq!(bench.ask(json!({"resume": {"by": "ops", "reason": "r"}})).await["changed"], true);
    assert_eq!(bench.table.body("control", "pause"), None);
}

#[tokio::test]
async fn an_acknowledgement_is_stored_with_its_trail() {
    let bench = Bench::new();
    bench.ask(json!({"put": bare("acme")})).await;
    for what in [
        "BootstrapRefused",
        "Flapping",
        "FleetBrake",
        "RebuildingState",
        "ForeignTarget:10.9.0.5:5432",
        "ForeignEtcdMember:9372538179322589801",
        "plan:0123abcd",
    ] {
        let request = json!({"acknowledge": {"cluster": "acme", "what": what, "by": "ops", "reason": "seen"}});
        assert_eq!(bench.ask(request).await, json!({"ok": true, "cluster": "acme", "what": what}));
        let stored = bench.table.body("cluster", &format!("acme#ack#{what}")).unwrap();
        assert_eq!((&stored["what"], &stored["by"], &stored["reason"]), (&json!(what), &json!("ops"), &json!("seen")));
    }
    assert_eq!(bench.table.keys("audit#acme/").len(), 8);
    assert_eq!(bench.table.expiry("cluster", "acme#ack#Flapping"), Some("2026-11-27T06:00:03Z".parse().unwrap()));
    let written = bench.table.written();
    let request =
        json!({"acknowledge": {"cluster": "acme", "what": "Flapping", "by": "ops", "reason": "r"}, "dry_run": true});
    assert_eq!(bench.ask(request).await["dry_run"], true);
    assert_eq!(bench.table.written(), written);
    let request = json!({"acknowledge": {"cluster": "acm", "what": "Flapping", "by": "ops", "reason": "r"}});
    crate::support::refused(
        &bench.ask(request).await,
        "acknowledge.cluster",
        "no cluster named `acm`; did you mean `acme`?",
    );
}

#[tokio::test]
async fn transactions_in_the_way_are_told() {
    let bench = Bench::new();
    let word = json!({"pause": {"by": "ops", "reason": "r"}});
    bench.table.at_writes([Some(Fault::LoseReply(error(Class::Malformed)))]);
    assert_eq!(bench.ask(word.clone()).await["ok"], true);
    assert_eq!(bench.table.keys("audit#/").len(), 1, "the repeated entry is the same entry");
    bench.table.at_writes([Some(Fault::Fail(error(Class::Denied)))]);
    assert_eq!(bench.try_ask(word).await.unwrap_err().code, "Table.Denied");
}
