//! Copies into other Regions.

use crate::catalogue::Mutation;
use crate::suite::Suite;

const COPIES: &str = "functions/snapshot-scheduler/src/plan/copies.rs";
const SETS: &str = "functions/snapshot-scheduler/src/sets.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "two-copies-of-one-lineage",
        breaks: "A second set is copied into a Region while the first is on its way.",
        file: COPIES,
        find: "p.region == region && matches!(p.phase, Phase::Intended | Phase::Pending)",
        replace: "p.region == region && p.phase == Phase::Intended",
        suite: Suite::Scheduler,
        caught_by: &[
            "one_set_at_a_time_and_the_newest",
            "snapshot_case_26_s3_what_is_being_copied_stays_until_it_is_copied",
        ],
    },
    Mutation {
        name: "unchecked-key",
        breaks: "Copies are begun with a key that is disabled: EC2 says so hours later.",
        file: COPIES,
        find: "Some(Seen::Known(known)) if known.enabled =>",
        replace: "Some(Seen::Known(known)) if known.enabled || true =>",
        suite: Suite::Scheduler,
        caught_by: &["snapshot_case_25_a_key_that_cannot_be_used_stops_the_copy_before_it_is_begun"],
    },
    Mutation {
        name: "lost-copy-is-repeated-at-once",
        breaks: "A copy whose reply was lost is begun again before it can be listed.",
        file: COPIES,
        find: "|| asked(member.asked_at) ||",
        replace: "||",
        suite: Suite::Scheduler,
        caught_by: &["a_copy_whose_reply_was_lost_is_looked_for_before_it_is_repeated"],
    },
    Mutation {
        name: "failed-copy-is-hammered",
        breaks: "A copy that fails is begun again in every pass.",
        file: COPIES,
        find: "now < trouble.again_at",
        replace: "false",
        suite: Suite::Scheduler,
        caught_by: &[
            "snapshot_case_25_a_copy_that_fails_is_cleared_and_tried_again_later",
            "snapshot_case_25_a_key_that_cannot_be_used_stops_the_copy_before_it_is_begun",
            "snapshot_case_29_a_full_quota_is_waited_for",
        ],
    },
    Mutation {
        name: "copy-under-way-is-dropped",
        breaks: "The record of a copy under way goes when a newer restore point comes.",
        file: COPIES,
        find: "&& untouched(p);",
        replace: ";",
        suite: Suite::Scheduler,
        caught_by: &[
            "one_set_at_a_time_and_the_newest",
            "snapshot_case_26_s3_what_is_being_copied_stays_until_it_is_copied",
        ],
    },
    Mutation {
        name: "bad-point-is-copied",
        breaks: "The newest set is copied whether it is good or not.",
        file: COPIES,
        find: "p.region == view.region && p.good).max_by_key",
        replace: "p.region == view.region).max_by_key",
        suite: Suite::Scheduler,
        caught_by: &["the_newest_good_one_is_copied_whatever_is_newer"],
    },
    Mutation {
        name: "copies-are-lost-with-the-table",
        breaks: "Copies whose records are lost do not count any more, because of a key that their tags do not tell.",
        file: SETS,
        find: "point.members.values_mut().for_each(|member| member.key = None);",
        replace: "",
        suite: Suite::Scheduler,
        caught_by: &["s3_s5_snapshot_case_28_copies_survive_the_loss_of_our_table"],
    },
    Mutation {
        name: "another-keys-copy-is-incremental",
        breaks: "The first copy with another key is reported as one that stores new blocks alone.",
        file: COPIES,
        find: "s.key == member.key",
        replace: "true",
        suite: Suite::Scheduler,
        caught_by: &["a_copy_is_full_or_incremental_by_what_it_follows"],
    },
];
