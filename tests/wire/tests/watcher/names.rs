//! What the name of the primary may answer.

use serde_json::json;
use stack::{PeeringChange, Zone};
use wire::{ACME, FIRST, HOST, Scene, condition, text};

#[test]
fn w2_no_failure_of_dns_takes_a_target_away() {
    let mut scene = Scene::serving();
    for (zone, outcome, reason) in [
        (Zone::NxDomain, "blocked", "NxDomain"),
        (Zone::NoData, "blocked", "NoData"),
        (Zone::ServFail, "waiting", "ServFail"),
        (Zone::Refused, "blocked", "Refused"),
        (Zone::Silent, "waiting", "DnsTimedOut"),
        (Zone::addresses(&[], 0), "blocked", "NoData"),
    ] {
        scene.stack.dns.set(HOST, zone.clone());
        let told = scene.notices().len();
        // The last round with a cold watcher: what was good is known from the table alone.
        for cold in [false, true] {
            if cold {
                scene.cold_start();
            }
            let mark = scene.mark();
            let found = scene.look(ACME);
            assert_eq!([&found["outcome"], &found["reason"]], [outcome, reason], "{zone:?}: {found:#}");
            assert_eq!(condition(&found, "NameResolves"), format!("false {reason}"));
            assert!(text(&found["message"]).contains(HOST), "{found:#}");
            assert_eq!(scene.world_mutations_since(mark), [""; 0], "{zone:?}");
        }
        assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"], "{zone:?}");
        let noticed = format!("{ACME} NameResolves false {reason}");
        let notices = scene.notices().split_off(told);
        assert_eq!(notices.iter().filter(|n| **n == noticed).count(), 1, "{zone:?}: {notices:?}");

        scene.name_moves_to(&[FIRST]);
        assert_eq!(condition(&scene.look(ACME), "NameResolves"), "true Resolved", "after {zone:?}");
    }
}

#[test]
fn watcher_case_a_name_that_fails_registers_once_it_answers() {
    for zone in [Zone::NxDomain, Zone::ServFail] {
        let scene = Scene::with_peering("active");
        scene.stack.dns.set(HOST, zone);
        scene.put(&scene.spec(ACME));
        scene.look(ACME);
        assert!(scene.targets(ACME).is_empty());
        scene.name_moves_to(&[FIRST]);
        assert_eq!(scene.look(ACME)["reason"], "PrimaryRegistered");
        assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
    }
}

/// Answers that may never be registered, and the condition AddressAllowed (or NameResolves) of each. The peer is
/// 10.9.0.0/16, of which 10.9.0.0/17 is allowed; our VPC is 10.200.0.0/16.
const INADMISSIBLE: [(&[&str], &str); 21] = [
    (&["52.1.2.3"], "PeerDnsResolutionOff"),
    (&["8.8.8.8"], "PeerDnsResolutionOff"),
    (&["172.32.0.5"], "PeerDnsResolutionOff"),
    (&["10.200.0.5"], "AddressInsideOurVpc"),
    (&["10.200.255.255"], "AddressInsideOurVpc"),
    (&["10.10.0.5"], "AddressOutsidePeer"),
    (&["192.168.0.5"], "AddressOutsidePeer"),
    (&["100.64.0.5"], "AddressOutsidePeer"),
    (&["10.9.128.5"], "AddressOutsideAllowed"),
    (&["127.0.0.1"], "AddressSpecial"),
    (&["127.9.0.5"], "AddressSpecial"),
    (&["169.254.169.254"], "AddressSpecial"),
    (&["224.0.0.5"], "AddressSpecial"),
    (&["239.9.0.5"], "AddressSpecial"),
    (&["0.0.0.0"], "AddressSpecial"),
    (&["0.9.0.5"], "AddressSpecial"),
    (&["240.0.0.5"], "AddressSpecial"),
    (&["255.255.255.255"], "AddressSpecial"),
    (&["10.9.0.6", "10.9.0.7"], "SeveralAddresses"),
    (&["10.9.0.5", "52.1.2.3"], "SeveralAddresses"),
    (&["fd00::5"], "AaaaOnly"),
];

#[test]
fn w1_an_inadmissible_address_is_never_registered() {
    let narrow = json!(["10.9.0.0/17"]);
    for serving in [false, true] {
        let scene = Scene::with_peering("active");
        if !serving {
            scene.stack.dns.set(HOST, Zone::NoData);
        }
        scene.put(&scene.spec_with(ACME, &[("/primary/peerings/0/allowed_cidrs", narrow.clone())]));
        for _ in 0..3 {
            scene.look(ACME);
        }
        let before = scene.targets(ACME);
        assert_eq!(before.len(), usize::from(serving), "{before:?}");
        let mark = scene.mark();
        for (answer, reason) in INADMISSIBLE {
            scene.name_moves_to(answer);
            // Two equal answers would make a switch.
            for _ in 0..2 {
                let found = scene.look(ACME);
                assert_eq!(found["outcome"], "blocked", "{answer:?}: {found:#}");
                let conditions = ["NameResolves", "AddressAllowed"].map(|name| condition(&found, name));
                assert!(conditions.contains(&format!("false {reason}")), "{answer:?}: {conditions:?}");
            }
        }
        let calls = scene.names_since(mark);
        assert!(
            !calls.iter().any(|c| c.ends_with(":RegisterTargets") || c.ends_with(":DeregisterTargets")),
            "{calls:?}"
        );
        assert_eq!(scene.targets(ACME), before, "what served goes on serving");
    }
}

#[test]
fn watcher_case_aaaa_beside_an_a_record_is_not_looked_at() {
    let scene = Scene::with_peering("active");
    scene.name_moves_to(&["fd00::5", FIRST]);
    scene.put(&scene.spec(ACME));
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
}

#[test]
fn watcher_case_cname_chain_and_a_long_answer_over_tcp() {
    let scene = Scene::with_peering("active");
    let alias = |to: &str| Zone::Alias { to: to.to_owned(), ttl: 0 };
    scene.stack.dns.set(HOST, alias("acme.cluster-abc.eu-central-1.rds.example.net"));
    scene.stack.dns.set("acme.cluster-abc.eu-central-1.rds.example.net", alias("ip-10-9-0-5.example.net"));
    scene.stack.dns.set("ip-10-9-0-5.example.net", Zone::Truncated { ips: vec![FIRST.parse().unwrap()], ttl: 0 });
    scene.put(&scene.spec(ACME));
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
    assert!(scene.stack.dns.queries().iter().any(|q| q.over_tcp), "the answer over UDP was cut short");
    // The end of the chain decides what is admitted.
    let mark = scene.mark();
    scene.stack.dns.set("ip-10-9-0-5.example.net", Zone::addresses(&["10.200.0.5"], 0));
    assert_eq!(condition(&scene.look(ACME), "AddressAllowed"), "false AddressInsideOurVpc");
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
}

#[test]
fn watcher_case_an_ip_literal_needs_no_dns_and_is_admitted_like_any_other() {
    let scene = Scene::with_peering("active");
    let host = |address: &str| scene.put(&scene.spec_with(ACME, &[("/primary/endpoints/0/host", json!(address))]));
    host("10.9.0.6");
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.6:5432 healthy"]);
    assert_eq!(scene.stack.dns.queries(), []);
    let mark = scene.mark();
    host("10.10.0.5");
    let found = scene.look(ACME);
    assert_eq!(condition(&found, "AddressAllowed"), "false AddressOutsidePeer", "{found:#}");
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
}

#[test]
fn w1_the_address_that_was_admitted_is_the_one_that_is_registered() {
    // A rebinding server: whoever asks twice in a pass gets another answer.
    let scene = Scene::with_peering("active");
    scene.put(&scene.spec(ACME));
    scene.look(ACME);
    let asked = scene.stack.dns.queries().iter().filter(|q| q.name == HOST).count();
    assert_eq!(asked, 1, "one question for each pass");
}

#[test]
fn watcher_case_several_addresses_of_an_any_endpoint_all_serve() {
    let scene = Scene::with_peering("active");
    scene.put(&scene.spec_with(ACME, &[("/primary/endpoints/0/role", json!("any"))]));
    scene.name_moves_to(&[FIRST, "10.9.0.6"]);
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy", "10.9.0.6:5432 healthy"]);
    // One comes, one goes: the new one at once, the old one after two answers without it.
    scene.name_moves_to(&["10.9.0.6", "10.9.0.7"]);
    scene.look(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy", "10.9.0.6:5432 healthy", "10.9.0.7:5432 healthy"]);
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy", "10.9.0.7:5432 healthy"]);
    // An inadmissible one among them is left out and told.
    scene.name_moves_to(&["10.9.0.6", "10.9.0.7", "52.1.2.3"]);
    let found = scene.look(ACME);
    assert_eq!(condition(&found, "AddressAllowed"), "false PeerDnsResolutionOff", "{found:#}");
    assert_eq!(scene.serving_targets(ACME), 2);
}

#[test]
fn watcher_case_public_ip_while_dns_resolution_is_off_on_the_peers_side() {
    let scene = Scene::serving();
    scene.name_moves_to(&["52.1.2.3"]);
    let found = scene.look(ACME);
    assert_eq!(condition(&found, "AddressAllowed"), "false PeerDnsResolutionOff", "{found:#}");
    assert!(text(&found["message"]).contains(&scene.connection(ACME)), "{found:#}");
    // The peer enables it. A name that is public all the same is another matter.
    let connection_id = scene.connection(ACME);
    scene
        .stack
        .change_peering(&PeeringChange { connection_id, peer_resolves: Some(true), ..PeeringChange::default() })
        .unwrap();
    assert_eq!(condition(&scene.look(ACME), "AddressAllowed"), "false AddressPublic");
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"], "the last good one is kept");
}
