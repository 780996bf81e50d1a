//! The snapshots' stage in memory.

use std::time::Duration;

use sim::{NewDrive, NewScalingGroup, SnapshotEventKind, World};

use crate::restore_stage::{Drive, Ended, RestoreStage, TAKES};

const GROUP: &str = "acme-pg";
/// The Region of the model.
const REGION: &str = "eu-central-1";

pub(crate) struct MemoryRestore {
    pub(crate) world: World,
    snapshots: sim::Snapshots,
    keys: sim::EncryptionKeys,
}

impl MemoryRestore {
    pub(crate) fn new() -> Self {
        let world = World::new(1, "2026-11-21T12:00:00Z".parse().unwrap());
        world.happen(|state, now| {
            state.put_scaling_group(NewScalingGroup::named(GROUP, 0, Vec::new()), now);
            let habits = state.snapshot_habits();
            let takes = Duration::from_secs(TAKES);
            (habits.takes, habits.copy_takes) = ((takes, takes), (takes, takes));
        });
        let client = world.client("behaviours");
        Self { snapshots: sim::Snapshots::new(&client), keys: sim::EncryptionKeys::new(&client), world }
    }

    fn ids(&self) -> Vec<String> {
        let found = self.world.happen(|state, _| state.scaling_group_now(GROUP)).unwrap();
        found.instances.into_iter().map(|one| one.id).collect()
    }
}

impl RestoreStage for MemoryRestore {
    type Snapshots = sim::Snapshots;
    type Keys = sim::EncryptionKeys;

    fn snapshots(&self) -> &sim::Snapshots {
        &self.snapshots
    }
    fn keys(&self) -> &sim::EncryptionKeys {
        &self.keys
    }

    fn region(&self) -> &str {
        REGION
    }
    fn instance(&self) -> String {
        let before = self.ids();
        self.world.happen(|state, _| state.change_scaling_group(GROUP, |made| made.desired += 1));
        for _ in 0..60 {
            self.seconds_pass(1);
            if let Some(id) = self.ids().into_iter().find(|id| !before.contains(id)) {
                self.seconds_pass(60);
                self.world.happen(|state, _| state.put_drive(&id, NewDrive::boot()));
                return id;
            }
        }
        panic!("the group launches nothing");
    }
    fn volume(&self, instance: &str, drive: &Drive) -> String {
        let Drive { device, kind, size_gib, key } = drive.clone();
        self.world.happen(|state, _| state.put_drive(instance, NewDrive { device, boot: false, size_gib, kind, key }))
    }
    fn detached(&self, volume: &str) {
        self.world.happen(|state, _| state.move_drive(volume, None));
    }
    fn killed(&self, instance: &str) {
        assert!(self.world.happen(|state, now| state.instance_killed(instance, now)));
    }
    fn fails(&self, region: &str, id: &str, message: &str) {
        self.world.happen(|state, now| state.snapshot_fails(region, id, message, now));
    }
    fn image(&self, id: &str, image: Option<&str>) {
        self.world.happen(|state, _| state.image_by_hand("", id, image));
    }
    fn locked(&self, id: &str, on: bool) {
        let lasts = Duration::from_secs(if on { 24 * 3600 } else { 0 });
        self.world.happen(|state, now| state.lock_by_hand("", id, now + lasts));
    }
    fn archived(&self, id: &str) {
        self.world.happen(|state, now| state.archive_by_hand("", id, now));
    }
    fn shared(&self, id: &str, with: &str) {
        self.world.happen(|state, _| state.share_by_hand("", id, with));
    }
    fn recycles(&self) {
        self.world.happen(|state, _| state.recycle_snapshots("", true));
    }
    fn key(&self, region: &str, alias: &str) -> String {
        self.world.happen(|state, _| state.put_key(region, alias))
    }
    fn key_becomes(&self, region: &str, key: &str, state: &str) {
        self.world.happen(|world, _| world.set_key(region, key, state));
    }
    fn ended(&self) -> Vec<Ended> {
        let events = self.world.happen(|state, _| state.take_snapshot_events());
        let ended = events.into_iter().map(|event| {
            let copy_of = match event.kind {
                SnapshotEventKind::SetCreated => None,
                SnapshotEventKind::Copied { source } => Some(source),
            };
            let mut snapshots = event.snapshots;
            snapshots.sort();
            Ended { region: event.region, copy_of, succeeded: event.cause.is_none(), snapshots }
        });
        ended.collect()
    }
    fn seconds_pass(&self, seconds: u64) {
        self.world.time().advance(Duration::from_secs(seconds));
        self.world.happen(|_, _| ());
    }
}
