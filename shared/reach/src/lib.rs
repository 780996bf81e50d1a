//! The ports over what a VPC's hosts answer: one file for each port, under the port's name. And what functions ask those hosts
//! through them: [`asking`], [`nodes`].
//!
//! Nothing here makes an AWS call, so that the same code runs inside a VPC that has no way to AWS.

pub mod asking;
mod etcd;
mod failure;
pub mod gateway;
mod http;
mod names;
pub mod nodes;
pub mod patroni;
pub mod postgres;
mod tcp;
mod tls;

pub use failure::Failure;
pub use names::Resolver;
