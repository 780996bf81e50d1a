//! A function's real program under Lambda's Runtime API.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::http::{Reply, send};
use crate::lines::Lines;
use crate::{Endpoints, Error};

/// More than any budget of a function.
const INVOKE_LIMIT: Duration = Duration::from_secs(75);
const LOOK: Duration = Duration::from_millis(20);
/// The only authority that a function trusts. There must be one.
const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/authority.pem");

/// How to start a function.
#[derive(Debug, Clone)]
pub struct Launch<'a> {
    /// The function's name, under which it is invoked.
    pub name: &'a str,
    /// Its program.
    pub binary: &'a Path,
    /// Where the emulator listens.
    pub endpoints: &'a Endpoints,
    /// Its environment variables, over those that Lambda and the tests set.
    pub env: &'a BTreeMap<String, String>,
    /// A file for its log, besides memory. It is made anew.
    pub log_file: Option<&'a Path>,
}

/// A running function: one instance, which takes one invocation after the other. It is killed when this is dropped.
#[derive(Debug)]
pub struct Function {
    name: String,
    lambda: String,
    child: Mutex<Child>,
    lines: Lines,
    unanswered: AtomicBool,
}

impl Function {
    /// Starts the program with Lambda's environment variables and credentials that only name it, and with nothing of this process's
    /// environment but `PATH`. Does not wait for its first poll: an invocation waits for it.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be started.
    pub fn start(launch: &Launch<'_>) -> Result<Self, Error> {
        let file = match launch.log_file {
            Some(path) => Some(File::create(path).map_err(Error::io(format!("write {}", path.display())))?),
            None => None,
        };
        let lines = Lines::copied_to(file);
        let mut child = Command::new(launch.binary)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(lambda_environment(launch))
            .envs(launch.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::io(format!("start {}", launch.binary.display())))?;
        if let Some(stdout) = child.stdout.take() {
            lines.follow(stdout);
        }
        if let Some(stderr) = child.stderr.take() {
            lines.follow(stderr);
        }
        Ok(Self {
            name: launch.name.to_owned(),
            lambda: launch.endpoints.lambda.clone(),
            child: Mutex::new(child),
            lines,
            unanswered: AtomicBool::new(false),
        })
    }

    /// Invokes it and waits for its answer.
    ///
    /// # Errors
    /// [`Error::Function`] when it answers with an error; [`Error::Exited`] when its process has ended or ends meanwhile;
    /// [`Error::NoAnswer`] after 75 s; [`Error::Http`] and [`Error::Status`] when the emulator fails.
    pub fn invoke(&self, payload: &Value) -> Result<Value, Error> {
        self.invoke_within(payload, INVOKE_LIMIT)
    }

    /// As [`Function::invoke`], with another limit.
    ///
    /// # Errors
    /// As [`Function::invoke`].
    pub fn invoke_within(&self, payload: &Value, limit: Duration) -> Result<Value, Error> {
        if let Some(status) = self.exited() {
            return Err(self.ended(status));
        }
        let url = format!("{}/2015-03-31/functions/{}/invocations", self.lambda, self.name);
        let (sender, receiver) = mpsc::channel();
        thread::spawn({
            let (url, payload) = (url.clone(), payload.clone());
            // The answer to a call that nobody waits for any more is of no use.
            move || sender.send(send("POST", &url, Some(&payload), limit + LOOK))
        });
        let mut waited = Duration::ZERO;
        loop {
            match receiver.recv_timeout(LOOK) {
                Ok(reply) => return answer(&self.name, &url, reply?),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Emulator("could not be asked".to_owned()));
                }
                Err(RecvTimeoutError::Timeout) => waited += LOOK,
            }
            let exited = self.exited();
            if exited.is_none() && waited < limit {
                continue;
            }
            self.unanswered.store(true, Ordering::SeqCst);
            return Err(match exited {
                Some(status) => self.ended(status),
                None => {
                    Error::NoAnswer { function: self.name.clone(), seconds: limit.as_secs(), log: self.lines.tail() }
                }
            });
        }
    }

    /// What it printed so far, on standard output and standard error.
    pub fn log_lines(&self) -> Vec<String> {
        self.lines.all()
    }

    /// Waits for a line of its log that `wanted` accepts. A line may come later than the answer of its invocation.
    pub fn wait_for_line(&self, wanted: impl Fn(&str) -> bool, limit: Duration) -> Option<String> {
        self.lines.wait_for(wanted, limit)
    }

    /// How it ended, if it has.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.child().try_wait().ok().flatten()
    }

    /// Waits for its end.
    pub fn wait_for_exit(&self, limit: Duration) -> Option<ExitStatus> {
        let mut waited = Duration::ZERO;
        loop {
            let exited = self.exited();
            if exited.is_some() || waited >= limit {
                return exited;
            }
            thread::sleep(LOOK);
            waited += LOOK;
        }
    }

    /// Ends it at once (SIGKILL), whatever it is doing.
    pub fn kill(&self) {
        let mut child = self.child();
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child().id()
    }

    fn ended(&self, status: ExitStatus) -> Error {
        Error::Exited { function: self.name.clone(), status: status.to_string(), log: self.lines.tail() }
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the invocations that nobody answered out of the emulator's queue: it would hand them to the next instance of
    /// this name, though their caller is gone.
    fn drain(&self) {
        let next = format!("{}/.rt/{}/2018-06-01/runtime/invocation/next", self.lambda, self.name);
        for _ in 0..100 {
            match send("GET", &next, None, Duration::from_millis(300)) {
                Ok(reply) if reply.status == 200 => {}
                _ => return,
            }
        }
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.kill();
        if self.unanswered.load(Ordering::SeqCst) {
            self.drain();
        }
    }
}

/// The program `name` beside this process's own executable, where Cargo puts both.
///
/// # Errors
/// [`Error::NotBuilt`].
pub fn binary(name: &str) -> Result<PathBuf, Error> {
    let own = std::env::current_exe().map_err(Error::io("find the test's own executable"))?;
    // A test is in target/<profile>/deps, a program in target/<profile>.
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or(Error::NotBuilt { name: name.to_owned(), near: own })
}

fn lambda_environment(launch: &Launch<'_>) -> BTreeMap<&'static str, String> {
    let text = str::to_owned;
    BTreeMap::from([
        // On Lambda it is `host:port`. lambda_runtime takes it as a URL, and one with a path needs its scheme.
        ("AWS_LAMBDA_RUNTIME_API", format!("{}/.rt/{}", launch.endpoints.lambda, launch.name)),
        ("AWS_LAMBDA_FUNCTION_NAME", text(launch.name)),
        ("AWS_LAMBDA_FUNCTION_VERSION", text("$LATEST")),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", text("512")),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", launch.name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", text("local")),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", text("on-demand")),
        ("AWS_ENDPOINT_URL", launch.endpoints.aws.clone()),
        ("AWS_REGION", text("us-east-1")),
        ("AWS_DEFAULT_REGION", text("us-east-1")),
        // Which function made a call, the emulator knows by this.
        ("AWS_ACCESS_KEY_ID", program(launch.binary)),
        ("AWS_SECRET_ACCESS_KEY", text("test")),
        // Whatever this machine's user has configured must not reach a test.
        ("AWS_CONFIG_FILE", text("/dev/null")),
        ("AWS_SHARED_CREDENTIALS_FILE", text("/dev/null")),
        ("AWS_EC2_METADATA_DISABLED", text("true")),
        // Nor whom it trusts. Nothing here speaks TLS to AWS, and a program without optimizations spends half of its first pass on
        // reading the authorities of a system.
        ("SSL_CERT_FILE", AUTHORITY.to_owned()),
        ("TZ", text(":UTC")),
    ])
}

/// The program's name: a gateway runs under the names of many functions, all with one role.
fn program(binary: &Path) -> String {
    binary.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Tells a function's own error from a failure of the emulator: both come as status 500.
fn answer(function: &str, url: &str, reply: Reply) -> Result<Value, Error> {
    let request = format!("POST {url}");
    let parsed = serde_json::from_str::<Value>(&reply.body);
    let field = |name| {
        let body = parsed.as_ref().ok()?;
        body.get(name)?.as_str().map(str::to_owned)
    };
    let error_type = field("errorType");
    let refused = reply.headers.contains_key("x-amz-function-error") || reply.status != 200;
    match (refused, error_type, parsed.as_ref()) {
        (false, _, Ok(value)) => Ok(value.clone()),
        (false, _, Err(error)) => {
            Err(Error::Http { request, problem: format!("the answer is no JSON ({error}): {}", reply.body) })
        }
        (true, Some(error_type), _) => Err(Error::Function {
            function: function.to_owned(),
            error_type,
            message: field("errorMessage").unwrap_or_default(),
        }),
        (true, None, _) => Err(Error::Status { request, status: reply.status, body: reply.body }),
    }
}
