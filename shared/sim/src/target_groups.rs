//! Target groups of a network load balancer.
//!
//! Held here (ELB API reference; NLB user guide, `load-balancer-target-groups` and `target-group-health-checks`): a target is
//! its address and port; addresses are of the VPC's subnets, 10/8, 172.16/12, 192.168/16 or 100.64/10; inside a subnet the
//! zone may not be `all`; registering is idempotent; a deregistered target drains, then is gone, and registered again it is
//! `initial`; deregistering what is not there is success; a new target is `initial`; a group that no listener uses has
//! `unused` targets; `TooManyTargets` beyond the limit, draining ones not counted; reads lag behind.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use ports::{Class, Health, PortError, Target, TargetGroup, TargetHealth};

use crate::calls::Happened;
use crate::client::{Client, Kind};
use crate::history::History;
use crate::servers::Servers;
use crate::world::State;

const LAG: Kind = Kind::Lagging(Duration::from_secs(20));
const REGISTER: &str = "elasticloadbalancing:RegisterTargets";
const DESCRIBE: &str = "elasticloadbalancing:DescribeTargetGroups";
const HEALTH: &str = "elasticloadbalancing:DescribeTargetHealth";

#[derive(Debug, Clone, Copy)]
struct Registration {
    since: Timestamp,
    draining_since: Option<Timestamp>,
}

/// How a target group is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGroup {
    /// Its ARN.
    pub arn: String,
    /// How long a target drains.
    pub drain: Duration,
    /// How long a target is `initial`.
    pub initial: Duration,
    /// How many targets it takes; `None`: any number.
    pub most: Option<usize>,
    /// Whether a listener uses it.
    pub attached: bool,
    /// Whether its targets are addresses.
    pub takes_addresses: bool,
}

impl NewGroup {
    /// An attached group of type `ip` with AWS's 300 s of draining.
    #[must_use]
    pub fn named(arn: &str) -> Self {
        Self {
            arn: arn.to_owned(),
            drain: Duration::from_secs(300),
            initial: Duration::from_secs(15),
            most: None,
            attached: true,
            takes_addresses: true,
        }
    }
}

#[derive(Debug, Clone)]
struct Group {
    made: NewGroup,
    targets: History<BTreeMap<Target, Registration>>,
}

/// All groups.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups(BTreeMap<String, Group>);

fn since(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

impl Group {
    /// The targets as they were at `seen`, with their health as it was then.
    fn told(&self, servers: &Servers, seen: Timestamp) -> Vec<TargetHealth> {
        let rows = self.targets.at(seen).iter().filter_map(|(target, registration)| {
            let (health, reason) = match registration.draining_since {
                Some(at) if since(at, seen) >= self.made.drain => return None,
                Some(_) => (Health::Draining, "Target.DeregistrationInProgress"),
                None if !self.made.attached => (Health::Unused, "Target.NotInUse"),
                None if since(registration.since, seen) < self.made.initial => {
                    (Health::Initial, "Elb.RegistrationInProgress")
                }
                None if servers.passes_checks(*target, seen) => (Health::Healthy, ""),
                None => (Health::Unhealthy, "Target.FailedHealthChecks"),
            };
            Some(TargetHealth { target: *target, health, reason: reason.to_owned() })
        });
        rows.collect()
    }

    fn register(&mut self, target: Target, now: Timestamp) -> Result<bool, (Class, &'static str)> {
        let current = self.targets.now();
        let there = current.get(&target).is_some_and(|r| r.draining_since.is_none());
        let count = current.values().filter(|r| r.draining_since.is_none()).count();
        if !there && self.made.most.is_some_and(|most| count >= most) {
            return Err((Class::LimitReached, "TooManyTargets"));
        }
        if !there {
            self.targets.change(now).insert(target, Registration { since: now, draining_since: None });
        }
        Ok(!there)
    }

    fn deregister(&mut self, target: Target, now: Timestamp) -> bool {
        if self.targets.now().get(&target).is_none_or(|r| r.draining_since.is_some()) {
            return false;
        }
        let drain = self.made.drain;
        let targets = self.targets.change(now);
        if let Some(registration) = targets.get_mut(&target) {
            registration.draining_since = Some(now);
        }
        targets.retain(|_, r| r.draining_since.is_none_or(|at| since(at, now) < drain));
        true
    }
}

impl State {
    /// A target group appears, or its attributes change.
    pub fn put_group(&mut self, made: NewGroup) {
        match self.target_groups.0.get_mut(&made.arn) {
            Some(known) => known.made = made,
            None => {
                let targets = History::new(BTreeMap::new());
                self.target_groups.0.insert(made.arn.clone(), Group { made, targets });
            }
        }
    }

    /// A group's attributes.
    #[must_use]
    pub fn group(&self, arn: &str) -> Option<&NewGroup> {
        self.target_groups.0.get(arn).map(|group| &group.made)
    }

    /// A target group is deleted.
    pub fn group_vanishes(&mut self, arn: &str) {
        self.target_groups.0.remove(arn);
    }

    /// Every target of a group as it is at `at`, draining ones included.
    #[must_use]
    pub fn targets(&self, arn: &str, at: Timestamp) -> Vec<TargetHealth> {
        self.target_groups.0.get(arn).map(|group| group.told(&self.servers, at)).unwrap_or_default()
    }

    /// The targets that are registered, draining ones left out.
    #[must_use]
    pub fn registered(&self, arn: &str) -> Vec<Target> {
        let rows = self.target_groups.0.get(arn).map(|group| group.targets.now());
        let there = rows.into_iter().flatten().filter(|(_, r)| r.draining_since.is_none());
        there.map(|(target, _)| *target).collect()
    }

    /// The groups that there are.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.target_groups.0.keys().map(String::as_str)
    }

    /// Somebody registers a target by hand.
    pub fn register_by_hand(&mut self, arn: &str, target: Target, now: Timestamp) {
        if let Some(group) = self.target_groups.0.get_mut(arn) {
            let _ = group.register(target, now);
        }
    }

    /// Somebody deregisters a target by hand.
    pub fn deregister_by_hand(&mut self, arn: &str, target: Target, now: Timestamp) {
        if let Some(group) = self.target_groups.0.get_mut(arn) {
            group.deregister(target, now);
        }
    }

    fn refusal(&self, address: Ipv4Addr) -> Option<(Class, &'static str)> {
        let ranges: [(Ipv4Addr, u8); 4] = [
            (Ipv4Addr::new(10, 0, 0, 0), 8),
            (Ipv4Addr::new(172, 16, 0, 0), 12),
            (Ipv4Addr::new(192, 168, 0, 0), 16),
            (Ipv4Addr::new(100, 64, 0, 0), 10),
        ];
        let private = ranges
            .into_iter()
            .filter_map(|(address, bits)| ipnet::Ipv4Net::new(address, bits).ok())
            .any(|range| range.contains(&address));
        if self.own_blocks.iter().any(|block| block.contains(&address)) {
            return Some((Class::InsideVpc, "ValidationError"));
        }
        (!private).then_some((Class::Invalid, "ValidationError"))
    }
}

fn refuse<T>(call: &'static str, class: Class, code: &str) -> (Result<T, PortError>, Happened) {
    let message = "as ELB refuses it".to_owned();
    (Err(PortError { call, class, code: code.to_owned(), message }), Happened::Refused(code.to_owned()))
}

/// The port.
#[derive(Debug, Clone)]
pub struct TargetGroups(Client);

impl TargetGroups {
    /// A process's way to it.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }
}

impl ports::TargetGroups for TargetGroups {
    async fn describe(&self, arn: &str) -> Result<TargetGroup, PortError> {
        self.0
            .call(DESCRIBE, Kind::Consistent, |state, _| {
                let Some(group) = state.target_groups.0.get(arn) else {
                    return refuse(DESCRIBE, Class::NotFound, "TargetGroupNotFound");
                };
                let told = TargetGroup {
                    arn: arn.to_owned(),
                    vpc: Some(state.own_vpc.clone()),
                    takes_addresses: group.made.takes_addresses,
                    ipv6: false,
                };
                (Ok(told), Happened::GroupRead(arn.to_owned()))
            })
            .await
    }

    async fn targets(&self, arn: &str) -> Result<Vec<TargetHealth>, PortError> {
        self.0
            .call(HEALTH, LAG, |state, moment| {
                let Some(group) = state.target_groups.0.get(arn) else {
                    return refuse(HEALTH, Class::NotFound, "TargetGroupNotFound");
                };
                let told = group.told(&state.servers, moment.seen);
                (Ok(told.clone()), Happened::TargetsRead(arn.to_owned(), told))
            })
            .await
    }

    async fn register(&self, arn: &str, target: Target) -> Result<(), PortError> {
        self.0
            .call(REGISTER, Kind::Change, |state, moment| {
                let refusal = state.refusal(target.address);
                let Some(group) = state.target_groups.0.get_mut(arn) else {
                    return refuse(REGISTER, Class::NotFound, "TargetGroupNotFound");
                };
                if let Some((class, code)) = refusal {
                    return refuse(REGISTER, class, code);
                }
                match group.register(target, moment.now) {
                    Ok(new) => (Ok(()), Happened::Registered(arn.to_owned(), target, new)),
                    Err((class, code)) => refuse(REGISTER, class, code),
                }
            })
            .await
    }

    async fn deregister(&self, arn: &str, target: Target) -> Result<(), PortError> {
        self.0
            .call("elasticloadbalancing:DeregisterTargets", Kind::Change, |state, moment| {
                let group = state.target_groups.0.get_mut(arn);
                let was = group.is_some_and(|group| group.deregister(target, moment.now));
                (Ok(()), Happened::Deregistered(arn.to_owned(), target, was))
            })
            .await
    }
}
