//! What Pilothouse knows about clusters without asking anybody: the spec, names, addresses, conditions and reasons.
//!
//! Everything here is pure. This crate knows no runtime, no SDK, no clock and no environment: time is an argument.

pub mod address;
pub mod condition;
pub mod names;
pub mod reason;
pub mod retention;
pub mod schedule;
pub mod slots;
pub mod spec;
