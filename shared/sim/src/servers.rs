//! The databases behind the addresses: whether they can be reached, and what they are.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use ports::Target;

use crate::history::History;
use crate::world::State;

/// What a health check sees lags behind what is: some checks must fail, or pass, in a row.
const CHECKS_LAG: Duration = Duration::from_secs(10);

/// A PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Whether packets get there and back. Without: time-outs.
    pub reachable: bool,
    /// Whether something listens. Without: refused.
    pub listening: bool,
    /// `pg_is_in_recovery()`.
    pub in_recovery: bool,
    /// `wal_level`.
    pub wal_level: String,
}

impl Default for Server {
    fn default() -> Self {
        Self { reachable: true, listening: true, in_recovery: false, wal_level: "logical".to_owned() }
    }
}

/// All servers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Servers(BTreeMap<Target, History<Server>>);

impl Servers {
    fn at(&self, target: Target, at: Timestamp) -> Option<&Server> {
        self.0.get(&target).map(|server| server.at(at))
    }

    /// Whether health checks find it alive by now.
    pub(crate) fn passes_checks(&self, target: Target, now: Timestamp) -> bool {
        let then = now.checked_sub(CHECKS_LAG).unwrap_or(now);
        self.at(target, then).is_some_and(|server| server.reachable && server.listening)
    }
}

impl State {
    /// What is behind an address and port now; `None`: nothing answers there.
    #[must_use]
    pub fn server(&self, target: Target) -> Option<&Server> {
        self.servers.0.get(&target).map(History::now)
    }

    /// A server appears or changes.
    pub fn put_server(&mut self, target: Target, server: Server, now: Timestamp) {
        match self.servers.0.get_mut(&target) {
            Some(known) => *known.change(now) = server,
            None => {
                self.servers.0.insert(target, History::new(server));
            }
        }
    }
}
