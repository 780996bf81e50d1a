//! A restore point becomes a standby by `infra/node/restore`, on real disks: loop devices, which only root may make.
//!
//! The disks lie on an outer one. What reaches their bytes stands still while that one is frozen, so copies of them made meanwhile
//! are of one instant, as the members of one CreateSnapshots are, whatever the file systems in them are about to write.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "real servers take real time")]

mod guard;
mod moments;
mod patroni;
mod production;
mod refusals;
mod script;
mod server;
mod standby;
mod storage;
