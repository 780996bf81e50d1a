//! A node's Patroni, by its REST API.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{Answer, ask, send};
use crate::{Error, etcd, programs};

/// Where it answers.
pub(crate) const PORT: u16 = 8008;
/// Where the PostgreSQL that it looks after answers.
pub(crate) const POSTGRES_PORT: u16 = 5432;
const LIMIT: Duration = Duration::from_secs(5);
/// Patroni looks for the outcome for `2 * max(10, loop_wait)` seconds before it answers (`poll_failover_result` of its api.py).
const SWITCHOVER_LIMIT: Duration = Duration::from_secs(45);

/// Which Patroni a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Debian's package; 3.0 in Debian 12.
    Debian,
    /// The Python package that `tests/requirements.txt` pins; 4.1.
    Current,
}

impl Flavour {
    /// What it says that it is, such as `patroni 4.1.5`.
    ///
    /// # Errors
    /// [`Error::NoProgram`].
    pub fn version(self) -> Result<String, Error> {
        let said = Command::new(self.program()?).arg("--version").output().map_err(Error::io("start patroni"))?;
        Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
    }

    fn program(self) -> Result<PathBuf, Error> {
        match self {
            Self::Debian => programs::patroni(),
            Self::Current => programs::current_patroni(),
        }
    }
}

/// A member as Patroni lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatroniMember {
    /// Its name.
    pub name: String,
    /// Where its PostgreSQL is.
    pub host: String,
    /// `leader`, `replica`, ...
    pub role: String,
    /// `running`, `streaming` (replicas that do, from Patroni 3.1 on), ...
    pub state: String,
    /// The timeline that it follows, where it is known.
    pub timeline: Option<u64>,
}

/// The Patroni of one node.
#[derive(Debug, Clone, Copy)]
pub struct Patroni(Ipv4Addr);

impl Patroni {
    pub(crate) fn at(address: Ipv4Addr) -> Self {
        Self(address)
    }

    /// The members as this one sees them.
    ///
    /// # Errors
    /// [`Error::Http`], [`Error::Refused`].
    pub fn members(&self) -> Result<Vec<PatroniMember>, Error> {
        let told = ask("GET", &self.url("cluster"), None, LIMIT)?;
        let members = told.get("members").and_then(Value::as_array);
        Ok(members.into_iter().flatten().map(member).collect())
    }

    /// What this node says of itself.
    ///
    /// # Errors
    /// [`Error::Http`], [`Error::Refused`].
    pub fn node(&self) -> Result<Value, Error> {
        ask("GET", &self.url("patroni"), None, LIMIT)
    }

    /// Changes the cluster's dynamic configuration.
    ///
    /// # Errors
    /// [`Error::Http`], [`Error::Refused`].
    pub fn configure(&self, change: &Value) -> Result<(), Error> {
        ask("PATCH", &self.url("config"), Some(change), LIMIT).map(drop)
    }

    /// Asks for a switchover, and waits for what Patroni says of it.
    ///
    /// # Errors
    /// [`Error::Http`].
    pub fn switchover(&self, leader: &str, candidate: &str) -> Result<Answer, Error> {
        let body = json!({"leader": leader, "candidate": candidate});
        send("POST", &self.url("switchover"), Some(&body), SWITCHOVER_LIMIT)
    }

    fn url(&self, route: &str) -> String {
        format!("http://{}:{PORT}/{route}", self.0)
    }
}

fn member(told: &Value) -> PatroniMember {
    let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    PatroniMember {
        name: text("name"),
        host: text("host"),
        role: text("role"),
        state: text("state"),
        timeline: told.get("timeline").and_then(Value::as_u64),
    }
}

/// What one node's Patroni is told.
pub(crate) struct Config<'a> {
    pub(crate) scope: &'a str,
    pub(crate) name: &'a str,
    pub(crate) address: Ipv4Addr,
    /// The etcds that it may ask.
    pub(crate) etcds: &'a [Ipv4Addr],
    /// The node's folder.
    pub(crate) node: &'a Path,
}

impl Config<'_> {
    /// The configuration. It is JSON, so it is YAML.
    pub(crate) fn text(&self) -> Result<String, Error> {
        let api = format!("{}:{PORT}", self.address);
        let postgres = format!("{}:{POSTGRES_PORT}", self.address);
        let etcds: Vec<String> = self.etcds.iter().map(|etcd| format!("{etcd}:{}", etcd::CLIENT_PORT)).collect();
        let config = json!({
            "scope": self.scope,
            "name": self.name,
            "restapi": {"listen": api, "connect_address": api},
            "etcd3": {"hosts": etcds},
            "bootstrap": {
                // The least that Patroni takes: loop_wait + 2 * retry_timeout may be ttl at most, and that 20 at least.
                "dcs": {
                    "ttl": 20,
                    "loop_wait": 2,
                    "retry_timeout": 3,
                    "postgresql": {"use_pg_rewind": true, "use_slots": true},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums", "no-sync"],
            },
            "postgresql": {
                "listen": postgres,
                "connect_address": postgres,
                "data_dir": data(self.node),
                "bin_dir": programs::postgres()?,
                "pgpass": self.node.join("pgpass"),
                "authentication": {"superuser": {"username": "postgres"}, "replication": {"username": "replicator"}},
                "basebackup": [{"checkpoint": "fast"}, "no-sync"],
                "parameters": {
                    "unix_socket_directories": self.node,
                    // Nodes lose their processes here, not what the kernel has taken from them.
                    "fsync": "off",
                    "shared_buffers": "16MB",
                    "max_connections": 30,
                    "max_wal_senders": 8,
                    "wal_keep_size": "256MB",
                },
                "pg_hba": ["local all all trust", "host all all 10.0.0.0/8 trust", "host replication all 10.0.0.0/8 trust"],
            },
        });
        Ok(config.to_string())
    }
}

/// The script by which a node's systemctl starts it.
pub(crate) fn unit(flavour: Flavour, node: &Path, run_as: &str) -> Result<String, Error> {
    let (program, node) = (flavour.program()?, node.display());
    Ok(format!(
        "#!/bin/sh\nexec env -i HOME='{node}' PATH=/usr/bin:/bin LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
         {run_as}'{}' '{node}/patroni.yml'\n",
        program.display()
    ))
}

pub(crate) fn data(node: &Path) -> PathBuf {
    node.join("postgres")
}
