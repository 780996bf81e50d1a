//! A primary on disks of its own, with all that a copy of it must not take along, and copies of its disks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use lab::{Disk, FsKind};

use crate::server::{Load, Server, as_postgres, binaries, run};

/// Of the disk that the others lie on.
const ARRAY_MIB: u32 = 1200;
const SEGMENTS: &str = "--wal-segsize=1";

static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A folder for everything, removed with what is in it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        // Short: a socket's path may have 107 bytes.
        let path = std::env::temp_dir().join(format!("pilothouse-restore-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A folder in it that belongs to `postgres`.
    pub(crate) fn make(&self, name: &str) -> PathBuf {
        owned(&self.0.join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What a test that failed has left mounted, the innermost first.
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mut places: Vec<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(4)).collect();
        places.retain(|place| Path::new(place).starts_with(&self.0));
        places.sort_unstable();
        for place in places.iter().rev() {
            let _ = Command::new("umount").arg(place).output();
        }
        // Never through a mount point.
        let _ = Command::new("rm").args(["-rf", "--one-file-system"]).arg(&self.0).status();
    }
}

fn owned(path: &Path) -> PathBuf {
    fs::create_dir_all(path).unwrap();
    let mut install = Command::new("install");
    install.args(["-d", "-m", "700", "-o", "postgres", "-g", "postgres"]).arg(path);
    run(install).unwrap();
    path.to_owned()
}

/// What nobody syncs may be in no copy of the disk.
fn synced(path: &Path) {
    let mut sync = Command::new("sync");
    sync.arg("--file-system").arg(path);
    run(sync).unwrap();
}

/// Which disks it has beside the one of the data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) kind: FsKind,
    /// The WAL is on a disk of its own.
    pub(crate) wal: bool,
    /// The table is in a tablespace on a disk of its own.
    pub(crate) tablespace: bool,
}

/// Dropped in this order: what runs ends before its disks go, and those before what they lie on.
pub(crate) struct Production {
    server: Option<Server>,
    disks: Vec<(&'static str, Disk)>,
    array: Disk,
    pub(crate) folder: Folder,
    pub(crate) sockets: PathBuf,
    pub(crate) archive: PathBuf,
}

impl Production {
    pub(crate) fn start(layout: Layout) -> Self {
        let folder = Folder::new();
        let array = Disk::new(folder.path(), "array", ARRAY_MIB, FsKind::Ext4).unwrap();
        let names = [("data", true), ("wal", layout.wal), ("space", layout.tablespace)];
        // XFS wants 300 at least.
        let mib = if layout.kind == FsKind::Xfs { 320 } else { 160 };
        let wanted = names.into_iter().filter(|(_, wanted)| *wanted);
        let disks = wanted.map(|(name, _)| (name, Disk::new(array.mount(), name, mib, layout.kind).unwrap())).collect();
        let (sockets, archive) = (folder.make("sockets"), folder.make("archive"));
        let mut this = Self { server: None, disks, array, folder, sockets, archive };

        let mut initdb = as_postgres(binaries().join("initdb"));
        initdb.args(["--no-instructions", "--auth=trust", "--username=postgres", "--locale=C"]);
        initdb.args([SEGMENTS, "-D"]).arg(owned(&this.data()));
        if layout.wal {
            initdb.arg("-X").arg(owned(&this.wal()));
        }
        run(initdb).unwrap();
        this.configure();
        this.server = Some(Server::start(&this.data(), &this.sockets, 5432, &["listen_addresses="]).unwrap());
        if layout.tablespace {
            let place = owned(&this.place("space").join("pg"));
            synced(&place);
            this.server().sql(&format!("CREATE TABLESPACE space LOCATION '{}'", place.display())).unwrap();
        }
        let space = if layout.tablespace { "TABLESPACE space" } else { "" };
        this.server().sql(&format!("CREATE TABLE numbered (n bigint) {space}")).unwrap();
        this.server().sql("SELECT pg_create_physical_replication_slot('of_production')").unwrap();
        // As pg_basebackup leaves it on whoever was a standby once.
        let conninfo = format!("host={} user=postgres", this.sockets.display());
        this.server().sql(&format!("ALTER SYSTEM SET primary_conninfo = '{conninfo}'")).unwrap();
        this.server().sql("ALTER SYSTEM SET primary_slot_name = 'of_production'").unwrap();
        this
    }

    fn configure(&self) {
        let settings = [
            ("archive_mode", "on".to_owned()),
            ("archive_command", format!("cp %p {}/%f", self.archive.display())),
            ("archive_cleanup_command", format!("touch {}/cleaned", self.sockets.display())),
            // A standby that finds these ends recovery by itself. A primary ignores them.
            ("recovery_target", "immediate".to_owned()),
            ("recovery_target_action", "promote".to_owned()),
            // Whoever waits for it waits for ever.
            ("synchronous_standby_names", "elsewhere".to_owned()),
            ("synchronous_commit", "local".to_owned()),
            // Of another machine.
            ("listen_addresses", "192.0.2.7".to_owned()),
            ("shared_buffers", "16MB".to_owned()),
            ("max_wal_size", "8MB".to_owned()),
            ("min_wal_size", "2MB".to_owned()),
            ("checkpoint_timeout", "1h".to_owned()),
            // Dirty pages reach the disk by checkpoints alone.
            ("bgwriter_lru_maxpages", "0".to_owned()),
        ];
        let mut text = fs::read_to_string(self.data().join("postgresql.conf")).unwrap();
        for (name, value) in settings {
            text += &format!("{name} = '{value}'\n");
        }
        fs::write(self.data().join("postgresql.conf"), text).unwrap();
        fs::write(self.data().join("patroni.dynamic.json"), r#"{"ttl": 30}"#).unwrap();
        synced(&self.data());
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.place("data").join("pg")
    }

    pub(crate) fn wal(&self) -> PathBuf {
        self.place("wal").join("pg")
    }

    /// Where this disk is mounted, and was once it is gone.
    pub(crate) fn place(&self, disk: &str) -> PathBuf {
        self.array.mount().join(disk)
    }

    pub(crate) fn system(&self) -> String {
        self.server().sql("SELECT system_identifier FROM pg_control_system()").unwrap()
    }

    /// All WAL until now is archived. Something must have been written since the last time.
    pub(crate) fn archived(&self) {
        let last = self.server().sql("SELECT pg_walfile_name(pg_switch_wal())").unwrap();
        self.server().wait(&format!("SELECT last_archived_wal >= '{last}' FROM pg_stat_archiver"), "t");
    }

    pub(crate) fn disk(&self, name: &str) -> &Disk {
        self.disks.iter().find(|(disk, _)| *disk == name).map(|(_, disk)| disk).unwrap()
    }

    /// All disks as they are at one instant, and the rows that had been acknowledged before it.
    pub(crate) fn snapshot(&self, load: &Load) -> (Snapshot, Vec<u64>) {
        let acknowledged = load.acknowledged();
        let frozen = self.array.freeze().unwrap();
        let snapshot = Snapshot(self.disks.iter().map(|(name, disk)| (*name, self.copy(name, disk))).collect());
        drop(frozen);
        (snapshot, acknowledged)
    }

    /// One disk as it is at one instant, which is another for each call.
    pub(crate) fn snapshot_of(&self, name: &'static str) -> (&'static str, PathBuf) {
        let _frozen = self.array.freeze().unwrap();
        (name, self.copy(name, self.disk(name)))
    }

    /// Not on the array, which is frozen.
    pub(crate) fn copy(&self, name: &str, disk: &Disk) -> PathBuf {
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let file = self.folder.path().join(format!("{name}-{number}.copy"));
        disk.copy_to(&file).unwrap();
        file
    }

    /// The machine is gone, and its disks with it.
    pub(crate) fn lose(&mut self) {
        self.server = None;
        self.disks.clear();
    }
}

/// The data of a server that has crashed, on no disk of its own.
pub(crate) struct Crashed {
    pub(crate) folder: Folder,
    pub(crate) data: PathBuf,
    pub(crate) sockets: PathBuf,
}

impl Crashed {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        let (data, sockets) = (folder.make("data"), folder.make("sockets"));
        let mut initdb = as_postgres(binaries().join("initdb"));
        initdb.args(["--no-sync", "--no-instructions", "--auth=trust", "--username=postgres", "--locale=C"]);
        initdb.args([SEGMENTS, "-D"]).arg(&data);
        run(initdb).unwrap();
        drop(Server::start(&data, &sockets, 5432, &["listen_addresses="]).unwrap());
        Self { folder, data, sockets }
    }

    pub(crate) fn arguments(&self, more: &[&str]) -> Vec<String> {
        let data = format!("--data-dir={}", self.data.display());
        more.iter().map(|&argument| argument.to_owned()).chain([data]).collect()
    }
}

/// Copies of disks, by their names.
pub(crate) struct Snapshot(pub(crate) Vec<(&'static str, PathBuf)>);

/// Volumes made of a snapshot: attached, and not mounted. They are unmounted, wherever that was, and detached when this is dropped.
pub(crate) struct Volumes(Vec<(&'static str, PathBuf)>);

impl Snapshot {
    pub(crate) fn attach(&self) -> Volumes {
        let attach = |file: &PathBuf| {
            let mut losetup = Command::new("losetup");
            losetup.args(["--find", "--show"]).arg(file);
            PathBuf::from(run(losetup).unwrap())
        };
        Volumes(self.0.iter().map(|(name, file)| (*name, attach(file))).collect())
    }
}

impl Volumes {
    pub(crate) fn device(&self, name: &str) -> &Path {
        self.0.iter().find(|(volume, _)| *volume == name).map(|(_, device)| device).unwrap()
    }

    /// The script's options for all of them, at the places of the original.
    pub(crate) fn mounts(&self, production: &Production) -> Vec<String> {
        self.0.iter().map(|(name, _)| self.mount(name, &production.place(name))).collect()
    }

    pub(crate) fn mount(&self, name: &str, place: &Path) -> String {
        format!("--mount={}:{}", self.device(name).display(), place.display())
    }

    pub(crate) fn unmount(&self) {
        // Nested ones need a second round.
        for (_, device) in self.0.iter().rev().chain(&self.0) {
            let _ = Command::new("umount").args(["--quiet", "--all-targets"]).arg(device).output();
        }
    }
}

impl Drop for Volumes {
    fn drop(&mut self) {
        self.unmount();
        for (_, device) in &self.0 {
            let _ = Command::new("losetup").arg("--detach").arg(device).status();
        }
    }
}
