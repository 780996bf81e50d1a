//! The snapshot scheduler over the wire: the real binary against the emulated AWS, with a scripted cluster on the instances, whose
//! agents answer what the node's scripts would print (those are proven on real file systems in the lab).
//!
//! One binary, because the tests share one emulator, which takes seconds to start, and run one after another. The addresses need
//! the right to change the network.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../lifecycle/cluster.rs"]
#[allow(dead_code, reason = "the lifecycle's tests ask more of it")]
mod cluster;
mod copying;
mod events;
#[path = "../lifecycle/host.rs"]
#[allow(dead_code, reason = "the lifecycle's tests ask more of it")]
mod host;
mod keeping;
mod stage;
mod taking;
mod verbs;
