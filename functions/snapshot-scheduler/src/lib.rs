//! The snapshot scheduler: takes restore points on each cluster's schedule, copies them to other Regions, and keeps and deletes
//! them by policy, never losing the last good one.
//!
//! A restore point is one atomic set of EBS snapshots of a node's data ([`sets`]); its record says how far it is and whether it
//! counts. Every pass brings the records in line with the snapshots that there are, and each cluster one step further: `plan`
//! decides (pure) and asks for what it has to know, `observe` answers, `check` guards (pure), `apply` carries out; `pass` runs the
//! fleet. What is to be taken, copied or deleted is on record before it is begun.
//!
//! This crate knows no SDK. It reaches the world through [`Ports`] alone; [`World`] bundles any set of them.

pub mod action;
pub mod apply;
pub mod check;
pub mod config;
pub mod handler;
pub mod observe;
pub mod observed;
pub mod pass;
pub mod plan;
pub mod sets;
pub mod state;
pub mod survey;
pub mod verbs;

use reach::asking::Ways;

/// Everything that the function needs of the world: what asking the nodes takes, and these.
pub trait Ports: Ways {
    /// Our table.
    type Table: ports::Table;
    /// Where notices go.
    type Notices: ports::Notices;
    /// Auto Scaling groups.
    type AutoScaling: ports::AutoScaling;
    /// Instances.
    type Instances: ports::Instances;
    /// Commands on instances.
    type Commands: ports::Commands;
    /// Snapshots.
    type Snapshots: ports::Snapshots;
    /// Keys.
    type Keys: ports::EncryptionKeys;

    /// Our table.
    fn table(&self) -> &Self::Table;
    /// Where notices go.
    fn notices(&self) -> &Self::Notices;
    /// Auto Scaling groups.
    fn auto_scaling(&self) -> &Self::AutoScaling;
    /// Instances.
    fn instances(&self) -> &Self::Instances;
    /// Commands on instances.
    fn commands(&self) -> &Self::Commands;
    /// Snapshots.
    fn snapshots(&self) -> &Self::Snapshots;
    /// Keys.
    fn keys(&self) -> &Self::Keys;
}

/// The ports, of whatever kinds: the real ones in the function's process, others in tests.
#[derive(Debug)]
pub struct World<Ta, No, As, In, Co, Sn, Ke, Ga, Is, Se, Cl> {
    /// Our table.
    pub table: Ta,
    /// Where notices go.
    pub notices: No,
    /// Auto Scaling groups.
    pub auto_scaling: As,
    /// Instances.
    pub instances: In,
    /// Commands on instances.
    pub commands: Co,
    /// Snapshots.
    pub snapshots: Sn,
    /// Keys.
    pub keys: Ke,
    /// Functions inside VPCs.
    pub gateways: Ga,
    /// The same from here.
    pub inside: Is,
    /// Secrets.
    pub secrets: Se,
    /// Time.
    pub clock: Cl,
}

macro_rules! bundle {
    ($trait:ident: $($port:ident is $name:ident = $parameter:ident),+) => {
        impl<
            Ta: ports::Table,
            No: ports::Notices,
            As: ports::AutoScaling,
            In: ports::Instances,
            Co: ports::Commands,
            Sn: ports::Snapshots,
            Ke: ports::EncryptionKeys,
            Ga: ports::Gateways,
            Is: ports::Gateways,
            Se: ports::Secrets,
            Cl: ports::Clock,
        > $trait for World<Ta, No, As, In, Co, Sn, Ke, Ga, Is, Se, Cl> {
            $(type $name = $parameter;

            fn $port(&self) -> &$parameter {
                &self.$port
            })+
        }
    };
}

bundle!(
    Ports: table is Table = Ta,
    notices is Notices = No,
    auto_scaling is AutoScaling = As,
    instances is Instances = In,
    commands is Commands = Co,
    snapshots is Snapshots = Sn,
    keys is Keys = Ke
);
bundle!(
    Ways: gateways is Gateways = Ga,
    inside is Inside = Is,
    secrets is Secrets = Se,
    clock is Clock = Cl
);
