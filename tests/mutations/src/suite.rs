//! The tests that look for mutations, and how they are run.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use crate::Failure;
use crate::tree::Tree;

/// How long a build, or a run of tests, may take. A mutation can make a loop that never ends.
const LIMIT: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(20);

/// Tests that cargo runs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// The watcher's planner and its safety gate, over worlds in memory.
    Planner,
    /// The watcher's own unit tests.
    Watcher,
    /// The unit tests of the Lambda shell: brake, pulse, report.
    Runtime,
    /// The unit tests of the domain.
    Domain,
    /// The planner of nodes that join and leave, and its safety gate.
    Lifecycle,
    /// The planner of restore points, and its safety gate.
    Scheduler,
    /// The domain's tests of retention: rules, floors, brakes.
    Retention,
    /// The domain's tests of the times of a schedule.
    Slots,
}

impl Suite {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Planner,
        Self::Watcher,
        Self::Runtime,
        Self::Domain,
        Self::Lifecycle,
        Self::Scheduler,
        Self::Retention,
        Self::Slots,
    ];

    fn selection(self) -> &'static [&'static str] {
        match self {
            Self::Planner => &["--package", "peering-watcher", "--test", "planner"],
            Self::Watcher => &["--package", "peering-watcher", "--lib"],
            Self::Runtime => &["--package", "runtime", "--lib"],
            Self::Domain => &["--package", "domain", "--lib"],
            Self::Lifecycle => &["--package", "asg-lifecycle", "--test", "planner"],
            Self::Scheduler => &["--package", "snapshot-scheduler", "--test", "planner"],
            Self::Retention => &["--package", "domain", "--test", "retention"],
            Self::Slots => &["--package", "domain", "--test", "slots"],
        }
    }

    /// Builds it, and runs its tests of these names.
    ///
    /// # Errors
    /// Cargo could not be started.
    pub fn run(self, tree: &Tree, names: &[&str]) -> Result<Ran, Failure> {
        let build = ["--no-run", "--message-format", "json-render-diagnostics"];
        let Some(built) = finish(tree.cargo("test").args(self.selection()).args(build))? else {
            return Ok(Ran::Hung);
        };
        let Some(executable) = executable(&built.out).filter(|_| built.well) else {
            return Ok(Ran::NotCompiled(first_error(&built.err)));
        };
        // Not through cargo: where it hangs, it is this process that must be stopped.
        let Some(ran) = finish(tree.command(&executable).args(names))? else { return Ok(Ran::Hung) };
        let of = |result: &str| {
            let name = |line: &str| line.strip_prefix("test ")?.strip_suffix(result).map(str::to_owned);
            ran.out.lines().filter_map(name).collect::<Vec<String>>()
        };
        Ok(Ran::Tests { failed: of(" ... FAILED"), passed: of(" ... ok") })
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Planner => "planner",
            Self::Watcher => "watcher",
            Self::Runtime => "runtime",
            Self::Domain => "domain",
            Self::Lifecycle => "lifecycle",
            Self::Scheduler => "scheduler",
            Self::Retention => "retention",
            Self::Slots => "slots",
        })
    }
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ran {
    /// Which tests failed and which passed, with the path of their modules.
    Tests {
        /// Those that failed.
        failed: Vec<String>,
        /// Those that passed.
        passed: Vec<String>,
    },
    /// It does not compile, and what the compiler says first.
    NotCompiled(String),
    /// It did not end in time and was stopped.
    Hung,
}

/// Whether a test, with the path of its modules, has this name.
#[must_use]
pub fn is(path: &str, name: &str) -> bool {
    path.rsplit("::").next() == Some(name)
}

/// The test program, as cargo names it.
fn executable(said: &str) -> Option<PathBuf> {
    let of = |line: &str| Some(PathBuf::from(serde_json::from_str::<Value>(line).ok()?.get("executable")?.as_str()?));
    said.lines().filter_map(of).next_back()
}

fn first_error(said: &str) -> String {
    said.lines().find(|line| line.starts_with("error")).unwrap_or("no error was printed").to_owned()
}

/// What a process printed, and whether it ended well.
struct Ended {
    well: bool,
    out: String,
    err: String,
}

/// `None` where it did not end in time.
fn finish(command: &mut Command) -> Result<Option<Ended>, Failure> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(Failure::Process)?;
    // Both are read while it runs: a full pipe would stop it.
    let (out, err) = (child.stdout.take().map(reader), child.stderr.take().map(reader));
    let mut waited = Duration::ZERO;
    while child.try_wait().map_err(Failure::Process)?.is_none() {
        if waited >= LIMIT {
            child.kill().and_then(|()| child.wait()).map_err(Failure::Process)?;
            return Ok(None);
        }
        thread::sleep(POLL);
        waited += POLL;
    }
    let well = child.wait().map_err(Failure::Process)?.success();
    let [out, err] = [out, err].map(|reader| reader.and_then(|reader| reader.join().ok()).unwrap_or_default());
    Ok(Some(Ended { well, out, err }))
}

fn reader(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        // What was printed up to a broken pipe is all that there is.
        let _ = stream.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    })
}
