//! Which node is taken from, and which is frozen (S2).

use crate::catalogue::Mutation;
use crate::suite::Suite;

const SURVEY: &str = "functions/snapshot-scheduler/src/survey.rs";
const TAKE: &str = "functions/snapshot-scheduler/src/plan/take.rs";
const CHOOSE: &str = "functions/snapshot-scheduler/src/plan/choose.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "synchronous-standby-is-frozen",
        breaks: "A standby that commits wait for is frozen.",
        file: SURVEY,
        find: "if synchronous {",
        replace: "if false {",
        suite: Suite::Scheduler,
        caught_by: &["s2_what_is_never_frozen"],
    },
    Mutation {
        name: "promoted-node-is-frozen",
        breaks: "A node that was promoted since it was chosen is frozen.",
        file: SURVEY,
        find: "(leads || layout.leads)",
        replace: "leads",
        suite: Suite::Scheduler,
        caught_by: &["s2_the_plan_freezes_what_may_be_and_takes_the_rest_as_it_is", "s2_what_is_never_frozen"],
    },
    Mutation {
        name: "leader-is-frozen",
        breaks: "The leader is frozen where the spec does not allow it.",
        file: SURVEY,
        find: "&& !spec.allow_leader",
        replace: "&& false",
        suite: Suite::Scheduler,
        caught_by: &["s2_the_plan_freezes_what_may_be_and_takes_the_rest_as_it_is", "s2_what_is_never_frozen"],
    },
    Mutation {
        name: "etcd-is-frozen",
        breaks: "A mount that holds etcd's or Patroni's state is frozen.",
        file: SURVEY,
        find: "find(|(mount, _)| given",
        replace: "find(|(mount, _)| false && given",
        suite: Suite::Scheduler,
        caught_by: &["s2_the_plan_freezes_what_may_be_and_takes_the_rest_as_it_is", "s2_what_is_never_frozen"],
    },
    Mutation {
        name: "late-answer-freezes",
        breaks: "A node whose answer came late is frozen: it may lead by now.",
        file: TAKE,
        find: "> STANDING =>",
        replace: "> STANDING && false =>",
        suite: Suite::Scheduler,
        caught_by: &["s2_an_answer_that_comes_late_freezes_nothing"],
    },
    Mutation {
        name: "early-thaw-counts-as-frozen",
        breaks: "A set counts as frozen throughout though a mount had thawed before the call returned.",
        file: SURVEY,
        find: "\"still\", ..]",
        replace: "\"still\" | \"early\", ..]",
        suite: Suite::Scheduler,
        caught_by: &["snapshot_case_7_the_grade_is_what_the_node_says_after_the_call"],
    },
    Mutation {
        name: "silent-mount-counts-as-frozen",
        breaks: "A set counts as frozen throughout though the node did not say so of every mount.",
        file: SURVEY,
        find: "|mount| !still.contains(*mount)",
        replace: "|_| false",
        suite: Suite::Scheduler,
        caught_by: &["snapshot_case_7_the_grade_is_what_the_node_says_after_the_call"],
    },
    Mutation {
        name: "node-on-its-way-out-is-taken-from",
        breaks: "A restore point is taken from a node that is being made or is on its way out.",
        file: CHOOSE,
        find: "|instance| instance.state == LifecycleState::InService",
        replace: "|_| true",
        suite: Suite::Scheduler,
        caught_by: &["only_a_node_in_service_is_taken_from"],
    },
    Mutation {
        name: "old-leader-leads",
        breaks: "A leader that has been cut off is taken for the leader.",
        file: CHOOSE,
        find: "postgres.leads && !postgres.cut_off",
        replace: "postgres.leads",
        suite: Suite::Scheduler,
        caught_by: &["a_leader_that_is_cut_off_is_none"],
    },
    Mutation {
        name: "one-of-two-leaders-leads",
        breaks: "Of two nodes that say that they lead, one is believed.",
        file: CHOOSE,
        find: "[leader] => *leader",
        replace: "[leader, ..] => *leader",
        suite: Suite::Scheduler,
        caught_by: &["two_leaders_are_none"],
    },
    Mutation {
        name: "synchronous-standby-comes-first",
        breaks: "A standby that commits wait for is taken from although another follows.",
        file: CHOOSE,
        find: "(a.0, a.1, &a.2.instance).cmp(&(b.0, b.1,",
        replace: "(a.1, &a.2.instance).cmp(&(b.1,",
        suite: Suite::Scheduler,
        caught_by: &["the_node_is_the_standby_that_follows_best"],
    },
    Mutation {
        name: "another-timeline-is-taken-from",
        breaks: "A restore point is taken from a standby that is on another timeline than the leader.",
        file: CHOOSE,
        find: "&& postgres.timeline == leader.timeline",
        replace: "",
        suite: Suite::Scheduler,
        caught_by: &["the_node_is_the_standby_that_follows_best"],
    },
];
