//! The peering watcher: from an accepted VPC peering to the primary's address on the load balancer.
//!
//! Every pass reads the peering connections, resolves the primary's name, and brings routes and targets to what the
//! spec asks for. `observe` reads, `plan` decides (pure), `check` guards (pure), `apply` carries out; `pass` runs the fleet.
//!
//! This crate knows no SDK. It reaches the world through [`Ports`] alone; [`World`] bundles any set of them.

pub mod action;
pub mod admission;
pub mod apply;
pub mod budget;
pub mod check;
pub mod handler;
pub mod observe;
pub mod observed;
pub mod pass;
pub mod plan;
pub mod state;

/// Everything that the watcher needs of the world.
pub trait Ports: Sync {
    /// Our table.
    type Table: ports::Table;
    /// Where notices go.
    type Notices: ports::Notices;
    /// Peering connections.
    type Peerings: ports::Peerings;
    /// Route tables.
    type RouteTables: ports::RouteTables;
    /// Target groups.
    type TargetGroups: ports::TargetGroups;
    /// Names.
    type Names: ports::Names;
    /// Functions inside VPCs.
    type Gateways: ports::Gateways;
    /// Secrets.
    type Secrets: ports::Secrets;
    /// Time.
    type Clock: ports::Clock;

    /// Our table.
    fn table(&self) -> &Self::Table;
    /// Where notices go.
    fn notices(&self) -> &Self::Notices;
    /// Peering connections.
    fn peerings(&self) -> &Self::Peerings;
    /// Route tables.
    fn route_tables(&self) -> &Self::RouteTables;
    /// Target groups.
    fn target_groups(&self) -> &Self::TargetGroups;
    /// Names.
    fn names(&self) -> &Self::Names;
    /// Functions inside VPCs.
    fn gateways(&self) -> &Self::Gateways;
    /// Secrets.
    fn secrets(&self) -> &Self::Secrets;
    /// Time.
    fn clock(&self) -> &Self::Clock;
}

/// The ports, of whatever kinds: the real ones in the function's process, others in tests.
#[derive(Debug)]
pub struct World<Ta, No, Pe, Ro, Tg, Na, Ga, Se, Cl> {
    /// Our table.
    pub table: Ta,
    /// Where notices go.
    pub notices: No,
    /// Peering connections.
    pub peerings: Pe,
    /// Route tables.
    pub route_tables: Ro,
    /// Target groups.
    pub target_groups: Tg,
    /// Names.
    pub names: Na,
    /// Functions inside VPCs.
    pub gateways: Ga,
    /// Secrets.
    pub secrets: Se,
    /// Time.
    pub clock: Cl,
}

macro_rules! bundle {
    ($($port:ident: $kind:ident = $parameter:ident),+) => {
        impl<$($parameter: ports::$kind),+> Ports for World<$($parameter),+> {
            $(type $kind = $parameter;

            fn $port(&self) -> &$parameter {
                &self.$port
            })+
        }
    };
}

bundle!(
    table: Table = Ta,
    notices: Notices = No,
    peerings: Peerings = Pe,
    route_tables: RouteTables = Ro,
    target_groups: TargetGroups = Tg,
    names: Names = Na,
    gateways: Gateways = Ga,
    secrets: Secrets = Se,
    clock: Clock = Cl
);
