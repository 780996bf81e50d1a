use bytes::Bytes;
use serde_json::json;

use super::*;

fn reply(status: u16, body: &str) -> Reply {
    Reply { status, body: Bytes::copy_from_slice(body.as_bytes()) }
}

fn code_of(status: u16, body: &Value) -> ErrorCode {
    answer(&reply(status, &body.to_string())).expect_err("this is an error").code
}

/// Both shapes, and the nested one, with any status.
fn shapes(code: u64, message: &str) -> Vec<Value> {
    vec![
        json!({"error": message, "message": message, "code": code}),
        json!({"code": code, "message": message, "details": []}),
        json!({"error": {"grpc_code": code, "http_code": 503, "message": message, "http_status": "Service Unavailable"}}),
        json!({"error": {"code": code, "message": message}}),
        json!({"result": {"header": {}}, "error": {"code": code, "message": message}}),
    ]
}

#[test]
fn errors_are_told_by_code_and_message_in_every_shape_and_never_by_status() {
    use ErrorCode::*;
    for (code, message, expected) in [
        (5, "etcdserver: member not found", EtcdMemberNotFound),
        (9, "etcdserver: member ID already exist", EtcdMemberExists),
        (9, "etcdserver: Peer URLs already exists", EtcdMemberExists),
        (9, "etcdserver: re-configuration failed due to not enough started members", EtcdNotReady),
        (2, "etcdserver: re-configuration failed due to not enough started members", EtcdNotReady),
        (2, "etcdserver: unhealthy cluster", EtcdUnavailable),
        (2, "etcdserver: request timed out", EtcdUnavailable),
        (9, "etcdserver: can only promote a learner member which is in sync with leader", EtcdNotReady),
        (9, "etcdserver: can only promote a learner member", EtcdNotLearner),
        (9, "etcdserver: too many learner members in cluster", EtcdNotReady),
        (9, "etcdserver: bad leader transferee", EtcdNotReady),
        (9, "etcdserver: not leader", EtcdNotLeader),
        (14, "etcdserver: rpc not supported for learner", EtcdAskedLearner),
        (9, "etcdserver: rpc not supported for learner", EtcdAskedLearner),
        (14, "etcdserver: no leader", EtcdUnavailable),
        (14, "etcdserver: unhealthy cluster", EtcdUnavailable),
        (14, "etcdserver: request timed out", EtcdUnavailable),
        (14, "etcdserver: request timed out, possibly due to previous leader failure", EtcdUnavailable),
        (14, "etcdserver: leader changed", EtcdUnavailable),
        (4, "context deadline exceeded", EtcdUnavailable),
        (2, "context deadline exceeded", EtcdUnavailable),
        (7, "etcdserver: permission denied", EtcdPermissionDenied),
        (16, "etcdserver: invalid auth token", EtcdTokenInvalid),
        (3, "etcdserver: revision of auth store is old", EtcdTokenInvalid),
        (3, "etcdserver: authentication failed, invalid user ID or password", EtcdLoginFailed),
        (3, "etcdserver: user name is empty", EtcdLoginFailed),
        (9, "etcdserver: authentication is not enabled", EtcdLoginNotNeeded),
        (3, "etcdserver: given member URLs are invalid", EtcdError),
        (5, "etcdserver: requested lease not found", EtcdError),
        (15, "etcdserver: corrupt cluster", EtcdError),
        (2, "something new", EtcdError),
    ] {
        for status in [200, 404, 412, 503] {
            for shape in shapes(code, message) {
                assert_eq!(code_of(status, &shape), expected, "{status} {shape}");
            }
        }
        let told = answer(&reply(500, &shapes(code, message)[0].to_string())).unwrap_err();
        assert!(told.message.contains(message) && told.message.contains(&code.to_string()), "{told}");
    }
    // Without a code the words are left.
    assert_eq!(code_of(404, &json!({"error": "etcdserver: member not found"})), EtcdMemberNotFound);
    assert_eq!(code_of(500, &json!({"message": "?"})), EtcdError);
    assert_eq!(code_of(500, &json!({"error": {}})), EtcdError);
    assert_eq!(code_of(500, &json!({"code": 14})), EtcdUnavailable);
}

#[test]
fn what_is_no_etcd_is_said_to_be_none() {
    for (status, body) in [
        (404, "404 page not found"),
        (200, ""),
        (200, "[]"),
        (302, "<a href=\"http://169.254.169.254/\">Found</a>."),
        (200, "\u{1b}[2J"),
    ] {
        let told = answer(&reply(status, body)).unwrap_err();
        assert_eq!(told.code, ErrorCode::NotEtcd, "{body}");
        assert!(!told.message.contains('\u{1b}'), "{told}");
    }
}

#[test]
fn an_answer_that_says_nothing_is_one_only_where_etcd_says_nothing() {
    let empty = answer(&reply(200, "{}")).unwrap();
    for odd in [empty, json!({"health": "true"}), json!({"header": null}), json!({"header": []})] {
        for code in [
            with_header(odd.clone()).map(drop).map_err(|error| error.code),
            status(&odd).map(drop).map_err(|error| error.code),
            members(&odd).map(drop).map_err(|error| error.code),
            token(&odd).map(drop).map_err(|error| error.code),
        ] {
            assert_eq!(code, Err(ErrorCode::NotEtcd), "{odd}");
        }
    }
    assert!(with_header(of_3_4()).is_ok());
}

/// As etcd 3.4.23 says it.
fn of_3_4() -> Value {
    json!({"header": {"cluster_id": "324952591200643719", "member_id": "3319814642761637952", "revision": "1", "raft_term": "2"},
        "version": "3.4.23", "dbSize": "20480", "leader": "3319814642761637952", "raftIndex": "21", "raftTerm": "2",
        "raftAppliedIndex": "21", "dbSizeInUse": "16384"})
}

#[test]
fn a_status_is_read() {
    let expected = EtcdStatus {
        member_id: "3319814642761637952".to_owned(),
        leader_id: Some("3319814642761637952".to_owned()),
        raft_index: 21,
        raft_term: 2,
        learner: false,
        version: "3.4.23".to_owned(),
        errors: Vec::new(),
    };
    assert_eq!(status(&of_3_4()), Ok(expected.clone()));
    let with = |name: &str, value: Value| {
        let mut answer = of_3_4();
        answer[name] = value;
        status(&answer)
    };
    // What is zero is left out, or written out.
    for nobody in [json!(null), json!("0"), json!(0)] {
        let leaderless = EtcdStatus { leader_id: None, ..expected.clone() };
        assert_eq!(with("leader", nobody), Ok(leaderless));
    }
    let numbers = with("leader", json!(18_446_744_073_709_551_615_u64)).unwrap();
    assert_eq!(numbers.leader_id.as_deref(), Some("18446744073709551615"), "a number is as good, all 64 bits of it");
    assert_eq!(with("isLearner", json!(true)).map(|status| status.learner), Ok(true));
    let errors = with("errors", json!(["etcdserver: no leader", 7])).unwrap().errors;
    assert_eq!(errors, ["etcdserver: no leader", "unreadable"]);
    for (name, value) in [
        ("header", json!({})),
        ("header", json!({"member_id": "x"})),
        ("header", json!({"member_id": "0"})),
        ("leader", json!("8211f1d0f64f3269")),
        ("leader", json!(-1)),
        ("raftIndex", json!({})),
        ("isLearner", json!("yes")),
        ("version", json!(null)),
        ("errors", json!("none")),
    ] {
        assert_eq!(with(name, value.clone()).map_err(|error| error.code), Err(ErrorCode::NotEtcd), "{name}: {value}");
    }
}

#[test]
fn members_are_read_all_or_none() {
    let answer = json!({"header": {}, "members": [
        {"ID": "9372538179322589801", "name": "infra1", "peerURLs": ["https://10.0.1.10:2380"],
         "clientURLs": ["https://10.0.1.10:2379"]},
        {"ID": 17, "peerURLs": ["http://db-2.internal:2380/", "http://10.0.1.11:2380"], "isLearner": true},
    ]});
    let read = members(&answer).unwrap();
    assert_eq!(read[0].id, "9372538179322589801");
    assert!(read[0].started() && !read[0].learner);
    assert_eq!((read[1].id.as_str(), read[1].started(), read[1].learner), ("17", false, true));
    let at = |address: &str| read.iter().position(|member| member.is_at(address.parse().unwrap()));
    assert_eq!([at("10.0.1.10"), at("10.0.1.11"), at("10.0.1.1")], [Some(0), Some(1), None]);
    for broken in [
        json!(null),
        json!([]),
        json!([{}]),
        json!([{"ID": ""}]),
        json!([{"ID": "0"}]),
        json!([{"ID": "8211f1d0f64f3269"}]),
        json!([{"ID": "1"}, {"ID": 1.5}]),
        json!([{"ID": "1", "isLearner": "false"}]),
        json!([{"ID": "1", "peerURLs": "http://10.0.1.10:2380"}]),
        json!([{"ID": "1", "clientURLs": [7]}]),
    ] {
        let read = members(&json!({"header": {}, "members": broken}));
        assert_eq!(read.map_err(|error| error.code), Err(ErrorCode::NotEtcd), "{broken}");
    }
}

#[test]
fn a_token_is_one_that_can_be_sent() {
    assert_eq!(token(&json!({"token": "iFbYujzUZkFjypTs.17"})).unwrap(), "iFbYujzUZkFjypTs.17");
    for bad in [json!(null), json!(""), json!(7), json!("a\r\nX-More: 1")] {
        assert_eq!(token(&json!({"token": bad})).map_err(|error| error.code), Err(ErrorCode::NotEtcd));
    }
}

#[test]
fn versions_are_compared_by_number() {
    for (version, new) in [
        ("3.4.23", false),
        ("3.5.0", true),
        ("3.10.1", true),
        ("4.0.0", true),
        ("3.5", true),
        ("3", false),
        ("new", false),
    ] {
        assert_eq!(at_least(version, LINEARIZABLE_LISTS), new, "{version}");
    }
}
