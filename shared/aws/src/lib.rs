//! The ports over AWS's light SDKs (DynamoDB, SNS, Lambda, Secrets Manager) and over the HTTP client that all SDK clients share.
//!
//! `configuration` builds what every client of a process is made from, `calls` counts what is sent, and `errors` is the
//! one place that knows AWS's error codes. `aws-ec2`, which holds the ports over the heavy SDKs, is built on these three.

mod calls;
mod clock;
mod configuration;
mod connections;
mod errors;
mod gateways;
mod notices;
mod on_demand;
mod response_url;
mod secrets;
mod table;
mod turns;
#[cfg(any(test, feature = "wire"))]
pub mod wire;

pub use calls::CallRecorder;
pub use clock::SystemClock;
pub use configuration::Configuration;
pub use errors::{classify, is_malformed_id, is_not_registered, removed};
pub use gateways::Gateways;
pub use notices::Notices;
pub use on_demand::{OnDemand, on_demand};
pub use response_url::ResponseUrl;
pub use secrets::Secrets;
pub use table::Table;
pub use turns::{Turn, Turns};
