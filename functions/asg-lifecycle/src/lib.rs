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

/// Everything that the function needs of the world.
pub trait Ports: Sync {
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
    /// Functions inside VPCs.
    type Gateways: ports::Gateways;
    /// The same from here, where a spec names no gateway.
    type Inside: ports::Gateways;
    /// Secrets.
    type Secrets: ports::Secrets;
    /// Time.
    type Clock: ports::Clock;

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
    /// Functions inside VPCs.
    fn gateways(&self) -> &Self::Gateways;
    /// The same from here.
    fn inside(&self) -> &Self::Inside;
    /// Secrets.
    fn secrets(&self) -> &Self::Secrets;
    /// Time.
    fn clock(&self) -> &Self::Clock;
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
    ($($port:ident: $name:ident is $kind:ident = $parameter:ident),+) => {
        impl<$($parameter: ports::$kind),+> Ports for World<$($parameter),+> {
            $(type $name = $parameter;

            fn $port(&self) -> &$parameter {
                &self.$port
            })+
        }
    };
}

bundle!(
    table: Table is Table = Ta,
    notices: Notices is Notices = No,
    auto_scaling: AutoScaling is AutoScaling = As,
    instances: Instances is Instances = In,
    commands: Commands is Commands = Co,
    node_targets: NodeTargets is NodeTargets = Nt,
    volumes: Volumes is Volumes = Vo,
    gateways: Gateways is Gateways = Ga,
    inside: Inside is Gateways = Is,
    secrets: Secrets is Secrets = Se,
    clock: Clock is Clock = Cl
);
