//! EBS volumes.
//!
//! Held here (`API_CreateVolume`, `API_AttachVolume`): a volume is `creating`, then `available`; one token gives one volume;
//! attaching takes a while, wants a running instance of the volume's own zone and a volume that is attached to nothing; a volume
//! that ends with its instance is gone with it; reads lag behind.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use ports::{Class, NewVolume, PortError, Volume, VolumeState};

use crate::calls::Happened;
use crate::client::{Client, Kind};
use crate::history::History;
use crate::instances::after;
use crate::world::State;

const DESCRIBE: &str = "ec2:DescribeVolumes";
const CREATE: &str = "ec2:CreateVolume";
const ATTACH: &str = "ec2:AttachVolume";
const MODIFY: &str = "ec2:ModifyInstanceAttribute";
const DELETE: &str = "ec2:DeleteVolume";
const LAG: Kind = Kind::Lagging(Duration::from_secs(8));
/// How long a volume is `creating`, and an attachment `attaching`.
const TAKES: Duration = Duration::from_secs(6);

#[derive(Debug, Clone)]
struct Disk {
    told: History<Volume>,
    made: NewVolume,
    made_at: Timestamp,
    /// Where it is being attached, or is.
    instance: Option<String>,
    moves_at: Timestamp,
}

/// All volumes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disks(BTreeMap<String, Disk>);

impl Disks {
    /// Whether a volume is attached to an instance.
    pub(crate) fn at(&self, instance: &str) -> bool {
        self.0.values().any(|disk| disk.told.now().attached_to.as_deref() == Some(instance))
    }

    /// How a volume was made.
    pub(crate) fn made(&self, volume: &str) -> Option<&NewVolume> {
        self.0.get(volume).map(|disk| &disk.made)
    }

    pub(crate) fn tick(&mut self, ended: impl Fn(&str) -> bool, now: Timestamp) {
        for disk in self.0.values_mut() {
            let due = disk.moves_at <= now;
            let state = disk.told.now().state;
            if state == VolumeState::Creating && due {
                disk.told.change(now).state = VolumeState::Available;
            }
            if state == VolumeState::InUse && due && disk.told.now().attached_to.is_none() {
                disk.told.change(now).attached_to.clone_from(&disk.instance);
            }
            if disk.instance.as_deref().is_some_and(&ended) && state == VolumeState::InUse {
                let ends = disk.told.now().ends_with_it;
                let volume = disk.told.change(now);
                volume.attached_to = None;
                volume.state = if ends { VolumeState::Gone } else { VolumeState::Available };
                disk.instance = None;
            }
        }
    }
}

impl State {
    /// Every volume that there is, as it is.
    pub fn volumes(&self) -> impl Iterator<Item = &Volume> {
        self.disks.0.values().map(|disk| disk.told.now()).filter(|volume| volume.state != VolumeState::Gone)
    }

    /// The snapshot that a volume was made from.
    #[must_use]
    pub fn made_from(&self, volume: &str) -> Option<&str> {
        self.disks.0.get(volume).map(|disk| disk.made.snapshot.as_str())
    }

    /// The instance that a volume was made for.
    #[must_use]
    pub fn made_for(&self, volume: &str) -> Option<&str> {
        self.disks.0.get(volume).map(|disk| disk.made.instance.as_str())
    }
}

fn refused<T>(call: &'static str, class: Class, code: &str) -> (Result<T, PortError>, Happened) {
    let error = PortError { call, class, code: code.to_owned(), message: "simulated".to_owned() };
    (Err(error), Happened::Refused(code.to_owned()))
}

/// The port.
#[derive(Debug, Clone)]
pub struct Volumes(Client);

impl Volumes {
    /// A process's way to it.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }
}

impl ports::Volumes for Volumes {
    async fn of(&self, instance: &str) -> Result<Vec<Volume>, PortError> {
        self.0
            .call(DESCRIBE, LAG, |state, moment| {
                let of = state.disks.0.values().filter(|disk| disk.made.instance == instance);
                // A read that lags does not show what was made since.
                let of = of.filter(|disk| disk.made_at <= moment.seen);
                let found: Vec<Volume> = of.map(|disk| disk.told.at(moment.seen).clone()).collect();
                (Ok(found.clone()), Happened::VolumesRead(found))
            })
            .await
    }

    async fn create(&self, wanted: &NewVolume) -> Result<String, PortError> {
        self.0
            .call(CREATE, Kind::Change, |state, moment| {
                let disks = &mut state.disks.0;
                if let Some((id, disk)) = disks.iter().find(|(_, disk)| disk.made.token == wanted.token) {
                    if disk.made != *wanted {
                        return refused(CREATE, Class::Invalid, "IdempotentParameterMismatch");
                    }
                    return (Ok(id.clone()), Happened::VolumeChanged(id.clone()));
                }
                let id = format!("vol-{:04}", disks.len() + 1);
                let volume = Volume {
                    id: id.clone(),
                    state: VolumeState::Creating,
                    device: wanted.device.clone(),
                    attached_to: None,
                    ends_with_it: false,
                };
                let disk = Disk {
                    told: History::new(volume),
                    made: wanted.clone(),
                    made_at: moment.now,
                    instance: None,
                    moves_at: after(moment.now, TAKES),
                };
                disks.insert(id.clone(), disk);
                (Ok(id.clone()), Happened::VolumeChanged(id))
            })
            .await
    }

    async fn attach(&self, volume: &str, instance: &str, _device: &str) -> Result<(), PortError> {
        self.0
            .call(ATTACH, Kind::Change, |state, moment| {
                let runs = state.machines.get(instance).is_some_and(crate::instances::Machine::runs);
                let Some(disk) = state.disks.0.get_mut(volume) else {
                    return refused(ATTACH, Class::NotFound, "InvalidVolume.NotFound");
                };
                match disk.told.now().state {
                    _ if !runs => refused(ATTACH, Class::Conflict, "IncorrectState"),
                    VolumeState::Available => {
                        disk.told.change(moment.now).state = VolumeState::InUse;
                        disk.instance = Some(instance.to_owned());
                        disk.moves_at = after(moment.now, TAKES);
                        (Ok(()), Happened::VolumeChanged(volume.to_owned()))
                    }
                    VolumeState::InUse => refused(ATTACH, Class::Conflict, "VolumeInUse"),
                    _ => refused(ATTACH, Class::Conflict, "IncorrectState"),
                }
            })
            .await
    }

    async fn end_with_instance(&self, instance: &str, device: &str) -> Result<(), PortError> {
        self.0
            .call(MODIFY, Kind::Change, |state, moment| {
                let attached = |disk: &&mut Disk| {
                    disk.told.now().attached_to.as_deref() == Some(instance) && disk.made.device == device
                };
                let Some(disk) = state.disks.0.values_mut().find(attached) else {
                    return refused(MODIFY, Class::Invalid, "InvalidInstanceAttributeValue");
                };
                disk.told.change(moment.now).ends_with_it = true;
                (Ok(()), Happened::VolumeChanged(device.to_owned()))
            })
            .await
    }

    async fn delete(&self, volume: &str) -> Result<(), PortError> {
        self.0
            .call(DELETE, Kind::Change, |state, moment| {
                let Some(disk) = state.disks.0.get_mut(volume) else {
                    return (Ok(()), Happened::VolumeChanged(volume.to_owned()));
                };
                if disk.told.now().state == VolumeState::InUse {
                    return refused(DELETE, Class::Conflict, "VolumeInUse");
                }
                disk.told.change(moment.now).state = VolumeState::Gone;
                (Ok(()), Happened::VolumeChanged(volume.to_owned()))
            })
            .await
    }
}
