//! The instance metadata service of one node.

use std::fmt::{self, Debug};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::Error;

/// Gives the value of a tag of the instance.
pub type Tags = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

const TOKEN: &str = "of-this-node";
const LIMIT: Duration = Duration::from_secs(3);

/// Version 2 of the service, as far as `pilothouse-start` asks: a token, the instance's id and address, and its tags.
pub(crate) struct Imds {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Imds {
    pub(crate) fn start(address: Ipv4Addr, instance_id: &str, tags: Tags) -> Result<Self, Error> {
        let failed = || format!("serve the instance metadata at {address}");
        let socket = TcpListener::bind((address, 0)).map_err(Error::io(failed()))?;
        let listening = socket.local_addr().map_err(Error::io(failed()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let instance_id = instance_id.to_owned();
        let thread = thread::spawn(move || {
            for stream in socket.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let _ = stream.and_then(|stream| serve(&stream, |path| find(path, address, &instance_id, &tags)));
            }
        });
        Ok(Self { address: listening, stop, thread: Some(thread) })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Imds {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that waits in accept; if it cannot be woken, waiting for it would never end.
        if TcpStream::connect(self.address).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

impl Debug for Imds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Imds").field(&self.address).finish()
    }
}

fn find(path: &str, address: Ipv4Addr, instance_id: &str, tags: &Tags) -> Option<String> {
    match path {
        "instance-id" => Some(instance_id.to_owned()),
        "local-ipv4" => Some(address.to_string()),
        _ => tags(path.strip_prefix("tags/instance/")?),
    }
}

/// Answers one request: 401 without the token, 404 for what there isn't.
fn serve(stream: &TcpStream, find: impl Fn(&str) -> Option<String>) -> io::Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut token = None;
    for line in lines {
        let line = line?;
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("x-aws-ec2-metadata-token") => {
                token = Some(value.to_owned())
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut words = request.split(' ');
    let (status, body) = match (words.next(), words.next()) {
        (Some("PUT"), Some("/latest/api/token")) => ("200 OK", TOKEN.to_owned()),
        (Some("GET"), Some(_)) if token.as_deref() != Some(TOKEN) => ("401 Unauthorized", String::new()),
        (Some("GET"), Some(path)) => match path.strip_prefix("/latest/meta-data/").and_then(find) {
            Some(body) => ("200 OK", body),
            None => ("404 Not Found", String::new()),
        },
        _ => ("405 Method Not Allowed", String::new()),
    };
    let length = body.len();
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}
