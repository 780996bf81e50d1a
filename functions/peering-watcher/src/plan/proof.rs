//! What probes prove, which of them a pass makes, and what is said of them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use domain::condition::{ConditionKind, Finding, Status};
use domain::reason::Reason;
use domain::spec::{Endpoint, Primary, Role};
use jiff::Timestamp;
use ports::{NameAnswer, Target};
use reach::gateway::{ErrorCode, ItemError, ServerFacts};

use crate::admission::{Usable, admit_over};
use crate::observed::{Heard, Observed, Probe, Trouble};
use crate::state::{EndpointMemory, Proven};

/// What a probe of this pass proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The server takes writes.
    Writer,
    /// The server is in recovery: it takes none.
    Standby,
    /// The host answers, and no server does.
    Dead,
    /// Nothing.
    Nothing,
}

/// What is proven of a server. A time-out proves nothing: it can be the gateway's own network.
#[must_use]
pub fn of(observed: &Observed, target: Target) -> Proof {
    match observed.probes.get(&target) {
        Some(Probe::Found(probed)) => match &probed.server {
            Some(server) if server.in_recovery => Proof::Standby,
            Some(_) => Proof::Writer,
            None => Proof::Nothing,
        },
        Some(Probe::Nothing(trouble)) if trouble.reason == Reason::ConnectionRefused => Proof::Dead,
        Some(Probe::Nothing(_)) | None => Proof::Nothing,
    }
}

/// A gateway's error, in our own reasons.
#[must_use]
pub fn trouble(error: ItemError) -> Trouble {
    let reason = match ErrorCode::of(&error.code) {
        Some(ErrorCode::TimedOut) => Reason::ProbeTimedOut,
        Some(ErrorCode::ConnectionRefused) => Reason::ConnectionRefused,
        Some(ErrorCode::Unreachable) => Reason::HostUnreachable,
        Some(ErrorCode::ConnectionClosed) => Reason::ConnectionClosed,
        Some(ErrorCode::NotPostgres) => Reason::NotPostgres,
        Some(ErrorCode::TlsNotOffered) => Reason::TlsNotOffered,
        Some(ErrorCode::TlsFailed) => Reason::TlsFailed,
        Some(ErrorCode::AuthMethodRefused) => Reason::AuthMethodRefused,
        Some(ErrorCode::ServerNotProven) => Reason::ServerNotProven,
        Some(ErrorCode::AuthenticationFailed) => Reason::AuthenticationFailed,
        Some(ErrorCode::TooManyConnections) => Reason::TooManyConnections,
        Some(ErrorCode::StartingUp) => Reason::StartingUp,
        Some(ErrorCode::ServerError) => Reason::ServerError,
        // What is left says nothing of the server: a request or an item that was not taken, or a newer gateway's code.
        Some(_) | None => {
            return Trouble { reason: Reason::ProbeFailed, message: format!("{}: {}", error.code, error.message) };
        }
    };
    Trouble { reason, message: error.message }
}

/// Which servers of an endpoint this pass probes: those that the name answers, those that serve, and those that wait to
/// go. `due`: it is the endpoint's turn. Only addresses that are admitted in this pass: nothing is sent to any other (W1).
#[must_use]
pub fn wanted(
    endpoint: &Endpoint,
    memory: Option<&EndpointMemory>,
    observed: &Observed,
    usable: &[Usable],
    due: bool,
    now: Timestamp,
) -> BTreeSet<Target> {
    let arn = endpoint.target_group_arn.as_str();
    let here = |address| Target { address, port: endpoint.port };
    let admitted = |target: &Target| admit_over(IpAddr::V4(target.address), usable).is_ok();
    let answered: BTreeSet<Target> = match observed.names.get(arn) {
        Some(Heard::Answer(NameAnswer::Addresses { addresses, .. })) => {
            let v4 = |ip: &IpAddr| match ip {
                IpAddr::V4(ip) => Some(here(*ip)),
                IpAddr::V6(_) => None,
            };
            addresses.iter().filter_map(v4).filter(admitted).collect()
        }
        _ => BTreeSet::new(),
    };
    let Some(memory) = memory else { return answered };
    let good: BTreeSet<Target> = memory.good.iter().map(|g| here(g.address)).collect();
    let owned: BTreeSet<Target> = memory.owned.iter().map(|o| o.target).collect();
    let pinned: BTreeSet<Target> =
        endpoint.pin.iter().filter(|pin| now < pin.until).map(|pin| here(pin.address)).collect();
    // A pin overrules the name.
    let should = if pinned.is_empty() { &answered } else { &pinned };
    let moving = (!should.is_empty() && *should != good) || !owned.is_subset(&good) || memory.candidate.is_some();
    // A demoted primary's successor is looked for in every pass.
    let demoted = memory.proven.is_writer.as_ref().is_some_and(|f| f.reason == Reason::InRecovery);
    // What failed on our side never reached the customer: it is tried again at once.
    let untold = memory.proven.reachable.as_ref().is_none_or(|f| f.status == Status::Unknown);
    if !(moving || demoted || due || untold) {
        return BTreeSet::new();
    }
    answered.into_iter().chain(good).chain(owned).chain(pinned).filter(admitted).collect()
}

/// Whether probes of this endpoint ask the server what it is. Of servers that all serve, none is the writer.
#[must_use]
pub fn asks_the_server(primary: &Primary, endpoint: &Endpoint) -> bool {
    primary.credentials_secret.is_some() && endpoint.role == Role::Writer
}

/// Brings what is said of an endpoint's servers up to date with the probes of this pass. `subjects`: what serves or should,
/// or what the name answers where nothing does.
pub(super) fn note(
    primary: &Primary,
    endpoint: &Endpoint,
    subjects: &[Ipv4Addr],
    observed: &Observed,
    memory: &mut EndpointMemory,
) -> Vec<(ConditionKind, Finding)> {
    let nobody = subjects.is_empty() && memory.good.is_empty() && memory.owned.is_empty();
    if primary.gateway_function.is_none() || nobody {
        memory.proven = Proven::default();
        return Vec::new();
    }
    let who = endpoint.name.as_str();
    let asks = asks_the_server(primary, endpoint);
    let mut proven = Proven::default();
    let here = |address: &Ipv4Addr| Target { address: *address, port: endpoint.port };
    // Another endpoint on one of the servers can be due alone: what it finds is not all that there is to say of this one.
    let all_told = subjects.iter().all(|address| observed.probes.contains_key(&here(address)));
    for address in subjects.iter().filter(|_| all_told) {
        let target = here(address);
        let Some(probe) = observed.probes.get(&target) else { continue };
        worst(&mut proven.reachable, reachable(who, target, probe));
        if asks {
            worst(&mut proven.is_writer, is_writer(who, target, probe));
            worst(&mut proven.replication_ready, replication_ready(who, target, probe));
        }
    }
    if proven.reachable.is_some() {
        memory.proven = proven;
    }
    if !asks {
        (memory.proven.is_writer, memory.proven.replication_ready) = (None, None);
    }
    let waiting = || Some(Finding::unknown(Reason::AwaitingProbe, format!("{who}: the next pass probes it")));
    let known = &memory.proven;
    let found = [
        (ConditionKind::Reachable, known.reachable.clone().or_else(waiting)),
        (ConditionKind::IsWriter, known.is_writer.clone().or_else(waiting).filter(|_| asks)),
        (ConditionKind::ReplicationReady, known.replication_ready.clone().filter(|_| asks)),
    ];
    found.into_iter().filter_map(|(kind, finding)| Some((kind, finding?))).collect()
}

fn worst(known: &mut Option<Finding>, finding: Option<Finding>) {
    let Some(finding) = finding else { return };
    if known.as_ref().is_none_or(|k| k.status != k.status.worse(finding.status)) {
        *known = Some(finding);
    }
}

fn reachable(who: &str, target: Target, probe: &Probe) -> Option<Finding> {
    let yes = Finding::yes(Reason::Reachable, format!("{who}: {target}"));
    Some(match probe {
        Probe::Found(_) => yes,
        Probe::Nothing(Trouble { reason, message }) => match reason {
            Reason::ProbeTimedOut
            | Reason::ConnectionRefused
            | Reason::HostUnreachable
            | Reason::ConnectionClosed
            | Reason::NotPostgres
            | Reason::TlsNotOffered
            | Reason::TlsFailed => Finding::no(*reason, format!("{who}: {target}: {message}")),
            // The server itself said so: it was reached.
            Reason::AuthMethodRefused
            | Reason::ServerNotProven
            | Reason::AuthenticationFailed
            | Reason::TooManyConnections
            | Reason::StartingUp
            | Reason::ServerError => yes,
            _ => Finding::unknown(*reason, format!("{who}: {target}: {message}")),
        },
    })
}

fn is_writer(who: &str, target: Target, probe: &Probe) -> Option<Finding> {
    Some(match probe {
        Probe::Found(probed) => match &probed.server {
            Some(server) if server.in_recovery => Finding::no(Reason::InRecovery, format!("{who}: {target}")),
            Some(_) => Finding::yes(Reason::Writer, format!("{who}: {target}")),
            None => Finding::unknown(
                Reason::ProbeFailed,
                format!("{who}: {target}: the gateway did not say what the server is"),
            ),
        },
        Probe::Nothing(Trouble { reason, message }) => Finding::unknown(*reason, format!("{who}: {target}: {message}")),
    })
}

fn replication_ready(who: &str, target: Target, probe: &Probe) -> Option<Finding> {
    let Probe::Found(probed) = probe else { return None };
    let server: &ServerFacts = probed.server.as_ref()?;
    let no = |reason, what: String| Finding::no(reason, format!("{who}: {target}: {what}"));
    Some(if server.wal_level != "logical" {
        no(Reason::WalLevelNotLogical, format!("wal_level is {}", server.wal_level))
    } else if server.max_replication_slots < server.databases {
        no(
            Reason::TooFewReplicationSlots,
            format!(
                "max_replication_slots is {}, and there are {} databases",
                server.max_replication_slots, server.databases
            ),
        )
    } else if server.max_slot_wal_keep_size_mb < 0 {
        no(Reason::SlotWalUnbounded, "max_slot_wal_keep_size is -1".to_owned())
    } else {
        Finding::yes(Reason::LogicalReplicationReady, format!("{who}: {target}"))
    })
}
