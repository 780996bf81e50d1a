//! The nodes of target groups over Elastic Load Balancing.

use std::time::Duration;

use aws::{OnDemand, Turns, classify, is_not_registered, on_demand, removed};
use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{
    TargetDescription, TargetHealthDescription, TargetHealthReasonEnum, TargetTypeEnum,
};
use ports::{Class, NodeTarget, NodeTargetGroup, NodeTargetHealth, PortError, TargetKind};

use crate::target_groups::state;

const DESCRIBE: &str = "elasticloadbalancing:DescribeTargetGroups";
const ATTRIBUTES: &str = "elasticloadbalancing:DescribeTargetGroupAttributes";
const HEALTH: &str = "elasticloadbalancing:DescribeTargetHealth";

/// The attribute and its default (`API_TargetGroupAttribute`).
const DRAIN: (&str, u64) = ("deregistration_delay.timeout_seconds", 300);

/// Reads and changes the nodes of target groups.
#[derive(Debug, Clone)]
pub struct NodeTargets {
    client: OnDemand<Client>,
    turns: Turns,
}

impl NodeTargets {
    /// Sends nothing.
    #[must_use]
    pub fn new(configuration: &aws::Configuration) -> Self {
        let settings = aws_sdk_elasticloadbalancingv2::config::Builder::from(configuration.sdk())
            .interceptor(configuration.recorder("elasticloadbalancing"));
        Self { client: on_demand(|| Client::from_conf(settings.build())), turns: configuration.turns() }
    }
}

impl ports::NodeTargets for NodeTargets {
    async fn describe(&self, arn: &str) -> Result<NodeTargetGroup, PortError> {
        let _turn = self.turns.take().await;
        let answer = self
            .client
            .describe_target_groups()
            .target_group_arns(arn)
            .send()
            .await
            .map_err(|error| classify(DESCRIBE, error))?;
        let group = answer
            .target_groups
            .unwrap_or_default()
            .into_iter()
            .find(|group| group.target_group_arn.as_deref() == Some(arn))
            .ok_or_else(|| PortError {
                call: DESCRIBE,
                class: Class::NotFound,
                code: "TargetGroupNotFound".to_owned(),
                message: format!("the answer has no target group {arn}"),
            })?;
        let attributes = self
            .client
            .describe_target_group_attributes()
            .target_group_arn(arn)
            .send()
            .await
            .map_err(|error| classify(ATTRIBUTES, error))?;
        let (key, default) = DRAIN;
        let drain = attributes
            .attributes
            .unwrap_or_default()
            .into_iter()
            .find(|attribute| attribute.key.as_deref() == Some(key))
            .and_then(|attribute| attribute.value)
            .and_then(|value| value.parse().ok())
            .unwrap_or(default);
        Ok(NodeTargetGroup {
            kind: match group.target_type {
                Some(TargetTypeEnum::Instance) => TargetKind::Instance,
                Some(TargetTypeEnum::Ip) => TargetKind::Address,
                _ => TargetKind::Other,
            },
            drain: Duration::from_secs(drain),
        })
    }

    async fn targets(&self, arn: &str) -> Result<Vec<NodeTargetHealth>, PortError> {
        let _turn = self.turns.take().await;
        let answer = self
            .client
            .describe_target_health()
            .target_group_arn(arn)
            .send()
            .await
            .map_err(|error| classify(HEALTH, error))?;
        Ok(answer.target_health_descriptions.unwrap_or_default().into_iter().filter_map(target_health).collect())
    }

    async fn register(&self, arn: &str, target: &NodeTarget) -> Result<(), PortError> {
        let _turn = self.turns.take().await;
        self.client
            .register_targets()
            .target_group_arn(arn)
            .targets(description(target))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify("elasticloadbalancing:RegisterTargets", error))
    }

    async fn deregister(&self, arn: &str, target: &NodeTarget) -> Result<(), PortError> {
        let _turn = self.turns.take().await;
        let answer = self
            .client
            .deregister_targets()
            .target_group_arn(arn)
            .targets(description(target))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify("elasticloadbalancing:DeregisterTargets", error));
        match answer {
            Err(error) if is_not_registered(&error) => Ok(()),
            other => removed(other),
        }
    }
}

fn description(target: &NodeTarget) -> TargetDescription {
    TargetDescription::builder().id(&target.id).port(i32::from(target.port)).build()
}

/// None for a target that ELB lists only to say that it is not registered.
fn target_health(row: TargetHealthDescription) -> Option<NodeTargetHealth> {
    let described = row.target?;
    let (id, port) = (described.id?, described.port.and_then(|port| u16::try_from(port).ok())?);
    let health = row.target_health;
    if health.as_ref().and_then(|h| h.reason.as_ref()) == Some(&TargetHealthReasonEnum::NotRegistered) {
        return None;
    }
    let health = state(health.as_ref().and_then(|h| h.state.as_ref()));
    Some(NodeTargetHealth { target: NodeTarget { id, port }, health })
}

#[cfg(test)]
mod tests;
