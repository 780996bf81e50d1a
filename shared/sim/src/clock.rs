//! A process's clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::client::Client;
use crate::world::State;

/// The world's time as a process reads it: the services' own, unless its clock is wrong ([`State::set_clock`]).
#[derive(Debug, Clone)]
pub struct Clock(Client);

impl Clock {
    /// The clock of a process.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }
}

impl ports::Clock for Clock {
    fn now(&self) -> Timestamp {
        let now = self.0.world().time().now();
        let ahead = self.0.world().read(|state| state.clock_ahead(self.0.name()));
        now.checked_add(ahead).unwrap_or(now)
    }

    async fn sleep(&self, duration: Duration) {
        self.0.world().time().sleep(duration).await;
    }
}

impl State {
    /// The clock of the process of this name is wrong by so much from now on: ahead, or behind where it is less than nothing.
    /// What it waits for comes all the same, as the kernel's monotonic clock has it.
    pub fn set_clock(&mut self, process: &str, ahead: SignedDuration) {
        self.clocks.remove(process);
        if !ahead.is_zero() {
            self.clocks.insert(process.to_owned(), ahead);
        }
    }

    /// How far the clock of the process of this name is ahead.
    #[must_use]
    pub fn clock_ahead(&self, process: &str) -> SignedDuration {
        self.clocks.get(process).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use ports::Clock as _;

    use super::*;
    use crate::World;

    #[test]
    fn a_clock_that_is_wrong_is_one_processs_own_and_waits_as_the_others_do() {
        let world = World::new(1, "2026-11-21T12:00:00Z".parse().unwrap());
        let (one, other) = (Clock::new(&world.client("one")), Clock::new(&world.client("other")));
        let ahead = SignedDuration::from_hours(5);
        world.happen(|state, _| state.set_clock("one", ahead));
        assert_eq!(one.now().duration_since(other.now()), ahead);
        let before = one.now();
        crate::block_on(world.time(), one.sleep(Duration::from_secs(7))).unwrap();
        assert_eq!(one.now().duration_since(before).as_secs(), 7);
        assert_eq!(world.time().now(), other.now(), "AWS's time is right");
        world.happen(|state, _| state.set_clock("one", -ahead));
        assert_eq!(one.now().duration_since(other.now()), -ahead);
        world.happen(|state, _| state.set_clock("one", SignedDuration::ZERO));
        assert_eq!(one.now(), other.now());
    }
}
