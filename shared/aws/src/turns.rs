//! How many calls of a process are under way at once.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Each call has a connection, connections are kept per service, and a Lambda function may have 1,024 files open
/// (`gettingstarted-limits`). More at once would bring no answer sooner either: one thread serves them all, and a call
/// that waits there for the processor loses the time that its attempt has.
const AT_ONCE: usize = 64;

/// The calls of a process take turns, in the order in which they came. A turn is taken before the call begins, so that
/// none of the call's time is spent on waiting for it.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Semaphore>);

/// A call's turn, until it is dropped.
#[derive(Debug)]
pub struct Turn<'a>(#[expect(dead_code, reason = "it is held, not read")] Option<SemaphorePermit<'a>>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Turns {
    /// Waits for a turn. Who holds one must not wait for another.
    pub async fn take(&self) -> Turn<'_> {
        // It is never closed.
        Turn(self.0.acquire().await.ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn the_next_call_waits_until_one_has_ended() {
        let turns = Turns::default();
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(turns.take().await);
        }
        let waited = Duration::from_millis(20);
        assert!(tokio::time::timeout(waited, turns.take()).await.is_err());
        held.pop();
        assert!(tokio::time::timeout(waited, turns.take()).await.is_ok());
    }
}
