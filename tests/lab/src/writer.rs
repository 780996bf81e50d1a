//! A client that writes numbered rows all the time, through whichever node is the leader.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Ipv4Addr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::patroni::POSTGRES_PORT;
use crate::wait::{now, until};
use crate::{Error, programs};

/// Between two rows, and between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(10);
/// What a row may take before the session is given up, and the row with it.
const ROW_LIMIT: Duration = Duration::from_secs(2);
const FIRST_LIMIT: Duration = Duration::from_secs(30);

/// A client that writes one row after the other, each in a transaction of its own, until it is stopped. When its session breaks, the
/// row in doubt is not written again: it is neither acknowledged nor lost.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What a [`Writer`] wrote.
#[derive(Debug, Clone)]
pub struct Written {
    /// The numbers of the rows whose commit the server has acknowledged, in order.
    pub acknowledged: Vec<u64>,
    /// The longest time between two acknowledgements, or from the last one to the end.
    pub longest_gap: Duration,
    /// Why sessions ended, after how long.
    pub interruptions: Vec<(Duration, String)>,
    nodes: Vec<Ipv4Addr>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    nodes: Vec<Ipv4Addr>,
    acknowledged: Vec<u64>,
    started: Instant,
    last: Instant,
    longest: Duration,
    longest_of_lap: Duration,
    interruptions: Vec<(Duration, String)>,
}

impl Writer {
    /// Makes the table on the leader among these nodes, and waits for the first row to be acknowledged.
    ///
    /// # Errors
    /// [`Error::Program`], [`Error::NotSeen`].
    pub fn start(nodes: &[Ipv4Addr]) -> Result<Self, Error> {
        let account = Account::find()?;
        account.run(psql(nodes, &["-c", "CREATE TABLE IF NOT EXISTS numbered (n bigint PRIMARY KEY)"])?)?;
        let now = now();
        let progress = Progress {
            nodes: nodes.to_vec(),
            acknowledged: Vec::new(),
            started: now,
            last: now,
            longest: Duration::ZERO,
            longest_of_lap: Duration::ZERO,
            interruptions: Vec::new(),
        };
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), progress: Mutex::new(progress) });
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || write(account, &shared)
        });
        let writer = Self { shared, thread: Some(thread) };
        until("the first row", FIRST_LIMIT, || {
            let progress = writer.shared.progress();
            Ok(if progress.acknowledged.is_empty() { Err(progress.interruptions.clone()) } else { Ok(()) })
        })?;
        writer.lap();
        Ok(writer)
    }

    /// It looks for the leader among this node, too, from its next session on.
    pub fn add(&self, node: Ipv4Addr) {
        self.shared.progress().nodes.push(node);
    }

    /// How many rows have been acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.shared.progress().acknowledged.len()
    }

    /// The longest time without an acknowledgement since this was last asked.
    #[must_use = "it begins anew"]
    pub fn gap(&self) -> Duration {
        self.lap()
    }

    fn lap(&self) -> Duration {
        let mut progress = self.shared.progress();
        let waiting = progress.last.elapsed();
        std::mem::take(&mut progress.longest_of_lap).max(waiting)
    }

    /// Ends it.
    #[must_use]
    pub fn stop(mut self) -> Written {
        self.end();
        let progress = self.shared.progress();
        Written {
            acknowledged: progress.acknowledged.clone(),
            longest_gap: progress.longest.max(progress.last.elapsed()),
            interruptions: progress.interruptions.clone(),
            nodes: progress.nodes.clone(),
        }
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Written {
    /// The acknowledged rows that are not on the leader as it is now.
    ///
    /// # Errors
    /// [`Error::Program`] where there is no leader.
    pub fn lost(&self) -> Result<Vec<u64>, Error> {
        let said = Account::find()?.run(psql(&self.nodes, &["-c", "SELECT n FROM numbered"])?)?;
        let there: std::collections::HashSet<u64> = said.lines().filter_map(|line| line.parse().ok()).collect();
        Ok(self.acknowledged.iter().copied().filter(|row| !there.contains(row)).collect())
    }
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    fn acknowledge(&mut self, row: u64) {
        let gap = self.last.elapsed();
        self.last = now();
        self.longest = self.longest.max(gap);
        self.longest_of_lap = self.longest_of_lap.max(gap);
        self.acknowledged.push(row);
    }
}

/// Writes, session after session.
fn write(account: Account, shared: &Shared) {
    let mut row = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        let nodes = shared.progress().nodes.clone();
        let why = match Session::open(account, &nodes) {
            Ok(mut session) => {
                while !shared.stop.load(Ordering::SeqCst) {
                    row += 1;
                    if !session.write(row) {
                        break;
                    }
                    shared.progress().acknowledge(row);
                    thread::sleep(PAUSE);
                }
                session.end()
            }
            Err(error) => error.to_string(),
        };
        if !shared.stop.load(Ordering::SeqCst) {
            let mut progress = shared.progress();
            let after = progress.started.elapsed();
            // It tries many times before there is a leader again.
            if progress.interruptions.last().is_none_or(|(_, last)| *last != why) {
                progress.interruptions.push((after, why));
            }
        }
        thread::sleep(PAUSE);
    }
}

/// A session of psql's, which finds the leader by itself.
struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Session {
    fn open(account: Account, nodes: &[Ipv4Addr]) -> Result<Self, Error> {
        let mut command = psql(nodes, &[])?;
        account.runs(&mut command);
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Error::io("start psql"))?;
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let stdin = child.stdin.take();
        Ok(Self { child, stdin, lines })
    }

    /// Whether the row was acknowledged. psql prints a result only once the whole of it has come, the commit included.
    fn write(&mut self, row: u64) -> bool {
        let statement = format!("INSERT INTO numbered VALUES ({row}) RETURNING n;\n");
        let sent = self.stdin.as_mut().is_some_and(|stdin| stdin.write_all(statement.as_bytes()).is_ok());
        sent && self.lines.recv_timeout(ROW_LIMIT).is_ok_and(|line| line == row.to_string())
    }

    /// Why it ended, or that it did not answer.
    fn end(mut self) -> String {
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.read_to_string(&mut said);
        }
        if said.is_empty() { "no answer in time".to_owned() } else { said.trim().to_owned() }
    }
}

fn psql(nodes: &[Ipv4Addr], arguments: &[&str]) -> Result<Command, Error> {
    let hosts: Vec<String> = nodes.iter().map(Ipv4Addr::to_string).collect();
    let mut psql = Command::new(programs::postgres()?.join("psql"));
    psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]).args(arguments).arg(format!(
        "host={} port={POSTGRES_PORT} user=postgres dbname=postgres connect_timeout=2 target_session_attrs=primary",
        hosts.join(",")
    ));
    Ok(psql)
}
