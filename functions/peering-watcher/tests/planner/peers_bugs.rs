//! What other watchers of this kind get wrong, each bug by name. A comment says whose it is and what it did; the test says
//! what happens here.

use domain::condition::ConditionKind::{AddressAllowed, Healthy, Registered};
use peering_watcher::action::Action;
use peering_watcher::state::WatcherState;
use ports::{Health, NameAnswer, PeeringState};
use serde_json::json;

use crate::world::{GROUP, NEW, OLD, World, answer, peering, target};

const NOTHING: [&str; 0] = [];

/// Springtail asks for the health of the current address alone, and looks for others in that answer: there are none, so
/// after a failover both servers are registered for good.
#[test]
fn springtail_never_deregisters_the_old_writer() {
    let mut world = World::new().settled();
    // The worst case for it: the new server is healthy before anybody looked.
    world.health(GROUP, NEW, Health::Healthy, "");
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
    assert_eq!(world.targets(GROUP), [format!("{NEW} Healthy")]);
}

/// Springtail never looks at the peering: what was registered over one stays after its end, when the address may soon be
/// somebody else's.
#[test]
fn springtail_never_sees_the_peering_end() {
    let mut world = World::new().settled();
    world.peering_is("pcx-1", PeeringState::Deleted);
    world.pass_after(10);
    assert_eq!(world.targets(GROUP), NOTHING);
    assert_eq!(world.peering_routes("rtb-1"), NOTHING);
}

/// Springtail registers whatever the customer's name answers: that name chooses where our load balancer connects to.
#[test]
fn springtail_registers_any_address_that_a_name_answers() {
    for address in ["10.1.0.5", "10.10.0.5", "169.254.169.254", "127.0.0.1", "8.8.8.8"] {
        let mut world = World::new();
        world.name_answers(&[address]);
        world.pass();
        world.pass_after(10);
        assert_eq!(world.targets(GROUP), NOTHING, "{address}");
        assert!(world.says(AddressAllowed).starts_with("false"), "{address}");
    }
}

/// Springtail registers a target that no listener uses three times a run, with a message each time, and waits until its
/// function times out.
#[test]
fn springtail_registers_an_unused_target_over_and_over() {
    let mut world = World::new();
    world.pass();
    world.health(GROUP, OLD, Health::Unused, "Target.NotInUse");
    world.turn();
    let told = world.transitions.clone();
    assert!(told.contains(&"Registered false TargetGroupNotInUse".to_owned()), "{told:?}");
    for _ in 0..20 {
        assert_eq!(world.turn(), NOTHING);
        assert_eq!(world.transitions, NOTHING, "it was told once");
    }
}

/// Springtail sends three messages a minute while a target is unhealthy.
#[test]
fn springtail_tells_of_an_unhealthy_target_in_every_run() {
    let mut world = World::new().settled();
    world.health(GROUP, OLD, Health::Unhealthy, "Target.FailedHealthChecks");
    world.turn();
    assert_eq!(world.transitions, ["Healthy false HealthCheckFailed"]);
    for _ in 0..20 {
        world.turn();
        assert_eq!(world.transitions, NOTHING);
    }
}

/// Springtail follows the first of two rotating records in each run, and registers both in the end.
#[test]
fn springtail_registers_both_of_two_rotating_records() {
    let mut world = World::new().settled();
    for _ in 0..20 {
        for address in ["10.9.0.6", "10.9.0.5"] {
            world.name_answers(&[address]);
            assert_eq!(world.pass_after(10), NOTHING, "{address}");
        }
    }
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
    assert!(world.memory(GROUP).switches.is_empty());
}

/// Springtail takes any state but `unused` for registered, and the hostname-as-target sample of AWS any entry of the list: a
/// primary that comes back while its address drains gets no connection until it has drained.
#[test]
fn draining_counts_as_registered() {
    let mut world = World::new().settled();
    world.health(GROUP, OLD, Health::Draining, "Target.DeregistrationInProgress");
    assert_eq!(world.turn(), [format!("RegisterTarget {OLD}")]);
}

/// Springtail would deregister without a port, and looks at the address alone: after a change of port the old target stays.
#[test]
fn springtail_keeps_the_old_port() {
    let mut world = World::new().settled();
    world.put(|primary| primary["endpoints"][0]["port"] = json!(6432));
    assert_eq!(world.pass_after(10), ["RegisterTarget 10.9.0.5:6432"], "one address, another target");
    world.heal();
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
    assert_eq!(world.targets(GROUP), ["10.9.0.5:6432 Healthy"]);
}

/// chaostoolkit-aws 60 and aws-sdk-js 1964: a deregistration without the port answers 200 and does nothing. Ours cannot leave
/// it out, and does not hit another port of the same address.
#[test]
fn deregister_without_port_does_nothing() {
    let mut world = World::new().settled();
    world.health(GROUP, "10.9.0.5:9999", Health::Healthy, "somebody's, on the same host");
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    world.pass_after(10);
    world.heal();
    world.pass_after(10);
    let [Action::DeregisterTarget { target: gone, .. }] = world.done.as_slice() else { panic!("{:?}", world.done) };
    assert_eq!(*gone, target(OLD));
    assert_eq!(world.targets(GROUP), ["10.9.0.5:9999 Healthy".to_owned(), format!("{NEW} Healthy")]);
}

/// The hostname-as-target sample reads any failure of its store as an empty history, and with it forgets how often an
/// address was missed and what it had registered.
#[test]
fn hat_s3_failure_reads_as_empty_history() {
    let mut world = World::any(&["10.9.0.5", "10.9.0.6"]).settled();
    world.state = WatcherState::default();
    world.name_answers(&["10.9.0.5"]);
    assert_eq!(world.pass_after(10), NOTHING);
    for _ in 0..5 {
        assert_eq!(world.pass_after(60), NOTHING, "what is not on record is nobody's to remove");
    }
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy"), format!("{NEW} Healthy")]);
    assert_eq!(world.says(Registered), "false ForeignTarget", "and it is told");
}

/// The module of shipmonk knows three good states of a database; in any other its desired set is empty, and it removes every
/// target. Neither a state that we do not know nor an answer without addresses empties anything here.
#[test]
fn shipmonk_status_outside_list_removes_all() {
    let states = [PeeringState::Provisioning, PeeringState::Unrecognized, PeeringState::InitiatingRequest];
    let answers = [NameAnswer::NoData, NameAnswer::NxDomain, answer(&["fd00::5"], 5), answer(&["203.0.113.7"], 5)];
    for state in states {
        let mut world = World::any(&["10.9.0.5", "10.9.0.6"]).settled();
        world.peering_is("pcx-1", state);
        (0..10).for_each(|_| assert_eq!(world.pass_after(60), NOTHING, "{state:?}"));
    }
    for said in answers {
        let mut world = World::any(&["10.9.0.5", "10.9.0.6"]).settled();
        world.dns(said.clone());
        (0..10).for_each(|_| assert_eq!(world.pass_after(60), NOTHING, "{said:?}"));
    }
}

/// The modules of acheraime, Materialize and shipmonk, and the AWS Load Balancer Controller, deregister first: for minutes
/// nothing serves, because a new target of a network load balancer takes that long.
#[test]
fn deregister_before_register() {
    for mut world in [World::new(), World::any(&["10.9.0.5"])] {
        world.settle();
        world.name_answers(&["10.9.0.6"]);
        let mut done = Vec::new();
        for _ in 0..6 {
            done.extend(world.pass_after(10));
            assert!(
                world.targets(GROUP).contains(&format!("{OLD} Healthy")),
                "the old one serves until the new one does"
            );
        }
        world.heal();
        done.extend(world.pass_after(10));
        assert_eq!(done, [format!("RegisterTarget {NEW}"), format!("DeregisterTarget {OLD}")]);
    }
}

/// acheraime's and the Ministry of Justice's remove every old target when the set changes, those that still are in it too.
#[test]
fn acheraime_removes_what_is_still_wanted() {
    let mut world = World::any(&["10.9.0.5", "10.9.0.6"]).settled();
    world.name_answers(&["10.9.0.5", "10.9.0.7"]);
    let mut done = world.pass_after(10);
    world.heal();
    done.extend(world.pass_after(10));
    assert_eq!(done, ["RegisterTarget 10.9.0.7:5432", "DeregisterTarget 10.9.0.6:5432"]);
    assert_eq!(world.targets(GROUP), ["10.9.0.5:5432 Healthy", "10.9.0.7:5432 Healthy"]);
}

/// The Ministry of Justice's compares the first address of the two sets, Materialize's looks at the first target alone.
#[test]
fn moj_and_materialize_look_at_the_first_element_only() {
    let mut world = World::any(&["10.9.0.5", "10.9.0.6"]).settled();
    world.name_answers(&["10.9.0.5", "10.9.0.8"]);
    assert_eq!(world.pass_after(10), ["RegisterTarget 10.9.0.8:5432"], "the first element is the same");

    let mut world = World::any(&["10.9.0.5", "10.9.0.6", "10.9.0.7"]).settled();
    world.name_answers(&["10.9.0.5"]);
    world.pass_after(10);
    assert_eq!(
        world.pass_after(10),
        ["DeregisterTarget 10.9.0.6:5432", "DeregisterTarget 10.9.0.7:5432"],
        "all that went"
    );
}

/// The cross-account samples of AWS remove at once what one lookup lacks: a resolver that rotates its answer takes targets
/// out and in.
#[test]
fn crossaccount_sample_removes_after_one_lookup() {
    let mut world = World::any(&["10.9.0.5", "10.9.0.6"]).settled();
    for said in [["10.9.0.5"], ["10.9.0.6"], ["10.9.0.5"], ["10.9.0.6"]] {
        world.name_answers(&said);
        assert_eq!(world.pass_after(10), NOTHING, "{said:?}");
    }
}

/// kubernetes/cloud-provider-aws 1328: the group is full, the registration fails, and so the deregistration that would make
/// room is never tried.
#[test]
fn full_group_deadlock_cloud_provider_1328() {
    let mut world = World::new().settled();
    world.health(GROUP, OLD, Health::Unhealthy, "Target.FailedHealthChecks");
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    // The group has no room: nothing that is sent takes effect, and what is sent says each time what may go first.
    world.calls_fail = true;
    for _ in 0..3 {
        world.pass_after(10);
        let [Action::RegisterTarget { target: new, make_room, .. }] = world.done.as_slice() else {
            panic!("{:?}", world.done)
        };
        assert_eq!((*new, make_room.as_slice()), (target(NEW), &[target(OLD)][..]));
    }
}

/// HubSpot/Baragon 369: a guard of the last healthy target trusted a list that lagged behind its own writes.
#[test]
fn baragon_369_the_last_healthy_guard_believes_a_stale_list() {
    let mut world = World::new().settled();
    world.name_answers(&["10.9.0.6"]);
    world.pass_after(10);
    world.pass_after(10);
    world.heal();
    assert_eq!(world.pass_after(10), [format!("DeregisterTarget {OLD}")]);
    // The list still shows the old one, healthy, and no longer the new one.
    let real = std::mem::take(&mut world.group(GROUP).targets);
    world.health(GROUP, OLD, Health::Healthy, "");
    assert_eq!(world.pass_after(5), [format!("RegisterTarget {NEW}")], "harmless");
    world.group(GROUP).targets = real;
    world.drain();
    for _ in 0..5 {
        assert_eq!(world.pass_after(10), NOTHING);
        world.heal();
    }
    assert_eq!(world.targets(GROUP), [format!("{NEW} Healthy")]);
}

/// AWS Load Balancer Controller 1141: a new leader took every target out and put it back in, ten minutes without service.
#[test]
fn lbc_1141_a_new_process_takes_everything_out_and_in() {
    let mut world = World::any(&["10.9.0.5", "10.9.0.6"]).settled();
    world.state = WatcherState::default();
    for _ in 0..5 {
        assert_eq!(world.turn(), NOTHING);
    }
    assert_eq!(world.says(Registered), "true Registered");
    assert_eq!(world.says(Healthy), "true Healthy");
}

/// botocore 781: a peering that was made a moment ago is not found for a while, and was taken for gone.
#[test]
fn botocore_781_a_new_peering_that_is_not_seen_yet_is_gone() {
    let mut world = World::new();
    world.peerings.clear();
    for _ in 0..20 {
        assert_eq!(world.pass_after(10), NOTHING);
        assert_eq!(world.ends(), "waiting PeeringNotFoundYet");
    }
    let seen = peering("pcx-1", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
    world.peerings.insert("pcx-1".to_owned(), peering_watcher::observed::Seen::Known(seen));
    world.settle();
    assert_eq!(world.targets(GROUP), [format!("{OLD} Healthy")]);
}
