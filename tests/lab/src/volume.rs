//! Volumes of a node, as far as it sees them: a disk with its data, and disks made of copies.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::disk::run;
use crate::node::{Node, executable};
use crate::{Disk, Error, FsKind, patroni};

/// Room for the disk below the data's.
const ARRAY_MIB: u32 = 640;
/// XFS wants 300 at least.
const DATA_MIB: u32 = 400;

/// The disk on which a node keeps PostgreSQL's data, an XFS file system. The node must be off ([`Node::power_off`]) when it is dropped.
#[derive(Debug)]
pub struct DataDisk {
    // Dropped in this order: a disk goes before what it lies on.
    disk: Disk,
    array: Disk,
}

/// A copy of a disk as a block device. It is unmounted, wherever that was, and detached when this is dropped; the copy stays.
#[derive(Debug)]
pub struct Attached(PathBuf);

impl DataDisk {
    /// Lays a node's data on a disk of its own. Before its first boot.
    ///
    /// # Errors
    /// As [`Disk::new`].
    pub fn of(node: &Node) -> Result<Self, Error> {
        let array = Disk::new(node.folder(), "array", ARRAY_MIB, FsKind::Ext4)?;
        let disk = Disk::new(array.mount(), "postgres", DATA_MIB, FsKind::Xfs)?;
        let data = patroni::data(node.folder());
        Account::find()?.owns(disk.mount())?;
        let made = fs::set_permissions(disk.mount(), std::os::unix::fs::PermissionsExt::from_mode(0o700));
        made.and_then(|()| symlink(disk.mount(), &data)).map_err(Error::io(format!("make {}", data.display())))?;
        Ok(Self { disk, array })
    }

    /// Where it is mounted: PostgreSQL's data directory.
    #[must_use]
    pub fn mount(&self) -> &Path {
        self.disk.mount()
    }

    /// The file that has its bytes.
    #[must_use]
    pub fn file(&self) -> &Path {
        self.disk.backing_file()
    }

    /// Lines of shell after which the file stands still, and after which it goes on: a copy between them is of one instant.
    #[must_use]
    pub fn hold(&self) -> [String; 2] {
        let array = self.array.mount().display();
        [format!("fsfreeze --freeze {array}"), format!("fsfreeze --unfreeze {array}")]
    }

    /// From now on the node's lsblk shows the disk as this EBS volume, by its serial.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn shown_as(&self, node: &Node, volume_id: &str) -> Result<(), Error> {
        let device = self.disk.device().file_name().unwrap_or_default().to_string_lossy();
        let serial = volume_id.replace('-', "");
        let script = format!(
            "#!/bin/sh\n/usr/bin/lsblk \"$@\" | \
             sed 's/^\\(KNAME=\"{device}\" TYPE=\"loop\" SERIAL=\"\\)[^\"]*\"/\\1{serial}\"/'\n"
        );
        executable(&node.folder().join("bin/lsblk"), &script)
    }
}

impl Attached {
    /// Attaches a copy, and mounts nothing.
    ///
    /// # Errors
    /// As [`Disk::new`].
    pub fn new(copy: &Path) -> Result<Self, Error> {
        Ok(Self(PathBuf::from(run("losetup", &[Path::new("--find"), Path::new("--show"), copy])?)))
    }

    /// The device: `/dev/loop3`.
    #[must_use]
    pub fn device(&self) -> &Path {
        &self.0
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // What is still ending on it keeps nobody from dropping it.
        let _ = run("umount", &[Path::new("--quiet"), Path::new("--lazy"), Path::new("--all-targets"), &self.0]);
        let _ = run("losetup", &[Path::new("--detach"), &self.0]);
    }
}
