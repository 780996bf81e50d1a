//! What was true when, for reads that lag behind.

use std::time::Duration;

use jiff::Timestamp;

/// How far back a read can lag at the most.
const KEPT: Duration = Duration::from_secs(120);

/// A value and what it was before.
#[derive(Debug, Clone)]
pub(crate) struct History<T> {
    now: T,
    /// Oldest first, each with the time at which it stopped being true.
    before: Vec<(Timestamp, T)>,
}

impl<T: Clone> History<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { now: value, before: Vec::new() }
    }

    pub(crate) fn now(&self) -> &T {
        &self.now
    }

    /// The value as it was at `at`.
    pub(crate) fn at(&self, at: Timestamp) -> &T {
        self.before.iter().find(|(until, _)| *until > at).map_or(&self.now, |(_, value)| value)
    }

    /// Changes the value at `at`.
    pub(crate) fn change(&mut self, at: Timestamp) -> &mut T {
        let oldest = at.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
        self.before.retain(|(until, _)| *until > oldest);
        self.before.push((at, self.now.clone()));
        &mut self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_sees_what_was_true_then() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut history = History::new("a");
        *history.change(at(10)) = "b";
        *history.change(at(20)) = "c";
        assert_eq!([0, 9, 10, 19, 20, 99].map(|s| *history.at(at(s))), ["a", "a", "b", "b", "c", "c"]);
        *history.change(at(500)) = "d";
        assert_eq!(*history.at(at(15)), "c", "what is older than the longest lag is forgotten");
    }
}
