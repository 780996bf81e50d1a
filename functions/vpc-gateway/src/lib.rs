//! The VPC gateway: runs inside one VPC and does a closed list of verbs towards that VPC's hosts, for reconcilers that run outside
//! any VPC. It makes no AWS call, keeps nothing, and needs no way out of its VPC.
//!
//! What it is asked and answers is `reach::gateway`'s to say; here are its configuration, its policy of addresses and its log.

pub mod config;
pub mod handler;

/// The function's name, in logs.
pub const FUNCTION: &str = "vpc-gateway";
