//! Our side's routes: made on record, read back, and never changed where they are not ours.

use domain::condition::ConditionKind::{Registered, RouteReady};
use peering_watcher::observed::Seen;
use peering_watcher::plan::routes::FleetRoutes;
use ports::{PeeringState, RouteState, RouteTarget};
use serde_json::json;

use crate::world::{GROUP, OLD, World, peering, peering_spec, route, to};

const NOTHING: [&str; 0] = [];
const MADE: &str = "CreateRoute 10.9.0.0/16 -> pcx-1 in rtb-1";
const REMOVED: &str = "DeleteRoute 10.9.0.0/16 -> pcx-1 in rtb-1";

fn gateway() -> RouteTarget {
    RouteTarget::Other("tgw-1".to_owned())
}

#[test]
fn a_route_is_on_record_before_it_is_made_and_confirmed_when_read_back() {
    let mut world = World::new();
    world.calls_fail = true;
    assert_eq!(world.pass()[0], MADE);
    assert_eq!(world.state.routes.len(), 1, "the record is there although the call failed");
    assert!(!world.state.routes[0].confirmed);
    assert_eq!(world.says(RouteReady), "unknown RoutePending");

    world.calls_fail = false;
    assert_eq!(world.pass_after(10)[0], MADE, "and it is tried again");
    assert!(world.state.routes[0].confirmed);
    assert_eq!(world.says(RouteReady), "true RoutesInPlace");
}

#[test]
fn a_route_whose_reply_was_lost_is_ours() {
    let mut world = World::new();
    world.calls_fail = true;
    world.pass();
    world.calls_fail = false;
    world.routes("rtb-1").push(route("10.9.0.0/16", to("pcx-1")));
    world.settle();
    world.peering_is("pcx-1", PeeringState::Deleted);
    assert!(world.pass_after(10).contains(&REMOVED.to_owned()));
}

#[test]
fn w6_a_route_that_was_there_before_us_is_used_and_never_removed() {
    let mut world = World::new();
    world.routes("rtb-1").push(route("10.9.0.0/16", to("pcx-1")));
    assert_eq!(world.pass(), [format!("RegisterTarget {OLD}")]);
    assert_eq!(world.says(RouteReady), "true RoutesInPlace");
    world.settle();
    world.deleted = true;
    world.pass_after(10);
    assert_eq!(world.peering_routes("rtb-1"), ["10.9.0.0/16 -> pcx-1"]);
}

#[test]
fn watcher_case_active_but_our_route_is_blackhole() {
    let mut world = World::new().settled();
    world.routes("rtb-1")[1].state = RouteState::Blackhole;
    assert_eq!(world.turn(), NOTHING);
    assert_eq!(world.says(RouteReady), "false RouteBlackhole");
    assert_eq!(world.ends(), "waiting RouteBlackhole");
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);

    world.routes("rtb-1")[1].state = RouteState::Active;
    world.pass_after(10);
    assert_eq!(world.says(RouteReady), "true RoutesInPlace", "it is looked at until it is well");
}

#[test]
fn a_route_of_ours_that_somebody_removed_is_made_again() {
    let mut world = World::new().settled();
    world.routes("rtb-1").retain(|r| r.target == RouteTarget::Local);
    assert_eq!(world.turn(), [MADE]);
}

#[test]
fn w6_a_route_that_is_not_ours_is_left_alone_and_named() {
    let cases = [
        ("the same block", "10.9.0.0/16", gateway()),
        ("the same block, another peering", "10.9.0.0/16", to("pcx-9")),
        ("a wider block", "10.8.0.0/15", gateway()),
        ("a narrower block", "10.9.3.0/24", gateway()),
        ("a narrower block, another peering", "10.9.3.0/24", to("pcx-9")),
        ("a narrower block over our own connection", "10.9.3.0/24", to("pcx-1")),
        ("a single host", "10.9.0.5/32", RouteTarget::Other("eni-1".to_owned())),
        ("the VPC itself", "10.0.0.0/8", RouteTarget::Local),
    ];
    for (what, block, target) in cases {
        let mut world = World::new();
        let foreign = route(block, target);
        world.routes("rtb-1").push(foreign.clone());
        assert_eq!(world.pass(), [format!("RegisterTarget {OLD}")], "{what}");
        assert_eq!(world.says(RouteReady), "false RouteConflict", "{what}");
        assert!(world.message(RouteReady).contains(block), "{what}: {}", world.message(RouteReady));
        assert!(world.state.routes.is_empty(), "{what}: nothing was decided");
        world.heal();
        world.pass_after(10);
        world.pass_after(10);
        assert_eq!(world.ends(), "blocked RouteConflict", "{what}");

        // Somebody follows the remedy, which is to remove it.
        world.routes("rtb-1").retain(|r| *r != foreign);
        assert_eq!(world.pass_after(10), [MADE], "{what}");
        world.settle();
        assert_eq!(world.says(RouteReady), "true RoutesInPlace", "{what}");
    }
}

#[test]
fn the_default_route_and_neighbours_are_no_conflict() {
    let mut world = World::new();
    world.routes("rtb-1").push(route("0.0.0.0/0", gateway()));
    world.routes("rtb-1").push(route("10.8.0.0/16", gateway()));
    world.routes("rtb-1").push(route("10.10.0.0/16", gateway()));
    assert_eq!(world.pass()[0], MADE);
}

/// A settled world in which pcx-2 has taken the place of pcx-1, and the spec says so.
fn peered_anew() -> World {
    let mut world = World::new().settled();
    world.peering_is("pcx-1", PeeringState::Deleted);
    world.peerings.remove("pcx-1");
    let active = peering("pcx-2", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
    world.peerings.insert("pcx-2".to_owned(), Seen::Known(active));
    world.put(|primary| primary["peerings"][0]["connection_id"] = json!("pcx-2"));
    world
}

#[test]
fn watcher_case_active_but_our_route_points_to_an_old_pcx() {
    let mut world = peered_anew();
    world.calls_fail = true;
    assert_eq!(world.pass_after(10), ["ReplaceRoute 10.9.0.0/16 -> pcx-2 in rtb-1 (was pcx-1)"]);
    assert_eq!(world.says(RouteReady), "unknown RoutePending", "not ready until it is read back");
    assert!(world.state.routes[0].leads_to("pcx-1"), "where it leads now is not forgotten");

    world.calls_fail = false;
    assert_eq!(world.pass_after(10), ["ReplaceRoute 10.9.0.0/16 -> pcx-2 in rtb-1 (was pcx-1)"]);
    assert_eq!(world.says(RouteReady), "true RoutesInPlace");
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
    world.settle();
}

#[test]
fn a_route_that_is_refused_in_every_pass_keeps_no_rebuilt_state_from_being_believed() {
    let mut world = peered_anew();
    world.state.agreeing = 0;
    world.calls_fail = true;
    for agreed in [0, 1, 2] {
        assert_eq!(world.pass_after(10), ["ReplaceRoute 10.9.0.0/16 -> pcx-2 in rtb-1 (was pcx-1)"]);
        assert_eq!(world.state.agreeing, agreed);
    }
}

#[test]
fn a_late_answer_without_our_old_route_does_not_make_it_somebody_elses() {
    let mut world = peered_anew();
    let late = world.routes("rtb-1").split_off(1);
    world.calls_fail = true;
    for _ in 0..2 {
        assert_eq!(world.pass_after(10), ["CreateRoute 10.9.0.0/16 -> pcx-2 in rtb-1"], "EC2 refuses it: it is there");
    }
    world.calls_fail = false;
    world.routes("rtb-1").extend(late);
    assert_eq!(world.pass_after(10), ["ReplaceRoute 10.9.0.0/16 -> pcx-2 in rtb-1 (was pcx-1)"]);
    world.settle();
}

#[test]
fn w6_a_route_of_ours_that_somebody_pointed_elsewhere_is_theirs_now() {
    for elsewhere in [gateway(), to("pcx-9")] {
        let mut world = World::new().settled();
        world.routes("rtb-1")[1].target = elsewhere.clone();
        assert_eq!(world.turn(), NOTHING);
        assert_eq!(world.says(RouteReady), "false RouteConflict");
        world.peering_is("pcx-1", PeeringState::Deleted);
        assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")], "the route stays");
        assert!(world.state.routes.is_empty(), "and is off our record");
        assert_eq!(world.routes("rtb-1")[1].target, elsewhere);
    }
}

#[test]
fn watcher_case_secondary_cidr_added_and_removed_after_acceptance() {
    let mut world = World::new();
    world.put(|primary| primary["peerings"][0]["allowed_cidrs"] = json!(["10.9.0.0/16", "10.20.0.0/16"]));
    world.settle();
    let wider = peering("pcx-1", PeeringState::Active, "vpc-peer", &["10.9.0.0/16", "10.20.0.0/16", "10.30.0.0/16"]);
    world.peerings.insert("pcx-1".to_owned(), Seen::Known(wider));
    assert_eq!(world.pass_after(10), ["CreateRoute 10.20.0.0/16 -> pcx-1 in rtb-1"], "only what is allowed");
    world.settle();
    let narrow = peering("pcx-1", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
    world.peerings.insert("pcx-1".to_owned(), Seen::Known(narrow));
    assert_eq!(world.pass_after(10), NOTHING, "one answer may be from before");
    assert_eq!(world.pass_after(30), ["DeleteRoute 10.20.0.0/16 -> pcx-1 in rtb-1"]);
    world.settle();
}

#[test]
fn a_block_that_is_not_allowed_whole_gets_no_route_and_says_so() {
    let mut world = World::new();
    world.put(|primary| primary["peerings"][0]["allowed_cidrs"] = json!(["10.9.0.0/24"]));
    assert_eq!(world.pass(), [format!("RegisterTarget {OLD}")]);
    assert_eq!(world.says(RouteReady), "false BlockNotAllowed");
    assert!(world.message(RouteReady).contains("10.9.0.0/16"));
}

#[test]
fn no_route_tables_means_routes_are_somebody_elses() {
    let mut world = World::new();
    world.put(|primary| primary["route_table_ids"] = json!([]));
    assert_eq!(world.pass(), [format!("RegisterTarget {OLD}")]);
    assert_eq!(world.says(RouteReady), "true RoutesNotManaged");
}

#[test]
fn each_route_table_gets_its_route_and_one_that_is_missing_stops_no_other() {
    let cases = [
        (Seen::Absent, "false RouteTableNotFound", "blocked RouteTableNotFound"),
        (Seen::Unknown("denied".to_owned()), "unknown RouteTableUnreadable", "failed RouteTableUnreadable"),
    ];
    for (trouble, says, ends) in cases {
        let mut world = World::new();
        world.put(|primary| primary["route_table_ids"] = json!(["rtb-1", "rtb-2"]));
        let well = world.tables.insert("rtb-1".to_owned(), trouble).unwrap();
        assert_eq!(
            world.pass(),
            ["CreateRoute 10.9.0.0/16 -> pcx-1 in rtb-2".to_owned(), format!("RegisterTarget {OLD}")]
        );
        assert_eq!(world.says(RouteReady), says);
        world.heal();
        world.pass_after(10);
        assert_eq!(world.ends(), ends);
        world.tables.insert("rtb-1".to_owned(), well);
        assert_eq!(world.pass_after(10), [MADE]);
        world.settle();
    }
}

#[test]
fn w2_a_route_table_that_cannot_be_read_keeps_its_record() {
    let mut world = World::new().settled();
    let well = world.tables.insert("rtb-1".to_owned(), Seen::Unknown("throttled".to_owned())).unwrap();
    world.peering_is("pcx-1", PeeringState::Deleted);
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
    for _ in 0..5 {
        assert_eq!(world.pass_after(60), NOTHING);
        assert_eq!(world.state.routes.len(), 1);
    }
    world.tables.insert("rtb-1".to_owned(), well);
    assert_eq!(world.pass_after(10), [REMOVED]);
    world.tables.insert("rtb-1".to_owned(), Seen::Absent);
    world.pass_after(10);
    assert!(world.state.routes.is_empty(), "a table that is gone took its routes along");
}

#[test]
fn a_table_that_the_spec_drops_loses_our_route_after_the_others_got_theirs() {
    let mut world = World::new().settled();
    world.put(|primary| primary["route_table_ids"] = json!(["rtb-2"]));
    assert_eq!(world.pass_after(10), ["CreateRoute 10.9.0.0/16 -> pcx-1 in rtb-2", REMOVED]);
    world.settle();
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
}

#[test]
fn w9_a_route_stays_while_its_connection_cannot_be_judged() {
    let mut world = World::new().settled();
    for trouble in [Seen::Unknown("throttled".to_owned()), Seen::Absent] {
        world.peerings.insert("pcx-1".to_owned(), trouble);
        for _ in 0..4 {
            assert_eq!(world.turn(), NOTHING);
        }
    }
}

#[test]
fn with_two_peers_of_one_block_the_first_of_the_spec_has_the_route() {
    let mut world = World::new();
    world.put(|primary| {
        primary["peerings"].as_array_mut().unwrap().push(peering_spec("pcx-2", "vpc-two", &["10.9.0.0/16"]));
    });
    let second = peering("pcx-2", PeeringState::Active, "vpc-two", &["10.9.0.0/16"]);
    world.peerings.insert("pcx-2".to_owned(), Seen::Known(second));
    world.settle();
    assert_eq!(world.peering_routes("rtb-1"), ["10.9.0.0/16 -> pcx-1"]);
}

#[test]
fn teardown_removes_targets_first_and_routes_last() {
    let mut world = World::new().settled();
    world.deleted = true;
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}"), REMOVED.to_owned()]);
    assert!(!world.plan.finished, "not before it is read back");
    world.drain();
    world.pass_after(31);
    assert!(world.plan.finished);
    assert_eq!(world.ends(), "changed TornDown");
}

/// What all clusters together want and have on record, as a pass works it out from specs, states and the list.
fn fleet(worlds: &[&World]) -> FleetRoutes {
    let mut fleet = FleetRoutes::default();
    for world in worlds {
        let spec = world.read_spec();
        let primary = spec.primary.as_ref().filter(|_| !world.deleted);
        let unreadable = world.peerings.values().any(|p| matches!(p, Seen::Unknown(_)));
        let known = world.peerings.iter().filter_map(|(id, p)| Some((id.clone(), p.known()?.clone())));
        let listed = (!unreadable).then(|| known.collect());
        fleet.enter(&world.cluster, primary, listed.as_ref(), &world.state, world.now);
    }
    fleet
}

/// One pass over two clusters that share a route table, each planning from the fleet as it was when the pass began.
fn pass_over(one: &mut World, other: &mut World) -> [Vec<String>; 2] {
    let fleet = fleet(&[one, other]);
    (one.others, other.others) = (fleet.clone(), fleet);
    let first = one.pass_after(10);
    other.tables = one.tables.clone();
    let second = other.pass_after(10);
    one.tables = other.tables.clone();
    [first, second]
}

fn two_clusters() -> (World, World) {
    let (mut one, mut other) = (World::new(), World::new());
    other.cluster = "beta-prod".to_owned();
    pass_over(&mut one, &mut other);
    for _ in 0..3 {
        one.heal();
        other.heal();
        assert_eq!(pass_over(&mut one, &mut other), [NOTHING; 2]);
    }
    one.settle();
    other.settle();
    (one, other)
}

#[test]
fn w6_whoever_leaves_a_shared_route_first_leaves_it_and_the_last_removes_it() {
    for first_leaves in [true, false] {
        let (mut one, mut other) = two_clusters();
        let (leaver, stayer) = if first_leaves { (&mut one, &mut other) } else { (&mut other, &mut one) };
        leaver.deleted = true;
        assert_eq!(pass_over(leaver, stayer), [vec![format!("DeregisterTarget {OLD}")], vec![]]);
        leaver.drain();
        for _ in 0..4 {
            pass_over(leaver, stayer);
        }
        assert!(leaver.plan.finished);
        assert_eq!(stayer.peering_routes("rtb-1"), ["10.9.0.0/16 -> pcx-1"]);

        stayer.deleted = true;
        pass_over(leaver, stayer);
        assert_eq!(stayer.peering_routes("rtb-1"), NOTHING, "nobody needs it now");
    }
}

#[test]
fn a_shared_route_goes_when_both_clusters_leave_in_one_pass() {
    let (mut one, mut other) = two_clusters();
    for world in [&mut one, &mut other] {
        world.put(|primary| primary["route_table_ids"] = json!(["rtb-2"]));
    }
    for _ in 0..4 {
        pass_over(&mut one, &mut other);
    }
    assert_eq!(one.peering_routes("rtb-1"), NOTHING, "it is not left behind");
    assert_eq!(one.peering_routes("rtb-2"), ["10.9.0.0/16 -> pcx-1"]);
}

#[test]
fn a_shared_route_follows_when_both_clusters_are_peered_anew() {
    let (mut one, mut other) = two_clusters();
    for world in [&mut one, &mut other] {
        world.peering_is("pcx-1", PeeringState::Deleted);
        let active = peering("pcx-2", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
        world.peerings.insert("pcx-2".to_owned(), Seen::Known(active));
        world.put(|primary| primary["peerings"][0]["connection_id"] = json!("pcx-2"));
    }
    for _ in 0..3 {
        pass_over(&mut one, &mut other);
    }
    assert_eq!(one.peering_routes("rtb-1"), ["10.9.0.0/16 -> pcx-2"]);
    assert_eq!(
        (one.says(RouteReady), other.says(RouteReady)),
        ("true RoutesInPlace".into(), "true RoutesInPlace".into())
    );
    assert_eq!(one.says(Registered), "true Registered");
}

#[test]
fn w6_a_route_that_another_cluster_still_needs_is_not_pointed_elsewhere() {
    let (mut one, mut other) = two_clusters();
    // Another VPC of the same customer with the same block: the other cluster stays on the old connection.
    let second = peering("pcx-2", PeeringState::Active, "vpc-two", &["10.9.0.0/16"]);
    one.peerings.insert("pcx-2".to_owned(), Seen::Known(second));
    one.put(|primary| primary["peerings"][0] = peering_spec("pcx-2", "vpc-two", &["10.9.0.0/16"]));
    for _ in 0..3 {
        pass_over(&mut one, &mut other);
    }
    assert_eq!(other.peering_routes("rtb-1"), ["10.9.0.0/16 -> pcx-1"]);
    assert_eq!(one.says(RouteReady), "false RouteConflict");
    assert_eq!(other.says(RouteReady), "true RoutesInPlace");
}

#[test]
fn w6_a_cluster_whose_peering_cannot_be_read_keeps_its_claim_on_a_shared_route() {
    let (mut one, mut other) = two_clusters();
    other.peerings.insert("pcx-1".to_owned(), Seen::Unknown("throttled".to_owned()));
    one.deleted = true;
    for _ in 0..4 {
        pass_over(&mut one, &mut other);
    }
    assert_eq!(other.peering_routes("rtb-1"), ["10.9.0.0/16 -> pcx-1"]);
}
