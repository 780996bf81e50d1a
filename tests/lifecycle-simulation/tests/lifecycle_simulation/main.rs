//! Seeded worlds of an Auto Scaling group with Patroni and etcd on its nodes, in which everything goes wrong that can, with
//! the invariants L1 to L9 judged at every call. The function is the real one, over `sim`.
//!
//! `SIMULATION_SEEDS` and `SIMULATION_FROM` say how many seeds and from which on (200 from 1). A seed that breaks something is
//! printed with the command that tells its story.

#![cfg(test)] // for clippy: `unwrap` and the like are for tests alone

mod kills;
mod layout;
mod oracle;
mod process;
mod run;
mod seeds;
mod seen;
mod stories;

use std::sync::OnceLock;

use sim::Fault;

use crate::seeds::Summary;

fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var_os(variable).and_then(|value| value.into_string().ok());
    text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// The seeds are run once for all tests.
fn summary() -> &'static Summary {
    static SUMMARY: OnceLock<Summary> = OnceLock::new();
    SUMMARY.get_or_init(|| {
        let summary = seeds::run(number("SIMULATION_FROM", 1), number("SIMULATION_SEEDS", 200));
        summary.print();
        summary
    })
}

/// No seed broke the invariant.
fn holds(invariant: &str) {
    let mut broken: Vec<_> = summary().broken.iter().filter(|(of, ..)| of == invariant).collect();
    broken.dedup_by_key(|(_, seed, _)| *seed);
    let broken: Vec<String> = broken
        .into_iter()
        .take(20)
        .map(|(_, seed, what)| {
            format!(
                "seed {seed}: {what}\n    SIMULATION_SEED={seed} cargo test --workspace --test lifecycle_simulation tell -- --ignored --nocapture"
            )
        })
        .collect();
    assert!(broken.is_empty(), "{invariant} was broken:\n  {}", broken.join("\n  "));
}

#[test]
fn l1_no_answer_ends_a_leader_a_serving_node_or_a_voter_whatever_happens() {
    holds("L1");
}

#[test]
fn l1_no_acknowledged_write_is_lost_by_an_answer_of_ours_whatever_happens() {
    holds("writes");
}

#[test]
fn l2_a_live_voter_goes_only_while_all_others_are_up_whatever_happens() {
    holds("L2");
}

#[test]
fn l3_a_switchover_names_a_candidate_that_can_lead_whatever_happens() {
    holds("L3");
}

#[test]
fn l4_whatever_takes_away_is_done_under_the_lock_to_a_node_that_leaves() {
    holds("L4");
    holds("targets");
}

#[test]
fn l5_a_node_goes_into_service_near_the_leader_and_none_that_advances_is_abandoned() {
    holds("L5");
}

#[test]
fn l6_only_the_hooks_of_the_spec_are_answered_and_every_node_is_looked_after() {
    holds("L6");
    holds("rest");
}

#[test]
fn l7_no_volume_is_ever_detached_or_attached_to_another_node() {
    holds("L7");
}

#[test]
fn no_node_starts_before_its_volumes_are_there() {
    holds("volumes");
}

#[test]
fn l1_only_a_node_that_waits_and_stands_still_throws_its_data_away_and_once() {
    holds("copies");
}

#[test]
fn no_volume_is_left_over_at_rest() {
    holds("stray volumes");
}

#[test]
fn l8_one_node_is_retained_at_the_most_and_ended_by_name_only_if_it_is() {
    holds("L8");
}

#[test]
fn l9_no_second_cluster_is_ever_begun_whatever_happens() {
    holds("L9");
}

#[test]
fn w7_every_run_ends_in_time_whatever_happens() {
    holds("W7");
}

#[test]
fn a_dry_run_changes_nothing() {
    holds("dry");
}

#[test]
fn a_pause_lets_heartbeats_pass_alone() {
    holds("pause");
}

#[test]
fn the_safety_gate_has_nothing_to_stop() {
    holds("gate");
}

/// Coverage must not rot: every kind of fault and of event really happens, and the function does all that it can.
#[test]
fn everything_that_can_go_wrong_does() {
    let counts = &summary().counts;
    let seeds = counts["seeds"];
    let faults = Fault::ALL.iter().map(|fault| format!("fault: {fault:?}"));
    let events = layout::names().map(|name| format!("event: {name}"));
    let done = [
        "kills",
        "overlaps",
        "switchovers asked",
        "live voters removed",
        "dead members and learners removed",
        "learners promoted",
        "terminations continued",
        "terminations refused",
        "launches continued",
        "retained nodes ended",
        "stops",
        "grants with volumes",
        "base backups begun",
        "event: a newer restore point",
        "event: records are lost",
        "event: fleet is paused",
        "event: fleet is resumed",
    ];
    let rare: Vec<String> = faults
        .chain(events)
        .chain(done.map(str::to_owned))
        .filter(|name| counts.get(name).copied().unwrap_or_default() < seeds / 40)
        .map(|name| format!("{name}: {:?}", counts.get(&name)))
        .collect();
    assert!(rare.is_empty(), "in {seeds} seeds, too seldom: {rare:?}");
}

#[test]
fn a_seed_is_the_same_every_time() {
    runtime::telemetry::mute();
    let (first, second) = (run::seed(5, true), run::seed(5, true));
    assert!(first.story.len() > 100);
    assert_eq!(first.story, second.story);
}

/// The story of `SIMULATION_SEED`.
#[test]
#[ignore = "tells the story of one seed: set SIMULATION_SEED"]
fn tell() {
    runtime::telemetry::mute();
    let outcome = run::seed(number("SIMULATION_SEED", 1), true);
    for line in &outcome.story {
        println!("{line}");
    }
    for violation in &outcome.violations {
        println!("{}: {}", violation.invariant, violation.what);
    }
    assert!(outcome.violations.is_empty(), "seed {} breaks something: see above", outcome.seed);
}
