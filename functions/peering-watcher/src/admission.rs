//! Which addresses may be registered in this pass (invariant W1).

use std::net::IpAddr;

use domain::address::{AdmittedAddress, Bounds, Refusal, admit};
use domain::reason::Reason;
use ipnet::Ipv4Net;

/// A connection that is active, with the peer that the spec names, and whose blocks were read in this pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usable {
    /// `pcx-...`
    pub connection: String,
    /// The peer's blocks.
    pub peer_blocks: Vec<Ipv4Net>,
    /// What the spec allows.
    pub allowed: Vec<Ipv4Net>,
    /// Our side's blocks.
    pub own_blocks: Vec<Ipv4Net>,
    /// Our side's VPC.
    pub own_vpc: String,
    /// Whether the peer's public names resolve to private addresses when our VPC asks; `None`: EC2 did not tell.
    pub peer_resolves: Option<bool>,
}

impl Usable {
    fn bounds(&self) -> Bounds<'_> {
        Bounds { peer_blocks: &self.peer_blocks, allowed: &self.allowed, own_blocks: &self.own_blocks }
    }
}

/// An address admitted in this pass, and the connection under which it was. Only [`admit_over`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The address.
    pub address: AdmittedAddress,
    /// The connection.
    pub connection: String,
}

const NOTHING_KNOWN: Bounds<'static> = Bounds { peer_blocks: &[], allowed: &[], own_blocks: &[] };

/// Admits an address over the first of the connections that allows it.
///
/// # Errors
/// Where none does: the refusal that says most. An address inside our own VPC is refused whatever the others say.
pub fn admit_over(address: IpAddr, usable: &[Usable]) -> Result<Admitted, Refusal> {
    let mut admitted = None;
    let mut refused = None;
    for over in usable {
        match admit(address, &over.bounds()) {
            Ok(address) => {
                admitted.get_or_insert_with(|| Admitted { address, connection: over.connection.clone() });
            }
            Err(refusal @ Refusal::InsideOwnVpc { .. }) => return Err(refusal),
            // That it is not this peer's says least: with several peers, it is so for all but one.
            Err(refusal) if matches!(refused, None | Some(Refusal::OutsidePeerBlocks { .. })) => {
                refused = Some(refusal)
            }
            Err(_) => {}
        }
    }
    match admitted {
        Some(admitted) => Ok(admitted),
        // No connection at all is blocks that were not read: `admit` says so, for IPv6 and special addresses what they are.
        None => Err(refused.or_else(|| admit(address, &NOTHING_KNOWN).err()).unwrap_or(Refusal::Ipv6 { address })),
    }
}

/// The reason code of a refusal.
#[must_use]
pub fn reason_of(refusal: &Refusal) -> Reason {
    match refusal {
        Refusal::Ipv6 { .. } => Reason::AaaaOnly,
        Refusal::Public { .. } => Reason::AddressPublic,
        Refusal::InsideOwnVpc { .. } => Reason::AddressInsideOurVpc,
        Refusal::OutsidePeerBlocks { .. } => Reason::AddressOutsidePeer,
        Refusal::OutsideAllowed { .. } => Reason::AddressOutsideAllowed,
        Refusal::BlocksUnknown { .. } => Reason::BlocksUnknown,
        Refusal::ThisNetwork { .. }
        | Refusal::Loopback { .. }
        | Refusal::LinkLocal { .. }
        | Refusal::Multicast { .. }
        | Refusal::Reserved { .. } => Reason::AddressSpecial,
    }
}
