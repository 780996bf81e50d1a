//! What a command by SSM is on a node: the script with its variables, run by root with sh.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab::{Disk, FsKind};

pub(crate) const FREEZE: &str = include_str!("../../../../functions/snapshot-scheduler/src/node/freeze.sh");

static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A folder for disks, and one in memory for what the script knows. Both go with it.
pub(crate) struct Node {
    pub(crate) folder: PathBuf,
    pub(crate) state: PathBuf,
    /// Before the system's in PATH.
    pub(crate) programs: PathBuf,
}

#[derive(Debug, PartialEq, Eq, Clone)]
pub(crate) struct Said {
    pub(crate) code: i32,
    /// Fields by line.
    pub(crate) lines: Vec<Vec<String>>,
}

impl Node {
    pub(crate) fn new() -> Self {
        let name = format!("pilothouse-freeze-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
        let (folder, state) = (std::env::temp_dir().join(&name), Path::new("/dev/shm").join(&name));
        let programs = folder.join("bin");
        fs::create_dir_all(&programs).unwrap();
        Self { folder, state, programs }
    }

    pub(crate) fn disk(&self, name: &str, kind: FsKind) -> Disk {
        // XFS is not made smaller than 300 MiB, and etcd takes 64 for its first log. What is not written takes no room.
        Disk::new(&self.folder, name, 320, kind).unwrap_or_else(|error| panic!("this test needs root: {error}"))
    }

    /// A program that is found before the system's.
    pub(crate) fn program(&self, name: &str, text: &str) {
        let path = self.programs.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// As SSM's agent starts it.
    fn command(&self, script: &str, variables: &[(&str, &str)]) -> Command {
        let mut text = String::new();
        for (name, value) in variables {
            writeln!(text, "{name}='{}'", value.replace('\'', r"'\''")).unwrap();
        }
        let path = self.folder.join(format!("script-{}.sh", NUMBER.fetch_add(1, Ordering::SeqCst)));
        fs::write(&path, text + script).unwrap();
        let mut command = Command::new("sh");
        let programs = format!("{}:{}", self.programs.display(), std::env::var_os("PATH").unwrap().display());
        command.arg(path).env("PATH", programs).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, script: &str, variables: &[(&str, &str)]) -> Said {
        let output = self.command(script, variables).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<Vec<String>> =
            text.lines().map(|line| line.split('\t').map(ToOwned::to_owned).collect()).collect();
        assert_eq!(lines.last().unwrap(), &["end"], "{text}");
        Said { code: output.status.code().unwrap(), lines }
    }

    fn freeze_variables(&self, token: &str, limit: &str, mounts: &[&Path]) -> Vec<(&'static str, String)> {
        let mounts: Vec<String> = mounts.iter().map(|mount| mount.display().to_string()).collect();
        vec![
            ("VERB", "freeze".to_owned()),
            ("TOKEN", token.to_owned()),
            ("LIMIT", limit.to_owned()),
            ("NOT_AFTER", (seconds() + 120).to_string()),
            ("MOUNTS", mounts.join("\n")),
            ("STATE_DIR", self.state.display().to_string()),
        ]
    }

    pub(crate) fn freeze_with(&self, token: &str, limit: &str, mounts: &[&Path], more: &[(&str, &str)]) -> Said {
        let variables = self.freeze_variables(token, limit, mounts);
        let mut variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        // The last one counts.
        variables.extend(more);
        self.run(FREEZE, &variables)
    }

    pub(crate) fn freeze(&self, token: &str, limit: u32, mounts: &[&Path]) -> Said {
        self.freeze_with(token, &limit.to_string(), mounts, &[])
    }

    /// Starts to freeze, as a child of an agent, in a process group of the agent's.
    pub(crate) fn agent(&self, token: &str, limit: u32, mounts: &[&Path]) -> Child {
        let variables = self.freeze_variables(token, &limit.to_string(), mounts);
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let script = self.command(FREEZE, &variables);
        let mut agent = Command::new("sh");
        agent.args(["-c", "sh \"$1\"; sleep 600", "agent"]).args(script.get_args());
        agent.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.programs.display()));
        agent.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        agent.spawn().unwrap()
    }

    pub(crate) fn ask(&self, verb: &str, token: &str) -> Said {
        self.run(FREEZE, &[("VERB", verb), ("TOKEN", token), ("STATE_DIR", &self.state.display().to_string())])
    }

    /// A file of what is known of a file system, as numbered by the order of the mounts.
    pub(crate) fn known(&self, token: &str, fs: usize, name: &str) -> PathBuf {
        self.state.join(format!("freeze-{token}/fs.{fs}/{name}"))
    }

    /// Waits for such a file.
    pub(crate) fn wait_for(&self, token: &str, fs: usize, name: &str) -> String {
        let path = self.known(token, fs, name);
        wait(&path.display().to_string(), || path.exists());
        fs::read_to_string(path).unwrap().trim().to_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
        let _ = fs::remove_dir_all(&self.state);
    }
}

impl Said {
    /// A field of all lines of a kind.
    pub(crate) fn all(&self, kind: &str, field: usize) -> Vec<&str> {
        self.lines.iter().filter(|line| line[0] == kind).map(|line| line[field].as_str()).collect()
    }

    pub(crate) fn verdicts(&self) -> Vec<&str> {
        self.all("mount", 2)
    }

    /// Why nothing was frozen.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.all("refused", 1)[0].contains(words), "{words}: {self:?}");
        assert_eq!(self.all("frozen", 1).len(), 0);
    }
}

#[expect(clippy::disallowed_methods, reason = "the script knows no other clock")]
pub(crate) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A machine may be slow, but not for ever.
#[track_caller]
pub(crate) fn wait(what: &str, mut seen: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if seen() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("waited in vain for {what}");
}

/// Whether somebody's freeze was there, which is over now.
pub(crate) fn unfreeze(disk: &Disk) -> bool {
    Command::new("/usr/sbin/fsfreeze").arg("-u").arg(disk.mount()).stderr(Stdio::null()).status().unwrap().success()
}

/// Fails where the file system is frozen: it would wait, and nobody could end it.
#[track_caller]
pub(crate) fn is_thawed(disk: &Disk) {
    assert!(!unfreeze(disk), "{} was still frozen", disk.mount().display());
}

/// Ends a process, or a process group (negative), at once.
pub(crate) fn kill(pid: i64) -> io::Result<()> {
    let status = Command::new("sh").args(["-c", &format!("kill -KILL {pid}")]).status()?;
    assert!(status.success());
    Ok(())
}
