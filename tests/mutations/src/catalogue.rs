//! The mutations. Each replaces one text, which must be in its file exactly once: short ones outlive a change around them.

mod addresses;
mod fleet;
mod gate;
mod lifecycle;
mod names;
mod peerings;
mod proofs;
mod restore_points;
mod routes;
mod targets;

use crate::suite::Suite;

/// One way to break the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mutation {
    /// Its name.
    pub name: &'static str,
    /// What is wrong then, in words.
    pub breaks: &'static str,
    /// The file, from the root of the repository.
    pub file: &'static str,
    /// What is there.
    pub find: &'static str,
    /// What takes its place.
    pub replace: &'static str,
    /// The suite with the tests that must notice.
    pub suite: Suite,
    /// Those tests: each of them must fail.
    pub caught_by: &'static [&'static str],
}

/// All of them.
#[must_use]
pub fn all() -> Vec<&'static Mutation> {
    [
        addresses::MUTATIONS,
        peerings::MUTATIONS,
        names::MUTATIONS,
        proofs::MUTATIONS,
        targets::MUTATIONS,
        routes::MUTATIONS,
        gate::MUTATIONS,
        fleet::MUTATIONS,
    ]
    .into_iter()
    .chain(lifecycle::PARTS)
    .chain(restore_points::PARTS)
    .flatten()
    .collect()
}
