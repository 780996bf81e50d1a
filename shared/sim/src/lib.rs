//! Every port in memory, with AWS's own semantics as they are documented, a virtual clock, and faults at every call.
//!
//! A [`World`] holds the truth; processes reach it through a [`Client`] each, from which the ports are made. A call takes a
//! random virtual time, so that runs that overlap meet between any two calls. What happens follows from the seed alone:
//! there are no threads, and time passes only when nobody can go on.
//!
//! ```
//! # use std::time::Duration;
//! # use ports::{Clock as _, Notices as _};
//! let world = sim::World::new(7, "2026-11-21T12:00:00Z".parse().unwrap());
//! let client = world.client("watcher-1");
//! let (clock, notices) = (sim::Clock::new(&client), sim::Notices::new(&client));
//! let sent = sim::block_on(world.time(), async {
//!     clock.sleep(Duration::from_secs(3600)).await;
//!     notices.publish("subject", "{}").await
//! });
//! assert_eq!(sent, Ok(Ok(())));
//! assert_eq!(world.read(|state| state.notices().len()), 1);
//! ```
//!
//! A file has the name that the service's port has in `ports`; each says which rules it holds and where they come from.

mod auto_scaling;
mod calls;
mod client;
mod clock;
mod commands;
mod encryption_keys;
mod etcd;
mod executor;
mod fault;
mod gateways;
mod history;
mod instances;
mod names;
mod node_targets;
mod notices;
mod patroni;
mod peerings;
mod response_url;
mod route_tables;
mod secrets;
mod servers;
mod snapshots;
mod table;
mod target_groups;
mod time;
mod volumes;
mod wal;
mod world;

pub use auto_scaling::{AutoScaling, LifecycleEvent, NewScalingGroup};
pub use calls::{Happened, NodeCall, Record};
pub use client::{Client, Doom};
pub use clock::Clock;
pub use commands::{Agent, Commands};
pub use encryption_keys::EncryptionKeys;
pub use etcd::MemberTruth;
pub use executor::{Stuck, Task, block_on, run};
pub use fault::{Fault, Odds, Weather};
pub use gateways::{Gateway, Gateways, Mood};
pub use instances::Instances;
pub use names::Names;
pub use node_targets::{NewNodeGroup, NodeTargets};
pub use notices::{Notices, Published};
pub use patroni::{Cluster, NewDatabase, NodeTruth, Stall};
pub use peerings::Peerings;
pub use response_url::ResponseUrl;
pub use route_tables::RouteTables;
pub use secrets::Secrets;
pub use servers::Server;
pub use snapshots::{
    Asked, Content, FileSystems, Freeze, Mount, NewDrive, SnapshotEvent, SnapshotEventKind, SnapshotFacts,
    SnapshotHabits, Snapshots,
};
pub use table::Table;
pub use target_groups::{NewGroup, TargetGroups};
pub use time::{Sleep, VirtualTime};
pub use volumes::Volumes;
pub use wal::{Position, Stretch};
pub use world::{Observer, State, World};
