//! Rows of docs/edge-cases.md that no other story holds.

use domain::condition::ConditionKind::{
    AddressAllowed, Healthy, NameResolves, PeeringAccepted, Registered, RouteReady,
};
use domain::spec::validate;
use jiff::SignedDuration;
use peering_watcher::observed::Seen;
use ports::{Health, NameAnswer, PeeringState};
use serde_json::json;

use crate::world::{GROUP, NEW, OLD, World, answer, peering, route, to};

const NOTHING: [&str; 0] = [];

#[test]
fn watcher_case_initiating_request_waits_and_is_told_after_five_minutes() {
    let mut world = World::new();
    world.peering_is("pcx-1", PeeringState::InitiatingRequest);
    for _ in 0..29 {
        assert_eq!(world.pass_after(10), NOTHING);
    }
    assert_eq!(world.says(PeeringAccepted), "false InitiatingRequest");
    assert_eq!(world.ends(), "waiting InitiatingRequest");
    world.pass_after(30);
    assert_eq!(world.transitions, ["PeeringAccepted false RequestStalled"], "with a notice");
    assert_eq!(world.ends(), "blocked RequestStalled");
    let before = world.state.clone();
    world.pass_after(600);
    assert_eq!((world.transitions.len(), &world.state), (0, &before), "once");

    // The next one takes its own five minutes.
    world.peering_is("pcx-1", PeeringState::Active);
    world.settle();
    world.peering_is("pcx-1", PeeringState::InitiatingRequest);
    world.pass_after(10);
    assert_eq!(world.says(PeeringAccepted), "false InitiatingRequest");
}

#[test]
fn watcher_case_pending_acceptance_is_recalled_after_one_day_and_on_the_last() {
    let mut world = World::new();
    let mut ours = peering("pcx-1", PeeringState::PendingAcceptance, "vpc-peer", &[]);
    let requested = world.now;
    ours.expires = Some(requested.checked_add(SignedDuration::from_hours(7 * 24)).unwrap());
    world.peerings.insert("pcx-1".to_owned(), Seen::Known(ours.clone()));
    let mut told = Vec::new();
    for hour in 1..=166 {
        world.now = requested.checked_add(SignedDuration::from_hours(hour)).unwrap();
        assert_eq!(world.pass(), NOTHING);
        let recalled = world.transitions.iter().filter(|t| t.starts_with("PeeringAccepted"));
        told.extend(recalled.map(|t| format!("hour {hour}: {t}")));
    }
    assert_eq!(
        told,
        [
            "hour 1: PeeringAccepted false PendingAcceptance",
            "hour 24: PeeringAccepted false AcceptanceOverdue",
            "hour 144: PeeringAccepted false AcceptanceExpiring",
        ]
    );
    assert_eq!(world.ends(), "blocked AcceptanceExpiring");
    assert!(world.message(PeeringAccepted).contains("2026-11-28T12:00:00Z"), "{}", world.message(PeeringAccepted));

    // EC2 need not tell when it expires: then nothing is made up.
    ours.expires = None;
    world.peerings.insert("pcx-1".to_owned(), Seen::Known(ours));
    world.pass_after(10);
    assert_eq!(world.says(PeeringAccepted), "false PendingAcceptance");
}

#[test]
fn watcher_case_pending_acceptance_asks_no_name_and_registers_nothing() {
    let mut world = World::new();
    let pending = peering("pcx-1", PeeringState::PendingAcceptance, "vpc-peer", &[]);
    world.peerings.insert("pcx-1".to_owned(), Seen::Known(pending));
    for _ in 0..5 {
        assert_eq!(world.pass_after(10), NOTHING);
    }
    assert_eq!(world.says(NameResolves), "unknown AwaitingPeering");
    assert_eq!(world.says(RouteReady), "unknown AwaitingPeering");
    assert!(world.plan.look_at_groups.is_empty() && world.plan.look_at_tables.is_empty());
}

#[test]
fn watcher_case_provisioning_is_not_yet_registered_and_served_in_the_pass_that_sees_it_active() {
    let mut world = World::new();
    world.peering_is("pcx-1", PeeringState::Provisioning);
    for _ in 0..6 {
        assert_eq!(world.pass_after(10), NOTHING);
        assert_eq!(world.ends(), "waiting Provisioning");
    }
    world.peering_is("pcx-1", PeeringState::Active);
    world.pass_after(10);
    assert_eq!(world.ends(), "changed PrimaryRegistered");
}

#[test]
fn watcher_case_rejected_and_expired_are_final_told_once_and_nothing_is_requested() {
    for (state, says) in [(PeeringState::Rejected, "Rejected"), (PeeringState::Expired, "Expired")] {
        let mut world = World::new();
        world.peering_is("pcx-1", state);
        world.pass();
        assert!(world.transitions.contains(&format!("PeeringAccepted false {says}")));
        for _ in 0..10 {
            assert_eq!(world.pass_after(3600), NOTHING, "{says}: only a person requests a connection");
            assert_eq!(world.transitions, NOTHING);
            assert_eq!(world.ends(), format!("blocked {says}"));
        }
    }
}

#[test]
fn watcher_case_two_customers_with_equal_blocks_do_not_share_a_route_table() {
    let mut world = World::new();
    world.routes("rtb-1").push(route("10.9.0.0/16", to("pcx-of-another-customer")));
    world.pass();
    for _ in 0..5 {
        assert_eq!(world.pass_after(60), NOTHING, "the first one's route stays");
    }
    assert_eq!(world.says(RouteReady), "false RouteConflict");
    assert!(world.message(RouteReady).contains("pcx-of-another-customer"));
    assert_eq!(world.peering_routes("rtb-1"), ["10.9.0.0/16 -> pcx-of-another-customer"]);
}

#[test]
fn watcher_case_cidr_overlap_with_our_vpc_admits_nothing_of_the_overlap() {
    let mut world = World::new();
    let overlapping = peering("pcx-1", PeeringState::Active, "vpc-peer", &["10.0.0.0/8"]);
    world.peerings.insert("pcx-1".to_owned(), Seen::Known(overlapping));
    world.put(|primary| primary["peerings"][0]["allowed_cidrs"] = json!(["10.0.0.0/8"]));
    world.name_answers(&["10.1.0.5"]);
    world.pass();
    world.pass_after(10);
    assert_eq!(world.says(AddressAllowed), "false AddressInsideOurVpc");
    assert_eq!(world.targets(GROUP), NOTHING);
}

#[test]
fn watcher_case_empty_answer_with_noerror_keeps_targets() {
    let mut world = World::new().settled();
    world.dns(NameAnswer::NoData);
    for _ in 0..10 {
        assert_eq!(world.pass_after(3600), NOTHING);
    }
    assert_eq!(world.says(NameResolves), "false NoData");
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
}

#[test]
fn watcher_case_public_ip_names_the_peers_dns_option_where_that_is_the_cause() {
    let off = "false PeerDnsResolutionOff";
    let public = "false AddressPublic";
    for (requested_by_us, option, says) in
        [(true, Some(false), off), (false, Some(false), off), (true, Some(true), public), (true, None, public)]
    {
        let mut world = World::new().settled();
        let mut with_option = peering("pcx-1", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
        with_option.accepter.resolves_for_other = option;
        // Our own side's option is about our names, and does not matter.
        with_option.requester.resolves_for_other = Some(true);
        if !requested_by_us {
            (with_option.requester, with_option.accepter) = (with_option.accepter, with_option.requester);
        }
        world.peerings.insert("pcx-1".to_owned(), Seen::Known(with_option));
        world.name_answers(&["203.0.113.5"]);
        assert_eq!(world.pass_after(10), NOTHING);
        assert_eq!(world.pass_after(10), NOTHING);
        assert_eq!(world.says(AddressAllowed), says, "{option:?}");
        assert!(world.message(AddressAllowed).contains("203.0.113.5"));
        assert_eq!(world.ends(), format!("blocked {}", says.trim_start_matches("false ")));
        assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")], "the last good one is kept");

        // A literal is nobody's answer: no option changes it.
        world.put(|primary| primary["endpoints"][0]["host"] = json!("203.0.113.5"));
        world.pass_after(10);
        assert_eq!(world.says(AddressAllowed), public);
    }
}

#[test]
fn watcher_case_private_but_not_in_a_range_of_the_load_balancer_is_said_at_onboarding() {
    let mut world = World::new();
    world.spec["primary"]["peerings"][0]["allowed_cidrs"] = json!(["172.32.0.0/16"]);
    let problems = validate(&world.spec).unwrap_err();
    let said = problems.iter().map(ToString::to_string).collect::<String>();
    assert!(said.contains("172.16.0.0/12") && said.contains("172.32.0.0/16"), "{said}");

    let mut world = World::new();
    world.name_answers(&["172.32.0.5"]);
    world.pass();
    world.pass_after(10);
    assert_eq!(world.says(AddressAllowed), "false AddressPublic");
    assert!(world.message(AddressAllowed).contains("172.16.0.0/12"), "the ranges: {}", world.message(AddressAllowed));
}

#[test]
fn watcher_case_name_in_the_customers_private_zone_says_which_vpc_to_associate() {
    let mut world = World::new();
    world.dns(NameAnswer::NxDomain);
    world.pass();
    assert!(world.message(NameResolves).contains("vpc-own"), "{}", world.message(NameResolves));
    assert!(domain::reason::Reason::NxDomain.remedy().contains("authorize the association"));
}

#[test]
fn watcher_case_dns_moved_before_the_new_primary_accepts() {
    let mut world = World::new().settled();
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    assert_eq!(world.pass_after(10), [format!("RegisterTarget {NEW}")], "now: the load balancer needs its time anyway");
    world.health(GROUP, NEW, Health::Unhealthy, "Target.FailedHealthChecks");
    for _ in 0..60 {
        assert_eq!(world.pass_after(60), NOTHING, "the old one stays, however long");
    }
    assert_eq!(world.says(Registered), "false OldTargetServing");
    world.health(GROUP, NEW, Health::Healthy, "");
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
}

#[test]
fn watcher_case_aaaa_only_for_an_ipv4_group_is_a_clear_error() {
    let mut world = World::new();
    world.dns(answer(&["fd00::5"], 5));
    world.pass();
    world.pass_after(10);
    assert_eq!(world.says(NameResolves), "false AaaaOnly");
    assert_eq!(world.ends(), "blocked AaaaOnly", "no silent wait");
    assert!(world.message(NameResolves).contains("fd00::5"));
}

#[test]
fn watcher_case_dns_rebinding_the_admitted_address_is_the_one_of_the_plan() {
    let mut world = World::new();
    world.calls_fail = true;
    world.pass();
    // The name turns between the pass that admitted and the one that registers: what is sent is what was judged in that pass.
    world.calls_fail = false;
    world.name_answers(&["169.254.169.254"]);
    let done = world.pass_after(10);
    assert!(
        done.contains(&format!("RegisterTarget {OLD}")) && done.len() == 2,
        "the last good one, admitted anew: {done:?}"
    );
    assert!(world.plan.admitted.iter().all(|(_, target)| target.to_string() == OLD));
}

#[test]
fn watcher_case_initial_for_minutes_alarms_nobody() {
    let mut world = World::new();
    world.pass();
    for _ in 0..30 {
        world.pass_after(10);
        assert_eq!(world.transitions, NOTHING);
    }
    assert!(world.message(Healthy).contains("is in its first health checks"), "{}", world.message(Healthy));
    assert_eq!(world.says(Registered), "true Registered");
}

#[test]
fn watcher_case_stuck_draining_is_not_deregistered_again_nor_counted_as_serving() {
    let mut world = World::new().settled();
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    world.pass_after(10);
    world.heal();
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
    for _ in 0..60 {
        assert_eq!(world.turn(), NOTHING);
        world.now = world.now.checked_add(SignedDuration::from_mins(10)).unwrap();
    }
    assert_eq!(world.targets(GROUP), [format!("{NEW} Healthy")], "draining is not serving");
    assert_eq!(world.plan.stale, 0);
    assert_eq!(world.ends(), "unchanged Settled");
}

#[test]
fn watcher_case_unused_ip_belongs_to_a_load_balancer_is_named_and_left() {
    let mut world = World::new();
    world.pass();
    world.health(GROUP, OLD, Health::Unused, "Target.IpUnusable");
    for _ in 0..5 {
        assert_eq!(world.turn(), NOTHING);
    }
    assert_eq!(world.says(Registered), "false AddressUnusable");
    assert!(world.message(Registered).contains(OLD));
}
