//! Other writers between a read and a write, lost replies, and a table that fails.

use ports::{Class, PortError};
use serde_json::{Value, json};

use crate::support::{Bench, Fault, bare, claim_of, error, refused, set, spec, target_group};

fn before(hook: impl FnOnce(&mut crate::support::Items) + Send + 'static) -> Option<Fault> {
    Some(Fault::Before(Box::new(hook)))
}

#[tokio::test]
async fn a_record_that_changed_meanwhile_is_read_again_and_not_written_over() {
    let bench = Bench::new();
    bench.ask(json!({"put": spec("acme", &["a"])})).await;
    let mut theirs = bench.table.body("cluster", "acme").unwrap();
    theirs["generation"] = json!(7);
    theirs["releasing"] = json!(["target-group#theirs"]);
    bench.table.at_writes([before(move |items| set(items, "cluster", "acme", theirs))]);
    let answer = bench.ask(json!({"put": spec("acme", &["a", "b"])})).await;
    assert_eq!(answer, json!({"ok": true, "generation": 8, "changed": true}));
    let record = bench.table.body("cluster", "acme").unwrap();
    assert_eq!(record["releasing"], json!(["target-group#theirs"]), "the other's change is kept");
    assert_eq!(bench.table.keys("audit#acme/").len(), 2, "one entry for each put");
}

#[tokio::test]
async fn a_claim_that_was_taken_meanwhile_is_a_conflict() {
    let bench = Bench::new();
    let claim = format!("claim#target-group#{}", target_group("a"));
    bench.table.at_writes([before(move |items| set(items, &claim, "claim", json!({"cluster": "swift"})))]);
    let answer = bench.ask(json!({"put": spec("acme", &["a"])})).await;
    refused(&answer, "primary.endpoints[0].target_group_arn", "claimed by swift");
    assert_eq!(bench.table.body("cluster", "acme"), None);
}

#[tokio::test]
async fn a_put_of_the_same_spec_meanwhile_is_no_change() {
    let bench = Bench::new();
    bench.ask(json!({"put": spec("other", &["o"])})).await;
    let mut twin = bench.table.body("cluster", "other").unwrap();
    twin["name"] = json!("acme");
    twin["spec"] = json!({"schema": 1, "name": "acme", "paused": false, "deletion": "retain"});
    twin["claims"] = json!([]);
    bench.table.at_writes([before(move |items| set(items, "cluster", "acme", twin))]);
    assert_eq!(bench.ask(json!({"put": bare("acme")})).await, json!({"ok": true, "generation": 1, "changed": false}));
}

#[tokio::test]
async fn five_lost_races_are_told_and_not_a_function_error() {
    let bench = Bench::new();
    bench.ask(json!({"put": bare("acme")})).await;
    let touch = || {
        before(|items| {
            let mut body = items[&ports::Key::new("cluster", "acme")].body.clone();
            body["generation"] = json!(body["generation"].as_u64().unwrap() + 1);
            set(items, "cluster", "acme", body);
        })
    };
    bench.table.at_writes((0..5).map(|_| touch()));
    let answer = bench.ask(json!({"put": spec("acme", &["a"])})).await;
    refused(&answer, "name", "`acme` was changed by others 5 times meanwhile; try again");
    bench.table.at_writes((0..5).map(|_| touch()));
    let answer = bench.ask(json!({"delete": "acme"})).await;
    refused(&answer, "delete", "`acme` was changed by others 5 times meanwhile; try again");
    bench.table.at_writes((0..4).map(|_| touch()));
    assert_eq!(bench.ask(json!({"put": spec("acme", &["a"])})).await["ok"], true);
}

#[tokio::test]
async fn a_lost_reply_is_found_again() {
    let bench = Bench::new();
    bench.table.at_writes([Some(Fault::LoseReply(error(Class::TimedOut)))]);
    let answer = bench.ask(json!({"put": spec("acme", &["a"])})).await;
    assert_eq!(answer, json!({"ok": true, "generation": 1, "changed": true}));
    assert_eq!((bench.table.written(), bench.table.version("cluster", "acme")), (1, Some(1)));

    bench.table.at_writes([Some(Fault::LoseReply(error(Class::Unavailable)))]);
    let answer = bench.ask(json!({"put": spec("acme", &["b"])})).await;
    assert_eq!(answer, json!({"ok": true, "generation": 2, "changed": true}));
    assert_eq!(bench.table.written(), 2);

    bench.table.at_writes([Some(Fault::LoseReply(error(Class::Unavailable)))]);
    assert_eq!(bench.ask(json!({"delete": "acme"})).await["state"], "deleting");
    assert_eq!(bench.table.version("cluster", "acme"), Some(3));

    bench.table.at_writes([Some(Fault::Repeated)]);
    let answer = bench.ask(json!({"put": bare("bare")})).await;
    assert_eq!(answer, json!({"ok": true, "generation": 1, "changed": true}), "the adapter met its own write");
    bench.table.at_writes([Some(Fault::LoseReply(error(Class::TimedOut)))]);
    assert_eq!(bench.ask(json!({"delete": "bare"})).await, json!({"ok": true, "state": "deleted"}));
    assert_eq!(bench.table.body("cluster", "bare"), None);
}

#[tokio::test]
async fn a_request_that_did_not_arrive_is_sent_again() {
    let bench = Bench::new();
    bench.table.at_writes([Some(Fault::Fail(error(Class::TimedOut))), Some(Fault::Fail(error(Class::Unavailable)))]);
    assert_eq!(bench.ask(json!({"put": spec("acme", &["a"])})).await["generation"], 1);
    bench.table.at_writes([Some(Fault::Fail(error(Class::TimedOut)))]);
    assert_eq!(bench.ask(json!({"delete": "acme"})).await["generation"], 2);
    for verb in ["pause", "resume"] {
        bench.table.at_writes([Some(Fault::Fail(error(Class::TimedOut)))]);
        assert_eq!(bench.ask(json!({verb: {"by": "ops", "reason": "r"}})).await["ok"], true);
    }
    assert_eq!(bench.table.keys("control/"), Vec::<String>::new());
    assert_eq!(bench.table.keys("claim#"), [claim_of("a")]);
}

#[tokio::test]
async fn trouble_with_the_table_is_the_only_function_error() {
    let requests: [(Value, &str); 9] = [
        (json!({"put": bare("acme")}), "read"),
        (json!({"validate": bare("acme")}), "read"),
        (json!({"get": "acme"}), "read"),
        (json!({"list": {}}), "read"),
        (json!({"delete": "acme"}), "read"),
        (json!({"status": "acme"}), "read"),
        (json!({"acknowledge": {"cluster": "acme", "what": "Flapping", "by": "o", "reason": "r"}}), "read"),
        (json!({"resume": {"by": "o", "reason": "r"}}), "read"),
        (json!({"pause": {"by": "o", "reason": "r"}}), "write"),
    ];
    for (request, at) in requests {
        for class in [Class::Throttled, Class::Denied, Class::TimedOut] {
            let bench = Bench::new();
            let fault = || Some(Fault::Fail(error(class)));
            if at == "read" {
                bench.table.at_reads([fault()])
            } else {
                bench.table.at_writes([fault(), fault()])
            }
            let failure = bench.try_ask(request.clone()).await.unwrap_err();
            assert_eq!(failure.code, format!("Table.{class:?}"), "{request}");
            assert_eq!(failure.message, error(class).to_string());
        }
    }
    for (request, class) in
        [(json!({"put": spec("acme", &["b"])}), Class::Denied), (json!({"delete": "acme"}), Class::Throttled)]
    {
        let bench = Bench::new();
        bench.ask(json!({"put": spec("acme", &["a"])})).await;
        bench.table.at_writes([Some(Fault::Fail(error(class)))]);
        assert_eq!(bench.try_ask(request).await.unwrap_err().code, format!("Table.{class:?}"));
        assert_eq!(bench.table.written(), 1);
    }
}

#[tokio::test]
async fn a_lost_reply_that_cannot_be_looked_up_tells_of_the_write() {
    let bench = Bench::new();
    let write = PortError { call: "write", ..error(Class::TimedOut) };
    bench.table.at_writes([Some(Fault::LoseReply(write.clone()))]);
    // The record, the claim; then the record again.
    bench.table.at_reads([None, None, Some(Fault::Fail(error(Class::Unavailable)))]);
    let failure = bench.try_ask(json!({"put": spec("acme", &["a"])})).await.unwrap_err();
    assert_eq!(failure.message, write.to_string());
}
