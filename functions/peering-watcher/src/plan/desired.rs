//! Which addresses an endpoint should have: from the name's answer, the pin and what was admitted before.
//!
//! A failure never empties the answer: what was good stays good while it would still be admitted.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use domain::address::Refusal;
use domain::condition::Finding;
use domain::reason::Reason;
use domain::spec::{Endpoint, Role};
use jiff::{SignedDuration, Timestamp};
use ports::NameAnswer;

use super::proof::Proof;
use crate::admission::{Admitted, Usable, admit_over, reason_of};
use crate::observed::{Heard, Trouble};
use crate::state::{Candidate, EndpointMemory, GoodAddress};

/// The longest that a second answer is waited for, whatever the TTL says.
const LONGEST_TTL: Duration = Duration::from_secs(60);
/// The window of the brake on flapping, and how many switches it lets through.
const FLAPPING_WINDOW: SignedDuration = SignedDuration::from_mins(10);
const SWITCHES_ALLOWED: usize = 3;

/// The times of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When the names were asked, before the first question was sent: a resolver may have answered from its cache at
    /// any time since.
    pub asked: Timestamp,
    /// When it was decided.
    pub now: Timestamp,
}

/// What an endpoint should have, and what was found on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The addresses, admitted in this pass.
    pub addresses: Vec<Admitted>,
    /// Whether the name resolves.
    pub name: Finding,
    /// Whether its addresses may be registered.
    pub allowed: Finding,
    /// What the name answers and may be registered, whether it is wanted or not.
    pub answered: Vec<Ipv4Addr>,
    /// What holds a switch back, if something does.
    pub switch: Option<Finding>,
    /// Whether an acknowledgement of `Flapping` was used.
    pub used_flapping: bool,
}

/// What the name says in this pass.
enum Word {
    /// These addresses, all admitted, by a resolver: good for this long.
    Answer(Vec<Admitted>, Duration),
    /// This address, which proved to be the writer: there is nothing to confirm.
    Proven(Admitted),
    /// This address, which proved to be a standby.
    Standby(Ipv4Addr),
    /// These addresses, by a person: there is nothing to confirm.
    Decree(Vec<Admitted>),
    /// Nothing usable.
    Nothing,
}

/// What a decision about an endpoint's addresses follows from, beside its memory.
pub struct Asked<'a> {
    /// The endpoint.
    pub endpoint: &'a Endpoint,
    /// What came of asking for its name; `None` where nobody asked.
    pub heard: Option<&'a Heard>,
    /// The connections over which addresses may be admitted.
    pub usable: &'a [Usable],
    /// Whether this pass could not tell what a connection allows.
    pub unjudged: &'a dyn Fn(&str) -> bool,
    /// What is proven of the server at an address.
    pub proof: &'a dyn Fn(Ipv4Addr) -> Proof,
    /// Whether a person let the next switch through.
    pub flapping_acknowledged: bool,
}

/// Works out what the endpoint should have, and keeps `memory` (candidate, switches, good addresses) up to date.
#[must_use]
pub fn desired(asked: &Asked<'_>, memory: &mut EndpointMemory, times: Times) -> Desired {
    let Asked { endpoint, usable, unjudged, .. } = *asked;
    let (word, name, allowed) = listen(asked, times.now);
    let answered = match &word {
        Word::Answer(addresses, _) | Word::Decree(addresses) => addresses.iter().map(|a| a.address.ip()).collect(),
        Word::Proven(admitted) => vec![admitted.address.ip()],
        Word::Standby(address) => vec![*address],
        Word::Nothing => Vec::new(),
    };
    memory.failing_since = match word {
        Word::Nothing if asked.heard.is_some() => memory.failing_since.or(Some(times.now)),
        Word::Nothing => memory.failing_since,
        Word::Answer(..) | Word::Decree(_) | Word::Proven(_) | Word::Standby(_) => None,
    };
    let now = times.now;
    memory.switches.retain(|at| now.duration_since(*at) < FLAPPING_WINDOW);

    // The last good address counts only while it would be admitted again, over the connection that admitted it.
    let still_good: Vec<Admitted> = memory
        .good
        .iter()
        .filter_map(|good| {
            let same: Vec<Usable> = usable.iter().filter(|u| u.connection == good.connection).cloned().collect();
            admit_over(IpAddr::V4(good.address), &same).ok()
        })
        .collect();

    // What was good over a connection that cannot be judged now may still serve: it is not wanted, and not forgotten.
    let mut waiting: Vec<GoodAddress> = memory.good.iter().filter(|g| unjudged(&g.connection)).cloned().collect();

    let mut switch = None;
    let mut used_flapping = false;
    let addresses = match word {
        Word::Nothing => still_good,
        Word::Decree(addresses) => {
            waiting.clear();
            memory.candidate = None;
            memory.missing.clear();
            if !same_addresses(&addresses, &still_good) {
                memory.detected.get_or_insert(now);
            }
            addresses
        }
        // What serves was demoted: it stays until its successor is known.
        Word::Standby(address) if still_good.iter().any(|a| a.address.ip() == address) => still_good,
        Word::Standby(address) => {
            memory.candidate = None;
            memory.detected.get_or_insert(now);
            let message = format!("{}: {address} is a standby; it is registered once it is promoted", memory.name);
            switch = Some(Finding::no(Reason::AddressIsStandby, message));
            still_good
        }
        Word::Answer(addresses, ttl) if endpoint.role == Role::Any => {
            if !same_addresses(&addresses, &still_good) {
                memory.detected.get_or_insert(now);
            }
            memory.candidate = None;
            any(addresses, ttl, still_good, memory, times)
        }
        Word::Answer(..) | Word::Proven(_) => {
            let (addresses, confirmation) = match word {
                Word::Answer(addresses, ttl) => (addresses, Some(ttl)),
                Word::Proven(address) => (vec![address], None),
                Word::Decree(_) | Word::Standby(_) | Word::Nothing => (Vec::new(), None),
            };
            if !same_addresses(&addresses, &still_good) {
                memory.detected.get_or_insert(now);
            }
            memory.missing.clear();
            let current = Current { addresses: still_good, waiting: &waiting };
            let decided = writer(addresses, confirmation, current, asked.flapping_acknowledged, memory, times);
            switch = decided.held;
            used_flapping = decided.used_flapping;
            if switch.is_none() {
                waiting.clear();
            }
            decided.addresses
        }
    };
    // While nothing could be admitted (the peering is not readable just now), what was good is not forgotten.
    if !addresses.is_empty() {
        memory.good = addresses.iter().map(good).collect();
        let new: Vec<Ipv4Addr> = addresses.iter().map(|a| a.address.ip()).collect();
        memory.good.extend(waiting.into_iter().filter(|g| !new.contains(&g.address)));
    }
    Desired { addresses, name, allowed, answered, switch, used_flapping }
}

fn good(admitted: &Admitted) -> GoodAddress {
    GoodAddress { address: admitted.address.ip(), connection: admitted.connection.clone() }
}

fn same_addresses(a: &[Admitted], b: &[Admitted]) -> bool {
    let sorted = |list: &[Admitted]| {
        let mut ips: Vec<Ipv4Addr> = list.iter().map(|x| x.address.ip()).collect();
        ips.sort_unstable();
        ips
    };
    sorted(a) == sorted(b)
}

/// Asks the pin first, then the name, and admits what they say.
fn listen(asked: &Asked<'_>, now: Timestamp) -> (Word, Finding, Finding) {
    let Asked { endpoint, heard, usable, .. } = *asked;
    let who = endpoint.name.as_str();
    if let Some(pin) = endpoint.pin.as_ref().filter(|pin| now < pin.until) {
        let name = Finding::yes(Reason::Pinned, format!("{who}: pinned to {} until {:.0}", pin.address, pin.until));
        return match admit_over(IpAddr::V4(pin.address), usable) {
            Ok(admitted) => {
                (Word::Decree(vec![admitted]), name, Finding::yes(Reason::Admitted, format!("{who}: {}", pin.address)))
            }
            Err(refusal) => (Word::Nothing, name, refused(who, &refusal)),
        };
    }
    let host = &endpoint.host;
    let silent = |reason, what: &str| {
        let name = Finding::no(reason, format!("{who}: {host} {what}"));
        let allowed = Finding::unknown(Reason::NothingToRegister, format!("{who}: there is no address to judge"));
        (Word::Nothing, name, allowed)
    };
    let answer = match heard {
        None => None,
        Some(Heard::Answer(answer)) => Some(answer),
        Some(Heard::NoGateway(Trouble { reason, message })) => {
            let name = Finding::unknown(*reason, format!("{who}: {host} could not be looked up: {message}"));
            let allowed = Finding::unknown(Reason::NothingToRegister, format!("{who}: there is no address to judge"));
            return (Word::Nothing, name, allowed);
        }
    };
    match answer {
        None => {
            let name = Finding::unknown(
                Reason::AwaitingPeering,
                format!("{who}: {host} is looked up once the peering is active"),
            );
            let allowed = Finding::unknown(Reason::AwaitingPeering, format!("{who}: there is no address to judge"));
            (Word::Nothing, name, allowed)
        }
        Some(NameAnswer::NxDomain) => {
            // A private zone is not shared by peering: whoever owns it must be told which VPC asks.
            let asks = usable.first().map_or("our VPC", |u| u.own_vpc.as_str());
            silent(
                Reason::NxDomain,
                &format!("does not exist, or only in a private zone that {asks} is not associated with"),
            )
        }
        Some(NameAnswer::NoData) => silent(Reason::NoData, "has no address"),
        Some(NameAnswer::ServFail) => silent(Reason::ServFail, "could not be looked up: SERVFAIL"),
        Some(NameAnswer::Refused) => silent(Reason::Refused, "could not be looked up: REFUSED"),
        Some(NameAnswer::TimedOut) => silent(Reason::DnsTimedOut, "could not be looked up: no answer in time"),
        Some(NameAnswer::Failed(why)) => silent(Reason::DnsFailed, &format!("could not be looked up: {why}")),
        Some(NameAnswer::Addresses { addresses, ttl }) => judge(asked, addresses, *ttl),
    }
}

fn judge(asked: &Asked<'_>, addresses: &[IpAddr], ttl: Duration) -> (Word, Finding, Finding) {
    let Asked { endpoint, usable, .. } = *asked;
    let (who, host) = (endpoint.name.as_str(), &endpoint.host);
    let list = |all: &[IpAddr]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let v4: Vec<IpAddr> = addresses.iter().copied().filter(IpAddr::is_ipv4).collect();
    if v4.is_empty() {
        let name = Finding::no(Reason::AaaaOnly, format!("{who}: {host} has IPv6 addresses only: {}", list(addresses)));
        let allowed = Finding::unknown(Reason::NothingToRegister, format!("{who}: there is no IPv4 address to judge"));
        return (Word::Nothing, name, allowed);
    }
    let literal = host.as_str().parse::<IpAddr>().is_ok();
    let name = if literal {
        Finding::yes(Reason::AddressLiteral, format!("{who}: {host}"))
    } else {
        Finding::yes(Reason::Resolved, format!("{who}: {host} is {}", list(&v4)))
    };
    let answers = v4.len();
    let mut admitted = Vec::new();
    let mut refusal = None;
    for address in v4 {
        match admit_over(address, usable) {
            Ok(one) => admitted.push(one),
            Err(why) => {
                let over = usable.iter().filter(|_| !literal).find(|u| u.peer_resolves == Some(false));
                refusal.get_or_insert_with(|| match (&why, over) {
                    (Refusal::Public { .. }, Some(over)) => public_name(who, address, over),
                    _ => refused(who, &why),
                });
            }
        }
    }
    let allowed = refusal.unwrap_or_else(|| {
        let ips: Vec<String> = admitted.iter().map(|a| a.address.to_string()).collect();
        Finding::yes(Reason::Admitted, format!("{who}: {}", ips.join(", ")))
    });
    if endpoint.role == Role::Writer && answers > 1 {
        let (word, allowed) = only_writer(asked, admitted, allowed, &list(addresses));
        return (word, name, allowed);
    }
    let word = match admitted.first() {
        None => Word::Nothing,
        Some(_) if literal => Word::Decree(admitted),
        Some(one) if endpoint.role == Role::Writer => match (asked.proof)(one.address.ip()) {
            Proof::Writer => Word::Proven(one.clone()),
            Proof::Standby => Word::Standby(one.address.ip()),
            Proof::Dead | Proof::Nothing => Word::Answer(admitted, ttl),
        },
        Some(_) => Word::Answer(admitted, ttl),
    };
    (word, name, allowed)
}

/// Of several addresses, the one that proved to be the writer. Nothing else tells which one it is.
fn only_writer(asked: &Asked<'_>, admitted: Vec<Admitted>, allowed: Finding, list: &str) -> (Word, Finding) {
    let (who, host) = (asked.endpoint.name.as_str(), &asked.endpoint.host);
    let proofs: Vec<Proof> = admitted.iter().map(|a| (asked.proof)(a.address.ip())).collect();
    let mut writers = admitted.into_iter().zip(&proofs).filter(|(_, proof)| **proof == Proof::Writer).map(|(a, _)| a);
    let said = format!("{who}: {host} answers {list}");
    match (writers.next(), writers.next()) {
        (Some(writer), None) => (Word::Proven(writer), allowed),
        (Some(one), Some(other)) => {
            let message = format!("{said}; {} and {} both take writes", one.address, other.address);
            (Word::Nothing, Finding::no(Reason::SeveralWriters, message))
        }
        (None, _) if proofs.contains(&Proof::Standby) => (Word::Nothing, Finding::no(Reason::NoWriter, said)),
        (None, _) => (Word::Nothing, Finding::no(Reason::SeveralAddresses, said)),
    }
}

/// The peer's own VPC would be answered the private address, and so would ours, if the peer allowed it.
fn public_name(who: &str, address: IpAddr, over: &Usable) -> Finding {
    let message = format!(
        "{who}: {address} is a public address, and the peer's side of {} does not resolve its public names to private \
         addresses for us",
        over.connection
    );
    Finding::no(Reason::PeerDnsResolutionOff, message)
}

fn refused(who: &str, refusal: &Refusal) -> Finding {
    Finding::no(reason_of(refusal), format!("{who}: {refusal}"))
}

struct Decided {
    addresses: Vec<Admitted>,
    held: Option<Finding>,
    used_flapping: bool,
}

/// What serves an endpoint before a decision.
struct Current<'a> {
    /// Still admitted.
    addresses: Vec<Admitted>,
    /// Good over connections that cannot be judged now.
    waiting: &'a [GoodAddress],
}

/// A writer moves on two equal answers, the second fetched after the first one's TTL: one answer can be a stale
/// resolver's or a split brain's. The first address of all needs one, because nothing serves yet; so does one that proved
/// to be the writer, which has no TTL to be confirmed after.
fn writer(
    answer: Vec<Admitted>,
    confirmation: Option<Duration>,
    current: Current<'_>,
    flapping_acknowledged: bool,
    memory: &mut EndpointMemory,
    times: Times,
) -> Decided {
    let now = times.now;
    let Current { addresses: current, waiting } = current;
    let keep = |addresses, held| Decided { addresses, held, used_flapping: false };
    let Some(new) = answer.first().map(|a| a.address.ip()) else { return keep(current, None) };
    let first = current.is_empty() && waiting.iter().all(|g| g.address == new);
    if first || same_addresses(&answer, &current) {
        memory.candidate = None;
        return keep(answer, None);
    }
    let twice = memory.candidate.as_ref().is_some_and(|c| c.address == new && times.asked > c.counts_from);
    if let Some(ttl) = confirmation.filter(|_| !twice) {
        let counts_from = match &memory.candidate {
            Some(c) if c.address == new => c.counts_from,
            _ => now.checked_add(ttl.min(LONGEST_TTL)).unwrap_or(now),
        };
        memory.candidate = Some(Candidate { address: new, counts_from });
        let message =
            format!("{}: the name moved to {new}; a second answer counts from {counts_from:.0} on", memory.name);
        return keep(current, Some(Finding::no(Reason::AwaitingSecondAnswer, message)));
    }
    let flapping = memory.switches.len() >= SWITCHES_ALLOWED;
    if flapping && !flapping_acknowledged {
        let message = format!(
            "{}: the writer moved {} times in ten minutes; {new} is not followed",
            memory.name,
            memory.switches.len()
        );
        return keep(current, Some(Finding::no(Reason::Flapping, message)));
    }
    memory.candidate = None;
    memory.switches.push(now);
    Decided { addresses: answer, held: None, used_flapping: flapping }
}

/// Every address serves. A new one is added at once; one that is no longer answered goes after a second answer
/// without it.
fn any(
    answer: Vec<Admitted>,
    ttl: Duration,
    current: Vec<Admitted>,
    memory: &mut EndpointMemory,
    times: Times,
) -> Vec<Admitted> {
    let answered = |ip: Ipv4Addr| answer.iter().any(|a| a.address.ip() == ip);
    let counts_from = times.now.checked_add(ttl.min(LONGEST_TTL)).unwrap_or(times.now);
    memory.missing.retain(|ip, _| !answered(*ip) && current.iter().any(|c| c.address.ip() == *ip));
    let kept: Vec<Admitted> = current
        .into_iter()
        .filter(|c| !answered(c.address.ip()))
        .filter(|c| match memory.missing.get(&c.address.ip()) {
            Some(from) => times.asked <= *from,
            None => {
                memory.missing.insert(c.address.ip(), counts_from);
                true
            }
        })
        .collect();
    answer.into_iter().chain(kept).collect()
}
