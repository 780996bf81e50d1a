//! What Patroni is asked, and how.

use reach::gateway::{Said, Verb};
use reach::patroni::{ClusterView, Found, Reinitialize, Switchover};
use serde::Deserialize as _;
use serde_json::json;

use crate::asking::{ask, at, cluster, credentials, with};
use crate::host::{Act, Host, json, reply};

#[tokio::test]
async fn each_question_goes_to_its_path_without_credentials_where_none_are_given() {
    let host = Host::always(json(&json!({"members": []}))).await;
    for (what, line) in
        [("cluster", "GET /cluster HTTP/1.1"), ("node", "GET /patroni HTTP/1.1"), ("config", "GET /config HTTP/1.1")]
    {
        let outcome = ask(Verb::PatroniGet, &with(at(host.address), json!({"what": what}))).await;
        let said = Said::deserialize(&outcome["ok"]).unwrap();
        assert_eq!((said.status, said.body), (200, json!({"members": []})));
        let asked = host.asked().pop().unwrap();
        assert_eq!(asked.line, line);
        assert_eq!(asked.header("host"), Some(host.address.to_string().as_str()));
        assert_eq!(asked.header("connection"), Some("close"));
        assert_eq!((asked.header("authorization"), asked.header("transfer-encoding")), (None, None));
    }
}

/// As Patroni itself does it: 411 without a length, 401 without credentials.
#[tokio::test]
async fn a_switchover_has_its_length_and_its_credentials() {
    let host = Host::new(|asked| match (asked.header("content-length"), asked.header("authorization")) {
        (None, _) => reply("411 Length Required", ""),
        (_, Some("Basic cGlsb3Rob3VzZTp4eXp6eS1wbHVnaC00Mg==")) => reply("503 Unavailable", "Switchover failed"),
        (_, Some(_)) => reply("401 Unauthorized", "not authenticated"),
        (_, None) => reply("401 Unauthorized", "no auth header received"),
    })
    .await;
    let item = with(at(host.address), json!({"leader": "pg-1", "candidate": "pg-2"}));
    let said = |outcome: &serde_json::Value| Said::deserialize(&outcome["ok"]).unwrap();
    let outcome = ask(Verb::PatroniSwitchover, &with(item.clone(), credentials())).await;
    assert_eq!(Switchover::of(&said(&outcome)), Switchover::NotNow);
    let asked = host.asked().pop().unwrap();
    assert_eq!(asked.line, "POST /switchover HTTP/1.1");
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(body, json!({"leader": "pg-1", "candidate": "pg-2"}));
    let outcome = ask(Verb::PatroniSwitchover, &item).await;
    assert!(matches!(Switchover::of(&said(&outcome)), Switchover::Denied { .. }), "{outcome}");
    let named = json!({"credentials": {"username": "a:b", "password": "c"}});
    assert_eq!(ask(Verb::PatroniSwitchover, &with(item, named)).await["error"]["code"], "BadItem");
    assert_eq!(host.asked().len(), 2);
}

/// The node itself is asked, once, and without `force`: that would end a copy that has begun.
#[tokio::test]
async fn a_copy_of_the_leader_is_asked_for_with_credentials_and_without_force() {
    let host = Host::new(|asked| match (asked.header("content-length"), asked.header("authorization")) {
        (None, _) => reply("411 Length Required", ""),
        (_, Some("Basic cGlsb3Rob3VzZTp4eXp6eS1wbHVnaC00Mg==")) => reply("200 OK", "reinitialize started"),
        (_, Some(_)) => reply("401 Unauthorized", "not authenticated"),
        (_, None) => reply("401 Unauthorized", "no auth header received"),
    })
    .await;
    let of = |outcome: &serde_json::Value| Reinitialize::of(&Said::deserialize(&outcome["ok"]).unwrap());
    let outcome = ask(Verb::PatroniReinitialize, &with(at(host.address), credentials())).await;
    assert_eq!(of(&outcome), Reinitialize::Started);
    let asked = host.asked().pop().unwrap();
    assert_eq!(asked.line, "POST /reinitialize HTTP/1.1");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&asked.body).unwrap(), json!({"force": false}));
    let denied = |said: &str| Reinitialize::Denied { said: format!("401: {said}") };
    assert_eq!(of(&ask(Verb::PatroniReinitialize, &at(host.address)).await), denied("no auth header received"));
    let wrong = json!({"credentials": {"username": "pilothouse", "password": "wrong"}});
    let outcome = ask(Verb::PatroniReinitialize, &with(at(host.address), wrong)).await;
    assert_eq!(of(&outcome), denied("not authenticated"));
    assert_eq!(host.asked().len(), 3);
    let nobody = Host::always(Act::Hang).await;
    let outcome = ask(Verb::PatroniReinitialize, &with(at(nobody.address), credentials())).await;
    let error = serde_json::from_value(outcome["error"].clone()).unwrap();
    assert!(matches!(Reinitialize::of_error(&error), Reinitialize::InDoubt { .. }), "{outcome}");
    assert_eq!(nobody.asked().len(), 1, "it was sent, and once");
}

/// Patroni answers when the switchover is done, which takes longer than we wait.
#[tokio::test]
async fn a_switchover_without_an_answer_is_in_doubt() {
    let host = Host::always(Act::Hang).await;
    let item = with(at(host.address), json!({"leader": "pg-1", "candidate": "pg-2"}));
    let outcome = ask(Verb::PatroniSwitchover, &item).await;
    let error = serde_json::from_value(outcome["error"].clone()).unwrap();
    assert!(matches!(Switchover::of_error(&error), Switchover::InDoubt { .. }), "{outcome}");
    assert_eq!(host.asked().len(), 1, "it was sent, and once");
}

/// Python's server ends each connection, and gives no length; a proxy may send chunks, and trailers after them.
#[tokio::test]
async fn an_answer_may_come_in_every_form_that_http_has() {
    let body = r#"{"members": [{"name": "a", "role": "leader", "state": "running", "host": "10.0.0.1"}]}"#;
    let (one, two) = body.split_at(20);
    let chunks = format!("{:x}\r\n{one}\r\n{:X};ext=1\r\n{two}\r\n0\r\nX-Trailer: 1\r\n\r\n", one.len(), two.len());
    for answer in [
        format!("HTTP/1.0 200 OK\r\nServer: BaseHTTP/0.6\r\nContent-Type: application/json\r\n\r\n{body}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Trailer\r\n\r\n{chunks}"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: keep-alive\r\n\r\n{body}garbage", body.len()),
        format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nConnection: close\r\n\r\n{body}"),
    ] {
        let host = Host::always(Act::Send(answer.clone().into_bytes())).await;
        let outcome = ask(Verb::PatroniGet, &cluster(host.address)).await;
        let said = Said::deserialize(&outcome["ok"]).unwrap_or_else(|_| panic!("{answer}: {outcome}"));
        let view = ClusterView::read(&said).unwrap();
        assert_eq!(view.leader(), Found::Member(&view.members[0]));
    }
}
