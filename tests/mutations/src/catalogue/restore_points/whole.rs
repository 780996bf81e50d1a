//! What counts as a restore point, and what is taken for one (S1).

use crate::catalogue::Mutation;
use crate::suite::Suite;

const BOOKS: &str = "functions/snapshot-scheduler/src/plan/books.rs";
const COPIES: &str = "functions/snapshot-scheduler/src/plan/copies.rs";
const SURVEY: &str = "functions/snapshot-scheduler/src/survey.rs";
const TAKE: &str = "functions/snapshot-scheduler/src/plan/take.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "lacking-set-counts",
        breaks: "A set that lacks a volume of the data counts as a good restore point.",
        file: BOOKS,
        find: "if named.len() < point.members.len() {",
        replace: "if false {",
        suite: Suite::Scheduler,
        caught_by: &["s1_snapshot_case_11_a_set_that_lacks_a_volume_fails_and_is_taken_again"],
    },
    Mutation {
        name: "pending-set-counts",
        breaks: "A set counts as good while its blocks are still being stored.",
        file: BOOKS,
        find: "s.state != SnapshotState::Completed)",
        replace: "!matches!(s.state, SnapshotState::Completed | SnapshotState::Pending))",
        suite: Suite::Scheduler,
        caught_by: &["s1_a_point_is_good_only_whole", "snapshot_case_17_peers_bug_4_5_what_is_not_good_does_not_count"],
    },
    Mutation {
        name: "torn-set-counts",
        breaks: "Snapshots that were begun at several moments count as one restore point.",
        file: BOOKS,
        find: "&& !one_moment {",
        replace: "&& !one_moment && false {",
        suite: Suite::Scheduler,
        caught_by: &["s1_a_point_is_good_only_whole"],
    },
    Mutation {
        name: "set-without-member-counts",
        breaks: "A set of which somebody deleted a snapshot by hand still counts as good.",
        file: BOOKS,
        find: "snapshot.is_none() && seen.gone",
        replace: "false && snapshot.is_none() && seen.gone",
        suite: Suite::Scheduler,
        caught_by: &[
            "snapshot_case_27_28_peers_bug_2_copies_do_not_go_with_their_sources",
            "s1_a_point_is_good_only_whole",
            "s1_snapshot_case_15_16_a_good_one_that_breaks_counts_no_more_and_may_come_back",
        ],
    },
    Mutation {
        name: "set-with-dead-key-counts",
        breaks: "A set whose key is disabled or about to be deleted counts as good.",
        file: BOOKS,
        find: "if !known.enabled =>",
        replace: "if false && !known.enabled =>",
        suite: Suite::Scheduler,
        caught_by: &["a_key_is_asked_after_once_a_day", "s1_a_point_is_good_only_whole"],
    },
    Mutation {
        name: "copy-with-another-key-counts",
        breaks: "A copy that is encrypted with another key than was asked for counts as one.",
        file: BOOKS,
        find: " || snapshot.key.as_ref() != Some(wanted)",
        replace: "",
        suite: Suite::Scheduler,
        caught_by: &["s1_snapshot_case_30_31_a_copy_is_good_only_whole_and_encrypted_as_asked"],
    },
    Mutation {
        name: "half-deleted-set-counts",
        breaks: "A set that is half deleted counts as good again.",
        file: BOOKS,
        find: "if matches!(point.phase, Phase::Deleting) {",
        replace: "if false {",
        suite: Suite::Scheduler,
        caught_by: &["s4_snapshot_case_33_a_half_deleted_set_waits_for_the_brake_and_is_finished_first"],
    },
    Mutation {
        name: "copy-counts-before-it-is-made",
        breaks: "A copy counts as good from the moment at which it is planned.",
        file: COPIES,
        find: "good: false,",
        replace: "good: true,",
        suite: Suite::Scheduler,
        caught_by: &["snapshot_case_30_a_copy_is_begun_member_by_member_and_good_when_all_are_stored"],
    },
    Mutation {
        name: "instance-store-is-passed-over",
        breaks: "Data on a disk that no snapshot reaches is left out without a word.",
        file: SURVEY,
        find: "if disk.kind != \"ebs\" {",
        replace: "if disk.kind != \"ebs\" {\n                continue;\n            }\n            if false {",
        suite: Suite::Scheduler,
        caught_by: &["s1_snapshot_case_34_a_disk_that_no_snapshot_reaches_is_named"],
    },
    Mutation {
        name: "detached-volume-is-passed-over",
        breaks: "Data on a volume that is not attached is left out without a word.",
        file: SURVEY,
        find: "let name = disk.volume.as_deref()",
        replace: "if true {\n                    continue;\n                }\n                let name = disk.volume.as_deref()",
        suite: Suite::Scheduler,
        caught_by: &[
            "s1_snapshot_case_34_a_disk_that_no_snapshot_reaches_is_named",
            "s1_snapshot_case_35_a_tablespace_elsewhere_is_not_whole",
            "s1_snapshot_case_36_wal_on_a_volume_of_its_own_is_a_member_or_the_set_is_not_whole",
        ],
    },
    Mutation {
        name: "tablespace-elsewhere-is-passed-over",
        breaks: "A tablespace under which no disk is known is left out without a word.",
        file: SURVEY,
        find: "if disks.peek().is_none() {",
        replace: "if false {",
        suite: Suite::Scheduler,
        caught_by: &["s1_snapshot_case_35_a_tablespace_elsewhere_is_not_whole"],
    },
    Mutation {
        name: "boot-volume-is-left-out",
        breaks: "The volume that the machine starts from is left out even where data lies on it.",
        file: SURVEY,
        find: "others.iter().any(|disk| disk.boot)",
        replace: "true",
        suite: Suite::Scheduler,
        caught_by: &["s1_data_on_the_volume_that_the_machine_starts_from_takes_that_too"],
    },
    Mutation {
        name: "old-answer-is-believed",
        breaks: "A node is taken from by what it said hours ago, with the volumes of then.",
        file: TAKE,
        find: "if now.duration_since(asked.at) >= STALE {",
        replace: "if false {",
        suite: Suite::Scheduler,
        caught_by: &["s1_s2_an_old_answer_is_not_taken_for_a_new_one"],
    },
];
