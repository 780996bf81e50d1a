//! The safety gate. Forged actions are put to it: nothing of the plan's is believed.

use crate::catalogue::Mutation;
use crate::suite::Suite;

const CHECK: &str = "functions/asg-lifecycle/src/check.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "gate-ends-who-holds-the-lock",
        breaks: "The gate lets a node go that holds the leader's lock.",
        file: CHECK,
        find: "|m| holds(m.part) && m",
        replace: "|m| false && holds(m.part) && m",
        suite: Suite::Lifecycle,
        caught_by: &["l1_who_leads_serves_or_votes_is_ended_by_no_answer"],
    },
    Mutation {
        name: "gate-ends-who-serves",
        breaks: "The gate lets a node go that serves in a target group.",
        file: CHECK,
        find: "!matches!(health, Health::Draining)",
        replace: "!matches!(health, Health::Draining | Health::Healthy)",
        suite: Suite::Lifecycle,
        caught_by: &["l1_who_leads_serves_or_votes_is_ended_by_no_answer"],
    },
    Mutation {
        name: "gate-ends-who-votes",
        breaks: "The gate lets a voter of etcd go.",
        file: CHECK,
        find: "!m.learner && (m",
        replace: "m.learner && (m",
        suite: Suite::Lifecycle,
        caught_by: &["l1_who_leads_serves_or_votes_is_ended_by_no_answer"],
    },
    Mutation {
        name: "gate-ends-the-retained",
        breaks: "The gate lets a retained node be ended too early.",
        file: CHECK,
        find: "Action::EndRetained { instance } => ends(instance, grounds, seen),",
        replace: "Action::EndRetained { .. } => Ok(()),",
        suite: Suite::Lifecycle,
        caught_by: &["l1_who_leads_serves_or_votes_is_ended_by_no_answer"],
    },
    Mutation {
        name: "gate-no-quorum",
        breaks: "The gate lets a dead member be removed from etcd without a quorum.",
        file: CHECK,
        find: "alive >= quorum",
        replace: "true",
        suite: Suite::Lifecycle,
        caught_by: &["l2_a_voter_that_cannot_be_spared_is_not_removed"],
    },
    Mutation {
        name: "gate-candidate-behind",
        breaks: "The gate lets a standby lead that is behind.",
        file: CHECK,
        find: "if written.saturating_sub(replayed) <= grounds.nodes.max_lag_bytes => {}",
        replace: "=> { let _ = (written, replayed); }",
        suite: Suite::Lifecycle,
        caught_by: &["l3_who_may_lose_a_write_is_not_switched_to"],
    },
    Mutation {
        name: "gate-two-steps",
        breaks: "The gate lets two steps through that take something away.",
        file: CHECK,
        find: "Ok(()) if destructive > 1",
        replace: "Ok(()) if destructive > 9",
        suite: Suite::Lifecycle,
        caught_by: &["l4_one_step_at_a_time_takes_something_away"],
    },
    Mutation {
        name: "gate-second-cluster",
        breaks: "The gate lets a second cluster be made.",
        file: CHECK,
        find: "= &grounds.state.system {",
        replace: "= grounds.state.system.as_ref().filter(|_| false) {",
        suite: Suite::Lifecycle,
        caught_by: &["l9_a_second_cluster_is_not_made"],
    },
];
