//! Clusters with either Patroni, and the client that writes.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "real servers take real time")]

use std::time::Instant;

use lab::{Cluster, ClusterSetup, Flavour, Node, Writer};

/// A cluster of three, a client that writes, and a switchover by hand.
fn switchover_by_hand(flavour: Flavour) {
    let (started, version) = (Instant::now(), flavour.version().unwrap());
    let cluster = Cluster::start(ClusterSetup { flavour, net: 61, nodes: 3 }).unwrap();
    println!("{version}: a cluster of three in {:.1?}", started.elapsed());
    let members = cluster.nodes()[0].etcd().members().unwrap();
    assert_eq!(members.iter().filter(|member| !member.learner).count(), 3, "{members:?}");
    let addresses: Vec<_> = cluster.nodes().iter().map(Node::ip).collect();
    let writer = Writer::start(&addresses).unwrap();
    let leader = cluster.leader().unwrap();
    let candidate = cluster.streaming(2).unwrap()[0];

    let said = leader.patroni().switchover(leader.name(), candidate.name()).unwrap();
    assert_eq!(said.status, 200, "{said:?}");
    assert_eq!(cluster.leader().unwrap().name(), candidate.name());
    // The old leader follows the new one.
    cluster.streaming(2).unwrap();
    let written = writer.stop();
    let (rows, gap) = (written.acknowledged.len(), written.longest_gap);
    println!("{version}: no writes for {gap:.1?} by a switchover by hand; {rows} rows acknowledged");
    assert!(rows > 10 && !written.interruptions.is_empty(), "{written:?}");
    assert_eq!(written.lost().unwrap(), Vec::<u64>::new());
    // It would have seen a loss.
    let row = written.acknowledged[rows / 2];
    candidate.sql(&format!("DELETE FROM numbered WHERE n = {row}")).unwrap();
    assert_eq!(written.lost().unwrap(), [row]);
}

#[test]
fn a_switchover_by_hand_loses_no_row_with_debians_patroni() {
    switchover_by_hand(Flavour::Debian);
}

#[test]
fn a_switchover_by_hand_loses_no_row_with_the_current_patroni() {
    switchover_by_hand(Flavour::Current);
}
