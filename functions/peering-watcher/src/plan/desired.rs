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

use crate::admission::{Admitted, Usable, admit_over, reason_of};
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
    /// What holds a switch back, if something does.
    pub switch: Option<Finding>,
    /// Whether an acknowledgement of `Flapping` was used.
    pub used_flapping: bool,
}

/// What the name says in this pass.
enum Word {
    /// These addresses, all admitted, by a resolver: good for this long.
    Answer(Vec<Admitted>, Duration),
    /// These addresses, by a person: there is nothing to confirm.
    Decree(Vec<Admitted>),
    /// Nothing usable.
    Nothing,
}

/// Works out what the endpoint should have, and keeps `memory` (candidate, switches, good addresses) up to date.
/// `unjudged` says of a connection that this pass could not tell what it allows.
#[must_use]
pub fn desired(
    endpoint: &Endpoint,
    answer: Option<&NameAnswer>,
    usable: &[Usable],
    unjudged: &dyn Fn(&str) -> bool,
    flapping_acknowledged: bool,
    memory: &mut EndpointMemory,
    times: Times,
) -> Desired {
    let (word, name, allowed) = listen(endpoint, answer, usable, times.now);
    memory.failing_since = match word {
        Word::Nothing if answer.is_some() => memory.failing_since.or(Some(times.now)),
        Word::Nothing => memory.failing_since,
        Word::Answer(..) | Word::Decree(_) => None,
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
        Word::Answer(addresses, ttl) => {
            if !same_addresses(&addresses, &still_good) {
                memory.detected.get_or_insert(now);
            }
            match endpoint.role {
                Role::Writer => {
                    memory.missing.clear();
                    let decided = writer(addresses, ttl, still_good, &waiting, flapping_acknowledged, memory, times);
                    switch = decided.held;
                    used_flapping = decided.used_flapping;
                    if switch.is_none() {
                        waiting.clear();
                    }
                    decided.addresses
                }
                Role::Any => {
                    memory.candidate = None;
                    any(addresses, ttl, still_good, memory, times)
                }
            }
        }
    };
    // While nothing could be admitted (the peering is not readable just now), what was good is not forgotten.
    if !addresses.is_empty() {
        memory.good = addresses.iter().map(good).collect();
        let new: Vec<Ipv4Addr> = addresses.iter().map(|a| a.address.ip()).collect();
        memory.good.extend(waiting.into_iter().filter(|g| !new.contains(&g.address)));
    }
    Desired { addresses, name, allowed, switch, used_flapping }
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
fn listen(
    endpoint: &Endpoint,
    answer: Option<&NameAnswer>,
    usable: &[Usable],
    now: Timestamp,
) -> (Word, Finding, Finding) {
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
    match answer {
        None => {
            let name = Finding::unknown(
                Reason::AwaitingPeering,
                format!("{who}: {host} is looked up once the peering is active"),
            );
            let allowed = Finding::unknown(Reason::AwaitingPeering, format!("{who}: there is no address to judge"));
            (Word::Nothing, name, allowed)
        }
        Some(NameAnswer::NxDomain) => silent(Reason::NxDomain, "does not exist"),
        Some(NameAnswer::NoData) => silent(Reason::NoData, "has no address"),
        Some(NameAnswer::ServFail) => silent(Reason::ServFail, "could not be looked up: SERVFAIL"),
        Some(NameAnswer::Refused) => silent(Reason::Refused, "could not be looked up: REFUSED"),
        Some(NameAnswer::TimedOut) => silent(Reason::DnsTimedOut, "could not be looked up: no answer in time"),
        Some(NameAnswer::Failed(why)) => silent(Reason::DnsFailed, &format!("could not be looked up: {why}")),
        Some(NameAnswer::Addresses { addresses, ttl }) => judge(endpoint, addresses, *ttl, usable),
    }
}

fn judge(endpoint: &Endpoint, addresses: &[IpAddr], ttl: Duration, usable: &[Usable]) -> (Word, Finding, Finding) {
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
    if endpoint.role == Role::Writer && v4.len() > 1 {
        let allowed = Finding::no(Reason::SeveralAddresses, format!("{who}: {host} answers {}", list(&v4)));
        return (Word::Nothing, name, allowed);
    }
    let mut admitted = Vec::new();
    let mut refusal = None;
    for address in v4 {
        match admit_over(address, usable) {
            Ok(one) => admitted.push(one),
            Err(why) => {
                refusal.get_or_insert_with(|| refused(who, &why));
            }
        }
    }
    let allowed = refusal.unwrap_or_else(|| {
        let ips: Vec<String> = admitted.iter().map(|a| a.address.to_string()).collect();
        Finding::yes(Reason::Admitted, format!("{who}: {}", ips.join(", ")))
    });
    let word = match (admitted.is_empty(), literal) {
        (true, _) => Word::Nothing,
        (false, true) => Word::Decree(admitted),
        (false, false) => Word::Answer(admitted, ttl),
    };
    (word, name, allowed)
}

fn refused(who: &str, refusal: &Refusal) -> Finding {
    Finding::no(reason_of(refusal), format!("{who}: {refusal}"))
}

struct Decided {
    addresses: Vec<Admitted>,
    held: Option<Finding>,
    used_flapping: bool,
}

/// A writer moves on two equal answers, the second fetched after the first one's TTL: one answer can be a stale
/// resolver's or a split brain's. The first address of all needs one, because nothing serves yet.
fn writer(
    answer: Vec<Admitted>,
    ttl: Duration,
    current: Vec<Admitted>,
    waiting: &[GoodAddress],
    flapping_acknowledged: bool,
    memory: &mut EndpointMemory,
    times: Times,
) -> Decided {
    let now = times.now;
    let keep = |addresses, held| Decided { addresses, held, used_flapping: false };
    let Some(new) = answer.first().map(|a| a.address.ip()) else { return keep(current, None) };
    let first = current.is_empty() && waiting.iter().all(|g| g.address == new);
    if first || same_addresses(&answer, &current) {
        memory.candidate = None;
        return keep(answer, None);
    }
    let confirmed = memory.candidate.as_ref().is_some_and(|c| c.address == new && times.asked > c.counts_from);
    if !confirmed {
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
