//! The system's clocks.

use std::time::Duration;

use jiff::Timestamp;

/// The wall clock of the system, and tokio's timer, which runs on the monotonic one.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl ports::Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter that the rule sends everybody to")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the adapter that the rule sends everybody to")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ports::Clock;

    #[tokio::test]
    async fn sleeps_as_long_as_it_is_told() {
        let before = SystemClock.now();
        SystemClock.sleep(Duration::from_millis(30)).await;
        let slept = SystemClock.now().duration_since(before);
        assert!(slept.as_millis() >= 29, "{slept:?}");
    }
}
