//! Whose snapshots are ours (S5), and what a pause or a pass that saw nothing may say.

use crate::catalogue::Mutation;
use crate::suite::Suite;

const SETS: &str = "functions/snapshot-scheduler/src/sets.rs";
const BOOKS: &str = "functions/snapshot-scheduler/src/plan/books.rs";
const MOD: &str = "functions/snapshot-scheduler/src/plan/mod.rs";
const ENDING: &str = "functions/snapshot-scheduler/src/plan/ending.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "another-deployments-sets-are-ours",
        breaks: "The sets of another control plane in the same account are taken for ours.",
        file: SETS,
        find: "let ours = tag(DEPLOYMENT) == Some(deployment) && ",
        replace: "let ours = ",
        suite: Suite::Scheduler,
        caught_by: &["s5_peers_bug_4_foreign_snapshots_are_left_alone"],
    },
    Mutation {
        name: "any-set-of-the-tags-is-ours",
        breaks: "A snapshot whose set is not the cluster's is taken for the cluster's.",
        file: SETS,
        find: "ours && cluster_of(set) == Some(cluster)",
        replace: "ours",
        suite: Suite::Scheduler,
        caught_by: &["s5_peers_bug_4_foreign_snapshots_are_left_alone"],
    },
    Mutation {
        name: "lost-record-forgets-the-deletion",
        breaks: "A set that was being deleted when its record was lost counts again.",
        file: SETS,
        find: "is_some_and(|state| state == DELETING)",
        replace: "is_some_and(|_| false)",
        suite: Suite::Scheduler,
        caught_by: &["snapshot_case_33_tags_alone_say_that_a_set_is_being_deleted"],
    },
    Mutation {
        name: "unreadable-record-is-made-anew",
        breaks: "The record of a set that cannot be read is made anew: its holds are lost.",
        file: BOOKS,
        find: "if seen.unreadable.iter().any(",
        replace: "if false && seen.unreadable.iter().any(",
        suite: Suite::Scheduler,
        caught_by: &["s4_s5_a_record_that_cannot_be_read_is_not_rebuilt"],
    },
    Mutation {
        name: "pause-acts",
        breaks: "A pause pauses nothing.",
        file: MOD,
        find: "Some(reason) => plan.held.push((action, reason))",
        replace: "Some(_) => plan.actions.push(action)",
        suite: Suite::Scheduler,
        caught_by: &[
            "a_pause_holds_and_begins_nothing",
            "a_pause_marks_nothing_for_deletion",
            "a_pause_begins_no_copy",
        ],
    },
    Mutation {
        name: "pause-forgets",
        breaks: "A pause leaves sets marked that were not to be touched.",
        file: MOD,
        find: "point.clone_from(before);",
        replace: "let _ = before;",
        suite: Suite::Scheduler,
        caught_by: &["a_pause_marks_nothing_for_deletion"],
    },
    Mutation {
        name: "over-too-soon",
        breaks: "What a deleted cluster leaves is given up while a Region cannot be read.",
        file: MOD,
        find: "plan.actions.is_empty() && known;",
        replace: "plan.actions.is_empty();",
        suite: Suite::Scheduler,
        caught_by: &["s5_it_is_not_over_before_all_is_known"],
    },
    Mutation {
        name: "unreadable-is-well",
        breaks: "A pass that could not read the snapshots ends as if all were well.",
        file: ENDING,
        find: "Reason::SnapshotsUnreadable => Outcome::Failed",
        replace: "Reason::SnapshotsUnreadable => Outcome::Unchanged",
        suite: Suite::Scheduler,
        caught_by: &["endings_say_the_worst"],
    },
];
