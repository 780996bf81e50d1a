//! The watcher and a gateway, both as their real binaries, with real PostgreSQL servers behind them: what a probe changes,
//! what a gateway's failure does not, and that a password is nowhere but where it is needed.

#![cfg(test)] // for clippy: `unwrap` and the like are for tests alone

mod failures;
mod probes;
mod transit;
