//! What an answer of DNS means.

use super::Mutation;
use crate::suite::Suite;

const DESIRED: &str = "functions/peering-watcher/src/plan/desired.rs";
const PEERINGS: &str = "functions/peering-watcher/src/plan/peerings.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "one-answer-switches",
        breaks: "A writer is switched on one answer, a stale resolver's or a split brain's.",
        file: DESIRED,
        find: "let twice = memory.candidate",
        replace: "let twice = true || memory.candidate",
        suite: Suite::Planner,
        caught_by: &[
            "watcher_case_answers_alternate_and_the_writer_stays",
            "springtail_registers_both_of_two_rotating_records",
        ],
    },
    Mutation {
        name: "the-same-answer-counts-twice",
        breaks: "A second answer counts although a resolver may have repeated the first from its cache.",
        file: DESIRED,
        find: "c.address == new && times.asked > c.counts_from",
        replace: "c.address == new",
        suite: Suite::Planner,
        caught_by: &["the_second_answer_counts_only_when_it_was_asked_after_the_first_ones_ttl"],
    },
    Mutation {
        name: "a-failure-is-no-address",
        breaks: "A name that fails leaves nothing wanted.",
        file: DESIRED,
        find: "Word::Nothing => still_good,",
        replace: "Word::Nothing => Vec::new(),",
        suite: Suite::Planner,
        caught_by: &["w2_watcher_case_no_failure_of_the_name_ever_takes_a_target_away"],
    },
    Mutation {
        name: "flapping-is-followed",
        breaks: "The writer moves as often as the name does.",
        file: DESIRED,
        find: "if flapping && !flapping_acknowledged {",
        replace: "if false {",
        suite: Suite::Planner,
        caught_by: &["watcher_case_the_fourth_switch_within_ten_minutes_is_held"],
    },
    Mutation {
        name: "good-over-another-connection",
        breaks: "The last good address counts under a connection that never admitted it.",
        file: DESIRED,
        find: ".filter(|u| u.connection == good.connection)",
        replace: ".filter(|_| true)",
        suite: Suite::Planner,
        caught_by: &["w1_the_last_good_address_does_not_carry_over_to_another_connection"],
    },
    Mutation {
        name: "several-writers",
        breaks: "A writer's name that answers two addresses registers both.",
        file: DESIRED,
        find: "if endpoint.role == Role::Writer && answers > 1 {",
        replace: "if false {",
        suite: Suite::Planner,
        caught_by: &["watcher_case_several_a_records_for_a_writer_change_nothing"],
    },
    Mutation {
        name: "one-miss-removes",
        breaks: "A member that one answer lacked goes at once.",
        file: DESIRED,
        find: "memory.missing.insert(c.address.ip(), counts_from);",
        replace: "return false;",
        suite: Suite::Planner,
        caught_by: &["an_address_that_comes_back_in_between_stays", "crossaccount_sample_removes_after_one_lookup"],
    },
    Mutation {
        name: "our-own-dns-option",
        breaks: "The DNS option of our own side is read for the peer's.",
        file: PEERINGS,
        find: "peer_resolves: peer.resolves_for_other,",
        replace: "peer_resolves: own.resolves_for_other,",
        suite: Suite::Planner,
        caught_by: &["watcher_case_public_ip_names_the_peers_dns_option_where_that_is_the_cause"],
    },
    Mutation {
        name: "a-pin-never-ends",
        breaks: "A pin holds beyond its time.",
        file: DESIRED,
        find: ".filter(|pin| now < pin.until)",
        replace: ".filter(|_| true)",
        suite: Suite::Planner,
        caught_by: &["a_pin_replaces_the_name_at_once_and_until_it_runs_out"],
    },
];
