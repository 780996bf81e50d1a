//! What goes wrong with a cluster, and what people do to it.

use std::time::Duration;

use jiff::Timestamp;

use super::{Cluster, Node, Postgres, Stall};
use crate::instances::after;

impl Cluster {
    fn node_mut(&mut self, instance: &str) -> Option<&mut Node> {
        self.nodes.get_mut(instance)
    }

    /// Replication towards a node goes wrong, or right again.
    pub fn set_stall(&mut self, instance: &str, stall: Stall) {
        if let Some(node) = self.node_mut(instance) {
            node.stall = stall;
        }
    }

    /// A node is cut off from the network, or not any more.
    pub fn isolate(&mut self, instance: &str, isolated: bool) {
        if let Some(node) = self.node_mut(instance) {
            node.isolated = isolated;
        }
    }

    /// A node's etcd stops, or runs again.
    pub fn stop_etcd(&mut self, instance: &str, down: bool) {
        if let Some(node) = self.node_mut(instance) {
            node.etcd_down = down;
        }
    }

    /// A node may not be promoted, or may again.
    pub fn set_nofailover(&mut self, instance: &str, on: bool) {
        if let Some(node) = self.node_mut(instance) {
            node.nofailover = on;
        }
    }

    /// Patroni is paused or resumed.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Synchronous mode goes on or off.
    pub fn set_synchronous(&mut self, on: bool) {
        self.synchronous = on;
        if !on {
            self.sync_standby = None;
        }
    }

    /// Somebody stops Patroni on a node, and PostgreSQL with it: it does not start again by itself.
    pub fn stop(&mut self, instance: &str, now: Timestamp) {
        self.stop_service(instance, now);
    }

    /// PostgreSQL on a node crashes; Patroni starts it again.
    pub fn crash(&mut self, instance: &str, now: Timestamp) {
        if let Some(node) = self.nodes.get_mut(instance)
            && node.postgres == Postgres::Running
        {
            node.postgres = Postgres::Starting(after(now, Duration::from_secs(12)));
            node.streaming = false;
        }
    }
}
