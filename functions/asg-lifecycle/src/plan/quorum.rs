//! Invariant L2: when a member may leave etcd.

use domain::spec::nodes::Etcd as Spec;
use reach::gateway::EtcdMember;

use super::digest::{Etcd, Up};

/// The fewest voters that a cluster is left with, unless it is decommissioned: one voter alone bears no failure, and two of
/// two bear none either, but lose nothing when one of them is replaced.
const LEAST: usize = 2;

/// Whether `member`, whose machine is `up`, may be removed; or why not. As many others must stay as the spec's voters less
/// one, so that a second one goes only once the first was replaced.
///
/// # Errors
/// Why not, for a person.
pub fn may_remove(spec: &Spec, etcd: &Etcd<'_>, member: &EtcdMember, up: Up, decommission: bool) -> Result<(), String> {
    if member.learner {
        return Ok(());
    }
    let voters: Vec<_> = etcd.voters().collect();
    let others: Vec<_> = voters.iter().filter(|m| m.id != member.id).collect();
    let well = others.iter().filter(|m| etcd.is_well(m)).count();
    if up == Up::Dead {
        // It answers no more, and counts against the quorum as long as it is in the list: the sooner it goes the better.
        let quorum = voters.len() / 2 + 1;
        return if well >= quorum || (decommission && well == others.len()) {
            Ok(())
        } else {
            Err(format!("only {well} of {} voters answer, and {quorum} make a quorum", voters.len()))
        };
    }
    if well < others.len() {
        let ill: Vec<&str> = others.iter().filter(|m| !etcd.is_well(m)).map(|m| m.name.as_str()).collect();
        return Err(format!("not all other voters answer: {}", ill.join(", ")));
    }
    let least = LEAST.max(usize::from(spec.voters).saturating_sub(1));
    if decommission || others.len() >= least {
        return Ok(());
    }
    Err(format!(
        "{} voters would be left of the {} that the spec asks for, and {least} must be",
        others.len(),
        spec.voters
    ))
}
