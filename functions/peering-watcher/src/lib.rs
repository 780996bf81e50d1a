//! The peering watcher: from an accepted VPC peering to the primary's address on the load balancer.
//!
//! Every pass reads the peering connections, resolves the primary's name, and brings routes and targets to what the
//! spec asks for. `observe` reads, `plan` decides (pure), `check` guards (pure), `apply` carries out; `pass` runs the fleet.
//!
//! This crate knows no SDK. It reaches the world through [`Ports`] alone.

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
    /// Time.
    fn clock(&self) -> &Self::Clock;
}
