//! Whatever goes wrong, in whatever order: after every pass the invariants hold. The world's passes hold two of them by
//! themselves: the gate has nothing to say, and no set is on record twice.

use std::collections::BTreeSet;

use domain::reason::Reason;
use ports::SnapshotState;
use reach::nodes::Part;
use runtime::records::{Hold, Phase, PointKind};
use serde_json::json;
use snapshot_scheduler::action::Action;
use snapshot_scheduler::state::SchedulerState;

use crate::world::{AWAY, Call, HOME, World, answer, at, copies_to_away};

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

fn happens(world: &mut World, dice: &mut Dice) {
    let count = world.snapshots.values().map(Vec::len).sum::<usize>();
    let any = dice.roll(count.max(1));
    match dice.roll(24) {
        0 => world.call = [Call::Lost, Call::LostUndone, Call::Refused, Call::Full][dice.roll(4)],
        1 => world.held = Some(Reason::Paused),
        2 => {
            let region = [HOME, AWAY][dice.roll(2)].to_owned();
            world.dark.insert(region, "throttled".to_owned());
        }
        3 => {
            if let Some(snapshot) = world.snapshots.values_mut().flatten().nth(any) {
                let pending = snapshot.state == SnapshotState::Pending;
                snapshot.state = if pending { SnapshotState::Error } else { snapshot.state };
            }
        }
        4 => world.asks(PointKind::Manual, (dice.roll(2) == 0).then_some("person")),
        5 => world.says("i-2", "survey\t1\nproblem\tno\nend\n"),
        6 => world.node("i-3", Part::Replica { synchronous: dice.roll(2) == 0 }),
        7 => {
            if let Some(id) = world.snapshots.values().flatten().nth(any).map(|s| s.id.clone()) {
                world.bound.insert(id, "an image is made from it".to_owned());
            }
        }
        8 => {
            let id = world.snapshots.values().flatten().next_back().map(|s| s.id.clone());
            world.unlisted.extend(id);
        }
        9 => {
            if let Some(point) = world.points.iter_mut().rev().find(|p| p.region == HOME && p.good) {
                point.holds.insert(
                    "court".to_owned(),
                    Hold { by: "ada".to_owned(), at: at("2026-11-21T00:00:00Z"), until: None },
                );
            }
        }
        10 => world.points.iter_mut().for_each(|p| p.holds.clear()),
        11 => {
            // Somebody deletes one by hand.
            let region = [HOME, AWAY][dice.roll(2)];
            if let Some(all) = world.snapshots.get_mut(region).filter(|all| all.len() > 1 && dice.roll(4) == 0) {
                all.remove(1 + dice.roll(all.len() - 1));
            }
        }
        12 => world.points.retain(|_| dice.roll(9) > 0),
        13 if dice.roll(6) == 0 => world.state = SchedulerState::default(),
        14 if dice.roll(3) == 0 => {
            world.after(-1800);
        }
        _ => {
            // It clears up.
            (world.held, world.call) = (None, Call::Answered);
            world.dark.clear();
            world.unlisted.clear();
            world.bound.clear();
            world.says("i-2", &answer("i-2", "replica"));
        }
    }
}

#[test]
fn s1_s3_s5_s6_after_every_pass_of_a_storm() {
    for seed in 0..16 {
        let mut dice = Dice(seed * 7919 + 1);
        let mut world = World::known(|s| {
            copies_to_away(s);
            s["schedule"] = json!("0 * * * *");
            s["max_age_hours"] = json!(5);
        });
        let now = world.now;
        let foreign = world.make(HOME, "vol-a2", now, std::collections::BTreeMap::new());
        for step in 0..220 {
            happens(&mut world, &mut dice);
            let before: Vec<_> = world.points.clone();
            let from = world.done.len();
            world.pass();
            let told = format!("seed {seed}, step {step}, {}", world.now);
            for action in &world.done[from..] {
                let (Action::MarkDeleting { set, region, .. } | Action::DeleteSnapshot { set, region, .. }) = action
                else {
                    continue;
                };
                let was = before.iter().find(|p| p.set == *set && p.region == *region);
                if let Some(was) = was.filter(|was| was.good) {
                    assert!(was.holds.is_empty(), "{told}: {set} is held");
                    let newer = world.points.iter().any(|p| p.good && p.region == *region && p.slot >= was.slot);
                    let second = world.point_is_good(region, set);
                    assert!(newer || second, "{told}: {set} was the newest in {region}");
                }
            }
            let good = world.points.iter().filter(|p| p.good && p.kind == PointKind::Scheduled && p.region == HOME);
            // What was taken before its time, as the clock went back, does not stand for it.
            let good = good.filter(|p| p.slot.duration_since(p.taken_at).as_mins() < 5);
            let free: Vec<_> = good.filter(|p| p.holds.is_empty()).map(|p| p.slot).collect();
            let slots: BTreeSet<_> = free.iter().collect();
            let copying = world.points.iter().any(|p| p.region == AWAY && p.phase != Phase::Complete);
            assert!(
                slots.len() == free.len() || copying || !world.dark.is_empty(),
                "{told}: two for one time: {free:?}"
            );
            for point in world.points.iter().filter(|p| p.good) {
                let whole = point.members.values().all(|m| !m.snapshot.is_empty());
                assert!(whole && point.phase == Phase::Complete, "{told}: {point:?}");
            }
            assert!(world.snapshots[HOME].iter().any(|s| s.id == foreign), "{told}: it was not ours");
            if dice.roll(3) > 0 {
                world.stored();
            }
            world.after([1, 10, 60, 400, 2000][dice.roll(5)]);
        }
        // Then quiet: it ends with a good restore point and a good copy of it.
        (world.held, world.call) = (None, Call::Answered);
        world.dark.clear();
        world.unlisted.clear();
        world.bound.clear();
        world.says("i-2", &answer("i-2", "replica"));
        for _ in 0..60 {
            world.stored().after(200).pass();
        }
        let newest = world.good(HOME).last().map(|set| (*set).to_owned());
        let age = world.now.duration_since(world.state.newest[HOME]);
        assert!(age.as_hours() < 3, "seed {seed}: {newest:?} {:?}", world.state);
        let age = world.now.duration_since(world.state.newest[AWAY]);
        assert!(age.as_hours() < 3, "seed {seed}: {:?} {:?}", world.sets(AWAY), world.state.copying);
    }
}
