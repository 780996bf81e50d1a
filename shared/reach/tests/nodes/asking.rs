//! What the tests ask for, in short.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use lab::{Authority, Identity};
use ports::{Gateways as _, NameAnswer, Names};
use reach::gateway::{Gateway, InProcess, Verb};
use serde_json::{Value, json};

/// The name in the certificates.
pub(crate) const NAME: &str = "node.example.internal";
/// The user.
pub(crate) const USER: &str = "pilothouse";
/// Its password, which must not show anywhere.
pub(crate) const PASSWORD: &str = "xyzzy-plugh-42";

/// No names are looked up here.
pub(crate) struct Nameless;

impl Names for Nameless {
    async fn resolve(&self, _: &str, _: Duration) -> NameAnswer {
        NameAnswer::NxDomain
    }
}

/// Asks for one item, and gives what came of it. The answer must not hold the password.
pub(crate) async fn ask(verb: Verb, item: &Value) -> Value {
    ask_with(verb, item, |_| Ok(())).await
}

pub(crate) async fn ask_with(verb: Verb, item: &Value, admits: fn(Ipv4Addr) -> Result<(), String>) -> Value {
    let gateway = InProcess(Gateway { verbs: Verb::ALL.into(), names: Nameless, admits });
    let mut item = item.clone();
    item["id"] = json!("1");
    let request = json!({"v": 1, "verb": verb.word(), "items": [item]});
    let answer = gateway.invoke("any", request.to_string().into_bytes()).await.unwrap();
    assert!(!answer.to_string().contains(PASSWORD), "{answer}");
    answer["items"][0].clone()
}

/// The code of what went wrong, and the message.
#[track_caller]
pub(crate) fn error(outcome: &Value) -> (String, String) {
    let text = |name: &str| outcome["error"][name].as_str().unwrap_or_else(|| panic!("no error: {outcome}")).to_owned();
    (text("code"), text("message"))
}

/// A server, without more.
pub(crate) fn at(address: SocketAddr) -> Value {
    json!({"address": address.ip(), "port": address.port()})
}

/// The same with `more`.
pub(crate) fn with(item: Value, more: Value) -> Value {
    let mut item = item;
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    item
}

pub(crate) fn cluster(address: SocketAddr) -> Value {
    with(at(address), json!({"what": "cluster"}))
}

pub(crate) fn credentials() -> Value {
    json!({"credentials": {"username": USER, "password": PASSWORD}})
}

pub(crate) fn tls(authority: &Authority) -> Value {
    json!({"tls": {"ca": authority.pem(), "server_name": NAME}})
}

/// The same with a certificate of ours.
pub(crate) fn showing(authority: &Authority, ours: &Identity) -> Value {
    json!({"tls": {"ca": authority.pem(), "server_name": NAME, "cert": ours.certificate, "key": ours.key}})
}
