//! ELB's documented refill rates, shared by all clusters of a process (`elb-api-throttling`): reads have a bucket of 40
//! that refills at 10 a second, registrations one of 20 at 4 a second. Ours are smaller: a token is taken before the call
//! waits for its turn among many, so what is granted over some seconds can go out in one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// A token bucket whose tokens can be reserved ahead, first come, first served.
#[derive(Debug)]
struct Bucket {
    capacity: f64,
    per_second: f64,
    tokens: f64,
    at: Option<Timestamp>,
}

impl Bucket {
    const fn new(capacity: f64, per_second: f64) -> Self {
        Self { capacity, per_second, tokens: capacity, at: None }
    }

    /// Reserves `calls` tokens. Gives how long to wait for them, or nothing where that would be longer than `patience`,
    /// or where fewer than `reserve` would be left.
    fn reserve(&mut self, calls: f64, reserve: f64, patience: Duration, now: Timestamp) -> Option<Duration> {
        if let Some(at) = self.at {
            let passed = now.duration_since(at).as_secs_f64().max(0.0);
            self.tokens = (self.tokens + passed * self.per_second).min(self.capacity);
        }
        self.at = Some(now);
        let left = self.tokens - calls;
        let wait = Duration::from_secs_f64(((reserve - left) / self.per_second).max(0.0));
        (wait <= patience).then(|| {
            self.tokens = left;
            wait
        })
    }
}

/// Both buckets.
#[derive(Debug)]
pub struct ElbBudget {
    reads: Mutex<Bucket>,
    writes: Mutex<Bucket>,
}

/// Why the load balancer is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Something changed or is unsettled: worth a wait.
    Change,
    /// It is its turn: only while there is plenty.
    Turn,
}

/// How many calls may go out at once, after a quiet time.
const READS: f64 = 34.0;
const WRITES: f64 = 12.0;

/// How long a pass waits for its tokens. A cluster that would wait longer comes first in the next pass.
const PATIENCE: Duration = Duration::from_secs(4);
/// What looks out of turn leave for changes.
const KEPT_FOR_CHANGES: f64 = 10.0;

impl Default for ElbBudget {
    fn default() -> Self {
        Self { reads: Mutex::new(Bucket::new(READS, 10.0)), writes: Mutex::new(Bucket::new(WRITES, 4.0)) }
    }
}

impl ElbBudget {
    /// Reserves reads. `None`: not in this pass.
    pub fn read(&self, calls: u8, urgency: Urgency, now: Timestamp) -> Option<Duration> {
        let (reserve, patience) = match urgency {
            Urgency::Change => (0.0, PATIENCE),
            Urgency::Turn => (KEPT_FOR_CHANGES, Duration::ZERO),
        };
        let mut bucket = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.reserve(f64::from(calls), reserve, patience, now)
    }

    /// Reserves a registration or deregistration. `None`: not in this pass.
    pub fn write(&self, now: Timestamp) -> Option<Duration> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner).reserve(1.0, 0.0, PATIENCE, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    #[test]
    fn a_burst_is_served_then_the_refill_rate_holds() {
        let budget = ElbBudget::default();
        let waits: Vec<Option<Duration>> = (0..90).map(|_| budget.read(1, Urgency::Change, at(0))).collect();
        assert_eq!(waits[33], Some(Duration::ZERO));
        assert_eq!(waits[34], Some(Duration::from_millis(100)));
        assert_eq!(waits[73], Some(Duration::from_secs(4)), "four seconds ahead at the most");
        assert_eq!(waits[74], None);
        assert_eq!(budget.read(1, Urgency::Change, at(100)), Some(Duration::from_secs(4)));
    }

    #[test]
    fn turns_leave_room_for_changes() {
        let budget = ElbBudget::default();
        let turns = (0..40).filter(|_| budget.read(1, Urgency::Turn, at(0)).is_some()).count();
        assert_eq!(turns, 24);
        assert_eq!(budget.read(1, Urgency::Change, at(0)), Some(Duration::ZERO));
    }

    #[test]
    fn watcher_case_three_thousand_customers_stay_below_the_documented_refill() {
        let budget = ElbBudget::default();
        let looks = (0..10)
            .flat_map(|pass| std::iter::repeat_n(pass * 10_000, 3000))
            .filter(|ms| budget.read(1, Urgency::Turn, at(*ms)).is_some())
            .count();
        assert!(looks <= 40 + 10 * 90, "{looks}");
    }
}
