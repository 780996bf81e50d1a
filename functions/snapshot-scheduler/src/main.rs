//! The snapshot scheduler's process.

use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use aws::{Configuration, Gateways, Notices, Secrets, SystemClock, Table};
use aws_ec2::{AutoScaling, Commands, EncryptionKeys, Instances, Snapshots};
use domain::address;
use ports::CallLog;
use reach::gateway::{Gateway, InProcess, NoNames, Verb};
use snapshot_scheduler::World;
use snapshot_scheduler::handler::SnapshotScheduler;
use snapshot_scheduler::pass::Keeper;
use snapshot_scheduler::state::FUNCTION;

fn main() -> ExitCode {
    runtime::shell::run(FUNCTION, |settings: snapshot_scheduler::config::Config| async move {
        let config = settings.shared;
        let calls = CallLog::default();
        let aws = Configuration::load(&calls).await;
        let inside = Gateway {
            verbs: [Verb::PatroniGet].into_iter().collect(),
            names: NoNames,
            admits: |address| address::of_admissible_kind(address).map_err(|refusal| refusal.to_string()),
        };
        let ports = World {
            table: Table::new(&aws, config.table.clone()),
            notices: Notices::new(&aws, config.topic_arn.clone()),
            auto_scaling: AutoScaling::new(&aws),
            instances: Instances::new(&aws),
            commands: Commands::new(&aws),
            snapshots: Snapshots::new(&aws).presigning(settings.presigned_url),
            keys: EncryptionKeys::new(&aws),
            gateways: Gateways::new(&aws),
            inside: InProcess(inside),
            secrets: Secrets::new(&aws),
            clock: SystemClock,
        };
        let (region, deployment) = (aws.region().unwrap_or_default().to_owned(), config.table.clone());
        SnapshotScheduler { keeper: Keeper { ports, calls, region, deployment, woken: AtomicBool::new(false) }, config }
    })
}
