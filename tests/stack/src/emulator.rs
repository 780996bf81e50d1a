//! The emulated AWS (`tests/aws`) as a child process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use crate::lines::Lines;
use crate::{Control, Error};

/// It takes two seconds on an idle machine; compilers may be running beside it.
const START_LIMIT: Duration = Duration::from_secs(90);

/// Names under which `vpc-gateway` can run, beside its own: each VPC has one of its own name.
pub const GATEWAYS: [&str; 2] = ["acme-transit", "other-transit"];

/// Where the emulator listens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Endpoints {
    /// AWS, for `AWS_ENDPOINT_URL`.
    pub aws: String,
    /// Lambda: Invoke, and the Runtime API under `/.rt/<function>`.
    pub lambda: String,
}

/// A running emulator. It ends when this is dropped, and also when this process ends in any other way, since it waits
/// for the end of its standard input.
#[derive(Debug)]
pub struct Emulator {
    child: Child,
    stdin: Option<ChildStdin>,
    endpoints: Endpoints,
    control: Control,
    lines: Lines,
}

impl Emulator {
    /// Starts `tests/aws/serve.py` with the Python of `.venv` (or of the virtual environment that `PILOTHOUSE_VENV` names),
    /// and waits until it is ready.
    ///
    /// # Errors
    /// [`Error::NoVenv`]; [`Error::Emulator`] with its last lines when it does not become ready.
    pub fn start() -> Result<Self, Error> {
        let root = repository();
        let venv = std::env::var_os("PILOTHOUSE_VENV").map_or_else(|| root.join(".venv"), PathBuf::from);
        let python = venv.join("bin").join("python");
        if !python.exists() {
            return Err(Error::NoVenv(python));
        }
        Self::start_with(&python, &root.join("tests/aws/serve.py"))
    }

    /// Starts the program `script`, which must do as `serve.py` does, with that Python.
    ///
    /// # Errors
    /// As [`Emulator::start`].
    pub fn start_with(python: &Path, script: &Path) -> Result<Self, Error> {
        let mut command = Command::new(python);
        command.arg(script).args(["--port", "0", "--with-lambda"]);
        command.args(GATEWAYS.iter().flat_map(|name| ["--function", name]));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::io(format!("start {}", python.display())))?;
        let lines = Lines::default();
        if let Some(stderr) = child.stderr.take() {
            lines.follow(stderr);
        }
        let stdin = child.stdin.take();
        let ready = first_line(&mut child);
        match ready.as_deref().map(serde_json::from_str::<Endpoints>) {
            Some(Ok(endpoints)) => Ok(Self { control: Control::at(&endpoints.aws), child, stdin, endpoints, lines }),
            other => {
                drop(stdin);
                end(&mut child);
                let said = match other {
                    Some(Err(error)) => format!("did not say where it listens ({error})"),
                    _ => "did not become ready".to_owned(),
                };
                Err(Error::Emulator(format!("{said}; its last lines:\n{}", lines.tail())))
            }
        }
    }

    /// Where it listens.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Changes and reads it by hand.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// What it logged so far: each AWS call, each request of the Runtime API.
    pub fn log_lines(&self) -> Vec<String> {
        self.lines.all()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.stdin.take());
        end(&mut self.child);
    }
}

/// Waits for a child that has been told to end, and ends it if it does not.
fn end(child: &mut Child) {
    for _ in 0..100 {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn first_line(child: &mut Child) -> Option<String> {
    let stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let mut stdout = BufReader::new(stdout);
        if stdout.read_line(&mut line).is_ok_and(|read| read > 0) {
            let _ = sender.send(line);
        }
        // A closed pipe would break whatever the emulator still prints.
        let _ = std::io::copy(&mut stdout, &mut std::io::sink());
    });
    receiver.recv_timeout(START_LIMIT).ok()
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
