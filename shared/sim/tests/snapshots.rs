//! The model of snapshots, keys and the nodes' file systems by itself: what EBS, KMS and a node do, and what they answer.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ports::{
    Class, CommandState, Commands as _, EncryptionKeys as _, NewCopy, NewSet, Snapshot, SnapshotState, Snapshots as _,
};
use sim::{
    Asked, Client, FileSystems, Happened, NewDatabase, NewDrive, NewScalingGroup, Observer, Odds, Record, Snapshots,
    State, Weather, World,
};

const GROUP: &str = "acme-pg";
const HOME: &str = "eu-central-1";
const AWAY: &str = "us-west-2";

struct Stage {
    world: World,
    client: Client,
    nodes: Vec<String>,
    /// The data volumes of the first node, and what it starts from.
    data: [String; 2],
    boot: String,
}

impl Stage {
    fn new() -> Self {
        let world = World::new(11, "2026-11-21T12:00:00Z".parse().unwrap());
        world.tell();
        let nodes = world.happen(|state, now| {
            state.put_scaling_group(NewScalingGroup::named(GROUP, 3, Vec::new()), now);
            state.put_running_database(NewDatabase::of(GROUP, "acme"), now)
        });
        let (boot, data) = world.happen(|state, _| {
            let boot = state.put_drive(&nodes[0], NewDrive::boot());
            let data = ["/dev/sdf", "/dev/sdg"].map(|device| state.put_drive(&nodes[0], NewDrive::data(device)));
            state.put_file_systems(&nodes[0], FileSystems::over("/var/lib/postgresql", &data));
            (boot, data)
        });
        let client = world.client("test");
        let stage = Self { world, client, nodes, data, boot };
        stage.wait(15);
        stage
    }

    fn wait(&self, seconds: u64) {
        self.world.time().advance(Duration::from_secs(seconds));
        self.world.happen(|_, _| ());
    }

    fn ask<T>(&self, call: impl AsyncFnOnce(Snapshots) -> T) -> T {
        sim::block_on(self.world.time(), call(Snapshots::new(&self.client))).unwrap()
    }

    fn set(&self, name: &str) -> NewSet {
        NewSet {
            instance: self.nodes[0].clone(),
            exclude_boot: true,
            exclude: Vec::new(),
            description: String::new(),
            tags: BTreeMap::from([("set".to_owned(), name.to_owned())]),
        }
    }

    fn create(&self, name: &str) -> Result<Vec<Snapshot>, ports::PortError> {
        let set = self.set(name);
        self.ask(async |port| port.create(&set).await)
    }

    fn tagged(&self, name: &str) -> Vec<Snapshot> {
        let tags = [("set".to_owned(), name.to_owned())];
        self.ask(async |port| port.tagged("", &tags).await).unwrap()
    }

    fn copy(&self, source: &str, change: impl FnOnce(&mut NewCopy)) -> Result<String, ports::PortError> {
        let mut copy = NewCopy {
            source_region: HOME.to_owned(),
            source: source.to_owned(),
            source_is_encrypted: false,
            key: None,
            encrypt: false,
            description: String::new(),
            tags: BTreeMap::new(),
        };
        change(&mut copy);
        self.ask(async |port| port.copy(AWAY, &copy).await)
    }

    fn delete(&self, id: &str) -> Result<(), ports::PortError> {
        self.ask(async |port| port.delete("", id).await)
    }

    fn state(&self, region: &str, id: &str) -> Option<SnapshotState> {
        self.world.read(|state| state.snapshot(region, id).map(|(snapshot, _)| snapshot.state))
    }

    fn habits(&self, change: impl FnOnce(&mut sim::SnapshotHabits)) {
        self.world.happen(|state, _| change(state.snapshot_habits()));
    }

    fn run(&self, script: &str) -> (i32, String) {
        let commands = sim::Commands::new(&self.client);
        let sent = commands.send(&self.nodes[0], script, "", Duration::from_secs(30));
        let id = sim::block_on(self.world.time(), sent).unwrap().unwrap();
        for _ in 0..20 {
            self.wait(1);
            let state = sim::block_on(self.world.time(), commands.state(&self.nodes[0], &id)).unwrap();
            if let Ok(CommandState::Ended { code, output }) = state {
                return (code, output);
            }
        }
        panic!("the command does not end");
    }

    fn verb(&self, verb: &str, not_after: i64) -> (i32, String) {
        let at = self.world.time().now().as_second() + not_after;
        self.run(&format!(
            "VERB='{verb}'\nTOKEN='t-1'\nNOT_AFTER='{at}'\nLIMIT='5'\nMOUNTS='/var/lib/postgresql'\nset -eu\n"
        ))
    }
}

fn ids(snapshots: &[Snapshot]) -> Vec<String> {
    snapshots.iter().map(|snapshot| snapshot.id.clone()).collect()
}

fn code<T: std::fmt::Debug>(result: Result<T, ports::PortError>) -> String {
    result.unwrap_err().code
}

#[test]
fn a_set_is_of_one_instant_of_all_that_is_attached_and_not_left_out() {
    let stage = Stage::new();
    let set = stage.create("a").unwrap();
    assert_eq!(set.iter().map(|s| s.volume.clone()).collect::<Vec<_>>(), stage.data);
    assert!(set.iter().all(|s| s.state == SnapshotState::Pending && s.started_at == set[0].started_at));
    stage.world.read(|state| {
        let facts: Vec<_> = state.snapshots().map(|(_, facts)| facts).collect();
        assert_eq!(facts.len(), 2);
        assert!(facts.iter().all(|f| f.call == Some(1) && f.content.at == set[0].started_at && !f.content.frozen));
        assert!(facts[0].content.log.is_some());
    });
    stage.wait(400);
    assert!(ids(&set).iter().all(|id| stage.state("", id) == Some(SnapshotState::Completed)));
    let mut wanted = stage.set("b");
    (wanted.exclude_boot, wanted.exclude) = (false, vec![stage.data[1].clone()]);
    let set = stage.ask(async |port| port.create(&wanted).await).unwrap();
    let volumes: BTreeSet<_> = set.iter().map(|s| s.volume.clone()).collect();
    assert_eq!(volumes, BTreeSet::from([stage.boot.clone(), stage.data[0].clone()]));
    wanted.exclude = vec![stage.boot.clone()];
    assert_eq!(code(stage.ask(async |port| port.create(&wanted).await)), "InvalidParameterValue");
}

#[test]
fn snapshot_case_11_what_is_attached_between_is_taken_along_and_what_is_detached_is_missing() {
    let stage = Stage::new();
    let more = stage.world.happen(|state, _| {
        state.move_drive(&stage.data[1], None);
        state.put_drive(&stage.nodes[0], NewDrive::data("/dev/sdh"))
    });
    let set = stage.create("a").unwrap();
    assert_eq!(set.iter().map(|s| s.volume.clone()).collect::<Vec<_>>(), [stage.data[0].clone(), more]);
}

#[test]
fn snapshot_case_12_one_member_that_fails_fails_the_set_those_that_were_complete_too() {
    let stage = Stage::new();
    stage.world.happen(|state, _| state.next_snapshot_fails("broken"));
    stage.habits(|habits| habits.takes = (Duration::from_secs(60), Duration::from_secs(60)));
    let set = stage.create("a").unwrap();
    stage.wait(50);
    assert!(set.iter().all(|s| stage.state("", &s.id) == Some(SnapshotState::Pending)));
    stage.wait(20);
    let told = stage.tagged("a");
    assert!(told.iter().all(|s| s.state == SnapshotState::Error && !s.message.is_empty()), "{told:?}");
    let events = stage.world.happen(|state, _| state.take_snapshot_events());
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&events[0].snapshots, events[0].cause.is_some()), (&ids(&set), true));

    let set = stage.create("b").unwrap();
    stage.wait(70);
    assert_eq!(stage.world.happen(|state, _| state.take_snapshot_events()).len(), 1);
    stage.world.happen(|state, now| state.snapshot_fails("", &set[1].id, "late", now));
    assert_eq!(stage.state("", &set[0].id), Some(SnapshotState::Error), "it was complete");
}

#[test]
fn five_are_pending_of_a_volume_at_the_most_one_of_an_hdd_and_none_within_15_seconds() {
    let stage = Stage::new();
    stage.habits(|habits| habits.takes = (Duration::from_secs(7200), Duration::from_secs(7200)));
    stage.create("0").unwrap();
    let soon = stage.create("soon").unwrap_err();
    assert_eq!((soon.class, &*soon.code), (Class::Throttled, "SnapshotCreationPerVolumeRateExceeded"));
    for n in 1..5 {
        stage.wait(16);
        stage.create(&n.to_string()).unwrap();
    }
    stage.wait(16);
    let full = stage.create("full").unwrap_err();
    assert_eq!((full.class, &*full.code), (Class::Throttled, "ConcurrentSnapshotLimitExceeded"));
    // Deleting one that is pending frees nothing.
    stage.delete(&stage.tagged("0")[0].id).unwrap();
    assert_eq!(stage.tagged("0").len(), 2, "it goes once it is complete");
    assert_eq!(code(stage.create("full")), "ConcurrentSnapshotLimitExceeded");
    stage.wait(7200);
    assert_eq!(stage.tagged("0").len(), 1, "the deletion took effect once it was complete");
    let hdd = NewDrive { kind: "st1".to_owned(), ..NewDrive::data("/dev/sdh") };
    stage.world.happen(|state, _| state.put_drive(&stage.nodes[0], hdd));
    stage.create("first").unwrap();
    stage.wait(16);
    assert_eq!(code(stage.create("second")), "ConcurrentSnapshotLimitExceeded");
    assert_eq!(stage.tagged("second"), []);
}

#[test]
fn snapshot_case_1_a_call_whose_reply_is_lost_made_the_set_and_reads_show_it_late() {
    let stage = Stage::new();
    let odds = Odds { lost_reply: 1.0, ..Odds::default() };
    stage.world.happen(|state, _| state.set_weather(Weather { everywhere: odds, at: None }));
    assert!(stage.create("a").unwrap_err().class.outcome_unknown());
    let stale = Odds { stale: 1.0, ..Odds::default() };
    stage.world.happen(|state, _| state.set_weather(Weather { everywhere: stale, at: None }));
    let mut seen = BTreeSet::new();
    for _ in 0..30 {
        stage.wait(2);
        seen.insert(stage.tagged("a").len());
    }
    assert_eq!(seen, BTreeSet::from([0, 2]), "a set is seen whole or not at all, and late");
    stage.wait(60);
    assert_eq!(stage.tagged("a").len(), 2);
    let all = ids(&stage.tagged("a"));
    let two = stage.ask(async |port| port.describe("", &[all[0].clone(), "snap-none".to_owned()]).await).unwrap();
    assert_eq!(ids(&two), all[..1]);
    assert_eq!(stage.ask(async |port| port.describe(AWAY, &all).await).unwrap(), []);
}

#[test]
fn a_copy_has_an_arbitrary_volume_and_its_own_tags_and_follows_the_older_ones_of_its_lineage() {
    let stage = Stage::new();
    stage.habits(|habits| habits.copy_takes = (Duration::from_secs(100), Duration::from_secs(100)));
    let set = stage.create("a").unwrap();
    assert_eq!(code(stage.copy(&set[0].id, |_| ())), "IncorrectState", "it is pending");
    stage.wait(400);
    let set2 = stage.create("b").unwrap();
    stage.wait(400);
    let first = stage.copy(&set[0].id, |_| ()).unwrap();
    let second = stage.copy(&set2[0].id, |_| ()).unwrap();
    let other = stage.copy(&set[1].id, |_| ()).unwrap();
    stage.wait(110);
    let states = || [&first, &second, &other].map(|id| stage.state(AWAY, id).unwrap());
    use SnapshotState::{Completed, Pending};
    assert_eq!(states(), [Completed, Pending, Completed]);
    stage.wait(100);
    assert_eq!(states(), [Completed; 3]);
    let third = stage.copy(&set2[0].id, |_| ()).unwrap();
    stage.world.read(|state| {
        let (copy, facts) = state.snapshot(AWAY, &first).unwrap();
        assert_eq!((&*copy.volume, copy.tags.len()), ("vol-ffffffff", 0));
        assert_eq!((&facts.content.volume, facts.content.at), (&stage.data[0], set[0].started_at));
        assert!(!facts.incremental && state.snapshot(AWAY, &third).unwrap().1.incremental);
    });
    let events = stage.world.happen(|state, _| state.take_snapshot_events());
    let source = sim::SnapshotEventKind::Copied { source: set[0].id.clone() };
    assert!(
        events.iter().any(|e| e.kind == source && e.region == AWAY && e.snapshots == [first.clone()]),
        "{events:?}"
    );
    assert_eq!(code(stage.copy("snap-none", |_| ())), "InvalidSnapshot.NotFound");
    stage.world.happen(|state, now| state.archive_by_hand("", &set[1].id, now));
    assert_eq!(code(stage.copy(&set[1].id, |_| ())), "IncorrectState", "it is archived");
}

#[test]
fn snapshot_case_29_twenty_copies_are_in_flight_into_a_region() {
    let stage = Stage::new();
    let set = stage.create("a").unwrap();
    stage.wait(400);
    for _ in 0..20 {
        stage.copy(&set[0].id, |_| ()).unwrap();
    }
    let full = stage.copy(&set[0].id, |_| ()).unwrap_err();
    assert_eq!((full.class, &*full.code), (Class::LimitReached, "ResourceLimitExceeded"));
}

#[test]
fn snapshot_case_25_a_copy_with_a_key_that_cannot_be_used_is_taken_on_and_fails_late() {
    let stage = Stage::new();
    let arn = stage.world.happen(|state, _| state.put_key(AWAY, "alias/dr"));
    let set = stage.create("a").unwrap();
    stage.wait(400);
    let keyed =
        |key: &str| stage.copy(&set[0].id, |copy| (copy.key, copy.encrypt) = (Some(key.to_owned()), true)).unwrap();
    let told = |id: &str| stage.world.read(|state| state.snapshot(AWAY, id).unwrap().0.clone());
    let good = keyed("alias/dr");
    stage.wait(700);
    let copy = told(&good);
    assert_eq!((copy.state, copy.encrypted, copy.key), (SnapshotState::Completed, true, Some(arn.clone())));
    let keys = sim::EncryptionKeys::new(&stage.client);
    let key = |name: &str| sim::block_on(stage.world.time(), keys.describe(AWAY, name)).unwrap();
    assert!(key("alias/dr").unwrap().enabled);
    assert_eq!(key("alias/none").unwrap_err().class, Class::NotFound);
    let late = keyed("alias/dr");
    stage.world.happen(|state, _| state.set_key(AWAY, "alias/dr", "Disabled"));
    assert_eq!((key(&arn).unwrap().enabled, key(&arn).unwrap().state), (false, "Disabled".to_owned()));
    let none = keyed("alias/none");
    stage.wait(1400);
    for id in [&late, &none] {
        assert_eq!((told(id).state, told(id).message.is_empty()), (SnapshotState::Error, false));
    }
    let unsigned = stage.copy(&set[0].id, |copy| copy.source_is_encrypted = true).unwrap();
    stage.wait(1400);
    assert_eq!(told(&unsigned).state, SnapshotState::Error, "the source is not encrypted");
}

#[test]
fn snapshot_case_32_what_an_image_uses_or_a_lock_holds_is_not_deleted_and_what_is_not_there_is() {
    let stage = Stage::new();
    let set = stage.create("a").unwrap();
    stage.wait(400);
    let all = ids(&set);
    let later = stage.world.time().now() + jiff::SignedDuration::from_hours(1);
    stage.world.happen(|state, _| {
        state.image_by_hand("", &all[0], Some("ami-1"));
        state.lock_by_hand("", &all[1], later);
    });
    let bound = stage.ask(async |port| port.bound("", &all).await).unwrap();
    assert!(bound[&all[0]].contains("ami-1") && bound[&all[1]].contains("locked"), "{bound:?}");
    assert_eq!([code(stage.delete(&all[0])), code(stage.delete(&all[1]))], ["InvalidSnapshot.InUse", "SnapshotLocked"]);
    stage.world.happen(|state, _| state.image_by_hand("", &all[0], None));
    stage.wait(3600);
    assert_eq!(stage.ask(async |port| port.bound("", &all).await).unwrap(), BTreeMap::new());
    stage.delete(&all[0]).unwrap();
    stage.delete(&all[0]).unwrap();
    assert_eq!(ids(&stage.tagged("a")), all[1..]);
    stage.world.happen(|state, _| state.share_by_hand("", &all[1], "all"));
    assert_eq!(stage.ask(async |port| port.shared_with("", &all[1]).await).unwrap(), ["all"]);
    assert_eq!(code(stage.ask(async |port| port.shared_with("", &all[0]).await)), "InvalidSnapshot.NotFound");
}

#[test]
fn snapshot_case_16_what_is_in_the_recycle_bin_is_told_by_some_reads_and_is_good_for_nothing() {
    let stage = Stage::new();
    let set = stage.create("a").unwrap();
    stage.world.happen(|state, now| state.bin_by_hand("", &set[0].id, true, now));
    assert_eq!(stage.state("", &set[0].id), Some(SnapshotState::Pending), "it is not stored yet");
    stage.wait(400);
    stage.world.happen(|state, now| {
        state.bin_by_hand("", &set[0].id, true, now);
        state.bin_by_hand("", &set[1].id, false, now);
    });
    let told = stage.tagged("a");
    assert_eq!((ids(&told), told[0].state), (vec![set[0].id.clone()], SnapshotState::Recoverable));
    assert_eq!(code(stage.copy(&set[0].id, |_| ())), "InvalidSnapshot.NotFound");
    stage.delete(&set[0].id).unwrap();
    stage.world.happen(|state, now| state.unbin_by_hand("", &set[1].id, now));
    assert_eq!(stage.state("", &set[0].id), Some(SnapshotState::Recoverable), "it stays in the bin");
    stage.world.happen(|state, _| state.recycle_snapshots("", true));
    stage.delete(&set[1].id).unwrap();
    assert_eq!(stage.state("", &set[1].id), Some(SnapshotState::Recoverable));
}

#[test]
fn tags_are_set_on_all_or_none_and_there_are_50_at_the_most() {
    let stage = Stage::new();
    let set = stage.create("a").unwrap();
    let state = BTreeMap::from([("state".to_owned(), "deleting".to_owned())]);
    let none = [set[0].id.clone(), "snap-none".to_owned()];
    assert_eq!(code(stage.ask(async |port| port.tag("", &none, &state).await)), "InvalidSnapshot.NotFound");
    assert!(stage.tagged("a").iter().all(|s| !s.tags.contains_key("state")));
    stage.ask(async |port| port.tag("", &ids(&set), &state).await).unwrap();
    assert!(stage.tagged("a").iter().all(|s| s.tags["state"] == "deleting"));
    let mut wanted = stage.set("b");
    wanted.tags.extend((0..50).map(|n| (n.to_string(), String::new())));
    assert_eq!(code(stage.ask(async |port| port.create(&wanted).await)), "TagLimitExceeded");
}

#[test]
fn snapshot_case_22_a_listing_can_be_empty_without_a_word_and_foreign_snapshots_are_in_it() {
    let stage = Stage::new();
    let set = stage.create("a").unwrap();
    let foreign = stage.world.happen(|state, now| state.put_snapshot("", "vol-x", set[0].tags.clone(), now));
    assert!(ids(&stage.tagged("a")).contains(&foreign));
    stage.world.happen(|state, _| state.unlist_snapshots("", true));
    assert_eq!(stage.tagged("a"), []);
    stage.world.happen(|state, _| state.unlist_snapshots("", false));
    stage.world.happen(|state, now| state.delete_by_hand("", &foreign, now));
    assert_eq!(stage.tagged("a").len(), 2);
}

#[test]
fn a_survey_says_what_lies_where() {
    let stage = Stage::new();
    let (code, output) = stage.run("CHECKPOINT='yes'\n# survey\n");
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!((code, lines[0], lines[lines.len() - 1]), (0, "survey\t1", "end"));
    for line in [
        "role\tleader".to_owned(),
        "timeline\t1".to_owned(),
        "place\twal\t/var/lib/postgresql/15/main/pg_wal\t/var/lib/postgresql".to_owned(),
        "mount\t/var/lib/postgresql\text4".to_owned(),
        format!("disk\t/var/lib/postgresql\t{}\t/dev/nvme2n1\tebs", stage.data[1]),
    ] {
        assert!(lines.contains(&&*line), "{line} in {output}");
    }
    let node = stage.nodes[0].clone();
    stage.world.happen(|state, _| state.change_file_systems(&node, |s| s.problem = Some("no disks".to_owned())));
    assert_eq!(stage.run("CHECKPOINT='yes'\n"), (1, "problem\tno disks\nend\n".to_owned()));
}

#[test]
fn s2_a_freeze_is_over_after_its_limit_and_the_set_knows_whether_it_was_frozen() {
    let stage = Stage::new();
    let (code, output) = stage.verb("freeze", 20);
    assert!(code == 0 && output.starts_with("frozen\t/var/lib/postgresql\t") && output.ends_with("end\n"), "{output}");
    stage.create("frozen").unwrap();
    let (_, output) = stage.verb("thaw", 20);
    let word = output.split('\t').nth(2).unwrap().to_owned();
    stage.world.read(|state| {
        let freeze = &state.freezes()[0];
        let lasted = freeze.over().duration_since(freeze.from).as_secs();
        assert!(freeze.led && lasted <= 5 && (word == "still") == freeze.thawed.is_some(), "{freeze:?} {output}");
        assert!(state.snapshots().all(|(_, facts)| facts.content.frozen));
    });
    assert_eq!(stage.verb("freeze", -60).0, 2, "it comes too late");
    assert_eq!(stage.verb("freeze", 20).0, 3, "a token is good for one freeze");
    assert_eq!(stage.world.read(|state| state.freezes().len()), 1);
    stage.wait(20);
    let again = |verb: &str| stage.verb(&format!("{verb}'\nTOKEN='t-2"), 20);
    assert_eq!(again("freeze").0, 0);
    stage.wait(5);
    stage.create("late").unwrap();
    let late = stage.tagged("late");
    stage.world.read(|state| assert!(!state.snapshot("", &late[0].id).unwrap().1.content.frozen));
    let thawed = again("thaw");
    assert!(thawed.0 == 0 && thawed.1.contains("\tearly\t"), "{thawed:?}");
    assert_eq!(again("tell"), thawed);
    assert_eq!(stage.run("VERB='thaw'\nTOKEN='t-3'\n").0, 6);
}

#[test]
fn snapshot_case_5_where_one_mount_cannot_be_frozen_none_is() {
    let stage = Stage::new();
    let node = stage.nodes[0].clone();
    stage.world.happen(|state, _| {
        state.change_file_systems(&node, |systems| {
            let wal = sim::Mount { path: "/wal".to_owned(), refuses: true, ..systems.mounts[0].clone() };
            systems.mounts.push(wal);
        });
    });
    let at = stage.world.time().now().as_second() + 20;
    let (code, output) = stage
        .run(&format!("VERB='freeze'\nTOKEN='t'\nNOT_AFTER='{at}'\nLIMIT='5'\nMOUNTS='/var/lib/postgresql\n/wal'\n"));
    assert!(code == 4 && output.contains("/wal"), "{output}");
    let over = stage.world.read(|state| state.freezes().iter().all(|f| f.over() == f.from));
    assert!(over, "what was frozen first was thawed at once");
    stage.world.happen(|state, _| {
        state.change_file_systems(&node, |systems| systems.mounts[0].holds = Some("etcd".to_owned()));
    });
    let (code, output) = stage.verb("freeze", 20);
    assert!(code == 3 && output.contains("etcd"), "{output}");
}

#[test]
fn years_pass_in_no_time_and_a_calm_cluster_is_what_it_was() {
    let stage = Stage::new();
    stage.world.happen(|state, _| state.skip_long_waits(true));
    let led = || stage.world.read(|state| state.database(GROUP).unwrap().leader().map(str::to_owned));
    let (before, calls) = (led(), stage.world.read(State::calls));
    for day in 0..3 * 365 {
        stage.create(&day.to_string()).unwrap();
        stage.wait(86_400);
    }
    assert_eq!(led(), before);
    assert_eq!(stage.world.read(State::calls) - calls, 3 * 365);
    stage.world.read(|state| {
        let nodes = state.database(GROUP).unwrap().nodes();
        assert!(nodes.iter().all(|node| node.leads || node.streaming), "{nodes:?}");
        assert_eq!(state.snapshots().count(), 2 * 3 * 365);
    });
    assert_eq!(stage.run("CHECKPOINT='yes'\n").0, 0);
}

struct Watch(std::sync::Arc<std::sync::Mutex<Vec<Happened>>>);

impl Observer for Watch {
    fn observe(&mut self, _: &State, record: &Record) {
        self.0.lock().unwrap().push(record.happened.clone());
    }
}

#[test]
fn whoever_judges_sees_each_call_typed() {
    let stage = Stage::new();
    let seen = std::sync::Arc::default();
    stage.world.set_observer(Some(Box::new(Watch(std::sync::Arc::clone(&seen)))));
    let set = stage.create("a").unwrap();
    let told = stage.tagged("a");
    stage.delete(&set[0].id).unwrap();
    stage.delete("snap-none").unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 4);
    assert_eq!(seen[0], Happened::SnapshotsCreated { set: stage.set("a"), snapshots: set.clone() });
    let asked = Asked::Tags(vec![("set".to_owned(), "a".to_owned())]);
    assert_eq!(seen[1], Happened::SnapshotsRead { region: HOME.to_owned(), asked, snapshots: told });
    assert_eq!(seen.iter().map(Happened::mutates_the_world).collect::<Vec<_>>(), [true, false, true, true]);
    assert!(matches!(&seen[2], Happened::SnapshotDeleted { id, was: Some(_), .. } if *id == set[0].id));
    assert!(matches!(&seen[3], Happened::SnapshotDeleted { was: None, .. }));
    assert!(seen[2].line().contains(&set[0].id));
}
