//! The lifecycle function's process.

use std::process::ExitCode;

use asg_lifecycle::World;
use asg_lifecycle::handler::AsgLifecycle;
use asg_lifecycle::pass::{Keeper, Memory};
use asg_lifecycle::state::FUNCTION;
use aws::{Configuration, Gateways, Notices, Secrets, SystemClock, Table};
use aws_ec2::{AutoScaling, Commands, Instances, NodeTargets, Volumes};
use domain::address;
use ports::CallLog;
use reach::gateway::{Gateway, InProcess, NoNames, Verb};

fn main() -> ExitCode {
    runtime::shell::run(FUNCTION, |config: runtime::config::Config| async move {
        let calls = CallLog::default();
        let aws = Configuration::load(&calls).await;
        let inside = Gateway {
            verbs: Verb::ALL.into_iter().filter(|verb| !matches!(verb, Verb::Resolve | Verb::Probe)).collect(),
            names: NoNames,
            admits: |address| address::of_admissible_kind(address).map_err(|refusal| refusal.to_string()),
        };
        let ports = World {
            table: Table::new(&aws, config.table.clone()),
            notices: Notices::new(&aws, config.topic_arn.clone()),
            auto_scaling: AutoScaling::new(&aws),
            instances: Instances::new(&aws),
            commands: Commands::new(&aws),
            node_targets: NodeTargets::new(&aws),
            volumes: Volumes::new(&aws),
            gateways: Gateways::new(&aws),
            inside: InProcess(inside),
            secrets: Secrets::new(&aws),
            clock: SystemClock,
        };
        let region = aws.region().unwrap_or_default().to_owned();
        AsgLifecycle { keeper: Keeper { ports, calls, memory: Memory::default(), region }, config }
    })
}
