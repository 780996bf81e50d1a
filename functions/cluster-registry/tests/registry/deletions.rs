//! Deleting a cluster.

use serde_json::json;

use crate::support::{Bench, bare, claim_of, refused, spec, target_group, with_nodes};

#[tokio::test]
async fn a_cluster_with_a_primary_leaves_a_tombstone_until_it_is_taken_down() {
    let bench = Bench::new();
    bench.ask(json!({"put": spec("acme", &["a"])})).await;
    let deleting = json!({"ok": true, "state": "deleting", "generation": 2, "awaiting": ["peering-watcher"]});
    assert_eq!(bench.ask(json!({"delete": "acme"})).await, deleting);
    let record = bench.table.body("cluster", "acme").unwrap();
    assert_eq!(record["tombstone"], json!({"at": "2026-11-20T06:00:02Z", "awaiting": ["peering-watcher"]}));
    assert_eq!(record["generation"], 2);
    assert_eq!(bench.table.keys("claim#"), [claim_of("a")], "nobody may take it before its targets are gone");
    let written = bench.table.written();
    assert_eq!(bench.ask(json!({"delete": "acme"})).await, deleting, "deleted is deleted");
    let problem = "`acme` is being deleted (waiting for peering-watcher); put it again once it is gone";
    refused(&bench.ask(json!({"put": spec("acme", &["a"])})).await, "name", problem);
    refused(&bench.ask(json!({"validate": bare("acme")})).await, "name", problem);
    assert_eq!(bench.table.written(), written);
}

#[tokio::test]
async fn a_cluster_with_nothing_to_take_down_is_gone_at_once_with_all_that_is_its_own() {
    let bench = Bench::new();
    bench.ask(json!({"put": with_nodes(bare("acme"), "pg", &["n"])})).await;
    bench.ask(json!({"put": bare("acme2")})).await;
    for name in ["acme", "acme2"] {
        bench.ask(json!({"acknowledge": {"cluster": name, "what": "Flapping", "by": "ops", "reason": "r"}})).await;
    }
    let dry = bench.ask(json!({"delete": "acme", "dry_run": true})).await;
    assert_eq!(dry, json!({"ok": true, "state": "deleted", "dry_run": true}));
    assert!(bench.table.body("cluster", "acme").is_some());
    assert_eq!(bench.ask(json!({"delete": "acme"})).await, json!({"ok": true, "state": "deleted"}));
    assert_eq!(bench.table.keys("cluster/"), ["cluster/acme2", "cluster/acme2#ack#Flapping"]);
    assert_eq!(bench.table.keys("claim#"), Vec::<String>::new());
    assert_eq!(bench.table.keys("audit#acme/").len(), 3, "who did what stays: put, acknowledge, delete");
    refused(&bench.ask(json!({"delete": "acme"})).await, "delete", "no cluster named `acme`; did you mean `acme2`?");
}

#[tokio::test]
async fn whatever_a_function_may_still_hold_is_waited_for() {
    let bench = Bench::new();
    bench.ask(json!({"put": spec("releasing", &["a"])})).await;
    bench.ask(json!({"put": bare("releasing")})).await;
    bench.ask(json!({"put": bare("state")})).await;
    bench.table.set("state#peering-watcher", "state", json!("even a corrupt one"));
    bench.ask(json!({"put": bare("unreadable")})).await;
    let mut record = bench.table.body("cluster", "unreadable").unwrap();
    record["spec"] = json!(7);
    bench.table.set("cluster", "unreadable", record.clone());
    bench.ask(json!({"put": bare("newer")})).await;
    record["name"] = json!("newer");
    record["spec"] = json!({"schema": 9, "name": "newer"});
    bench.table.set("cluster", "newer", record);
    for name in ["releasing", "state", "unreadable", "newer"] {
        let answer = bench.ask(json!({"delete": name})).await;
        assert_eq!(answer["state"], "deleting", "{name}: {answer}");
    }
    let record = bench.table.body("cluster", "releasing").unwrap();
    assert_eq!(record["releasing"], json!([format!("target-group#{}", target_group("a"))]), "the watcher must find it");
}

#[tokio::test]
async fn a_dry_run_of_a_deletion_writes_nothing() {
    let bench = Bench::new();
    bench.ask(json!({"put": spec("acme", &["a"])})).await;
    let before = bench.table.snapshot();
    let answer = bench.ask(json!({"delete": "acme", "dry_run": true})).await;
    assert_eq!(
        answer,
        json!({"ok": true, "state": "deleting", "generation": 2, "awaiting": ["peering-watcher"], "dry_run": true})
    );
    assert_eq!(bench.table.snapshot(), before);
}

#[tokio::test]
async fn restore_points_are_waited_for_where_there_may_be_some_and_what_was_asked_for_goes_with_the_record() {
    let bench = Bench::new();
    let take = |cluster: &str| json!({"cluster": cluster, "kind": "manual", "by": "ops", "at": "2026-11-20T05:00:00Z"});
    for name in ["acme", "acme2", "kept"] {
        bench.ask(json!({"put": bare(name)})).await;
        bench.table.set("cluster", &format!("{name}#take#20261120T050000Z.manual"), take(name));
    }
    bench.table.set("state#snapshot-scheduler", "kept", json!({"generation": 1}));
    let answer = bench.ask(json!({"delete": "kept"})).await;
    assert_eq!(answer["awaiting"], json!(["snapshot-scheduler"]), "it reads in the spec what `final` keeps");
    assert_eq!(bench.ask(json!({"delete": "acme"})).await, json!({"ok": true, "state": "deleted"}));
    assert_eq!(
        bench.table.keys("cluster/"),
        [
            "cluster/acme2",
            "cluster/acme2#take#20261120T050000Z.manual",
            "cluster/kept",
            "cluster/kept#take#20261120T050000Z.manual"
        ]
    );
    // No request is taken for a cluster.
    let listed = bench.ask(json!({"list": {}})).await;
    let names: Vec<&str> = listed["clusters"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["acme2", "kept"]);
}
