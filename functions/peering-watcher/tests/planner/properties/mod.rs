//! Properties: for every input, whatever it is. Inputs are drawn from a fixed seed, so that a run says the same on every
//! machine; a case that fails is shrunk and printed whole.

mod admission;
mod diff;

use std::fmt::Debug;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestRunner};

/// Holds a property over this many cases.
#[track_caller]
fn for_all<S: Strategy>(cases: u32, drawn_from: S, property: impl Fn(S::Value) -> TestCaseResult)
where
    S::Value: Debug,
{
    let config =
        Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(0x9111_07E5), ..Config::default() };
    if let Err(failure) = TestRunner::new(config).run(&drawn_from, property) {
        panic!("{failure}");
    }
}
