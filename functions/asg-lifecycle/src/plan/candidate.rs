//! Invariant L3: who may be asked to lead.

use domain::spec::Nodes;
use ports::LifecycleState;

use super::digest::{Digest, Node};
use crate::observed::{Part, Settings};

/// The best candidate to lead in the place of `leader`; or why there is none, node by node.
///
/// # Errors
/// Each node that stays, and what speaks against it.
pub fn choose<'d, 'a>(
    digest: &'d Digest<'a>,
    nodes: &Nodes,
    settings: Option<Settings>,
    leader: &str,
) -> Result<&'d Node<'a>, String> {
    let mut objections = Vec::new();
    let mut fit: Vec<(bool, u64, &Node<'_>)> = Vec::new();
    for node in digest.nodes.values().filter(|node| node.id != leader && !node.leaves) {
        match objection(digest, nodes, settings, node) {
            None => {
                let synchronous = node.member.is_some_and(|m| m.part == Part::Replica { synchronous: true });
                fit.push((!synchronous, digest.lag(node).unwrap_or(u64::MAX), node));
            }
            Some(objection) => objections.push(format!("{}: {objection}", node.id)),
        }
    }
    // Synchronous ones first, then the one that is least behind.
    fit.sort_by_key(|(asynchronous, lag, node)| (*asynchronous, *lag, node.id));
    match fit.into_iter().next() {
        Some((_, _, node)) => Ok(node),
        None if objections.is_empty() => Err("no other node stays".to_owned()),
        None => Err(objections.join("; ")),
    }
}

fn objection(digest: &Digest<'_>, nodes: &Nodes, settings: Option<Settings>, node: &Node<'_>) -> Option<String> {
    if !node.stays() || node.state != Some(LifecycleState::InService) {
        return Some("it is not in service".to_owned());
    }
    let Some(member) = node.member else { return Some("it is no member of the Patroni cluster".to_owned()) };
    if member.nofailover {
        return Some("it is tagged nofailover, or has a failover_priority of zero".to_owned());
    }
    match node.postgres {
        None => return Some("its Patroni does not answer".to_owned()),
        Some(postgres) if postgres.cut_off => return Some("it has lost its way to the DCS".to_owned()),
        Some(_) => {}
    }
    if !digest.follows(node) {
        return Some(format!("it does not stream on the leader's timeline ({})", member.state));
    }
    match digest.lag(node) {
        None => return Some("how far it is behind is not known".to_owned()),
        Some(lag) if lag > nodes.max_lag_bytes => {
            return Some(format!("it is {lag} bytes behind, and max_lag_bytes is {}", nodes.max_lag_bytes));
        }
        Some(_) => {}
    }
    match settings {
        None => Some("whether commits wait for standbys is not known".to_owned()),
        Some(settings) if settings.synchronous && member.part != (Part::Replica { synchronous: true }) => {
            Some("commits wait for standbys, and it is none of them".to_owned())
        }
        Some(_) => None,
    }
}
