//! CloudFormation is answered once.

use ports::{Class, PortError};
use serde_json::{Value, json};

use crate::custom_resource::event;
use crate::support::{Bench, Fault, bare, error, set};

fn create(id: &str) -> Value {
    event("Create", id, None, bare("acme"))
}

fn answer_error(class: Class, code: &str) -> PortError {
    PortError { call: "cloudformation:ResponseURL", class, code: code.to_owned(), message: "m".to_owned() }
}

fn mark(bench: &Bench) -> Value {
    bench.table.body("answer#r-1", "answer").unwrap_or_default()["state"].clone()
}

#[tokio::test]
async fn a_repeated_invocation_does_not_answer_again_or_do_anything() {
    let bench = Bench::new();
    bench.ask(create("r-1")).await;
    assert_eq!(mark(&bench), "sent");
    assert_eq!(bench.table.expiry("answer#r-1", "answer"), Some("2026-11-27T06:00:01Z".parse().unwrap()));
    bench.ask(json!({"get": "acme"})).await;
    let before = bench.table.snapshot();
    assert_eq!(bench.ask(create("r-1")).await, json!({"ok": true, "answered": "earlier"}));
    assert_eq!((bench.answers.tries(), bench.table.snapshot()), (1, before));
    bench.ask(create("r-2")).await;
    assert_eq!(bench.answers.tries(), 2, "another request is another answer");
}

#[tokio::test]
async fn an_invocation_that_died_around_the_put_is_not_repeated() {
    for body in [
        json!({"state": "sending", "run": 1, "stack_id": "s", "logical_id": "l", "at": "2026-11-20T05:00:00Z"}),
        json!("?"),
    ] {
        let bench = Bench::new();
        bench.table.set("answer#r-1", "answer", body);
        assert_eq!(bench.ask(create("r-1")).await["answered"], "earlier");
        assert_eq!((bench.answers.tries(), bench.table.written()), (0, 0));
    }
}

#[tokio::test]
async fn an_answer_that_certainly_did_not_arrive_is_sent_again() {
    let refusals = [(Class::Unavailable, "Http503"), (Class::Unavailable, "Http500"), (Class::Throttled, "Http429")];
    for (class, code) in refusals {
        let bench = Bench::new();
        let refused = || (false, Err(answer_error(class, code)));
        bench.answers.script([refused(), refused()]);
        assert_eq!(bench.ask(create("r-1")).await["answered"], "now", "{code}");
        assert_eq!((bench.answers.tries(), bench.answers.arrived().len()), (3, 1), "{code}");
        assert_eq!(mark(&bench), "sent");
    }
}

#[tokio::test]
async fn an_answer_that_could_not_be_given_is_left_to_lambdas_next_try() {
    let bench = Bench::new();
    bench.answers.script((0..3).map(|_| (false, Err(answer_error(Class::Unavailable, "Http503")))));
    let failure = bench.try_ask(create("r-1")).await.unwrap_err();
    assert_eq!(
        (failure.code.as_str(), bench.answers.tries(), mark(&bench)),
        ("ResponseUrl.Unavailable", 3, json!("unsent"))
    );
    assert_eq!(bench.table.version("answer#r-1", "answer"), Some(2));
    assert_eq!(bench.ask(create("r-1")).await["answered"], "now");
    assert_eq!(
        bench.table.version("answer#r-1", "answer"),
        Some(4),
        "no version comes twice, so no mark is mistaken for an older one"
    );
    assert_eq!(bench.answers.arrived()[0]["Data"]["Generation"], "1", "the cluster was there already");
    assert_eq!(mark(&bench), "sent");
    bench.ask(create("r-1")).await;
    assert_eq!(bench.answers.arrived().len(), 1);
}

#[tokio::test]
async fn a_refusal_that_no_repetition_heals_is_not_repeated_at_once() {
    let bench = Bench::new();
    bench.answers.script([(false, Err(answer_error(Class::Denied, "Http403")))]);
    let failure = bench.try_ask(create("r-1")).await.unwrap_err();
    assert_eq!(
        (failure.code.as_str(), bench.answers.tries(), mark(&bench)),
        ("ResponseUrl.Denied", 1, json!("unsent"))
    );
}

#[tokio::test]
async fn an_answer_that_may_have_arrived_is_never_repeated() {
    for (class, code) in [
        (Class::TimedOut, "TimedOut"),
        (Class::Disconnected, "ConnectionFailed"),
        (Class::Malformed, "MalformedAnswer"),
    ] {
        let bench = Bench::new();
        bench.answers.script([(true, Err(answer_error(class, code)))]);
        assert_eq!(bench.try_ask(create("r-1")).await.unwrap_err().code, format!("ResponseUrl.{class:?}"));
        assert_eq!(mark(&bench), "sending");
        assert_eq!(bench.ask(create("r-1")).await["answered"], "earlier", "{code}");
        assert_eq!((bench.answers.tries(), bench.answers.arrived().len()), (1, 1), "{code}");
    }
}

#[tokio::test]
async fn of_two_invocations_at_once_one_answers() {
    let bench = Bench::new();
    let other = json!({"state": "sending", "run": 7, "stack_id": "s", "logical_id": "l", "at": "2026-11-20T06:00:01Z"});
    // The other invocation marks the request after this one has found nothing.
    bench
        .table
        .at_writes([None, Some(Fault::Before(Box::new(move |items| set(items, "answer#r-1", "answer", other))))]);
    assert_eq!(bench.ask(create("r-1")).await["answered"], "earlier");
    assert_eq!(bench.answers.tries(), 0);
}

#[tokio::test]
async fn of_two_repetitions_at_once_one_answers() {
    let bench = Bench::new();
    let mark_of = |state: &str| json!({"state": state, "run": 7, "stack_id": "s", "logical_id": "l", "at": "2026-11-20T06:00:01Z"});
    bench.table.set("answer#r-1", "answer", mark_of("unsent"));
    // The other one found `unsent` as well, and has answered before this one is done with its work.
    let (sending, sent) = (mark_of("sending"), mark_of("sent"));
    bench.table.at_writes([
        None,
        Some(Fault::Before(Box::new(move |items| {
            set(items, "answer#r-1", "answer", sending);
            set(items, "answer#r-1", "answer", sent);
        }))),
    ]);
    assert_eq!(bench.ask(create("r-1")).await["answered"], "earlier");
    assert_eq!(bench.answers.tries(), 0);
}

#[tokio::test]
async fn a_mark_whose_reply_was_lost_is_known_as_ones_own() {
    for fault in [Fault::LoseReply(error(Class::TimedOut)), Fault::Repeated] {
        let bench = Bench::new();
        bench.table.at_writes([None, Some(fault)]);
        assert_eq!(bench.ask(create("r-1")).await["answered"], "now");
        assert_eq!((bench.answers.arrived().len(), mark(&bench)), (1, json!("sent")));
    }
}

#[tokio::test]
async fn a_mark_that_somebody_wrote_and_nobody_can_read_is_left_to_lambdas_next_try() {
    let bench = Bench::new();
    bench.table.at_writes([None, Some(Fault::Repeated)]);
    // The mark, the record; then whose mark it is.
    bench.table.at_reads([None, None, Some(Fault::Fail(error(Class::Throttled)))]);
    assert_eq!(bench.try_ask(create("r-1")).await.unwrap_err().code, "Table.Throttled");
    assert_eq!(bench.answers.tries(), 0);
}

#[tokio::test]
async fn a_table_that_cannot_keep_the_mark_does_not_keep_the_answer_back() {
    let bench = Bench::new();
    bench.table.at_reads([Some(Fault::Fail(error(Class::Denied)))]);
    bench.table.at_writes([None, Some(Fault::Fail(error(Class::Denied))), Some(Fault::Fail(error(Class::Denied)))]);
    assert_eq!(bench.ask(create("r-1")).await["answered"], "now");
    assert_eq!(bench.answers.arrived()[0]["Status"], "SUCCESS");
}

#[tokio::test]
async fn a_url_is_never_in_what_is_answered_to_the_invoker() {
    let bench = Bench::new();
    let said = bench.ask(create("r-1")).await.to_string()
        + &bench.ask(event("Create", "r-2", None, json!({}))).await.to_string();
    assert!(!said.contains("Signature"), "{said}");
}
