//! Put, validate, get, list and claims.

use serde_json::json;

use crate::support::{Bench, bare, claim_of, refused, spec, target_group, with_nodes};

#[tokio::test]
async fn a_put_stores_record_claims_and_audit_entry_in_one_transaction() {
    let bench = Bench::new();
    let answer = bench.ask(json!({"put": with_nodes(spec("acme", &["a", "b"]), "acme-pg", &["c"])})).await;
    assert_eq!(answer, json!({"ok": true, "generation": 1, "changed": true}));
    assert_eq!(bench.table.written(), 1);
    let mut claims = [claim_of("a"), claim_of("b"), claim_of("c"), "claim#asg#acme-pg/claim".to_owned()];
    claims.sort();
    assert_eq!(bench.table.keys("claim#"), claims);
    assert_eq!(bench.table.keys("audit#acme/").len(), 1);
    let record = bench.table.body("cluster", "acme").unwrap();
    assert_eq!(record["generation"], 1);
    assert_eq!(record["created_at"], "2026-11-20T06:00:01Z");
    assert_eq!(record["claims"].as_array().unwrap().len(), 4);
    assert_eq!(record["spec"]["primary"]["endpoints"][0]["role"], "writer", "the normal form is stored");
    let claim = format!("claim#target-group#{}", target_group("a"));
    assert_eq!(bench.table.body(&claim, "claim").unwrap(), json!({"cluster": "acme"}));
}

#[tokio::test]
async fn an_equal_normal_form_keeps_the_generation_and_writes_nothing() {
    let bench = Bench::new();
    bench.ask(json!({"put": spec("acme", &["a"])})).await;
    let mut same = spec("acme", &["a"]);
    same["schema"] = json!(1);
    same["paused"] = json!(false);
    same["primary"]["endpoints"][0]["role"] = json!("writer");
    same["primary"]["endpoints"][0]["host"] = json!("DB.example.internal.");
    let before = bench.table.snapshot();
    assert_eq!(bench.ask(json!({"put": same})).await, json!({"ok": true, "generation": 1, "changed": false}));
    assert_eq!(bench.table.snapshot(), before);

    same["paused"] = json!(true);
    assert_eq!(bench.ask(json!({"put": same})).await, json!({"ok": true, "generation": 2, "changed": true}));
    let record = bench.table.body("cluster", "acme").unwrap();
    assert_eq!(record["created_at"], "2026-11-20T06:00:01Z");
    assert_eq!(record["updated_at"], "2026-11-20T06:00:03Z");
    assert_eq!(bench.table.version("cluster", "acme"), Some(2));
}

#[tokio::test]
async fn a_spec_stored_by_a_version_that_knew_fewer_fields_is_not_changed_by_their_defaults() {
    let bench = Bench::new();
    bench.ask(json!({"put": spec("acme", &["a"])})).await;
    let mut record = bench.table.body("cluster", "acme").unwrap();
    record["spec"].as_object_mut().unwrap().remove("deletion");
    bench.table.set("cluster", "acme", record);
    assert_eq!(
        bench.ask(json!({"put": spec("acme", &["a"])})).await,
        json!({"ok": true, "generation": 1, "changed": false})
    );
}

#[tokio::test]
async fn every_conflict_of_claims_is_told_at_once_and_nothing_is_taken() {
    let bench = Bench::new();
    bench.ask(json!({"put": spec("one", &["a"])})).await;
    bench.ask(json!({"put": with_nodes(bare("two"), "pg", &["b"])})).await;
    let before = bench.table.snapshot();
    let answer = bench.ask(json!({"put": with_nodes(spec("three", &["free", "a"]), "pg", &["b"])})).await;
    assert_eq!(
        answer,
        json!({"ok": false, "errors": [
            {"path": "primary.endpoints[1].target_group_arn", "problem": "claimed by one"},
            {"path": "nodes.asg", "problem": "claimed by two"},
            {"path": "nodes.target_groups[0].arn", "problem": "claimed by two"}]})
    );
    assert_eq!(bench.table.snapshot(), before);
    let answer = bench.ask(json!({"validate": spec("three", &["a"])})).await;
    refused(&answer, "primary.endpoints[0].target_group_arn", "claimed by one");
}

#[tokio::test]
async fn what_the_watcher_must_take_down_stays_claimed_until_it_has() {
    let bench = Bench::new();
    bench.ask(json!({"put": with_nodes(spec("acme", &["a", "b"]), "pg", &["n"])})).await;
    bench.ask(json!({"put": spec("acme", &["b"])})).await;
    let record = bench.table.body("cluster", "acme").unwrap();
    assert_eq!(record["claims"], json!([format!("target-group#{}", target_group("b"))]));
    assert_eq!(record["releasing"], json!([format!("target-group#{}", target_group("a"))]));
    assert_eq!(
        bench.table.keys("claim#"),
        [claim_of("a"), claim_of("b")],
        "the Auto Scaling group and the nodes' target group were never the watcher's"
    );
    let other = bench.ask(json!({"put": spec("other", &["a"])})).await;
    refused(&other, "primary.endpoints[0].target_group_arn", "claimed by acme");

    bench.ask(json!({"put": spec("acme", &["b", "c"])})).await;
    let record = bench.table.body("cluster", "acme").unwrap();
    assert_eq!(record["releasing"], json!([format!("target-group#{}", target_group("a"))]), "still to be taken down");

    bench.ask(json!({"put": spec("acme", &["a"])})).await;
    let record = bench.table.body("cluster", "acme").unwrap();
    assert_eq!(record["claims"], json!([format!("target-group#{}", target_group("a"))]), "it is named again");
    assert_eq!(
        record["releasing"],
        json!([format!("target-group#{}", target_group("b")), format!("target-group#{}", target_group("c"))])
    );
    assert_eq!(bench.table.keys("claim#"), [claim_of("a"), claim_of("b"), claim_of("c")]);
}

#[tokio::test]
async fn a_target_group_that_moved_to_the_nodes_is_kept_while_the_watcher_has_a_state() {
    let bench = Bench::new();
    bench.ask(json!({"put": with_nodes(bare("acme"), "pg", &["n"])})).await;
    bench.table.set("state#peering-watcher", "acme", json!({"anything": 1}));
    bench.ask(json!({"put": bare("acme")})).await;
    let record = bench.table.body("cluster", "acme").unwrap();
    assert_eq!(record["releasing"], json!([format!("target-group#{}", target_group("n"))]));
    assert_eq!(bench.table.keys("claim#"), [claim_of("n")]);
}

#[tokio::test]
async fn an_unreadable_stored_spec_can_be_put_again_and_gives_nothing_away() {
    let bench = Bench::new();
    bench.ask(json!({"put": spec("acme", &["a"])})).await;
    let mut record = bench.table.body("cluster", "acme").unwrap();
    record["spec"] = json!("scribble");
    bench.table.set("cluster", "acme", record);
    assert_eq!(bench.ask(json!({"put": bare("acme")})).await["generation"], 2);
    let record = bench.table.body("cluster", "acme").unwrap();
    assert_eq!(record["releasing"], json!([format!("target-group#{}", target_group("a"))]));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_not_written_over() {
    let bench = Bench::new();
    bench.table.set("cluster", "acme", json!({"name": "acme"}));
    for payload in
        [json!({"put": bare("acme")}), json!({"get": "acme"}), json!({"delete": "acme"}), json!({"status": "acme"})]
    {
        let answer = bench.ask(payload.clone()).await;
        let problem = answer["errors"][0]["problem"].as_str().unwrap();
        assert!(problem.contains("the stored record of `acme` cannot be read (cluster/acme: "), "{payload}: {answer}");
    }
    assert_eq!(bench.table.written(), 0);
    let listed = bench.ask(json!({"list": {}})).await;
    assert!(listed["clusters"][0]["unreadable"].as_str().unwrap().starts_with("cluster/acme: "), "{listed}");
}

#[tokio::test]
async fn a_spec_of_a_newer_schema_is_not_written_over() {
    let bench = Bench::new();
    bench.ask(json!({"put": bare("acme")})).await;
    let mut record = bench.table.body("cluster", "acme").unwrap();
    record["spec"]["schema"] = json!(7);
    bench.table.set("cluster", "acme", record);
    let answer = bench.ask(json!({"put": bare("acme")})).await;
    refused(&answer, "schema", "`acme` is stored with schema 7, by a newer version of Pilothouse; deploy that version");
}

#[tokio::test]
async fn a_claim_in_our_name_that_the_record_does_not_list_is_ours() {
    let bench = Bench::new();
    bench.table.set(&format!("claim#target-group#{}", target_group("a")), "claim", json!({"cluster": "acme"}));
    assert_eq!(bench.ask(json!({"put": spec("acme", &["a"])})).await["ok"], true);
    bench.table.set(&format!("claim#target-group#{}", target_group("b")), "claim", json!("?"));
    let answer = bench.ask(json!({"put": spec("acme", &["b"])})).await;
    let problem = answer["errors"][0]["problem"].as_str().unwrap();
    assert!(problem.starts_with("claimed, but by whom cannot be read: "), "{answer}");
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_writes_nothing() {
    let bench = Bench::new();
    let a = format!("target-group#{}", target_group("a"));
    let b = format!("target-group#{}", target_group("b"));
    let answer = bench.ask(json!({"put": spec("acme", &["a"]), "dry_run": true})).await;
    let would = json!({"create": true, "claim": [a], "release": [], "release_once_taken_down": []});
    assert_eq!(answer, json!({"ok": true, "generation": 1, "changed": true, "dry_run": true, "would": would}));
    assert_eq!(bench.table.written(), 0);
    bench.ask(json!({"put": spec("acme", &["a"]), "dry_run": false})).await;
    let answer = bench.ask(json!({"put": with_nodes(spec("acme", &["b"]), "pg", &[]), "dry_run": true})).await;
    assert_eq!(answer["errors"][0]["path"], "nodes.target_groups", "a dry run validates: {answer}");
    let answer = bench.ask(json!({"put": spec("acme", &["b"]), "dry_run": true})).await;
    let would = json!({"create": false, "claim": [b], "release": [], "release_once_taken_down": [a]});
    assert_eq!(answer, json!({"ok": true, "generation": 2, "changed": true, "dry_run": true, "would": would}));
    assert_eq!(bench.table.written(), 1);
}

#[tokio::test]
async fn validate_tells_the_generation_and_writes_nothing() {
    let bench = Bench::new();
    assert_eq!(
        bench.ask(json!({"validate": bare("acme")})).await,
        json!({"ok": true, "generation": 1, "changed": true})
    );
    assert_eq!(bench.table.written(), 0);
    bench.ask(json!({"put": bare("acme")})).await;
    assert_eq!(
        bench.ask(json!({"validate": bare("acme")})).await,
        json!({"ok": true, "generation": 1, "changed": false})
    );
    assert_eq!(bench.ask(json!({"validate": spec("acme", &["a"])})).await["generation"], 2);
    assert_eq!(bench.table.written(), 1);
}

#[tokio::test]
async fn a_stacks_cluster_is_not_changed_by_a_direct_put_but_can_be_validated() {
    let bench = Bench::new();
    bench.ask(json!({"put": bare("acme")})).await;
    let mut record = bench.table.body("cluster", "acme").unwrap();
    record["owner"] = json!({"stack_id": "arn:stack", "logical_id": "Db"});
    bench.table.set("cluster", "acme", record);
    let problem = "`acme` is owned by CloudFormation stack `arn:stack` (logical id `Db`); change it there";
    refused(&bench.ask(json!({"put": spec("acme", &["a"])})).await, "name", problem);
    refused(&bench.ask(json!({"put": bare("acme")})).await, "name", problem);
    refused(&bench.ask(json!({"delete": "acme"})).await, "delete", problem);
    assert_eq!(bench.ask(json!({"validate": spec("acme", &["a"])})).await["generation"], 2);
    assert_eq!(bench.ask(json!({"get": "acme"})).await["owner"], json!({"stack_id": "arn:stack", "logical_id": "Db"}));
}

#[tokio::test]
async fn get_and_list_show_what_is_registered() {
    let bench = Bench::new();
    assert_eq!(bench.ask(json!({"list": {}})).await, json!({"ok": true, "clusters": []}));
    let mut paused = with_nodes(spec("acme", &["a"]), "pg", &["n"]);
    paused["paused"] = json!(true);
    bench.ask(json!({"put": paused})).await;
    bench.ask(json!({"put": bare("beta")})).await;
    bench.ask(json!({"put": spec("gamma", &["g"])})).await;
    bench.ask(json!({"delete": "gamma"})).await;
    bench.ask(json!({"acknowledge": {"cluster": "acme", "what": "Flapping", "by": "ops", "reason": "r"}})).await;
    assert_eq!(
        bench.ask(json!({"list": {}})).await,
        json!({"ok": true, "clusters": [
            {"name": "acme", "generation": 1, "paused": true, "deleted": false, "sections": ["primary", "nodes"]},
            {"name": "beta", "generation": 1, "paused": false, "deleted": false, "sections": []},
            {"name": "gamma", "generation": 2, "paused": false, "deleted": true, "sections": ["primary"]}]})
    );
    let got = bench.ask(json!({"get": "beta"})).await;
    assert_eq!(
        got,
        json!({"ok": true, "name": "beta", "generation": 1, "spec": {"schema": 1, "name": "beta", "paused": false, "deletion": "retain"},
            "created_at": "2026-11-20T06:00:03Z", "updated_at": "2026-11-20T06:00:03Z"})
    );
    assert_eq!(bench.ask(json!({"get": "gamma"})).await["tombstone"]["awaiting"], json!(["peering-watcher"]));
    refused(&bench.ask(json!({"get": "betta"})).await, "get", "no cluster named `betta`; did you mean `beta`?");
}

#[tokio::test]
async fn the_largest_exchange_of_claims_fits_into_one_transaction() {
    use domain::spec::limits::{ENDPOINTS, NODE_TARGET_GROUPS};
    let bench = Bench::new();
    let largest = |letter: char, asg: &str| {
        let names: Vec<String> = (0..ENDPOINTS + NODE_TARGET_GROUPS).map(|i| format!("{letter}{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        with_nodes(spec("acme", &names[..ENDPOINTS]), asg, &names[ENDPOINTS..])
    };
    assert_eq!(bench.ask(json!({"put": largest('a', "one")})).await["ok"], true);
    let answer = bench.ask(json!({"put": largest('b', "two")})).await;
    assert_eq!(answer, json!({"ok": true, "generation": 2, "changed": true}));
    assert_eq!(bench.table.keys("claim#").len(), ENDPOINTS + ENDPOINTS + NODE_TARGET_GROUPS + 1);
}
