//! A cluster of nodes.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::node::{Node, NodeSetup, START_TAG};
use crate::wait::until;
use crate::{Error, Flavour, PatroniMember};

static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// Compilers and other clusters may be running beside it.
const LIMIT: Duration = Duration::from_secs(90);

/// How a cluster is to be.
#[derive(Debug, Clone, Copy)]
pub struct ClusterSetup {
    /// Which Patroni its nodes run.
    pub flavour: Flavour,
    /// Its addresses are of `10.<net>.0.0/16`.
    pub net: u8,
    /// How many nodes.
    pub nodes: usize,
}

/// A cluster that has a leader, and replicas that stream from it.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    setup: ClusterSetup,
    scope: String,
}

impl Cluster {
    /// One without nodes; [`Cluster::push`] adds them.
    #[must_use]
    pub fn new(setup: ClusterSetup) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let scope = format!("lab-{}-{number}", std::process::id());
        Self { nodes: Vec::new(), setup, scope }
    }

    /// Makes one: the first node is granted to bootstrap, the others to join, one after the other.
    ///
    /// # Errors
    /// As [`Node::new`]; [`Error::NotSeen`] when it does not come up.
    pub fn start(setup: ClusterSetup) -> Result<Self, Error> {
        Self::start_with(setup, |_| Ok(()))
    }

    /// As [`Cluster::start`], with something to be done to each node before it is booted.
    ///
    /// # Errors
    /// As [`Cluster::start`], and of what is done.
    pub fn start_with(setup: ClusterSetup, mut prepare: impl FnMut(&Node) -> Result<(), Error>) -> Result<Self, Error> {
        let mut cluster = Self::new(setup);
        let first = Node::new(&cluster.next())?;
        prepare(&first)?;
        first.tag(START_TAG, "bootstrap");
        first.boot()?;
        cluster.nodes.push(first);
        cluster.leader()?;
        for _ in 1..setup.nodes {
            let node = Node::new(&cluster.next())?;
            prepare(&node)?;
            cluster.admit(&node)?;
            cluster.nodes.push(node);
        }
        cluster.streaming(setup.nodes.saturating_sub(1))?;
        Ok(cluster)
    }

    /// What the next node is to be.
    #[must_use]
    pub fn next(&self) -> NodeSetup {
        let ClusterSetup { flavour, net, .. } = self.setup;
        let peers: Vec<Ipv4Addr> = self.nodes.iter().map(Node::ip).collect();
        NodeSetup { flavour, scope: self.scope.clone(), net, peers }
    }

    /// Boots a node, grants it to join, and makes it a voter of etcd.
    fn admit(&self, node: &Node) -> Result<(), Error> {
        let [first, ..] = self.nodes.as_slice() else { return Ok(()) };
        let learner = first.etcd().add_learner(&node.etcd().peer_url())?;
        node.tag(START_TAG, "join");
        node.boot()?;
        first.etcd().promote(&learner.id)?;
        until("etcd to be shown to its clients", LIMIT, || {
            let over = node.systemctl(&["is-active", "pilothouse-start"]).is_err();
            Ok(if over { Ok(()) } else { Err(node.log("pilothouse-start")) })
        })
    }

    /// Takes a node in that was made by [`Cluster::next`].
    pub fn push(&mut self, node: Node) {
        self.nodes.push(node);
    }

    /// Patroni's name of it.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// Its nodes, in the order in which they came.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of that name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name() == name)
    }

    /// Waits for a leader that takes writes: to Patroni a node leads as soon as it holds the key, while its server is still on
    /// its way out of recovery.
    ///
    /// # Errors
    /// [`Error::NotSeen`].
    pub fn leader(&self) -> Result<&Node, Error> {
        until("a leader that takes writes", LIMIT, || {
            let leader = self.seen("a leader", |members| {
                let leads = |member: &&PatroniMember| member.role == "leader" && member.state == "running";
                members.iter().find(leads).and_then(|member| self.node(&member.name))
            })?;
            let standby = leader.sql("SELECT pg_is_in_recovery()")?;
            Ok(if standby == "f" { Ok(leader) } else { Err(format!("{} is in recovery", leader.name())) })
        })
    }

    /// Waits until that many replicas stream from the leader, and gives them.
    ///
    /// # Errors
    /// [`Error::NotSeen`].
    pub fn streaming(&self, replicas: usize) -> Result<Vec<&Node>, Error> {
        until(&format!("{replicas} streaming replicas"), LIMIT, || {
            // Patroni 3.0 calls a replica running that does not stream yet.
            let said =
                self.leader()?.sql("SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'")?;
            let found: Vec<&Node> = said.lines().filter_map(|name| self.node(name)).collect();
            Ok(if found.len() >= replicas { Ok(found) } else { Err(said) })
        })
    }

    /// Waits for what is wanted of Patroni's list of members, whichever node tells it.
    fn seen<T>(&self, what: &str, wanted: impl Fn(&[PatroniMember]) -> Option<T>) -> Result<T, Error> {
        until(what, LIMIT, || {
            let mut seen = Vec::new();
            for node in &self.nodes {
                match node.patroni().members() {
                    Ok(members) => match wanted(&members) {
                        Some(found) => return Ok(Ok(found)),
                        None => seen.push(format!("{}: {members:?}", node.name())),
                    },
                    Err(error) => seen.push(format!("{}: {error}", node.name())),
                }
            }
            Ok(Err(seen))
        })
        .map_err(|error| self.with_logs(error))
    }

    /// Whoever reads that something did not come about wants to know why.
    fn with_logs(&self, error: Error) -> Error {
        let Error::NotSeen { what, seconds, seen } = error else { return error };
        let logs: String = self.nodes.iter().map(Node::last_words).collect();
        Error::NotSeen { what, seconds, seen: format!("{seen}\n{logs}") }
    }
}
