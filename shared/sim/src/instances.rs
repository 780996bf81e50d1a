//! EC2 instances.
//!
//! Held here (EC2 user guide, "Instance lifecycle", "Eventual consistency"): an instance is pending, then runs, and ends over
//! `shutting-down`; a terminated one stays visible for about an hour, without an address; reads lag behind changes. What
//! runs on an instance ends as soon as it shuts down: nothing better is promised for one that is killed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use ports::{Class, Instance, InstanceState, PortError};

use crate::calls::Happened;
use crate::client::{Client, Kind};
use crate::history::History;
use crate::world::State;

const DESCRIBE: &str = "ec2:DescribeInstances";
const TAG: &str = "ec2:CreateTags";
const LAG: Kind = Kind::Lagging(Duration::from_secs(8));
/// How long a terminated instance stays visible.
const VISIBLE: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone)]
pub(crate) struct Machine {
    told: History<Instance>,
    pub(crate) group: String,
    /// When its state changes by itself.
    moves_at: Timestamp,
}

impl Machine {
    pub(crate) fn now(&self) -> &Instance {
        self.told.now()
    }

    pub(crate) fn runs(&self) -> bool {
        self.now().state == InstanceState::Running
    }

    /// On its way to its end, or there.
    pub(crate) fn ends(&self) -> bool {
        matches!(self.now().state, InstanceState::ShuttingDown | InstanceState::Terminated)
    }
}

/// All instances.
#[derive(Debug, Clone, Default)]
pub(crate) struct Machines {
    all: BTreeMap<String, Machine>,
    launched: u32,
}

pub(crate) fn after(at: Timestamp, wait: Duration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}

impl Machines {
    pub(crate) fn launch(&mut self, group: &str, spot: bool, boot: Duration, now: Timestamp) -> String {
        self.launched += 1;
        let n = self.launched;
        let id = format!("i-{n:04}");
        let host = u8::try_from(n % 250).unwrap_or_default() + 4;
        let net = u8::try_from(n / 250).unwrap_or(u8::MAX);
        let state = if boot.is_zero() { InstanceState::Running } else { InstanceState::Pending };
        let address = Some(Ipv4Addr::new(10, 1, net, host));
        let instance = Instance { id: id.clone(), state, address, tags: BTreeMap::new(), spot };
        let moves_at = after(now, boot);
        let machine = Machine { told: History::new(instance), group: group.to_owned(), moves_at };
        self.all.insert(id.clone(), machine);
        id
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Machine> {
        self.all.get(id)
    }

    pub(crate) fn of_group<'m>(&'m self, group: &'m str) -> impl Iterator<Item = (&'m String, &'m Machine)> {
        self.all.iter().filter(move |(_, machine)| machine.group == group)
    }

    /// The running instance that has an address.
    pub(crate) fn at(&self, address: Ipv4Addr) -> Option<(&String, &Machine)> {
        self.all.iter().find(|(_, machine)| machine.runs() && machine.now().address == Some(address))
    }

    pub(crate) fn end(&mut self, id: &str, takes: Duration, now: Timestamp) {
        if let Some(machine) = self.all.get_mut(id).filter(|machine| !machine.ends()) {
            machine.told.change(now).state = InstanceState::ShuttingDown;
            machine.moves_at = after(now, takes);
        }
    }

    pub(crate) fn tag(&mut self, id: &str, key: &str, value: &str, now: Timestamp) -> Option<Option<String>> {
        let machine = self.all.get_mut(id)?;
        Some(machine.told.change(now).tags.insert(key.to_owned(), value.to_owned()))
    }

    pub(crate) fn tick(&mut self, now: Timestamp) {
        for machine in self.all.values_mut().filter(|machine| machine.moves_at <= now) {
            match machine.now().state {
                InstanceState::Pending => {
                    machine.told.change(now).state = InstanceState::Running;
                }
                InstanceState::ShuttingDown => {
                    let instance = machine.told.change(now);
                    instance.state = InstanceState::Terminated;
                    instance.address = None;
                    machine.moves_at = after(now, VISIBLE);
                }
                _ => {}
            }
        }
        self.all.retain(|_, machine| machine.now().state != InstanceState::Terminated || machine.moves_at > now);
    }
}

impl State {
    /// An instance as it is; `None` where there is none, or no more.
    #[must_use]
    pub fn instance(&self, id: &str) -> Option<&Instance> {
        self.machines.get(id).map(Machine::now)
    }

    /// An instance is ended from outside its group: by a person in EC2, or as Spot capacity. Gives whether it was there.
    pub fn instance_killed(&mut self, id: &str, now: Timestamp) -> bool {
        let there = self.machines.get(id).is_some_and(|machine| !machine.ends());
        self.machines.end(id, Duration::from_secs(25), now);
        there
    }

    /// Somebody sets a tag by hand.
    pub fn tag_by_hand(&mut self, id: &str, key: &str, value: &str, now: Timestamp) {
        let _ = self.machines.tag(id, key, value, now);
    }
}

/// The port.
#[derive(Debug, Clone)]
pub struct Instances(Client);

impl Instances {
    /// A process's way to it.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }
}

impl ports::Instances for Instances {
    async fn describe(&self, ids: &[String]) -> Result<Vec<Instance>, PortError> {
        self.0
            .call(DESCRIBE, LAG, |state, moment| {
                let told = |id: &String| state.machines.get(id).map(|machine| machine.told.at(moment.seen).clone());
                let found: Vec<Instance> = ids.iter().filter_map(told).collect();
                (Ok(found.clone()), Happened::InstancesRead(found))
            })
            .await
    }

    async fn tag(&self, id: &str, key: &str, value: &str) -> Result<(), PortError> {
        self.0
            .call(TAG, Kind::Change, |state, moment| match state.machines.tag(id, key, value, moment.now) {
                Some(before) => {
                    let happened = Happened::Tagged {
                        instance: id.to_owned(),
                        key: key.to_owned(),
                        value: value.to_owned(),
                        before,
                    };
                    (Ok(()), happened)
                }
                None => {
                    let code = "InvalidInstanceID.NotFound".to_owned();
                    let message = format!("The instance ID '{id}' does not exist");
                    let happened = Happened::Refused(code.clone());
                    (Err(PortError { call: TAG, class: Class::NotFound, code, message }), happened)
                }
            })
            .await
    }
}
