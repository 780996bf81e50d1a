//! The safety gate. The planner's own mistakes are not needed for it: forged plans are put to it.

use super::Mutation;
use crate::suite::Suite;

const CHECK: &str = "functions/peering-watcher/src/check.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "gate-any-state",
        breaks: "The gate lets a registration over any connection that was read through.",
        file: CHECK,
        find: "p.state == PeeringState::Active);",
        replace: "matches!(p.state, _));",
        suite: Suite::Planner,
        caught_by: &[
            "w1_a_registration_over_a_connection_that_is_not_active_is_stopped",
            "w1_a_route_to_a_connection_that_is_not_active_is_stopped",
        ],
    },
    Mutation {
        name: "gate-not-admitted",
        breaks: "The gate does not ask whether the address was admitted in this pass.",
        file: CHECK,
        find: "if !plan.admitted.contains(&(connection.clone(), *target)) {",
        replace: "if false {",
        suite: Suite::Planner,
        caught_by: &["w1_a_registration_of_what_was_not_admitted_in_this_pass_is_stopped"],
    },
    Mutation {
        name: "gate-any-block",
        breaks: "The gate does not look at the blocks of the two sides.",
        file: CHECK,
        find: "if !inside {",
        replace: "if false {",
        suite: Suite::Planner,
        caught_by: &["w1_a_registration_outside_the_peers_blocks_or_inside_ours_is_stopped"],
    },
    Mutation {
        name: "gate-no-record",
        breaks: "The gate lets a registration without a record through: a lost reply would leave it behind.",
        file: CHECK,
        find: "if !on_record {",
        replace: "if false {",
        suite: Suite::Planner,
        caught_by: &["w3_a_registration_without_a_record_is_stopped"],
    },
    Mutation {
        name: "gate-foreign",
        breaks: "The gate lets a deregistration of a foreign target through.",
        file: CHECK,
        find: "if owned.is_none() && !handed_over {",
        replace: "if false {",
        suite: Suite::Planner,
        caught_by: &["w6_a_deregistration_of_what_is_not_on_our_record_is_stopped"],
    },
    Mutation {
        name: "gate-nothing-healthy-left",
        breaks: "The gate lets the last that serves go.",
        file: CHECK,
        find: "(!serving && !dead)",
        replace: "(!serving && !dead && listed.is_empty())",
        suite: Suite::Planner,
        caught_by: &["w8_a_replacement_that_leaves_nothing_healthy_is_stopped"],
    },
    Mutation {
        name: "gate-end-not-read",
        breaks: "The gate believes an end that nobody read.",
        file: CHECK,
        find: "(!terminal).then(",
        replace: "(!terminal && connection.is_empty()).then(",
        suite: Suite::Planner,
        caught_by: &["w9_an_end_that_was_not_read_is_stopped"],
    },
    Mutation {
        name: "gate-missed-once",
        breaks: "The gate takes one answer without the connection for its end.",
        file: CHECK,
        find: "(!absent || !missed_before).then(",
        replace: "(!absent).then(",
        suite: Suite::Planner,
        caught_by: &["w9_a_connection_that_was_never_missed_before_is_not_given_up"],
    },
    Mutation {
        name: "gate-anybodys-route",
        breaks: "The gate lets a route that is not ours be removed.",
        file: CHECK,
        find: "(!ours || !there || claimed).then(",
        replace: "(!there || claimed).then(",
        suite: Suite::Planner,
        caught_by: &["w6_a_route_that_is_not_ours_not_there_or_another_clusters_is_stopped"],
    },
    Mutation {
        name: "gate-another-clusters-route",
        breaks: "The gate lets a route go that another cluster needs.",
        file: CHECK,
        find: "(!ours || !there || claimed).then(",
        replace: "(!ours || !there).then(",
        suite: Suite::Planner,
        caught_by: &["w6_a_route_that_is_not_ours_not_there_or_another_clusters_is_stopped"],
    },
];
