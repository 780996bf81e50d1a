//! Steps 5 and 7: answers that must not be followed.

use stack::Zone;

use crate::failure::Failure;
use crate::layout::{Style, span};
use crate::print::Narrator;
use crate::stage::{FIRST, HOST, OUR_HOST, SECOND, Stage, TTL, listed};

/// The customer's name leads into our own VPC.
pub(super) fn attack(stage: &Stage, say: &mut Narrator) -> Result<(), Failure> {
    say.step("An attack: the customer's name answers an address of our own VPC")?;
    let before = stage.look()?;
    stage.name_answers(Zone::addresses(&[OUR_HOST], TTL));
    say.happened(&format!(
        "{HOST} answers {OUR_HOST}; registered, it would put one of our hosts behind their listener"
    ))?;
    let mark = stage.mark()?;
    let cluster = stage.pass()?;
    let calls = stage.calls_since(mark)?;
    let after = stage.look()?;
    say.watcher(&cluster)?;
    say.targets(&before.targets, &after.targets)?;
    say.conditions(&cluster)?;
    let refused = cluster.ended("blocked", "AddressInsideOurVpc") && cluster.status("AddressAllowed") == "false";
    say.claim("the address is refused by name", refused, || cluster.headline())?;
    let untouched = calls.writes.keys().all(|call| call.starts_with("dynamodb:") || call == "sns:Publish");
    say.claim("no call was made on the load balancer or the routes", untouched, || listed(&calls.writes))?;
    say.claim("the good target stays and serves", before == after, || format!("{after:?}"))?;
    stage.name_answers(Zone::addresses(&[FIRST], TTL));
    let cluster = stage.settle()?;
    say.row("then", &[span(Style::Plain, format!("the name answers {FIRST} again: {}", cluster.headline()))])?;
    say.claim("all is well again by itself", cluster.outcome == "unchanged", || format!("{cluster:?}"))
}

/// The customer's DNS gives no answer at all.
pub(super) fn dns_dies(stage: &Stage, say: &mut Narrator) -> Result<(), Failure> {
    say.step("The customer's DNS dies")?;
    let before = stage.look()?;
    stage.name_answers(Zone::Silent);
    say.happened(&format!("no server answers for {HOST} any more; the watcher asks until its time for that is over"))?;
    let began = say.seconds();
    let cluster = stage.pass()?;
    let took = say.seconds() - began;
    let after = stage.look()?;
    say.watcher(&cluster)?;
    say.targets(&before.targets, &after.targets)?;
    say.conditions(&cluster)?;
    let told = cluster.ended("waiting", "DnsTimedOut") && cluster.status("NameResolves") == "false";
    say.claim("silence is reported as silence", told, || cluster.headline())?;
    let kept = before == after && after.targets.iter().any(|t| t.id == SECOND && t.state == "healthy");
    say.claim("targets stay: a failure to ask takes nothing away", kept, || format!("{after:?}"))?;
    say.claim(
        &format!("the pass took {took:.1} s, inside the 8 s that a cluster's names may take"),
        took < 9.0,
        || format!("{took:.1} s"),
    )?;
    stage.name_answers(Zone::addresses(&[SECOND], TTL));
    Ok(())
}
