//! Commands that the Systems Manager agent runs on an instance.

use std::time::Duration;

use crate::PortError;

/// What has come of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandState {
    /// The agent has not taken it.
    Sent,
    /// It runs.
    Running,
    /// It ended.
    Ended {
        /// The script's exit code.
        code: i32,
        /// What it printed, the first 24,000 characters (`API_GetCommandInvocation`).
        output: String,
    },
    /// It will not run, or was cut off: the service's word for it (`Undeliverable`, `DeliveryTimedOut`, `TimedOut`,
    /// `Terminated`, ...).
    Lost(String),
}

/// Runs scripts on instances.
pub trait Commands: Sync {
    /// Sends a shell script to an instance, to be taken up within `delivery` (30 s at least), and gives the command's id.
    /// `NotFound` where the service knows no agent on the instance.
    fn send(
        &self,
        instance: &str,
        script: &str,
        comment: &str,
        delivery: Duration,
    ) -> impl Future<Output = Result<String, PortError>> + Send;

    /// How a command fares. `NotFound` shortly after it was sent, too.
    fn state(&self, instance: &str, command: &str) -> impl Future<Output = Result<CommandState, PortError>> + Send;
}
