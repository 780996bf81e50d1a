//! The scheduler's plans: pure, world by world.

#![cfg(test)]
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

mod broken;
mod clocks;
mod copying;
mod ending;
mod foreign;
mod gate;
mod holds;
mod keeping;
mod passes;
mod quiescing;
mod resting;
mod slots;
mod storms;
mod surveys;
mod taking;
mod turns;
mod whole;
mod world;
