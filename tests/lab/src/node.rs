//! A database node: an instance with etcd, Patroni and PostgreSQL, which start when they are granted to.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use stack::LocalAddress;

use crate::account::Account;
use crate::folder::Folder;
use crate::imds::{Imds, Tags};
use crate::patroni::{self, Flavour, POSTGRES_PORT, Patroni};
use crate::{Error, Etcd, etcd, programs};

/// The tag by which a start is granted.
pub const START_TAG: &str = "pilothouse:start";

/// Ends the node with whoever holds the other end of its standard input, however that ends, and leaves nothing of it.
const KEEPER: &str = r#"read -r _; "$1/bin/power-off"; rm -rf "$1"; ip address del "$2/32" dev lo"#;

/// How a node is to be.
#[derive(Debug, Clone)]
pub struct NodeSetup {
    /// Which Patroni it runs.
    pub flavour: Flavour,
    /// Patroni's name of the cluster.
    pub scope: String,
    /// Its address is one of `10.<net>.0.0/16`.
    pub net: u8,
    /// The nodes there are, whose etcd it asks when it joins.
    pub peers: Vec<Ipv4Addr>,
}

/// An instance of this machine. Nothing runs until [`Node::boot`], and nothing but `pilothouse-start` until it is granted. All of it
/// ends, and its folder and address go, when this is dropped.
#[derive(Debug)]
pub struct Node {
    // Dropped in this order: what runs ends before its folder and its address go.
    _keeper: Keeper,
    _imds: Imds,
    name: String,
    instance_id: String,
    tags: Arc<Mutex<BTreeMap<String, String>>>,
    account: Account,
    folder: Folder,
    address: LocalAddress,
}

#[derive(Debug)]
struct Keeper {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Node {
    /// Makes one, and starts nothing.
    ///
    /// # Errors
    /// [`Error::NoAddress`] where we may not add addresses; [`Error::NoProgram`], [`Error::NoPostgres`], [`Error::NoAccount`].
    pub fn new(setup: &NodeSetup) -> Result<Self, Error> {
        let tags: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
        let of_its_own = Arc::clone(&tags);
        let mut node = Self::with_tags(setup, |_| {
            Arc::new(move |name| of_its_own.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned())
        })?;
        node.tags = tags;
        Ok(node)
    }

    /// As [`Node::new`], with an instance whose tags somebody else has: `tags_of` is given its id.
    ///
    /// # Errors
    /// As [`Node::new`].
    pub fn with_tags(setup: &NodeSetup, tags_of: impl FnOnce(&str) -> Tags) -> Result<Self, Error> {
        let account = Account::find()?;
        let address = LocalAddress::in_net(setup.net)?;
        let ip = address.ip();
        let folder = Folder::new(account)?;
        let [_, _, third, fourth] = ip.octets();
        let name = format!("pg-{third}-{fourth}");
        let instance_id = format!("i-{:017x}", ip.to_bits());
        lay_out(&folder, account, setup, ip, &name)?;

        let imds = Imds::start(ip, &instance_id, tags_of(&instance_id))?;
        write_start(folder.path(), &imds, &setup.peers)?;
        let keeper = Keeper::start(folder.path(), ip)?;
        Ok(Self { _keeper: keeper, _imds: imds, name, instance_id, tags: Arc::default(), account, folder, address })
    }

    /// Starts what a real node starts at boot: `pilothouse-start`.
    ///
    /// # Errors
    /// [`Error::Program`].
    pub fn boot(&self) -> Result<(), Error> {
        let _ = fs::remove_file(self.folder.path().join("log/pilothouse-start"));
        self.systemctl(&["start", "pilothouse-start"]).map(drop)
    }

    /// Gives the instance a tag; of a node that has its tags of its own.
    pub fn tag(&self, name: &str, value: &str) {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), value.to_owned());
    }

    /// Ends all of its processes at once, as when the instance ends. It can be booted again.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn power_off(&self) -> Result<(), Error> {
        let script = self.folder.path().join("bin/power-off");
        Command::new(script).output().map(drop).map_err(Error::io("power a node off"))
    }

    /// The node's own systemctl; gives what it prints.
    ///
    /// # Errors
    /// [`Error::Program`] with what it prints, unless it succeeds.
    pub fn systemctl(&self, arguments: &[&str]) -> Result<String, Error> {
        let script = self.folder.path().join("bin/systemctl");
        let output = Command::new(script).args(arguments).output().map_err(Error::io("start systemctl"))?;
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).trim().to_owned()).concat();
        if output.status.success() { Ok(said) } else { Err(Error::Program { program: "systemctl".to_owned(), said }) }
    }

    /// Runs a script in the node's folder, with its [`Node::environment`], as a command by SSM would.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn run(&self, script: &str) -> Result<Output, Error> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).current_dir(self.folder()).env_clear().envs(self.environment());
        command.output().map_err(Error::io("start sh"))
    }

    /// The names of the processes that run in its folder, which are all those of the node.
    #[must_use]
    pub fn processes(&self) -> Vec<String> {
        let processes = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
        let here =
            |process: &PathBuf| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(self.folder()));
        let name = |process: PathBuf| fs::read_to_string(process.join("comm")).ok();
        processes.filter(here).filter_map(name).map(|name| name.trim().to_owned()).collect()
    }

    /// What a command on this node has for its environment: a PATH with its own systemctl first, and where its data is.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        let folder = self.folder.path();
        BTreeMap::from([
            ("PATH".to_owned(), format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", folder.join("bin").display())),
            ("PGDATA".to_owned(), patroni::data(folder).display().to_string()),
        ])
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its private address.
    #[must_use]
    pub fn ip(&self) -> Ipv4Addr {
        self.address.ip()
    }

    /// The instance's id.
    #[must_use]
    pub fn instance_id(&self) -> &str {
        &self.instance_id
    }

    /// Its name in Patroni.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its etcd.
    #[must_use]
    pub fn etcd(&self) -> Etcd {
        Etcd::at(self.ip())
    }

    /// Its Patroni.
    #[must_use]
    pub fn patroni(&self) -> Patroni {
        Patroni::at(self.ip())
    }

    /// What a unit printed so far: `etcd`, `patroni`, or since it booted, `pilothouse-start`.
    #[must_use]
    pub fn log(&self, unit: &str) -> String {
        fs::read_to_string(self.folder.path().join("log").join(unit)).unwrap_or_default()
    }

    /// The last lines of all that it logs.
    #[must_use]
    pub fn last_words(&self) -> String {
        let tail = |unit: &str| {
            let log = self.log(unit);
            let lines: Vec<&str> = log.lines().rev().take(15).collect();
            format!("{} of {}:\n{}\n", unit, self.name, lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
        };
        ["pilothouse-start", "etcd", "patroni"].iter().map(|unit| tail(unit)).collect()
    }

    /// Does a statement as the superuser, and gives its result: rows by line, columns by `|`.
    ///
    /// # Errors
    /// [`Error::Program`] with what the server said.
    pub fn sql(&self, statement: &str) -> Result<String, Error> {
        let mut psql = Command::new(programs::postgres()?.join("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement]);
        psql.arg(format!("host={} port={POSTGRES_PORT} user=postgres dbname=postgres connect_timeout=3", self.ip()));
        self.account.run(psql)
    }
}

impl Keeper {
    fn start(node: &Path, address: Ipv4Addr) -> Result<Self, Error> {
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "keeper"]).arg(node).arg(address.to_string()).current_dir("/");
        // What ends our whole process group must leave it the time to end the node.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(Error::io("start sh"))?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// What the image has on it.
fn lay_out(folder: &Folder, account: Account, setup: &NodeSetup, ip: Ipv4Addr, name: &str) -> Result<(), Error> {
    let node = folder.path();
    for room in ["bin", "units", "run", "log", "state"] {
        make(&node.join(room))?;
    }
    let data = etcd::data(node);
    make(&data)?;
    account.owns(&data)?;
    executable(&node.join("bin/systemctl"), include_str!("node/systemctl"))?;
    executable(&node.join("bin/unit"), include_str!("node/unit"))?;
    executable(&node.join("bin/power-off"), include_str!("node/power-off"))?;
    executable(&node.join("bin/pgrep"), include_str!("node/pgrep"))?;
    executable(&node.join("units/etcd"), &etcd::unit(ip, &setup.scope, node, &account.prefix())?)?;
    executable(&node.join("units/patroni"), &patroni::unit(setup.flavour, node, &account.prefix())?)?;
    let etcds: Vec<Ipv4Addr> = [ip].into_iter().chain(setup.peers.iter().copied()).collect();
    let config = patroni::Config { scope: &setup.scope, name, address: ip, etcds: &etcds, node };
    folder.write("patroni.yml", &config.text()?)?;
    Ok(())
}

/// The unit that waits for the grant: the script of a real node.
fn write_start(node: &Path, imds: &Imds, peers: &[Ipv4Addr]) -> Result<(), Error> {
    let (program, data) = (programs::pilothouse_start()?, etcd::data(node));
    let (program, data, node_shown, imds) = (program.display(), data.display(), node.display(), imds.url());
    let peers: Vec<String> = peers.iter().map(|peer| Etcd::at(*peer).client_url()).collect();
    let peers = peers.join(",");
    let script = format!(
        "#!/bin/sh\nexec env -i PATH='{node_shown}/bin:/usr/sbin:/usr/bin:/sbin:/bin' PILOTHOUSE_IMDS={imds} \
         PILOTHOUSE_STATE='{node_shown}/state' PILOTHOUSE_PAUSE=0.2 PILOTHOUSE_ETCD_DATA_DIR='{data}' \
         PILOTHOUSE_ETCD_PEERS='{peers}' '{program}'\n"
    );
    executable(&node.join("units/pilothouse-start"), &script)
}

fn make(path: &Path) -> Result<(), Error> {
    fs::create_dir(path).map_err(Error::io(format!("make {}", path.display())))
}

pub(crate) fn executable(path: &PathBuf, text: &str) -> Result<(), Error> {
    let failed = || format!("write {}", path.display());
    fs::write(path, text).map_err(Error::io(failed()))?;
    fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(Error::io(failed()))
}
