//! Routes.

use super::Mutation;
use crate::suite::Suite;

const ROUTES: &str = "functions/peering-watcher/src/plan/routes.rs";
const PLAN: &str = "functions/peering-watcher/src/plan/mod.rs";
const ADDRESS: &str = "shared/domain/src/address.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "anybodys-route-is-replaced",
        breaks: "A route of somebody else is pointed to our connection.",
        file: ROUTES,
        find: ".is_some_and(|m| m.leads_to(to)) =>",
        replace: ".is_none_or(|m| m.leads_to(to)) =>",
        suite: Suite::Planner,
        caught_by: &["w6_a_route_that_is_not_ours_is_left_alone_and_named"],
    },
    Mutation {
        name: "a-shared-route-is-removed",
        breaks: "A cluster that leaves takes the route of another along.",
        file: ROUTES,
        find: "if others.claim(&route) || others.takes_over(&route) {",
        replace: "if false {",
        suite: Suite::Planner,
        caught_by: &["w6_whoever_leaves_a_shared_route_first_leaves_it_and_the_last_removes_it"],
    },
    Mutation {
        name: "overlaps-are-ignored",
        breaks: "A route is made although a narrower one of somebody else would take its packets.",
        file: ROUTES,
        find: ".find(|route| !ours(route))",
        replace: ".find(|_| false)",
        suite: Suite::Planner,
        caught_by: &["w6_a_route_that_is_not_ours_is_left_alone_and_named"],
    },
    Mutation {
        name: "routes-go-on-silence",
        breaks: "A route goes while its connection cannot be judged.",
        file: ROUTES,
        find: "if is_wanted(m) || may_still_be_wanted(m) {",
        replace: "if is_wanted(m) {",
        suite: Suite::Planner,
        caught_by: &["w9_a_route_stays_while_its_connection_cannot_be_judged"],
    },
    Mutation {
        name: "blocks-that-are-not-allowed-are-routed",
        breaks: "A block of the peer that `allowed_cidrs` does not hold whole gets a route.",
        file: ADDRESS,
        find: "allowed.iter().any(|allowed| allowed.contains(*block))",
        replace: "!allowed.is_empty()",
        suite: Suite::Planner,
        caught_by: &[
            "a_block_that_is_not_allowed_whole_gets_no_route_and_says_so",
            "w1_w6_what_a_pass_registers_and_routes_is_what_a_second_opinion_admits",
        ],
    },
    Mutation {
        name: "a-lost-block-loses-its-route-at-once",
        breaks: "The route of a block goes with the first answer that lacks it, from under the targets that stay.",
        file: ROUTES,
        find: "over.is_some_and(|v| lacks(v) && !v.blocks_are_steady(now))",
        replace: "false",
        suite: Suite::Planner,
        caught_by: &[
            "watcher_case_secondary_cidr_added_and_removed_after_acceptance",
            "w1_watcher_case_secondary_cidr_removed_takes_its_target_away",
        ],
    },
    Mutation {
        name: "a-late-answer-forgets-our-old-route",
        breaks: "A table read from before our route was in it makes that route somebody else's.",
        file: ROUTES,
        find: "_ => (m.connection != *connection).then(|| m.connection.clone()),",
        replace: "_ => None,",
        suite: Suite::Planner,
        caught_by: &["a_late_answer_without_our_old_route_does_not_make_it_somebody_elses"],
    },
    Mutation {
        name: "a-refused-route-keeps-a-rebuilt-state-from-being-believed",
        breaks: "A replacement of a route that is refused in every pass keeps passes from ever agreeing.",
        file: PLAN,
        find: "m.connection == *connection && !m.confirmed)",
        replace: "m.connection == *connection && m.previous.is_none() && !m.confirmed)",
        suite: Suite::Planner,
        caught_by: &["a_route_that_is_refused_in_every_pass_keeps_no_rebuilt_state_from_being_believed"],
    },
];
