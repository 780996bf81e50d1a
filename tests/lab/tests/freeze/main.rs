//! The node's script that freezes, on real file systems: what it holds back, and what thaws whatever dies.
#![cfg(test)]

mod dying;
mod node;
mod patroni;
mod refusing;
#[expect(dead_code, reason = "the tests of the survey use the rest")]
mod server;
mod thawing;
