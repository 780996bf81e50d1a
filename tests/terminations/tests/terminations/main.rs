//! Real nodes as instances of the emulated AWS: what the lifecycle function does to them is done.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "real servers take real time")]

mod instances;
mod stage;
mod terminations;
