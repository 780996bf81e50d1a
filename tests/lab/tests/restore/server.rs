//! A PostgreSQL server on a data directory that is there already, and a client that writes into it.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const LOOK: Duration = Duration::from_millis(50);
const LIMIT: u32 = 60_000 / 50;

/// PostgreSQL's programs: the newest that are installed.
pub(crate) fn binaries() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed (tests/prepare does that)");
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    versions.map(|version| version.unwrap().path()).max_by_key(number).unwrap().join("bin")
}

/// A command that runs as the user `postgres`, and gets SIGQUIT when this thread ends.
pub(crate) fn as_postgres(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=QUIT"]);
    command.arg(program.as_ref()).current_dir("/");
    command
}

/// Runs to its end. What it printed, or all that it said when it failed.
pub(crate) fn run(mut command: Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(format!("{}: {}\n{}", output.status, text(&output.stdout), text(&output.stderr))),
    }
}

/// It is ended without a chance to write, as by a loss of power to the machine, when this is dropped.
pub(crate) struct Server {
    child: Child,
    sockets: PathBuf,
    port: u16,
    log: PathBuf,
}

impl Server {
    /// Starts it and waits until it takes connections.
    ///
    /// # Errors
    /// Its log, where it ended instead.
    pub(crate) fn start(data: &Path, sockets: &Path, port: u16, settings: &[&str]) -> Result<Self, String> {
        let log = sockets.join(format!("log-{port}"));
        let mut command = as_postgres(binaries().join("postgres"));
        command.arg("-D").arg(data).arg("-k").arg(sockets).args(settings.iter().flat_map(|setting| ["-c", setting]));
        let output = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().unwrap();
        let mut server = Self { child, sockets: sockets.to_owned(), port, log };
        for _ in 0..LIMIT {
            if server.child.try_wait().unwrap().is_some() {
                return Err(server.log());
            }
            if server.sql("SELECT 1").is_ok() {
                return Ok(server);
            }
            thread::sleep(LOOK);
        }
        Err(server.log())
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The result: rows by line, columns by `|`.
    ///
    /// # Errors
    /// What psql said.
    pub(crate) fn sql(&self, statement: &str) -> Result<String, String> {
        let mut psql = self.psql();
        psql.args(["-v", "ON_ERROR_STOP=1", "-c", statement]);
        run(psql)
    }

    /// Waits until the statement gives this.
    pub(crate) fn wait(&self, statement: &str, wanted: impl Display) {
        let wanted = wanted.to_string();
        let mut seen = Ok(String::new());
        for _ in 0..LIMIT {
            seen = self.sql(statement);
            if seen.as_ref() == Ok(&wanted) {
                return;
            }
            thread::sleep(LOOK);
        }
        panic!("{statement}: {seen:?}, not {wanted}\n{}", self.log());
    }

    pub(crate) fn rows(&self) -> Vec<u64> {
        let rows = self.sql("SELECT n FROM numbered ORDER BY n").unwrap();
        rows.lines().map(|row| row.parse().unwrap()).collect()
    }

    fn psql(&self) -> Command {
        let mut psql = Command::new(binaries().join("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-U", "postgres", "-d", "postgres", "-h"]).arg(&self.sockets);
        psql.args(["-p", &self.port.to_string()]).current_dir("/");
        psql
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-QUIT", &self.child.id().to_string()]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

/// A client that writes numbered rows, each in a transaction of its own, and keeps the numbers of those that were acknowledged.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<u64>>>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Waits for the first rows.
    pub(crate) fn start(server: &Server) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let mut psql = server.psql();
        let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let thread = thread::spawn({
            let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
            move || {
                let mut statements = child.stdin.take().unwrap();
                let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
                for row in 1_u64.. {
                    // psql prints a result once the whole of it has come, the commit included.
                    let sent = writeln!(statements, "INSERT INTO numbered VALUES ({row}) RETURNING n;").is_ok();
                    let answer = answers.next().and_then(Result::ok);
                    if !sent || answer.is_none_or(|answer| answer != row.to_string()) {
                        break;
                    }
                    acknowledged.lock().unwrap().push(row);
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                }
                drop(statements);
                child.wait().unwrap();
            }
        });
        let load = Self { stop, acknowledged, thread: Some(thread) };
        load.advance(50);
        load
    }

    /// The rows that were acknowledged until now.
    pub(crate) fn acknowledged(&self) -> Vec<u64> {
        self.acknowledged.lock().unwrap().clone()
    }

    /// Waits for more rows.
    pub(crate) fn advance(&self, rows: usize) {
        let wanted = self.acknowledged().len() + rows;
        for _ in 0..LIMIT {
            if self.acknowledged().len() >= wanted {
                return;
            }
            thread::sleep(LOOK);
        }
        panic!("{} rows of {wanted} were acknowledged", self.acknowledged().len());
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
