//! Seeded worlds of restore points in which everything goes wrong that can, with the invariants S1 to S6 judged at every call.
//! The function is the real one, over `sim`.
//!
//! `SIMULATION_SEEDS` and `SIMULATION_FROM` say how many seeds and from which on (60 from 1). A seed that breaks something is
//! printed with the command that tells its story.

#![cfg(test)] // for clippy: `unwrap` and the like are for tests alone

mod broken;
mod chaos;
mod clocks;
mod closing;
mod farewell;
mod kills;
mod layout;
mod losses;
mod oracle;
mod process;
mod quiet;
mod run;
mod seeds;
mod years;

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
        let summary = seeds::run(number("SIMULATION_FROM", 1), number("SIMULATION_SEEDS", 60));
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
                "seed {seed}: {what}\n    SIMULATION_SEED={seed} cargo test --workspace --test restore_simulation tell -- --ignored --nocapture"
            )
        })
        .collect();
    assert!(broken.is_empty(), "{invariant} was broken:\n  {}", broken.join("\n  "));
}

#[test]
fn s1_only_whole_sets_of_one_moment_count_whatever_happens() {
    holds("S1");
}

#[test]
fn s2_no_mount_is_frozen_that_must_not_be_nor_for_long_whatever_happens() {
    holds("S2");
}

#[test]
fn s3_the_newest_held_bound_and_copied_are_never_deleted_whatever_happens() {
    holds("S3");
}

#[test]
fn s4_nothing_is_deleted_that_was_not_listed_or_while_the_newest_is_old_whatever_happens() {
    holds("S4");
}

#[test]
fn s5_only_our_own_snapshots_are_touched_whatever_happens() {
    holds("S5");
}

#[test]
fn s6_a_time_of_the_schedule_counts_one_restore_point_whatever_happens() {
    holds("S6");
}

#[test]
fn every_time_of_the_schedule_gets_a_restore_point_once_all_is_quiet() {
    holds("rest");
}

#[test]
fn snapshot_case_28_every_set_that_is_stored_is_on_record_whatever_was_lost() {
    holds("books");
}

#[test]
fn snapshot_case_23_what_a_deleted_cluster_leaves_stays_as_final_says_and_then_goes() {
    holds("final");
}

#[test]
fn a_lineage_has_one_copy_under_way() {
    holds("queue");
}

#[test]
fn whatever_takes_or_deletes_is_done_under_the_lock() {
    holds("lock");
}

#[test]
fn w7_every_run_ends_in_time_whatever_happens() {
    holds("W7");
}

#[test]
fn a_dry_run_changes_nothing_and_a_pause_lets_thaws_pass_alone() {
    holds("dry");
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
        "sets taken",
        "sets taken at a farewell",
        "restore points found good",
        "copies begun",
        "good sets retired",
        "snapshots deleted",
        "mounts frozen",
        "event: fleet is paused",
        "event: policy changes",
        "event: held or released",
        "event: clock jumps ahead",
        "event: clock jumps back",
        "event: cluster is deleted",
        "event: cluster is put anew",
        "rest: the estate is over",
        "rest: a clock that was ahead is waited out",
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
