//! Virtual time: it stands still while anybody can go on, and jumps to the next one who waits.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::Timestamp;

/// The time of a world. Clones are the same time.
#[derive(Debug, Clone)]
pub struct VirtualTime(Arc<Mutex<Times>>);

#[derive(Debug)]
struct Times {
    now: Timestamp,
    /// Who waits until when; of equals, who came first is woken first.
    waiting: BTreeMap<(Timestamp, u64), Waker>,
    next: u64,
}

impl VirtualTime {
    /// Time that begins at `now`.
    #[must_use]
    pub fn starting(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Times { now, waiting: BTreeMap::new(), next: 0 })))
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.times().now
    }

    /// Lets time pass while nobody runs.
    pub fn advance(&self, duration: Duration) {
        let mut times = self.times();
        times.now = later(times.now, duration);
    }

    /// Waits.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep { time: self.clone(), until: later(self.now(), duration), place: None }
    }

    /// Jumps to the next who waits and wakes them. `false`: nobody waits.
    pub(crate) fn jump(&self) -> bool {
        let mut times = self.times();
        let Some(((at, _), waker)) = times.waiting.pop_first() else { return false };
        times.now = times.now.max(at);
        drop(times);
        waker.wake();
        true
    }
}

fn later(now: Timestamp, duration: Duration) -> Timestamp {
    now.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// A wait. Dropped, it leaves nothing behind: a limit that was not reached must not move the clock.
#[derive(Debug)]
pub struct Sleep {
    time: VirtualTime,
    until: Timestamp,
    place: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let time = self.time.clone();
        let mut times = time.times();
        if let Some(place) = self.place {
            times.waiting.remove(&(self.until, place));
        }
        if times.now >= self.until {
            self.place = None;
            return Poll::Ready(());
        }
        let place = self.place.unwrap_or(times.next);
        times.next = times.next.max(place + 1);
        times.waiting.insert((self.until, place), context.waker().clone());
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.time.times().waiting.remove(&(self.until, place));
        }
    }
}
