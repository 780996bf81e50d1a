//! The narrow traits through which Pilothouse reaches the world, the plain values that cross them, and their errors.
//!
//! A port says what a function needs, not what a service offers. It holds no policy: what an answer means for a cluster
//! is decided in the functions. It knows no SDK: the adapters are `aws`, `aws-ec2` and `reach`, one file for each port,
//! under the same name.

mod auto_scaling;
mod calls;
mod clock;
mod commands;
mod encryption_keys;
mod error;
mod gateways;
mod instances;
mod names;
mod node_targets;
mod notices;
mod peerings;
mod response_url;
mod route_tables;
mod secrets;
mod snapshots;
mod table;
mod target_groups;
mod volumes;

pub use auto_scaling::{
    AutoScaling, Group, GroupInstance, Hook, HookResult, LifecycleAction, LifecycleState, Transition,
};
pub use calls::{CallCounts, CallLog};
pub use clock::Clock;
pub use commands::{CommandState, Commands};
pub use encryption_keys::{EncryptionKey, EncryptionKeys};
pub use error::{Class, PortError};
pub use gateways::Gateways;
pub use instances::{Instance, InstanceState, Instances};
pub use names::{NameAnswer, Names};
pub use node_targets::{NodeTarget, NodeTargetGroup, NodeTargetHealth, NodeTargets, TargetKind};
pub use notices::Notices;
pub use peerings::{Peering, PeeringState, PeeringVpc, Peerings};
pub use response_url::ResponseUrl;
pub use route_tables::{Route, RouteState, RouteTable, RouteTables, RouteTarget};
pub use secrets::{Secret, Secrets};
pub use snapshots::{Disk, NewCopy, NewSet, Snapshot, SnapshotState, Snapshots};
pub use table::{Expect, Item, Key, Table, TableError, Write};
pub use target_groups::{Health, Target, TargetGroup, TargetGroups, TargetHealth};
pub use volumes::{NewVolume, Volume, VolumeState, Volumes};
