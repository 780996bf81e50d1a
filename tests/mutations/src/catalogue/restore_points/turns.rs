//! Clusters of one schedule begin apart.

use crate::catalogue::Mutation;
use crate::suite::Suite;

const TURNS: &str = "functions/snapshot-scheduler/src/plan/turns.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "all-begin-at-once",
        breaks: "All clusters of one schedule begin in the same second.",
        file: TURNS,
        find: "if now < own {",
        replace: "if false {",
        suite: Suite::Scheduler,
        caught_by: &["a_cluster_begins_at_its_own_moment_and_is_left_alone_before"],
    },
    Mutation {
        name: "all-catch-up-at-once",
        breaks: "After a pause all clusters begin in the same second.",
        file: TURNS,
        find: "if delay.is_zero() || now.duration_since(own) <= MISSED {",
        replace: "if true {",
        suite: Suite::Scheduler,
        caught_by: &["what_was_missed_waits_for_a_turn_too"],
    },
    Mutation {
        name: "turn-comes-in-a-pause",
        breaks: "Turns come while everything is paused, so that all begin at its end.",
        file: "functions/snapshot-scheduler/src/plan/mod.rs",
        find: "draft.state.turn.clone_from(&view.state.turn);",
        replace: "",
        suite: Suite::Scheduler,
        caught_by: &["what_was_missed_waits_for_a_turn_too"],
    },
    Mutation {
        name: "turn-begins-anew",
        breaks: "A cluster waits for its turn again in every pass, for ever.",
        file: TURNS,
        find: "known.map_or(latest, |turn| turn.at)",
        replace: "known.map_or(latest, |_| latest)",
        suite: Suite::Scheduler,
        caught_by: &["what_was_missed_waits_for_a_turn_too", "a_turn_that_has_come_stays"],
    },
    Mutation {
        name: "turn-days-off",
        breaks: "A clock that was ahead once makes a cluster wait for days.",
        file: TURNS,
        find: "turn.slot == slot && turn.at <= latest",
        replace: "turn.slot == slot",
        suite: Suite::Scheduler,
        caught_by: &["a_turn_is_never_further_off_than_its_delay"],
    },
];
