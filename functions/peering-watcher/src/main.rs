//! The peering watcher's process.

use std::process::ExitCode;

use aws::{Configuration, Notices, SystemClock, Table};
use aws_ec2::{Peerings, RouteTables, TargetGroups};
use peering_watcher::Ports;
use peering_watcher::budget::ElbBudget;
use peering_watcher::handler::PeeringWatcher;
use peering_watcher::pass::{Memory, Watcher};
use peering_watcher::state::FUNCTION;
use ports::CallLog;
use reach::Resolver;

struct Aws {
    table: Table,
    notices: Notices,
    peerings: Peerings,
    route_tables: RouteTables,
    target_groups: TargetGroups,
    names: Resolver,
    clock: SystemClock,
}

impl Ports for Aws {
    type Table = Table;
    type Notices = Notices;
    type Peerings = Peerings;
    type RouteTables = RouteTables;
    type TargetGroups = TargetGroups;
    type Names = Resolver;
    type Clock = SystemClock;

    fn table(&self) -> &Table {
        &self.table
    }

    fn notices(&self) -> &Notices {
        &self.notices
    }

    fn peerings(&self) -> &Peerings {
        &self.peerings
    }

    fn route_tables(&self) -> &RouteTables {
        &self.route_tables
    }

    fn target_groups(&self) -> &TargetGroups {
        &self.target_groups
    }

    fn names(&self) -> &Resolver {
        &self.names
    }

    fn clock(&self) -> &SystemClock {
        &self.clock
    }
}

fn main() -> ExitCode {
    runtime::shell::run(FUNCTION, |config| async move {
        let calls = CallLog::default();
        let aws = Configuration::load(&calls).await;
        let ports = Aws {
            table: Table::new(&aws, config.table.clone()),
            notices: Notices::new(&aws, config.topic_arn.clone()),
            peerings: Peerings::new(&aws),
            route_tables: RouteTables::new(&aws),
            target_groups: TargetGroups::new(&aws),
            names: Resolver::new(config.resolvers.as_deref()),
            clock: SystemClock,
        };
        let watcher = Watcher { ports, calls, budget: ElbBudget::default(), memory: Memory::default() };
        PeeringWatcher { watcher, config }
    })
}
