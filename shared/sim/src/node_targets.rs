//! Target groups that nodes serve in.
//!
//! Held here (ELB API reference; NLB user guide, "Target groups" and "Health checks"): a registered target is `initial` for a
//! while; health checks are those of Patroni's REST API, so in a writer's group the leader alone is healthy, and in a reader's
//! group the streaming standbys; a deregistered target drains, then is gone; an instance must run to be registered; a terminated
//! instance is deregistered by itself; deregistering what is not there is success; reads lag behind.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use ports::{Class, Health, NodeTarget, NodeTargetGroup, NodeTargetHealth, PortError, TargetKind};

use crate::calls::Happened;
use crate::client::{Client, Kind};
use crate::history::History;
use crate::instances::Machine;
use crate::world::State;

const DESCRIBE: &str = "elasticloadbalancing:DescribeTargetGroups";
const HEALTH: &str = "elasticloadbalancing:DescribeTargetHealth";
const REGISTER: &str = "elasticloadbalancing:RegisterTargets";
const DEREGISTER: &str = "elasticloadbalancing:DeregisterTargets";
const LAG: Kind = Kind::Lagging(Duration::from_secs(10));
const INITIAL: Duration = Duration::from_secs(12);

/// How a target group of nodes is made.
#[derive(Debug, Clone)]
pub struct NewNodeGroup {
    /// Its ARN.
    pub arn: String,
    /// What its targets are.
    pub kind: TargetKind,
    /// How long a target drains.
    pub drain: Duration,
    /// Whether its health check is `/primary` (`true`) or `/replica`.
    pub writer: bool,
}

#[derive(Debug, Clone, Copy)]
struct Registration {
    since: Timestamp,
    draining_since: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub(crate) struct NodeGroup {
    made: NewNodeGroup,
    targets: History<BTreeMap<NodeTarget, Registration>>,
}

fn since(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

impl State {
    /// A target group of nodes appears.
    pub fn put_node_group(&mut self, made: NewNodeGroup) {
        let arn = made.arn.clone();
        self.node_groups.insert(arn, NodeGroup { made, targets: History::new(BTreeMap::new()) });
    }

    /// The target groups of nodes.
    pub fn node_groups(&self) -> impl Iterator<Item = &NewNodeGroup> {
        self.node_groups.values().map(|group| &group.made)
    }

    /// The instance that a target names.
    fn target_machine<'m>(&'m self, target: &'m NodeTarget) -> Option<(&'m str, &'m Machine)> {
        match target.id.parse() {
            Ok(address) => self.machines.at(address).map(|(id, machine)| (id.as_str(), machine)),
            Err(_) => self.machines.get(&target.id).map(|machine| (target.id.as_str(), machine)),
        }
    }

    /// The targets that are registered and not draining, by the instances behind them.
    #[must_use]
    pub fn registered_nodes(&self, arn: &str) -> Vec<String> {
        let rows = self.node_groups.get(arn).map(|group| group.targets.now());
        let there = rows.into_iter().flatten().filter(|(_, r)| r.draining_since.is_none());
        there.filter_map(|(target, _)| self.target_machine(target)).map(|(id, _)| id.to_owned()).collect()
    }

    /// Whether any registration of an instance in a group drains still.
    #[must_use]
    pub fn drains(&self, arn: &str, instance: &str, now: Timestamp) -> bool {
        let Some(group) = self.node_groups.get(arn) else { return false };
        group.targets.now().iter().any(|(target, registration)| {
            let this = self.target_machine(target).is_some_and(|(id, _)| id == instance);
            this && registration.draining_since.is_some_and(|at| since(at, now) < group.made.drain)
        })
    }

    /// Somebody registers a node by hand.
    pub fn register_node_by_hand(&mut self, arn: &str, target: &NodeTarget, now: Timestamp) {
        let _ = self.register_node(arn, target, now);
    }

    fn serves(&self, group: &NodeGroup, target: &NodeTarget) -> bool {
        let Some((id, machine)) = self.target_machine(target).filter(|(_, machine)| machine.runs()) else {
            return false;
        };
        self.clusters.get(&machine.group).is_some_and(|cluster| cluster.passes_check(id, group.made.writer))
    }

    fn told_nodes(&self, group: &NodeGroup, seen: Timestamp) -> Vec<NodeTargetHealth> {
        let rows = group.targets.at(seen).iter().filter_map(|(target, registration)| {
            let ended = target.id.starts_with("i-") && self.machines.get(&target.id).is_none_or(Machine::ends);
            let health = match registration.draining_since {
                _ if ended => return None,
                Some(at) if since(at, seen) >= group.made.drain => return None,
                Some(_) => Health::Draining,
                None if since(registration.since, seen) < INITIAL => Health::Initial,
                None if self.serves(group, target) => Health::Healthy,
                None => Health::Unhealthy,
            };
            Some(NodeTargetHealth { target: target.clone(), health })
        });
        rows.collect()
    }

    fn register_node(&mut self, arn: &str, target: &NodeTarget, now: Timestamp) -> Result<bool, (Class, &'static str)> {
        let runs = self.target_machine(target).is_some_and(|(_, machine)| machine.runs());
        let Some(group) = self.node_groups.get_mut(arn) else { return Err((Class::NotFound, "TargetGroupNotFound")) };
        let by_id = target.id.starts_with("i-");
        if !runs && by_id || by_id != (group.made.kind == TargetKind::Instance) {
            return Err((Class::Invalid, "InvalidTarget"));
        }
        let new = group.targets.now().get(target).is_none_or(|r| r.draining_since.is_some());
        if new {
            group.targets.change(now).insert(target.clone(), Registration { since: now, draining_since: None });
        }
        Ok(new)
    }

    fn deregister_node(&mut self, arn: &str, target: &NodeTarget, now: Timestamp) -> bool {
        let Some(group) = self.node_groups.get_mut(arn) else { return false };
        if group.targets.now().get(target).is_none_or(|r| r.draining_since.is_some()) {
            return false;
        }
        if let Some(registration) = group.targets.change(now).get_mut(target) {
            registration.draining_since = Some(now);
        }
        true
    }
}

fn refuse<T>(call: &'static str, class: Class, code: &str) -> (Result<T, PortError>, Happened) {
    let message = "as ELB refuses it".to_owned();
    (Err(PortError { call, class, code: code.to_owned(), message }), Happened::Refused(code.to_owned()))
}

/// The port.
#[derive(Debug, Clone)]
pub struct NodeTargets(Client);

impl NodeTargets {
    /// A process's way to it.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }
}

impl ports::NodeTargets for NodeTargets {
    async fn describe(&self, arn: &str) -> Result<NodeTargetGroup, PortError> {
        self.0
            .call(DESCRIBE, Kind::Consistent, |state, _| match state.node_groups.get(arn) {
                Some(NodeGroup { made, .. }) => {
                    (Ok(NodeTargetGroup { kind: made.kind, drain: made.drain }), Happened::GroupRead(arn.to_owned()))
                }
                None => refuse(DESCRIBE, Class::NotFound, "TargetGroupNotFound"),
            })
            .await
    }

    async fn targets(&self, arn: &str) -> Result<Vec<NodeTargetHealth>, PortError> {
        self.0
            .call(HEALTH, LAG, |state, moment| match state.node_groups.get(arn) {
                Some(group) => {
                    let told = state.told_nodes(group, moment.seen);
                    (Ok(told.clone()), Happened::NodeTargetsRead(arn.to_owned(), told))
                }
                None => refuse(HEALTH, Class::NotFound, "TargetGroupNotFound"),
            })
            .await
    }

    async fn register(&self, arn: &str, target: &NodeTarget) -> Result<(), PortError> {
        self.0
            .call(REGISTER, Kind::Change, |state, moment| match state.register_node(arn, target, moment.now) {
                Ok(new) => (Ok(()), Happened::NodeRegistered(arn.to_owned(), target.clone(), new)),
                Err((class, code)) => refuse(REGISTER, class, code),
            })
            .await
    }

    async fn deregister(&self, arn: &str, target: &NodeTarget) -> Result<(), PortError> {
        self.0
            .call(DEREGISTER, Kind::Change, |state, moment| {
                let was = state.deregister_node(arn, target, moment.now);
                (Ok(()), Happened::NodeDeregistered(arn.to_owned(), target.clone(), was))
            })
            .await
    }
}
