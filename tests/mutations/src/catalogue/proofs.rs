//! What a probe proves, and what may follow from it.

use super::Mutation;
use crate::suite::Suite;

const DESIRED: &str = "functions/peering-watcher/src/plan/desired.rs";
const PROOF: &str = "functions/peering-watcher/src/plan/proof.rs";
const TARGETS: &str = "functions/peering-watcher/src/plan/targets.rs";
const GATE: &str = "functions/peering-watcher/src/check.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "a-standby-is-a-writer",
        breaks: "A server in recovery counts as the writer.",
        file: PROOF,
        find: "Some(server) if server.in_recovery => Proof::Standby",
        replace: "Some(server) if server.in_recovery => Proof::Writer",
        suite: Suite::Planner,
        caught_by: &["watcher_case_a_readers_name_is_refused_by_its_role"],
    },
    Mutation {
        name: "silence-is-death",
        breaks: "A time-out, which can be the gateway's own network, proves the old writer dead.",
        file: PROOF,
        find: "trouble.reason == Reason::ConnectionRefused => Proof::Dead",
        replace: "trouble.reason != Reason::GatewayFailed => Proof::Dead",
        suite: Suite::Planner,
        caught_by: &["w8_an_old_writer_of_which_nothing_is_proven_waits_for_the_new_ones_health"],
    },
    Mutation {
        name: "probe-before-admission",
        breaks: "An address is probed that was not admitted: the customer's DNS points our gateway at anything.",
        file: PROOF,
        find: "admit_over(IpAddr::V4(target.address), usable).is_ok()",
        replace: "admit_over(IpAddr::V4(target.address), usable).is_ok() || true",
        suite: Suite::Planner,
        caught_by: &["w1_nothing_is_sent_to_an_address_that_is_not_admitted"],
    },
    Mutation {
        name: "proof-waits-for-dns",
        breaks: "A proven writer waits for a second answer of the name, for as long as the TTL says.",
        file: DESIRED,
        find: "Proof::Writer => Word::Proven(one.clone()),",
        replace: "Proof::Writer => Word::Answer(admitted, ttl),",
        suite: Suite::Planner,
        caught_by: &["w8_a_proven_writer_is_switched_to_at_once_and_the_proven_standby_goes"],
    },
    Mutation {
        name: "first-of-two-writers",
        breaks: "Of two servers that both take writes the first is taken: a split brain is joined.",
        file: DESIRED,
        find: "(Some(writer), None) =>",
        replace: "(Some(writer), _) =>",
        suite: Suite::Planner,
        caught_by: &["watcher_case_several_a_records_and_no_writer_or_many_change_nothing"],
    },
    Mutation {
        name: "any-old-one-is-superseded",
        breaks: "The old writer goes as soon as the new one is proven, whatever is known of the old one.",
        file: TARGETS,
        find: "&& matches!((wanted.proof)(old), Proof::Standby | Proof::Dead)",
        replace: "",
        suite: Suite::Planner,
        caught_by: &[
            "w8_an_old_writer_of_which_nothing_is_proven_waits_for_the_new_ones_health",
            "w8_what_was_superseded_is_proven_to_be_no_writer_by_one_that_is_registered_and_is",
        ],
    },
    Mutation {
        name: "an-unreachable-writer-takes-over",
        breaks: "A proven writer that the load balancer cannot reach takes over, and nobody is served.",
        file: TARGETS,
        find: "Some(Health::Initial | Health::Healthy | Health::Unavailable)",
        replace: "Some(_)",
        suite: Suite::Planner,
        caught_by: &["w8_a_proven_writer_that_the_load_balancer_cannot_reach_takes_over_nothing"],
    },
    Mutation {
        name: "gate-believes-a-takeover",
        breaks: "The gate lets the old writer go without a proven one in its place.",
        file: GATE,
        find: "if !listed.iter().any(|t| takes_over(&t)) {",
        replace: "if false {",
        suite: Suite::Planner,
        caught_by: &["w8_a_removal_by_proof_needs_a_proven_writer_that_is_registered"],
    },
];
