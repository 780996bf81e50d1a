//! Which address may be a target (invariant W1).
//!
//! A customer's DNS answers with whatever it likes. An address is registered, or asked anything, only as an
//! [`AdmittedAddress`], which nothing but [`admit`] makes, from what was read about the peering in the same pass. It is not
//! stored as such: what comes back from a store is an address again and passes here anew.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;

/// What an address is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    /// The peer VPC's IPv4 blocks as read in this pass, `CidrBlock` and `CidrBlockSet` together.
    pub peer_blocks: &'a [Ipv4Net],
    /// The spec's `allowed_cidrs` for this peering.
    pub allowed: &'a [Ipv4Net],
    /// Our own VPC's IPv4 blocks as read in this pass.
    pub own_blocks: &'a [Ipv4Net],
}

/// An address that was admitted in this pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdmittedAddress(Ipv4Addr);

impl AdmittedAddress {
    /// The address itself.
    #[must_use]
    pub fn ip(self) -> Ipv4Addr {
        self.0
    }
}

impl fmt::Display for AdmittedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why an address is not admitted. Each message says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An IPv6 address, an IPv4-mapped one included: target groups here are IPv4 ones.
    #[error(
        "{address} is an IPv6 address and the target group takes IPv4: publish an A record with the private address"
    )]
    Ipv6 {
        /// The address that was answered.
        address: IpAddr,
    },
    /// 0.0.0.0/8, "this network": no host has it.
    #[error("{address} is in 0.0.0.0/8, which no host can have: correct the DNS record")]
    ThisNetwork {
        /// The address that was answered.
        address: Ipv4Addr,
    },
    /// 127.0.0.0/8.
    #[error("{address} is a loopback address: the DNS record must name the address that the primary has in its VPC")]
    Loopback {
        /// The address that was answered.
        address: Ipv4Addr,
    },
    /// 169.254.0.0/16, where the instance metadata service is.
    #[error("{address} is a link-local address: the DNS record must name the address that the primary has in its VPC")]
    LinkLocal {
        /// The address that was answered.
        address: Ipv4Addr,
    },
    /// 224.0.0.0/4.
    #[error("{address} is a multicast address: correct the DNS record")]
    Multicast {
        /// The address that was answered.
        address: Ipv4Addr,
    },
    /// 240.0.0.0/4, broadcast included.
    #[error("{address} is in 240.0.0.0/4, which is reserved: correct the DNS record")]
    Reserved {
        /// The address that was answered.
        address: Ipv4Addr,
    },
    /// Outside of what a Network Load Balancer takes as a target beyond its VPC.
    #[error(
        "{address} is a public address: enable DNS resolution on the accepter's side of the peering, or name the private \
         address (a load balancer takes targets in 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 and 100.64.0.0/10 only)"
    )]
    Public {
        /// The address that was answered.
        address: Ipv4Addr,
    },
    /// The blocks that the address is judged by are not known: what could not be read is never permission.
    #[error("{address} cannot be judged: the CIDR blocks of {whose} VPC were not read in this pass; it is tried again")]
    BlocksUnknown {
        /// The address that was answered.
        address: Ipv4Addr,
        /// Whose blocks are missing: `the peer's` or `our own`.
        whose: &'static str,
    },
    /// Inside our own VPC: a customer's name must not lead to our hosts.
    #[error("{address} is inside our own VPC ({block}): the DNS record must name the address in the peer's VPC")]
    InsideOwnVpc {
        /// The address that was answered.
        address: Ipv4Addr,
        /// The block of our VPC that holds it.
        block: Ipv4Net,
    },
    /// Not in the peer VPC.
    #[error("{address} is outside the peer VPC's CIDR blocks: the DNS record must name an address in the peered VPC")]
    OutsidePeerBlocks {
        /// The address that was answered.
        address: Ipv4Addr,
    },
    /// In the peer VPC, outside what the spec allows of it.
    #[error("{address} is outside `allowed_cidrs`: if it is right, add its block to the spec's peering")]
    OutsideAllowed {
        /// The address that was answered.
        address: Ipv4Addr,
    },
}

const fn block(a: u8, b: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, 0, 0), prefix)
}

const THIS_NETWORK: Ipv4Net = block(0, 0, 8);
const RESERVED: Ipv4Net = block(240, 0, 4);

/// The ranges from which a Network Load Balancer takes IP targets outside its own VPC ("Target groups for your Network Load
/// Balancers", target type `ip`: "You can't specify publicly routable IP addresses").
pub const TARGET_RANGES: [Ipv4Net; 4] = [block(10, 0, 8), block(172, 16, 12), block(192, 168, 16), block(100, 64, 10)];

/// Admits an address as a target, or says why not.
///
/// # Errors
/// The first [`Refusal`] that holds: by the kind of address, then by what is known of the VPCs, then by their blocks.
pub fn admit(address: IpAddr, bounds: &Bounds<'_>) -> Result<AdmittedAddress, Refusal> {
    let address = match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => return Err(Refusal::Ipv6 { address }),
    };
    of_admissible_kind(address)?;
    let inside = |blocks: &[Ipv4Net]| blocks.iter().find(|block| block.contains(&address)).copied();
    if bounds.peer_blocks.is_empty() {
        return Err(Refusal::BlocksUnknown { address, whose: "the peer's" });
    }
    if bounds.own_blocks.is_empty() {
        return Err(Refusal::BlocksUnknown { address, whose: "our own" });
    }
    if let Some(block) = inside(bounds.own_blocks) {
        return Err(Refusal::InsideOwnVpc { address, block });
    }
    if inside(bounds.peer_blocks).is_none() {
        return Err(Refusal::OutsidePeerBlocks { address });
    }
    if inside(bounds.allowed).is_none() {
        return Err(Refusal::OutsideAllowed { address });
    }
    Ok(AdmittedAddress(address))
}

/// Whether an address is of a kind that a target can have, whatever is known of VPCs. For who knows nothing of them, a gateway
/// for example: it must still not be made to speak to its own host, or to the metadata service.
///
/// # Errors
/// The first [`Refusal`] by the kind of address.
pub fn of_admissible_kind(address: Ipv4Addr) -> Result<(), Refusal> {
    if THIS_NETWORK.contains(&address) {
        return Err(Refusal::ThisNetwork { address });
    }
    if address.is_loopback() {
        return Err(Refusal::Loopback { address });
    }
    if address.is_link_local() {
        return Err(Refusal::LinkLocal { address });
    }
    if address.is_multicast() {
        return Err(Refusal::Multicast { address });
    }
    if RESERVED.contains(&address) {
        return Err(Refusal::Reserved { address });
    }
    if !TARGET_RANGES.iter().any(|range| range.contains(&address)) {
        return Err(Refusal::Public { address });
    }
    Ok(())
}

/// Parts the peer's blocks into those that may be routed to, because an allowed block holds them whole, and the others.
/// Order is kept.
#[must_use]
pub fn routable_blocks(peer_blocks: &[Ipv4Net], allowed: &[Ipv4Net]) -> (Vec<Ipv4Net>, Vec<Ipv4Net>) {
    peer_blocks.iter().partition(|block| allowed.iter().any(|allowed| allowed.contains(*block)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(blocks: &[&str]) -> Vec<Ipv4Net> {
        blocks.iter().map(|block| block.parse().unwrap()).collect()
    }

    /// The variant's name of a refusal, or `admitted`.
    fn verdict(address: &str, peer: &[&str], allowed: &[&str], own: &[&str]) -> String {
        let (peer, allowed, own) = (nets(peer), nets(allowed), nets(own));
        let bounds = Bounds { peer_blocks: &peer, allowed: &allowed, own_blocks: &own };
        match admit(address.parse().unwrap(), &bounds) {
            Ok(admitted) => {
                assert_eq!(admitted.ip().to_string(), address);
                assert_eq!(admitted.to_string(), address);
                "admitted".to_owned()
            }
            Err(refusal) => {
                assert!(refusal.to_string().starts_with(address), "{refusal}");
                format!("{refusal:?}").split(' ').next().unwrap().to_owned()
            }
        }
    }

    /// Bounds as wide as they can be, so that nothing but the kind of address can refuse it.
    #[test]
    fn w1_the_kind_of_an_address_is_judged_whatever_the_blocks_say() {
        let cases = [
            ("10.0.0.0", "admitted"),
            ("10.255.255.255", "admitted"),
            ("9.255.255.255", "Public"),
            ("11.0.0.0", "Public"),
            ("172.16.0.0", "admitted"),
            ("172.31.255.255", "admitted"),
            ("172.15.255.255", "Public"),
            ("172.32.0.0", "Public"),
            ("192.168.0.0", "admitted"),
            ("192.168.255.255", "admitted"),
            ("192.167.255.255", "Public"),
            ("192.169.0.0", "Public"),
            ("100.64.0.0", "admitted"),
            ("100.127.255.255", "admitted"),
            ("100.63.255.255", "Public"),
            ("100.128.0.0", "Public"),
            ("8.8.8.8", "Public"),
            ("192.0.2.1", "Public"),
            ("198.18.0.1", "Public"),
            ("203.0.113.5", "Public"),
            ("223.255.255.255", "Public"),
            ("0.0.0.0", "ThisNetwork"),
            ("0.255.255.255", "ThisNetwork"),
            ("1.0.0.0", "Public"),
            ("127.0.0.1", "Loopback"),
            ("127.255.255.255", "Loopback"),
            ("126.255.255.255", "Public"),
            ("128.0.0.0", "Public"),
            ("169.254.169.254", "LinkLocal"),
            ("169.254.0.0", "LinkLocal"),
            ("169.253.255.255", "Public"),
            ("169.255.0.0", "Public"),
            ("224.0.0.0", "Multicast"),
            ("239.255.255.255", "Multicast"),
            ("240.0.0.0", "Reserved"),
            ("255.255.255.254", "Reserved"),
            ("255.255.255.255", "Reserved"),
            ("::1", "Ipv6"),
            ("::", "Ipv6"),
            ("fd00::5", "Ipv6"),
            ("fe80::1", "Ipv6"),
            ("2001:db8::1", "Ipv6"),
            ("::ffff:10.9.0.5", "Ipv6"),
            ("::ffff:127.0.0.1", "Ipv6"),
        ];
        for (address, expected) in cases {
            assert_eq!(verdict(address, &["0.0.0.0/0"], &["0.0.0.0/0"], &["1.2.3.4/32"]), expected, "{address}");
        }
    }

    #[test]
    fn w1_an_address_is_inside_the_peer_and_the_allowed_blocks_and_outside_our_own() {
        let own = &["10.1.0.0/16", "100.64.0.0/16"][..];
        let cases = [
            ("inside both", "10.9.0.5", &["10.9.0.0/16"][..], &["10.9.0.0/16"][..], own, "admitted"),
            ("network address", "10.9.0.0", &["10.9.0.0/24"], &["10.9.0.0/16"], own, "admitted"),
            ("broadcast address", "10.9.0.255", &["10.9.0.0/24"], &["10.9.0.0/16"], own, "admitted"),
            ("one below", "10.8.255.255", &["10.9.0.0/16"], &["10.0.0.0/8"], own, "OutsidePeerBlocks"),
            ("one above", "10.10.0.0", &["10.9.0.0/16"], &["10.0.0.0/8"], own, "OutsidePeerBlocks"),
            ("secondary block", "10.20.0.5", &["10.9.0.0/16", "10.20.0.0/16"], &["10.0.0.0/8"], own, "admitted"),
            ("not allowed", "10.9.1.5", &["10.9.0.0/16"], &["10.9.0.0/24"], own, "OutsideAllowed"),
            ("nothing allowed", "10.9.0.5", &["10.9.0.0/16"], &[], own, "OutsideAllowed"),
            ("allowed, not the peer's", "10.7.0.5", &["10.9.0.0/16"], &["10.7.0.0/16"], own, "OutsidePeerBlocks"),
            ("our own", "10.1.0.5", &["10.9.0.0/16"], &["10.0.0.0/8"], own, "InsideOwnVpc"),
            ("our own, secondary", "100.64.0.5", &["10.9.0.0/16"], &["10.0.0.0/8"], own, "InsideOwnVpc"),
            ("our own and the peer's", "10.1.0.5", &["10.1.0.0/16"], &["10.1.0.0/16"], own, "InsideOwnVpc"),
            (
                "our own block in the peer's",
                "10.9.3.5",
                &["10.9.0.0/16"],
                &["10.9.0.0/16"],
                &["10.9.3.0/24"],
                "InsideOwnVpc",
            ),
        ];
        for (what, address, peer, allowed, own, expected) in cases {
            assert_eq!(verdict(address, peer, allowed, own), expected, "{what}");
        }
    }

    #[test]
    fn w1_what_could_not_be_read_is_never_permission() {
        let all = &["10.0.0.0/8"][..];
        assert_eq!(verdict("10.9.0.5", &[], all, &["10.1.0.0/16"]), "BlocksUnknown");
        assert_eq!(verdict("10.9.0.5", all, all, &[]), "BlocksUnknown");
        assert_eq!(verdict("10.9.0.5", &[], &[], &[]), "BlocksUnknown");
        assert_eq!(verdict("127.0.0.1", &[], &[], &[]), "Loopback");
    }

    #[test]
    fn w1_a_refusal_names_its_remedy() {
        let peer = nets(&["10.9.0.0/16"]);
        let own = nets(&["10.1.0.0/16"]);
        let bounds = Bounds { peer_blocks: &peer, allowed: &peer, own_blocks: &own };
        let told = |address: &str| admit(address.parse().unwrap(), &bounds).unwrap_err().to_string();
        assert_eq!(
            told("203.0.113.5"),
            "203.0.113.5 is a public address: enable DNS resolution on the accepter's side of the peering, or name the \
             private address (a load balancer takes targets in 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 and 100.64.0.0/10 only)"
        );
        assert_eq!(
            told("10.1.0.5"),
            "10.1.0.5 is inside our own VPC (10.1.0.0/16): the DNS record must name the address in the peer's VPC"
        );
    }

    #[test]
    fn a_block_is_routable_when_one_allowed_block_holds_it_whole() {
        let cases = [
            (&["10.9.0.0/16"][..], &["10.9.0.0/16"][..], &["10.9.0.0/16"][..], &[][..]),
            (&["10.9.0.0/16"], &["10.0.0.0/8"], &["10.9.0.0/16"], &[]),
            (&["10.9.0.0/16"], &["10.9.0.0/17", "10.9.128.0/17"], &[], &["10.9.0.0/16"]),
            (&["10.9.0.0/16"], &[], &[], &["10.9.0.0/16"]),
            (&[], &["10.0.0.0/8"], &[], &[]),
            (
                &["10.20.0.0/16", "192.168.0.0/24", "10.9.0.0/16"],
                &["10.0.0.0/8"],
                &["10.20.0.0/16", "10.9.0.0/16"],
                &["192.168.0.0/24"],
            ),
        ];
        for (peer, allowed, inside, outside) in cases {
            assert_eq!(
                routable_blocks(&nets(peer), &nets(allowed)),
                (nets(inside), nets(outside)),
                "{peer:?} in {allowed:?}"
            );
        }
    }
}
