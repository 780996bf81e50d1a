//! The lifecycle function: takes database nodes into an Auto Scaling group and out of it, without losing a write or a quorum.
//!
//! Every pass finds the nodes that wait in a lifecycle hook, or that a hook has left retained, and brings each one step further:
//! `observe` reads, `plan` decides (pure), `check` guards (pure), `apply` carries out; `pass` runs the fleet. What was begun is on
//! record in a [`journal`] of each action, before it is begun.
//!
//! This crate knows no SDK. It reaches the world through [`Ports`] alone; [`World`] bundles any set of them.

pub mod action;
pub mod apply;
pub mod check;
pub mod event;
pub mod handler;
pub mod journal;
pub mod observe;
pub mod observed;
pub mod pass;
pub mod plan;
pub mod state;

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
    /// Target groups.
    type NodeTargets: ports::NodeTargets;
    /// Volumes.
    type Volumes: ports::Volumes;

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
    /// Target groups.
    fn node_targets(&self) -> &Self::NodeTargets;
    /// Volumes.
    fn volumes(&self) -> &Self::Volumes;
}

/// The ports, of whatever kinds: the real ones in the function's process, others in tests.
#[derive(Debug)]
pub struct World<Ta, No, As, In, Co, Nt, Vo, Ga, Is, Se, Cl> {
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
    /// Target groups.
    pub node_targets: Nt,
    /// Volumes.
    pub volumes: Vo,
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
            Nt: ports::NodeTargets,
            Vo: ports::Volumes,
            Ga: ports::Gateways,
            Is: ports::Gateways,
            Se: ports::Secrets,
            Cl: ports::Clock,
        > $trait for World<Ta, No, As, In, Co, Nt, Vo, Ga, Is, Se, Cl> {
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
    node_targets is NodeTargets = Nt,
    volumes is Volumes = Vo
);
bundle!(
    Ways: gateways is Gateways = Ga,
    inside is Inside = Is,
    secrets is Secrets = Se,
    clock is Clock = Cl
);
