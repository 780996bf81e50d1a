//! The ports over what a VPC's hosts answer: one file for each port, under the port's name.
//!
//! Nothing here makes an AWS call, so that the same code runs inside a VPC that has no way to AWS.

pub mod gateway;
mod names;
pub mod postgres;

pub use names::Resolver;
