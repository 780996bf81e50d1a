//! A new node's data volumes.

use asg_lifecycle::action::{Action, START_TAG};
use asg_lifecycle::journal::{Status, Step};
use asg_lifecycle::observed::{Part, Seen};
use asg_lifecycle::plan::NOT_TAKEN;
use domain::reason::Reason;
use ports::{InstanceState, LifecycleState, NewVolume, Volume, VolumeState};
use runtime::records::{RestoreMember, RestorePoint};

use crate::joining::two_and_one;
use crate::world::{World, address, nodes, voter};

fn point(set: &str, devices: &[&str]) -> RestorePoint {
    let member = |device: &&str| {
        let member = RestoreMember {
            snapshot: format!("snap-{set}"),
            size_gib: 100,
            kind: "gp3".to_owned(),
            iops: Some(6000),
            throughput: Some(250),
            key: Some("alias/db".to_owned()),
            ..RestoreMember::default()
        };
        ((*device).to_owned(), member)
    };
    RestorePoint {
        set: set.to_owned(),
        taken_at: "2026-11-21T06:00:00Z".parse().unwrap(),
        region: "eu-central-1".to_owned(),
        good: true,
        members: devices.iter().map(member).collect(),
        ..RestorePoint::default()
    }
}

/// A node that comes, and a good restore point.
fn coming(source: &str) -> World {
    let mut world = two_and_one();
    world.nodes = nodes(|n| n["volumes"] = serde_json::json!({"source": source}));
    world.seen.restore_points = Seen::Known(vec![point("s2", &["/dev/sdf"]), point("s1", &["/dev/sdf"])]);
    world.seen.volumes.insert("i-4".to_owned(), Seen::Known(Vec::new()));
    world
}

fn made(world: &mut World, state: VolumeState, attached_to: Option<&str>, ends_with_it: bool) {
    let volume = Volume {
        id: "vol-1".to_owned(),
        state,
        device: "/dev/sdf".to_owned(),
        attached_to: attached_to.map(str::to_owned),
        ends_with_it,
    };
    world.seen.volumes.insert("i-4".to_owned(), Seen::Known(vec![volume]));
}

fn created(world: &mut World) -> NewVolume {
    match world.step().as_slice() {
        [Action::CreateVolume(volume)] => volume.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_volume_is_made_attached_and_ends_with_its_instance_before_the_node_may_start() {
    let mut world = coming("snapshot");
    let volume = created(&mut world);
    assert_eq!((volume.snapshot.as_str(), volume.size_gib, volume.kind.as_str()), ("snap-s2", 100, "gp3"));
    assert_eq!((volume.iops, volume.throughput, volume.key.as_deref()), (Some(6000), Some(250), Some("alias/db")));
    assert_eq!(world.does(), Vec::<&str>::new(), "it may not show yet");
    made(&mut world, VolumeState::Creating, None, false);
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::MakingVolumes);
    made(&mut world, VolumeState::Available, None, false);
    assert_eq!(world.does(), ["AttachVolume"]);
    made(&mut world, VolumeState::InUse, None, false);
    assert_eq!(world.does(), Vec::<&str>::new(), "attaching");
    made(&mut world, VolumeState::InUse, Some("i-4"), false);
    assert_eq!(world.does(), ["EndVolumeWithInstance"]);
    made(&mut world, VolumeState::InUse, Some("i-4"), true);
    assert_eq!(world.does(), ["AddLearner"], "and only then the rest");
    assert_eq!(world.journal("i-4").status(Step::Volumes), Some(Status::Done));
    assert_eq!(world.journal("i-4").volume_ids, ["vol-1"]);
}

#[test]
fn lifecycle_case_29_a_volume_is_made_in_the_nodes_own_zone() {
    let mut world = coming("snapshot");
    world.group().instances.iter_mut().find(|i| i.id == "i-4").unwrap().zone = "eu-central-1c".to_owned();
    assert_eq!(created(&mut world).zone, "eu-central-1c");
}

/// No volume is looked for that another node had, so none is ever waited for or fought over.
#[test]
fn lifecycle_case_27_and_30_each_launch_makes_volumes_of_its_own_and_repeats_ask_for_the_same() {
    let mut world = coming("snapshot");
    let first = created(&mut world);
    world.now = world.now.checked_add(jiff::SignedDuration::from_secs(60)).unwrap();
    let again = created(&mut world);
    assert_eq!(first, again, "its reply was lost: the same token, the same volume");
    assert!(first.token.contains("i-4") && first.token.len() <= 64, "{}", first.token);
}

#[test]
fn a_younger_restore_point_does_not_mix_with_the_one_that_a_launch_began_with() {
    let mut world = coming("snapshot");
    created(&mut world);
    let points = vec![point("s3", &["/dev/sdf"]), point("s2", &["/dev/sdf"])];
    world.seen.restore_points = Seen::Known(points);
    assert_eq!(created(world.after(60)).snapshot, "snap-s2");
}

#[test]
fn without_a_restore_point_or_one_that_fits_the_node_copies_from_the_leader() {
    type Change = fn(&mut World);
    let changes: [Change; 2] = [
        |w| w.seen.restore_points = Seen::Absent,
        |w| w.seen.restore_points = Seen::Known(vec![point("s2", &["/dev/sdg"])]),
    ];
    for change in changes {
        let mut world = coming("snapshot");
        change(&mut world);
        assert_eq!(world.does(), ["AddLearner"]);
        assert_eq!(world.journal("i-4").status(Step::Volumes), Some(Status::Skipped));
    }
    assert_eq!(coming("none").does(), ["AddLearner"]);
}

#[test]
fn what_cannot_be_read_is_waited_for() {
    let mut world = coming("snapshot");
    world.seen.restore_points = Seen::Unknown("throttled".to_owned());
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::RestorePointUnreadable);
    let mut world = coming("snapshot");
    world.seen.volumes.insert("i-4".to_owned(), Seen::Unknown("throttled".to_owned()));
    assert_eq!(world.does(), Vec::<&str>::new());
    assert_eq!(world.reason(), Reason::VolumesUnreadable);
}

#[test]
fn lifecycle_case_24_a_volume_that_was_never_attached_goes_with_the_launch_that_failed() {
    let mut world = coming("snapshot");
    created(&mut world);
    made(&mut world, VolumeState::Available, None, false);
    world.machine("i-4", InstanceState::Terminated);
    assert_eq!(world.does(), ["DeleteVolume"]);
    made(&mut world, VolumeState::Gone, None, false);
    assert_eq!(world.does(), Vec::<&str>::new(), "another may have been made a moment ago, and not show yet");
    world.after(30);
    assert_eq!(world.does(), ["Abandon"]);
}

#[test]
fn a_volume_that_cannot_be_made_is_given_up_and_the_node_copies_from_the_leader() {
    let mut world = coming("snapshot");
    created(&mut world);
    made(&mut world, VolumeState::Error, None, false);
    assert_eq!(world.after(30).does(), ["DeleteVolume"], "the same token would give the same dead volume");
    made(&mut world, VolumeState::Gone, None, false);
    assert_eq!(world.after(30).does(), ["AddLearner"]);
    assert_eq!(world.journal("i-4").status(Step::Volumes), Some(Status::Skipped));

    let mut world = coming("snapshot");
    created(&mut world);
    world.after(901).step();
    assert_eq!(world.after(30).does(), ["AddLearner"], "EC2 refused it for a quarter of an hour");

    let mut world = coming("snapshot");
    created(&mut world);
    made(&mut world, VolumeState::InUse, None, false);
    world.after(901).step();
    assert_eq!(world.look().state.failed_launches.len(), 1, "with some attached, half a cluster's data would start");
}

#[test]
fn a_launch_that_is_called_off_leaves_its_volume_to_the_termination() {
    let mut world = coming("snapshot");
    world.instance("i-4").tags.clear();
    created(&mut world);
    made(&mut world, VolumeState::Available, None, false);
    world.terminating("i-4");
    world.step();
    let [journal] = world.journals.as_slice() else { panic!("{:?}", world.journals) };
    assert_eq!(journal.restore_set.as_deref(), Some("s2"));
    assert_eq!(world.after(61).does(), ["DeleteVolume"]);
    made(&mut world, VolumeState::Gone, None, false);
    assert_eq!(world.does(), ["Continue"]);
}

/// A restore point with two devices: what one step asks for does not wait for the other device.
#[test]
fn two_devices_are_made_and_attached_in_one_step_each() {
    let mut world = coming("snapshot");
    let devices = ["/dev/sdf", "/dev/sdg"];
    world.nodes = nodes(|n| n["volumes"] = serde_json::json!({"source": "snapshot", "devices": devices}));
    world.seen.restore_points = Seen::Known(vec![point("s2", &devices)]);
    let made = world.step();
    let [Action::CreateVolume(one), Action::CreateVolume(two)] = made.as_slice() else { panic!("{made:?}") };
    assert_eq!((one.device.as_str(), two.device.as_str()), ("/dev/sdf", "/dev/sdg"));
    assert_ne!(one.token, two.token, "one token would give one volume");
    assert_eq!(world.does(), Vec::<&str>::new(), "they may not show yet");
    let volume = |number: usize, state, attached: bool, ends_with_it| Volume {
        id: format!("vol-{number}"),
        state,
        device: devices[number].to_owned(),
        attached_to: attached.then(|| "i-4".to_owned()),
        ends_with_it,
    };
    let have = |world: &mut World, volumes: [Volume; 2]| {
        world.seen.volumes.insert("i-4".to_owned(), Seen::Known(volumes.into()));
        world.after(1).does()
    };
    let (available, in_use) = (VolumeState::Available, VolumeState::InUse);
    let one_is_late = [volume(0, available, false, false), volume(1, VolumeState::Creating, false, false)];
    assert_eq!(have(&mut world, one_is_late), ["AttachVolume"]);
    let both = [volume(0, available, false, false), volume(1, available, false, false)];
    assert_eq!(have(&mut world, both), ["AttachVolume", "AttachVolume"]);
    let one = [volume(0, in_use, true, false), volume(1, in_use, false, false)];
    assert_eq!(have(&mut world, one), ["EndVolumeWithInstance"], "the other is being attached");
    let marked = [volume(0, in_use, true, true), volume(1, in_use, true, false)];
    assert_eq!(have(&mut world, marked), ["EndVolumeWithInstance"]);
    let ready = [volume(0, in_use, true, true), volume(1, in_use, true, true)];
    assert_eq!(have(&mut world, ready), ["AddLearner"], "and only then the rest");
}

/// Half of one set and half of another would be no cluster's data: the launch goes on without volumes.
#[test]
fn a_restore_point_that_goes_in_the_middle_of_a_launch_is_not_replaced_by_another() {
    let mut world = coming("snapshot");
    assert_eq!(created(&mut world).snapshot, "snap-s2");
    world.seen.restore_points = Seen::Known(vec![point("s3", &["/dev/sdf"]), point("s1", &["/dev/sdf"])]);
    made(&mut world, VolumeState::Available, None, false);
    assert_eq!(world.after(30).does(), ["DeleteVolume"], "what was made of it goes");
    made(&mut world, VolumeState::Gone, None, false);
    assert_eq!(world.after(30).does(), ["AddLearner"]);
    assert_eq!(world.journal("i-4").status(Step::Volumes), Some(Status::Skipped));

    let mut world = coming("snapshot");
    created(&mut world);
    made(&mut world, VolumeState::InUse, Some("i-4"), false);
    world.seen.restore_points = Seen::Known(vec![point("s1", &["/dev/sdf"])]);
    world.after(30).step();
    assert_eq!(world.look().state.failed_launches.len(), 1, "what is attached would be taken for the data");
}

/// A node that was granted its start and runs, far behind the leader, and follows it no step.
fn stuck(world: &mut World) {
    let mut members = world.members();
    members.push(voter("i-4"));
    world.set_members(members);
    assert_eq!(world.does(), ["Grant"]);
    world.instance("i-4").tags.insert(START_TAG.to_owned(), "join".to_owned());
    runs(world, "running", Some(1000));
    assert_eq!(world.after(10).does(), Vec::<&str>::new());
}

/// What its Patroni says of i-4. It streams nothing.
fn runs(world: &mut World, state: &str, replayed: Option<u64>) {
    world.runs("i-4", Part::Replica { synchronous: false });
    world.postgres("i-1").written = Some(90_000_000);
    let postgres = world.postgres("i-4");
    (postgres.state, postgres.replayed, postgres.written) = (state.to_owned(), replayed, None);
    postgres.streams = Some(false);
    world.topologies(|t| {
        let member = t.members.iter_mut().find(|m| m.address == Some(address("i-4"))).unwrap();
        state.clone_into(&mut member.state);
    });
}

/// The same, with data from a restore point.
fn restored() -> World {
    let mut world = coming("snapshot");
    created(&mut world);
    made(&mut world, VolumeState::InUse, Some("i-4"), true);
    stuck(&mut world);
    world
}

const STANDSTILL: i64 = 20 * 60;

#[test]
fn l1_restored_data_that_leads_nowhere_is_given_up_for_a_copy_of_the_leader_once() {
    let mut world = restored();
    runs(&mut world, "running", Some(2000));
    assert_eq!(world.after(STANDSTILL - 10).does(), Vec::<&str>::new(), "it came forward");
    assert_eq!(world.after(STANDSTILL).does(), Vec::<&str>::new(), "it has not stood still for long enough");
    let done = world.after(10).step();
    assert_eq!(done, [Action::Reinitialize { via: address("i-4"), instance: "i-4".to_owned() }]);
    assert_eq!(world.look().state.failed_launches.len(), 0);
    runs(&mut world, "creating replica", None);
    for hours in [1, 2, 2] {
        assert_eq!(world.after(hours * 3600).does(), Vec::<&str>::new(), "a copy has its own patience");
        assert_eq!(world.look().state.failed_launches.len(), 0);
    }
    world.runs("i-4", Part::Replica { synchronous: false });
    world.postgres("i-4").replayed = Some(90_000_000);
    assert_eq!([world.after(10).does(), world.after(10).does()], [[""; 0], [""; 0]]);
    assert_eq!(world.after(10).does(), ["RegisterNode"], "and it joins");
}

/// Patroni's answer is on record.
fn taken_up(world: &mut World) {
    let record = world.journal("i-4").steps.get_mut(&Step::BaseBackup).unwrap();
    record.evidence = "it copies the leader, says Patroni".to_owned();
}

#[test]
fn a_request_for_a_copy_of_which_no_answer_is_on_record_is_made_again() {
    let mut world = restored();
    assert_eq!(world.after(STANDSTILL + 1).does(), ["Reinitialize"]);
    assert_eq!(world.after(10).does(), Vec::<&str>::new());
    assert_eq!(world.after(31).does(), ["Reinitialize"], "the process died before it was sent");
    taken_up(&mut world);
    assert_eq!(world.after(31).does(), Vec::<&str>::new());
}

#[test]
fn a_node_that_stands_still_after_its_copy_too_has_failed() {
    let mut world = restored();
    assert_eq!(world.after(STANDSTILL + 1).does(), ["Reinitialize"]);
    taken_up(&mut world);
    assert_eq!(world.after(STANDSTILL).does(), Vec::<&str>::new(), "Patroni may take a while to begin");
    assert_eq!(world.look().state.failed_launches.len(), 0);
    assert_eq!(world.after(10).does(), Vec::<&str>::new(), "no second copy");
    assert_eq!(world.look().state.failed_launches.len(), 1);
    assert_eq!(world.journal("i-4").status(Step::Follow), Some(Status::Failed));
    // Its copy neither: it began, and did not end.
    let mut world = restored();
    assert_eq!(world.after(STANDSTILL + 1).does(), ["Reinitialize"]);
    taken_up(&mut world);
    runs(&mut world, "creating replica", None);
    world.after(10).step();
    world.after(6 * 3600 + 1).step();
    assert_eq!(world.look().state.failed_launches.len(), 1);
}

#[test]
fn only_restored_data_of_a_node_that_waits_is_thrown_away_and_only_while_another_leads() {
    let mut world = coming("none");
    assert_eq!(world.does(), ["AddLearner"]);
    stuck(&mut world);
    let done = world.after(STANDSTILL + 1).does();
    assert_eq!(done, Vec::<&str>::new(), "what it has, it copied");
    assert_eq!(world.look().state.failed_launches.len(), 1);

    type Change = fn(&mut World);
    let changes: [(&str, Change); 5] = [
        ("nobody leads", |w| {
            let replica = Part::Replica { synchronous: false };
            ["i-1", "i-2"].into_iter().for_each(|id| w.runs(id, replica));
            runs(w, "running", Some(1000));
        }),
        ("nobody told who leads", |w| {
            for topology in w.seen.topologies.values_mut() {
                *topology = Seen::Unknown("reset".to_owned());
            }
        }),
        ("it leads itself", |w| w.leads("i-4")),
        ("its Patroni does not answer", |w| {
            w.seen.postgres.insert("i-4".to_owned(), Seen::Unknown("timed out".to_owned()));
        }),
        ("it is in service", |w| w.state_of("i-4", LifecycleState::InService)),
    ];
    for (what, change) in changes {
        let mut world = restored();
        change(&mut world);
        for seconds in [10, STANDSTILL + 1, 10, STANDSTILL + 1] {
            let done = world.after(seconds).does();
            assert!(!done.contains(&"Reinitialize"), "{what}: {done:?}");
        }
    }
}

/// Patroni was at something else, or could not be reached: nothing has begun.
#[test]
fn a_copy_that_was_not_taken_up_is_asked_for_again_five_times_at_most() {
    let said = |world: &mut World, text: &str| {
        text.clone_into(&mut world.journal("i-4").steps.get_mut(&Step::BaseBackup).unwrap().evidence);
    };
    let mut world = restored();
    assert_eq!(world.after(STANDSTILL + 1).does(), ["Reinitialize"]);
    for _ in 0..4 {
        said(&mut world, &format!("{NOT_TAKEN}503: restarting after failure already in progress"));
        assert_eq!(world.after(1).does(), Vec::<&str>::new(), "not at once");
        assert_eq!(world.after(10).does(), ["Reinitialize"]);
    }
    said(&mut world, &format!("{NOT_TAKEN}503: restarting after failure already in progress"));
    assert_eq!(world.after(10).does(), Vec::<&str>::new());
    assert_eq!(world.look().state.failed_launches.len(), 0);
    world.after(STANDSTILL).step();
    assert_eq!(world.look().state.failed_launches.len(), 1);
    for taken in ["it copies the leader, says Patroni", "in doubt: TimedOut"] {
        let mut world = restored();
        assert_eq!(world.after(STANDSTILL + 1).does(), ["Reinitialize"]);
        said(&mut world, taken);
        assert_eq!(world.after(10).does(), Vec::<&str>::new(), "{taken}");
    }
}
