//! A node starts when it is granted to, by the script of a real node.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "real servers take real time")]

use std::os::unix::fs::{MetadataExt, chown};
use std::time::{Duration, Instant};
use std::{fs, thread};

use lab::{Cluster, ClusterSetup, EtcdMember, Flavour, Node, START_TAG};

const LIMIT: Duration = Duration::from_secs(60);
/// Several rounds of `pilothouse-start`.
const MOMENT: Duration = Duration::from_secs(2);

fn wait(what: &str, node: &Node, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < LIMIT, "waited for {what}; {}\n{}", node.log("pilothouse-start"), node.log("etcd"));
        thread::sleep(Duration::from_millis(100));
    }
}

fn says(node: &Node, text: &str) {
    wait(text, node, || node.log("pilothouse-start").contains(text));
}

/// Nothing runs but what waits for the grant, and nothing has been made.
fn nothing_starts(node: &Node) {
    thread::sleep(MOMENT);
    let processes = node.processes();
    assert!(
        processes.iter().all(|name| ["pilothouse-star", "sleep", "curl"].contains(&name.as_str())),
        "{processes:?}"
    );
    assert!(!node.folder().join("etcd/member").exists() && !node.folder().join("postgres").exists());
}

fn member(cluster: &Cluster, node: &Node) -> Option<EtcdMember> {
    let members = cluster.nodes()[0].etcd().members().unwrap();
    members.into_iter().find(|member| member.peer_urls == [node.etcd().peer_url()])
}

fn system(node: &Node) -> Option<String> {
    node.sql("SELECT system_identifier FROM pg_control_system()").ok()
}

#[test]
fn l9_a_node_starts_nothing_until_it_is_granted_and_makes_one_cluster_only() {
    let setup = ClusterSetup { flavour: Flavour::Current, net: 63, nodes: 0 };
    let mut cluster = Cluster::new(setup);
    let node = Node::new(&cluster.next()).unwrap();
    node.boot().unwrap();
    says(&node, "waiting for the tag pilothouse:start: there is none");
    nothing_starts(&node);
    node.tag(START_TAG, "yes");
    says(&node, "says 'yes', which is neither join nor bootstrap");
    nothing_starts(&node);

    node.tag(START_TAG, "bootstrap");
    cluster.push(node);
    let node = cluster.leader().unwrap();
    let (made, etcd) = (system(node).unwrap(), member(&cluster, node).unwrap().id);
    wait("the script to end", node, || node.systemctl(&["is-active", "pilothouse-start"]).is_err());
    assert_eq!(node.systemctl(&["is-active", "patroni"]).unwrap(), "active");

    // It goes on with what it has when it boots again, though the tag still says bootstrap.
    node.power_off().unwrap();
    assert_eq!(node.processes(), Vec::<String>::new());
    node.boot().unwrap();
    wait("the database", node, || system(node).is_some_and(|system| system == made));
    wait("etcd", node, || node.etcd().members().is_ok_and(|members| members.iter().any(|member| member.id == etcd)));

    // The grant was given once: without its data it makes no second cluster.
    node.power_off().unwrap();
    fs::remove_dir_all(node.folder().join("etcd/member")).unwrap();
    fs::remove_dir_all(node.folder().join("postgres")).unwrap();
    node.boot().unwrap();
    says(node, "not starting: this node has made its cluster");
    nothing_starts(node);
}

#[test]
fn l9_a_node_joins_as_a_learner_and_keeps_its_data_for_as_long_as_it_is_a_member() {
    let mut cluster = Cluster::start(ClusterSetup { flavour: Flavour::Debian, net: 64, nodes: 1 }).unwrap();
    let first = cluster.leader().unwrap().etcd();
    let node = Node::new(&cluster.next()).unwrap();
    node.tag(START_TAG, "join");
    node.boot().unwrap();
    says(&node, "waiting to be added to etcd");
    cluster.push(node);
    // One beyond the voters.
    cluster.streaming(1).unwrap();
    let node = &cluster.nodes()[1];
    says(node, "without an etcd of its own");
    assert!(!node.folder().join("etcd/member").exists());
    node.systemctl(&["stop", "patroni"]).unwrap();
    thread::sleep(MOMENT);
    assert!(node.systemctl(&["is-active", "patroni"]).is_err(), "what was stopped is stopped for a reason");
    node.systemctl(&["start", "patroni"]).unwrap();

    let added = first.add_learner(&node.etcd().peer_url()).unwrap();
    assert!(added.learner, "{added:?}");
    wait("the learner to start", node, || member(&cluster, node).is_some_and(|member| !member.name.is_empty()));
    let joined = member(&cluster, node).unwrap();
    assert!(joined.learner && joined.name == node.instance_id(), "{joined:?}");
    first.promote(&added.id).unwrap();
    cluster.streaming(1).unwrap();
    assert!(!member(&cluster, node).unwrap().learner);

    // A member that boots again has its data.
    let marker = node.folder().join("etcd/member/of-before");
    fs::write(&marker, "").unwrap();
    node.power_off().unwrap();
    node.boot().unwrap();
    wait("the same member", node, || node.etcd().status().is_ok());
    cluster.streaming(1).unwrap();
    assert!(marker.exists());
    assert_eq!(member(&cluster, node).unwrap().id, added.id);

    // The data of a member that was removed is of no use to the one that comes in its place.
    first.remove(&added.id).unwrap();
    wait("etcd to end", node, || node.systemctl(&["is-active", "etcd"]).is_err());
    node.power_off().unwrap();
    node.boot().unwrap();
    says(node, "no member has");
    assert!(marker.exists());
    let anew = first.add_learner(&node.etcd().peer_url()).unwrap();
    wait("the new learner to start", node, || member(&cluster, node).is_some_and(|member| !member.name.is_empty()));
    assert!(anew.id != added.id && !marker.exists());
    first.promote(&anew.id).unwrap();
    cluster.streaming(1).unwrap();

    // All of them boot at once, so that nobody tells the members.
    for node in cluster.nodes() {
        node.power_off().unwrap();
    }
    for node in cluster.nodes() {
        node.boot().unwrap();
    }
    says(node, "no etcd peer answers");
    cluster.streaming(1).unwrap();
}

/// A member left between the moment at which the node was told of the members and its etcd's start: that was refused, and its folder
/// was there by then.
#[test]
fn l9_an_etcd_that_was_refused_because_a_member_left_is_told_of_the_members_anew() {
    let mut cluster = Cluster::start(ClusterSetup { flavour: Flavour::Debian, net: 66, nodes: 1 }).unwrap();
    let first = cluster.leader().unwrap().etcd();
    let node = Node::new(&cluster.next()).unwrap();
    let added = first.add_learner(&node.etcd().peer_url()).unwrap();
    let (etcd, state) = (node.folder().join("etcd"), node.folder().join("state"));
    let owner = fs::metadata(&etcd).unwrap();
    fs::create_dir(etcd.join("member")).unwrap();
    chown(etcd.join("member"), Some(owner.uid()), Some(owner.gid())).unwrap();
    let told = [&cluster.nodes()[0], &node].map(|node| format!("{}={}", node.instance_id(), node.etcd().peer_url()));
    let stale = format!("{},i-gone=http://10.66.255.254:2380", told.join(","));
    let name = node.instance_id();
    let environment = format!("ETCD_NAME={name}\nETCD_INITIAL_CLUSTER={stale}\nETCD_INITIAL_CLUSTER_STATE=existing\n");
    fs::write(state.join("etcd.env"), environment).unwrap();
    fs::write(state.join("member"), format!("{:x}\n", added.id.parse::<u64>().unwrap())).unwrap();

    node.tag(START_TAG, "join");
    node.boot().unwrap();
    cluster.push(node);
    let node = &cluster.nodes()[1];
    wait("the learner to start", node, || member(&cluster, node).is_some_and(|member| !member.name.is_empty()));
    first.promote(&added.id).unwrap();
    cluster.streaming(1).unwrap();
    assert_eq!(member(&cluster, node).unwrap().id, added.id);
}

/// Patroni stays with the member of etcd that it picked, and a learner answers it nothing.
#[test]
fn no_patroni_picks_a_learner_and_each_may_pick_it_once_it_votes() {
    let mut cluster = Cluster::start(ClusterSetup { flavour: Flavour::Debian, net: 69, nodes: 1 }).unwrap();
    let first = cluster.leader().unwrap().etcd();
    let node = Node::new(&cluster.next()).unwrap();
    let added = first.add_learner(&node.etcd().peer_url()).unwrap();
    node.tag(START_TAG, "join");
    node.boot().unwrap();
    cluster.push(node);
    cluster.streaming(1).unwrap();
    let node = &cluster.nodes()[1];
    says(node, "waiting for the vote");
    let learner = member(&cluster, node).unwrap();
    assert!(learner.learner && learner.client_urls == ["http://127.0.0.1:1"], "{learner:?}");

    first.promote(&added.id).unwrap();
    wait("the script to end", node, || node.systemctl(&["is-active", "pilothouse-start"]).is_err());
    wait("it to be shown", node, || member(&cluster, node).unwrap().client_urls == [node.etcd().client_url()]);
    cluster.streaming(1).unwrap();
}
