//! Nodes leave a cluster in which a client writes all the time, and the real function looks after them.

use std::io::Write as _;
use std::time::Duration;

use lab::{Flavour, Node, Writer};
use serde_json::Value;
use stack::{ActionRow, Group};

use crate::stage::{Stage, hooks};

/// How the node's last action at the terminate hook ended.
fn answer(stage: &Stage, instance_id: &str) -> Option<ActionRow> {
    let mut actions = stage.stack.actions().unwrap().into_iter();
    actions.rfind(|action| action.instance_id == instance_id && action.hook == "acme-terminate")
}

fn is_answered(stage: &Stage, instance_id: &str) -> bool {
    answer(stage, instance_id).is_some_and(|action| action.result.is_some())
}

fn in_service(stage: &Stage, instance_id: &str) -> bool {
    stage.stack.instance(instance_id).unwrap().is_some_and(|row| row.state.as_deref() == Some("InService"))
}

/// These leave, each for a replacement that joins. Gives how long nothing could be written.
fn leave(stage: &mut Stage, writer: &Writer, leavers: &[String]) -> Duration {
    let spares: Vec<String> = leavers.iter().map(|_| stage.spare()).collect();
    for node in stage.cluster.nodes().iter().filter(|node| spares.iter().any(|spare| spare == node.instance_id())) {
        writer.add(node.ip());
    }
    let _ = writer.gap();
    for leaver in leavers {
        stage.stack.terminate(leaver).unwrap();
    }
    stage.until("all to be answered and replaced", |stage, _| {
        let answered = leavers.iter().all(|leaver| is_answered(stage, leaver));
        answered && spares.iter().all(|spare| in_service(stage, spare))
    });
    stage.until("them to end", |stage, _| leavers.iter().all(|leaver| stage.ended.contains_key(leaver)));
    let gap = writer.gap();
    for leaver in leavers {
        let action = answer(stage, leaver).unwrap();
        assert_eq!(action.result.as_deref(), Some("CONTINUE"), "{action:?}");
        // L1: when its machine ended, neither Patroni nor PostgreSQL nor etcd ran on it any more.
        assert_eq!(stage.ended[leaver], Vec::<String>::new(), "{leaver}");
    }
    let leader = stage.cluster.leader().unwrap();
    let members = leader.etcd().members().unwrap();
    assert_eq!(members.iter().filter(|member| !member.learner).count(), 3, "{members:?}");
    stage.cluster.streaming(2).unwrap();
    gap
}

fn id_of(node: &Node) -> String {
    node.instance_id().to_owned()
}

fn terminations(flavour: Flavour, net: u8) {
    let version = flavour.version().unwrap();
    let mut stage = Stage::set(flavour, net).with_functions();
    let nodes: Vec<_> = stage.cluster.nodes().iter().map(Node::ip).collect();
    let writer = Writer::start(&nodes).unwrap();

    let (leader, candidate) = (stage.cluster.leader().unwrap(), stage.cluster.streaming(2).unwrap()[0]);
    let _ = writer.gap();
    let said = leader.patroni().switchover(leader.name(), candidate.name()).unwrap();
    assert_eq!(said.status, 200, "{said:?}");
    stage.cluster.streaming(2).unwrap();
    let by_hand = writer.gap();

    let replica = id_of(stage.cluster.streaming(2).unwrap()[0]);
    let of_a_replica = leave(&mut stage, &writer, &[replica]);
    let leader = id_of(stage.cluster.leader().unwrap());
    let of_the_leader = leave(&mut stage, &writer, &[leader]);
    let both = [id_of(stage.cluster.leader().unwrap()), id_of(stage.cluster.streaming(2).unwrap()[0])];
    let of_two = leave(&mut stage, &writer, &both);

    let before = writer.acknowledged();
    let last = the_last_healthy_one_is_retained(&mut stage);
    assert!(writer.acknowledged() > before, "it serves on");
    let written = writer.stop();
    let rows = written.acknowledged.len();
    // Past the harness, which shows only what failing tests print: these figures are for everybody to see.
    let told = format!(
        "{version}: {rows} rows acknowledged; no writes for {by_hand:.1?} by a switchover by hand, {of_a_replica:.1?} while a replica left, \
         {of_the_leader:.1?} while the leader left, {of_two:.1?} while the leader and a replica left at once\n"
    );
    std::io::stdout().write_all(told.as_bytes()).unwrap();
    assert_eq!(written.lost().unwrap(), Vec::<u64>::new());
    drop(last);
}

/// The others do not stream any more, so the leader's end would be the data's.
fn the_last_healthy_one_is_retained(stage: &mut Stage) -> Value {
    // What is unsafe is waited for, for half of the hook's time-out.
    let (hooks, replacements) = (Some(hooks(60)), Some("never".to_owned()));
    stage.group(Group { hooks, replacements, ..Group::default() });
    let leader = id_of(stage.cluster.leader().unwrap());
    for replica in stage.cluster.streaming(2).unwrap() {
        replica.systemctl(&["stop", "patroni"]).unwrap();
    }
    stage.stack.terminate(&leader).unwrap();
    let report = stage.until("it to be retained", |stage, _| {
        let row = stage.row(&leader);
        assert_eq!(row.ec2_state, "running", "{row:?}");
        row.state.as_deref() == Some("Terminating:Retained")
    });
    assert_eq!(answer(stage, &leader).unwrap().result.as_deref(), Some("ABANDON"));
    assert_eq!(id_of(stage.cluster.leader().unwrap()), leader);
    report
}

#[test]
fn no_acknowledged_row_is_lost_when_nodes_end_with_debians_patroni() {
    terminations(Flavour::Debian, 67);
}

#[test]
fn no_acknowledged_row_is_lost_when_nodes_end_with_the_current_patroni() {
    terminations(Flavour::Current, 68);
}
