//! Auto Scaling groups and their hooks.

use std::time::Duration;

use aws::{OnDemand, Turns, classify, on_demand};
use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::types::{self, AutoScalingGroup, RetentionAction};
use ports::{Group, GroupInstance, Hook, HookResult, LifecycleAction, LifecycleState, PortError, Transition};

const GROUPS: &str = "autoscaling:DescribeAutoScalingGroups";
const HOOKS: &str = "autoscaling:DescribeLifecycleHooks";
const TERMINATE: &str = "autoscaling:TerminateInstanceInAutoScalingGroup";

/// The most groups that one request may name or one answer hold (`API_DescribeAutoScalingGroups`, MaxRecords).
const PAGE: usize = 100;

/// Reads groups and answers their hooks.
#[derive(Debug, Clone)]
pub struct AutoScaling {
    client: OnDemand<Client>,
    turns: Turns,
}

impl AutoScaling {
    /// Sends nothing.
    #[must_use]
    pub fn new(configuration: &aws::Configuration) -> Self {
        let settings = aws_sdk_autoscaling::config::Builder::from(configuration.sdk())
            .interceptor(configuration.recorder("autoscaling"));
        Self { client: on_demand(|| Client::from_conf(settings.build())), turns: configuration.turns() }
    }
}

impl ports::AutoScaling for AutoScaling {
    async fn groups(&self, names: &[String]) -> Result<Vec<Group>, PortError> {
        let mut groups = Vec::new();
        for names in names.chunks(PAGE) {
            let mut next = None;
            loop {
                let _turn = self.turns.take().await;
                let page = self
                    .client
                    .describe_auto_scaling_groups()
                    .set_auto_scaling_group_names(Some(names.to_vec()))
                    .max_records(i32::try_from(PAGE).unwrap_or(i32::MAX))
                    .set_next_token(next)
                    .send()
                    .await
                    .map_err(|error| classify(GROUPS, error))?;
                groups.extend(page.auto_scaling_groups.unwrap_or_default().into_iter().filter_map(group));
                next = page.next_token.filter(|token| !token.is_empty());
                if next.is_none() {
                    break;
                }
            }
        }
        Ok(groups)
    }

    async fn hooks(&self, group: &str) -> Result<Vec<Hook>, PortError> {
        let _turn = self.turns.take().await;
        let answer = self
            .client
            .describe_lifecycle_hooks()
            .auto_scaling_group_name(group)
            .send()
            .await
            .map_err(|error| classify(HOOKS, error))?;
        Ok(answer.lifecycle_hooks.unwrap_or_default().into_iter().filter_map(hook).collect())
    }

    async fn complete(&self, action: &LifecycleAction, result: HookResult) -> Result<(), PortError> {
        let _turn = self.turns.take().await;
        self.client
            .complete_lifecycle_action()
            .auto_scaling_group_name(&action.group)
            .lifecycle_hook_name(&action.hook)
            .instance_id(&action.instance)
            .set_lifecycle_action_token(action.token.clone())
            .lifecycle_action_result(result.word())
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify("autoscaling:CompleteLifecycleAction", error))
    }

    async fn heartbeat(&self, action: &LifecycleAction) -> Result<(), PortError> {
        let _turn = self.turns.take().await;
        self.client
            .record_lifecycle_action_heartbeat()
            .auto_scaling_group_name(&action.group)
            .lifecycle_hook_name(&action.hook)
            .instance_id(&action.instance)
            .set_lifecycle_action_token(action.token.clone())
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify("autoscaling:RecordLifecycleActionHeartbeat", error))
    }

    async fn protect(&self, group: &str, instance: &str, on: bool) -> Result<(), PortError> {
        let _turn = self.turns.take().await;
        self.client
            .set_instance_protection()
            .auto_scaling_group_name(group)
            .instance_ids(instance)
            .protected_from_scale_in(on)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify("autoscaling:SetInstanceProtection", error))
    }

    async fn suspend_launch(&self, group: &str) -> Result<(), PortError> {
        let _turn = self.turns.take().await;
        self.client
            .suspend_processes()
            .auto_scaling_group_name(group)
            .scaling_processes("Launch")
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify("autoscaling:SuspendProcesses", error))
    }

    async fn terminate(&self, instance: &str) -> Result<(), PortError> {
        let _turn = self.turns.take().await;
        self.client
            .terminate_instance_in_auto_scaling_group()
            .instance_id(instance)
            .should_decrement_desired_capacity(false)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify(TERMINATE, error))
    }
}

fn group(group: AutoScalingGroup) -> Option<Group> {
    let Some(name) = group.auto_scaling_group_name else {
        tracing::warn!(call = GROUPS, "a group without a name is left out");
        return None;
    };
    let instances = group.instances.unwrap_or_default().into_iter();
    let sources = group.traffic_sources.unwrap_or_default().into_iter().filter_map(|source| source.identifier);
    let mut attached: Vec<String> = group
        .target_group_arns
        .unwrap_or_default()
        .into_iter()
        .chain(group.load_balancer_names.unwrap_or_default())
        .chain(sources)
        .collect();
    attached.sort_unstable();
    attached.dedup();
    let triggers = group.instance_lifecycle_policy.and_then(|policy| policy.retention_triggers);
    let spot = group.mixed_instances_policy.and_then(|policy| policy.instances_distribution).is_some_and(|d| {
        // Left out, it is 100: On-Demand alone (`API_InstancesDistribution`).
        d.on_demand_percentage_above_base_capacity.is_some_and(|percent| percent < 100)
    });
    Some(Group {
        instances: instances.filter_map(instance).collect(),
        desired: group.desired_capacity.and_then(|n| u32::try_from(n).ok()).unwrap_or_default(),
        attached,
        retains: triggers.and_then(|t| t.terminate_hook_abandon) == Some(RetentionAction::Retain),
        suspended: group.suspended_processes.unwrap_or_default().into_iter().filter_map(|p| p.process_name).collect(),
        warm_pool: group.warm_pool_configuration.is_some(),
        spot,
        // "The current state of the group when the DeleteAutoScalingGroup operation is in progress" (`API_AutoScalingGroup`).
        deleting: group.status.is_some(),
        name,
    })
}

fn instance(instance: types::Instance) -> Option<GroupInstance> {
    // The SDK makes an empty text of an id that is missing.
    let Some(id) = instance.instance_id.filter(|id| !id.is_empty()) else {
        tracing::warn!(call = GROUPS, "an instance without an id is left out");
        return None;
    };
    Some(GroupInstance {
        state: state(instance.lifecycle_state.as_ref()),
        healthy: instance.health_status.as_deref() == Some("Healthy"),
        protected: instance.protected_from_scale_in.unwrap_or_default(),
        zone: instance.availability_zone.unwrap_or_default(),
        id,
    })
}

fn state(state: Option<&types::LifecycleState>) -> LifecycleState {
    use types::LifecycleState as Aws;
    match state {
        Some(Aws::Pending) => LifecycleState::Pending,
        Some(Aws::PendingWait) => LifecycleState::PendingWait,
        Some(Aws::PendingProceed) => LifecycleState::PendingProceed,
        Some(Aws::InService) => LifecycleState::InService,
        Some(Aws::Terminating) => LifecycleState::Terminating,
        Some(Aws::TerminatingWait) => LifecycleState::TerminatingWait,
        Some(Aws::TerminatingProceed) => LifecycleState::TerminatingProceed,
        Some(Aws::TerminatingRetained) => LifecycleState::TerminatingRetained,
        Some(Aws::Terminated) => LifecycleState::Terminated,
        Some(Aws::Standby | Aws::EnteringStandby) => LifecycleState::Standby,
        Some(Aws::Detached | Aws::Detaching) => LifecycleState::Detached,
        Some(other) if other.as_str().starts_with("Warmed:") => LifecycleState::Warmed,
        _ => LifecycleState::Other,
    }
}

fn hook(hook: types::LifecycleHook) -> Option<Hook> {
    let name = hook.lifecycle_hook_name?;
    let seconds = |given: Option<i32>| given.and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs);
    // What the service leaves out has its defaults (`API_PutLifecycleHook`).
    let heartbeat = seconds(hook.heartbeat_timeout).unwrap_or(Duration::from_secs(3600));
    let longest = Duration::from_secs(48 * 3600);
    Some(Hook {
        name,
        transition: match hook.lifecycle_transition.as_deref() {
            Some("autoscaling:EC2_INSTANCE_LAUNCHING") => Some(Transition::Launch),
            Some("autoscaling:EC2_INSTANCE_TERMINATING") => Some(Transition::Terminate),
            _ => None,
        },
        heartbeat,
        global: seconds(hook.global_timeout).unwrap_or(longest).min(heartbeat.saturating_mul(100)).min(longest),
        default: match hook.default_result.as_deref() {
            Some("CONTINUE") => HookResult::Continue,
            _ => HookResult::Abandon,
        },
    })
}

#[cfg(test)]
mod tests;
