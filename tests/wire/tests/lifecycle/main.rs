//! The lifecycle function over the wire: the real binary against the emulated AWS, with a scripted cluster on the instances.
//!
//! One binary, because the tests share one emulator, which takes seconds to start, and run one after another. The addresses need
//! the right to change the network.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod brakes;
mod cluster;
mod events;
mod hooks;
mod host;
mod joining;
mod leaving;
mod peers_bugs;
mod stage;
mod unsafe_ends;
mod volumes;
