//! A PostgreSQL server.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::account::Account;
use crate::folder::Folder;
use crate::process::Process;
use crate::{Error, Identity, programs};

const READY: &str = "ready to accept";
const PORT_TAKEN: &str = "could not create any TCP/IP sockets";

/// How a server is to be.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where it listens. Another address than 127.0.0.1 must exist (`stack::LocalAddress`).
    pub address: Ipv4Addr,
    /// On which port; 0: one that is free.
    pub port: u16,
    /// Lines of `pg_hba.conf`, after those by which the lab itself gets in (the socket, and replication).
    pub hba: Vec<String>,
    /// Settings of `postgresql.conf`, name and value, over those of the lab.
    pub settings: Vec<(&'static str, String)>,
    /// Its certificate. Without one it has no TLS.
    pub tls: Option<Identity>,
    /// The authority of its clients' certificates, PEM.
    pub client_authority: Option<String>,
    /// The line of its log by which it counts as started.
    pub ready: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST,
            port: 0,
            hba: Vec::new(),
            settings: Vec::new(),
            tls: None,
            client_authority: None,
            ready: READY,
        }
    }
}

/// A running server with data of its own. It is ended, and its data removed, when this is dropped.
#[derive(Debug)]
pub struct Postgres {
    // Dropped in this order: the server ends before its folder goes.
    _process: Process,
    address: SocketAddr,
    binaries: PathBuf,
    account: Account,
    folder: Folder,
}

/// An open session, which uses up a connection until it is dropped.
#[derive(Debug)]
pub struct Session(Child);

impl Postgres {
    /// Makes a cluster of databases and starts a server for it.
    ///
    /// # Errors
    /// [`Error::NoPostgres`], [`Error::NoAccount`]; [`Error::NotReady`] with its log.
    pub fn start(setup: &Setup) -> Result<Self, Error> {
        let (binaries, account) = (programs::postgres()?, Account::find()?);
        let folder = Folder::new(account)?;
        let mut initdb = Command::new(binaries.join("initdb"));
        initdb.args(["--no-sync", "--no-instructions", "--auth=trust", "--locale=C", "--encoding=UTF8"]);
        initdb.args(["--username=postgres", "-D"]).arg(data(&folder));
        account.run(initdb)?;
        Self::serve(binaries, account, folder, setup)
    }

    /// Makes a copy of this server's data, and starts a server for it that follows this one.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub fn standby(&self, setup: &Setup) -> Result<Self, Error> {
        let folder = Folder::new(self.account)?;
        let mut copy = Command::new(self.binaries.join("pg_basebackup"));
        copy.args(["--no-sync", "--checkpoint=fast", "--write-recovery-conf", "--wal-method=stream"]);
        copy.args([
            "-U",
            "postgres",
            "-h",
            &self.address.ip().to_string(),
            "-p",
            &self.address.port().to_string(),
            "-D",
        ]);
        copy.arg(data(&folder));
        self.account.run(copy)?;
        Self::serve(self.binaries.clone(), self.account, folder, setup)
    }

    fn serve(binaries: PathBuf, account: Account, folder: Folder, setup: &Setup) -> Result<Self, Error> {
        let log = folder.path().join("log");
        let (program, data) = (binaries.join("postgres"), data(&folder));
        let server = [&program, Path::new("-D"), &data];
        let mut last = None;
        // A port that is free now may be taken by another test in the next moment.
        for _ in 0..5 {
            let free = TcpListener::bind((setup.address, setup.port)).and_then(|socket| socket.local_addr());
            let address = free.map_err(Error::io(format!("find a free port of {}", setup.address)))?;
            configure(&folder, setup, address)?;
            let mut process = Process::start(account, &server, &log)?;
            match process.wait_for(setup.ready, &log) {
                Ok(()) => return Ok(Self { _process: process, address, binaries, account, folder }),
                Err(Error::NotReady { log, wanted }) if log.contains(PORT_TAKEN) => {
                    last = Some(Error::NotReady { wanted, log });
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or(Error::NoPostgres))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Does a statement as the superuser, over the server's socket, and gives its result: rows by line, columns by `|`.
    ///
    /// # Errors
    /// [`Error::Program`] with what the server said.
    pub fn sql(&self, statement: &str) -> Result<String, Error> {
        let mut psql = self.psql("postgres");
        psql.args(["-v", "ON_ERROR_STOP=1", "-c", statement]);
        self.account.run(psql)
    }

    /// Opens a session as `role` over the server's socket, and leaves it open.
    ///
    /// # Errors
    /// [`Error::Program`] when it is not let in.
    pub fn session(&self, role: &str) -> Result<Session, Error> {
        let mut psql = self.psql(role);
        self.account.runs(&mut psql);
        let child = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(Error::io("start psql"))?;
        let mut session = Session(child);
        let mut line = String::new();
        if let (Some(stdin), Some(stdout)) = (session.0.stdin.as_mut(), session.0.stdout.take()) {
            stdin.write_all(b"SELECT 'open';\n").map_err(Error::io("speak to psql"))?;
            BufReader::new(stdout).read_line(&mut line).map_err(Error::io("listen to psql"))?;
        }
        match line.trim() {
            "open" => Ok(session),
            other => Err(Error::Program { program: "psql".to_owned(), said: other.to_owned() }),
        }
    }

    fn psql(&self, role: &str) -> Command {
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.arg("-h").arg(self.folder.path()).args(["-p", &self.address.port().to_string()]);
        psql.current_dir("/").args(["-X", "-A", "-t", "-q", "-U", role, "-d", "postgres"]);
        psql
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn data(folder: &Folder) -> PathBuf {
    folder.path().join("data")
}

/// Writes the server's configuration whole: a copy of another server's data brings that one's with it.
fn configure(folder: &Folder, setup: &Setup, address: SocketAddr) -> Result<(), Error> {
    let mut settings: Vec<(&str, String)> = vec![
        ("listen_addresses", address.ip().to_string()),
        ("port", address.port().to_string()),
        ("unix_socket_directories", folder.path().display().to_string()),
        ("fsync", "off".to_owned()),
        ("shared_buffers", "16MB".to_owned()),
        ("max_connections", "20".to_owned()),
        ("log_connections", "on".to_owned()),
        ("log_disconnections", "on".to_owned()),
        ("hba_file", folder.path().join("hba").display().to_string()),
    ];
    if let Some(identity) = &setup.tls {
        let certificate = folder.write("server.crt", &identity.certificate)?;
        let key = folder.write("server.key", &identity.key)?;
        settings.push(("ssl", "on".to_owned()));
        settings.push(("ssl_cert_file", certificate.display().to_string()));
        settings.push(("ssl_key_file", key.display().to_string()));
    }
    if let Some(authority) = &setup.client_authority {
        settings.push(("ssl_ca_file", folder.write("clients.crt", authority)?.display().to_string()));
    }
    settings.extend(setup.settings.iter().cloned());
    let mut text = String::new();
    for (name, value) in settings {
        // The last of several lines of a setting counts.
        let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
    }
    folder.write("data/postgresql.conf", &text)?;
    let ours = ["local all all trust".to_owned(), format!("host replication postgres {}/32 trust", address.ip())];
    let lines: Vec<String> = ours.into_iter().chain(setup.hba.iter().cloned()).collect();
    folder.write("hba", &(lines.join("\n") + "\n"))?;
    Ok(())
}
