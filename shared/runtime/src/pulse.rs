//! The pulse: EventBridge wakes a function once a minute at the finest, and a failover does not wait that long.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ports::Clock;

/// When passes start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// From the start of one pass to the start of the next.
    pub gap: Duration,
    /// No pass starts later than this after the first one. Zero: a single pass.
    pub budget: Duration,
    /// When the invocation is stopped from outside.
    pub deadline: Timestamp,
    /// What a pass needs at least: none starts with less than this before the deadline.
    pub least: Duration,
}

/// Whether to go on after a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// One more pass at the next beat.
    Beat,
    /// Nothing is left that another pass soon could settle.
    Rest,
}

impl Pulse {
    /// How long to wait for the next pass, `None` for no more. A pass that overran its beat is followed at once.
    #[must_use]
    pub fn wait(&self, first: Timestamp, started: Timestamp, now: Timestamp) -> Option<Duration> {
        let gap = SignedDuration::try_from(self.gap).ok()?;
        let next = started.checked_add(gap).ok()?.max(now);
        let last = first.checked_add(SignedDuration::try_from(self.budget).ok()?).ok()?;
        let latest = self.deadline.checked_sub(SignedDuration::try_from(self.least).ok()?).ok()?;
        let fits = !self.budget.is_zero() && next < last && next <= latest;
        fits.then(|| Duration::try_from(next.duration_since(now)).unwrap_or_default())
    }

    /// The first pass starts now.
    #[must_use]
    pub fn begin(self, now: Timestamp) -> Beats {
        Beats { pulse: self, first: now, started: now, passes: 1, extra: false }
    }
}

/// The passes of one invocation.
#[derive(Debug)]
pub struct Beats {
    pulse: Pulse,
    first: Timestamp,
    started: Timestamp,
    passes: u32,
    extra: bool,
}

impl Beats {
    /// How many passes have started.
    #[must_use]
    pub fn passes(&self) -> u32 {
        self.passes
    }

    /// A pass has ended. Waits for the next one, and says whether there is one.
    pub async fn next<C: Clock>(&mut self, clock: &C, next: Next) -> bool {
        let now = clock.now();
        match (next, self.pulse.wait(self.first, self.started, now)) {
            (Next::Beat, Some(wait)) => {
                clock.sleep(wait).await;
                self.started = clock.now();
                self.passes += 1;
                true
            }
            (Next::Rest, _) | (_, None) => false,
        }
    }

    /// One pass more than the pulse has, at once, and at most one: somebody asked for it. Says whether there is time.
    pub fn once_more<C: Clock>(&mut self, clock: &C) -> bool {
        let now = clock.now();
        let least = SignedDuration::try_from(self.pulse.least).unwrap_or_default();
        let fits = !self.extra && now.checked_add(least).is_ok_and(|end| end <= self.pulse.deadline);
        if fits {
            (self.extra, self.started) = (true, now);
            self.passes += 1;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Ticking(Mutex<Timestamp>);

    impl Ticking {
        fn advance(&self, duration: Duration) {
            let mut now = self.0.lock().unwrap();
            *now = now.checked_add(duration).unwrap();
        }
    }

    impl Clock for Ticking {
        fn now(&self) -> Timestamp {
            *self.0.lock().unwrap()
        }
        async fn sleep(&self, duration: Duration) {
            self.advance(duration);
        }
    }

    fn passes(budget: u64, deadline: i64, pass_takes: u64, rest_after: Option<u32>) -> (u32, i64) {
        let clock = Ticking(Mutex::new(Timestamp::UNIX_EPOCH));
        let pulse = Pulse {
            gap: Duration::from_secs(10),
            budget: Duration::from_secs(budget),
            deadline: Timestamp::from_second(deadline).unwrap(),
            least: Duration::from_secs(12),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let made = runtime.block_on(async {
            let mut beats = pulse.begin(clock.now());
            loop {
                clock.advance(Duration::from_secs(pass_takes));
                let next = if Some(beats.passes()) == rest_after { Next::Rest } else { Next::Beat };
                if !beats.next(&clock, next).await {
                    return beats.passes();
                }
            }
        });
        (made, clock.now().as_second())
    }

    #[test]
    fn passes_start_ten_seconds_apart_until_the_budget_is_spent() {
        assert_eq!(passes(50, 900, 1, None), (5, 41));
        assert_eq!(passes(0, 900, 1, None), (1, 1), "no budget is a single pass");
        assert_eq!(passes(50, 900, 25, None), (2, 50), "a slow pass is followed at once, and delays no one more");
        assert_eq!(passes(50, 900, 1, Some(2)), (2, 11), "a settled fleet may rest");
    }

    #[test]
    fn w7_no_pass_starts_that_could_not_end_before_the_deadline() {
        assert_eq!(passes(50, 35, 1, None), (3, 21));
        assert_eq!(passes(50, 5, 1, None), (1, 1));
    }
}
