//! Steps 1 to 4: from the spec to a primary that is served.

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::layout::{Style, span};
use crate::print::Narrator;
use crate::stage::{ACME, FIRST, FIRST_CHECKS, HOST, PORT, Stage, listed, pause, states};

/// The operator registers the cluster; the first try has mistakes in it.
pub(super) fn register(stage: &Stage, say: &mut Narrator) -> Result<(), Failure> {
    say.step(&format!("The operator registers {ACME}"))?;
    say.happened("the operator writes a spec in a hurry and puts it:")?;
    say.command("cargo lambda invoke cluster-registry --data-ascii '{\"put\": <spec>}'")?;
    let mut hasty = stage.spec()?;
    let spoiled = [
        (
            "/primary/endpoints/0",
            json!({"name": "postgres", "hots": HOST, "port": 70_000, "target_group_arn": stage.arn()}),
        ),
        ("/primary/peerings/0/peer_account", json!("1111")),
        ("/primary/peerings/0/allowed_cidrs", json!(["10.9.0.5/16"])),
    ];
    for (pointer, value) in spoiled {
        if let Some(place) = hasty.pointer_mut(pointer) {
            *place = value;
        }
    }
    let mark = stage.mark()?;
    let refused = stage.ask(&json!({"put": hasty}))?;
    let errors = refused.get("errors").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |error: &Value, field: &str| error.get(field).and_then(Value::as_str).unwrap_or("?").to_owned();
    say.row("registry", &[span(Style::Bad, "refused"), span(Style::Plain, ", every problem at once:")])?;
    for error in &errors {
        let spans =
            [span(Style::Name, text(error, "path")), span(Style::Plain, format!(": {}", text(error, "problem")))];
        say.row("", &spans)?;
    }
    let wrote = stage.calls_since(mark)?.writes;
    say.happened("the operator corrects it and puts it again")?;
    let answer = stage.ask(&json!({"put": stage.spec()?}))?;
    say.row("registry", &[span(Style::Good, "accepted"), span(Style::Plain, format!(" {answer}"))])?;
    let mut paths: Vec<String> = errors.iter().map(|error| text(error, "path")).collect();
    paths.sort();
    let expected = [
        "primary.endpoints[0].host",
        "primary.endpoints[0].hots",
        "primary.endpoints[0].port",
        "primary.peerings[0].allowed_cidrs[0]",
        "primary.peerings[0].peer_account",
    ];
    say.claim("five problems in one answer, each with its path", paths == expected, || refused.to_string())?;
    let offered = errors.iter().any(|e| text(e, "path").ends_with("hots") && text(e, "problem").contains("`host`"));
    say.claim("the nearest known field is offered for the unknown one", offered, || refused.to_string())?;
    say.claim("nothing was stored of the bad spec", wrote.is_empty(), || listed(&wrote))?;
    let stored = answer.get("ok") == Some(&json!(true)) && answer.get("generation") == Some(&json!(1));
    say.claim("the good one is generation 1", stored, || answer.to_string())
}

/// Nobody has accepted the peering yet.
pub(super) fn pending(stage: &Stage, say: &mut Narrator) -> Result<(), Failure> {
    say.step("The peering is requested, and the customer has not accepted it yet")?;
    let before = stage.look()?;
    let id = &stage.cluster()?.connection_id;
    say.happened(&format!("{id} is pending-acceptance; the schedule wakes the watcher"))?;
    say.command(&format!("cargo lambda invoke peering-watcher --data-ascii '{{\"cluster\": \"{ACME}\"}}'"))?;
    let cluster = stage.pass()?;
    let after = stage.look()?;
    say.watcher(&cluster)?;
    say.targets(&before.targets, &after.targets)?;
    say.routes(&before.routes, &after.routes)?;
    say.conditions(&cluster)?;
    let waits = cluster.ended("waiting", "PendingAcceptance") && cluster.message.contains(id.as_str());
    say.claim("it waits, and says for whom", waits, || cluster.headline())?;
    let nothing = after.targets.is_empty() && after.routes.is_empty() && cluster.actions.is_empty();
    say.claim("nothing is registered or routed before the customer agrees", nothing, || format!("{after:?}"))
}

/// The customer accepts.
pub(super) fn accepted(stage: &Stage, say: &mut Narrator) -> Result<(), Failure> {
    say.step("The customer accepts")?;
    let before = stage.look()?;
    stage.peering("active")?;
    say.happened(&format!("the peering becomes active; {HOST} answers {FIRST}"))?;
    let cluster = stage.pass()?;
    let after = stage.look()?;
    say.watcher(&cluster)?;
    say.targets(&before.targets, &after.targets)?;
    say.routes(&before.routes, &after.routes)?;
    say.conditions(&cluster)?;
    let did = cluster.did(&["CreateRoute", "RegisterTarget"]) && cluster.ended("changed", "PrimaryRegistered");
    say.claim("route and primary come in the very pass that sees the acceptance", did, || format!("{cluster:?}"))?;
    let id = stage.cluster()?.connection_id.as_str();
    let routed = matches!(after.routes.as_slice(), [r] if r.target.as_deref() == Some(id) && r.state == "active");
    say.claim("the route leads to the peering", routed, || format!("{:?}", after.routes))?;
    let there =
        matches!(after.targets.as_slice(), [t] if t.id == FIRST && t.port == PORT && t.zone.as_deref() == Some("all"));
    say.claim("the target is the name's address, in zone `all` as AWS wants it for a peer", there, || {
        format!("{:?}", after.targets)
    })
}

/// The load balancer's first checks pass, and then nothing happens.
pub(super) fn settled(stage: &Stage, say: &mut Narrator) -> Result<(), Failure> {
    say.step("It settles")?;
    let before = stage.look()?;
    pause(FIRST_CHECKS);
    say.happened("the load balancer finishes its first health checks, and the watcher looks until all is well")?;
    stage.settle()?;
    let mark = stage.mark()?;
    let cluster = stage.pass()?;
    let calls = stage.calls_since(mark)?;
    let after = stage.look()?;
    say.watcher(&cluster)?;
    say.targets(&before.targets, &after.targets)?;
    say.conditions(&cluster)?;
    say.row("calls", &[span(Style::Plain, format!("of this pass: {}", listed(&calls.reads)))])?;
    let settled = cluster.ended("unchanged", "Settled") && cluster.conditions.values().all(|c| c.status == "true");
    say.claim("every condition holds", settled, || format!("{cluster:?}"))?;
    let healthy = states(&after.targets) == [format!("{FIRST}:{PORT} healthy")];
    say.claim("the primary is served", healthy, || format!("{:?}", after.targets))?;
    say.claim("a settled pass makes no mutating call, not even to our own table", calls.writes.is_empty(), || {
        listed(&calls.writes)
    })
}
