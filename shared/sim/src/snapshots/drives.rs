//! The volumes that nodes have of their own, as people and launch templates make them. Those that are made through the
//! port are in `volumes`; both are attached alike.

use std::collections::BTreeMap;

use ports::{Disk, VolumeState};

use crate::world::State;

/// How a volume of a node is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDrive {
    /// The device name that it is attached as.
    pub device: String,
    /// Whether the instance starts from it.
    pub boot: bool,
    /// Its size in GiB.
    pub size_gib: u32,
    /// Its type.
    pub kind: String,
    /// The ARN of the key that encrypts it.
    pub key: Option<String>,
}

impl NewDrive {
    /// A gp3 volume of 100 GiB that is not encrypted.
    #[must_use]
    pub fn data(device: &str) -> Self {
        Self { device: device.to_owned(), boot: false, size_gib: 100, kind: "gp3".to_owned(), key: None }
    }

    /// What an instance starts from.
    #[must_use]
    pub fn boot() -> Self {
        Self { boot: true, size_gib: 8, ..Self::data("/dev/xvda") }
    }
}

#[derive(Debug, Clone)]
struct Drive {
    disk: Disk,
    instance: Option<String>,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drives(BTreeMap<String, Drive>);

impl State {
    /// An instance gets a volume. Gives its id.
    pub fn put_drive(&mut self, instance: &str, made: NewDrive) -> String {
        let drives = &mut self.drives.0;
        let volume = format!("vol-d{:04}", drives.len() + 1);
        let gp3 = made.kind == "gp3";
        let disk = Disk {
            volume: volume.clone(),
            device: made.device,
            boot: made.boot,
            size_gib: made.size_gib,
            iops: gp3.then_some(3000),
            throughput: gp3.then_some(125),
            kind: made.kind,
            key: made.key,
        };
        drives.insert(volume.clone(), Drive { disk, instance: Some(instance.to_owned()) });
        volume
    }

    /// Somebody detaches a volume, or attaches it to an instance.
    pub fn move_drive(&mut self, volume: &str, instance: Option<&str>) {
        if let Some(drive) = self.drives.0.get_mut(volume) {
            drive.instance = instance.map(str::to_owned);
        }
    }

    /// The volumes that are attached to an instance, however they were made. One that has ended has none.
    #[must_use]
    pub fn drives(&self, instance: &str) -> Vec<Disk> {
        if self.machines.get(instance).is_none_or(crate::instances::Machine::ends) {
            return Vec::new();
        }
        let own = self.drives.0.values().filter(|drive| drive.instance.as_deref() == Some(instance));
        let attached = self
            .volumes()
            .filter(|volume| volume.state == VolumeState::InUse && volume.attached_to.as_deref() == Some(instance));
        let made = attached.filter_map(|volume| {
            let made = self.disks.made(&volume.id)?;
            Some(Disk {
                volume: volume.id.clone(),
                device: volume.device.clone(),
                boot: false,
                size_gib: made.size_gib,
                kind: made.kind.clone(),
                iops: made.iops,
                throughput: made.throughput,
                key: made.key.clone(),
            })
        });
        own.map(|drive| drive.disk.clone()).chain(made).collect()
    }
}
