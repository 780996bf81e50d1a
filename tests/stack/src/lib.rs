//! The surroundings in which tests run the real functions: an emulated AWS, a DNS server, ports that stand for
//! databases, and the functions' own processes.
//!
//! ```no_run
//! # fn main() -> Result<(), stack::Error> {
//! let stack = stack::acquire()?;
//! let made = stack.world(&stack::World {
//!     clusters: vec![stack::WorldCluster::named("acme-prod", "10.9.0.0/16")],
//!     ..Default::default()
//! })?;
//! stack.dns.set("acme.example.internal", stack::Zone::addresses(&["10.9.0.5"], 5));
//! let watcher = stack.function("peering-watcher", &stack.environment(&made))?;
//! let report = watcher.invoke(&serde_json::json!({"cluster": "acme-prod"}))?;
//! # Ok(())
//! # }
//! ```

mod address;
mod control;
mod dns;
mod emulator;
mod error;
mod function;
mod groups;
mod http;
mod lines;
mod listener;
mod record;
mod snapshots;
mod stack;
mod world;

pub use address::LocalAddress;
pub use control::Control;
pub use dns::{DnsQuery, DnsServer, Zone};
pub use emulator::{Emulator, Endpoints, GATEWAYS};
pub use error::Error;
pub use function::{Function, Launch, binary};
pub use groups::{ActionRow, EventRow, Group, GroupHook, InstanceRow, NewInstance, RunsIn, VolumeRow};
pub use listener::Listener;
pub use record::{AnswerPut, Call, Fault, FaultKind, HeldCall, Need, PublishedNotice, RouteRow, TargetRow};
pub use snapshots::{KeyMade, SnapshotRow, VolumeAtHand};
pub use stack::{Stack, acquire};
pub use world::{
    MadeCluster, MadeEndpoint, MadePeering, NewPeering, PeeringChange, Requester, TargetGroupChange, World,
    WorldCluster, WorldEndpoint, WorldMade,
};
