//! The peering's state machine: what each connection of the spec allows, and what its end means.

use domain::condition::Finding;
use domain::reason::Reason;
use domain::spec::{PeeringSpec, Primary};
use jiff::{SignedDuration, Timestamp};
use ports::{Peering, PeeringState, PeeringVpc};

use crate::admission::Usable;
use crate::observed::{Observed, Seen};
use crate::state::PeeringMemory;

/// How long EC2 must not have known an id before that counts as the peering's end: a new connection takes a while to
/// be seen everywhere, and one empty answer proves nothing (invariant W9).
pub const NOT_FOUND_COUNTS_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// How long the peer's blocks must have been read alike before an address outside them goes: reads of EC2 lag behind, and one
/// that came from before a change took a target that another pass had just registered.
const BLOCKS_COUNT_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// A request that is still being made after this long is stuck: it takes seconds.
const REQUEST_TAKES: SignedDuration = SignedDuration::from_mins(5);
/// The accepter has seven days (vpc-peering-basics). It is told once more when one of them has passed, and when one is left.
const LEFT_AFTER_A_DAY: SignedDuration = SignedDuration::from_hours(6 * 24);
const LAST_DAY: SignedDuration = SignedDuration::from_hours(24);

/// What a connection allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allows {
    /// Addresses may be registered over it.
    Registration(Usable),
    /// Nothing new, and nothing is taken away: it is on its way, or not known.
    Nothing,
    /// Nothing may be registered over it, and what is goes: it is active, with somebody else than the spec says.
    Refused,
    /// What was registered over it goes: it was read as final.
    Ended,
    /// What was registered over it goes: EC2 has not known it for long enough.
    NotFound,
}

/// A connection of the spec in this pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `pcx-...`
    pub connection: String,
    /// The peer's account and VPC, as the spec has them.
    pub peer: (String, String),
    /// What it allows.
    pub allows: Allows,
    /// What to say of it.
    pub finding: Finding,
    /// What to remember of it.
    pub memory: Option<PeeringMemory>,
}

impl Verdict {
    /// Whether the peer's blocks have been read alike for long enough to take something away for them.
    #[must_use]
    pub fn blocks_are_steady(&self, now: Timestamp) -> bool {
        let since = self.memory.as_ref().and_then(|m| m.blocks_since);
        since.is_none_or(|since| now.duration_since(since) >= BLOCKS_COUNT_AFTER)
    }

    /// Whether the connection may be active, for all that this pass could tell.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let open =
            [Reason::PeeringUnreadable, Reason::PeeringUnrecognized, Reason::PeeringNotFoundYet, Reason::BlocksUnknown];
        self.allows == Allows::Nothing && open.contains(&self.finding.reason)
    }
}

/// Judges one connection of the spec.
#[must_use]
pub fn judge(spec: &PeeringSpec, observed: &Observed, before: Option<&PeeringMemory>, now: Timestamp) -> Verdict {
    let id = spec.connection_id.as_str();
    let (allows, finding, memory) = match observed.peerings.get(id).unwrap_or(&Seen::NotAsked) {
        Seen::Known(peering) => known(spec, peering, observed.replacements.get(id), before, now),
        Seen::Absent => absent(id, before, now),
        Seen::Unknown(error) => {
            let finding = Finding::unknown(Reason::PeeringUnreadable, format!("{id} could not be read: {error}"));
            (Allows::Nothing, finding, before.cloned())
        }
        Seen::NotAsked => {
            let finding = Finding::unknown(Reason::PeeringUnreadable, format!("{id} was not read in this pass"));
            (Allows::Nothing, finding, before.cloned())
        }
    };
    let peer = (spec.peer_account.as_str().to_owned(), spec.peer_vpc.as_str().to_owned());
    Verdict { connection: id.to_owned(), peer, allows, finding, memory }
}

/// The connections of the spec over which addresses may be admitted in this pass.
#[must_use]
pub fn usable(primary: &Primary, observed: &Observed, now: Timestamp) -> Vec<Usable> {
    let allowed = |spec| match judge(spec, observed, None, now).allows {
        Allows::Registration(usable) => Some(usable),
        Allows::Nothing | Allows::Refused | Allows::Ended | Allows::NotFound => None,
    };
    primary.peerings.iter().filter_map(allowed).collect()
}

type Judgement = (Allows, Finding, Option<PeeringMemory>);

fn absent(id: &str, before: Option<&PeeringMemory>, now: Timestamp) -> Judgement {
    let since = before.and_then(|m| m.missing_since).unwrap_or(now);
    let memory = PeeringMemory {
        state: None,
        peer_blocks: before.map(|m| m.peer_blocks.clone()).unwrap_or_default(),
        missing_since: Some(since),
        requesting_since: None,
        blocks_since: before.and_then(|m| m.blocks_since),
    };
    let (allows, finding) = if now.duration_since(since) >= NOT_FOUND_COUNTS_AFTER {
        (Allows::NotFound, Finding::no(Reason::PeeringNotFound, format!("EC2 does not know {id}, since {since:.0}")))
    } else {
        let message = format!("EC2 does not know {id}, since {since:.0}; five minutes of that count as its end");
        (Allows::Nothing, Finding::unknown(Reason::PeeringNotFoundYet, message))
    };
    (allows, finding, Some(memory))
}

fn known(
    spec: &PeeringSpec,
    peering: &Peering,
    replacement: Option<&String>,
    before: Option<&PeeringMemory>,
    now: Timestamp,
) -> Judgement {
    let id = &peering.id;
    let requesting_since = (peering.state == PeeringState::InitiatingRequest)
        .then(|| before.and_then(|m| m.requesting_since).unwrap_or(now));
    let remember = |blocks: Option<&PeeringVpc>| {
        let peer_blocks = match blocks {
            Some(vpc) => vpc.blocks.clone(),
            None => before.map(|m| m.peer_blocks.clone()).unwrap_or_default(),
        };
        let known = before.filter(|m| !m.peer_blocks.is_empty());
        let blocks_since = known.and_then(|m| if m.peer_blocks == peer_blocks { m.blocks_since } else { Some(now) });
        let state = Some(peering.state);
        Some(PeeringMemory { state, peer_blocks, missing_since: None, requesting_since, blocks_since })
    };
    if peering.state.is_terminal() {
        let words = if peering.message.is_empty() { String::new() } else { format!(": {}", peering.message) };
        let hint = replacement
            .map(|other| format!("; {other} connects the same VPCs and is active: put a spec that names it"))
            .unwrap_or_default();
        let finding = Finding::no(reason_of(peering.state), format!("{id} is {}{words}{hint}", word(peering.state)));
        return (Allows::Ended, finding, remember(None));
    }
    let sides = match sides(spec, peering) {
        Sides::Ours { peer, own, requested_by_us } => (peer, own, requested_by_us),
        Sides::Incomplete => {
            let message = format!("EC2's answer does not say whom {id} connects");
            return (Allows::Nothing, Finding::unknown(Reason::PeeringUnreadable, message), before.cloned());
        }
        Sides::SomebodyElse => {
            let name = |side: &PeeringVpc| {
                format!("{} of {}", side.vpc.as_deref().unwrap_or("?"), side.account.as_deref().unwrap_or("?"))
            };
            let message = format!(
                "{id} connects {} and {}; the spec names {} of {}",
                name(&peering.requester),
                name(&peering.accepter),
                spec.peer_vpc,
                spec.peer_account
            );
            // Not active, it carries nothing, and nothing is taken away for what it may become.
            let allows = if peering.state == PeeringState::Active { Allows::Refused } else { Allows::Nothing };
            return (allows, Finding::no(Reason::PeeringMismatch, message), remember(None));
        }
    };
    let (peer, own, requested_by_us) = sides;
    match peering.state {
        PeeringState::Active => {
            let own_vpc = own.vpc.clone().unwrap_or_default();
            if peer.blocks.is_empty() || own.blocks.is_empty() {
                let message = format!("{id} is active; EC2 has not told the address blocks of both sides yet");
                return (Allows::Nothing, Finding::unknown(Reason::BlocksUnknown, message), remember(None));
            }
            let usable = Usable {
                connection: id.clone(),
                peer_blocks: peer.blocks.clone(),
                allowed: spec.allowed_cidrs.clone(),
                own_blocks: own.blocks.clone(),
                own_vpc,
                peer_resolves: peer.resolves_for_other,
            };
            let message = format!("{id} with {} of {} is active", spec.peer_vpc, spec.peer_account);
            (Allows::Registration(usable), Finding::yes(Reason::Active, message), remember(Some(peer)))
        }
        PeeringState::PendingAcceptance => {
            let expires = peering.expires.map(|at| format!("; the request expires at {at:.0}")).unwrap_or_default();
            let finding = if requested_by_us {
                let message = format!("account {} has not accepted {id} yet{expires}", spec.peer_account);
                Finding::no(reminder(peering.expires, now).unwrap_or(Reason::PendingAcceptance), message)
            } else {
                let message =
                    format!("account {} requested {id}; our side has not accepted it yet{expires}", spec.peer_account);
                Finding::no(Reason::PendingOurAcceptance, message)
            };
            (Allows::Nothing, finding, remember(None))
        }
        PeeringState::Unrecognized => {
            let message = format!("{id} is in a state that this version does not know");
            (Allows::Nothing, Finding::unknown(Reason::PeeringUnrecognized, message), remember(None))
        }
        PeeringState::InitiatingRequest
            if requesting_since.is_some_and(|since| now.duration_since(since) >= REQUEST_TAKES) =>
        {
            let message = format!("{id} is being requested for more than five minutes");
            (Allows::Nothing, Finding::no(Reason::RequestStalled, message), remember(None))
        }
        other => (Allows::Nothing, Finding::no(reason_of(other), format!("{id} is {}", word(other))), remember(None)),
    }
}

/// Whether it is time to say again that a request waits. The reason changes, and with it goes a notice.
fn reminder(expires: Option<Timestamp>, now: Timestamp) -> Option<Reason> {
    let left = expires?.duration_since(now);
    match left {
        _ if left <= LAST_DAY => Some(Reason::AcceptanceExpiring),
        _ if left <= LEFT_AFTER_A_DAY => Some(Reason::AcceptanceOverdue),
        _ => None,
    }
}

enum Sides<'a> {
    Ours { peer: &'a PeeringVpc, own: &'a PeeringVpc, requested_by_us: bool },
    SomebodyElse,
    Incomplete,
}

/// Which side is the peer: the one whose account and VPC the spec names, whoever asked.
fn sides<'a>(spec: &PeeringSpec, peering: &'a Peering) -> Sides<'a> {
    let is_peer = |side: &PeeringVpc| {
        side.account.as_deref() == Some(spec.peer_account.as_str())
            && side.vpc.as_deref() == Some(spec.peer_vpc.as_str())
    };
    let complete = |side: &PeeringVpc| side.account.is_some() && side.vpc.is_some();
    if is_peer(&peering.accepter) && peering.requester.vpc.is_some() {
        Sides::Ours { peer: &peering.accepter, own: &peering.requester, requested_by_us: true }
    } else if is_peer(&peering.requester) && peering.accepter.vpc.is_some() {
        Sides::Ours { peer: &peering.requester, own: &peering.accepter, requested_by_us: false }
    } else if complete(&peering.accepter) && complete(&peering.requester) {
        Sides::SomebodyElse
    } else {
        Sides::Incomplete
    }
}

fn reason_of(state: PeeringState) -> Reason {
    match state {
        PeeringState::InitiatingRequest => Reason::InitiatingRequest,
        PeeringState::PendingAcceptance => Reason::PendingAcceptance,
        PeeringState::Provisioning => Reason::Provisioning,
        PeeringState::Active => Reason::Active,
        PeeringState::Failed => Reason::Failed,
        PeeringState::Rejected => Reason::Rejected,
        PeeringState::Expired => Reason::Expired,
        PeeringState::Deleting => Reason::Deleting,
        PeeringState::Deleted => Reason::Deleted,
        PeeringState::Unrecognized => Reason::PeeringUnrecognized,
    }
}

fn word(state: PeeringState) -> &'static str {
    match state {
        PeeringState::InitiatingRequest => "being requested",
        PeeringState::PendingAcceptance => "waiting for acceptance",
        PeeringState::Provisioning => "being provisioned",
        PeeringState::Active => "active",
        PeeringState::Failed => "failed",
        PeeringState::Rejected => "rejected",
        PeeringState::Expired => "expired",
        PeeringState::Deleting => "being deleted",
        PeeringState::Deleted => "deleted",
        PeeringState::Unrecognized => "in an unknown state",
    }
}

/// The cluster's one finding. With several connections to one peer (as while it is peered anew) the best of them speaks;
/// with several peers the worst.
#[must_use]
pub fn finding(verdicts: &[Verdict]) -> Finding {
    let mut peers: Vec<&(String, String)> = verdicts.iter().map(|v| &v.peer).collect();
    peers.dedup();
    peers
        .into_iter()
        .filter_map(|peer| verdicts.iter().filter(|v| v.peer == *peer).min_by_key(|v| badness(v)))
        .max_by_key(|v| badness(v))
        .map_or_else(|| Finding::unknown(Reason::AwaitingPeering, "the spec names no peering"), |v| v.finding.clone())
}

fn badness(verdict: &Verdict) -> u8 {
    match verdict.allows {
        Allows::Registration(_) => 0,
        Allows::Nothing => 1,
        Allows::NotFound => 2,
        Allows::Ended => 3,
        Allows::Refused => 4,
    }
}
