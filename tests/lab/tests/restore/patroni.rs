//! A restored copy in the hands of a real Patroni: what docs/restore.md says of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use lab::{Cluster, ClusterSetup, Flavour, Node, START_TAG};

use crate::production::Folder;
use crate::script::{GUARDED, restore};
use crate::server::run;

const SETUP: ClusterSetup = ClusterSetup { flavour: Flavour::Current, net: 67, nodes: 3 };

/// Restores it where it lies, and lets it go for Patroni.
fn restored(folder: &Folder, data: &Path, system: &str) {
    let dir = data.display().to_string();
    restore(folder, &["--data-dir", &dir, "--system", system]).done();
    assert!(data.join("standby.signal").exists() && !data.join("patroni.dynamic.json").exists());
    restore(folder, &["--check", &dir, "--patroni"]).refused(GUARDED, "Patroni may promote it");
    restore(folder, &["--release", &dir, "--settings"]).done();
    restore(folder, &["--check", &dir, "--patroni"]).done();
}

fn system(node: &Node) -> String {
    node.sql("SELECT system_identifier FROM pg_control_system()").unwrap()
}

/// What our settings would have kept Patroni from.
fn has_none_of_our_settings(node: &Node) {
    let ours = "SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'";
    assert_eq!(node.sql(ours).unwrap(), "0");
    assert_eq!(node.sql("SHOW max_logical_replication_workers").unwrap(), "4");
}

#[test]
fn s7_patroni_makes_a_standby_of_a_released_copy_where_somebody_leads_and_a_leader_where_nobody_does() {
    let folder = Folder::new();
    let cluster = Cluster::start(SETUP).unwrap();
    let leader = cluster.leader().unwrap();
    leader.sql("CREATE TABLE numbered AS SELECT generate_series(1, 100) AS n").unwrap();
    let (made, replica) = (system(leader), cluster.streaming(2).unwrap()[0]);
    replica.power_off().unwrap();
    leader.sql("INSERT INTO numbered VALUES (101)").unwrap();
    restored(&folder, &replica.folder().join("postgres"), &made);
    replica.boot().unwrap();
    assert!(cluster.streaming(2).unwrap().iter().any(|node| node.name() == replica.name()));
    assert_eq!(replica.sql("SELECT pg_is_in_recovery(), count(*) FROM numbered").unwrap(), "t|101");
    has_none_of_our_settings(replica);

    // All is lost but a copy of the leader.
    let leader = cluster.leader().unwrap();
    leader.power_off().unwrap();
    let copy = folder.path().join("copy");
    fs::rename(leader.folder().join("postgres"), &copy).unwrap();
    drop(cluster);
    let mut cluster = Cluster::new(SETUP);
    let node = Node::new(&cluster.next()).unwrap();
    let data = node.folder().join("postgres");
    let mut cp = Command::new("cp");
    cp.args(["-a", "--no-target-directory"]).args([&copy, &data]);
    run(cp).unwrap();
    restored(&folder, &data, &made);
    node.tag(START_TAG, "bootstrap");
    node.boot().unwrap();
    cluster.push(node);
    let leader = cluster.leader().unwrap();
    assert_eq!(system(leader), made);
    assert_eq!(leader.sql("SELECT pg_is_in_recovery(), count(*) FROM numbered").unwrap(), "f|101");
    let timeline = leader.sql("SELECT timeline_id FROM pg_control_checkpoint()").unwrap();
    assert!(timeline.parse::<u32>().unwrap() > 1, "{timeline}");
    has_none_of_our_settings(leader);
}
