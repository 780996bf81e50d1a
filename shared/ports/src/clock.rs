//! Time, as the world tells it.

use std::time::Duration;

/// The wall clock and the only way to wait.
pub trait Clock: Sync {
    /// Now, in UTC.
    fn now(&self) -> jiff::Timestamp;

    /// Waits by a clock that no adjustment of the wall clock moves.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}
