//! Steps 10 to 12: AWS takes the leader of a cluster out, while a client writes.

use lab::{Flavour, Writer};
use serde_json::json;

use crate::failure::Failure;
use crate::fleet::{Coming, Fleet, GROUP, HOOK};
use crate::layout::{Style, span};
use crate::print::{Narrator, outcome};
use crate::stage::{ACME, pause};

/// Seconds between two passes.
const GAP: f64 = 0.7;
/// More passes than it can take.
const MOST_PASSES: usize = 40;

/// The leader leaves, and what remains goes on; or, where real nodes cannot be had, what is left out and why.
pub(super) fn leaving(coming: Coming, say: &mut Narrator) -> Result<Option<Fleet>, Failure> {
    let fleet = match coming.come()? {
        Ok(fleet) => fleet,
        Err(why) => {
            say.heading("", "Left out: the leader of a real cluster leaves, and a restore point becomes a cluster")?;
            say.text(Style::Pending, &format!("It needs root, PostgreSQL, Patroni and etcd: {why}"))?;
            return Ok(None);
        }
    };
    in_service(&fleet, say)?;
    let writer = Writer::start(&fleet.nodes().nodes().iter().map(lab::Node::ip).collect::<Vec<_>>())?;
    let left = leader_leaves(&fleet, say)?;
    nothing_is_lost(&fleet, say, writer, &left)?;
    Ok(Some(fleet))
}

/// What became of the one that left.
struct Left {
    name: String,
    instance_id: String,
    /// What ran on its machine when the hook was answered.
    ran: Vec<String>,
}

fn in_service(fleet: &Fleet, say: &mut Narrator) -> Result<(), Failure> {
    say.step("Another cluster: three real nodes in an Auto Scaling group")?;
    let (leader, nodes) = (fleet.nodes().leader()?, fleet.nodes().nodes());
    let version = Flavour::Current.version()?;
    let each: Vec<String> = nodes.iter().map(|node| format!("{} {}", node.name(), node.ip())).collect();
    say.row("nodes", &[span(Style::Name, each.join("  "))])?;
    let told =
        format!("each with etcd, {version} and PostgreSQL as processes of this machine; {} leads", leader.name());
    say.row("", &[span(Style::Plain, told)])?;
    say.happened(&format!(
        "the operator puts a spec with `nodes` (group {GROUP}, hook {HOOK}), and the function looks"
    ))?;
    let answer = fleet.put()?;
    say.claim("the registry takes it", answer.get("ok") == Some(&json!(true)), || answer.to_string())?;
    let mut cluster = fleet.pass(&json!({"cluster": ACME}))?;
    if cluster.outcome != "unchanged" {
        cluster = fleet.pass(&json!({"cluster": ACME}))?;
    }
    say.row("lifecycle", &[outcome(&cluster)])?;
    say.conditions(&cluster)?;
    let well = cluster.conditions.values().all(|condition| condition.status == "true");
    say.claim("group, Patroni and etcd are as they must be", well, || format!("{cluster:?}"))?;
    let protected = fleet.aws().instance(leader.instance_id())?.is_some_and(|row| row.protected);
    say.claim("the leader is protected from scale-in", protected, || leader.name().to_owned())
}

fn leader_leaves(fleet: &Fleet, say: &mut Narrator) -> Result<Left, Failure> {
    say.step("AWS takes the leader out")?;
    let leader = fleet.nodes().leader()?;
    fleet.aws().terminate(leader.instance_id())?;
    say.happened(&format!(
        "the group terminates {} ({}), and a client writes a row every few milliseconds. Each line is a pass, the first \
         woken by the event, the others by the schedule",
        leader.name(),
        leader.instance_id()
    ))?;
    let began = say.seconds();
    let mut payload = event_of(fleet, leader.instance_id())?;
    let mut verbs: Vec<String> = Vec::new();
    let mut last = String::new();
    for number in 1..=MOST_PASSES {
        let cluster = fleet.pass(&payload)?;
        payload = json!({"cluster": ACME});
        let done: Vec<_> = cluster.actions.iter().filter(|action| action.verb != "Heartbeat").collect();
        let headline = format!("{} {}", cluster.outcome, cluster.reason);
        // A pass that waits for what the one before waited for says nothing new.
        if !done.is_empty() || headline != last {
            let at = format!("{:>7}  ", format!("+{:.1} s", say.seconds() - began));
            say.row(&format!("pass {number}"), &[span(Style::Faint, at), outcome(&cluster)])?;
        }
        for action in &done {
            let result = action.result();
            let style = if result == "done" { Style::Good } else { Style::Bad };
            let on = format!(" {} {}", action.verb, fleet.named(&action.on)?);
            say.row("", &[span(Style::Plain, " ".repeat(9)), span(style, result), span(Style::Plain, on)])?;
        }
        verbs.extend(done.iter().map(|action| action.verb.clone()));
        last = headline;
        let answered = fleet.action()?.is_some_and(|action| action.result.is_some());
        if answered || cluster.outcome == "blocked" {
            break;
        }
        pause(GAP);
    }
    let ran = leader.processes();
    let action = fleet.action()?;
    // EC2 ends the machine.
    leader.power_off()?;
    let order: Vec<&str> = verbs.iter().map(String::as_str).filter(|verb| ORDER.contains(verb)).collect();
    say.claim(
        "readers first, then another node leads, then the writers, PostgreSQL stops, etcd lets it go, and last the answer",
        order == ORDER,
        || format!("{verbs:?}"),
    )?;
    let right = action.as_ref().is_some_and(|action| action.result.as_deref() == Some("CONTINUE"));
    say.claim(&format!("the hook was answered CONTINUE {:.1} s after it began", say.seconds() - began), right, || {
        format!("{action:?}")
    })?;
    Ok(Left { name: leader.name().to_owned(), instance_id: leader.instance_id().to_owned(), ran })
}

/// What is done for a leader, once each but for the moves of etcd's lead, which are not always needed.
const ORDER: [&str; 6] = ["DeregisterNode", "Switchover", "DeregisterNode", "StopNode", "RemoveEtcdMember", "Continue"];

/// The event of an instance that waits in the hook.
fn event_of(fleet: &Fleet, instance_id: &str) -> Result<serde_json::Value, Failure> {
    for _ in 0..50 {
        let events = fleet.aws().events_since(0)?.into_iter().map(|row| row.event);
        let of = |event: &serde_json::Value| event.pointer("/detail/EC2InstanceId").is_some_and(|id| id == instance_id);
        if let Some(event) = events.into_iter().rfind(of) {
            return Ok(event);
        }
        pause(0.1);
    }
    let problem = format!("no event of {instance_id} came");
    Err(Failure::Program { program: "tests/aws".to_owned(), problem })
}

fn nothing_is_lost(fleet: &Fleet, say: &mut Narrator, writer: Writer, left: &Left) -> Result<(), Failure> {
    say.step("What the client saw of it")?;
    let leader = fleet.nodes().leader()?;
    let gap = writer.gap();
    pause(0.5);
    let written = writer.stop();
    let (rows, lost) = (written.acknowledged.len(), written.lost()?);
    say.row(
        "client",
        &[span(Style::Plain, format!("{rows} rows acknowledged; no write for {:.1} s at most", gap.as_secs_f64()))],
    )?;
    say.row("leader", &[span(Style::Name, format!("{} leads, in the place of {}", leader.name(), left.name))])?;
    say.claim(&format!("of {rows} acknowledged rows none is lost"), rows > 0 && lost.is_empty(), || {
        format!("{lost:?}")
    })?;
    say.claim("another node leads", leader.name() != left.name, || leader.name().to_owned())?;
    let postgres_ran = left.ran.iter().any(|process| process == "postgres" || process == "patroni");
    say.claim("PostgreSQL and Patroni had stopped before the machine was let go", !postgres_ran, || {
        format!("{:?}", left.ran)
    })?;
    let members = leader.etcd().members()?;
    say.claim("etcd has two voters, which agree", members.len() == 2, || format!("{members:?}"))?;
    for endpoint in ["writer", "reader"] {
        let targets = fleet.aws().targets(&fleet.arn(endpoint)?)?;
        let gone = !targets.iter().any(|target| target.id == left.instance_id);
        let claim =
            format!("{} targets of the {endpoint}s' group serve, and {} is none of them", targets.len(), left.name);
        say.claim(&claim, gone && targets.len() == 2, || format!("{targets:?}"))?;
    }
    Ok(())
}
