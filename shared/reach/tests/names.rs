//! `Resolver` against real DNS servers on this machine.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "clippy takes helpers of a test for no test")]

use std::net::SocketAddr;
use std::time::Duration;

use ports::{NameAnswer, Names};
use reach::Resolver;
use stack::{DnsServer, Zone};
use tokio::time::Instant;

const HOST: &str = "db.example.internal";
const LIMIT: Duration = Duration::from_secs(8);

fn resolver(servers: &[&DnsServer]) -> Resolver {
    let addresses: Vec<SocketAddr> = servers.iter().map(|server| server.address()).collect();
    Resolver::new(Some(&addresses))
}

fn found(addresses: &[&str], ttl: u64) -> NameAnswer {
    NameAnswer::Addresses {
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        ttl: Duration::from_secs(ttl),
    }
}

/// The queries that a server got, as `type/transport`.
fn asked(server: &DnsServer) -> Vec<String> {
    server
        .queries()
        .iter()
        .map(|query| {
            assert_eq!(query.name, HOST, "a search domain was added");
            let transport = if query.over_tcp { "tcp" } else { "udp" };
            format!("{}/{transport}", query.record_type)
        })
        .collect()
}

#[tokio::test]
async fn addresses_are_sorted_and_asked_for_once() {
    let server = DnsServer::start().unwrap();
    server.set(HOST, Zone::addresses(&["10.9.0.7", "10.9.0.5", "fd00::5"], 30));
    let answer = resolver(&[&server]).resolve(HOST, LIMIT).await;
    assert_eq!(answer, found(&["10.9.0.5", "10.9.0.7"], 30));
    assert_eq!(asked(&server), ["A/udp"]);
}

#[tokio::test]
async fn watcher_case_a_warm_container_keeps_no_address() {
    let server = DnsServer::start().unwrap();
    let resolver = resolver(&[&server]);
    assert_eq!(resolver.resolve(HOST, LIMIT).await, NameAnswer::NxDomain);
    server.set(HOST, Zone::addresses(&["10.9.0.5"], 3600));
    assert_eq!(resolver.resolve(HOST, LIMIT).await, found(&["10.9.0.5"], 3600));
    server.set(HOST, Zone::addresses(&["10.9.0.6"], 3600));
    assert_eq!(resolver.resolve(HOST, LIMIT).await, found(&["10.9.0.6"], 3600));
}

#[tokio::test]
async fn the_ttl_is_the_smallest_along_the_chain_of_aliases() {
    let server = DnsServer::start().unwrap();
    server.set(HOST, Zone::Alias { to: "mid.test".to_owned(), ttl: 40 });
    server.set("mid.test", Zone::Alias { to: "end.test".to_owned(), ttl: 7 });
    server.set("end.test", Zone::addresses(&["10.9.0.5"], 60));
    let resolver = resolver(&[&server]);
    assert_eq!(resolver.resolve(HOST, LIMIT).await, found(&["10.9.0.5"], 7));

    server.set("mid.test", Zone::Alias { to: "end.test".to_owned(), ttl: 50 });
    assert_eq!(resolver.resolve(HOST, LIMIT).await, found(&["10.9.0.5"], 40));
    server.set("end.test", Zone::addresses(&["10.9.0.5"], 3));
    assert_eq!(resolver.resolve(HOST, LIMIT).await, found(&["10.9.0.5"], 3));
    server.set("end.test", Zone::NxDomain);
    assert_eq!(resolver.resolve(HOST, LIMIT).await, NameAnswer::NxDomain);
    server.set("end.test", Zone::NoData);
    assert_eq!(resolver.resolve(HOST, LIMIT).await, NameAnswer::NoData);
}

#[tokio::test]
async fn an_answer_that_was_cut_short_is_fetched_over_tcp() {
    let server = DnsServer::start().unwrap();
    server.set(HOST, Zone::Truncated { ips: vec!["10.9.0.5".parse().unwrap()], ttl: 30 });
    let answer = resolver(&[&server]).resolve(HOST, LIMIT).await;
    assert_eq!(answer, found(&["10.9.0.5"], 30));
    assert_eq!(asked(&server), ["A/udp", "A/tcp"]);
}

#[tokio::test]
async fn a_name_with_only_ipv6_addresses_gives_those() {
    let server = DnsServer::start().unwrap();
    server.set(HOST, Zone::addresses(&["fd00::6", "fd00::5"], 30));
    let answer = resolver(&[&server]).resolve(HOST, LIMIT).await;
    assert_eq!(answer, found(&["fd00::5", "fd00::6"], 30));
    assert_eq!(asked(&server), ["A/udp", "AAAA/udp"]);
}

#[tokio::test]
async fn each_failure_is_its_own_answer() {
    let server = DnsServer::start().unwrap();
    let resolver = resolver(&[&server]);
    for (zone, expected, queries) in [
        (Zone::NxDomain, NameAnswer::NxDomain, &["A/udp"][..]),
        (Zone::NoData, NameAnswer::NoData, &["A/udp", "AAAA/udp"]),
        (Zone::ServFail, NameAnswer::ServFail, &["A/udp", "A/udp"]),
        (Zone::Refused, NameAnswer::Refused, &["A/udp"]),
    ] {
        server.reset();
        server.set(HOST, zone.clone());
        assert_eq!(resolver.resolve(HOST, LIMIT).await, expected, "{zone:?}");
        assert_eq!(asked(&server), queries, "{zone:?}");
    }
}

#[tokio::test]
async fn a_server_that_fails_refuses_or_is_silent_is_passed_over() {
    let good = DnsServer::start().unwrap();
    good.set(HOST, Zone::addresses(&["10.9.0.5"], 30));
    for zone in [Zone::Refused, Zone::ServFail, Zone::Silent] {
        let bad = DnsServer::start().unwrap();
        bad.set(HOST, zone.clone());
        let answer = resolver(&[&bad, &good]).resolve(HOST, LIMIT).await;
        assert_eq!(answer, found(&["10.9.0.5"], 30), "{zone:?}");
        assert!(!asked(&bad).is_empty(), "{zone:?}");
    }
    let gone = DnsServer::start().unwrap();
    let address = gone.address();
    drop(gone);
    let answer = Resolver::new(Some(&[address, good.address()])).resolve(HOST, LIMIT).await;
    assert_eq!(answer, found(&["10.9.0.5"], 30));
}

#[tokio::test]
async fn the_first_server_that_knows_is_believed() {
    let (first, second) = (DnsServer::start().unwrap(), DnsServer::start().unwrap());
    second.set(HOST, Zone::addresses(&["10.9.0.5"], 30));
    let answer = resolver(&[&first, &second]).resolve(HOST, LIMIT).await;
    assert_eq!(answer, NameAnswer::NxDomain);
    assert!(second.queries().is_empty());
}

#[tokio::test]
async fn of_several_failures_the_most_telling_one_is_given() {
    let (silent, refusing, failing) =
        (DnsServer::start().unwrap(), DnsServer::start().unwrap(), DnsServer::start().unwrap());
    silent.set(HOST, Zone::Silent);
    refusing.set(HOST, Zone::Refused);
    failing.set(HOST, Zone::ServFail);
    let ask = |first, second, limit| async move { resolver(&[first, second]).resolve(HOST, limit).await };
    assert_eq!(ask(&refusing, &failing, LIMIT).await, NameAnswer::ServFail);
    // Neither the silence that follows nor the end of the time takes back what a server has said.
    assert_eq!(ask(&failing, &silent, LIMIT).await, NameAnswer::ServFail);
    assert_eq!(ask(&refusing, &silent, Duration::from_millis(300)).await, NameAnswer::Refused);
}

#[tokio::test]
async fn silence_times_out_within_the_limit_and_is_asked_once_by_us() {
    let server = DnsServer::start().unwrap();
    server.set(HOST, Zone::Silent);
    let resolver = resolver(&[&server]);

    let start = Instant::now();
    assert_eq!(resolver.resolve(HOST, Duration::from_millis(200)).await, NameAnswer::TimedOut);
    assert!(start.elapsed() < Duration::from_millis(600), "{:?}", start.elapsed());

    let start = Instant::now();
    assert_eq!(resolver.resolve(HOST, LIMIT).await, NameAnswer::TimedOut);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(1400), "{took:?}");
    assert!(took < Duration::from_millis(2500), "{took:?}");
}

#[tokio::test]
async fn a_call_that_was_cut_off_does_not_spoil_the_next() {
    let server = DnsServer::start().unwrap();
    server.set(HOST, Zone::Silent);
    let resolver = resolver(&[&server]);
    resolver.resolve(HOST, Duration::from_millis(100)).await;
    server.set(HOST, Zone::addresses(&["10.9.0.5"], 30));
    assert_eq!(resolver.resolve(HOST, Duration::from_millis(900)).await, found(&["10.9.0.5"], 30));
}

#[tokio::test]
async fn the_system_s_servers_are_read_without_asking_them() {
    // Whatever this machine is configured with: building must not fail, and an address needs no server.
    let answer = Resolver::new(None).resolve("10.9.0.5", LIMIT).await;
    assert_eq!(answer, found(&["10.9.0.5"], 0));
}

/// This process's open sockets.
fn sockets() -> usize {
    let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let opened = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    opened.filter(|to| to.to_string_lossy().starts_with("socket:")).count()
}

#[tokio::test]
async fn a_fleets_names_do_not_use_up_the_files_that_a_function_may_open() {
    let server = DnsServer::start().unwrap();
    let resolver = std::sync::Arc::new(resolver(&[&server]));
    let mut asked = tokio::task::JoinSet::new();
    for n in 0..400 {
        let (resolver, host) = (std::sync::Arc::clone(&resolver), format!("db{n}.example.internal"));
        server.set(&host, if n < 300 { Zone::Silent } else { Zone::addresses(&["10.9.0.5"], 30) });
        asked.spawn(async move { resolver.resolve(&host, LIMIT).await });
    }
    let mut most = 0;
    for _ in 0..20 {
        tokio::time::timeout(Duration::from_millis(100), std::future::pending::<()>()).await.unwrap_err();
        most = most.max(sockets());
    }
    assert!((250..850).contains(&most), "{most} sockets");
    let answers = asked.join_all().await;
    let answered = answers.iter().filter(|answer| **answer == found(&["10.9.0.5"], 30)).count();
    assert_eq!((answers.len(), answered), (400, 100), "who waited for a turn lost none of the time to ask in");
}
