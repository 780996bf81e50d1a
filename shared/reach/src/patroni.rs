//! Patroni: its REST API asked, and what it says, read.
//!
//! The readers are pure, and take what Patroni 3.x and 4.x say (`patroni/api.py` and `cluster_as_json` of its `utils.py`).
//! They pass over what they do not know. What is missing or of another shape is "not known", and never a default that looks
//! healthy.

mod asking;
mod cluster;
mod config;
mod node;
mod reading;
mod reinitialize;
mod state;
mod switchover;
mod tags;

pub(crate) use asking::{get, reinitialize, switchover};
pub use cluster::{ClusterView, Found, Member, Role, ScheduledSwitchover};
pub use config::{DynamicConfig, Synchronous};
pub use node::{Behind, NodeRole, NodeView, Standby, Wal};
pub use reading::Unreadable;
pub use reinitialize::Reinitialize;
pub use state::State;
pub use switchover::{Refused, Switchover};
pub use tags::Tags;
