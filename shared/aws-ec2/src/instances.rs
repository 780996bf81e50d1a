//! Instances over EC2.

use aws::{OnDemand, Turns, classify, on_demand};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{self, Filter, InstanceLifecycleType, InstanceStateName, Tag};
use ports::{Instance, InstanceState, PortError};

const DESCRIBE: &str = "ec2:DescribeInstances";

/// The most values of one filter (`Using_Filtering`).
const AT_ONCE: usize = 200;

/// Reads and tags instances.
#[derive(Debug, Clone)]
pub struct Instances {
    client: OnDemand<Client>,
    turns: Turns,
}

impl Instances {
    /// Sends nothing.
    #[must_use]
    pub fn new(configuration: &aws::Configuration) -> Self {
        let settings = crate::ec2_settings(configuration);
        Self { client: on_demand(|| Client::from_conf(settings.build())), turns: configuration.turns() }
    }
}

impl ports::Instances for Instances {
    /// By a filter, because one unknown id in a list of ids fails the whole request.
    async fn describe(&self, ids: &[String]) -> Result<Vec<Instance>, PortError> {
        let mut instances = Vec::new();
        for ids in ids.chunks(AT_ONCE) {
            let mut next = None;
            loop {
                let _turn = self.turns.take().await;
                let page = self
                    .client
                    .describe_instances()
                    .filters(Filter::builder().name("instance-id").set_values(Some(ids.to_vec())).build())
                    .set_next_token(next)
                    .send()
                    .await
                    .map_err(|error| classify(DESCRIBE, error))?;
                let found = page.reservations.unwrap_or_default().into_iter();
                let found = found.flat_map(|r| r.instances.unwrap_or_default()).filter_map(instance);
                // Every filtered read is filtered again: an endpoint that passes over a filter must not add a stranger.
                instances.extend(found.filter(|instance| ids.contains(&instance.id)));
                next = page.next_token.filter(|token| !token.is_empty());
                if next.is_none() {
                    break;
                }
            }
        }
        Ok(instances)
    }

    async fn tag(&self, id: &str, key: &str, value: &str) -> Result<(), PortError> {
        let _turn = self.turns.take().await;
        self.client
            .create_tags()
            .resources(id)
            .tags(Tag::builder().key(key).value(value).build())
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify("ec2:CreateTags", error))
    }
}

fn instance(instance: types::Instance) -> Option<Instance> {
    let Some(id) = instance.instance_id else {
        tracing::warn!(call = DESCRIBE, "an instance without an id is left out");
        return None;
    };
    let tags = instance.tags.unwrap_or_default().into_iter();
    Some(Instance {
        state: match instance.state.and_then(|state| state.name) {
            Some(InstanceStateName::Pending) => InstanceState::Pending,
            Some(InstanceStateName::Running) => InstanceState::Running,
            Some(InstanceStateName::ShuttingDown) => InstanceState::ShuttingDown,
            Some(InstanceStateName::Terminated) => InstanceState::Terminated,
            Some(InstanceStateName::Stopping) => InstanceState::Stopping,
            Some(InstanceStateName::Stopped) => InstanceState::Stopped,
            _ => InstanceState::Unrecognized,
        },
        address: instance.private_ip_address.and_then(|text| text.parse().ok()),
        tags: tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect(),
        spot: instance.instance_lifecycle == Some(InstanceLifecycleType::Spot),
        id,
    })
}

#[cfg(test)]
mod tests;
