//! What holds back: pauses, the fleet brake, the budget of calls.

use super::Mutation;
use crate::suite::Suite;

const PLAN: &str = "functions/peering-watcher/src/plan/mod.rs";
const HOLD: &str = "functions/peering-watcher/src/plan/hold.rs";
const BRAKE: &str = "shared/runtime/src/brake.rs";
const PULSE: &str = "shared/runtime/src/pulse.rs";
const BUDGET: &str = "functions/peering-watcher/src/budget.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "a-pause-holds-nothing",
        breaks: "A pause is not looked at.",
        file: PLAN,
        find: "match view.held.or(",
        replace: "match None.or(",
        suite: Suite::Planner,
        caught_by: &["a_pause_holds_every_action_and_leaves_no_intent"],
    },
    Mutation {
        name: "the-brake-holds-nothing",
        breaks: "The fleet brake is not looked at.",
        file: PLAN,
        find: "braked.then_some(Reason::FleetBrake)",
        replace: "None",
        suite: Suite::Planner,
        caught_by: &["f1_the_fleet_brake_holds_what_would_empty_a_target_group"],
    },
    Mutation {
        name: "a-held-intent-stays",
        breaks: "What a pause held back stays on record as if it had been decided.",
        file: HOLD,
        find: "memory.owned.retain(|o| o.target != *target);",
        replace: "",
        suite: Suite::Planner,
        caught_by: &["a_pause_holds_every_action_and_leaves_no_intent"],
    },
    Mutation {
        name: "a-held-target-loses-its-route",
        breaks: "The brake keeps the target, and the route under it goes.",
        file: HOLD,
        find: "over_it.any(|o| o.phase != Phase::Leaving || is_held(o.target))",
        replace: "over_it.any(|_| false)",
        suite: Suite::Planner,
        caught_by: &["f1_the_brake_keeps_the_route_while_the_target_group_was_not_read"],
    },
    Mutation {
        name: "half-the-fleet",
        breaks: "The fleet brake lets half of the fleet go within ten minutes.",
        file: BRAKE,
        find: "(fleet / 20).max(3)",
        replace: "(fleet / 2).max(3)",
        suite: Suite::Runtime,
        caught_by: &["f1_three_clusters_or_one_in_twenty_within_ten_minutes"],
    },
    Mutation {
        name: "an-unreadable-brake-goes",
        breaks: "A brake record that cannot be read holds nothing.",
        file: BRAKE,
        find: "if self.unreadable || others.len()",
        replace: "if others.len()",
        suite: Suite::Runtime,
        caught_by: &["f1_a_record_that_cannot_be_read_holds"],
    },
    Mutation {
        name: "the-deadline-is-ignored",
        breaks: "A pass starts that cannot end before the deadline.",
        file: PULSE,
        find: "next < last && next <= latest",
        replace: "next < last",
        suite: Suite::Runtime,
        caught_by: &["w7_no_pass_starts_that_could_not_end_before_the_deadline"],
    },
    Mutation {
        name: "ten-times-the-refill",
        breaks: "Reads of the load balancer go ten times above what AWS documents.",
        file: BUDGET,
        find: "Bucket::new(READS, 10.0)",
        replace: "Bucket::new(400.0, 100.0)",
        suite: Suite::Watcher,
        caught_by: &["watcher_case_three_thousand_customers_stay_below_the_documented_refill"],
    },
];
