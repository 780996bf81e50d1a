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

mod calls;
mod client;
mod clock;
mod executor;
mod fault;
mod gateways;
mod history;
mod names;
mod notices;
mod peerings;
mod response_url;
mod route_tables;
mod secrets;
mod servers;
mod table;
mod target_groups;
mod time;
mod world;

pub use calls::{Happened, Record};
pub use client::{Client, Doom};
pub use clock::Clock;
pub use executor::{Stuck, Task, block_on, run};
pub use fault::{Fault, Odds, Weather};
pub use gateways::{Gateway, Gateways, Mood};
pub use names::Names;
pub use notices::{Notices, Published};
pub use peerings::Peerings;
pub use response_url::ResponseUrl;
pub use route_tables::RouteTables;
pub use secrets::Secrets;
pub use servers::Server;
pub use table::Table;
pub use target_groups::{NewGroup, TargetGroups};
pub use time::{Sleep, VirtualTime};
pub use world::{Observer, State, World};
