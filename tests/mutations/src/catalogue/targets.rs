//! The diff of a target group.

use super::Mutation;
use crate::suite::Suite;

const TARGETS: &str = "functions/peering-watcher/src/plan/targets.rs";
const PLAN: &str = "functions/peering-watcher/src/plan/mod.rs";
const STATE: &str = "functions/peering-watcher/src/state.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "draining-is-registered",
        breaks: "A draining target counts as one that is there.",
        file: TARGETS,
        find: "listed.iter().filter(|t| t.health != Health::Draining)",
        replace: "listed.iter()",
        suite: Suite::Planner,
        caught_by: &[
            "draining_counts_as_registered",
            "w3_exactly_what_is_wanted_and_not_there_is_registered_once_and_on_record",
        ],
    },
    Mutation {
        name: "old-goes-before-new-is-healthy",
        breaks: "The old writer goes as soon as the new one is registered.",
        file: TARGETS,
        find: "Role::Writer => all_there && serving,",
        replace: "Role::Writer => all_there,",
        suite: Suite::Planner,
        caught_by: &[
            "w8_no_health_but_healthy_lets_the_old_writer_go",
            "w8_what_was_replaced_goes_only_while_something_wanted_serves",
            "deregister_before_register",
        ],
    },
    Mutation {
        name: "old-goes-before-new-is-there",
        breaks: "The old set goes as soon as one of the new is healthy, wherever the others are.",
        file: TARGETS,
        find: "let all_there = !healths.is_empty() && healths.iter().all(Option::is_some);",
        replace: "let all_there = !healths.is_empty();",
        suite: Suite::Planner,
        caught_by: &["w8_what_was_replaced_goes_only_while_something_wanted_serves"],
    },
    Mutation {
        name: "old-never-goes",
        breaks: "The old writer stays for good, as Springtail's does.",
        file: TARGETS,
        find: ".or_else(|| replaced(there.health).then_some(Grounds::Replaced))",
        replace: "",
        suite: Suite::Planner,
        caught_by: &[
            "springtail_never_deregisters_the_old_writer",
            "w3_passes_over_any_group_end_with_what_is_wanted_and_what_is_not_ours",
        ],
    },
    Mutation {
        name: "foreign-becomes-ours",
        breaks: "Whatever is found in the target group becomes ours, and goes.",
        file: TARGETS,
        find: "if !ours && wanted.handed_over.contains(&listed.target) {",
        replace: "if !ours {",
        suite: Suite::Planner,
        caught_by: &[
            "w6_watcher_case_someone_registers_a_foreign_target_by_hand",
            "w6_nothing_foreign_wanted_draining_or_absent_is_deregistered",
        ],
    },
    Mutation {
        name: "removal-on-a-rebuilt-record",
        breaks: "Something goes in the first pass after a loss of state.",
        file: TARGETS,
        find: "Some(grounds) if wanted.may_remove => {",
        replace: "Some(grounds) => {",
        suite: Suite::Planner,
        caught_by: &["w2_watcher_case_state_lost_removes_nothing_before_two_passes_agree"],
    },
    Mutation {
        name: "a-stale-list-is-believed",
        breaks: "What one list does not show is forgotten, and left behind as foreign.",
        file: TARGETS,
        find: "return now.duration_since(owned.since) < READS_LAG;",
        replace: "return false;",
        suite: Suite::Planner,
        caught_by: &["watcher_case_stale_read_after_own_write_forgets_nothing"],
    },
    Mutation {
        name: "room-with-the-living",
        breaks: "A full group makes room with a target that serves.",
        file: TARGETS,
        find: "find(o.target).is_some_and(|t| t.health == Health::Unhealthy))",
        replace: "find(o.target).is_some())",
        suite: Suite::Planner,
        caught_by: &[
            "watcher_case_too_many_targets_makes_room_only_with_what_is_ours_and_dead",
            "w2_room_is_made_only_with_what_is_ours_read_as_dead_and_not_wanted",
        ],
    },
    Mutation {
        name: "no-room-is-made",
        breaks: "A full group never changes again: the registration fails for what its failure keeps there.",
        file: TARGETS,
        find: "make_room: if wanted.may_remove { dead.clone() } else { Vec::new() },",
        replace: "make_room: Vec::new(),",
        suite: Suite::Planner,
        caught_by: &["full_group_deadlock_cloud_provider_1328"],
    },
    Mutation {
        name: "unjudged-goes",
        breaks: "A member over a peering that could not be read goes because another peering answers.",
        file: TARGETS,
        find: "if (wanted.unjudged)(owned) && (",
        replace: "if false && (",
        suite: Suite::Planner,
        caught_by: &[
            "w2_w9_grounds_are_those_of_the_targets_own_connection_and_none_where_it_cannot_be_judged",
            "w2_w9_a_member_over_an_unreadable_peering_stays_while_another_peering_answers",
        ],
    },
    Mutation {
        name: "emptied-is-not-said",
        breaks: "A group that is emptied is not called so, and the fleet brake does not count it.",
        file: TARGETS,
        find: "let leaves_empty = present.iter().all(",
        replace: "let leaves_empty = !present.iter().all(",
        suite: Suite::Planner,
        caught_by: &[
            "w8_registrations_come_first_and_an_emptied_group_is_called_so",
            "f1_the_fleet_brake_holds_what_would_empty_a_target_group",
        ],
    },
    Mutation {
        name: "deregistered-first",
        breaks: "Deregistrations are sent before registrations.",
        file: PLAN,
        find: ".chain(registers).chain(deregisters)",
        replace: ".chain(deregisters).chain(registers)",
        suite: Suite::Planner,
        caught_by: &["w2_what_comes_and_what_goes_in_one_pass_come_in_this_order"],
    },
    Mutation {
        name: "no-agreement-after-a-loss",
        breaks: "A rebuilt state removes at once.",
        file: STATE,
        find: "pub const AGREEING_PASSES: u8 = 2;",
        replace: "pub const AGREEING_PASSES: u8 = 0;",
        suite: Suite::Planner,
        caught_by: &["w2_watcher_case_state_lost_removes_nothing_before_two_passes_agree"],
    },
];
