//! What CloudFormation's requests come to.

use jiff::Timestamp;
use ports::Class;
use serde_json::{Value, json};

use crate::support::{Bench, Fault, bare, claim_of, error, set, spec};

pub(crate) const STACK: &str = "arn:aws:cloudformation:eu-central-1:111122223333:stack/prod/0a1b";
const URL: &str = "https://cloudformation-custom-resource-response.s3.amazonaws.com/x?Signature=a%2Bb%3D";

/// A request; each has an id of its own.
pub(crate) fn event(kind: &str, id: &str, physical_id: Option<&str>, properties: Value) -> Value {
    let mut properties = properties;
    properties["ServiceToken"] = json!("arn:aws:lambda:eu-central-1:111122223333:function:registry");
    let mut event = json!({
        "RequestType": kind, "ResponseURL": URL, "StackId": STACK, "RequestId": id, "LogicalResourceId": "Db",
        "ResourceType": "Custom::PilothouseCluster", "ResourceProperties": properties,
        "ServiceToken": "arn:aws:lambda:eu-central-1:111122223333:function:registry",
    });
    if let Some(id) = physical_id {
        event["PhysicalResourceId"] = json!(id);
    }
    if kind == "Update" {
        event["OldResourceProperties"] = json!({});
    }
    event
}

fn create(id: &str, properties: Value) -> Value {
    event("Create", id, None, properties)
}

fn from_stack(mut event: Value, stack: &str) -> Value {
    event["StackId"] = json!(stack);
    event
}

async fn answered(bench: &Bench, event: Value) -> Value {
    let before = bench.answers.arrived().len();
    bench.ask(event).await;
    let arrived = bench.answers.arrived();
    assert_eq!(arrived.len(), before + 1, "one answer for each request");
    arrived.into_iter().next_back().unwrap()
}

#[track_caller]
fn failed(answer: &Value, physical_id: &str, reason: &str) {
    assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("FAILED"), &json!(physical_id)), "{answer}");
    assert_eq!(answer["Reason"], reason);
    assert_eq!(answer.get("Data"), None);
}

#[tokio::test]
async fn a_create_stores_the_cluster_with_its_owner_and_answers_the_url_as_it_was_given() {
    let bench = Bench::new();
    let mut properties = spec("acme", &["a"]);
    properties["paused"] = json!("true");
    properties["primary"]["endpoints"][0]["port"] = json!("5432");
    let answer = answered(&bench, create("r-1", properties)).await;
    assert_eq!(
        answer,
        json!({"Status": "SUCCESS", "PhysicalResourceId": "acme", "StackId": STACK, "RequestId": "r-1",
            "LogicalResourceId": "Db", "NoEcho": false, "Data": {"Name": "acme", "Generation": "1"}})
    );
    assert_eq!(bench.answers.urls(), [URL]);
    let record = bench.table.body("cluster", "acme").unwrap();
    assert_eq!(record["owner"], json!({"stack_id": STACK, "logical_id": "Db"}));
    assert_eq!(record["spec"]["primary"]["endpoints"][0]["port"], 5432);
    assert_eq!(record["spec"]["paused"], true);
    assert_eq!(record["spec"].get("ServiceToken"), None);
    assert_eq!(bench.table.keys("claim#"), [claim_of("a")]);
}

#[tokio::test]
async fn a_repeated_create_of_the_same_owner_is_the_same_cluster() {
    let bench = Bench::new();
    answered(&bench, create("r-1", spec("acme", &["a"]))).await;
    let answer = answered(&bench, create("r-2", spec("acme", &["a"]))).await;
    assert_eq!((&answer["Status"], &answer["Data"]["Generation"]), (&json!("SUCCESS"), &json!("1")));
}

#[tokio::test]
async fn a_create_over_anothers_cluster_fails_and_its_rollback_deletes_nothing() {
    let others = [
        (
            None,
            "`acme` is registered already by a direct put; delete it with the registry's `delete` first (with `deletion: retain` its targets and routes stay), then create it in the stack",
        ),
        (Some("arn:other"), "`acme` is registered already by CloudFormation stack `arn:other` (logical id `Db`)"),
    ];
    for (other, reason) in others {
        let bench = Bench::new();
        match other {
            None => drop(bench.ask(json!({"put": bare("acme")})).await),
            Some(stack) => drop(answered(&bench, from_stack(create("r-0", bare("acme")), stack)).await),
        }
        let record = bench.table.body("cluster", "acme").unwrap();
        let answer = answered(&bench, create("r-1", bare("acme"))).await;
        failed(&answer, "pilothouse-failed-create:acme", &format!("name: {reason}"));
        let id = answer["PhysicalResourceId"].as_str().unwrap();
        let answer = answered(&bench, event("Delete", "r-2", Some(id), bare("acme"))).await;
        assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("SUCCESS"), &json!(id)));
        // Even under the name itself nothing of another's goes.
        let answer = answered(&bench, event("Delete", "r-3", Some("acme"), bare("acme"))).await;
        assert_eq!(answer["Status"], "SUCCESS");
        let answer = answered(&bench, event("Delete", "r-4", Some("prod-Db-1ABC"), bare("acme"))).await;
        assert_eq!(answer["Status"], "SUCCESS");
        assert_eq!(bench.table.body("cluster", "acme").unwrap(), record, "untouched");
    }
}

#[tokio::test]
async fn a_failed_create_never_deletes_what_its_own_resource_had_before() {
    // The resource was once taken out of the template with DeletionPolicy Retain, and comes back with a bad spec.
    let bench = Bench::new();
    answered(&bench, create("r-1", bare("acme"))).await;
    let answer = answered(&bench, create("r-2", json!({"name": "acme", "pausd": "true"}))).await;
    failed(&answer, "pilothouse-failed-create:acme", "pausd: unknown field; did you mean `paused`?");
    answered(&bench, event("Delete", "r-3", Some("pilothouse-failed-create:acme"), bare("acme"))).await;
    assert!(bench.table.body("cluster", "acme").is_some());
}

#[tokio::test]
async fn every_problem_of_the_properties_is_in_the_reason() {
    let bench = Bench::new();
    let mut properties = spec("acme", &["a"]);
    properties["deletion"] = json!("keep");
    properties["primary"]["endpoints"][0]["port"] = json!("many");
    let answer = answered(&bench, create("r-1", properties)).await;
    failed(
        &answer,
        "pilothouse-failed-create:acme",
        "deletion: must be `retain` or `teardown`, not \"keep\"; \
         primary.endpoints[0].port: must be an integer from 1 to 65535, not text",
    );
    assert_eq!(bench.table.keys("cluster/"), Vec::<String>::new());
}

#[tokio::test]
async fn an_update_changes_the_cluster_of_its_owner_only() {
    let bench = Bench::new();
    answered(&bench, create("r-1", bare("acme"))).await;
    let answer = answered(&bench, event("Update", "r-2", Some("acme"), spec("acme", &["a"]))).await;
    assert_eq!((&answer["PhysicalResourceId"], &answer["Data"]["Generation"]), (&json!("acme"), &json!("2")));
    let answer = answered(&bench, event("Update", "r-3", Some("acme"), spec("acme", &["a"]))).await;
    assert_eq!(answer["Data"]["Generation"], "2", "nothing changed");
    let answer = answered(&bench, from_stack(event("Update", "r-4", Some("acme"), bare("acme")), "arn:other")).await;
    failed(
        &answer,
        "acme",
        &format!("name: `acme` is registered already by CloudFormation stack `{STACK}` (logical id `Db`)"),
    );
    let answer = answered(&bench, event("Update", "r-5", Some("acme"), json!({"name": "acme", "x": 1}))).await;
    assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("FAILED"), &json!("acme")), "the id stays");
    assert_eq!(bench.table.body("cluster", "acme").unwrap()["generation"], 2);
}

#[tokio::test]
async fn a_rename_is_a_replacement() {
    let bench = Bench::new();
    answered(&bench, create("r-1", bare("acme"))).await;
    let answer = answered(&bench, event("Update", "r-2", Some("acme"), bare("acme-new"))).await;
    assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("SUCCESS"), &json!("acme-new")));
    assert_eq!(
        bench.table.keys("cluster/"),
        ["cluster/acme", "cluster/acme-new"],
        "the old one stays until its Delete"
    );
    let answer = answered(&bench, event("Delete", "r-3", Some("acme"), bare("acme"))).await;
    assert_eq!(answer["Status"], "SUCCESS");
    assert_eq!(bench.table.keys("cluster/"), ["cluster/acme-new"]);
}

#[tokio::test]
async fn a_rename_that_is_rolled_back_leaves_the_old_cluster() {
    let bench = Bench::new();
    answered(&bench, create("r-1", bare("acme"))).await;
    answered(&bench, event("Update", "r-2", Some("acme"), bare("acme-new"))).await;
    let answer = answered(&bench, event("Update", "r-3", Some("acme-new"), bare("acme"))).await;
    assert_eq!((&answer["PhysicalResourceId"], &answer["Data"]["Generation"]), (&json!("acme"), &json!("1")));
    answered(&bench, event("Delete", "r-4", Some("acme-new"), bare("acme-new"))).await;
    assert_eq!(bench.table.keys("cluster/"), ["cluster/acme"]);
}

#[tokio::test]
async fn a_rename_cannot_take_what_the_old_cluster_holds_and_says_what_to_do() {
    let bench = Bench::new();
    answered(&bench, create("r-1", spec("acme", &["a"]))).await;
    let answer = answered(&bench, event("Update", "r-2", Some("acme"), spec("acme-new", &["a"]))).await;
    failed(
        &answer,
        "acme",
        "primary.endpoints[0].target_group_arn: claimed by acme; name: a new name makes a new cluster, which cannot take \
         what `acme` still holds; first update `acme` to hold it no longer, or keep the name",
    );
    assert_eq!(bench.table.keys("cluster/"), ["cluster/acme"]);
}

#[tokio::test]
async fn a_rename_onto_anothers_cluster_fails_and_keeps_the_old_one() {
    let bench = Bench::new();
    bench.ask(json!({"put": bare("taken")})).await;
    answered(&bench, create("r-1", bare("acme"))).await;
    let answer = answered(&bench, event("Update", "r-2", Some("acme"), bare("taken"))).await;
    assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("FAILED"), &json!("acme")));
    assert_eq!(bench.table.body("cluster", "taken").unwrap().get("owner"), None);
}

#[tokio::test]
async fn a_delete_takes_down_what_is_its_own_and_succeeds_without() {
    let bench = Bench::new();
    answered(&bench, create("r-1", spec("acme", &["a"]))).await;
    let answer = answered(&bench, event("Delete", "r-2", Some("acme"), spec("acme", &["a"]))).await;
    assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("SUCCESS"), &json!("acme")));
    let record = bench.table.body("cluster", "acme").unwrap();
    assert_eq!(record["tombstone"]["awaiting"], json!(["peering-watcher"]));
    for (id, physical) in
        [("r-3", "acme"), ("r-4", "nobody"), ("r-5", "prod-Db-1ABC"), ("r-6", "pilothouse-failed-create:acme")]
    {
        let answer = answered(&bench, event("Delete", id, Some(physical), bare("nobody"))).await;
        assert_eq!((&answer["Status"], &answer["PhysicalResourceId"]), (&json!("SUCCESS"), &json!(physical)));
    }
    assert_eq!(bench.table.body("cluster", "acme").unwrap(), record);
    let mut odd = event("Delete", "r-7", Some("acme"), json!({}));
    odd["ResourceProperties"] = json!("?");
    odd["ResourceType"] = json!("Custom::Other");
    assert_eq!(answered(&bench, odd).await["Status"], "SUCCESS", "a stack must not be stuck over its properties");
}

#[tokio::test]
async fn a_create_that_cloudformation_gave_up_is_deleted_under_the_id_that_it_made_up() {
    let bench = Bench::new();
    answered(&bench, create("r-1", bare("acme"))).await;
    answered(&bench, event("Delete", "r-2", Some("prod-Db-1ABC2DEF"), bare("acme"))).await;
    assert_eq!(bench.table.keys("cluster/"), Vec::<String>::new());
}

#[tokio::test]
async fn a_create_whose_outcome_nobody_knows_is_answered_failed_and_deleted_exactly() {
    let bench = Bench::new();
    // The mark of the request, the record; then the reply to the write is lost, and so is every look afterwards.
    bench.table.at_writes([Some(Fault::LoseReply(error(Class::TimedOut)))]);
    bench.table.at_reads([None, None, Some(Fault::Fail(error(Class::Unavailable)))]);
    let answer = answered(&bench, create("r-1", bare("acme"))).await;
    let id = "pilothouse-unfinished-create:acme@2026-11-20T06:00:01Z";
    failed(&answer, id, &format!("the table could not be read or written: {}", error(Class::TimedOut)));
    let made = bench.table.body("cluster", "acme").unwrap();

    let mut older = made.clone();
    older["created_at"] = json!("2026-11-20T05:00:00Z".parse::<Timestamp>().unwrap());
    bench.table.set("cluster", "acme", older);
    answered(&bench, event("Delete", "r-2", Some(id), bare("acme"))).await;
    assert!(bench.table.body("cluster", "acme").is_some(), "this one was there before");

    bench.table.set("cluster", "acme", made);
    let answer = answered(&bench, event("Delete", "r-3", Some(id), bare("acme"))).await;
    assert_eq!(answer["Status"], "SUCCESS");
    assert_eq!(bench.table.body("cluster", "acme"), None);
}

#[tokio::test]
async fn trouble_with_the_table_is_answered_and_no_function_error() {
    for (kind, physical) in [("Create", None), ("Update", Some("acme")), ("Delete", Some("acme"))] {
        let bench = Bench::new();
        bench.table.at_reads([None, Some(Fault::Fail(error(Class::Throttled)))]);
        let answer = answered(&bench, event(kind, "r-1", physical, bare("acme"))).await;
        assert_eq!(answer["Status"], "FAILED", "{kind}");
        assert_eq!(answer["Reason"], format!("the table could not be read or written: {}", error(Class::Throttled)));
        let id = physical.unwrap_or("pilothouse-unfinished-create:acme@2026-11-20T06:00:01Z");
        assert_eq!(answer["PhysicalResourceId"], id, "{kind}");
    }
}

#[tokio::test]
async fn a_rename_whose_outcome_nobody_knows_is_cleaned_up_by_the_rollback() {
    let bench = Bench::new();
    answered(&bench, create("r-1", bare("acme"))).await;
    bench.table.at_writes([Some(Fault::LoseReply(error(Class::TimedOut)))]);
    bench.table.at_reads([None, None, Some(Fault::Fail(error(Class::Unavailable)))]);
    let answer = answered(&bench, event("Update", "r-2", Some("acme"), bare("acme-new"))).await;
    let id = "pilothouse-unfinished-create:acme-new@2026-11-20T06:00:02Z";
    failed(&answer, id, &format!("the table could not be read or written: {}", error(Class::TimedOut)));
    assert_eq!(bench.table.keys("cluster/"), ["cluster/acme", "cluster/acme-new"]);
    let answer = answered(&bench, event("Update", "r-3", Some(id), bare("acme"))).await;
    assert_eq!((&answer["PhysicalResourceId"], &answer["Data"]["Generation"]), (&json!("acme"), &json!("1")));
    answered(&bench, event("Delete", "r-4", Some(id), bare("acme-new"))).await;
    assert_eq!(bench.table.keys("cluster/"), ["cluster/acme"]);
}

#[tokio::test]
async fn a_table_that_never_answers_does_not_leave_cloudformation_waiting() {
    for (kind, physical) in [("Create", None), ("Update", Some("acme")), ("Delete", Some("acme"))] {
        let bench = Bench::new();
        bench.table.at_reads([None, Some(Fault::Hang)]);
        let answer = answered(&bench, event(kind, "r-1", physical, bare("acme"))).await;
        assert_eq!(
            (&answer["Status"], &answer["Reason"]),
            (&json!("FAILED"), &json!("the table did not answer in time; try again"))
        );
        let id = physical.unwrap_or("pilothouse-unfinished-create:acme@2026-11-20T06:00:01Z");
        assert_eq!(answer["PhysicalResourceId"], id, "{kind}");
    }
    let bench = Bench::new();
    answered(&bench, create("r-1", bare("acme"))).await;
    bench.table.at_reads([None, Some(Fault::Hang)]);
    let answer = answered(&bench, event("Update", "r-2", Some("acme"), bare("acme-new"))).await;
    assert_eq!(answer["PhysicalResourceId"], "pilothouse-unfinished-create:acme-new@2026-11-20T06:00:02Z");
}

#[tokio::test]
async fn a_delete_that_races_with_other_writers_says_so_or_finds_it_gone() {
    let touch = |gone: bool| {
        Some(Fault::Before(Box::new(move |items: &mut crate::support::Items| {
            let mut body = items[&ports::Key::new("cluster", "acme")].body.clone();
            if gone {
                items.remove(&ports::Key::new("cluster", "acme"));
                return;
            }
            body["generation"] = json!(body["generation"].as_u64().unwrap() + 1);
            set(items, "cluster", "acme", body);
        })))
    };
    let bench = Bench::new();
    answered(&bench, create("r-1", spec("acme", &["a"]))).await;
    bench.table.at_writes((0..5).map(|_| touch(false)));
    let answer = answered(&bench, event("Delete", "r-2", Some("acme"), bare("acme"))).await;
    failed(&answer, "acme", "name: `acme` is being changed by others at this moment; try again");
    bench.table.at_writes([touch(true)]);
    let answer = answered(&bench, event("Delete", "r-3", Some("acme"), bare("acme"))).await;
    assert_eq!(answer["Status"], "SUCCESS");
}

#[tokio::test]
async fn invalid_requests_that_can_be_answered_are_answered() {
    let base = || create("r-1", bare("acme"));
    let without = |field: &str| {
        let mut event = base();
        event.as_object_mut().unwrap().remove(field);
        event
    };
    let with = |field: &str, value: Value| {
        let mut event = base();
        event[field] = value;
        event
    };
    let marker = "pilothouse-failed-create:acme";
    let cases = [
        (with("RequestType", json!("create")), marker, "RequestType: unknown type of request; did you mean `Create`?"),
        (with("RequestType", json!("Replace")), marker, "RequestType: must be Create, Update or Delete"),
        (with("RequestType", json!(7)), marker, "RequestType: must be Create, Update or Delete"),
        (without("RequestType"), marker, "RequestType: must be Create, Update or Delete"),
        (with("RequestType", json!("Update")), marker, "PhysicalResourceId: is required, as text that is not empty"),
        (with("RequestType", json!("Delete")), marker, "PhysicalResourceId: is required, as text that is not empty"),
        (without("StackId"), marker, "StackId: is required, as text that is not empty"),
        (without("RequestId"), marker, "RequestId: is required, as text that is not empty"),
        (with("LogicalResourceId", json!("")), marker, "LogicalResourceId: is required, as text that is not empty"),
        (with("ResourceType", json!("Custom::Other")), marker, "ResourceType: must be Custom::PilothouseCluster"),
        (
            without("ResourceProperties"),
            "pilothouse-failed-create:unnamed",
            "ResourceProperties: is required, as an object",
        ),
        (
            with("ResourceProperties", json!({"name": "Bad Name"})),
            "pilothouse-failed-create:unnamed",
            "name: must be 2 to 40 characters of a-z, 0-9 and `-`, starting with a letter, not \"Bad Name\"",
        ),
        (with("ResourceProperties", json!({})), "pilothouse-failed-create:unnamed", "name: is required"),
    ];
    for (payload, physical_id, reason) in cases {
        let bench = Bench::new();
        let answer = answered(&bench, payload.clone()).await;
        failed(&answer, physical_id, reason);
        assert_eq!(bench.table.keys("cluster/"), Vec::<String>::new(), "{payload}");
    }
}
