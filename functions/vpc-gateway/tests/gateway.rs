//! The gateway's real program under Lambda's Runtime API, asked as its askers ask it. Needs `make venv`, Debian's package
//! postgresql, and the right to add addresses to this machine.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use lab::{Authority, Postgres, Setup};
use serde_json::{Value, json};
use stack::{Function, LocalAddress, Stack, Zone};

const PROGRAM: &str = "vpc-gateway";
const NAME: &str = "acme-transit";
const HOST: &str = "db.example.internal";
const PASSWORD: &str = "xyzzy-plugh-42";
const LIMIT: Duration = Duration::from_secs(10);

fn start(stack: &Stack, more: &[(&str, &str)]) -> Function {
    let resolvers = stack.dns.address().to_string();
    let all = [("PILOTHOUSE_RESOLVERS", resolvers.as_str())].into_iter().chain(more.iter().copied());
    let environment: BTreeMap<String, String> = all.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    stack.function_named(NAME, PROGRAM, &environment).unwrap()
}

fn item<'a>(answer: &'a Value, id: &str) -> &'a Value {
    let items = answer["items"].as_array().unwrap_or_else(|| panic!("no answer: {answer:#}"));
    items.iter().find(|item| item["id"] == id).unwrap()
}

#[test]
fn names_are_resolved_by_the_servers_that_it_is_given() {
    let stack = stack::acquire().unwrap();
    let gateway = start(&stack, &[]);
    stack.dns.set(HOST, Zone::addresses(&["10.9.0.6", "10.9.0.5"], 30));
    let request =
        json!({"v": 1, "verb": "resolve", "items": [{"id": "a", "host": HOST}, {"id": "b", "host": "gone.test"}]});
    let answer = gateway.invoke(&request).unwrap();
    assert_eq!(
        answer,
        json!({"v": 1, "items": [
            {"id": "a", "ok": {"addresses": ["10.9.0.5", "10.9.0.6"], "ttl_seconds": 30}},
            {"id": "b", "error": {"code": "NxDomain", "message": "the name does not exist"}},
        ]})
    );
    let line = gateway.wait_for_line(|line| line.contains("answered"), LIMIT).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!([&line["verb"], &line["results"]], [&json!("resolve"), &json!("NxDomain=1 ok=1")], "{line}");
    assert!(line["milliseconds"].is_u64());
    let calls = stack.calls().unwrap();
    assert!(calls.is_empty(), "a gateway makes no AWS call: {calls:?}");
}

#[test]
fn a_server_is_probed_and_no_secret_is_logged_at_any_level() {
    let stack = stack::acquire().unwrap();
    let address = LocalAddress::in_net(251).unwrap();
    let authority = Authority::new("customer").unwrap();
    let server = Postgres::start(&Setup {
        address: address.ip(),
        tls: Some(authority.server(&[HOST]).unwrap()),
        client_authority: Some(authority.pem()),
        hba: vec![format!("hostssl all all {}/32 scram-sha-256", address.ip())],
        settings: vec![("wal_level", "logical".to_owned())],
        ..Setup::default()
    })
    .unwrap();
    server.sql(&format!("CREATE ROLE pilothouse_probe LOGIN PASSWORD '{PASSWORD}'")).unwrap();
    let client = authority.client("pilothouse_probe").unwrap();
    let gateway = start(&stack, &[("AWS_LAMBDA_LOG_LEVEL", "TRACE")]);

    let bare = json!({"id": "bare", "address": address.ip(), "port": server.address().port()});
    let mut whole = bare.clone();
    whole["id"] = json!("whole");
    whole["tls"] = json!({"ca": authority.pem(), "server_name": HOST, "cert": client.certificate, "key": client.key});
    whole["credentials"] = json!({"username": "pilothouse_probe", "password": PASSWORD});
    let mut wrong = whole.clone();
    wrong["id"] = json!("wrong");
    wrong["credentials"] = json!({"username": "nobody", "password": PASSWORD});
    let mut misplaced = whole.clone();
    misplaced["id"] = json!("misplaced");
    misplaced["credentials"] = json!(PASSWORD);
    let mut by_the_system = whole.clone();
    by_the_system["id"] = json!("by the system");
    by_the_system["tls"]["ca"] = json!(null);
    let loopback = json!({"id": "loopback", "address": "127.0.0.1", "port": server.address().port()});
    let metadata = json!({"id": "metadata", "address": "169.254.169.254", "port": 80});
    let items = [&bare, &whole, &wrong, &misplaced, &by_the_system, &loopback, &metadata];
    let answer = gateway.invoke(&json!({"v": 1, "verb": "probe", "items": items})).unwrap();

    assert_eq!(item(&answer, "bare")["ok"], json!({"tls": false}));
    let version: u64 = server.sql("SHOW server_version_num").unwrap().parse().unwrap();
    assert_eq!(
        item(&answer, "whole")["ok"],
        json!({"tls": true, "server": {
            "version": version, "in_recovery": false, "wal_level": "logical", "max_replication_slots": 10,
            "max_slot_wal_keep_size_mb": -1, "databases": 1,
        }})
    );
    for (id, code) in [
        ("wrong", "AuthenticationFailed"),
        ("misplaced", "BadItem"),
        ("by the system", "TlsFailed"),
        ("loopback", "AddressRefused"),
        ("metadata", "AddressRefused"),
    ] {
        assert_eq!(item(&answer, id)["error"]["code"], code, "{answer:#}");
    }
    assert!(!answer.to_string().contains(PASSWORD));

    gateway.wait_for_line(|line| line.contains("\"answered\""), LIMIT).unwrap();
    let log = gateway.log_lines();
    assert!(log.iter().any(|line| line.contains("\"TRACE\"")), "the level counts: {log:#?}");
    let body_of_key = client.key.lines().nth(1).unwrap();
    for secret in [PASSWORD, body_of_key] {
        let shown: Vec<&String> = log.iter().filter(|line| line.contains(secret)).collect();
        assert!(shown.is_empty(), "{shown:#?}");
    }
}

#[test]
fn what_is_no_request_is_answered_and_is_no_error_of_the_function() {
    let stack = stack::acquire().unwrap();
    let gateway = start(&stack, &[("PILOTHOUSE_VERBS", "resolve")]);
    let many: Vec<Value> = (0..101).map(|n| json!({"id": n.to_string(), "host": "a"})).collect();
    for (request, code) in [
        (json!(null), "BadRequest"),
        (json!({}), "BadRequest"),
        (json!([PASSWORD]), "BadRequest"),
        (json!({"source": "aws.events", "detail-type": "Scheduled Event"}), "BadRequest"),
        (json!({"v": 3, "verb": "resolve", "items": []}), "UnsupportedVersion"),
        (json!({"v": 1, "verb": "patroni_switchover", "items": []}), "UnknownVerb"),
        (
            json!({"v": 1, "verb": "probe", "items": [{"id": "1", "address": "10.9.0.5", "port": 5432}]}),
            "VerbNotAllowed",
        ),
        (json!({"v": 1, "verb": "resolve", "items": many}), "TooManyItems"),
        (json!({"v": 1, "verb": "resolve", "items": [{"host": PASSWORD}]}), "BadRequest"),
    ] {
        let answer = gateway.invoke(&request).unwrap();
        assert_eq!([&answer["v"], &answer["error"]["code"]], [&json!(1), &json!(code)], "{request}: {answer}");
        assert!(!answer.to_string().contains(PASSWORD), "{answer}");
    }
    assert!(!gateway.log_lines().concat().contains(PASSWORD));
}

#[test]
fn every_problem_of_the_environment_is_told_before_it_ends() {
    let stack = stack::acquire().unwrap();
    let bad =
        [("PILOTHOUSE_VERBS", "resolve,etcd_drop"), ("PILOTHOUSE_RESOLVER", "x"), ("PILOTHOUSE_RESOLVERS", "dns")];
    let gateway = start(&stack, &bad);
    let status = gateway.wait_for_exit(LIMIT).unwrap();
    assert!(!status.success());
    let told = gateway.wait_for_line(|line| line.contains("not started"), LIMIT).unwrap();
    for word in ["etcd_drop", "PILOTHOUSE_RESOLVER:", "`dns`"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    // The variables of the other functions are no concern of its.
    let fine = start(&stack, &[("PILOTHOUSE_TABLE", "?"), ("PILOTHOUSE_PULSE_SECONDS", "x")]);
    assert_eq!(fine.invoke(&json!({"v": 1, "verb": "resolve", "items": []})).unwrap(), json!({"v": 1, "items": []}));
}
