//! etcd's members: L2.

use crate::catalogue::Mutation;
use crate::suite::Suite;

const QUORUM: &str = "functions/asg-lifecycle/src/plan/quorum.rs";
const HOLDS: &str = "functions/asg-lifecycle/src/plan/leave/gate.rs";
const DIGEST: &str = "functions/asg-lifecycle/src/plan/digest.rs";
const ETCD: &str = "functions/asg-lifecycle/src/plan/etcd.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "quorum-not-asked",
        breaks: "A node begins to leave though etcd cannot spare its vote.",
        file: HOLDS,
        find: "let Some(member) = node.etcd else",
        replace: "let Some(member) = node.etcd.filter(|_| false) else",
        suite: Suite::Lifecycle,
        caught_by: &["lifecycle_case_12_a_voter_that_etcd_cannot_spare_stays"],
    },
    Mutation {
        name: "one-voter-is-left",
        breaks: "Of three voters two go before one was replaced.",
        file: QUORUM,
        find: "others.len() >= least",
        replace: "!others.is_empty()",
        suite: Suite::Lifecycle,
        caught_by: &["lifecycle_case_14_of_two_the_standby_goes_and_the_leader_waits_its_turn"],
    },
    Mutation {
        name: "dead-without-a-quorum",
        breaks: "A dead member is removed though those who answer are no quorum.",
        file: QUORUM,
        find: "well >= quorum",
        replace: "true",
        suite: Suite::Lifecycle,
        caught_by: &["without_a_quorum_a_dead_member_stays_and_its_hook_waits_for_a_minute_at_most"],
    },
    Mutation {
        name: "members-not-on-record",
        breaks: "Whose member is whose is not kept: that of a machine without an address is never found.",
        file: DIGEST,
        find: "|member| of(member) == Some(id)",
        replace: "|_| false",
        suite: Suite::Lifecycle,
        caught_by: &["lifecycle_case_23_a_machine_that_is_gone_is_cleared_away_and_nobody_waits"],
    },
    Mutation {
        name: "an-address-is-inherited",
        breaks: "A node that was given a dead one's address is taken to own its member.",
        file: DIGEST,
        find: "of(member).is_none() && address",
        replace: "address",
        suite: Suite::Lifecycle,
        caught_by: &["a_dead_member_goes_before_a_new_one_comes"],
    },
    Mutation {
        name: "strangers-member-goes",
        breaks: "A member of which nothing is on record is removed without a person's word.",
        file: ETCD,
        find: "if context.acknowledged.contains(&word) {",
        replace: "if true {",
        suite: Suite::Lifecycle,
        caught_by: &["a_member_of_which_nothing_is_on_record_goes_by_a_persons_word_alone"],
    },
];
