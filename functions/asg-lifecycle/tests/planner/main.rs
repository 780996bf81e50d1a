//! The lifecycle function's plans: pure, world by world.

#![cfg(test)]
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

mod appearances;
mod doubt;
mod gate;
mod hooks;
mod joining;
mod leaving;
mod volumes;
mod world;
