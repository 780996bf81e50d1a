//! The gateway's answers: which items, in which order, within which time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ports::{NameAnswer, Names};
use reach::gateway::{
    Admits, Answer, Answered, ErrorCode, Gateway, ItemError, MOST_ITEMS, Outcome, Probed, Resolved, Verb,
};
use serde_json::{Value, json};
use stack::Listener;
use tokio::time::{Instant, timeout};

/// Names that say what they are to answer, and count how many are asked at the same time.
#[derive(Debug, Default)]
struct Fake {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Names for Fake {
    async fn resolve(&self, host: &str, limit: Duration) -> NameAnswer {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let answer = match host {
            "silent" => {
                let _ = timeout(limit, std::future::pending::<()>()).await;
                NameAnswer::TimedOut
            }
            "slow" => {
                let _ = timeout(Duration::from_millis(300), std::future::pending::<()>()).await;
                NameAnswer::NoData
            }
            "gone" => NameAnswer::NxDomain,
            _ => NameAnswer::Addresses {
                addresses: vec![Ipv4Addr::new(10, 9, 0, 5).into()],
                ttl: Duration::from_secs(7),
            },
        };
        self.now.fetch_sub(1, Ordering::SeqCst);
        answer
    }
}

fn gateway(admits: Admits) -> Gateway<Fake> {
    Gateway { verbs: Verb::ALL.into(), names: Fake::default(), admits }
}

fn only_loopback(address: Ipv4Addr) -> Result<(), String> {
    if address.is_loopback() { Ok(()) } else { Err(format!("{address} is not for us")) }
}

fn counts(answered: &Answered) -> BTreeMap<&str, usize> {
    answered.counts.iter().map(|(result, n)| (result.as_str(), *n)).collect()
}

fn resolve(hosts: &[&str]) -> Value {
    let items: Vec<Value> =
        hosts.iter().enumerate().map(|(n, host)| json!({"id": n.to_string(), "host": host})).collect();
    json!({"v": 1, "verb": "resolve", "items": items})
}

#[tokio::test]
async fn names_are_answered_in_the_order_of_the_request() {
    let answered = gateway(only_loopback).answer(&resolve(&["slow", "db", "gone"])).await;
    assert_eq!(
        answered.answer,
        json!({"v": 1, "items": [
            {"id": "0", "error": {"code": "NoData", "message": "the name has no address"}},
            {"id": "1", "ok": {"addresses": ["10.9.0.5"], "ttl_seconds": 7}},
            {"id": "2", "error": {"code": "NxDomain", "message": "the name does not exist"}},
        ]})
    );
    assert_eq!(answered.verb, Some(Verb::Resolve));
    assert_eq!(counts(&answered), BTreeMap::from([("NoData", 1), ("NxDomain", 1), ("ok", 1)]));
    let read = Answer::<Resolved>::read(answered.answer).unwrap();
    assert!(matches!(read.items[1].outcome, Outcome::Ok(_)));
}

#[tokio::test]
async fn a_full_request_of_silent_names_ends_in_time_and_is_asked_whole() {
    let gateway = gateway(only_loopback);
    let before = Instant::now();
    let answered = gateway.answer(&resolve(&["silent"; MOST_ITEMS])).await;
    assert!(before.elapsed() < Duration::from_secs(9), "its caller waits no longer: {:?}", before.elapsed());
    assert_eq!(counts(&answered), BTreeMap::from([("TimedOut", MOST_ITEMS)]), "each had its turn");
    assert_eq!(gateway.names.most.load(Ordering::SeqCst), 50);
}

#[tokio::test]
async fn servers_are_probed_where_they_are_admitted_and_nowhere_else() {
    let closing = Listener::start().unwrap();
    let mut refusing = Listener::start().unwrap();
    refusing.stop();
    let request = json!({"v": 1, "verb": "probe", "items": [
        {"id": "refused", "address": "127.0.0.1", "port": refusing.address().port()},
        {"id": "closed", "address": "127.0.0.1", "port": closing.address().port()},
        {"id": "elsewhere", "address": "169.254.169.254", "port": 80},
        {"id": "bad", "address": "127.0.0.1", "port": 0},
        {"id": "clear", "address": "127.0.0.1", "port": 5432, "credentials": {"username": "a", "password": "b"}},
    ]});
    let answered = gateway(only_loopback).answer(&request).await;
    let codes: Vec<&str> =
        answered.answer["items"].as_array().unwrap().iter().map(|i| i["error"]["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["ConnectionRefused", "ConnectionClosed", "AddressRefused", "BadItem", "BadItem"]);
    assert_eq!(answered.answer["items"][2]["error"]["message"], "169.254.169.254 is not for us");
    let message = answered.answer["items"][4]["error"]["message"].as_str().unwrap();
    assert!(message.contains("verified TLS"), "{message}");
    assert_eq!(counts(&answered)["BadItem"], 2);

    let none = gateway(|_| Err("nowhere".to_owned()));
    let before = closing.accepted();
    let answered = none.answer(&request).await;
    assert_eq!(counts(&answered)["AddressRefused"], 5);
    assert_eq!(closing.accepted(), before, "nothing is sent");
}

#[tokio::test]
async fn a_refusal_is_read_as_one() {
    let answered = gateway(only_loopback).answer(&json!({"v": 7})).await;
    assert_eq!(counts(&answered), BTreeMap::from([("UnsupportedVersion", 1)]));
    let refusal = Answer::<Probed>::read(answered.answer).unwrap_err();
    assert_eq!(ErrorCode::of(&refusal.code), Some(ErrorCode::UnsupportedVersion));
    for nonsense in
        [json!(null), json!({"items": []}), json!({"v": 1, "items": [{"ok": {}}]}), json!({"v": 1, "error": "x"})]
    {
        let error = Answer::<Probed>::read(nonsense.clone()).unwrap_err();
        assert_eq!(error.code, "BadAnswer", "{nonsense}");
    }
    let newer = json!({"v": 2, "items": [{"id": "1", "ok": {"tls": true, "new": 1}, "took": 7}], "more": true});
    let read = Answer::<Probed>::read(newer).unwrap();
    assert_eq!(read.items[0].outcome, Outcome::Ok(Probed { tls: true, server: None }));
    let _: ItemError = refusal;
}
