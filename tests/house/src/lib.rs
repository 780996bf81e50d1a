//! Reads the repository, for the tests of the house itself: which crate knows which, and what the documents claim.
//!
//! What cannot be read fails a test's surroundings, so it panics and says what to do.

#![allow(clippy::expect_used, clippy::panic, reason = "what only tests use")]

pub mod files;
pub mod graph;
pub mod manifest;

/// Joins findings into one message, each on a line of its own.
#[must_use]
pub fn lines(findings: &[String]) -> String {
    findings.iter().map(|finding| format!("\n  {finding}")).collect()
}

/// Fails with every finding at once, and with what to do about them.
///
/// # Panics
/// Where there is a finding.
#[track_caller]
pub fn assert_none(findings: &[String], remedy: &str) {
    assert!(findings.is_empty(), "{}\n\n{remedy}\n", lines(findings));
}
