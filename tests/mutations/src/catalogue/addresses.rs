//! Which addresses are admitted.

use super::Mutation;
use crate::suite::Suite;

const ADDRESS: &str = "shared/domain/src/address.rs";
const ADMISSION: &str = "functions/peering-watcher/src/admission.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "own-vpc-admitted",
        breaks: "An address inside our own VPC is admitted, so that a customer's name leads our load balancer to our own hosts.",
        file: ADDRESS,
        find: "if let Some(block) = inside(bounds.own_blocks) {",
        replace: "if let Some(block) = inside(bounds.own_blocks).filter(|_| false) {",
        suite: Suite::Planner,
        caught_by: &[
            "w1_an_address_is_admitted_if_and_only_if_a_second_opinion_says_so",
            "watcher_case_cidr_overlap_with_our_vpc_admits_nothing_of_the_overlap",
        ],
    },
    Mutation {
        name: "any-private-address-admitted",
        breaks: "An address outside the peer's blocks is admitted as long as it is private.",
        file: ADDRESS,
        find: "if inside(bounds.peer_blocks).is_none() {",
        replace: "if false {",
        suite: Suite::Planner,
        caught_by: &[
            "w1_an_address_is_admitted_if_and_only_if_a_second_opinion_says_so",
            "w1_w6_what_a_pass_registers_and_routes_is_what_a_second_opinion_admits",
        ],
    },
    Mutation {
        name: "allowed-cidrs-ignored",
        breaks: "The spec's `allowed_cidrs` are not looked at.",
        file: ADDRESS,
        find: "if inside(bounds.allowed).is_none() {",
        replace: "if false {",
        suite: Suite::Planner,
        caught_by: &[
            "w1_an_address_is_admitted_if_and_only_if_a_second_opinion_says_so",
            "w1_an_address_of_the_peer_outside_allowed_cidrs_is_refused",
        ],
    },
    Mutation {
        name: "unread-blocks-permit",
        breaks: "Our own blocks were not read, and that is taken for: nothing is ours.",
        file: ADDRESS,
        find: "if bounds.own_blocks.is_empty() {",
        replace: "if false {",
        suite: Suite::Planner,
        caught_by: &["w1_an_address_is_admitted_if_and_only_if_a_second_opinion_says_so"],
    },
    Mutation {
        name: "link-local-admitted",
        breaks: "The address of the instance metadata service counts as one that a target may have.",
        file: ADDRESS,
        find: "if address.is_link_local() {",
        replace: "if false {",
        suite: Suite::Domain,
        caught_by: &["w1_the_kind_of_an_address_is_judged_whatever_the_blocks_say"],
    },
    Mutation {
        name: "second-connection-overrules-our-vpc",
        breaks: "With two connections, an address of our own VPC is admitted over the second one.",
        file: ADMISSION,
        find: "Err(refusal @ Refusal::InsideOwnVpc { .. }) => return Err(refusal),",
        replace: "Err(refusal @ Refusal::InsideOwnVpc { .. }) => refused = Some(refusal),",
        suite: Suite::Planner,
        caught_by: &["w1_over_several_connections_one_must_admit_and_none_must_be_our_own"],
    },
];
