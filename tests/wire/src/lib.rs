//! A scene for tests of the functions' behaviour over the wire: the emulated AWS, a DNS server, databases that listen,
//! and both functions as their real binaries.
//!
//! What fails here fails a test's surroundings, so it panics at the line of the test that asked.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "what only tests use")]

mod reads;
mod scene;
mod table;

pub use reads::{condition, text};
pub use scene::{ACME, FIRST, FOREIGN, HOST, SECOND, Scene, THIRD};
