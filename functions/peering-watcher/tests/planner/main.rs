//! The planner and its safety gate from outside: stories of many passes over a world in memory.
//!
//! A name that begins with `w1_` .. `w9_` or `f1_` holds that invariant of the design; `watcher_case_` and a few words is a
//! known nasty case of peering, DNS, target groups or the run itself.

#![cfg(test)] // for clippy: `unwrap` and the like are for tests alone

mod any;
mod brakes;
mod cases;
mod gate;
mod names;
mod ownership;
mod peered_anew;
mod peerings;
mod peers_bugs;
mod probes;
mod properties;
mod retirement;
mod routes;
mod stories;
mod targets;
mod world;
mod writer;
