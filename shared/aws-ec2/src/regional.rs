//! Clients of services that are asked in more than one Region.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One client for each Region that is asked for, made at its first call. All have the process's settings, connections and
/// recorder; only the Region differs, and with it the endpoint and the signature.
#[derive(Debug, Clone)]
pub(crate) struct Regional<S, C> {
    settings: S,
    make: fn(S, &str) -> C,
    own: String,
    made: Arc<Mutex<BTreeMap<String, C>>>,
}

impl<S: Clone, C: Clone> Regional<S, C> {
    /// Makes nothing yet. `make` gets an empty Region where neither the call nor the configuration names one.
    pub(crate) fn new(configuration: &aws::Configuration, settings: S, make: fn(S, &str) -> C) -> Self {
        let own = configuration.region().unwrap_or_default().to_owned();
        Self { settings, make, own, made: Arc::default() }
    }

    /// The client of a Region; empty: the function's own.
    pub(crate) fn of(&self, region: &str) -> C {
        let region = if region.is_empty() { &self.own } else { region };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry(region.to_owned()).or_insert_with(|| (self.make)(self.settings.clone(), region)).clone()
    }

    /// The name of the function's own Region.
    pub(crate) fn own(&self) -> &str {
        &self.own
    }
}
