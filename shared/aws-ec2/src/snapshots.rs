//! Snapshots over EC2, each call at the Region that it is for.

mod presigned;
mod read;

use std::collections::BTreeMap;
use std::time::SystemTime;

use aws::{SystemClock, Turns, classify, removed};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::config::timeout::TimeoutConfig;
use aws_sdk_ec2::config::{Builder, Region};
use aws_sdk_ec2::types::{
    Filter, InstanceSpecification, PermissionGroup, ResourceType, SnapshotAttributeName, Tag, TagSpecification,
};
use ports::{Class, Clock as _, Disk, NewCopy, NewSet, PortError, Snapshot};

use crate::regional::Regional;
use presigned::Presigner;

const DESCRIBE: &str = "ec2:DescribeSnapshots";
const VOLUMES: &str = "ec2:DescribeVolumes";
const INSTANCES: &str = "ec2:DescribeInstances";
const CREATE: &str = "ec2:CreateSnapshots";
const COPY: &str = "ec2:CopySnapshot";
const IMAGES: &str = "ec2:DescribeImages";
const LOCKED: &str = "ec2:DescribeLockedSnapshots";
const SHARES: &str = "ec2:DescribeSnapshotAttribute";

/// The most values of one filter (`Using_Filtering`).
const AT_ONCE: usize = 200;
/// The most of one page (`API_DescribeSnapshots`, MaxResults).
const PAGE: i32 = 1000;
/// The most of one page of volumes (`API_DescribeVolumes`, MaxResults).
const VOLUMES_PAGE: i32 = 500;
/// The most resources that one CreateTags takes (`API_CreateTags`, ResourceId).
const TAGGED_AT_ONCE: usize = 1000;

/// Takes, copies, reads and deletes snapshots.
#[derive(Debug, Clone)]
pub struct Snapshots {
    clients: Regional<Builder, Client>,
    once: Builder,
    presigner: Presigner,
    presigning: bool,
    turns: Turns,
}

impl Snapshots {
    /// Sends nothing. Copies of encrypted snapshots go out without a presigned URL.
    #[must_use]
    pub fn new(configuration: &aws::Configuration) -> Self {
        let clients = Regional::new(configuration, crate::ec2_settings(configuration), |settings, region| {
            Client::from_conf(settings.region((!region.is_empty()).then(|| Region::new(region.to_owned()))).build())
        });
        Self {
            clients,
            once: once(configuration),
            presigner: Presigner::new(configuration),
            presigning: false,
            turns: configuration.turns(),
        }
    }

    /// Whether a copy of an encrypted snapshot carries a presigned URL. EC2's reference calls it required there
    /// (`API_CopySnapshot`, PresignedUrl), and most SDKs make one themselves; this one does not.
    #[must_use]
    pub fn presigning(mut self, on: bool) -> Self {
        self.presigning = on;
        self
    }

    /// All pages of one question. OwnerIds, because EC2 shows public snapshots of others otherwise; filters, because one
    /// unknown id in SnapshotIds fails the whole request (`API_DescribeSnapshots`).
    async fn found(&self, region: &str, filters: Vec<Filter>) -> Result<Vec<Snapshot>, PortError> {
        let client = self.clients.of(region);
        let mut snapshots = Vec::new();
        let mut next = None;
        loop {
            let _turn = self.turns.take().await;
            let page = client
                .describe_snapshots()
                .owner_ids("self")
                .set_filters(Some(filters.clone()))
                .max_results(PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| classify(DESCRIBE, error))?;
            for snapshot in page.snapshots.unwrap_or_default() {
                snapshots.push(read::snapshot(snapshot)?);
            }
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(snapshots);
            }
        }
    }

    /// The device that an instance starts from.
    async fn boot_device(&self, client: &Client, instance: &str) -> Result<Option<String>, PortError> {
        let _turn = self.turns.take().await;
        let answer = client
            .describe_instances()
            .filters(filter("instance-id", [instance.to_owned()]))
            .send()
            .await
            .map_err(|error| classify(INSTANCES, error))?;
        let found = answer.reservations.unwrap_or_default().into_iter();
        let found = found
            .flat_map(|r| r.instances.unwrap_or_default())
            .find(|found| found.instance_id.as_deref() == Some(instance));
        // Without it nothing would tell the volume that is left out of a set from those that are in it.
        found.map(|found| found.root_device_name).ok_or_else(|| PortError {
            call: INSTANCES,
            class: Class::NotFound,
            code: "InvalidInstanceID.NotFound".to_owned(),
            message: format!("the answer has no {instance}"),
        })
    }

    /// Images that are made from some of these snapshots, disabled ones too: theirs cannot be deleted either.
    async fn in_images(
        &self,
        client: &Client,
        ids: &[String],
        bound: &mut BTreeMap<String, String>,
    ) -> Result<(), PortError> {
        for ids in ids.chunks(AT_ONCE) {
            let mut next = None;
            loop {
                let _turn = self.turns.take().await;
                let page = client
                    .describe_images()
                    .owners("self")
                    .include_disabled(true)
                    .filters(filter("block-device-mapping.snapshot-id", ids.iter().cloned()))
                    .max_results(PAGE)
                    .set_next_token(next)
                    .send()
                    .await
                    .map_err(|error| classify(IMAGES, error))?;
                for image in page.images.unwrap_or_default() {
                    let name = image.image_id.unwrap_or_default();
                    for device in image.block_device_mappings.unwrap_or_default() {
                        if let Some(id) = device.ebs.and_then(|ebs| ebs.snapshot_id).filter(|id| ids.contains(id)) {
                            bound.insert(id, format!("image {name} is made from it"));
                        }
                    }
                }
                next = page.next_token.filter(|token| !token.is_empty());
                if next.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Locks that still hold, among all of the Region's: this question has no filter by id.
    async fn locked(
        &self,
        client: &Client,
        ids: &[String],
        bound: &mut BTreeMap<String, String>,
    ) -> Result<(), PortError> {
        let mut next = None;
        loop {
            let _turn = self.turns.take().await;
            let page = client
                .describe_locked_snapshots()
                .filters(filter("lock-state", read::LOCKS.map(|lock| lock.as_str().to_owned())))
                .max_results(PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| classify(LOCKED, error))?;
            let locks = page.snapshots.unwrap_or_default().into_iter();
            bound.extend(locks.filter_map(read::lock).filter(|(id, _)| ids.contains(id)));
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(());
            }
        }
    }
}

impl ports::Snapshots for Snapshots {
    async fn tagged(&self, region: &str, tags: &[(String, String)]) -> Result<Vec<Snapshot>, PortError> {
        let filters = tags.iter().map(|(key, value)| filter(format!("tag:{key}"), [escaped(value)])).collect();
        let found = self.found(region, filters).await?;
        // Every filtered read is filtered again: an endpoint that passes over a filter must not add a stranger.
        let ours = |snapshot: &Snapshot| tags.iter().all(|(key, value)| snapshot.tags.get(key) == Some(value));
        Ok(found.into_iter().filter(ours).collect())
    }

    async fn describe(&self, region: &str, ids: &[String]) -> Result<Vec<Snapshot>, PortError> {
        let mut snapshots = Vec::new();
        for ids in ids.chunks(AT_ONCE) {
            let found = self.found(region, vec![filter("snapshot-id", ids.iter().cloned())]).await?;
            snapshots.extend(found.into_iter().filter(|snapshot| ids.contains(&snapshot.id)));
        }
        Ok(snapshots)
    }

    async fn disks(&self, instance: &str) -> Result<Vec<Disk>, PortError> {
        let client = self.clients.of("");
        let boot = self.boot_device(&client, instance).await?;
        let mut disks = Vec::new();
        let mut next = None;
        loop {
            let _turn = self.turns.take().await;
            let page = client
                .describe_volumes()
                .filters(filter("attachment.instance-id", [instance.to_owned()]))
                .max_results(VOLUMES_PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| classify(VOLUMES, error))?;
            for volume in page.volumes.unwrap_or_default() {
                disks.extend(read::disk(volume, instance, boot.as_deref())?);
            }
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(disks);
            }
        }
    }

    async fn create(&self, set: &NewSet) -> Result<Vec<Snapshot>, PortError> {
        let _turn = self.turns.take().await;
        let excluded = (!set.exclude.is_empty()).then(|| set.exclude.clone());
        let of = InstanceSpecification::builder()
            .instance_id(&set.instance)
            .exclude_boot_volume(set.exclude_boot)
            .set_exclude_data_volume_ids(excluded)
            .build();
        let answer = self
            .clients
            .of("")
            .create_snapshots()
            .instance_specification(of)
            .description(&set.description)
            .set_tag_specifications(specified(&set.tags))
            .customize()
            .config_override(self.once.clone())
            .send()
            .await
            .map_err(|error| classify(CREATE, error))?;
        let made = answer.snapshots.unwrap_or_default();
        if made.is_empty() {
            return Err(PortError::malformed(CREATE, "the answer has no snapshots"));
        }
        made.into_iter().map(read::made).collect()
    }

    async fn copy(&self, region: &str, copy: &NewCopy) -> Result<String, PortError> {
        let url = if self.presigning && copy.source_is_encrypted {
            let destination = if region.is_empty() { self.clients.own() } else { region };
            Some(self.presigner.copy(copy, destination, SystemTime::from(SystemClock.now())).await?)
        } else {
            None
        };
        let _turn = self.turns.take().await;
        // DestinationRegion is not set: EC2 takes it from the endpoint, and refuses a request that names one itself.
        let answer = self
            .clients
            .of(region)
            .copy_snapshot()
            .source_region(&copy.source_region)
            .source_snapshot_id(&copy.source)
            .description(&copy.description)
            .set_encrypted(copy.encrypt.then_some(true))
            .set_kms_key_id(copy.key.clone())
            .set_presigned_url(url)
            .set_tag_specifications(specified(&copy.tags))
            .customize()
            .config_override(self.once.clone())
            .send()
            .await
            .map_err(|error| classify(COPY, error))?;
        answer
            .snapshot_id
            .filter(|id| !id.is_empty())
            .ok_or_else(|| PortError::malformed(COPY, "the answer has no snapshot id"))
    }

    async fn tag(&self, region: &str, ids: &[String], tags: &BTreeMap<String, String>) -> Result<(), PortError> {
        for ids in ids.chunks(TAGGED_AT_ONCE).filter(|_| !tags.is_empty()) {
            let _turn = self.turns.take().await;
            self.clients
                .of(region)
                .create_tags()
                .set_resources(Some(ids.to_vec()))
                .set_tags(Some(named(tags)))
                .send()
                .await
                .map_err(|error| classify("ec2:CreateTags", error))?;
        }
        Ok(())
    }

    async fn bound(&self, region: &str, ids: &[String]) -> Result<BTreeMap<String, String>, PortError> {
        let mut bound = BTreeMap::new();
        if !ids.is_empty() {
            let client = self.clients.of(region);
            self.in_images(&client, ids, &mut bound).await?;
            self.locked(&client, ids, &mut bound).await?;
        }
        Ok(bound)
    }

    async fn shared_with(&self, region: &str, id: &str) -> Result<Vec<String>, PortError> {
        let _turn = self.turns.take().await;
        let answer = self
            .clients
            .of(region)
            .describe_snapshot_attribute()
            .attribute(SnapshotAttributeName::CreateVolumePermission)
            .snapshot_id(id)
            .send()
            .await
            .map_err(|error| classify(SHARES, error))?;
        let shares = answer.create_volume_permissions.unwrap_or_default().into_iter();
        let group = |group: PermissionGroup| group.as_str().to_owned();
        Ok(shares.filter_map(|share| share.user_id.or_else(|| share.group.map(group))).collect())
    }

    async fn delete(&self, region: &str, id: &str) -> Result<(), PortError> {
        let _turn = self.turns.take().await;
        let answer = self.clients.of(region).delete_snapshot().snapshot_id(id).send().await;
        removed(answer.map(|_| ()).map_err(|error| classify("ec2:DeleteSnapshot", error)))
    }
}

/// CreateSnapshots and CopySnapshot have no client token: a second attempt after a lost reply would make a second set. So
/// there is one, and it may take as long as a call may.
fn once(configuration: &aws::Configuration) -> Builder {
    let limits = configuration.sdk().timeout_config();
    let mut timeouts = TimeoutConfig::builder();
    timeouts
        .set_connect_timeout(limits.and_then(TimeoutConfig::connect_timeout))
        .set_operation_attempt_timeout(limits.and_then(TimeoutConfig::operation_timeout))
        .set_operation_timeout(limits.and_then(TimeoutConfig::operation_timeout));
    Builder::new().retry_config(RetryConfig::disabled()).timeout_config(timeouts.build())
}

fn filter(name: impl Into<String>, values: impl IntoIterator<Item = String>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().collect())).build()
}

/// A value as a filter takes it literally: `*` and `?` stand for others there, and a backslash takes that from them
/// (`Using_Filtering`, "wildcards").
fn escaped(value: &str) -> String {
    let mut literal = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '*' | '?' | '\\') {
            literal.push('\\');
        }
        literal.push(character);
    }
    literal
}

fn named(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// The tags of what is made, in the call itself.
fn specified(tags: &BTreeMap<String, String>) -> Option<Vec<TagSpecification>> {
    let tags = (!tags.is_empty()).then(|| named(tags))?;
    Some(vec![TagSpecification::builder().resource_type(ResourceType::Snapshot).set_tags(Some(tags)).build()])
}

#[cfg(test)]
mod tests;
