//! Volumes that are not mounted as they are. These programs only note how they were called, since no kernel here has ZFS, md or LVM.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use lab::FsKind;

use crate::production::{Crashed, Folder, Layout, Production};
use crate::script::{Said, TORN, VOLUME, command, ended};
use crate::server::Load;

/// Programs that stand before the system's.
pub(crate) struct Programs(PathBuf);

impl Programs {
    pub(crate) fn new(folder: &Folder) -> Self {
        Self(folder.make("programs"))
    }

    pub(crate) fn put(&self, name: &str, body: &str) {
        let path = self.0.join(name);
        fs::write(&path, format!("#!/bin/sh\necho \"{name} $*\" >>{}\n{body}\n", self.0.join("called").display()))
            .unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn called(&self) -> String {
        fs::read_to_string(self.0.join("called")).unwrap_or_default()
    }

    pub(crate) fn run(&self, folder: &Folder, arguments: &[String]) -> Said {
        ended(self.command(folder, arguments))
    }

    /// It may be killed on the way.
    pub(crate) fn try_run(&self, folder: &Folder, arguments: &[String]) -> Output {
        self.command(folder, arguments).output().unwrap()
    }

    fn command(&self, folder: &Folder, arguments: &[String]) -> Command {
        let mut command = command(folder);
        let _ = fs::remove_file(self.0.join("called"));
        command.env("PATH", format!("{}:{}", self.0.display(), std::env::var("PATH").unwrap())).args(arguments);
        command
    }
}

#[test]
fn snapshot_case_34_a_pool_that_lacks_a_vdev_is_refused() {
    let crashed = Crashed::new();
    let programs = Programs::new(&crashed.folder);
    let (imported, health) = (crashed.folder.path().join("imported"), crashed.folder.path().join("health"));
    let zpool = format!(
        "case \"$1 $4\" in 'list name') [ -e {0} ] ;; 'list health') cat {1} ;; 'import '*) touch {0} ;; esac",
        imported.display(),
        health.display()
    );
    programs.put("zpool", &zpool);
    programs.put("zfs", "[ \"$1\" != list ] || printf 'tank\\tno\\toff\\t/tank\\ntank/pg\\tno\\ton\\t/srv/pg\\ntank/old\\tno\\ton\\tnone\\n'");
    let arguments = crashed.arguments(&["--zfs-pool=tank"]);

    fs::write(&health, "DEGRADED\n").unwrap();
    programs.run(&crashed.folder, &arguments).refused(VOLUME, "pool tank is DEGRADED: a vdev of it is missing");
    assert!(programs.called().contains("zpool import -f -N tank") && !programs.called().contains("zfs mount"));
    assert!(!crashed.data.join("standby.signal").exists());

    // All there: but the data is not in it, so something was not mounted.
    fs::write(&health, "ONLINE\n").unwrap();
    programs.run(&crashed.folder, &arguments).refused(TORN, "none of the restore point's");
    let called = programs.called();
    assert!(
        called.contains("zfs mount tank/pg") && !called.contains("zfs mount tank\n") && !called.contains("tank/old"),
        "{called}"
    );
    assert!(!called.contains("zpool import"), "it is imported already: {called}");
    // What is in it is found by what findmnt tells of it.
    programs.put("findmnt", "echo 'zfs tank/pg'");
    programs.run(&crashed.folder, &arguments).done();

    fs::remove_file(imported).unwrap();
    let dry = crashed.arguments(&["--zfs-pool=tank", "--dry-run"]);
    programs.run(&crashed.folder, &dry).done();
    assert!(!programs.called().contains("import"), "{}", programs.called());
}

#[test]
fn volumes_are_found_by_their_ids_and_arrays_and_groups_come_up_before_they_are_mounted() {
    let mut production = Production::start(Layout { kind: FsKind::Ext4, wal: false, tablespace: false });
    let load = Load::start(production.server());
    let (snapshot, _) = production.snapshot(&load);
    drop(load);
    production.lose();
    let volumes = snapshot.attach();
    let programs = Programs::new(&production.folder);
    let device = volumes.device("data").display().to_string();
    // As lsblk shows it of an EBS volume: the id without its hyphen.
    programs.put("lsblk", &format!("printf '/dev/nvme0n1 vol0aaa\\n{device} vol0abc\\n'"));
    programs.put("mdadm", "");
    programs.put("vgchange", "");
    programs.put("vgs", "echo '  wz--n-'");
    let data = format!("--data-dir={}", production.data().display());
    let mount = format!("--mount=vol-0abc:{}", production.place("data").display());
    let arguments = ["--lvm=pgvg".to_owned(), "--md=/dev/md77:vol-0abc,vol-0abc".to_owned(), mount, data];
    let said = programs.run(&production.folder, &arguments).done();
    let called = programs.called();
    let at = |text: &str| called.find(text).unwrap_or_else(|| panic!("{text}: {called}"));
    assert!(at(&format!("mdadm --assemble /dev/md77 {device} {device}")) < at("vgchange --activate y pgvg"));
    assert!(said.find("activate").unwrap() < said.find(&format!("mount {device} at")).unwrap(), "{said}");

    volumes.unmount();
    programs.put("vgs", "echo '  wz-pn-'");
    programs.run(&production.folder, &arguments).refused(VOLUME, "lacks a physical volume");
    programs.put("vgs", "echo 'Multiple VGs found with the same name' >&2; exit 5");
    programs.run(&production.folder, &arguments).refused(VOLUME, "vgimportclone --basevgname pgvg_restored");
    programs.put("mdadm", "exit 1");
    programs.run(&production.folder, &arguments).refused(VOLUME, "is a member missing?");
    assert!(!production.data().exists(), "it was mounted all the same");
}
