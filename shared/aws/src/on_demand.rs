//! Clients that a pass seldom needs.

use std::sync::{Arc, LazyLock};

/// A client that is made at its first call. Making one parses the SDK's own table of AWS's partitions, an eighth of the
/// watcher's start each. What every pass over any fleet needs is made at start all the same, where Lambda lends a whole processor;
/// a fleet without nodes needs no Auto Scaling.
pub type OnDemand<C> = Arc<LazyLock<C, Box<dyn FnOnce() -> C + Send>>>;

/// Nothing is made yet.
pub fn on_demand<C>(make: impl FnOnce() -> C + Send + 'static) -> OnDemand<C> {
    Arc::new(LazyLock::new(Box::new(make)))
}
