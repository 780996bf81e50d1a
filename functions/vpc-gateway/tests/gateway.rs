//! The gateway's real program under Lambda's Runtime API, asked as its askers ask it. Needs `make venv`, Debian's package
//! postgresql, and the right to add addresses to this machine.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;
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
    start_as(stack, NAME, more)
}

fn start_as(stack: &Stack, name: &str, more: &[(&str, &str)]) -> Function {
    let resolvers = stack.dns.address().to_string();
    let all = [("PILOTHOUSE_RESOLVERS", resolvers.as_str())].into_iter().chain(more.iter().copied());
    let environment: BTreeMap<String, String> = all.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    stack.function_named(name, PROGRAM, &environment).unwrap()
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
        (json!({"v": 1, "verb": "etcd_drop", "items": []}), "UnknownVerb"),
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

/// What reaches into a cluster's nodes is named by the operator or not done. The first thing that a gateway without a word about
/// verbs must not do is to change a membership.
#[test]
fn nodes_are_asked_and_changed_only_by_a_gateway_that_is_allowed_to() {
    let stack = stack::acquire().unwrap();
    let address = LocalAddress::in_net(251).unwrap();
    // Nothing listens there: what is allowed fails to connect, and what is not does not try.
    let host = json!({"id": "1", "address": address.ip(), "port": 9});
    let requests = [
        ("patroni_get", json!({"what": "cluster"})),
        ("patroni_switchover", json!({"leader": "a", "candidate": "b"})),
        ("patroni_reinitialize", json!({})),
        ("etcd_members", json!({})),
        ("etcd_add_learner", json!({"peer_url": "https://10.0.1.10:2380"})),
        ("etcd_promote", json!({"member": "17"})),
        ("etcd_remove", json!({"member": "17"})),
        ("etcd_move_leader", json!({"member": "17"})),
    ];
    let words: Vec<&str> = requests.iter().map(|(word, _)| *word).collect();
    let default = start(&stack, &[]);
    let reading = start_as(&stack, "other-transit", &[("PILOTHOUSE_VERBS", "patroni_get, etcd_members")]);
    let all = start_as(&stack, PROGRAM, &[("PILOTHOUSE_VERBS", &words.join(","))]);
    for (word, more) in requests {
        let mut item = host.clone();
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = json!({"v": 1, "verb": word, "items": [item]});
        assert_eq!(default.invoke(&request).unwrap()["error"]["code"], "VerbNotAllowed", "{word}");
        let answer = reading.invoke(&request).unwrap();
        if ["patroni_get", "etcd_members"].contains(&word) {
            assert_eq!(self::item(&answer, "1")["error"]["code"], "ConnectionRefused", "{word}");
        } else {
            assert_eq!(answer["error"]["code"], "VerbNotAllowed", "{word}");
        }
        let mut elsewhere = request.clone();
        elsewhere["items"][0]["address"] = json!("169.254.169.254");
        for (request, code) in [(&request, "ConnectionRefused"), (&elsewhere, "AddressRefused")] {
            let answer = all.invoke(request).unwrap();
            assert_eq!(self::item(&answer, "1")["error"]["code"], code, "{word}: {answer}");
        }
    }
    let probe = json!({"v": 1, "verb": "probe", "items": []});
    assert_eq!(all.invoke(&probe).unwrap()["error"]["code"], "VerbNotAllowed", "the list is all that counts");
}

#[test]
fn what_a_node_is_sent_and_says_is_logged_at_no_level() {
    let stack = stack::acquire().unwrap();
    let address = LocalAddress::in_net(251).unwrap();
    let listener = TcpListener::bind((address.ip(), 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heard, hearing) = mpsc::channel();
    // It says its token to whoever asks, and keeps what it hears.
    let token = "token-of-etcd-77";
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).unwrap();
            let body =
                json!({"header": {"member_id": "17"}, "token": token, "version": "3.5.1", "members": [{"ID": "17"}]});
            let body = body.to_string();
            let length = body.len();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
            if heard.send(String::from_utf8_lossy(&request[..read]).into_owned()).is_err() {
                break;
            }
        }
    });
    let verbs = ("PILOTHOUSE_VERBS", "patroni_switchover,patroni_reinitialize,etcd_members");
    let gateway = start(&stack, &[("AWS_LAMBDA_LOG_LEVEL", "TRACE"), verbs]);
    let item = json!({"id": "1", "address": address.ip(), "port": port, "leader": "a", "candidate": "b",
        "credentials": {"username": "root", "password": PASSWORD}});
    for verb in ["patroni_switchover", "patroni_reinitialize", "etcd_members"] {
        let answer = gateway.invoke(&json!({"v": 1, "verb": verb, "items": [item]})).unwrap();
        assert!(self::item(&answer, "1")["ok"].is_object(), "{answer}");
        assert!(!answer.to_string().contains(PASSWORD), "{answer}");
        gateway.wait_for_line(|line| line.contains("\"answered\"") && line.contains(verb), LIMIT).unwrap();
    }
    let heard: Vec<String> = hearing.try_iter().collect();
    let basic = "cm9vdDp4eXp6eS1wbHVnaC00Mg==";
    for secret in [PASSWORD, basic, token] {
        assert!(heard.iter().any(|request| request.contains(secret)), "{secret} was sent: {heard:#?}");
        let log = gateway.log_lines();
        assert!(!log.iter().any(|line| line.contains(secret)), "{secret}: {log:#?}");
    }
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
