//! A freeze in the eyes of a real Patroni, with the shortest times that it takes: it is over before the leader is missed.

use std::thread;
use std::time::Duration;

use lab::{Cluster, ClusterSetup, DataDisk, Flavour, Node as Machine, Writer};

use crate::node::Node;

const SETUP: ClusterSetup = ClusterSetup { flavour: Flavour::Current, net: 76, nodes: 2 };
const TOKEN: &str = "acme.20260925T030000Z.1";

/// A cluster whose nodes have disks of their own. They are off before those go.
struct Production {
    disks: Vec<(String, DataDisk)>,
    cluster: Cluster,
}

impl Production {
    fn start() -> Self {
        let mut disks = Vec::new();
        let with_disk = |machine: &Machine| {
            disks.push((machine.name().to_owned(), DataDisk::of(machine)?));
            Ok(())
        };
        let cluster = Cluster::start_with(SETUP, with_disk).unwrap();
        Self { disks, cluster }
    }
}

impl Drop for Production {
    fn drop(&mut self) {
        self.cluster.nodes().iter().for_each(|machine| machine.power_off().unwrap());
        self.disks.clear();
    }
}

/// Writers wait for as long as a freeze can last, and Patroni looks on: nobody else is promoted, and nothing is lost.
#[test]
fn snapshot_case_8_a_leader_that_is_frozen_for_as_long_as_it_can_be_goes_on_leading() {
    let production = Production::start();
    let cluster = &production.cluster;
    let leader = cluster.leader().unwrap();
    let timeline = || leader.sql("SELECT timeline_id FROM pg_control_checkpoint()").unwrap();
    let (_, disk) = production.disks.iter().find(|(name, _)| name == leader.name()).unwrap();
    let before = timeline();
    let writer = Writer::start(&cluster.nodes().iter().map(Machine::ip).collect::<Vec<_>>()).unwrap();

    let agent = Node::new();
    let _ = writer.gap();
    let frozen = agent.freeze(TOKEN, 5, &[disk.mount()]);
    assert_eq!(frozen.code, 0, "{frozen:?}");
    // Nobody thaws it.
    agent.wait_for(TOKEN, 0, "over");
    let rows = writer.acknowledged();
    for _ in 0..600 {
        if writer.acknowledged() > rows {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let gap = writer.gap();
    assert!(gap > Duration::from_secs(3), "it was frozen: no write for {gap:?}");
    // Another look of Patroni's, and more.
    thread::sleep(Duration::from_secs(5));
    assert_eq!((cluster.leader().unwrap().name(), timeline()), (leader.name(), before));
    let written = writer.stop();
    assert!(written.acknowledged.len() > rows, "it goes on: {:?}", written.interruptions);
    assert_eq!(written.lost().unwrap(), Vec::<u64>::new());
}
