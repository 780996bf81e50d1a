//! The peering watcher over the wire: the real binary, an emulated AWS, real DNS packets.
//!
//! One binary, because the tests share one emulator, which takes seconds to start, and run one after another.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod adopt;
mod brakes;
mod cases;
mod endings;
mod failover;
mod faults;
mod invocations;
mod names;
mod neighbours;
mod ownership;
mod peerings;
mod peers_bugs;
mod registration;
mod restore;
mod runs;
