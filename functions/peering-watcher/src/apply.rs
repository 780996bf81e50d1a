//! Carries out what was planned. It makes no choices: each action says everything, its fallback included.

use ports::{Class, Clock as _, PortError, RouteTables as _, Target, TargetGroups as _};

use crate::Ports;
use crate::action::Action;
use crate::budget::ElbBudget;

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It was done.
    Done,
    /// Not in this pass: the budget of calls is spent.
    Deferred,
    /// It failed.
    Failed(PortError),
}

/// Carries out one action.
pub async fn apply<P: Ports>(ports: &P, budget: &ElbBudget, action: &Action) -> Applied {
    let done = match action {
        Action::CreateRoute { table, destination, connection } => {
            ports.route_tables().create(table, *destination, connection).await
        }
        Action::ReplaceRoute { table, destination, connection, .. } => {
            ports.route_tables().replace(table, *destination, connection).await
        }
        Action::DeleteRoute { table, destination, .. } => ports.route_tables().delete(table, *destination).await,
        Action::RegisterTarget { arn, target, make_room, .. } => {
            if !granted(ports, budget).await {
                return Applied::Deferred;
            }
            match ports.target_groups().register(arn, *target).await {
                Err(error) if error.class == Class::LimitReached && !make_room.is_empty() => {
                    register_after_making_room(ports, budget, arn, *target, make_room).await
                }
                other => other,
            }
        }
        Action::DeregisterTarget { arn, target, .. } => {
            if !granted(ports, budget).await {
                return Applied::Deferred;
            }
            ports.target_groups().deregister(arn, *target).await
        }
    };
    match done {
        Ok(()) => Applied::Done,
        Err(error) => Applied::Failed(error),
    }
}

/// A full target group would otherwise never change again: the registration fails for the target that its failure keeps
/// there (kubernetes/cloud-provider-aws 1328).
async fn register_after_making_room<P: Ports>(
    ports: &P,
    budget: &ElbBudget,
    arn: &str,
    target: Target,
    dead: &[Target],
) -> Result<(), PortError> {
    for one in dead {
        if granted(ports, budget).await {
            ports.target_groups().deregister(arn, *one).await?;
        }
    }
    ports.target_groups().register(arn, target).await
}

async fn granted<P: Ports>(ports: &P, budget: &ElbBudget) -> bool {
    match budget.write(ports.clock().now()) {
        Some(wait) => {
            if !wait.is_zero() {
                ports.clock().sleep(wait).await;
            }
            true
        }
        None => false,
    }
}
