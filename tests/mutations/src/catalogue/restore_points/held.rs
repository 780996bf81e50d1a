//! Holds, on record and in tags.

use crate::catalogue::Mutation;
use crate::suite::Suite;

const HOLDS: &str = "functions/snapshot-scheduler/src/plan/holds.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "lost-record-loses-its-holds",
        breaks: "After a loss of the table nothing is held.",
        file: "functions/snapshot-scheduler/src/sets.rs",
        find: "holds: read_holds(tag(HOLDS).unwrap_or_default(), first.started_at),",
        replace: "",
        suite: Suite::Scheduler,
        caught_by: &["s3_a_hold_outlives_its_record"],
    },
    Mutation {
        name: "hold-ends-by-our-clock",
        breaks: "A clock that is ahead ends holds.",
        file: HOLDS,
        find: "if draft.state.estate.is_some() { Some(now) } else { newest }",
        replace: "newest.max(Some(now))",
        suite: Suite::Scheduler,
        caught_by: &["s4_a_hold_ends_once_a_restore_point_was_taken_after_it_and_not_by_our_clock"],
    },
    Mutation {
        name: "hold-never-ends",
        breaks: "A hold for some days is a hold for ever.",
        file: HOLDS,
        find: "by.is_none_or(|by| by <= until)",
        replace: "true",
        suite: Suite::Scheduler,
        caught_by: &["s4_a_hold_ends_once_a_restore_point_was_taken_after_it_and_not_by_our_clock"],
    },
    Mutation {
        name: "released-and-tagged-still",
        breaks: "A hold that was released comes back after a loss of the table.",
        file: HOLDS,
        find: "|s| !says(s)",
        replace: "|s| !says(s) && !point.holds.is_empty()",
        suite: Suite::Scheduler,
        caught_by: &["feature_21_holds_are_told_to_the_snapshots_of_every_region_and_their_end_too"],
    },
];
