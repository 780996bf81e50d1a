//! Programs that an operator would run: `cargo lambda invoke` and `infra/status`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use stack::{Endpoints, Function};

use crate::failure::Failure;

const LOOK: Duration = Duration::from_millis(10);
/// More than an invocation can take: a function has 60 s.
const LIMIT: Duration = Duration::from_secs(75);

/// Runs them against the emulated Lambda.
#[derive(Debug)]
pub(crate) struct Cli {
    repository: PathBuf,
    venv: PathBuf,
    url: String,
}

impl Cli {
    /// For the emulator that listens there.
    pub(crate) fn new(endpoints: &Endpoints) -> Self {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let venv = std::env::var_os("PILOTHOUSE_VENV").map_or_else(|| repository.join(".venv"), PathBuf::from);
        Self { repository, venv, url: endpoints.lambda.clone() }
    }

    /// `cargo lambda invoke <function> --data-ascii <payload>`; the answer.
    pub(crate) fn invoke(&self, name: &str, function: &Function, payload: &Value) -> Result<Value, Failure> {
        let program = format!("cargo lambda invoke {name}");
        let port = self.url.rsplit(':').next().unwrap_or_default();
        let mut command = Command::new(self.venv.join("bin/cargo-lambda"));
        command.args(["lambda", "invoke", "--invoke-address", "127.0.0.1", "--invoke-port", port]);
        command.args([name, "--data-ascii", &payload.to_string()]);
        let said = run(&program, command, || {
            // Its caller would wait for its next poll, which never comes.
            function
                .exited()
                .map(|status| format!("the function ended ({status}):\n{}", function.log_lines().join("\n")))
        })?;
        serde_json::from_str(&said)
            .map_err(|error| Failure::Program { program, problem: format!("no JSON ({error}): {said}") })
    }

    /// `infra/status <cluster>`, as `make status CLUSTER=<cluster>` runs it; what it prints.
    pub(crate) fn status(&self, cluster: &str) -> Result<String, Failure> {
        let mut command = Command::new(self.repository.join("infra/status"));
        command.args([cluster, &self.url]).env("PILOTHOUSE_VENV", &self.venv);
        run("infra/status", command, || None)
    }
}

/// Runs a program to its end, with credentials of no worth and none of this machine's; its standard output.
fn run(program: &str, mut command: Command, lost: impl Fn() -> Option<String>) -> Result<String, Failure> {
    let failed = |problem: String| Failure::Program { program: program.to_owned(), problem };
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command.envs([
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(format!("cannot be started: {error}")))?;
    let (out, err) = (follow(child.stdout.take()), follow(child.stderr.take()));
    let mut waited = Duration::ZERO;
    let said = loop {
        match out.recv_timeout(LOOK) {
            Ok(text) => break text,
            Err(RecvTimeoutError::Disconnected) => break String::new(),
            Err(RecvTimeoutError::Timeout) => waited += LOOK,
        }
        let problem = lost().or_else(|| (waited >= LIMIT).then(|| format!("no answer in {} s", LIMIT.as_secs())));
        if let Some(problem) = problem {
            end(&mut child);
            return Err(failed(problem));
        }
    };
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    if status.success() {
        return Ok(said);
    }
    let complaint = err.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
    // cargo-lambda closes with an invitation to its own forum.
    let complaint = complaint.split("Was this behavior unexpected?").next().unwrap_or_default().trim();
    Err(failed(format!("{status}: {complaint} {said}")))
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// A stream's whole text, once it ends.
fn follow(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.read_to_end(&mut bytes);
        }
        // Nobody waits any more where the program was given up.
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}
