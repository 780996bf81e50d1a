//! What the environment says to the gateway.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use reach::gateway::Verb;
use runtime::config::{Environment, Settings};

/// The gateway's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `PILOTHOUSE_VERBS`; absent: `resolve,probe`. What changes a database must be named to be allowed.
    pub verbs: BTreeSet<Verb>,
    /// `PILOTHOUSE_RESOLVERS`; absent: the system's, which in a VPC is its own resolver.
    pub resolvers: Option<Vec<SocketAddr>>,
}

impl Settings for Config {
    fn take(environment: &mut Environment<'_>) -> Self {
        let known = Verb::ALL.map(Verb::word);
        let default = [Verb::Resolve, Verb::Probe].map(Verb::word);
        Self {
            verbs: environment.verbs(&known, &default).into_iter().filter_map(Verb::of).collect(),
            resolvers: environment.resolvers(),
        }
    }
}
