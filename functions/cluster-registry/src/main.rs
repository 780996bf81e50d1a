//! The cluster registry's process.

use std::process::ExitCode;

use aws::{Configuration, ResponseUrl, SystemClock, Table};
use cluster_registry::Ports;
use cluster_registry::handler::Registry;
use ports::CallLog;

struct Aws {
    table: Table,
    response_url: ResponseUrl,
    clock: SystemClock,
}

impl Ports for Aws {
    type Table = Table;
    type ResponseUrl = ResponseUrl;
    type Clock = SystemClock;

    fn table(&self) -> &Table {
        &self.table
    }

    fn response_url(&self) -> &ResponseUrl {
        &self.response_url
    }

    fn clock(&self) -> &SystemClock {
        &self.clock
    }
}

fn main() -> ExitCode {
    runtime::shell::run(cluster_registry::FUNCTION, |config: runtime::config::Config| async move {
        let configuration = Configuration::load(&CallLog::default()).await;
        Registry(Aws {
            table: Table::new(&configuration, config.table),
            response_url: ResponseUrl::new(&configuration),
            clock: SystemClock,
        })
    })
}
