//! What the state of a peering allows.

use super::Mutation;
use crate::suite::Suite;

const PEERINGS: &str = "functions/peering-watcher/src/plan/peerings.rs";
const PLAN: &str = "functions/peering-watcher/src/plan/mod.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "provisioning-is-active",
        breaks: "A peering that is still being set up counts as active.",
        file: PEERINGS,
        find: "PeeringState::Active => {",
        replace: "PeeringState::Active | PeeringState::Provisioning => {",
        suite: Suite::Planner,
        caught_by: &["w1_no_state_but_active_lets_anything_be_made"],
    },
    Mutation {
        name: "one-empty-answer-is-the-end",
        breaks: "One answer without the connection ends it, as for one that was made a moment ago.",
        file: PEERINGS,
        find: ">= NOT_FOUND_COUNTS_AFTER {",
        replace: ">= SignedDuration::ZERO {",
        suite: Suite::Planner,
        caught_by: &[
            "w9_watcher_case_not_found_counts_only_after_five_minutes_of_it",
            "botocore_781_a_new_peering_that_is_not_seen_yet_is_gone",
        ],
    },
    Mutation {
        name: "an-error-is-not-found",
        breaks: "A peering that could not be read counts as one that is not there.",
        file: PEERINGS,
        find: "Seen::Absent => absent(id, before, now),",
        replace: "Seen::Absent | Seen::Unknown(_) => absent(id, before, now),",
        suite: Suite::Planner,
        caught_by: &[
            "w9_an_error_proves_nothing_and_one_empty_answer_after_a_long_silence_neither",
            "w2_a_peering_that_cannot_be_read_changes_nothing_and_says_so",
        ],
    },
    Mutation {
        name: "accepted-by-anybody",
        breaks: "Only the account is compared: a connection with another VPC of it is served.",
        file: PEERINGS,
        find: "&& side.vpc.as_deref() == Some(spec.peer_vpc.as_str())",
        replace: "",
        suite: Suite::Planner,
        caught_by: &[
            "watcher_case_accepted_by_another_vpc_or_account_than_asked",
            "w1_a_target_goes_when_the_connection_turns_out_to_be_with_somebody_else",
        ],
    },
    Mutation {
        name: "half-an-answer-is-somebody-else",
        breaks: "An answer that does not name both sides is read as a connection with somebody else.",
        file: PEERINGS,
        find: "} else if complete(&peering.accepter) && complete(&peering.requester) {",
        replace: "} else if !complete(&PeeringVpc::default()) {",
        suite: Suite::Planner,
        caught_by: &["w2_an_incomplete_answer_is_no_answer"],
    },
    Mutation {
        name: "no-blocks-are-blocks",
        breaks: "An active peering whose blocks EC2 has not told yet is judged by none.",
        file: PEERINGS,
        find: "if peer.blocks.is_empty() || own.blocks.is_empty() {",
        replace: "if false {",
        suite: Suite::Planner,
        caught_by: &["w2_blocks_that_ec2_did_not_tell_take_nothing_away"],
    },
    Mutation {
        name: "a-request-waits-in-silence",
        breaks: "A request that nobody accepts is told of once, and not again before it expires.",
        file: PEERINGS,
        find: "_ if left <= LAST_DAY => Some(Reason::AcceptanceExpiring),",
        replace: "",
        suite: Suite::Planner,
        caught_by: &["watcher_case_pending_acceptance_is_recalled_after_one_day_and_on_the_last"],
    },
    Mutation {
        name: "an-end-is-overlooked",
        breaks: "A peering that was deleted keeps its targets.",
        file: PLAN,
        find: "Allows::Ended => Some(Grounds::PeeringEnded),",
        replace: "Allows::Ended => None,",
        suite: Suite::Planner,
        caught_by: &[
            "watcher_case_deleted_by_customer_deregisters_at_once_and_drops_routes",
            "springtail_never_sees_the_peering_end",
        ],
    },
    Mutation {
        name: "any-silence-is-an-end",
        breaks: "A target over a connection that allows nothing just now goes.",
        file: PLAN,
        find: "Allows::Nothing => None,",
        replace: "Allows::Nothing => Some(Grounds::NotAdmitted),",
        suite: Suite::Planner,
        caught_by: &["w2_a_writer_over_an_unreadable_peering_is_not_switched_by_one_answer"],
    },
    Mutation {
        name: "blocks-count-at-once",
        breaks: "An answer about the peer's blocks takes targets and routes away, though a late one may say the same.",
        file: PEERINGS,
        find: "since.is_none_or(|since| now.duration_since(since) >= BLOCKS_COUNT_AFTER)",
        replace: "since.is_none_or(|since| now >= since)",
        suite: Suite::Planner,
        caught_by: &[
            "w2_a_late_answer_about_the_peers_blocks_takes_nothing_away",
            "w1_watcher_case_secondary_cidr_removed_takes_its_target_away",
        ],
    },
    Mutation {
        name: "unread-and-unwanted",
        breaks: "While the new peering cannot be read, what came over the old one is told to be unwanted.",
        file: PLAN,
        find: "verdicts.iter().any(Verdict::is_open) }",
        replace: "false }",
        suite: Suite::Planner,
        caught_by: &["while_the_new_peering_cannot_be_read_nothing_is_said_against_what_serves"],
    },
];
