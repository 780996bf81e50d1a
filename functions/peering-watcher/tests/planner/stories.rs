//! Random stories: whatever fails, nothing that serves is lost, and once it is quiet everything is as it should be.

use domain::condition::ConditionKind::Registered;
use domain::reason::Reason;
use peering_watcher::observed::Seen;
use ports::{Health, NameAnswer, PeeringState};

use crate::world::{GROUP, World, answer, peering};

/// A small generator of numbers: the same seed tells the same story (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn address(&mut self) -> String {
        format!("10.9.0.{}", 5 + self.roll(3))
    }
}

fn serving(world: &World) -> usize {
    world.targets(GROUP).iter().filter(|t| t.ends_with("Healthy")).count()
}

/// Something fails or moves. Nothing of it is a reason to take away what serves.
fn something_happens(world: &mut World, dice: &mut Dice) -> String {
    let what = dice.roll(16);
    match what {
        0..=3 => {
            let says = if dice.roll(2) == 0 { vec![dice.address()] } else { vec![dice.address(), dice.address()] };
            let says: Vec<&str> = says.iter().map(String::as_str).collect();
            world.dns(answer(&says, dice.roll(20)));
        }
        4 => {
            world.dns([NameAnswer::NxDomain, NameAnswer::TimedOut, NameAnswer::ServFail][dice.roll(3) as usize].clone())
        }
        5 => world.name_answers(&["10.1.0.5"]),
        6 => {
            let state = [PeeringState::Provisioning, PeeringState::Unrecognized][dice.roll(2) as usize];
            let changed = peering("pcx-1", state, "vpc-peer", &["10.9.0.0/16"]);
            world.peerings.insert("pcx-1".to_owned(), Seen::Known(changed));
        }
        7 => {
            world.peerings.insert("pcx-1".to_owned(), Seen::Unknown("throttled".to_owned()));
        }
        8 => world.group(GROUP).unreadable = Some("throttled".to_owned()),
        9 => world.calls_fail = true,
        10 => world.budget_spent = true,
        11 => world.held = Some(Reason::Paused),
        12 => world.heal(),
        13 => world.drain(),
        14 => world.routes("rtb-1").truncate(1),
        _ => calm(world),
    }
    format!("{what}")
}

fn calm(world: &mut World) {
    let active = peering("pcx-1", PeeringState::Active, "vpc-peer", &["10.9.0.0/16"]);
    world.peerings.insert("pcx-1".to_owned(), Seen::Known(active));
    world.group(GROUP).unreadable = None;
    (world.calls_fail, world.budget_spent, world.held) = (false, false, None);
}

#[test]
fn w2_w3_whatever_fails_nothing_that_serves_is_lost_and_quiet_settles_everything() {
    for seed in 1..=120u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut world = if seed % 2 == 0 { World::new() } else { World::any(&["10.9.0.5", "10.9.0.6"]) };
        world.settle();
        let mut story = Vec::new();
        for _ in 0..40 {
            story.push(something_happens(&mut world, &mut dice));
            let before = serving(&world);
            world.pass_after(10);
            let after = serving(&world);
            assert!(after >= before.min(1), "seed {seed}, {story:?}: {before} served, and {after} do");
        }
        calm(&mut world);
        world.acknowledge("Flapping");
        world.name_answers(&["10.9.0.9"]);
        for _ in 0..12 {
            world.pass_after(70);
            world.heal();
            world.drain();
        }
        world.settle();
        assert_eq!(world.targets(GROUP), ["10.9.0.9:5432 Healthy"], "seed {seed}, {story:?}");
        assert_eq!(world.says(Registered), "true Registered");
        assert!(!world.groups[GROUP].targets.values().any(|(health, _)| *health == Health::Initial));
    }
}
