//! Disks of a node: loop devices with file systems of their own.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::Error;

/// Undoes what was made, with whoever holds the other end of its standard input, however that ends. A disk may lie on another one,
/// and what runs on it may still be ending: it is tried again for a while.
const KEEPER: &str = r#"
read -r _
device=$1 mount=$2 file=$3
export PATH="$PATH:/usr/sbin:/sbin"
mounted() { grep -q " $mount " /proc/self/mountinfo; }
rounds=0
while mounted && [ "$rounds" -lt 100 ]; do
    fsfreeze --unfreeze "$mount" 2>/dev/null
    umount "$mount" 2>/dev/null || sleep 0.1
    rounds=$((rounds + 1))
done
! mounted || umount --lazy "$mount"
losetup --detach "$device"
rmdir "$mount" 2>/dev/null
[ -z "$file" ] || rm -f "$file"
"#;

/// The file system of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsKind {
    /// Debian's default.
    Ext4,
    /// Amazon Linux's default. At least 300 MiB (mkfs.xfs(8)).
    Xfs,
}

/// A disk that is mounted. It is thawed, unmounted and detached when this is dropped.
///
/// A disk may lie on another one. Where that one is frozen ([`Disk::freeze`]), nothing more reaches the bytes of any disk that lies on
/// it: copies of them are all of one instant, as those of EBS volumes by one call of `CreateSnapshots`.
#[derive(Debug)]
pub struct Disk {
    _keeper: Keeper,
    device: PathBuf,
    file: PathBuf,
    mount: PathBuf,
}

/// A disk whose file system is frozen until this is dropped.
#[derive(Debug)]
pub struct Frozen(PathBuf);

#[derive(Debug)]
struct Keeper {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Disk {
    /// Makes `<dir>/<name>.disk` of `mib` MiB, a file system in it, and mounts it at `<dir>/<name>`. Both go with the disk.
    ///
    /// # Errors
    /// [`Error::Program`] with what the program said, which is that we may not where we aren't root; [`Error::NoProgram`].
    pub fn new(dir: &Path, name: &str, mib: u32, kind: FsKind) -> Result<Self, Error> {
        let file = dir.join(format!("{name}.disk"));
        let made = File::create_new(&file).and_then(|made| made.set_len(u64::from(mib) << 20));
        made.map_err(Error::io(format!("make {}", file.display())))?;
        Self::attach(&file, dir.join(name), Some(kind))
    }

    /// Mounts a copy that [`Disk::copy_to`] made, at its path with `.mount` after it. The copy stays when the disk goes.
    ///
    /// # Errors
    /// As [`Disk::new`].
    pub fn from_copy(file: &Path) -> Result<Self, Error> {
        let mut mount = file.as_os_str().to_owned();
        mount.push(".mount");
        Self::attach(file, PathBuf::from(mount), None)
    }

    /// Makes a file system where a kind is given.
    fn attach(file: &Path, mount: PathBuf, kind: Option<FsKind>) -> Result<Self, Error> {
        fs::create_dir_all(&mount).map_err(Error::io(format!("make {}", mount.display())))?;
        let device = PathBuf::from(run("losetup", &[Path::new("--find"), Path::new("--show"), file])?);
        let keeper = Keeper::start(&device, &mount, kind.map(|_| file))?;
        match kind {
            Some(FsKind::Ext4) => run("mkfs.ext4", &[Path::new("-q"), &device])?,
            Some(FsKind::Xfs) => run("mkfs.xfs", &[Path::new("-q"), &device])?,
            None => String::new(),
        };
        // XFS refuses a second file system of the same UUID: the original is mounted.
        let options = if is_xfs(file)? { "nouuid" } else { "defaults" };
        run("mount", &[Path::new("-o"), Path::new(options), &device, &mount])?;
        Ok(Self { _keeper: keeper, device, file: file.to_owned(), mount })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// Its loop device: `/dev/loop3`.
    #[must_use]
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// The file that has its bytes.
    #[must_use]
    pub fn backing_file(&self) -> &Path {
        &self.file
    }

    /// Copies its bytes as they are. What is written meanwhile may be in the copy or not: a copy of one instant needs the disk on
    /// which this one lies to be frozen, and must itself be written elsewhere.
    ///
    /// # Errors
    /// [`Error::Program`].
    pub fn copy_to(&self, path: &Path) -> Result<(), Error> {
        run("cp", &[Path::new("--sparse=always"), Path::new("--reflink=never"), &self.file, path]).map(drop)
    }

    /// Freezes its file system. Whoever writes to it waits, and cannot even be killed, until it is thawed.
    ///
    /// # Errors
    /// [`Error::Program`].
    pub fn freeze(&self) -> Result<Frozen, Error> {
        run("fsfreeze", &[Path::new("--freeze"), &self.mount])?;
        Ok(Frozen(self.mount.clone()))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = run("fsfreeze", &[Path::new("--unfreeze"), &self.0]);
    }
}

impl Keeper {
    fn start(device: &Path, mount: &Path, file: Option<&Path>) -> Result<Self, Error> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(KEEPER).arg("keeper").arg(device).arg(mount).arg(file.unwrap_or(Path::new("")));
        // Not by the signal that ends the tests.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).current_dir("/").process_group(0);
        let mut child = command.spawn().map_err(Error::io("start sh"))?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

fn is_xfs(file: &Path) -> Result<bool, Error> {
    let mut magic = [0; 4];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut magic));
    read.map_err(Error::io(format!("read {}", file.display())))?;
    Ok(magic == *b"XFSB")
}

/// What it prints.
pub(crate) fn run(program: &str, arguments: &[&Path]) -> Result<String, Error> {
    let path = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(|folder| Path::new(folder).join(program));
    let program = path.iter().find(|path| path.is_file()).ok_or(Error::NoProgram {
        program: program.to_owned(),
        remedy: "install Debian's packages util-linux, mount, e2fsprogs and xfsprogs",
    })?;
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(Error::io(format!("start {}", program.display())))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    Err(Error::Program { program: program.display().to_string(), said: said.trim_end().to_owned() })
}
