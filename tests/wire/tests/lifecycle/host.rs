//! A host of the scripted cluster, and HTTP as far as it is needed to answer there.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use stack::LocalAddress;

use crate::cluster::{Reply, Script, lock};

pub(crate) const PATRONI: u16 = 8008;
pub(crate) const ETCD: u16 = 2379;
/// How often a host looks whether it runs.
pub(crate) const LOOK: Duration = Duration::from_millis(3);

/// A host: an address of this machine with a folder, and a server each for Patroni and etcd while they run.
pub(crate) struct Host {
    pub(crate) address: LocalAddress,
    /// Where its scripts run, with its `systemctl` and `pgrep`.
    pub(crate) folder: PathBuf,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What `systemctl` and `pgrep` of a host do.
const SYSTEMCTL: &str = "#!/bin/sh\ncase \"$1\" in\nstop) touch stopped;;\nis-active) if [ -e stopped ]; then echo inactive; exit 3; fi; echo active;;\nesac\n";
const PGREP: &str = "#!/bin/sh\n[ ! -e stopped ]\n";

impl Host {
    pub(crate) fn new(address: LocalAddress, number: usize, script: &Arc<Mutex<Script>>) -> Self {
        let folder = std::env::temp_dir().join(format!("pilothouse-wire-{}-{number}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        for (name, text) in [("systemctl", SYSTEMCTL), ("pgrep", PGREP)] {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let (stop, ip) = (Arc::new(AtomicBool::new(false)), address.ip());
        let stopped = folder.join("stopped");
        let patroni = {
            let (script, asked, stop) = (Arc::clone(script), Arc::clone(script), Arc::clone(&stop));
            let runs = move || {
                let mut script = lock(&script);
                if stopped.exists() && script.members.contains_key(&ip) {
                    // A clean stop gives the lock back, and the member with it.
                    script.members.remove(&ip);
                    script.leader = script.leader.filter(|leader| *leader != ip);
                }
                script.up.contains(&ip) && !stopped.exists()
            };
            thread::spawn(move || serve(ip, PATRONI, &stop, runs, |request| lock(&asked).patroni(ip, request)))
        };
        let etcd = {
            let (script, asked, stop) = (Arc::clone(script), Arc::clone(script), Arc::clone(&stop));
            let runs = move || {
                let script = lock(&script);
                script.up.contains(&ip) && script.voter(ip).is_some_and(|voter| !voter.name.is_empty())
            };
            thread::spawn(move || serve(ip, ETCD, &stop, runs, |request| lock(&asked).etcd(ip, request)))
        };
        Self { address, folder, stop, threads: vec![patroni, etcd] }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A request over HTTP.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authorization: String,
    pub(crate) body: String,
}

/// Listens whenever it runs.
fn serve(ip: Ipv4Addr, port: u16, stop: &AtomicBool, runs: impl Fn() -> bool, answer: impl Fn(&Request) -> Reply) {
    let mut listener: Option<TcpListener> = None;
    while !stop.load(Ordering::SeqCst) {
        if !runs() {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind((ip, port)).ok().filter(|bound| bound.set_nonblocking(true).is_ok());
        }
        match listener.as_ref().map(TcpListener::accept) {
            Some(Ok((stream, _))) => drop(converse(stream, &answer)),
            Some(Err(error)) if error.kind() != ErrorKind::WouldBlock => listener = None,
            _ => thread::sleep(LOOK),
        }
    }
}

fn converse(mut stream: TcpStream, answer: &impl Fn(&Request) -> Reply) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let request = loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&buffer[..read]);
        if let Some(request) = whole(&String::from_utf8_lossy(&bytes)) {
            break request;
        }
    };
    let (status, body) = answer(&request);
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// The request, once all of it has come.
fn whole(text: &str) -> Option<Request> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let field = |name: &str| {
        let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    };
    let length = field("content-length").map_or(0, |text| text.parse().unwrap());
    if body.len() < length {
        return None;
    }
    let mut first = head.lines().next()?.split(' ');
    Some(Request {
        method: first.next()?.to_owned(),
        path: first.next()?.to_owned(),
        authorization: field("authorization").unwrap_or_default(),
        body: body.to_owned(),
    })
}
