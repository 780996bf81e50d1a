//! Which addresses are admitted, beside a second opinion that shares nothing with the first but the rule: numbers instead
//! of networks.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::address::{Bounds, admit, routable_blocks};
use ipnet::Ipv4Net;
use peering_watcher::admission::{Usable, admit_over};
use peering_watcher::observed::Seen;
use ports::PeeringState;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::for_all;
use crate::world::{GROUP, World, peering, side};

/// First and last address of what a load balancer takes from beyond its VPC.
const PRIVATE: [(u32, u32); 4] =
    [(0x0A00_0000, 0x0AFF_FFFF), (0xAC10_0000, 0xAC1F_FFFF), (0xC0A8_0000, 0xC0A8_FFFF), (0x6440_0000, 0x647F_FFFF)];

fn within(address: u32, block: &Ipv4Net) -> bool {
    let size = 1u64 << (32 - u32::from(block.prefix_len()));
    let first = u64::from(u32::from(block.addr())) / size * size;
    (first..first + size).contains(&u64::from(address))
}

fn private(address: u32) -> bool {
    PRIVATE.iter().any(|(first, last)| (*first..=*last).contains(&address))
}

/// The second opinion. What was not read is no permission.
fn ought_to_be_admitted(address: IpAddr, peer: &[Ipv4Net], allowed: &[Ipv4Net], own: &[Ipv4Net]) -> bool {
    let IpAddr::V4(address) = address else { return false };
    let address = u32::from(address);
    let inside = |blocks: &[Ipv4Net]| blocks.iter().any(|block| within(address, block));
    private(address) && inside(peer) && inside(allowed) && !own.is_empty() && !inside(own)
}

/// Blocks around few places, so that they meet, hold and border on each other: from everything down to one address.
fn block() -> impl Strategy<Value = Ipv4Net> {
    // Some more often than others: an address is admitted only where three lists meet.
    let places = select(vec![
        0x0A09_0000u32,
        0x0A09_0000,
        0x0A09_0000,
        0x0A09_0005,
        0x0A09_0005,
        0x0A08_FFFF,
        0x0A01_0203,
        0xAC10_0000,
        0xAC1F_FFFF,
        0xC0A8_0101,
        0x6440_0001,
        0x647F_FFFF,
        0x0808_0808,
        0x7F00_0001,
        0xA9FE_A9FE,
        0,
    ]);
    let lengths = select(vec![0u8, 1, 7, 8, 8, 8, 9, 10, 12, 12, 15, 16, 16, 16, 17, 24, 24, 28, 31, 32]);
    (places, lengths).prop_map(|(place, length)| Ipv4Net::new(Ipv4Addr::from(place), length).unwrap().trunc())
}

/// Blocks of our own side: mostly beside the peer's, so that something is left to admit.
fn own_blocks(least: usize) -> impl Strategy<Value = Vec<Ipv4Net>> {
    let beside = (select(vec![0x0A01_0203u32, 0x0A09_0005, 0x6440_0001]), 16u8..33);
    let beside = beside.prop_map(|(place, length)| Ipv4Net::new(Ipv4Addr::from(place), length).unwrap().trunc());
    vec(prop_oneof![4 => beside, 1 => block()], least..3)
}

fn blocks(least: usize) -> impl Strategy<Value = Vec<Ipv4Net>> {
    vec(block(), least..4)
}

/// A block as a spec may allow it: where a load balancer takes targets from, and no larger.
fn allowed_block() -> impl Strategy<Value = Ipv4Net> {
    let widest =
        select(vec![(0x0A09_0005u32, 8u8), (0x0A08_FFFF, 15), (0xAC1F_FFFF, 12), (0xC0A8_0101, 16), (0x647F_FFFF, 10)]);
    (widest, 0u8..25)
        .prop_map(|((place, least), more)| Ipv4Net::new(Ipv4Addr::from(place), (least + more).min(32)).unwrap().trunc())
}

/// An address at or next to the edge of one of the blocks, near one of the places, or anywhere.
fn address(around: Vec<Ipv4Net>) -> BoxedStrategy<IpAddr> {
    let v4 = |number: u32| IpAddr::V4(Ipv4Addr::from(number));
    let anywhere = any::<u32>().prop_map(v4);
    let at_home = (0x0A09_0000u32..0x0A09_0100).prop_map(v4);
    let v6 = any::<u128>().prop_map(|number| IpAddr::V6(Ipv6Addr::from(number)));
    let mapped = any::<u32>().prop_map(|number| IpAddr::V6(Ipv4Addr::from(number).to_ipv6_mapped()));
    if around.is_empty() {
        return prop_oneof![anywhere, at_home, v6, mapped].boxed();
    }
    let edge = (select(around), 0u8..4).prop_map(move |(block, which)| {
        let (first, last) = (u32::from(block.network()), u32::from(block.broadcast()));
        v4([first, last, first.wrapping_sub(1), last.wrapping_add(1)][usize::from(which)])
    });
    prop_oneof![6 => edge, 4 => at_home, 1 => anywhere, 1 => v6, 1 => mapped].boxed()
}

/// Counts what a property saw of each kind: one that holds because nothing was ever admitted would hold nothing.
#[derive(Default)]
struct Tally {
    admitted: Cell<u32>,
    refused: Cell<u32>,
}

impl Tally {
    fn count(&self, admitted: bool) {
        let of = if admitted { &self.admitted } else { &self.refused };
        of.set(of.get() + 1);
    }

    #[track_caller]
    fn saw_at_least(&self, of_each: u32) {
        let (admitted, refused) = (self.admitted.get(), self.refused.get());
        assert!(admitted >= of_each && refused >= of_each, "{admitted} admitted, {refused} refused: draw better cases");
    }
}

#[test]
fn w1_an_address_is_admitted_if_and_only_if_a_second_opinion_says_so() {
    let tally = Tally::default();
    let cases = (blocks(0), blocks(0), own_blocks(0)).prop_flat_map(|(peer, allowed, own)| {
        let around = peer.iter().chain(&allowed).chain(&own).copied().collect();
        (address(around), Just(peer), Just(allowed), Just(own))
    });
    for_all(6_000, cases, |(address, peer, allowed, own)| {
        let bounds = Bounds { peer_blocks: &peer, allowed: &allowed, own_blocks: &own };
        let admitted = admit(address, &bounds);
        prop_assert_eq!(admitted.is_ok(), ought_to_be_admitted(address, &peer, &allowed, &own), "{:?}", admitted);
        if let Ok(admitted) = admitted {
            prop_assert_eq!(IpAddr::V4(admitted.ip()), address);
        }
        tally.count(admitted.is_ok());
        Ok(())
    });
    tally.saw_at_least(200);
}

#[test]
fn w1_more_of_our_own_blocks_or_less_of_theirs_never_admits_more() {
    let tally = Tally::default();
    let cases = (blocks(1), blocks(1), own_blocks(1), block(), any::<prop::sample::Index>()).prop_flat_map(
        |(peer, allowed, own, more, less)| {
            let around = peer.iter().chain(&allowed).copied().collect();
            (address(around), Just((peer, allowed, own, more, less)))
        },
    );
    for_all(4_000, cases, |(address, (peer, allowed, own, more, less))| {
        let without = |of: &[Ipv4Net]| {
            let mut rest = of.to_vec();
            rest.remove(less.index(of.len()));
            rest
        };
        let at_first = admit(address, &Bounds { peer_blocks: &peer, allowed: &allowed, own_blocks: &own }).is_ok();
        let grown: Vec<Ipv4Net> = own.iter().copied().chain([more]).collect();
        let (fewer_peers, fewer_allowed) = (without(&peer), without(&allowed));
        for (peer_blocks, allowed, own_blocks) in
            [(&peer, &allowed, &grown), (&fewer_peers, &allowed, &own), (&peer, &fewer_allowed, &own)]
        {
            let narrower = admit(address, &Bounds { peer_blocks, allowed, own_blocks }).is_ok();
            prop_assert!(
                at_first || !narrower,
                "{address} is admitted by less: {peer_blocks:?} {allowed:?} {own_blocks:?}"
            );
        }
        tally.count(at_first);
        Ok(())
    });
    tally.saw_at_least(200);
}

#[test]
fn w1_over_several_connections_one_must_admit_and_none_must_be_our_own() {
    let tally = Tally::default();
    let connections = vec((blocks(1), blocks(1), own_blocks(1)), 0..4);
    let cases = connections.prop_flat_map(|connections| {
        let around = connections.iter().flat_map(|(peer, allowed, own)| peer.iter().chain(allowed).chain(own)).copied();
        (address(around.collect()), Just(connections))
    });
    for_all(6_000, cases, |(address, connections)| {
        let usable: Vec<Usable> = connections
            .iter()
            .enumerate()
            .map(|(n, (peer_blocks, allowed, own_blocks))| Usable {
                connection: format!("pcx-{n}"),
                peer_blocks: peer_blocks.clone(),
                allowed: allowed.clone(),
                own_blocks: own_blocks.clone(),
                own_vpc: "vpc-own".to_owned(),
                peer_resolves: Some(false),
            })
            .collect();
        let ours = usable.iter().flat_map(|u| &u.own_blocks).any(|own| match address {
            IpAddr::V4(address) => within(u32::from(address), own),
            IpAddr::V6(_) => false,
        });
        let over = usable
            .iter()
            .find(|u| ought_to_be_admitted(address, &u.peer_blocks, &u.allowed, &u.own_blocks))
            .filter(|_| !ours)
            .map(|u| u.connection.clone());
        let admitted = admit_over(address, &usable);
        prop_assert_eq!(admitted.as_ref().ok().map(|a| a.connection.clone()), over, "{:?}", admitted);
        tally.count(admitted.is_ok());
        Ok(())
    });
    tally.saw_at_least(200);
}

/// The whole planner: whatever a customer's name answers and whatever blocks the two sides have.
#[test]
fn w1_w6_what_a_pass_registers_and_routes_is_what_a_second_opinion_admits() {
    let tally = Tally::default();
    let cases = (blocks(1), btree_set(allowed_block(), 1..4).prop_map(Vec::from_iter), own_blocks(1)).prop_flat_map(
        |(peer, allowed, own)| {
            let around = peer.iter().chain(&allowed).chain(&own).copied().collect();
            (vec(address(around), 1..4), Just(peer), Just(allowed), Just(own))
        },
    );
    for_all(400, cases, |(answered, peer, allowed, own)| {
        let texts = |blocks: &[Ipv4Net]| blocks.iter().map(ToString::to_string).collect::<Vec<_>>();
        let answered: Vec<String> = answered.iter().map(ToString::to_string).collect();
        let mut world = World::any(&answered.iter().map(String::as_str).collect::<Vec<_>>());
        world.put(|primary| primary["peerings"][0]["allowed_cidrs"] = json!(texts(&allowed)));
        let mut connection = peering("pcx-1", PeeringState::Active, "vpc-peer", &[]);
        connection.accepter.blocks.clone_from(&peer);
        connection.requester =
            side("999900001111", "vpc-own", &texts(&own).iter().map(String::as_str).collect::<Vec<_>>());
        world.peerings.insert("pcx-1".to_owned(), Seen::Known(connection));
        let route = |block: &Ipv4Net| {
            allowed.iter().any(|a| within(block.network().into(), a) && within(block.broadcast().into(), a))
        };
        prop_assert_eq!(routable_blocks(&peer, &allowed).0, peer.iter().copied().filter(route).collect::<Vec<_>>());
        world.pass();
        let registered: Vec<String> = world.groups[GROUP].targets.keys().map(|t| t.address.to_string()).collect();
        let mut ought: Vec<Ipv4Addr> = answered
            .iter()
            .map(|text| text.parse::<IpAddr>().unwrap())
            .filter(|address| ought_to_be_admitted(*address, &peer, &allowed, &own))
            .filter_map(|address| if let IpAddr::V4(address) = address { Some(address) } else { None })
            .collect();
        ought.sort_unstable();
        ought.dedup();
        prop_assert_eq!(registered, ought.iter().map(ToString::to_string).collect::<Vec<_>>());
        tally.count(!ought.is_empty());
        Ok(())
    });
    tally.saw_at_least(40);
}
