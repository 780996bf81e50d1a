//! What each state of a peering connection allows, and what its end takes away.

use domain::condition::ConditionKind::{
    AddressAllowed, Healthy, NameResolves, PeeringAccepted, Registered, RouteReady,
};
use peering_watcher::observed::Seen;
use ports::{Peering, PeeringState, PeeringVpc};
use serde_json::json;

use crate::world::{GROUP, NEW, OLD, World, answer, our_side, peering, side};

const NOTHING: [&str; 0] = [];

fn unreadable() -> Seen<Peering> {
    Seen::Unknown("ec2:DescribeVpcPeeringConnections: throttled".to_owned())
}

#[test]
fn an_accepted_peering_is_served_in_the_same_pass() {
    let mut world = World::new();
    assert_eq!(world.pass(), ["CreateRoute 10.9.0.0/16 -> pcx-1 in rtb-1", &format!("RegisterTarget {OLD}")]);
    assert_eq!(world.ends(), "changed PrimaryRegistered");
    assert_eq!(world.says(PeeringAccepted), "true Active");
    assert_eq!(world.says(RouteReady), "true RoutesInPlace");
    assert_eq!(world.says(Registered), "true Registered");
    assert_eq!(world.says(Healthy), "unknown AwaitingHealthCheck");

    world.heal();
    world.pass_after(10);
    assert_eq!(world.ends(), "unchanged Settled");
    assert_eq!(world.says(Healthy), "true Healthy");
}

#[test]
fn w1_no_state_but_active_lets_anything_be_made() {
    let cases = [
        (PeeringState::InitiatingRequest, "false InitiatingRequest", "waiting InitiatingRequest"),
        (PeeringState::PendingAcceptance, "false PendingAcceptance", "waiting PendingAcceptance"),
        (PeeringState::Provisioning, "false Provisioning", "waiting Provisioning"),
        (PeeringState::Failed, "false Failed", "blocked Failed"),
        (PeeringState::Rejected, "false Rejected", "blocked Rejected"),
        (PeeringState::Expired, "false Expired", "blocked Expired"),
        (PeeringState::Deleting, "false Deleting", "blocked Deleting"),
        (PeeringState::Deleted, "false Deleted", "blocked Deleted"),
        (PeeringState::Unrecognized, "unknown PeeringUnrecognized", "blocked PeeringUnrecognized"),
    ];
    for (state, says, ends) in cases {
        let mut world = World::new();
        world.peering_is("pcx-1", state);
        for _ in 0..3 {
            assert_eq!(world.pass_after(10), NOTHING, "{state:?}");
        }
        assert_eq!(world.says(PeeringAccepted), says, "{state:?}");
        assert_eq!(world.ends(), ends, "{state:?}");

        // However long it waited, it is served as soon as it is active.
        world.peering_is("pcx-1", PeeringState::Active);
        assert_eq!(world.pass_after(10).len(), 2, "{state:?}");
    }
}

#[test]
fn w2_w9_a_serving_target_survives_every_state_that_is_not_final() {
    let states = [
        PeeringState::InitiatingRequest,
        PeeringState::PendingAcceptance,
        PeeringState::Provisioning,
        PeeringState::Unrecognized,
    ];
    for state in states {
        let mut world = World::new().settled();
        world.peering_is("pcx-1", state);
        for _ in 0..40 {
            assert_eq!(world.pass_after(60), NOTHING, "{state:?}");
        }
        assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
        assert_eq!(world.peering_routes("rtb-1"), ["10.9.0.0/16 -> pcx-1"]);

        world.peering_is("pcx-1", PeeringState::Active);
        world.settle();
    }
}

#[test]
fn watcher_case_pending_acceptance_shows_who_must_act_and_when_it_expires() {
    let mut world = World::new();
    let mut ours = peering("pcx-1", PeeringState::PendingAcceptance, "vpc-peer", &[]);
    ours.expires = Some("2026-11-28T12:00:00Z".parse().unwrap());
    world.peerings.insert("pcx-1".to_owned(), Seen::Known(ours.clone()));
    world.pass();
    let message = world.message(PeeringAccepted);
    assert!(message.contains("111122223333 has not accepted pcx-1"), "{message}");
    assert!(message.contains("2026-11-28T12:00:00Z"), "{message}");
    assert_eq!(world.says(NameResolves), "unknown AwaitingPeering");

    // The same request from the other side waits for us.
    (ours.requester, ours.accepter) = (ours.accepter, ours.requester);
    world.peerings.insert("pcx-1".to_owned(), Seen::Known(ours));
    world.pass_after(10);
    assert_eq!(world.says(PeeringAccepted), "false PendingOurAcceptance");
    assert_eq!(world.ends(), "blocked PendingOurAcceptance");
}

#[test]
fn a_peering_that_the_peer_requested_is_served_alike() {
    let mut world = World::new();
    let mut theirs = peering("pcx-1", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
    (theirs.requester, theirs.accepter) = (theirs.accepter, theirs.requester);
    world.peerings.insert("pcx-1".to_owned(), Seen::Known(theirs));
    world.settle();
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
}

#[test]
fn watcher_case_accepted_by_another_vpc_or_account_than_asked() {
    let cases =
        [side("444455556666", "vpc-peer", &["10.9.0.0/16"]), side("111122223333", "vpc-other", &["10.9.0.0/16"])];
    for accepter in cases {
        let mut world = World::new();
        let mut other = peering("pcx-1", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
        other.accepter = accepter;
        world.peerings.insert("pcx-1".to_owned(), Seen::Known(other));
        assert_eq!(world.pass(), NOTHING);
        assert_eq!(world.says(PeeringAccepted), "false PeeringMismatch");
        assert_eq!(world.ends(), "blocked PeeringMismatch");
        let message = world.message(PeeringAccepted);
        assert!(message.contains("vpc-peer of 111122223333"), "what the spec says: {message}");
        assert!(message.contains("vpc-own of 999900001111"), "what was found: {message}");
    }
}

#[test]
fn w1_a_target_goes_when_the_connection_turns_out_to_be_with_somebody_else() {
    let mut world = World::new().settled();
    world.put(|primary| primary["peerings"][0]["peer_vpc"] = json!("vpc-meant"));
    let done = world.pass_after(10);
    assert_eq!(done, [format!("DeregisterTarget {OLD}"), "DeleteRoute 10.9.0.0/16 -> pcx-1 in rtb-1".to_owned()]);
}

#[test]
fn w2_an_incomplete_answer_is_no_answer() {
    let nobody = PeeringVpc::default();
    let whole = peering("pcx-1", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
    let cases = [
        ("no accepter", Peering { accepter: nobody.clone(), ..whole.clone() }),
        ("no VPC", Peering { accepter: PeeringVpc { vpc: None, ..whole.accepter.clone() }, ..whole.clone() }),
        ("no account", Peering { accepter: PeeringVpc { account: None, ..whole.accepter.clone() }, ..whole.clone() }),
        ("our VPC is missing", Peering { requester: PeeringVpc { vpc: None, ..our_side() }, ..whole.clone() }),
        ("nothing", Peering { accepter: nobody.clone(), requester: nobody, ..whole }),
    ];
    for (what, half) in cases {
        let mut world = World::new().settled();
        world.peerings.insert("pcx-1".to_owned(), Seen::Known(half));
        assert_eq!(world.pass_after(10), NOTHING, "{what}");
        assert_eq!(world.says(PeeringAccepted), "unknown PeeringUnreadable", "{what}");
        assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")], "{what}");
    }
}

#[test]
fn w2_blocks_that_ec2_did_not_tell_take_nothing_away() {
    for ours in [true, false] {
        let mut world = World::new().settled();
        let mut bare = peering("pcx-1", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
        let bare_side = if ours { &mut bare.requester } else { &mut bare.accepter };
        bare_side.blocks.clear();
        world.peerings.insert("pcx-1".to_owned(), Seen::Known(bare));
        for _ in 0..3 {
            assert_eq!(world.pass_after(10), NOTHING);
        }
        assert_eq!(world.says(PeeringAccepted), "unknown BlocksUnknown");
        assert_eq!(world.ends(), "waiting BlocksUnknown");
    }
    let mut fresh = World::new();
    let bare = peering("pcx-1", PeeringState::Active, "vpc-peer", &[]);
    fresh.peerings.insert("pcx-1".to_owned(), Seen::Known(bare));
    assert_eq!(fresh.pass(), NOTHING, "W1: nothing is registered over blocks that are not known");
}

#[test]
fn w2_a_peering_that_cannot_be_read_changes_nothing_and_says_so() {
    let mut world = World::new().settled();
    world.peerings.insert("pcx-1".to_owned(), unreadable());
    for _ in 0..30 {
        assert_eq!(world.pass_after(60), NOTHING);
    }
    assert_eq!(world.says(PeeringAccepted), "unknown PeeringUnreadable");
    assert!(world.message(PeeringAccepted).contains("throttled"));
    assert_eq!(world.ends(), "failed PeeringUnreadable");
    assert_eq!(world.says(NameResolves), "true Resolved", "nobody asked, and what was known stands");
    assert_eq!(world.says(Registered), "true Registered", "it still is: nothing was taken away");
}

#[test]
fn watcher_case_deleted_by_customer_deregisters_at_once_and_drops_routes() {
    for state in [PeeringState::Deleted, PeeringState::Deleting, PeeringState::Failed] {
        let mut world = World::new().settled();
        world.peering_is("pcx-1", state);
        let done = world.pass_after(10);
        assert_eq!(done, [format!("DeregisterTarget {OLD}"), "DeleteRoute 10.9.0.0/16 -> pcx-1 in rtb-1".to_owned()]);
        assert_eq!(world.targets(GROUP), NOTHING);
        assert_eq!(world.peering_routes("rtb-1"), NOTHING);

        // Nothing of it is left on record once it is read back, and the end stays told.
        world.drain();
        world.settle();
        assert!(world.state.routes.is_empty() && world.memory(GROUP).owned.is_empty());
        assert!(world.says(PeeringAccepted).starts_with("false"));
    }
}

#[test]
fn watcher_case_failed_shows_ec2s_own_words() {
    let mut world = World::new();
    let mut failed = peering("pcx-1", PeeringState::Failed, "vpc-peer", &[]);
    failed.message = "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range".to_owned();
    world.peerings.insert("pcx-1".to_owned(), Seen::Known(failed));
    world.pass();
    assert!(world.message(PeeringAccepted).contains("overlapping CIDR range"));
}

#[test]
fn w9_watcher_case_not_found_counts_only_after_five_minutes_of_it() {
    let mut world = World::new().settled();
    let found = world.peerings.remove("pcx-1").unwrap();
    assert_eq!(world.pass_after(10), NOTHING);
    assert_eq!(world.says(PeeringAccepted), "unknown PeeringNotFoundYet");
    assert_eq!(world.ends(), "waiting PeeringNotFoundYet");
    for _ in 0..29 {
        assert_eq!(world.pass_after(10), NOTHING, "less than five minutes");
    }

    // Found again in between: it starts anew.
    world.peerings.insert("pcx-1".to_owned(), found);
    assert_eq!(world.pass_after(5), NOTHING);
    assert_eq!(world.says(PeeringAccepted), "true Active");
    world.peerings.remove("pcx-1");
    assert_eq!(world.pass_after(10), NOTHING);
    assert_eq!(world.pass_after(290), NOTHING);
    let done = world.pass_after(10);
    assert_eq!(done, [format!("DeregisterTarget {OLD}"), "DeleteRoute 10.9.0.0/16 -> pcx-1 in rtb-1".to_owned()]);
    assert_eq!(world.says(PeeringAccepted), "false PeeringNotFound");
}

#[test]
fn w9_an_error_proves_nothing_and_one_empty_answer_after_a_long_silence_neither() {
    let mut world = World::new().settled();
    world.peerings.insert("pcx-1".to_owned(), unreadable());
    for _ in 0..10 {
        assert_eq!(world.pass_after(60), NOTHING);
    }
    world.peerings.remove("pcx-1");
    assert_eq!(world.pass_after(60), NOTHING, "the first answer that it is not known");
    world.peerings.insert("pcx-1".to_owned(), unreadable());
    assert_eq!(world.pass_after(600), NOTHING, "an error is not the second one");
}

#[test]
fn a_peering_that_is_known_again_after_its_end_was_assumed_is_served_again() {
    let mut world = World::new().settled();
    let found = world.peerings.remove("pcx-1").unwrap();
    world.pass_after(10);
    world.pass_after(301);
    assert_eq!(world.targets(GROUP), NOTHING);
    world.peerings.insert("pcx-1".to_owned(), found);
    world.pass_after(10);
    assert_eq!(world.targets(GROUP), [format!("{OLD} Initial")]);
    assert_eq!(world.peering_routes("rtb-1"), ["10.9.0.0/16 -> pcx-1"]);
}

#[test]
fn w1_watcher_case_secondary_cidr_removed_takes_its_target_away() {
    let mut world = World::new();
    world.put(|primary| primary["peerings"][0]["allowed_cidrs"] = json!(["10.0.0.0/8"]));
    let both = |state| peering("pcx-1", state, "vpc-peer", &["10.9.0.0/16", "10.20.0.0/16"]);
    world.peerings.insert("pcx-1".to_owned(), Seen::Known(both(PeeringState::Active)));
    world.dns.insert(crate::world::HOST.to_owned(), answer(&["10.20.0.5"], 5));
    world.settle();
    let one = peering("pcx-1", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
    world.peerings.insert("pcx-1".to_owned(), Seen::Known(one));
    assert_eq!(world.pass_after(10), NOTHING, "an answer from before an earlier change would say the same");
    assert_eq!(world.says(AddressAllowed), "false AddressOutsidePeer");
    assert_eq!(world.pass_after(29), NOTHING);
    assert_eq!(
        world.pass_after(1),
        ["DeregisterTarget 10.20.0.5:5432", "DeleteRoute 10.20.0.0/16 -> pcx-1 in rtb-1"],
        "the address may be somebody else's soon"
    );
    world.name_answers(&["10.9.0.6"]);
    assert_eq!(world.pass_after(10), [format!("RegisterTarget {NEW}")], "nothing serves: one answer is enough");
}

#[test]
fn w2_a_late_answer_about_the_peers_blocks_takes_nothing_away() {
    let mut world = World::new();
    world.put(|primary| primary["peerings"][0]["allowed_cidrs"] = json!(["10.0.0.0/8"]));
    let read = |world: &mut World, blocks: &[&str]| {
        let peering = peering("pcx-1", PeeringState::Active, "vpc-peer", blocks);
        world.peerings.insert("pcx-1".to_owned(), Seen::Known(peering));
    };
    world.settle();
    // The block goes and comes back; of the answers after that, one is from between.
    for blocks in [["10.9.0.0/16"], ["10.20.0.0/16"], ["10.9.0.0/16"], ["10.20.0.0/16"], ["10.9.0.0/16"]] {
        read(&mut world, &blocks);
        let done = world.pass_after(12);
        assert!(done.iter().all(|what| what.starts_with("CreateRoute")), "{blocks:?}: {done:?}");
    }
    let (kept, read_at) = (&world.state.peerings["pcx-1"], world.now);
    assert_eq!(kept.blocks_since, Some(read_at), "each change counts anew");
}

#[test]
fn messages_stay_the_same_from_pass_to_pass() {
    let pending = peering("pcx-1", PeeringState::PendingAcceptance, "vpc-peer", &[]);
    let troubles = [Seen::Known(pending), Seen::Absent, unreadable()];
    for trouble in troubles {
        let mut world = World::new().settled();
        world.peerings.insert("pcx-1".to_owned(), trouble);
        world.pass_after(10);
        world.pass_after(10);
        let before = world.state.clone();
        for _ in 0..5 {
            world.pass_after(10);
            assert_eq!(world.transitions, NOTHING, "no notice without a change");
            assert_eq!(world.state, before, "and no write");
        }
    }
}

#[test]
fn while_the_new_peering_cannot_be_read_nothing_is_said_against_what_serves() {
    let mut world = World::new().settled();
    world.put(|primary| primary["peerings"][0]["connection_id"] = json!("pcx-2"));
    world.peerings.insert("pcx-2".to_owned(), unreadable());
    assert_eq!(world.pass_after(10), NOTHING);
    assert_eq!(world.turn(), NOTHING);
    assert_eq!(world.says(Registered), "true Registered");
}

#[test]
fn w2_a_peering_that_cannot_be_read_costs_no_look_at_the_load_balancer() {
    let mut world = World::new().settled();
    world.peerings.insert("pcx-1".to_owned(), unreadable());
    world.pass_after(10);
    assert!(world.plan.look_at_groups.is_empty(), "with EC2 down, each cluster of the fleet would look in every pass");
    assert_eq!(world.turn(), NOTHING);
    assert_eq!(world.says(Registered), "true Registered", "nor does a look in its turn change what is said");
    assert_eq!(world.says(Healthy), "true Healthy");
    assert_eq!(world.plan.stale, 0, "nothing of ours is known to be unwanted");
}
