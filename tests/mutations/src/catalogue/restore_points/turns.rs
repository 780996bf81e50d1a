//! When it is time: clusters of one schedule begin apart, and a clock that was wrong has no say for long.

use crate::catalogue::Mutation;
use crate::suite::Suite;

const CLOCK: &str = "functions/snapshot-scheduler/src/plan/clock.rs";
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
    Mutation {
        name: "wrong-clock-stops-the-schedule",
        breaks: "A cluster that was first seen by a clock that was ahead has no schedule until then.",
        file: CLOCK,
        find: "state.since = state.since.map(|since| right(since, now));",
        replace: "",
        suite: Suite::Scheduler,
        caught_by: &["a_cluster_that_was_first_seen_by_a_clock_that_was_ahead_has_its_schedule_all_the_same"],
    },
    Mutation {
        name: "wrong-clocks-answer-counts",
        breaks: "What a node said days ago is frozen by, because a clock was ahead then.",
        file: CLOCK,
        find: "taking.intended || survey.at <= now",
        replace: "true",
        suite: Suite::Scheduler,
        caught_by: &["s1_s2_a_node_that_was_asked_by_a_clock_that_was_ahead_is_asked_anew"],
    },
];
