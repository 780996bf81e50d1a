//! What etcd is asked, and how. The answers are those of etcd 3.4.23, and of a 3.5 where that is said.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reach::gateway::{EtcdChanged, EtcdView, Verb};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::asking::{PASSWORD, USER, ask, at, credentials, error, with};
use crate::host::{Act, Asked, Host, json, reply};

fn header() -> Value {
    json!({"cluster_id": "324952591200643719", "member_id": "3319814642761637952", "raft_term": "2"})
}

fn fails(status: &str, code: u64, message: &str) -> Act {
    reply(status, &json!({"error": message, "message": message, "code": code}).to_string())
}

/// A member of that version, whole.
fn healthy(version: &'static str) -> impl Fn(&Asked) -> Act + Send + Sync + 'static {
    move |asked| {
        let path = asked.line.split(' ').nth(1).unwrap();
        let member = json!({"ID": "3319814642761637952", "name": "a", "peerURLs": ["http://10.0.1.10:2380"],
            "clientURLs": ["http://10.0.1.10:2379"]});
        let learner = json!({"ID": "17", "peerURLs": ["http://10.0.1.11:2380"], "isLearner": true});
        match path {
            "/v3/maintenance/status" => json(&json!({"header": header(), "version": version,
                "leader": "3319814642761637952", "raftIndex": "21", "raftTerm": "2"})),
            "/v3/kv/range" => json(&json!({"header": header()})),
            "/v3/maintenance/transfer-leadership" => json(&json!({})),
            "/v3/auth/authenticate" => json(&json!({"header": header(), "token": "abc.17"})),
            "/v3/cluster/member/add" => {
                json(&json!({"header": header(), "member": learner, "members": [member, learner]}))
            }
            path if path.starts_with("/v3/cluster/member/") => json(&json!({"header": header(), "members": [member]})),
            other => reply("404 Not Found", other),
        }
    }
}

fn paths(host: &Host) -> Vec<String> {
    host.lines().iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect()
}

/// A list that a member has of its own may be old. 3.4 has no other, so a read that needs a quorum goes before it.
#[tokio::test]
async fn a_list_of_members_is_one_that_a_quorum_agrees_to() {
    for (version, expected) in [
        ("3.4.23", vec!["/v3/maintenance/status", "/v3/kv/range", "/v3/cluster/member/list"]),
        ("3.5.28", vec!["/v3/maintenance/status", "/v3/cluster/member/list"]),
    ] {
        let host = Host::new(healthy(version)).await;
        let outcome = ask(Verb::EtcdMembers, &at(host.address)).await;
        let view = EtcdView::deserialize(&outcome["ok"]).unwrap();
        assert_eq!((view.status.version.as_str(), view.members.len()), (version, 1));
        assert_eq!(paths(&host), expected);
        let list = host.asked().pop().unwrap();
        assert_eq!(list.body, r#"{"linearizable":true}"#);
        for asked in host.asked() {
            assert_eq!(asked.header("grpc-metadata-hasleader"), Some("true"));
            assert_eq!(asked.header("grpc-timeout"), Some("3000m"));
            assert_eq!(asked.header("authorization"), None);
            assert!(asked.line.starts_with("POST "));
        }
        // No quorum: no list, whatever the member would say of its own.
        let last = expected[expected.len() - 1];
        let blocked = if version.starts_with("3.4") { "/v3/kv/range" } else { last };
        let whole = healthy(version);
        let host = Host::new(move |asked| {
            if asked.line.contains(blocked) { fails("503 No", 14, "etcdserver: no leader") } else { whole(asked) }
        })
        .await;
        let (code, message) = error(&ask(Verb::EtcdMembers, &at(host.address)).await);
        assert_eq!(
            (code.as_str(), message.as_str()),
            ("EtcdUnavailable", "etcd said: etcdserver: no leader (gRPC code 14)")
        );
    }
}

#[tokio::test]
async fn members_are_changed_as_etcd_wants_it() {
    let host = Host::new(healthy("3.4.23")).await;
    for (verb, more, path, body, members) in [
        (
            Verb::EtcdAddLearner,
            json!({"peer_url": "https://10.0.1.11:2380"}),
            "/v3/cluster/member/add",
            json!({"peerURLs": ["https://10.0.1.11:2380"], "isLearner": true}),
            2,
        ),
        (Verb::EtcdPromote, json!({"member": "17"}), "/v3/cluster/member/promote", json!({"ID": "17"}), 1),
        (Verb::EtcdRemove, json!({"member": "17"}), "/v3/cluster/member/remove", json!({"ID": "17"}), 1),
        (
            Verb::EtcdMoveLeader,
            json!({"member": "17"}),
            "/v3/maintenance/transfer-leadership",
            json!({"targetID": "17"}),
            0,
        ),
    ] {
        let outcome = ask(verb, &with(at(host.address), more)).await;
        let changed = EtcdChanged::deserialize(&outcome["ok"]).unwrap_or_else(|_| panic!("{outcome}"));
        assert_eq!(changed.members.len(), members, "{verb:?}");
        let asked = host.asked().pop().unwrap();
        assert_eq!((asked.line.as_str(), asked.body), (format!("POST {path} HTTP/1.1").as_str(), body.to_string()));
    }
    assert_eq!(host.asked().len(), 4, "a change is asked for once");
}

#[tokio::test]
async fn a_change_that_is_refused_says_what_kind_of_refusal() {
    for (code, message, expected) in [
        (5, "etcdserver: member not found", "EtcdMemberNotFound"),
        (9, "etcdserver: re-configuration failed due to not enough started members", "EtcdNotReady"),
        (14, "etcdserver: unhealthy cluster", "EtcdUnavailable"),
        (7, "etcdserver: permission denied", "EtcdPermissionDenied"),
    ] {
        let host = Host::always(fails("200 OK", code, message)).await;
        let outcome = ask(Verb::EtcdRemove, &with(at(host.address), json!({"member": "17"}))).await;
        assert_eq!(error(&outcome).0, expected, "{message}");
        assert_eq!(host.asked().len(), 1, "it is asked once");
    }
    let host = Host::always(reply("404 Not Found", "404 page not found")).await;
    let outcome = ask(Verb::EtcdRemove, &with(at(host.address), json!({"member": "17"}))).await;
    assert_eq!(error(&outcome).0, "NotEtcd", "the status alone says nothing about a member");
}

#[tokio::test]
async fn a_login_comes_first_and_its_token_is_shown() {
    let whole = healthy("3.4.23");
    let host = Host::new(move |asked| {
        let login = asked.line.contains("authenticate");
        match asked.header("authorization") {
            None if !login => fails("400 Bad", 3, "etcdserver: user name is empty"),
            Some("abc.17") | None => whole(asked),
            Some(_) => fails("401 No", 16, "etcdserver: invalid auth token"),
        }
    })
    .await;
    let item = with(at(host.address), credentials());
    let outcome = ask(Verb::EtcdMembers, &item).await;
    assert!(outcome["ok"].is_object(), "{outcome}");
    assert_eq!(paths(&host)[0], "/v3/auth/authenticate");
    assert_eq!(host.asked()[0].body, json!({"name": USER, "password": PASSWORD}).to_string());
    assert_eq!(host.asked().iter().filter(|asked| asked.body.contains(PASSWORD)).count(), 1);
    assert_eq!(error(&ask(Verb::EtcdMembers, &at(host.address)).await).0, "EtcdLoginFailed");
}

/// A token that was given a moment ago can be refused: the asked member restarted, or users were changed meanwhile.
#[tokio::test]
async fn a_token_that_does_not_hold_is_renewed_once() {
    for good in [1, 2, 9] {
        let logins = Arc::new(AtomicUsize::new(0));
        let whole = healthy("3.5.28");
        let host = Host::new(move |asked| {
            if asked.line.contains("authenticate") {
                let n = logins.fetch_add(1, Ordering::SeqCst) + 1;
                return json(&json!({"header": header(), "token": format!("token.{n}")}));
            }
            if asked.header("authorization") == Some(&format!("token.{good}")) {
                whole(asked)
            } else {
                fails("401 No", 16, "etcdserver: invalid auth token")
            }
        })
        .await;
        let item = with(with(at(host.address), credentials()), json!({"member": "17"}));
        let outcome = ask(Verb::EtcdRemove, &item).await;
        let expected = if good == 9 { 4 } else { good * 2 };
        assert_eq!(host.asked().len(), expected, "{good}: {outcome}");
        if good == 9 {
            assert_eq!(error(&outcome).0, "EtcdTokenInvalid");
        } else {
            assert!(outcome["ok"].is_object(), "{outcome}");
        }
    }
    let host = Host::always(fails("401 No", 16, "etcdserver: invalid auth token")).await;
    let without = with(at(host.address), json!({"member": "17"}));
    assert_eq!(error(&ask(Verb::EtcdRemove, &without).await).0, "EtcdTokenInvalid");
    assert_eq!(host.asked().len(), 1, "without credentials there is nothing to renew");
}

#[tokio::test]
async fn where_etcd_has_no_authentication_credentials_are_of_no_use_and_no_harm() {
    let whole = healthy("3.4.23");
    let host = Host::new(move |asked| {
        if asked.line.contains("authenticate") {
            return fails("412 No", 9, "etcdserver: authentication is not enabled");
        }
        assert_eq!(asked.header("authorization"), None);
        whole(asked)
    })
    .await;
    let outcome = ask(Verb::EtcdMembers, &with(at(host.address), credentials())).await;
    assert!(outcome["ok"].is_object(), "{outcome}");
    assert_eq!(paths(&host).iter().filter(|path| path.contains("authenticate")).count(), 1, "asked for once");
    let wrong = "etcdserver: authentication failed, invalid user ID or password";
    let host = Host::always(fails("400 Bad", 3, wrong)).await;
    let outcome = ask(Verb::EtcdMembers, &with(at(host.address), credentials())).await;
    assert_eq!(error(&outcome).0, "EtcdLoginFailed");
    let empty = with(at(host.address), json!({"credentials": {"username": "root", "password": ""}}));
    assert_eq!(error(&ask(Verb::EtcdMembers, &empty).await).0, "BadItem");
    assert_eq!(host.asked().len(), 1);
}
