//! What a probe from inside the VPC changes: a proven writer is switched to at once, a proven standby is not, and nothing
//! that a probe fails to find takes anything away.

use domain::condition::ConditionKind::{
    AddressAllowed, IsWriter, NameResolves, Reachable, Registered, ReplicationReady,
};
use domain::reason::Reason;
use peering_watcher::observed::{Probe, Trouble};
use ports::{Health, NameAnswer};
use reach::gateway::{Probed, ServerFacts};
use serde_json::json;

use crate::world::{GROUP, NEW, OLD, SECOND_GROUP, World, answer, target};

const NOTHING: [&str; 0] = [];

fn facts(in_recovery: bool) -> ServerFacts {
    ServerFacts {
        version: 150_018,
        in_recovery,
        wal_level: "logical".to_owned(),
        max_replication_slots: 10,
        max_slot_wal_keep_size_mb: 4096,
        databases: 3,
    }
}

fn says(server: ServerFacts) -> Probe {
    Probe::Found(Probed { tls: true, server: Some(server) })
}

fn writer() -> Probe {
    says(facts(false))
}

fn standby() -> Probe {
    says(facts(true))
}

fn fails(reason: Reason) -> Probe {
    Probe::Nothing(Trouble { reason, message: "it did not work".to_owned() })
}

/// A cluster with a gateway and credentials, and a writer at the first address.
fn world() -> World {
    let mut world = World::new();
    world.spec["primary"]["gateway_function"] = json!("acme-transit");
    world.spec["primary"]["credentials_secret"] = json!("acme/probe");
    world.servers.insert(target(OLD), writer());
    world
}

fn register(address: &str) -> String {
    format!("RegisterTarget {address}")
}

fn deregister(address: &str) -> String {
    format!("DeregisterTarget {address}")
}

#[test]
fn a_writer_that_answers_is_said_to_be_reachable_the_writer_and_ready() {
    let world = world().settled();
    assert_eq!(world.says(Reachable), "true Reachable");
    assert_eq!(world.says(IsWriter), "true Writer");
    assert_eq!(world.says(ReplicationReady), "true LogicalReplicationReady");
    assert_eq!(world.ends(), "unchanged Settled");
}

#[test]
fn w5_a_settled_endpoint_is_probed_at_its_turn_alone() {
    let mut world = world().settled();
    let before = world.state.clone();
    world.pass_after(10);
    assert_eq!(world.probed, NOTHING);
    world.turn();
    assert_eq!(world.probed, [OLD]);
    assert_eq!(world.state, before, "the same findings are no news");
}

#[test]
fn w8_a_proven_writer_is_switched_to_at_once_and_the_proven_standby_goes() {
    let mut world = world().settled();
    world.servers.insert(target(OLD), standby());
    world.servers.insert(target(NEW), writer());
    world.dns(answer(&["10.9.0.6"], 3600));
    assert_eq!(world.pass_after(10), [register(NEW), deregister(OLD)], "no second answer, and no first health check");
    assert_eq!(world.ends(), "changed PrimarySwitched");
    world.heal();
    world.drain();
    world.settle();
    assert_eq!(world.targets(GROUP), [format!("{NEW} Healthy")]);
    assert_eq!(world.says(IsWriter), "true Writer");
}

#[test]
fn w8_the_old_writer_goes_when_it_is_dead() {
    let mut world = world().settled();
    world.servers.insert(target(OLD), fails(Reason::ConnectionRefused));
    world.servers.insert(target(NEW), writer());
    world.name_answers(&["10.9.0.6"]);
    assert_eq!(world.pass_after(10), [register(NEW), deregister(OLD)]);
}

#[test]
fn w8_an_old_writer_of_which_nothing_is_proven_waits_for_the_new_ones_health() {
    for old in [writer(), fails(Reason::ProbeTimedOut), fails(Reason::AuthenticationFailed), fails(Reason::TlsFailed)] {
        let mut world = world().settled();
        world.servers.insert(target(OLD), old.clone());
        world.servers.insert(target(NEW), writer());
        world.name_answers(&["10.9.0.6"]);
        assert_eq!(world.pass_after(10), [register(NEW)], "{old:?}");
        assert_eq!(world.pass_after(10), NOTHING, "{old:?}");
        world.heal();
        assert_eq!(world.pass_after(10), [deregister(OLD)], "{old:?}");
    }
}

#[test]
fn w8_a_proven_writer_that_the_load_balancer_cannot_reach_takes_over_nothing() {
    let mut world = world().settled();
    world.servers.insert(target(OLD), standby());
    world.servers.insert(target(NEW), writer());
    world.health(GROUP, NEW, Health::Unhealthy, "Target.FailedHealthChecks");
    world.name_answers(&["10.9.0.6"]);
    for _ in 0..5 {
        assert_eq!(world.pass_after(10), NOTHING);
    }
    assert_eq!(world.says(Registered), "false OldTargetServing");
}

#[test]
fn watcher_case_dns_lags_failover_the_demoted_writer_stays_until_its_successor_is_known() {
    let mut world = world().settled();
    world.servers.insert(target(OLD), standby());
    world.turn();
    assert_eq!(world.says(IsWriter), "false InRecovery");
    assert_eq!(world.ends(), "waiting InRecovery");
    for _ in 0..10 {
        assert_eq!(world.pass_after(10), NOTHING);
        assert_eq!(world.probed, [OLD], "looked at in every pass");
    }
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
}

#[test]
fn watcher_case_dns_moved_before_promotion_the_standby_is_registered_once_it_is_the_writer() {
    let mut world = world().settled();
    world.servers.insert(target(OLD), fails(Reason::ProbeTimedOut));
    world.servers.insert(target(NEW), standby());
    world.name_answers(&["10.9.0.6"]);
    for _ in 0..5 {
        assert_eq!(world.pass_after(20), NOTHING);
        assert_eq!(world.says(Registered), "false AddressIsStandby");
        assert_eq!(world.says(IsWriter), "unknown ProbeTimedOut", "of what serves");
    }
    world.servers.insert(target(NEW), writer());
    assert_eq!(world.pass_after(10), [register(NEW)]);
}

#[test]
fn watcher_case_dns_moved_before_the_new_primary_accepts_it_is_registered_on_two_answers() {
    for silent in [Reason::ConnectionRefused, Reason::StartingUp, Reason::ProbeTimedOut] {
        let mut world = world().settled();
        world.servers.insert(target(OLD), standby());
        world.servers.insert(target(NEW), fails(silent));
        world.name_answers(&["10.9.0.6"]);
        assert_eq!(world.pass_after(10), NOTHING, "{silent}");
        assert_eq!(world.pass_after(10), [register(NEW)], "{silent}");
        assert_eq!(world.pass_after(10), NOTHING, "{silent}: nothing took over yet");
    }
}

#[test]
fn watcher_case_a_readers_name_is_refused_by_its_role() {
    let mut world = world();
    world.servers.insert(target(OLD), standby());
    for _ in 0..5 {
        world.pass_after(10);
    }
    assert_eq!(world.targets(GROUP), NOTHING);
    assert_eq!(world.says(Registered), "false AddressIsStandby");
    assert_eq!(world.says(IsWriter), "false InRecovery");
    assert_eq!(world.ends(), "waiting AddressIsStandby");
}

#[test]
fn watcher_case_several_a_records_the_only_writer_is_taken() {
    let mut world = world().settled();
    world.servers.insert(target(OLD), standby());
    world.servers.insert(target(NEW), writer());
    world.name_answers(&["10.9.0.5", "10.9.0.6", "10.9.0.7"]);
    assert_eq!(world.pass_after(10), [register(NEW), deregister(OLD)]);
    assert_eq!(world.says(AddressAllowed), "true Admitted");
}

#[test]
fn watcher_case_several_a_records_and_no_writer_or_many_change_nothing() {
    for (old, new, reason) in [
        (standby(), standby(), "NoWriter"),
        (writer(), writer(), "SeveralWriters"),
        (fails(Reason::ProbeTimedOut), fails(Reason::ConnectionRefused), "SeveralAddresses"),
    ] {
        let mut world = world().settled();
        world.servers.insert(target(OLD), old);
        world.servers.insert(target(NEW), new);
        world.name_answers(&["10.9.0.5", "10.9.0.6"]);
        for _ in 0..5 {
            assert_eq!(world.pass_after(20), NOTHING, "{reason}");
        }
        assert_eq!(world.says(AddressAllowed), format!("false {reason}"));
        assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
    }
}

#[test]
fn w8_two_servers_that_both_claim_to_write_are_followed_three_times_in_ten_minutes() {
    let mut world = world().settled();
    world.servers.insert(target(NEW), writer());
    let mut registered = 0;
    for turn in 0..12 {
        world.name_answers(if turn % 2 == 0 { &["10.9.0.6"] } else { &["10.9.0.5"] });
        registered += world.pass_after(10).iter().filter(|d| d.starts_with("Register")).count();
        world.heal();
        world.pass_after(10);
        world.drain();
    }
    assert!(registered <= 3, "{registered}");
    assert_eq!(world.says(Registered), "false Flapping");
}

#[test]
fn w2_no_failure_of_the_gateway_or_of_a_probe_takes_anything_away() {
    let gateway = |reason| Trouble { reason, message: "no".to_owned() };
    for no_gateway in [Some(gateway(Reason::GatewayFailed)), Some(gateway(Reason::GatewayNotFound)), None] {
        for probe in [
            Reason::ProbeTimedOut,
            Reason::ConnectionRefused,
            Reason::HostUnreachable,
            Reason::TlsFailed,
            Reason::AuthMethodRefused,
            Reason::CredentialsUnreadable,
            Reason::ProbeFailed,
        ] {
            let mut world = world().settled();
            world.no_gateway.clone_from(&no_gateway);
            world.servers.insert(target(OLD), fails(probe));
            for _ in 0..5 {
                world.turn();
                assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")], "{no_gateway:?} {probe}");
            }
            world.no_gateway = None;
            world.servers.insert(target(OLD), writer());
            world.turn();
            world.settle();
            assert_eq!(world.says(IsWriter), "true Writer");
        }
    }
}

#[test]
fn a_gateway_that_cannot_be_asked_is_named_under_the_name_and_the_server() {
    for (reason, outcome) in [(Reason::GatewayFailed, "failed"), (Reason::GatewayNotFound, "blocked")] {
        let mut world = world().settled();
        world.no_gateway = Some(Trouble { reason, message: "no".to_owned() });
        world.turn();
        assert_eq!(world.says(NameResolves), format!("unknown {reason}"));
        assert_eq!(world.says(Reachable), format!("unknown {reason}"));
        assert_eq!(world.ends(), format!("{outcome} {reason}"));
    }
}

#[test]
fn a_probe_that_failed_on_our_side_is_made_again_in_the_next_pass() {
    for reason in [Reason::GatewayFailed, Reason::CredentialsUnreadable, Reason::ProbeFailed] {
        let mut world = world().settled();
        world.servers.insert(target(OLD), fails(reason));
        world.turn();
        world.servers.insert(target(OLD), writer());
        world.pass_after(10);
        assert_eq!(world.says(Reachable), "true Reachable", "{reason}");
    }
    let mut world = world().settled();
    world.servers.insert(target(OLD), fails(Reason::AuthenticationFailed));
    world.turn();
    world.pass_after(10);
    assert_eq!(world.probed, NOTHING, "a customer's log is not filled with refused logins");
}

#[test]
fn watcher_case_probe_tells_the_customers_causes_apart() {
    for (reason, reachable, is_writer) in [
        (Reason::ProbeTimedOut, "false ProbeTimedOut", "unknown ProbeTimedOut"),
        (Reason::ConnectionRefused, "false ConnectionRefused", "unknown ConnectionRefused"),
        (Reason::TlsNotOffered, "false TlsNotOffered", "unknown TlsNotOffered"),
        (Reason::TlsFailed, "false TlsFailed", "unknown TlsFailed"),
        (Reason::NotPostgres, "false NotPostgres", "unknown NotPostgres"),
        (Reason::AuthMethodRefused, "true Reachable", "unknown AuthMethodRefused"),
        (Reason::AuthenticationFailed, "true Reachable", "unknown AuthenticationFailed"),
        (Reason::TooManyConnections, "true Reachable", "unknown TooManyConnections"),
        (Reason::CredentialsUnreadable, "unknown CredentialsUnreadable", "unknown CredentialsUnreadable"),
    ] {
        let mut world = world().settled();
        world.servers.insert(target(OLD), fails(reason));
        world.turn();
        assert_eq!((world.says(Reachable).as_str(), world.says(IsWriter).as_str()), (reachable, is_writer));
        assert_eq!(world.ends(), format!("blocked {reason}"));
    }
}

#[test]
fn what_logical_replication_lacks_is_told_and_calls_nobody() {
    let with = |change: &dyn Fn(&mut ServerFacts)| {
        let mut server = facts(false);
        change(&mut server);
        says(server)
    };
    for (server, reason) in [
        (with(&|s| "replica".clone_into(&mut s.wal_level)), "WalLevelNotLogical"),
        (with(&|s| s.max_replication_slots = 2), "TooFewReplicationSlots"),
        (with(&|s| s.max_slot_wal_keep_size_mb = -1), "SlotWalUnbounded"),
    ] {
        let mut world = world().settled();
        world.servers.insert(target(OLD), server);
        world.turn();
        assert_eq!(world.says(ReplicationReady), format!("false {reason}"));
        assert_eq!(world.ends(), "unchanged Settled");
    }
}

#[test]
fn without_credentials_only_reachability_is_asked_and_two_answers_rule() {
    let mut world = world();
    world.spec["primary"].as_object_mut().unwrap().remove("credentials_secret");
    let answers = Probe::Found(Probed { tls: false, server: None });
    world.servers.insert(target(OLD), answers.clone());
    world.servers.insert(target(NEW), answers);
    let mut world = world.settled();
    assert_eq!(world.says(Reachable), "true Reachable");
    assert_eq!(world.says(IsWriter), "nothing");
    assert_eq!(world.says(ReplicationReady), "nothing");
    world.name_answers(&["10.9.0.6"]);
    assert_eq!(world.pass_after(10), NOTHING);
    assert_eq!(world.pass_after(10), [register(NEW)]);
}

#[test]
fn w1_nothing_is_sent_to_an_address_that_is_not_admitted() {
    let mut world = world().settled();
    for said in [&["10.1.0.5"], &["203.0.113.7"], &["169.254.169.254"], &["10.8.0.5"]] {
        world.name_answers(said);
        world.turn();
        assert_eq!(world.probed, [OLD], "{said:?}");
    }
    world.put(|p| p["peerings"][0]["allowed_cidrs"] = json!(["10.9.9.0/24"]));
    world.turn();
    assert_eq!(world.probed, NOTHING, "what was admitted once counts no longer");
}

#[test]
fn an_any_endpoint_says_the_worst_of_its_servers_and_asks_none_for_its_role() {
    let mut world = World::any(&["10.9.0.5", "10.9.0.6"]);
    world.spec["primary"]["gateway_function"] = json!("acme-transit");
    world.spec["primary"]["credentials_secret"] = json!("acme/probe");
    world.servers.insert(target(OLD), Probe::Found(Probed { tls: false, server: None }));
    let mut world = world.settled();
    assert_eq!(world.says(Reachable), "false ProbeTimedOut");
    assert_eq!(world.says(IsWriter), "nothing");
    world.servers.insert(target(NEW), Probe::Found(Probed { tls: false, server: None }));
    world.turn();
    assert_eq!(world.says(Reachable), "true Reachable");
}

#[test]
fn w5_a_probe_for_another_endpoint_on_one_of_the_servers_says_nothing_of_the_whole() {
    let mut world = World::any(&["10.9.0.5", "10.9.0.6"]);
    world.spec["primary"]["gateway_function"] = json!("acme-transit");
    let second = json!({"name": "direct", "host": "direct.example.internal", "port": 5432, "role": "any",
        "target_group_arn": SECOND_GROUP});
    world.spec["primary"]["endpoints"].as_array_mut().unwrap().push(second);
    world.dns.insert("direct.example.internal".to_owned(), answer(&["10.9.0.5"], 5));
    world.servers.insert(target(OLD), Probe::Found(Probed { tls: false, server: None }));
    let mut world = world.settled();
    assert_eq!(world.says(Reachable), "false ProbeTimedOut", "of 10.9.0.6");
    world.dns.insert("direct.example.internal".to_owned(), answer(&["10.9.0.5", "10.9.0.9"], 5));
    world.servers.insert(target("10.9.0.9:5432"), Probe::Found(Probed { tls: false, server: None }));
    world.pass_after(10);
    assert!(!world.probed.contains(&NEW.to_owned()), "it is the other endpoint's turn alone: {:?}", world.probed);
    assert_eq!(world.says(Reachable), "false ProbeTimedOut");
}

#[test]
fn a_pin_is_kept_to_whatever_the_probe_says() {
    let mut world = world();
    world.servers.insert(target(NEW), standby());
    let mut world = world.settled();
    world.put(|p| p["endpoints"][0]["pin"] = json!({"address": "10.9.0.6", "until": "2026-12-01T00:00:00Z"}));
    assert_eq!(world.pass_after(10), [register(NEW)]);
    assert_eq!(world.says(IsWriter), "false InRecovery");
}

#[test]
fn a_gateway_that_is_no_longer_named_leaves_nothing_said() {
    let mut world = world().settled();
    world.put(|p| {
        p.as_object_mut().unwrap().retain(|key, _| key != "gateway_function" && key != "credentials_secret");
    });
    world.settle();
    assert_eq!(world.says(Reachable), "nothing");
    assert_eq!(world.says(IsWriter), "nothing");
    assert!(world.memory(GROUP).proven.is_empty());
}

#[test]
fn names_that_fail_at_the_gateway_are_told_as_at_home() {
    let mut world = world().settled();
    world.dns(NameAnswer::NxDomain);
    world.turn();
    assert_eq!(world.says(NameResolves), "false NxDomain");
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
}
