//! The diff between a target group and what it should hold, for any list, any record and any knowledge of the peerings.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use domain::condition::Status;
use domain::reason::Reason;
use domain::spec::Role;
use jiff::{SignedDuration, Timestamp};
use peering_watcher::action::{Action, Grounds};
use peering_watcher::admission::{Admitted, Usable, admit_over};
use peering_watcher::plan::proof::Proof;
use peering_watcher::plan::targets::{Diff, Wanted, diff};
use peering_watcher::state::{EndpointMemory, OwnedTarget, Phase};
use ports::{Health, Target, TargetHealth};
use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;

use super::for_all;

/// The port that is wanted. Targets of the other one are another matter.
const PORT: u16 = 5432;

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    now().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

/// What the diff is asked, as data.
#[derive(Debug, Clone)]
struct Question {
    role: Role,
    wanted: BTreeMap<u8, String>,
    listed: BTreeMap<Target, Health>,
    owned: BTreeMap<Target, (String, Phase, i64)>,
    gone: BTreeMap<String, Grounds>,
    unjudged: BTreeSet<String>,
    may_remove: bool,
    handed_over: BTreeSet<Target>,
    proofs: BTreeMap<Target, Proof>,
}

fn target(last: u8, port: u16) -> Target {
    Target { address: [10, 9, 0, last].into(), port }
}

fn any_target() -> impl Strategy<Value = Target> {
    (5u8..10, select(vec![PORT, PORT, PORT, 6432])).prop_map(|(last, port)| target(last, port))
}

fn connection() -> impl Strategy<Value = String> {
    select(vec!["pcx-1", "pcx-2", "pcx-3"]).prop_map(str::to_owned)
}

fn question() -> impl Strategy<Value = Question> {
    let health = select(vec![
        Health::Initial,
        Health::Healthy,
        Health::Healthy,
        Health::Unhealthy,
        Health::Unused,
        Health::Draining,
        Health::Unavailable,
    ]);
    let phase = select(vec![Phase::Intended, Phase::Registered, Phase::Registered, Phase::Leaving]);
    let grounds =
        select(vec![Grounds::PeeringEnded, Grounds::PeeringNotFound, Grounds::NotAdmitted, Grounds::NotInSpec]);
    let role_and_wanted = prop_oneof![
        (Just(Role::Writer), btree_map(5u8..10, connection(), 0..2)),
        (Just(Role::Any), btree_map(5u8..10, connection(), 0..4)),
    ];
    (
        role_and_wanted,
        btree_map(any_target(), health, 0..9),
        btree_map(any_target(), (connection(), phase, 0i64..120), 0..6),
        btree_map(connection(), grounds, 0..2),
        btree_set(connection(), 0..3),
        prop::bool::weighted(0.8),
        btree_set(any_target(), 0..2),
        btree_map(any_target(), select(vec![Proof::Writer, Proof::Writer, Proof::Standby, Proof::Dead]), 0..9),
    )
        .prop_map(|((role, wanted), listed, owned, gone, unjudged, may_remove, handed_over, proofs)| {
            // What cannot be judged has not certainly ended, and what is wanted was admitted over something usable.
            let unjudged: BTreeSet<String> =
                unjudged.into_iter().filter(|c| !wanted.values().any(|w| w == c)).collect();
            let gone = gone.into_iter().filter(|(c, _)| !unjudged.contains(c)).collect();
            Question { role, wanted, listed, owned, gone, unjudged, may_remove, handed_over, proofs }
        })
}

fn admitted(last: u8, connection: &str) -> Admitted {
    let usable = Usable {
        connection: connection.to_owned(),
        peer_blocks: vec!["10.9.0.0/16".parse().unwrap()],
        allowed: vec!["10.9.0.0/16".parse().unwrap()],
        own_blocks: vec!["10.1.0.0/16".parse().unwrap()],
        own_vpc: "vpc-own".to_owned(),
        peer_resolves: None,
    };
    admit_over(IpAddr::from([10, 9, 0, last]), &[usable]).unwrap()
}

impl Question {
    fn memory(&self) -> EndpointMemory {
        let owned = self.owned.iter().map(|(target, (connection, phase, ago))| OwnedTarget {
            target: *target,
            connection: connection.clone(),
            phase: *phase,
            since: after(-ago),
            left: None,
        });
        EndpointMemory { name: "postgres".to_owned(), owned: owned.collect(), ..EndpointMemory::default() }
    }

    fn list(&self) -> Vec<TargetHealth> {
        let one = |(target, health): (&Target, &Health)| TargetHealth {
            target: *target,
            health: *health,
            reason: String::new(),
        };
        self.listed.iter().map(one).collect()
    }

    fn ask(&self, memory: &mut EndpointMemory, at: Timestamp) -> Diff {
        let addresses: Vec<Admitted> = self.wanted.iter().map(|(last, over)| admitted(*last, over)).collect();
        let wanted = Wanted {
            arn: "arn",
            role: self.role,
            port: PORT,
            addresses: &addresses,
            gone: &|owned| self.gone.get(&owned.connection).copied(),
            unjudged: &|owned| self.unjudged.contains(&owned.connection),
            proof: &|target| self.proof(target),
            may_remove: self.may_remove,
            handed_over: &self.handed_over,
        };
        diff(&wanted, &self.list(), memory, at)
    }

    fn proof(&self, target: Target) -> Proof {
        self.proofs.get(&target).copied().unwrap_or(Proof::Nothing)
    }

    fn targets(&self) -> BTreeSet<Target> {
        self.wanted.keys().map(|last| target(*last, PORT)).collect()
    }

    fn is_present(&self, target: &Target) -> bool {
        self.listed.get(target).is_some_and(|health| *health != Health::Draining)
    }

    fn health(&self, target: &Target) -> Option<Health> {
        self.listed.get(target).copied().filter(|health| *health != Health::Draining)
    }

    /// What the load balancer does with the actions. A target that is registered while it drains is a new one.
    fn apply(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::RegisterTarget { target, .. } => self.listed.insert(*target, Health::Initial),
                Action::DeregisterTarget { target, .. } => self.listed.insert(*target, Health::Draining),
                other => panic!("{other:?} is no action on a target group"),
            };
        }
    }

    /// Time passes: what is new has been checked, and what drained is gone.
    fn time_passes(&mut self) {
        self.listed.retain(|_, health| *health != Health::Draining);
        self.listed.values_mut().filter(|h| **h == Health::Initial).for_each(|h| *h = Health::Healthy);
    }
}

fn registered(diff: &Diff) -> Vec<Target> {
    let of = |a: &Action| if let Action::RegisterTarget { target, .. } = a { Some(*target) } else { None };
    diff.actions.iter().filter_map(of).collect()
}

fn deregistered(diff: &Diff) -> Vec<(Target, Grounds)> {
    let of = |a: &Action| match a {
        Action::DeregisterTarget { target, grounds, .. } => Some((*target, *grounds)),
        _ => None,
    };
    diff.actions.iter().filter_map(of).collect()
}

/// Whether a list may still be older than our word of then.
fn lags(since: Timestamp) -> bool {
    now().duration_since(since).as_secs() < 30
}

/// Holds a property of one diff: the question, the record before and after, and what came out.
#[track_caller]
fn of_every_diff(property: impl Fn(&Question, &EndpointMemory, &EndpointMemory, &Diff) -> TestCaseResult) {
    for_all(3_000, question(), |question| {
        let before = question.memory();
        let mut memory = before.clone();
        let diff = question.ask(&mut memory, now());
        property(&question, &before, &memory, &diff)
    });
}

#[test]
fn w3_exactly_what_is_wanted_and_not_there_is_registered_once_and_on_record() {
    of_every_diff(|question, before, memory, diff| {
        let just_left =
            |t: &Target| before.owned.iter().any(|o| o.target == *t && o.phase == Phase::Leaving && lags(o.since));
        let missing: Vec<Target> =
            question.targets().into_iter().filter(|t| !question.is_present(t) || just_left(t)).collect();
        prop_assert_eq!(registered(diff), missing, "draining is not there, nor is what we have just taken out");
        for action in &diff.actions {
            let Action::RegisterTarget { target, connection, .. } = action else { continue };
            let record: Vec<&OwnedTarget> = memory.owned.iter().filter(|o| o.target == *target).collect();
            prop_assert_eq!(record.len(), 1, "on record, once");
            prop_assert_eq!(
                (record[0].phase, record[0].since, &record[0].connection),
                (Phase::Intended, now(), connection)
            );
        }
        Ok(())
    });
}

#[test]
fn w6_nothing_foreign_wanted_draining_or_absent_is_deregistered() {
    of_every_diff(|question, before, _, diff| {
        for (target, _) in deregistered(diff) {
            let ours = before.owned.iter().any(|o| o.target == target) || question.handed_over.contains(&target);
            prop_assert!(ours, "{target} is foreign");
            prop_assert!(!question.targets().contains(&target), "{target} is wanted");
            prop_assert!(question.is_present(&target), "{target} is not there, or drains: port and address count");
            prop_assert!(question.may_remove, "{target} goes while the record may be a rebuilt one");
        }
        let all = deregistered(diff);
        prop_assert_eq!(all.iter().map(|(t, _)| t).collect::<BTreeSet<_>>().len(), all.len(), "once each");
        Ok(())
    });
}

#[test]
fn w8_what_was_replaced_goes_only_while_something_wanted_serves() {
    let seen = Cell::new(0);
    of_every_diff(|question, before, _, diff| {
        for (target, _) in deregistered(diff).into_iter().filter(|(_, grounds)| *grounds == Grounds::Replaced) {
            seen.set(seen.get() + 1);
            let wanted = question.targets();
            prop_assert!(!wanted.is_empty(), "nothing takes the place of {target}");
            prop_assert!(
                wanted.iter().all(|w| question.is_present(w)),
                "{target} goes before what replaces it is there"
            );
            let trusted = |w: &&Target| {
                !before.owned.iter().any(|o| o.target == **w && o.phase == Phase::Leaving && lags(o.since))
            };
            let serves = wanted.iter().filter(trusted).any(|w| question.health(w) == Some(Health::Healthy));
            let dead = question.role == Role::Any && question.health(&target) == Some(Health::Unhealthy);
            prop_assert!(serves || dead, "{target} goes, and nothing that is wanted is healthy");
        }
        Ok(())
    });
    assert!(seen.get() > 50, "only {} replacements were drawn", seen.get());
}

#[test]
fn w8_what_was_superseded_is_proven_to_be_no_writer_by_one_that_is_registered_and_is() {
    let seen = Cell::new(0);
    // Drawn freely, the one that is wanted is seldom in its first checks and the proven writer at once: in every other
    // question it is.
    let in_first_checks = question().prop_map(|mut question| {
        let every_other = question.listed.len() % 2 == 0;
        for wanted in question.targets().into_iter().filter(|_| every_other) {
            question.listed.insert(wanted, Health::Initial);
            question.proofs.insert(wanted, Proof::Writer);
        }
        question
    });
    for_all(3_000, in_first_checks, |question| {
        let diff = question.ask(&mut question.memory(), now());
        for (target, _) in deregistered(&diff).into_iter().filter(|(_, grounds)| *grounds == Grounds::Superseded) {
            seen.set(seen.get() + 1);
            prop_assert_eq!(question.role, Role::Writer, "of servers that all serve, none takes over");
            let proof = question.proof(target);
            prop_assert!(matches!(proof, Proof::Standby | Proof::Dead), "{target} may be the writer: {proof:?}");
            let reached = |of: &Target| {
                matches!(question.health(of), Some(Health::Initial | Health::Healthy | Health::Unavailable))
            };
            let takes_over = question.targets().iter().any(|w| reached(w) && question.proof(*w) == Proof::Writer);
            prop_assert!(takes_over, "{target} goes, and nobody proved to take over");
        }
        Ok(())
    });
    assert!(seen.get() > 20, "only {} were superseded", seen.get());
}

#[test]
fn w2_without_grounds_the_last_that_serves_never_goes() {
    of_every_diff(|question, _, _, diff| {
        let leaving: BTreeSet<Target> = deregistered(diff).into_iter().map(|(target, _)| target).collect();
        let forced = deregistered(diff).iter().any(|(_, grounds)| *grounds != Grounds::Replaced);
        let healthy = |t: &&Target| question.health(t) == Some(Health::Healthy);
        let before = question.listed.keys().filter(healthy).count();
        let after = question.listed.keys().filter(|t| !leaving.contains(t)).filter(healthy).count();
        prop_assert!(forced || before == 0 || after > 0, "{before} served, and none does");
        Ok(())
    });
}

#[test]
fn w2_w9_grounds_are_those_of_the_targets_own_connection_and_none_where_it_cannot_be_judged() {
    of_every_diff(|question, before, _, diff| {
        for (target, grounds) in deregistered(diff) {
            let connection = before.owned.iter().find(|o| o.target == target).map(|o| o.connection.as_str());
            let connection = connection.unwrap_or("");
            let expected = match question.gone.get(connection) {
                Some(ended) => vec![*ended],
                None => vec![Grounds::Replaced, Grounds::Superseded],
            };
            prop_assert!(expected.contains(&grounds), "{target} was admitted over {connection:?}: {grounds:?}");
            let alone = question.wanted.is_empty() || question.role == Role::Any;
            prop_assert!(
                !(alone && question.unjudged.contains(connection)),
                "{target} goes, and nobody could tell why"
            );
        }
        Ok(())
    });
}

#[test]
fn w2_room_is_made_only_with_what_is_ours_read_as_dead_and_not_wanted() {
    let seen = Cell::new(0);
    of_every_diff(|question, _, memory, diff| {
        for action in &diff.actions {
            let Action::RegisterTarget { make_room, .. } = action else { continue };
            prop_assert!(make_room.is_empty() || question.may_remove);
            for target in make_room {
                seen.set(seen.get() + 1);
                prop_assert_eq!(question.health(target), Some(Health::Unhealthy), "{} is alive", target);
                prop_assert!(!question.targets().contains(target), "{target} is wanted");
                prop_assert!(memory.owned.iter().any(|o| o.target == *target), "{target} is foreign");
            }
        }
        Ok(())
    });
    assert!(seen.get() > 30, "room was made {} times", seen.get());
}

#[test]
fn w8_registrations_come_first_and_an_emptied_group_is_called_so() {
    of_every_diff(|question, _, _, diff| {
        let last = diff.actions.iter().rposition(|a| matches!(a, Action::RegisterTarget { .. }));
        let first = diff.actions.iter().position(|a| matches!(a, Action::DeregisterTarget { .. }));
        prop_assert!(first.is_none_or(|first| last.is_none_or(|last| last < first)));
        let leaving: BTreeSet<Target> = deregistered(diff).into_iter().map(|(target, _)| target).collect();
        let emptied = question.listed.keys().filter(|t| question.is_present(t)).all(|t| leaving.contains(t));
        for action in &diff.actions {
            let Action::DeregisterTarget { leaves_empty, target, .. } = action else { continue };
            prop_assert_eq!(*leaves_empty, emptied, "the fleet brake goes by it: {}", target);
        }
        Ok(())
    });
}

#[test]
fn w3_nothing_of_ours_that_is_still_there_is_forgotten() {
    of_every_diff(|question, before, memory, _| {
        let still = before.owned.iter().map(|o| o.target).filter(|t| question.is_present(t));
        for target in still.chain(question.targets()) {
            let records = memory.owned.iter().filter(|o| o.target == target).count();
            prop_assert_eq!(records, 1, "{} is on record {} times", target, records);
        }
        Ok(())
    });
}

#[test]
fn registered_is_said_only_where_everything_wanted_and_nothing_else_is_there() {
    let seen = Cell::new(0);
    of_every_diff(|question, _, memory, diff| {
        let Some(said) = &diff.registered else { return Ok(()) };
        let foreign = question
            .listed
            .keys()
            .filter(|t| question.is_present(t))
            .find(|t| !memory.owned.iter().any(|o| o.target == **t));
        if said.status == Status::True {
            seen.set(seen.get() + 1);
            prop_assert!(question.targets().iter().all(|t| question.is_present(t)));
            prop_assert_eq!(foreign, None);
            let unwanted = |o: &&OwnedTarget| question.is_present(&o.target) && !question.targets().contains(&o.target);
            let judged = |o: &&OwnedTarget| !question.unjudged.contains(&o.connection);
            let stale: Vec<_> =
                memory.owned.iter().filter(unwanted).filter(judged).filter(|o| o.phase != Phase::Leaving).collect();
            prop_assert!(stale.is_empty(), "{stale:?}");
        }
        if said.reason == Reason::ForeignTarget {
            prop_assert!(foreign.is_some_and(|t| said.message.contains(&t.to_string())));
        }
        Ok(())
    });
    assert!(seen.get() > 30, "it was said {} times", seen.get());
}

#[test]
fn w5_what_was_done_is_not_done_again() {
    for_all(1_500, question(), |mut question| {
        let mut memory = question.memory();
        let first = question.ask(&mut memory, now());
        let (mut same, unchanged) = (question.memory(), first.clone());
        prop_assert_eq!(question.ask(&mut same, now()), unchanged, "the same question has the same answer");
        question.apply(&first.actions);
        let again = question.ask(&mut memory, after(10));
        let repeated: Vec<&Action> =
            again.actions.iter().filter(|a| matches!(a, Action::RegisterTarget { .. })).collect();
        prop_assert!(repeated.is_empty(), "{repeated:?}");
        let gone: BTreeSet<Target> = deregistered(&first).into_iter().map(|(target, _)| target).collect();
        let twice: Vec<(Target, Grounds)> =
            deregistered(&again).into_iter().filter(|(t, _)| gone.contains(t)).collect();
        prop_assert!(twice.is_empty(), "{twice:?} drains already");
        Ok(())
    });
}

#[test]
fn w3_passes_over_any_group_end_with_what_is_wanted_and_what_is_not_ours() {
    for_all(1_500, question(), |mut question| {
        question.may_remove = true;
        question.unjudged.clear();
        // A server that never answers would be waited for, rightly and for ever.
        question.listed.values_mut().filter(|h| **h != Health::Draining).for_each(|h| *h = Health::Healthy);
        let mut memory = question.memory();
        let ours: BTreeSet<Target> = memory
            .owned
            .iter()
            .map(|o| o.target)
            .chain(question.handed_over.iter().copied())
            .chain(question.targets())
            .collect();
        let foreign: BTreeSet<Target> =
            question.listed.keys().filter(|t| question.is_present(t) && !ours.contains(t)).copied().collect();
        let nothing_wanted = question.wanted.is_empty();
        let stays = |o: &OwnedTarget| nothing_wanted && !question.gone.contains_key(&o.connection);
        let kept: BTreeSet<Target> =
            memory.owned.iter().filter(|o| stays(o) && question.is_present(&o.target)).map(|o| o.target).collect();
        let handed: BTreeSet<Target> = question
            .handed_over
            .iter()
            .filter(|t| nothing_wanted && question.is_present(t) && !memory.owned.iter().any(|o| o.target == **t))
            .copied()
            .collect();
        let mut last = Diff::default();
        for pass in 0..4 {
            last = question.ask(&mut memory, after(40 * pass));
            question.apply(&last.actions);
            question.time_passes();
        }
        let there: BTreeSet<Target> = question.listed.keys().copied().collect();
        let expected: BTreeSet<Target> =
            question.targets().into_iter().chain(foreign).chain(kept.clone()).chain(handed.clone()).collect();
        prop_assert_eq!(there, expected);
        prop_assert!(last.actions.is_empty(), "{:?}", last.actions);
        prop_assert_eq!(last.settled, kept.is_empty() && handed.is_empty(), "the record is as the group is");
        Ok(())
    });
}
