//! A node's own systemctl, as a command by SSM finds it.
#![cfg(test)]

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use lab::{Cluster, ClusterSetup, Flavour, Node};

fn run(node: &Node, script: &str) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = node.run(script).unwrap();
    (status.code(), [stdout, stderr].map(|text| String::from_utf8(text).unwrap()).concat().trim().to_owned())
}

fn said(code: i32, text: &str) -> (Option<i32>, String) {
    (Some(code), text.to_owned())
}

#[test]
fn commands_stop_start_and_ask_after_the_units_of_their_node_alone() {
    let cluster = Cluster::start(ClusterSetup { flavour: Flavour::Debian, net: 65, nodes: 1 }).unwrap();
    let others = Cluster::start(ClusterSetup { flavour: Flavour::Debian, net: 65, nodes: 1 }).unwrap();
    let (node, other) = (cluster.leader().unwrap(), others.leader().unwrap());

    assert_eq!(run(node, "systemctl is-active patroni"), said(0, "active"));
    assert_eq!(run(node, "systemctl is-active --quiet etcd.service"), said(0, ""));
    let (code, status) = run(node, "systemctl status patroni");
    assert!(code == Some(0) && status.contains("Active: active"), "{status}");
    assert_eq!(run(node, "systemctl is-active nothing"), said(3, "inactive"));
    assert_eq!(run(node, "systemctl start nothing"), said(5, "Unit nothing.service could not be found."));
    // Two nodes' servers run on this machine, each with one postmaster and its children.
    let (_, ours) = run(node, "pgrep -x postgres");
    let (_, theirs) = run(other, "pgrep -x postgres");
    assert!(!ours.is_empty() && !theirs.is_empty());
    assert!(ours.lines().all(|pid| theirs.lines().all(|other| other != pid)), "{ours}\n{theirs}");

    // As the function stops a node. Stopping it again is no error.
    let stop = "systemctl stop patroni; systemctl is-active patroni; pgrep -x postgres >/dev/null || echo stopped";
    assert_eq!(run(node, stop), said(0, "inactive\nstopped"));
    assert_eq!(run(node, stop), said(0, "inactive\nstopped"));
    assert!(node.processes().contains(&"etcd".to_owned()), "{:?}", node.processes());
    assert!(node.sql("SELECT 1").is_err() && other.sql("SELECT 1").is_ok());
    // Whoever started a unit may end; the unit goes on.
    assert_eq!(run(node, "systemctl start patroni; systemctl is-active patroni"), said(0, "active"));
    assert_eq!(cluster.leader().unwrap().name(), node.name());

    // Without a chance to stop PostgreSQL.
    assert_eq!(run(node, "systemctl kill --kill-whom=main -s KILL patroni").0, Some(0));
    let failed = "until [ \"$(systemctl is-active patroni)\" = failed ]; do sleep 0.05; done; pgrep -x postgres >/dev/null && echo runs";
    assert_eq!(run(node, failed), said(0, "runs"));
    node.power_off().unwrap();
    assert_eq!(node.processes(), Vec::<String>::new());
    assert!(other.sql("SELECT 1").is_ok());

    // Nothing of a node outlives its holder.
    let (folder, ip) = (other.folder().display().to_string(), other.ip());
    drop(others);
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path().join("cwd")).ok());
    assert_eq!(processes.filter(|cwd| cwd.display().to_string().starts_with(&folder)).count(), 0);
    assert!(!Path::new(&folder).exists());
    assert!(TcpListener::bind((ip, 0)).is_err(), "the address is gone");
}
