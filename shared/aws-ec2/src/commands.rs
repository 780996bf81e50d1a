//! Commands over Systems Manager's Run Command.

use std::time::Duration;

use aws::{OnDemand, Turns, classify, on_demand};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::CommandInvocationStatus;
use ports::{CommandState, PortError};

/// The document that runs lines of shell (`AWS-RunShellScript`).
const DOCUMENT: &str = "AWS-RunShellScript";

/// The least time for an agent to take a command up (`API_SendCommand`, TimeoutSeconds).
const LEAST_DELIVERY: i32 = 30;

/// Runs scripts on instances.
#[derive(Debug, Clone)]
pub struct Commands {
    client: OnDemand<Client>,
    turns: Turns,
}

impl Commands {
    /// Sends nothing.
    #[must_use]
    pub fn new(configuration: &aws::Configuration) -> Self {
        let settings =
            aws_sdk_ssm::config::Builder::from(configuration.sdk()).interceptor(configuration.recorder("ssm"));
        Self { client: on_demand(|| Client::from_conf(settings.build())), turns: configuration.turns() }
    }
}

impl ports::Commands for Commands {
    async fn send(&self, instance: &str, script: &str, comment: &str, delivery: Duration) -> Result<String, PortError> {
        const CALL: &str = "ssm:SendCommand";
        let _turn = self.turns.take().await;
        let answer = self
            .client
            .send_command()
            .document_name(DOCUMENT)
            .instance_ids(instance)
            .comment(comment)
            .timeout_seconds(i32::try_from(delivery.as_secs()).unwrap_or(i32::MAX).max(LEAST_DELIVERY))
            .parameters("commands", script.lines().map(str::to_owned).collect())
            .send()
            .await
            .map_err(|error| classify(CALL, error))?;
        answer
            .command
            .and_then(|command| command.command_id)
            .ok_or_else(|| PortError::malformed(CALL, "the answer has no command id"))
    }

    async fn state(&self, instance: &str, command: &str) -> Result<CommandState, PortError> {
        let _turn = self.turns.take().await;
        let answer = self
            .client
            .get_command_invocation()
            .command_id(command)
            .instance_id(instance)
            .send()
            .await
            .map_err(|error| classify("ssm:GetCommandInvocation", error))?;
        let details = answer.status_details.unwrap_or_default();
        let ended = CommandState::Ended {
            code: answer.response_code,
            output: answer.standard_output_content.unwrap_or_default(),
        };
        Ok(match answer.status {
            Some(CommandInvocationStatus::Pending | CommandInvocationStatus::Delayed) => CommandState::Sent,
            Some(CommandInvocationStatus::InProgress | CommandInvocationStatus::Cancelling) => CommandState::Running,
            Some(CommandInvocationStatus::Success) => ended,
            // `Undeliverable` and `Terminated` are `Failed` too, and no script ran (monitor-commands).
            Some(CommandInvocationStatus::Failed) if details == "Failed" || details.is_empty() => ended,
            other => {
                let word = other.map(|status| status.as_str().to_owned()).unwrap_or_default();
                CommandState::Lost(if details.is_empty() { word } else { details })
            }
        })
    }
}

#[cfg(test)]
mod tests;
