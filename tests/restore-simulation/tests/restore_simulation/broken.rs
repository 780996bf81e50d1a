//! The oracle by itself: a hand that does what the function must not do, and whether that is seen.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ports::{Commands as _, Expect, Key, NewCopy, NewSet, PortError, Snapshot, Snapshots as _, Table as _, Write};
use serde_json::json;
use sim::{Client, NewDrive, State, World};

use crate::layout::{AWAY, CLUSTER, DEPLOYMENT, HOME, Layout};
use crate::oracle::Handle;
use crate::run::slot;

mod leaving;
mod losing;
mod resting;

struct Hand {
    world: World,
    oracle: Handle,
    client: Client,
    node: String,
    /// How far the time of the schedule that it takes for is ahead.
    ahead: Cell<SignedDuration>,
}

impl Hand {
    fn new() -> Self {
        let world = World::new(3, "2026-11-21T11:50:00Z".parse().unwrap());
        let mut layout = Layout::plain(3);
        layout.build(&world);
        let oracle = Handle::default();
        oracle.read(|oracle| oracle.max_age = SignedDuration::from_hours(13));
        world.set_observer(Some(Box::new(oracle.clone())));
        let leads = |state: &State| state.database("acme-pg").unwrap().leader().unwrap().to_owned();
        let node = world.read(leads);
        let hand = Self { client: world.client("keeper-1"), world, oracle, node, ahead: Cell::default() };
        hand.document("lock#acme-prod", "lock", &json!({"owner": "keeper-1#1", "until": "2030-01-01T00:00:00Z"}));
        hand
    }

    fn document(&self, pk: &str, sk: &str, body: &serde_json::Value) {
        self.world.happen(|state, now| state.document_by_hand(&Key::new(pk, sk), 1, body.clone(), now));
    }

    fn now(&self) -> Timestamp {
        self.world.time().now()
    }

    fn slot(&self) -> Timestamp {
        slot(self.now() + self.ahead.get())
    }

    fn wait(&self, seconds: u64) {
        self.world.time().advance(Duration::from_secs(seconds));
        self.world.happen(|state, now| self.oracle.read(|oracle| oracle.learn(state, now)));
    }

    fn ask<T>(&self, call: impl AsyncFnOnce(sim::Snapshots) -> T) -> T {
        sim::block_on(self.world.time(), call(sim::Snapshots::new(&self.client))).unwrap()
    }

    fn name(&self, attempt: u32) -> String {
        format!("{CLUSTER}.{}.{attempt}", self.slot().strftime("%Y%m%dT%H%M%SZ"))
    }

    fn create(&self, set: &str) -> Vec<Snapshot> {
        let disks = self.world.read(|state| state.drives(&self.node));
        let exclude = disks.into_iter().filter(|disk| disk.device == "/dev/sdz").map(|disk| disk.volume);
        let tags = [
            ("deployment", DEPLOYMENT),
            ("cluster", CLUSTER),
            ("set", set),
            ("slot", &self.slot().to_string()),
            ("kind", "scheduled"),
        ];
        let wanted = NewSet {
            instance: self.node.clone(),
            exclude_boot: true,
            exclude: exclude.collect(),
            description: String::new(),
            tags: tags.iter().map(|(key, value)| (format!("pilothouse:{key}"), (*value).to_owned())).collect(),
        };
        self.ask(async |port| port.create(&wanted).await).unwrap()
    }

    /// Takes a set as it should be, and waits until it is stored.
    fn take(&self, attempt: u32) -> (String, Vec<Snapshot>) {
        let set = self.name(attempt);
        self.document("restore#acme-prod", &format!("{set}#{HOME}"), &json!({"phase": "intended"}));
        let snapshots = self.create(&set);
        self.wait(400);
        (set, snapshots)
    }

    fn write(&self, set: &str, region: &str, snapshots: &[Snapshot], good: bool, held: bool) {
        let members: BTreeMap<&str, _> =
            snapshots.iter().map(|s| (s.volume.as_str(), json!({"snapshot": s.id}))).collect();
        let holds = if held { json!({"audit": {"by": "somebody"}}) } else { json!({}) };
        let body = json!({"set": set, "region": region, "good": good, "members": members, "holds": holds,
            "kind": "scheduled", "slot": snapshots[0].tags["pilothouse:slot"], "phase": "complete",
            "taken_at": snapshots[0].started_at.to_string()});
        let key = Key::new("restore#acme-prod", format!("{set}#{region}"));
        let write = Write::Put { key, body, expect: Expect::Any, expires_at: None };
        let table = sim::Table::new(&self.client);
        sim::block_on(self.world.time(), table.write(vec![write])).unwrap().unwrap();
    }

    /// A good restore point of this time of the schedule; then it is the next one.
    fn good(&self) -> (String, Vec<Snapshot>) {
        let (set, snapshots) = self.take(1);
        self.write(&set, HOME, &snapshots, true, false);
        let taken = (set, snapshots);
        self.wait(6 * 3600);
        taken
    }

    fn list(&self) {
        let tags = [("pilothouse:cluster".to_owned(), CLUSTER.to_owned())];
        self.ask(async |port| port.tagged("", &tags).await).unwrap();
    }

    fn mark(&self, snapshots: &[Snapshot]) {
        let ids: Vec<String> = snapshots.iter().map(|s| s.id.clone()).collect();
        let tags = BTreeMap::from([("pilothouse:state".to_owned(), "deleting".to_owned())]);
        self.ask(async |port| port.tag("", &ids, &tags).await).unwrap();
    }

    fn delete(&self, id: &str) -> Result<(), PortError> {
        self.ask(async |port| port.delete("", id).await)
    }

    fn run(&self, node: &str, script: &str) {
        let commands = sim::Commands::new(&self.client);
        let sent = commands.send(node, script, "", Duration::from_secs(30));
        sim::block_on(self.world.time(), sent).unwrap().unwrap();
        self.wait(10);
    }

    fn freeze(&self, node: &str) {
        let at = self.now().as_second() + 60;
        self.run(
            node,
            &format!("VERB='freeze'\nTOKEN='t'\nNOT_AFTER='{at}'\nLIMIT='5'\nMOUNTS='/var/lib/postgresql'\n"),
        );
    }

    fn retire(&self, set: &str, snapshots: &[Snapshot]) {
        self.list();
        self.write(set, HOME, snapshots, false, false);
        self.mark(snapshots);
        for snapshot in snapshots {
            self.delete(&snapshot.id).unwrap();
        }
    }

    fn rest(&self, due: Option<Timestamp>) {
        self.world.read(|state| self.oracle.read(|oracle| oracle.at_rest(state, due)));
    }

    /// Exactly this was seen to be broken.
    fn broke(&self, invariant: &str) {
        let seen = self.oracle.read(|oracle| oracle.violations.clone());
        assert!(!seen.is_empty() && seen.iter().all(|v| v.invariant == invariant), "{invariant}: {seen:#?}");
    }
}

#[test]
fn what_is_done_right_breaks_nothing() {
    let hand = Hand::new();
    let (first, old) = hand.good();
    let (second, new) = hand.good();
    hand.retire(&first, &old);
    hand.ask(async |port| port.copy(AWAY, &copy(&new[0])).await).unwrap();
    hand.document("restore#acme-prod", &format!("{second}#{AWAY}"), &json!({"phase": "intended"}));
    hand.wait(700);
    hand.oracle.read(|oracle| oracle.allow_leader = true);
    hand.freeze(&hand.node);
    let due = slot(hand.now()) - SignedDuration::from_hours(12);
    hand.rest(Some(due));
    let (seen, counts) = hand.oracle.read(|oracle| (oracle.violations.clone(), oracle.counts.clone()));
    assert_eq!(seen, []);
    for what in ["sets taken", "restore points found good", "good sets retired", "copies begun", "mounts frozen"] {
        assert!(counts.contains_key(what), "{what}: {counts:?}");
    }
}

fn copy(source: &Snapshot) -> NewCopy {
    NewCopy {
        source_region: HOME.to_owned(),
        source: source.id.clone(),
        source_is_encrypted: false,
        key: None,
        encrypt: false,
        description: String::new(),
        tags: source.tags.clone(),
    }
}

#[test]
fn s1_a_set_that_is_pending_does_not_count() {
    let hand = Hand::new();
    let set = hand.name(1);
    hand.document("restore#acme-prod", &format!("{set}#{HOME}"), &json!({"phase": "intended"}));
    let snapshots = hand.create(&set);
    hand.write(&set, HOME, &snapshots, true, false);
    hand.broke("S1");
}

#[test]
fn s1_a_part_of_a_set_or_parts_of_two_do_not_count() {
    let hand = Hand::new();
    let (set, snapshots) = hand.take(1);
    hand.write(&set, HOME, &snapshots[..1], true, false);
    hand.broke("S1");
    let hand = Hand::new();
    let ((set, one), (_, two)) = (hand.take(1), hand.take(2));
    hand.write(&set, HOME, &[one[0].clone(), two[1].clone()], true, false);
    hand.broke("S1");
}

#[test]
fn s1_snapshot_case_11_a_set_without_a_volume_that_holds_data_by_then_does_not_count() {
    let hand = Hand::new();
    hand.world.happen(|state, _| {
        let volume = state.put_drive(&hand.node, NewDrive::data("/dev/sdz"));
        state.change_file_systems(&hand.node, |systems| {
            systems.mounts[0].disks.push((volume, "/dev/nvme9n1".to_owned(), "ebs".to_owned()));
        });
    });
    hand.wait(600);
    let (set, snapshots) = hand.take(1);
    hand.write(&set, HOME, &snapshots, true, false);
    hand.broke("S1");
}

#[test]
fn s1_what_is_not_whole_is_not_copied() {
    let hand = Hand::new();
    let (_, snapshots) = hand.good();
    hand.world.happen(|state, now| state.archive_by_hand("", &snapshots[1].id, now));
    hand.wait(600);
    hand.ask(async |port| port.copy(AWAY, &copy(&snapshots[0])).await).unwrap();
    hand.broke("S1");
}

#[test]
fn s2_a_leader_and_a_synchronous_standby_are_not_frozen() {
    let hand = Hand::new();
    hand.freeze(&hand.node);
    hand.broke("S2");
    let hand = Hand::new();
    hand.world.happen(|state, _| state.database_mut("acme-pg").unwrap().set_synchronous(true));
    hand.wait(30);
    let standby = hand.world.read(|state| {
        let nodes = state.database("acme-pg").unwrap().nodes();
        nodes.into_iter().find(|node| node.synchronous).unwrap().instance
    });
    hand.freeze(&standby);
    hand.broke("S2");
}

#[test]
fn s3_the_newest_good_one_stays() {
    let hand = Hand::new();
    hand.good();
    let (newest, snapshots) = hand.good();
    hand.retire(&newest, &snapshots);
    hand.broke("S3");
}

#[test]
fn s3_one_that_is_held_stays() {
    let hand = Hand::new();
    let (set, snapshots) = hand.good();
    hand.write(&set, HOME, &snapshots, true, true);
    hand.good();
    hand.list();
    hand.mark(&snapshots);
    hand.broke("S3");
}

#[test]
fn s3_one_that_is_still_being_copied_stays() {
    let hand = Hand::new();
    let (set, snapshots) = hand.good();
    hand.good();
    hand.ask(async |port| port.copy(AWAY, &copy(&snapshots[0])).await).unwrap();
    hand.retire(&set, &snapshots);
    hand.broke("S3");
}

#[test]
fn s3_snapshot_case_32_nothing_of_a_set_is_deleted_while_an_image_needs_a_part() {
    let hand = Hand::new();
    let (_, snapshots) = hand.good();
    hand.world.happen(|state, _| state.image_by_hand("", &snapshots[1].id, Some("ami-1")));
    hand.good();
    hand.list();
    hand.mark(&snapshots);
    hand.delete(&snapshots[0].id).unwrap();
    hand.broke("S3");
}

#[test]
fn s3_snapshot_case_33_all_of_a_set_is_marked_before_any_of_it_goes() {
    let hand = Hand::new();
    let (_, snapshots) = hand.good();
    hand.good();
    hand.list();
    hand.mark(&snapshots[..1]);
    hand.delete(&snapshots[0].id).unwrap();
    hand.broke("S3");
}

#[test]
fn s4_what_was_not_listed_stays() {
    let hand = Hand::new();
    let (_, snapshots) = hand.good();
    hand.good();
    hand.world.happen(|state, _| state.unlist_snapshots("", true));
    hand.list();
    hand.mark(&snapshots);
    hand.broke("S4");
    let hand = Hand::new();
    let (_, snapshots) = hand.good();
    hand.good();
    hand.list();
    hand.oracle.read(|oracle| oracle.begins("keeper-1"));
    hand.mark(&snapshots);
    hand.broke("S4");
}

#[test]
fn s4_nothing_goes_while_the_newest_good_one_is_old() {
    let hand = Hand::new();
    let (set, snapshots) = hand.good();
    hand.good();
    hand.wait(8 * 3600);
    hand.retire(&set, &snapshots);
    hand.broke("S4");
}

#[test]
fn s5_foreign_snapshots_are_left_alone() {
    let hand = Hand::new();
    let (_, snapshots) = hand.good();
    let mut tags = snapshots[0].tags.clone();
    tags.remove("pilothouse:deployment");
    let foreign = hand.world.happen(|state, now| state.put_snapshot("", "vol-x", tags, now));
    hand.list();
    hand.delete(&foreign).unwrap();
    hand.broke("S5");
}

#[test]
fn s6_a_set_is_on_record_before_it_is_taken_and_is_taken_once() {
    let hand = Hand::new();
    hand.create(&hand.name(1));
    hand.broke("S6");
    let hand = Hand::new();
    hand.take(1);
    hand.take(1);
    hand.broke("S6");
}

#[test]
fn a_lineage_with_two_copies_under_way_is_seen() {
    let hand = Hand::new();
    hand.world.happen(|state, _| {
        state.snapshot_habits().copy_takes = (Duration::from_secs(7200), Duration::from_secs(7200));
    });
    let (_, snapshots) = hand.good();
    hand.ask(async |port| port.copy(AWAY, &copy(&snapshots[0])).await).unwrap();
    hand.wait(600);
    hand.ask(async |port| port.copy(AWAY, &copy(&snapshots[0])).await).unwrap();
    hand.broke("queue");
}

#[test]
fn whoever_has_no_lock_runs_dry_or_is_paused_is_seen() {
    let hand = Hand::new();
    hand.document("lock#acme-prod", "lock", &json!({"owner": "keeper-2#1", "until": "2030-01-01T00:00:00Z"}));
    hand.take(1);
    hand.broke("lock");
    let hand = Hand::new();
    hand.oracle.read(|oracle| oracle.dry.extend(["keeper-1".to_owned()]));
    hand.take(1);
    hand.broke("dry");
    let hand = Hand::new();
    hand.oracle.read(|oracle| oracle.paused = true);
    hand.run(&hand.node, "VERB='thaw'\nTOKEN='t'\n");
    assert_eq!(hand.oracle.read(|oracle| oracle.violations.clone()), []);
    hand.take(1);
    hand.broke("pause");
}
