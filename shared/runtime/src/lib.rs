//! The Lambda shell that every function wears: configuration, the event's envelope, the pulse, the cluster's lock, the
//! records that functions share, the report and telemetry.
//!
//! This crate decides nothing about databases, targets or routes, and reaches AWS only through `ports`.

pub mod brake;
pub mod config;
pub mod envelope;
pub mod hold;
pub mod lock;
pub mod news;
pub mod notice;
pub mod pulse;
pub mod records;
pub mod report;
pub mod shell;
pub mod telemetry;
