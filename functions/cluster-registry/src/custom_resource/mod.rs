//! A cluster as a resource of a CloudFormation stack (`Custom::PilothouseCluster`).
//!
//! `event` reads what CloudFormation sends, `physical_id` says which cluster an id names, `carry_out` does the work,
//! `answer` builds what goes back, `handle` sends it once.

pub mod answer;
pub mod carry_out;
pub mod event;
pub mod handle;
pub mod physical_id;
