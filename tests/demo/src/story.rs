//! The story: nine steps in the life of one cluster, three in which the leader of another leaves, and two in which that one is
//! lost and restored.

mod arrival;
mod end;
mod failover;
mod leaving;
mod restoring;
mod trouble;

use crate::failure::Failure;
use crate::fleet::Coming;
use crate::layout::{Style, span};
use crate::print::Narrator;
use crate::stage::{HOST, OUR_BLOCK, PEER_BLOCK, Stage, listed};

/// Tells it. Whatever it starts has ended when it returns.
pub(crate) fn tell(say: &mut Narrator) -> Result<(), Failure> {
    say.heading("", "Pilothouse: one cluster, from registration to the end of its peering")?;
    say.text(
        Style::Plain,
        "The functions are their real binaries under Lambda's Runtime API, invoked by cargo-lambda. AWS (moto), the \
         customer's DNS and databases are emulated on this machine; the last steps have real database nodes. Each ✓ \
         was checked.",
    )?;
    // Real nodes take their time to come up, beside the first steps.
    let coming = Coming::begin();
    let stage = Stage::set()?;
    let (made, cluster) = (stage.made(), stage.cluster()?);
    let ours = format!("account {}  {}  {OUR_BLOCK}", made.account, made.vpc_id);
    let theirs = format!("account {}  {}  {PEER_BLOCK}  {HOST}", cluster.peer_account, cluster.peer_vpc);
    say.row("we", &[span(Style::Name, ours)])?;
    say.row("customer", &[span(Style::Name, theirs)])?;

    arrival::register(&stage, say)?;
    arrival::pending(&stage, say)?;
    arrival::accepted(&stage, say)?;
    arrival::settled(&stage, say)?;
    trouble::attack(&stage, say)?;
    failover::failover(&stage, say)?;
    trouble::dns_dies(&stage, say)?;
    end::peering_deleted(&stage, say)?;
    end::status(&stage, say)?;
    if let Some(fleet) = leaving::leaving(coming, say)? {
        restoring::restoring(fleet, say)?;
    }
    summary(&stage, say)
}

fn summary(stage: &Stage, say: &mut Narrator) -> Result<(), Failure> {
    let calls = stage.calls_since(0)?;
    let (table, aws) = calls.writes.into_iter().partition(|(name, _)| name.starts_with("dynamodb:"));
    let (steps, claims) = say.tally();
    let seconds = say.seconds();
    say.heading("", "Summary")?;
    let told = format!("{steps} steps, {claims} checks, {} passes of the watcher, {seconds:.1} s", stage.passes());
    say.row("told", &[span(Style::Good, told)])?;
    say.row("AWS reads", &[span(Style::Plain, listed(&calls.reads))])?;
    say.row("AWS writes", &[span(Style::Plain, listed(&aws))])?;
    say.row("our table", &[span(Style::Plain, listed(&table))])
}
