//! Volumes over EC2.

use aws::{OnDemand, Turns, classify, on_demand, removed};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    self, EbsInstanceBlockDeviceSpecification, Filter, InstanceBlockDeviceMappingSpecification, ResourceType, Tag,
    TagSpecification, VolumeAttachmentState, VolumeType,
};
use ports::{NewVolume, PortError, Volume, VolumeState};

const DESCRIBE: &str = "ec2:DescribeVolumes";
const CREATE: &str = "ec2:CreateVolume";

/// The tags by which a volume is found again.
const CLUSTER: &str = "pilothouse:cluster";
const NODE: &str = "pilothouse:node";
const DEVICE: &str = "pilothouse:device";

/// Makes and attaches volumes.
#[derive(Debug, Clone)]
pub struct Volumes {
    client: OnDemand<Client>,
    turns: Turns,
}

impl Volumes {
    /// Sends nothing.
    #[must_use]
    pub fn new(configuration: &aws::Configuration) -> Self {
        let settings = crate::ec2_settings(configuration);
        Self { client: on_demand(|| Client::from_conf(settings.build())), turns: configuration.turns() }
    }
}

impl ports::Volumes for Volumes {
    async fn of(&self, instance: &str) -> Result<Vec<Volume>, PortError> {
        let _turn = self.turns.take().await;
        let answer = self
            .client
            .describe_volumes()
            .filters(Filter::builder().name(format!("tag:{NODE}")).values(instance).build())
            .send()
            .await
            .map_err(|error| classify(DESCRIBE, error))?;
        // Every filtered read is filtered again.
        let found = answer.volumes.unwrap_or_default().into_iter();
        Ok(found.filter(|volume| tag(volume, NODE) == Some(instance)).filter_map(volume).collect())
    }

    async fn create(&self, wanted: &NewVolume) -> Result<String, PortError> {
        let _turn = self.turns.take().await;
        let named = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        let tags = TagSpecification::builder()
            .resource_type(ResourceType::Volume)
            .tags(named(CLUSTER, &wanted.cluster))
            .tags(named(NODE, &wanted.instance))
            .tags(named(DEVICE, &wanted.device))
            .build();
        let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let answer = self
            .client
            .create_volume()
            .snapshot_id(&wanted.snapshot)
            .availability_zone(&wanted.zone)
            .size(number(wanted.size_gib))
            .volume_type(VolumeType::from(wanted.kind.as_str()))
            .set_iops(wanted.iops.map(number))
            .set_throughput(wanted.throughput.map(number))
            .set_encrypted(wanted.key.is_some().then_some(true))
            .set_kms_key_id(wanted.key.clone())
            .client_token(&wanted.token)
            .tag_specifications(tags)
            .send()
            .await
            .map_err(|error| classify(CREATE, error))?;
        answer.volume_id.ok_or_else(|| PortError::malformed(CREATE, "the answer has no volume id"))
    }

    async fn attach(&self, volume: &str, instance: &str, device: &str) -> Result<(), PortError> {
        let _turn = self.turns.take().await;
        self.client
            .attach_volume()
            .volume_id(volume)
            .instance_id(instance)
            .device(device)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify("ec2:AttachVolume", error))
    }

    async fn end_with_instance(&self, instance: &str, device: &str) -> Result<(), PortError> {
        let _turn = self.turns.take().await;
        let ebs = EbsInstanceBlockDeviceSpecification::builder().delete_on_termination(true).build();
        let mapping = InstanceBlockDeviceMappingSpecification::builder().device_name(device).ebs(ebs).build();
        self.client
            .modify_instance_attribute()
            .instance_id(instance)
            .block_device_mappings(mapping)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify("ec2:ModifyInstanceAttribute", error))
    }

    async fn delete(&self, volume: &str) -> Result<(), PortError> {
        let _turn = self.turns.take().await;
        let answer = self.client.delete_volume().volume_id(volume).send().await;
        removed(answer.map(|_| ()).map_err(|error| classify("ec2:DeleteVolume", error)))
    }
}

fn tag<'v>(volume: &'v types::Volume, key: &str) -> Option<&'v str> {
    let tags = volume.tags.as_deref().unwrap_or_default();
    tags.iter().find(|tag| tag.key.as_deref() == Some(key)).and_then(|tag| tag.value.as_deref())
}

fn volume(volume: types::Volume) -> Option<Volume> {
    let Some(id) = volume.volume_id.clone() else {
        tracing::warn!(call = DESCRIBE, "a volume without an id is left out");
        return None;
    };
    let attachments = volume.attachments.as_deref().unwrap_or_default();
    let attached = attachments.iter().rfind(|a| a.state == Some(VolumeAttachmentState::Attached));
    Some(Volume {
        device: tag(&volume, DEVICE).unwrap_or_default().to_owned(),
        attached_to: attached.and_then(|a| a.instance_id.clone()),
        ends_with_it: attached.and_then(|a| a.delete_on_termination).unwrap_or_default(),
        state: state(volume.state.as_ref()),
        id,
    })
}

fn state(state: Option<&types::VolumeState>) -> VolumeState {
    match state {
        Some(types::VolumeState::Creating) => VolumeState::Creating,
        Some(types::VolumeState::Available) => VolumeState::Available,
        Some(types::VolumeState::InUse) => VolumeState::InUse,
        Some(types::VolumeState::Error) => VolumeState::Error,
        Some(types::VolumeState::Deleting | types::VolumeState::Deleted) => VolumeState::Gone,
        _ => VolumeState::Unrecognized,
    }
}

#[cfg(test)]
mod tests;
