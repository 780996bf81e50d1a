//! The truth, and who watches over it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipnet::Ipv4Net;
use jiff::{SignedDuration, Timestamp};

use crate::auto_scaling::ScalingGroups;
use crate::calls::Record;
use crate::client::Client;
use crate::commands::Sent;
use crate::encryption_keys::Keys;
use crate::fault::{Fault, Weather};
use crate::gateways::Gateway;
use crate::instances::{Machines, after};
use crate::names::Zone;
use crate::node_targets::NodeGroup;
use crate::notices::Published;
use crate::patroni::Cluster;
use crate::peerings::Connections;
use crate::route_tables::RoutingTables;
use crate::servers::Servers;
use crate::snapshots::{Drives, Nodes, Stored};
use crate::table::Documents;
use crate::target_groups::Groups;
use crate::time::VirtualTime;
use crate::volumes::Disks;

/// How much of a long wait is lived where waits are skipped.
const SKIPPED_TO: Duration = Duration::from_secs(60);

/// Sees every call, right after its effect.
pub trait Observer: Send {
    /// A call was made; `state` is what it left behind.
    fn observe(&mut self, state: &State, record: &Record);
}

/// Everything that is true.
#[derive(Debug, Clone)]
pub struct State {
    rng: fastrand::Rng,
    weather: Weather,
    faults: BTreeMap<Fault, u64>,
    calls: u64,
    story: Option<Vec<String>>,
    pub(crate) own_vpc: String,
    pub(crate) own_blocks: Vec<Ipv4Net>,
    pub(crate) peerings: Connections,
    pub(crate) route_tables: RoutingTables,
    pub(crate) target_groups: Groups,
    pub(crate) servers: Servers,
    pub(crate) zone: Zone,
    pub(crate) gateways: BTreeMap<String, Gateway>,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) documents: Documents,
    pub(crate) notices: Vec<Published>,
    pub(crate) answers: Vec<(String, String)>,
    pub(crate) machines: Machines,
    pub(crate) disks: Disks,
    pub(crate) drives: Drives,
    pub(crate) stored: Stored,
    pub(crate) keys: Keys,
    pub(crate) nodes: Nodes,
    pub(crate) scaling: ScalingGroups,
    pub(crate) sent: Sent,
    pub(crate) node_groups: BTreeMap<String, NodeGroup>,
    pub(crate) clusters: BTreeMap<String, Cluster>,
    /// How far the clocks of processes are ahead, of those that are wrong.
    pub(crate) clocks: BTreeMap<String, SignedDuration>,
    /// Up to when groups and clusters have lived.
    lived_to: Timestamp,
    /// Of a long wait they live the end only.
    skips: bool,
}

impl State {
    /// What goes wrong at present.
    #[must_use]
    pub fn weather(&self) -> &Weather {
        &self.weather
    }

    /// What goes wrong from now on.
    pub fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    pub(crate) fn rng(&mut self) -> &mut fastrand::Rng {
        &mut self.rng
    }

    /// How many calls were made.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// How often each fault struck.
    #[must_use]
    pub fn faults(&self) -> &BTreeMap<Fault, u64> {
        &self.faults
    }

    /// Our VPC.
    #[must_use]
    pub fn own_vpc(&self) -> &str {
        &self.own_vpc
    }

    /// Our VPC's blocks. Its subnets fill them.
    #[must_use]
    pub fn own_blocks(&self) -> &[Ipv4Net] {
        &self.own_blocks
    }

    /// Whether groups and clusters live only the last minute of a longer wait, from now on: years of calm in seconds. Only where
    /// nothing is under way with them as it begins.
    pub fn skip_long_waits(&mut self, on: bool) {
        self.skips = on;
    }

    /// Lets groups and clusters live up to now, a second at a time.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        self.stored.tick(|region, key| self.keys.enabled(region, key), now);
        if self.scaling.is_empty() {
            self.lived_to = now;
        }
        if self.skips {
            self.lived_to = self.lived_to.max(now.checked_sub(SKIPPED_TO).unwrap_or(now));
        }
        loop {
            let next = after(self.lived_to, Duration::from_secs(1));
            if next > now {
                return;
            }
            self.lived_to = next;
            let mut rng = self.rng.clone();
            self.machines.tick(next);
            let machines = &self.machines;
            self.disks.tick(|id| machines.get(id).is_none_or(crate::instances::Machine::ends), next);
            self.scaling.tick(&mut self.machines, &mut rng, next);
            let disks = &self.disks;
            for cluster in self.clusters.values_mut() {
                cluster.tick(&self.machines, |id| disks.at(id), &mut rng, next);
                let lines = cluster.take_log();
                if let Some(story) = &mut self.story {
                    story.extend(lines.into_iter().map(|line| format!("{next:.3}  {} {line}", cluster.made().group)));
                }
            }
            self.rng = rng;
            self.tick_commands(next);
        }
    }

    /// The story so far, if it is told.
    #[must_use]
    pub fn story(&self) -> &[String] {
        self.story.as_deref().unwrap_or_default()
    }
}

/// A world. Clones are the same world; [`World::fork`] makes another.
#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    time: VirtualTime,
    state: Mutex<State>,
    observer: Mutex<Option<Box<dyn Observer>>>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("now", &self.0.time.now()).finish_non_exhaustive()
    }
}

impl World {
    /// An account with a VPC (`vpc-own`, 10.1.0.0/16) and nothing else.
    #[must_use]
    pub fn new(seed: u64, now: Timestamp) -> Self {
        let state = State {
            rng: fastrand::Rng::with_seed(seed),
            weather: Weather::default(),
            faults: BTreeMap::new(),
            calls: 0,
            story: None,
            own_vpc: "vpc-own".to_owned(),
            own_blocks: Ipv4Net::new(std::net::Ipv4Addr::new(10, 1, 0, 0), 16).into_iter().collect(),
            peerings: Connections::default(),
            route_tables: RoutingTables::default(),
            target_groups: Groups::default(),
            servers: Servers::default(),
            zone: Zone::default(),
            gateways: BTreeMap::new(),
            secrets: BTreeMap::new(),
            documents: Documents::default(),
            notices: Vec::new(),
            answers: Vec::new(),
            machines: Machines::default(),
            disks: Disks::default(),
            drives: Drives::default(),
            stored: Stored::default(),
            keys: Keys::default(),
            nodes: Nodes::default(),
            scaling: ScalingGroups::default(),
            sent: Sent::default(),
            node_groups: BTreeMap::new(),
            clusters: BTreeMap::new(),
            clocks: BTreeMap::new(),
            lived_to: now,
            skips: false,
        };
        Self::of(state, now)
    }

    fn of(state: State, now: Timestamp) -> Self {
        let time = VirtualTime::starting(now);
        Self(Arc::new(Inner { time, state: Mutex::new(state), observer: Mutex::new(None) }))
    }

    /// A world that is the same now and goes its own way from here. Nobody observes it yet.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::of(self.read(State::clone), self.0.time.now())
    }

    /// Its time.
    #[must_use]
    pub fn time(&self) -> &VirtualTime {
        &self.0.time
    }

    /// A new process.
    #[must_use]
    pub fn client(&self, name: &str) -> Client {
        Client::new(self.clone(), name)
    }

    /// Looks at the truth.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Something happens in the world, whoever does it.
    pub fn happen<T>(&self, change: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let now = self.0.time.now();
        self.with(|state| {
            state.advance(now);
            change(state, now)
        })
    }

    /// Who sees every call from now on.
    pub fn set_observer(&self, observer: Option<Box<dyn Observer>>) {
        *self.0.observer.lock().unwrap_or_else(PoisonError::into_inner) = observer;
    }

    /// Tells the story from now on.
    pub fn tell(&self) {
        self.with(|state| {
            state.story.get_or_insert_default();
        });
    }

    /// A line of the story, made only if it is told.
    pub fn note(&self, line: impl FnOnce() -> String) {
        let now = self.0.time.now();
        self.with(|state| {
            if let Some(story) = &mut state.story {
                story.push(format!("{now:.3}  {}", line()));
            }
        });
    }

    pub(crate) fn record(&self, record: Record) {
        self.with(|state| {
            state.calls += 1;
            if let Some(fault) = record.fault {
                *state.faults.entry(fault).or_default() += 1;
            }
            if let Some(story) = &mut state.story {
                let fault = record.fault.map(|f| format!(" [{f:?}]")).unwrap_or_default();
                let line = record.happened.line();
                story.push(format!("{:.3}  {:<10} {}{fault}: {line}", record.at, record.process, record.call));
            }
            if let Some(observer) = &mut *self.0.observer.lock().unwrap_or_else(PoisonError::into_inner) {
                observer.observe(state, &record);
            }
        });
    }
}
