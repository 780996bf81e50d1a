use serde_json::json;

use super::*;

fn of(status: u16, text: &str) -> Switchover {
    Switchover::of(&Said { status, body: json!(text) })
}

fn refused(status: u16, text: &str) -> Refused {
    match of(status, text) {
        Switchover::Refused { why, said } => {
            assert!(said.contains(text) && said.contains(&status.to_string()), "{said}");
            why
        }
        other => panic!("{status} {text}: {other:?}"),
    }
}

#[test]
fn a_switchover_that_is_done_names_who_leads() {
    assert_eq!(of(200, "Successfully switched over to \"pg-2\""), Switchover::Done { leader: "pg-2".to_owned() });
    assert_eq!(
        of(200, "Successfully switched over to \"a \"b\" c\"\n"),
        Switchover::Done { leader: "a \"b\" c".to_owned() }
    );
    assert_eq!(of(202, "Switchover scheduled"), Switchover::Scheduled);
}

#[test]
fn lifecycle_case_7_another_leader_than_was_named_is_a_changed_view_and_not_fatal() {
    assert_eq!(of(412, "leader name does not match"), Switchover::ViewChanged);
}

#[test]
fn lifecycle_case_8_what_the_leader_did_not_want_may_go_later() {
    assert_eq!(of(503, "Switchover failed"), Switchover::NotNow);
    assert_ne!(of(500, "Switchover failed"), Switchover::NotNow);
}

#[test]
fn lifecycle_case_9_another_winner_is_named() {
    let won = Switchover::DoneInstead { actual: "pg-3".to_owned(), wanted: "pg-2".to_owned() };
    assert_eq!(of(200, "Switched over to \"pg-3\" instead of \"pg-2\""), won);
}

/// Every other text of `api.py`.
#[test]
fn refusals_are_told_apart() {
    for (status, text, why) in [
        (400, "Switchover is possible only to a specific candidate in a paused state", Refused::Paused),
        (400, "Can't schedule switchover in the paused state", Refused::Paused),
        (400, "Switchover target and source are the same", Refused::SameNode),
        (400, "Switchover could be performed only from a specific leader", Refused::BadRequest),
        (400, "Unable to parse request body", Refused::BadRequest),
        (411, "", Refused::BadRequest),
        (422, "Cannot schedule switchover in the past", Refused::BadRequest),
        (501, "Unsupported method ('POST')", Refused::BadRequest),
        (412, "candidate does not exists", Refused::NoSuchCandidate),
        (412, "candidate name does not match with sync_standby", Refused::NotSynchronous),
        (412, "switchover is not possible: can not find sync_standby", Refused::NoSynchronous),
        (412, "switchover is not possible: cluster does not have members except leader", Refused::NoOtherMember),
        (412, "switchover is not possible: no good candidates have been found", Refused::NoGoodCandidate),
        (412, "something new", Refused::Other),
    ] {
        assert_eq!(refused(status, text), why, "{status} {text}");
    }
    assert_eq!(of(503, "failed to write failover key into DCS"), Switchover::NoEffect);
    assert_eq!(of(503, "failed to write switchover key into DCS"), Switchover::NoEffect);
    for (status, text) in [
        (401, "no auth header received"),
        (401, "not authenticated"),
        (403, "Access is denied"),
        (403, "client certificate required"),
    ] {
        assert_eq!(of(status, text), Switchover::Denied { said: format!("{status}: {text}") });
    }
}

#[test]
fn what_is_not_understood_is_in_doubt() {
    for (status, text) in [
        (503, "Switchover status unknown"),
        (503, "Switchover status unknown after 20 seconds; operation may still be in progress"),
        (503, "<html>the proxy's own page"),
        (200, ""),
        (200, "OK"),
        (200, "Successfully switched over to \"\""),
        (200, "Successfully switched over to pg-2"),
        (200, "Switched over to \"pg-3"),
        (200, "Switched over to \"\" instead of \"\""),
        (202, ""),
        (204, ""),
        (302, "elsewhere"),
        (408, "too slow"),
        (500, ""),
        (502, "bad gateway"),
        (504, "gateway timeout"),
        (999, "x"),
    ] {
        assert!(matches!(of(status, text), Switchover::InDoubt { .. }), "{status} {text}");
    }
    let json = Switchover::of(&Said { status: 200, body: json!({"ok": true}) });
    assert!(matches!(json, Switchover::InDoubt { .. }), "{json:?}");
    let Switchover::InDoubt { said } = of(500, &"x".repeat(4000)) else { panic!() };
    assert!(said.len() < 300, "{}", said.len());
}

/// Only what was certainly not sent has certainly no effect.
#[test]
fn without_an_answer_it_is_in_doubt_unless_nothing_was_sent() {
    let of = |code: ErrorCode| {
        Switchover::of_error(&ItemError { code: code.code().to_owned(), message: "waiting for the answer".to_owned() })
    };
    for code in
        [ErrorCode::ConnectionRefused, ErrorCode::AddressRefused, ErrorCode::OutOfTime, ErrorCode::VerbNotAllowed]
    {
        assert_eq!(of(code), Switchover::NotSent { code: code.code().to_owned() });
    }
    for code in [
        ErrorCode::TimedOut,
        ErrorCode::ConnectionClosed,
        ErrorCode::TlsFailed,
        ErrorCode::NotHttp,
        ErrorCode::AnswerTooLong,
        ErrorCode::Unreachable,
    ] {
        assert!(matches!(of(code), Switchover::InDoubt { .. }), "{code:?}");
    }
    let unknown = ItemError { code: "FromTheFuture".to_owned(), message: String::new() };
    assert!(matches!(Switchover::of_error(&unknown), Switchover::InDoubt { .. }));
}
