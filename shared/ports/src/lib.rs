//! The narrow traits through which Pilothouse reaches the world, the plain values that cross them, and their errors.
//!
//! A port says what a function needs, not what a service offers. It holds no policy: what an answer means for a cluster
//! is decided in the functions. It knows no SDK: the adapters are `aws`, `aws-ec2` and `reach`, one file for each port,
//! under the same name.

mod calls;
mod clock;
mod error;
mod gateways;
mod names;
mod notices;
mod peerings;
mod response_url;
mod route_tables;
mod secrets;
mod table;
mod target_groups;

pub use calls::{CallCounts, CallLog};
pub use clock::Clock;
pub use error::{Class, PortError};
pub use gateways::Gateways;
pub use names::{NameAnswer, Names};
pub use notices::Notices;
pub use peerings::{Peering, PeeringState, PeeringVpc, Peerings};
pub use response_url::ResponseUrl;
pub use route_tables::{Route, RouteState, RouteTable, RouteTables, RouteTarget};
pub use secrets::{Secret, Secrets};
pub use table::{Expect, Item, Key, Table, TableError, Write};
pub use target_groups::{Health, Target, TargetGroup, TargetGroups, TargetHealth};
