//! A process's clock.

use std::time::Duration;

use crate::client::Client;
use crate::time::VirtualTime;

/// The world's time as a process reads it.
#[derive(Debug, Clone)]
pub struct Clock(VirtualTime);

impl Clock {
    /// The clock of a process.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.world().time().clone())
    }
}

impl ports::Clock for Clock {
    fn now(&self) -> jiff::Timestamp {
        self.0.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}
