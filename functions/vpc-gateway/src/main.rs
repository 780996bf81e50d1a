//! The VPC gateway's process.

use std::process::ExitCode;

use domain::address;
use reach::Resolver;
use reach::gateway::Gateway;
use vpc_gateway::config::Config;
use vpc_gateway::handler::VpcGateway;

fn main() -> ExitCode {
    runtime::shell::run(vpc_gateway::FUNCTION, |config: Config| async move {
        VpcGateway(Gateway {
            verbs: config.verbs,
            names: Resolver::new(config.resolvers.as_deref()),
            admits: |address| address::of_admissible_kind(address).map_err(|refusal| refusal.to_string()),
        })
    })
}
