//! PostgreSQL on the mounts of a node, as a node runs it: by an account of its own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Ends the server with whoever holds its standard input.
const HOLDER: &str = r#"
exec 3<&0
"$@" 3<&- &
server=$!
read -r _ <&3
kill -QUIT "$server"
wait "$server"
"#;

pub(crate) struct Server {
    holder: Child,
    stdin: Option<ChildStdin>,
    sockets: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) port: u16,
}

/// Rows of one session, one after the other.
pub(crate) struct Load {
    acknowledged: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("Debian's package postgresql").flatten();
    let newest = versions.filter_map(|version| version.file_name().to_str()?.parse::<u32>().ok()).max().unwrap();
    format!("/usr/lib/postgresql/{newest}/bin/{name}").into()
}

/// As `postgres`.
fn as_owner(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program).current_dir("/");
    command
}

fn run(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A folder of PostgreSQL's.
pub(crate) fn folder(path: PathBuf) -> PathBuf {
    fs::create_dir_all(&path).unwrap();
    run({
        let mut chown = Command::new("chown");
        chown.arg("postgres:postgres").arg(&path);
        chown
    });
    path
}

impl Server {
    /// Makes one with its data below `data` and its WAL below `wal`.
    pub(crate) fn start(data: &Path, wal: &Path, sockets: &Path) -> Self {
        let mut initdb = as_owner(&program("initdb"));
        let (data, wal) = (data.join("data"), wal.join("wal"));
        initdb.args(["--no-sync", "--auth=trust", "--locale=C", "--encoding=UTF8", "--wal-segsize=1"]);
        run({
            initdb.arg("-D").arg(&data).arg("-X").arg(&wal);
            initdb
        });
        // They listen on no port, only at sockets with its number.
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        Self::serve(data, sockets, port)
    }

    /// A copy of this one's data that follows it, on the same port of other sockets.
    pub(crate) fn standby(&self, data: &Path, sockets: &Path) -> Self {
        let mut copy = as_owner(&program("pg_basebackup"));
        copy.args(["--no-sync", "--checkpoint=fast", "--write-recovery-conf", "-h"]).arg(&self.sockets);
        copy.args(["-p", &self.port.to_string(), "-D"]).arg(data.join("data"));
        run(copy);
        Self::serve(data.join("data"), sockets, self.port)
    }

    fn serve(data: PathBuf, sockets: &Path, port: u16) -> Self {
        let sockets = folder(sockets.to_owned());
        let log = fs::File::create(sockets.join("log")).unwrap();
        let server = as_owner(&program("postgres"));
        let mut holder = Command::new("sh");
        holder.args(["-c", HOLDER, "holder"]).arg(server.get_program()).args(server.get_args());
        holder.arg("-D").arg(&data).args(["-p", &port.to_string(), "-k"]).arg(&sockets);
        holder.args(["-c", "listen_addresses=", "-c", "shared_buffers=16MB"]);
        holder.current_dir("/").stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut holder = holder.spawn().unwrap();
        let stdin = holder.stdin.take();
        let server = Self { holder, stdin, sockets, data, port };
        let ready = || server.log().contains("ready to accept");
        for _ in 0..600 {
            if ready() {
                return server;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("{}", server.log());
    }

    /// A clean stop, with its checkpoint.
    #[allow(dead_code, reason = "the survey's tests alone stop one")]
    pub(crate) fn stop(&self) {
        let mut stop = as_owner(&program("pg_ctl"));
        stop.args(["stop", "--wait", "--mode=fast", "-D"]).arg(&self.data);
        run(stop);
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.sockets.join("log")).unwrap()
    }

    fn psql(&self) -> Command {
        let mut psql = as_owner(&program("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-h"]).arg(&self.sockets);
        psql.args(["-p", &self.port.to_string()]);
        psql
    }

    pub(crate) fn sql(&self, statement: &str) -> String {
        let mut psql = self.psql();
        psql.args(["-c", statement]);
        run(psql)
    }

    /// Writes until this is dropped.
    pub(crate) fn load(&self) -> Load {
        self.sql("CREATE TABLE IF NOT EXISTS numbered (n int)");
        let mut psql = self.psql().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (acknowledged, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (rows, over) = (Arc::clone(&acknowledged), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut lines = BufReader::new(psql.stdout.take().unwrap()).lines();
            let mut stdin = psql.stdin.take().unwrap();
            while !over.load(Ordering::SeqCst) {
                stdin.write_all(b"INSERT INTO numbered VALUES (1) RETURNING n;\n").unwrap();
                assert_eq!(lines.next().unwrap().unwrap(), "1");
                rows.fetch_add(1, Ordering::SeqCst);
            }
            drop(stdin);
            psql.wait().unwrap();
        });
        Load { acknowledged, stop, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.holder.wait();
    }
}

impl Load {
    pub(crate) fn rows(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Waits for more rows.
    pub(crate) fn goes_on(&self) {
        let before = self.rows();
        for _ in 0..600 {
            if self.rows() > before + 1 {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the writer hangs at row {before}");
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
