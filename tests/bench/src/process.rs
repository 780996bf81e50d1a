//! A function's real program under a Runtime API of its own, and what the kernel says that it costs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clock::now;
use crate::failure::{Failure, io};
use crate::runtime_api::RuntimeApi;

/// Far more than any function needs, so that a loaded machine fails no measurement of something else.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Lambda's own limit of open files in an execution environment (quota "File descriptors").
const OPEN_FILES: u32 = 1024;

/// What a process has used since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    /// The most memory that was ever resident, in bytes (`VmHWM`).
    pub(crate) peak: u64,
    /// Processor time of all its threads, in the kernel and outside.
    pub(crate) processor: Duration,
}

/// A running function. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    runtime: RuntimeApi,
    spawned: Instant,
    log: PathBuf,
}

impl Process {
    /// Starts `binary` with Lambda's limit of open files, and otherwise as [`Process::start`].
    pub(crate) fn start_limited(binary: &Path, env: &BTreeMap<String, String>, log: &Path) -> Result<Self, Failure> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("ulimit -n {OPEN_FILES}; exec \"$0\"")]).arg(binary);
        Self::spawn(command, env, log)
    }

    /// Starts `binary` with Lambda's variables, `env` and nothing else of this process's environment. Its log goes to `log`.
    pub(crate) fn start(binary: &Path, env: &BTreeMap<String, String>, log: &Path) -> Result<Self, Failure> {
        Self::spawn(Command::new(binary), env, log)
    }

    fn spawn(mut command: Command, env: &BTreeMap<String, String>, log: &Path) -> Result<Self, Failure> {
        let runtime = RuntimeApi::start()?;
        let out = File::create(log).map_err(io(format!("write {}", log.display())))?;
        let err = out.try_clone().map_err(io("share the log"))?;
        let spawned = now();
        let child = command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", runtime.address.to_string())
            .envs(lambda_environment())
            .envs(env)
            .stdin(Stdio::null())
            .stdout(Stdio::from(out))
            .stderr(Stdio::from(err))
            .spawn()
            .map_err(io(format!("start {command:?}")))?;
        Ok(Self { child, runtime, spawned, log: log.to_owned() })
    }

    /// From the start of the process to its first poll.
    pub(crate) fn first_poll(&self) -> Result<Duration, Failure> {
        let polled = self.runtime.first_poll(START_LIMIT).map_err(|failure| self.explained(&failure))?;
        Ok(polled.saturating_duration_since(self.spawned))
    }

    /// Invokes it. It is told that it has `budget`.
    pub(crate) fn invoke(&self, payload: &Value, budget: Duration) -> Result<Value, Failure> {
        self.runtime.invoke(payload, budget).map_err(|failure| self.explained(&failure))
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Result<Usage, Failure> {
        let file = |name: &str| {
            let path = format!("/proc/{}/{name}", self.child.id());
            fs::read_to_string(&path).map_err(io(format!("read {path}")))
        };
        let unread = || Failure::Function("the kernel's figures of the process cannot be read".to_owned());
        Ok(Usage {
            peak: peak(&file("status")?).ok_or_else(unread)?,
            processor: processor(&file("stat")?).ok_or_else(unread)?,
        })
    }

    /// How many sockets it has open.
    pub(crate) fn sockets(&self) -> Result<usize, Failure> {
        let folder = format!("/proc/{}/fd", self.child.id());
        let files = fs::read_dir(&folder).map_err(io(format!("read {folder}")))?;
        let is_socket = |path: PathBuf| fs::read_link(path).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
        Ok(files.flatten().filter(|file| is_socket(file.path())).count())
    }

    fn explained(&self, failure: &Failure) -> Failure {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n");
        Failure::Function(format!("{failure}; the end of {}:\n{tail}", self.log.display()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lambda_environment() -> [(&'static str, &'static str); 10] {
    [
        ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ]
}

/// The line `VmHWM:    12345 kB` of `/proc/<pid>/status`.
fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Fields 14 and 15 of `/proc/<pid>/stat`, which are hundredths of a second to every program. Field 2 is the program's name in
/// parentheses, which may hold anything: what counts comes after the last one.
fn processor(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_in_bytes() {
        assert_eq!(peak("Name:\tx\nVmPeak:\t  99 kB\nVmHWM:\t   1234 kB\nVmRSS:\t 7 kB\n"), Some(1_263_616));
        assert_eq!(peak("Name:\tx\n"), None);
    }

    #[test]
    fn processor_time_is_read_behind_any_name() {
        let stat = "42 (odd ) name) S 1 42 42 0 -1 4194304 500 0 0 0 123 45 0 0 20 0 3 0 1000 1 1";
        assert_eq!(processor(stat), Some(Duration::from_millis(1680)));
        assert_eq!(processor("42 (x) S 1"), None);
    }
}
