//! Several connections: one peer that is peered anew, and several peers of one endpoint.

use domain::condition::ConditionKind::PeeringAccepted;
use peering_watcher::observed::Seen;
use ports::{NameAnswer, Peering, PeeringState};
use serde_json::json;

use crate::world::{GROUP, NEW, OLD, World, peering, peering_spec};

const NOTHING: [&str; 0] = [];

fn unreadable() -> Seen<Peering> {
    Seen::Unknown("ec2:DescribeVpcPeeringConnections: throttled".to_owned())
}

#[test]
fn a_finished_connection_names_the_active_one_that_took_its_place() {
    let mut world = World::new().settled();
    world.peering_is("pcx-1", PeeringState::Deleted);
    world.replacements.insert("pcx-1".to_owned(), "pcx-2".to_owned());
    world.pass_after(10);
    assert!(world.message(PeeringAccepted).contains("pcx-2"), "{}", world.message(PeeringAccepted));
}

#[test]
fn watcher_case_re_peering_keeps_the_target_when_both_connections_are_named() {
    let mut world = World::new();
    world.put(|primary| {
        primary["peerings"].as_array_mut().unwrap().push(peering_spec("pcx-2", "vpc-peer", &["10.9.0.0/16"]));
    });
    let pending = peering("pcx-2", PeeringState::PendingAcceptance, "vpc-peer", &[]);
    world.peerings.insert("pcx-2".to_owned(), Seen::Known(pending));
    world.settle();
    assert_eq!(world.says(PeeringAccepted), "true Active", "the best connection to one peer speaks");

    world.peering_is("pcx-1", PeeringState::Deleted);
    let active = peering("pcx-2", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
    world.peerings.insert("pcx-2".to_owned(), Seen::Known(active));
    assert_eq!(world.pass_after(10), ["ReplaceRoute 10.9.0.0/16 -> pcx-2 in rtb-1 (was pcx-1)"]);
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")], "the target is never taken out");
    assert_eq!(world.memory(GROUP).owned[0].connection, "pcx-2");
    world.settle();
    assert_eq!(world.says(PeeringAccepted), "true Active");
}

#[test]
fn w2_re_peering_while_the_new_connection_cannot_be_read_keeps_what_serves() {
    for trouble in [unreadable(), Seen::Absent] {
        let mut world = World::new().settled();
        world.peerings.insert("pcx-2".to_owned(), trouble);
        world.put(|primary| primary["peerings"][0]["connection_id"] = json!("pcx-2"));
        for _ in 0..2 {
            assert_eq!(world.pass_after(10), NOTHING, "what the new connection takes over is not known yet");
        }
        let active = peering("pcx-2", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
        world.peerings.insert("pcx-2".to_owned(), Seen::Known(active));
        assert_eq!(world.pass_after(10), ["ReplaceRoute 10.9.0.0/16 -> pcx-2 in rtb-1 (was pcx-1)"]);
        assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
        world.settle();
    }
}

#[test]
fn watcher_case_re_peering_with_the_old_connection_still_listed() {
    let mut world = World::new().settled();
    world.peering_is("pcx-1", PeeringState::Deleted);
    world.pass_after(10);
    assert_eq!(world.targets(GROUP), NOTHING);

    // The twin stays listed for days; only what the spec names counts.
    let active = peering("pcx-2", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
    world.peerings.insert("pcx-2".to_owned(), Seen::Known(active));
    assert_eq!(world.pass_after(10), NOTHING, "a connection that the spec does not name is nobody's");
    world.put(|primary| primary["peerings"][0]["connection_id"] = json!("pcx-2"));
    assert_eq!(
        world.pass_after(10),
        ["CreateRoute 10.9.0.0/16 -> pcx-2 in rtb-1".to_owned(), format!("RegisterTarget {OLD}")]
    );
    world.settle();
}

#[test]
fn w1_the_last_good_address_does_not_carry_over_to_another_connection() {
    let mut world = World::new().settled();
    world.peering_is("pcx-1", PeeringState::Deleted);
    world.pass_after(10);
    let active = peering("pcx-2", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
    world.peerings.insert("pcx-2".to_owned(), Seen::Known(active));
    world.put(|primary| primary["peerings"][0]["connection_id"] = json!("pcx-2"));
    world.dns(NameAnswer::TimedOut);
    assert_eq!(world.pass_after(10), ["CreateRoute 10.9.0.0/16 -> pcx-2 in rtb-1"], "no answer, nothing to register");
}

#[test]
fn w1_watcher_case_flap_between_two_looks_is_validated_anew() {
    let mut world = World::new().settled();
    world.peering_is("pcx-1", PeeringState::Deleted);
    world.pass_after(10);
    let elsewhere = peering("pcx-2", PeeringState::Active, "vpc-peer", &["10.20.0.0/16"]);
    world.peerings.insert("pcx-2".to_owned(), Seen::Known(elsewhere));
    world.put(|primary| {
        primary["peerings"][0] = peering_spec("pcx-2", "vpc-peer", &["10.0.0.0/8"]);
    });
    world.pass_after(10);
    assert_eq!(world.targets(GROUP), NOTHING, "10.9.0.5 is not in the new connection's blocks");
}

/// Two peers, one endpoint: 10.9.0.0/16 over `pcx-1` and 10.20.0.0/16 over `pcx-2`.
fn two_peers(mut world: World) -> World {
    world.put(|primary| {
        primary["peerings"].as_array_mut().unwrap().push(peering_spec("pcx-2", "vpc-two", &["10.20.0.0/16"]));
    });
    let second = peering("pcx-2", PeeringState::Active, "vpc-two", &["10.20.0.0/16"]);
    world.peerings.insert("pcx-2".to_owned(), Seen::Known(second));
    world.settled()
}

#[test]
fn with_two_peers_the_worse_speaks_and_the_other_goes_on() {
    let mut world = two_peers(World::new());
    world.peering_is("pcx-2", PeeringState::Rejected);
    world.pass_after(10);
    assert_eq!(world.says(PeeringAccepted), "false Rejected");
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
    assert_eq!(world.peering_routes("rtb-1"), ["10.9.0.0/16 -> pcx-1"]);
}

#[test]
fn w2_w9_a_member_over_an_unreadable_peering_stays_while_another_peering_answers() {
    let not_found = Seen::Absent;
    let mut no_blocks = peering("pcx-1", PeeringState::Active, "vpc-peer", &[]);
    no_blocks.message = "no blocks".to_owned();
    for trouble in [unreadable(), not_found, Seen::Known(no_blocks)] {
        let mut world = two_peers(World::any(&["10.9.0.5", "10.20.0.5"]));
        assert_eq!(world.targets(GROUP), ["10.9.0.5:5432 Healthy", "10.20.0.5:5432 Healthy"]);
        let good = world.peerings.insert("pcx-1".to_owned(), trouble.clone()).unwrap();
        for _ in 0..4 {
            assert_eq!(world.pass_after(60), NOTHING, "{trouble:?}");
        }
        world.peerings.insert("pcx-1".to_owned(), good);
        assert_eq!(world.pass_after(10), NOTHING);
        assert_eq!(world.targets(GROUP), ["10.9.0.5:5432 Healthy", "10.20.0.5:5432 Healthy"]);

        // And one miss is still only one miss.
        world.name_answers(&["10.20.0.5"]);
        assert_eq!(world.pass_after(10), NOTHING);
        assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
    }
}

#[test]
fn w2_a_writer_over_an_unreadable_peering_is_not_switched_by_one_answer() {
    let mut world = two_peers(World::new());
    world.peerings.insert("pcx-1".to_owned(), unreadable());
    world.name_answers(&["10.20.0.5"]);
    assert_eq!(world.pass_after(10), NOTHING, "one answer, as for any switch");
    assert_eq!(world.pass_after(10), ["RegisterTarget 10.20.0.5:5432"], "the second one counts");
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy"), "10.20.0.5:5432 Initial".to_owned()]);
    world.heal();
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")], "W8: the new writer is healthy");
}

#[test]
fn a_writer_whose_peering_ended_moves_on_the_first_answer() {
    let mut world = two_peers(World::new());
    world.peering_is("pcx-1", PeeringState::Deleted);
    world.name_answers(&["10.20.0.5"]);
    let done = world.pass_after(10);
    assert!(
        done.contains(&"RegisterTarget 10.20.0.5:5432".to_owned()),
        "nothing serves, so nothing is waited for: {done:?}"
    );
    assert!(done.contains(&format!("DeregisterTarget {OLD}")), "{done:?}");
}

#[test]
fn w8_after_re_peering_a_failover_waits_for_the_new_writer_as_ever() {
    let mut world = World::new();
    world.put(|primary| {
        primary["peerings"].as_array_mut().unwrap().push(peering_spec("pcx-2", "vpc-peer", &["10.9.0.0/16"]));
    });
    let active = peering("pcx-2", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
    world.peerings.insert("pcx-2".to_owned(), Seen::Known(active));
    world.settle();
    world.peering_is("pcx-1", PeeringState::Deleted);
    world.budget_spent = true;
    world.pass_after(10);
    world.budget_spent = false;
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    assert_eq!(world.pass_after(10), [format!("RegisterTarget {NEW}")]);
    assert_eq!(world.pass_after(10), NOTHING, "the old writer was admitted over the new connection too");
    world.heal();
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
}
