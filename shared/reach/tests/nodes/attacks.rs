//! Hosts that answer what no Patroni and no etcd would. Patroni's verb stands for all: they have one client.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use lab::Authority;
use reach::gateway::Verb;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::asking::{NAME, ask, ask_with, at, cluster, credentials, error, showing, tls, with};
use crate::host::{Act, Host, json};

async fn code(act: Act) -> (String, String) {
    let host = Host::always(act).await;
    error(&ask(Verb::PatroniGet, &with(cluster(host.address), credentials())).await)
}

fn send(text: &str) -> Act {
    Act::Send(text.as_bytes().to_vec())
}

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

#[tokio::test]
async fn an_answer_has_a_longest_body_however_it_is_sent() {
    let page = vec![b'x'; 16 * 1024];
    let chunk = [bytes("4000\r\n"), page.clone(), bytes("\r\n")].concat();
    for act in [
        Act::Forever(bytes("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"), page.clone()),
        Act::Forever(bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), chunk),
        Act::Forever(bytes("HTTP/1.0 200 OK\r\n\r\n"), page),
    ] {
        let host = Host::always(act).await;
        let (code, message) = error(&ask(Verb::PatroniGet, &cluster(host.address)).await);
        assert_eq!(code, "AnswerTooLong", "{message}");
        assert!(message.contains("262144 bytes"), "{message}");
        // The system's buffers take some millions more.
        assert!(host.taken() < 12_000_000, "{}", host.taken());
    }
    // One that is right, but would take the place of the others' answers.
    let long = json!({"members": vec!["x".repeat(100); 500]});
    let (code, message) = code(json(&long)).await;
    assert_eq!(code, "AnswerTooLong", "{message}");
    let short = json!({"members": vec!["x".repeat(100); 400]});
    let host = Host::always(json(&short)).await;
    assert_eq!(ask(Verb::PatroniGet, &cluster(host.address)).await["ok"], json!({"status": 200, "body": short}));
}

#[tokio::test]
async fn an_answer_has_a_longest_head() {
    let line = format!("X-Line: {}\r\n", "x".repeat(1000));
    for act in [
        Act::Forever(bytes("HTTP/1.1 200 OK\r\n"), bytes(&line)),
        Act::Forever(bytes("HTTP/1.1 200 OK\r\nX-Line: "), vec![b'x'; 1000]),
        Act::Forever(bytes("HTTP/1.1 200 "), vec![b'x'; 1000]),
        send(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(100))),
    ] {
        let (code, message) = code(act).await;
        assert_eq!(code, "AnswerTooLong", "{message}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_said_to_be_none() {
    for text in [
        "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        "N",
        "\u{0}\u{0}\u{0}",
        "200 OK\r\n\r\n{}",
        "HTTP/1.1 OK\r\n\r\n{}",
        "HTTP/3.0 200 OK\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\n{}",
    ] {
        let (code, message) = code(send(text)).await;
        // A text that could still become HTTP ends too early instead.
        let expected: &[&str] = if text.len() < 4 { &["NotHttp", "ConnectionClosed"] } else { &["NotHttp"] };
        assert!(expected.contains(&code.as_str()), "{text:?}: {code}: {message}");
        assert!(!message.contains('\u{0}'), "{message:?}");
    }
}

#[tokio::test]
async fn an_answer_that_ends_too_early_is_none() {
    for text in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nSwitchover failed",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ] {
        let (code, message) = code(send(text)).await;
        assert_eq!(code, "ConnectionClosed", "{text:?}: {message}");
    }
}

/// The time counts from the first packet to the last byte.
#[tokio::test]
async fn a_host_that_takes_its_time_is_left() {
    let whole = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: {}\r\n\r\n{{}}", "x".repeat(200));
    let endless = Act::Forever(Vec::new(), bytes("HTTP/1.1 100 Continue\r\n\r\n"));
    let before = tokio::time::Instant::now();
    let acts = [Act::Hang, Act::Drip(bytes(&whole)), endless];
    for (act, (code, message)) in acts.iter().zip(join_all(acts.iter().cloned().map(code)).await) {
        assert_eq!(code, "TimedOut", "{act:?}: {message}");
        assert_eq!(message, "waiting for the answer took longer than 4.0 s");
    }
    assert!(before.elapsed() < Duration::from_secs(9), "its caller waits no longer: {:?}", before.elapsed());
}

#[tokio::test]
async fn a_host_that_is_not_there_is_told_apart_from_one_that_does_not_shake_hands() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let authority = Authority::new("customer").unwrap();
    let silent = ask(Verb::PatroniGet, &with(cluster(address), tls(&authority))).await;
    assert_eq!(error(&silent), ("TimedOut".to_owned(), "the TLS handshake took longer than 4.0 s".to_owned()));
    drop(listener);
    assert_eq!(error(&ask(Verb::PatroniGet, &cluster(address)).await).0, "ConnectionRefused");
    let broadcast = SocketAddr::from((Ipv4Addr::BROADCAST, 8008));
    assert_eq!(error(&ask(Verb::PatroniGet, &cluster(broadcast)).await).0, "Unreachable");
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let elsewhere = Host::always(json(&json!({}))).await;
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location =
            format!("HTTP/1.1 {status}\r\nLocation: http://{}/\r\nContent-Length: 4\r\n\r\naway", elsewhere.address);
        let host = Host::always(send(&location)).await;
        let said = ask(Verb::PatroniGet, &with(cluster(host.address), credentials())).await;
        let number: u16 = status.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(said["ok"], json!({"status": number, "body": "away"}));
        let etcd = ask(Verb::EtcdMembers, &at(host.address)).await;
        assert_eq!(error(&etcd).0, "NotEtcd");
    }
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn nothing_is_sent_to_an_address_that_is_not_admitted() {
    let host = Host::always(json(&json!({}))).await;
    for (verb, more) in [
        (Verb::PatroniGet, json!({"what": "node"})),
        (Verb::PatroniSwitchover, json!({"leader": "a", "candidate": "b"})),
        (Verb::EtcdMembers, json!({})),
        (Verb::EtcdAddLearner, json!({"peer_url": "http://10.0.1.10:2380"})),
        (Verb::EtcdPromote, json!({"member": "1"})),
        (Verb::EtcdRemove, json!({"member": "1"})),
        (Verb::EtcdMoveLeader, json!({"member": "1"})),
    ] {
        let item = with(at(host.address), more);
        let refused = ask_with(verb, &item, |address| Err(format!("{address} is not for us"))).await;
        assert_eq!(error(&refused), ("AddressRefused".to_owned(), "127.0.0.1 is not for us".to_owned()), "{verb:?}");
        let portless = with(item, json!({"port": 0}));
        assert_eq!(error(&ask(verb, &portless).await).0, "BadItem", "{verb:?}");
    }
    assert!(host.asked().is_empty());
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_ends_it_before_anything_is_said() {
    let authority = Authority::new("customer").unwrap();
    let stranger = Authority::new("stranger").unwrap();
    let good = Host::over_tls(&authority.server(&[NAME]).unwrap(), None, json(&json!({}))).await;
    let expired = Host::over_tls(&authority.expired_server(&[NAME]).unwrap(), None, json(&json!({}))).await;
    let plain = Host::always(json(&json!({}))).await;
    let item = |address: SocketAddr, tls: Value| with(with(cluster(address), credentials()), tls);
    let mut elsewhere = tls(&authority);
    elsewhere["tls"]["server_name"] = json!("other.example.internal");
    let mut by_the_system = tls(&authority);
    by_the_system["tls"].as_object_mut().unwrap().remove("ca");
    for (address, tls) in [
        (good.address, tls(&stranger)),
        (good.address, elsewhere),
        (good.address, by_the_system),
        (expired.address, tls(&authority)),
        (plain.address, tls(&authority)),
    ] {
        let (code, message) = error(&ask(Verb::PatroniGet, &item(address, tls.clone())).await);
        // A plain server waits for the rest of a request that never comes.
        let closed = address == plain.address && ["ConnectionClosed", "TimedOut"].contains(&code.as_str());
        assert!(code == "TlsFailed" || closed, "{tls}: {code}: {message}");
    }
    assert!(good.asked().is_empty() && expired.asked().is_empty() && plain.asked().is_empty());
    let answered = ask(Verb::PatroniGet, &item(good.address, tls(&authority))).await;
    assert_eq!(answered["ok"], json!({"status": 200, "body": {}}));
    let in_plain = ask(Verb::PatroniGet, &cluster(good.address)).await;
    assert!(["NotHttp", "ConnectionClosed"].contains(&error(&in_plain).0.as_str()), "{in_plain}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let authority = Authority::new("customer").unwrap();
    let stranger = Authority::new("stranger").unwrap();
    let host =
        Host::over_tls(&authority.server(&[NAME]).unwrap(), Some(&authority), json(&json!({"members": []}))).await;
    let asked = |tls: Value| with(cluster(host.address), tls);
    let ours = authority.client("pilothouse").unwrap();
    let shown = ask(Verb::PatroniGet, &asked(showing(&authority, &ours))).await;
    assert_eq!(shown["ok"]["status"], 200, "{shown}");
    let strange = stranger.client("pilothouse").unwrap();
    for tls in [tls(&authority), showing(&authority, &strange)] {
        let (code, message) = error(&ask(Verb::PatroniGet, &asked(tls)).await);
        assert_eq!(code, "TlsFailed", "{message}");
    }
    let mut alone = showing(&authority, &ours);
    alone["tls"]["key"] = json!(null);
    assert_eq!(error(&ask(Verb::PatroniGet, &asked(alone)).await).0, "BadItem");
    assert_eq!(host.asked().len(), 1);
}

#[tokio::test]
async fn random_bytes_end_in_an_answer_or_an_error() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let heads = [
        "",
        "HTTP/1.1 ",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.0 503 No\r\n\r\n{\"error\":",
    ];
    let mut answered = 0;
    for n in 0..300 {
        let mut said = bytes(heads[random.usize(..heads.len())]);
        let length = random.usize(0..300);
        said.extend(std::iter::repeat_with(|| random.u8(..)).take(length));
        let host = Host::always(Act::Send(said)).await;
        let outcome = ask(Verb::PatroniGet, &with(cluster(host.address), credentials())).await;
        assert!(outcome["ok"].is_object() != outcome["error"].is_object(), "seed {seed}, stream {n}: {outcome}");
        answered += u32::from(outcome["ok"].is_object());
        let etcd = ask(Verb::EtcdMembers, &at(host.address)).await;
        assert!(etcd["error"].is_object(), "seed {seed}, stream {n}: {etcd}");
    }
    assert!(answered > 0, "seed {seed}: no stream was an answer, so they try too little");
}
