//! Arithmetic on what was measured.

use std::time::Duration;

/// The middle value; of an even number of values the lower one of the two in the middle.
pub(crate) fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// How much faster than its input a figure grew: 1 is linear, below it a part is fixed, 2 is twice what linear growth
/// gives.
pub(crate) fn growth(small: (usize, f64), large: (usize, f64)) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a number of clusters")]
    let of = |n: usize| n.max(1) as f64;
    (large.1 / small.1.max(f64::MIN_POSITIVE)) / (of(large.0) / of(small.0))
}

/// By how many calls a bucket of `capacity` that refills at `per_second` was overdrawn at the worst. `times` are those at which
/// the calls came, in seconds, in their order.
pub(crate) fn overdraft(times: impl IntoIterator<Item = f64>, capacity: f64, per_second: f64) -> f64 {
    let (mut tokens, mut last, mut worst) = (capacity, None, 0.0_f64);
    for at in times {
        let passed = last.map_or(0.0, |last: f64| (at - last).max(0.0));
        tokens = (tokens + passed * per_second).min(capacity) - 1.0;
        last = Some(at);
        worst = worst.max(-tokens);
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let of = |values: &[u64]| median(values.iter().copied().map(Duration::from_millis).collect()).as_millis();
        assert_eq!((of(&[]), of(&[7]), of(&[9, 1, 5]), of(&[4, 1, 3, 2])), (0, 7, 5, 2));
    }

    #[test]
    fn growth_is_one_where_it_is_linear() {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(growth((100, 2.0), (1000, 20.0)), 1.0));
        assert!(close(growth((100, 2.0), (1000, 200.0)), 10.0), "quadratic");
        assert!(close(growth((100, 20.0), (1000, 20.0)), 0.1), "fixed");
    }

    #[test]
    fn a_bucket_is_overdrawn_by_what_the_refill_did_not_bring() {
        let burst = |calls: usize| std::iter::repeat_n(10.0, calls);
        assert!(overdraft(burst(20), 20.0, 4.0) <= 0.0);
        assert!((overdraft(burst(25), 20.0, 4.0) - 5.0).abs() < 1e-9);
        let steady = (0..100).map(|n| f64::from(n) * 0.25);
        assert!(overdraft(burst(20).chain(steady.map(|t| t + 10.25)), 20.0, 4.0) <= 1e-9);
        let too_fast = (0..100).map(|n| f64::from(n) * 0.2);
        assert!(overdraft(too_fast, 5.0, 4.0) > 10.0);
    }
}
