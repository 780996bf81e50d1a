//! Steps 8 and 9: the peering's end, and what an operator sees of it all.

use serde_json::Value;

use crate::failure::Failure;
use crate::layout::{Style, span};
use crate::print::Narrator;
use crate::stage::{ACME, SECOND, Stage};

/// The customer deletes the peering.
pub(super) fn peering_deleted(stage: &Stage, say: &mut Narrator) -> Result<(), Failure> {
    say.step("The customer deletes the peering")?;
    let cluster = stage.settle()?;
    say.claim("DNS is back and all is well before it", cluster.outcome == "unchanged", || format!("{cluster:?}"))?;
    let (before, told) = (stage.look()?, stage.aws().notices()?.len());
    stage.peering("deleted")?;
    say.happened(&format!(
        "{} is deleted: what is behind it can never be reached again",
        stage.cluster()?.connection_id
    ))?;
    let cluster = stage.pass()?;
    let after = stage.look()?;
    say.watcher(&cluster)?;
    say.targets(&before.targets, &after.targets)?;
    say.routes(&before.routes, &after.routes)?;
    say.conditions(&cluster)?;
    let notices: Vec<Value> = stage.aws().notices()?.iter().skip(told).map(|notice| notice.json()).collect();
    let field = |notice: &Value, name: &str| notice.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
    if let Some((first, others)) = notices.split_first() {
        say.row("SNS notice", &[span(Style::Plain, spaced(first))])?;
        let others: Vec<String> = others.iter().map(|notice| field(notice, "condition")).collect();
        say.row("", &[span(Style::Plain, format!("and one each for {}", others.join(", ")))])?;
    }
    let did = cluster.did(&["DeregisterTarget", "DeleteRoute"]);
    say.claim("the target leaves first, then the route that we made", did, || format!("{cluster:?}"))?;
    let gone = after.routes.is_empty() && after.targets.iter().all(|t| t.id == SECOND && t.state == "draining");
    say.claim("nothing is left but the drain", gone, || format!("{after:?}"))?;
    let said = notices.iter().any(|n| field(n, "condition") == "PeeringAccepted" && field(n, "to") == "false");
    say.claim("the operator was told", said, || format!("{notices:?}"))
}

/// A notice as it was published, with blanks where a line may be broken.
fn spaced(notice: &Value) -> String {
    let fields = notice.as_object().into_iter().flatten();
    let fields: Vec<String> = fields.map(|(name, value)| format!("\"{name}\": {value}")).collect();
    format!("{{{}}}", fields.join(", "))
}

/// What `make status` prints.
pub(super) fn status(stage: &Stage, say: &mut Narrator) -> Result<(), Failure> {
    say.step("The operator looks")?;
    say.happened("the operator wants to know what became of it")?;
    say.command(&format!("make status CLUSTER={ACME}"))?;
    let table = stage.status()?;
    say.blank()?;
    say.verbatim(&table)?;
    say.blank()?;
    let line = |condition: &str| table.lines().find(|line| line.starts_with(condition)).unwrap_or_default();
    let why = line("PeeringAccepted").contains("false") && line("PeeringAccepted").contains("Deleted");
    say.claim("the table names the condition that fails, and why", why && table.contains("Remedy:"), || table.clone())?;
    let audited =
        ["RegisterTarget", "DeregisterTarget", "CreateRoute", "DeleteRoute"].iter().all(|a| table.contains(a));
    say.claim("and who did what", audited, || table.clone())
}
