//! The peering watcher's process.

use std::process::ExitCode;

use aws::{Configuration, Gateways, Notices, Secrets, SystemClock, Table};
use aws_ec2::{Peerings, RouteTables, TargetGroups};
use peering_watcher::World;
use peering_watcher::budget::ElbBudget;
use peering_watcher::handler::PeeringWatcher;
use peering_watcher::pass::{Memory, Watcher};
use peering_watcher::state::FUNCTION;
use ports::CallLog;
use reach::Resolver;

fn main() -> ExitCode {
    runtime::shell::run(FUNCTION, |config: runtime::config::Config| async move {
        let calls = CallLog::default();
        let aws = Configuration::load(&calls).await;
        let ports = World {
            table: Table::new(&aws, config.table.clone()),
            notices: Notices::new(&aws, config.topic_arn.clone()),
            peerings: Peerings::new(&aws),
            route_tables: RouteTables::new(&aws),
            target_groups: TargetGroups::new(&aws),
            names: Resolver::new(config.resolvers.as_deref()),
            gateways: Gateways::new(&aws),
            secrets: Secrets::new(&aws),
            clock: SystemClock,
        };
        let watcher = Watcher { ports, calls, budget: ElbBudget::default(), memory: Memory::default() };
        PeeringWatcher { watcher, config }
    })
}
