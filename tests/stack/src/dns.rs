//! A DNS server under the tests' control, which answers as a VPC's resolver does: whole chains of aliases, with the
//! negative answers' SOA.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::Error;

/// How often a thread that waits for a client looks whether the server is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// TTL of the SOA in negative answers, in seconds.
const NEGATIVE_TTL: u32 = 1;

/// What the server says of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Zone {
    /// The addresses of the kind that was asked for; NODATA where there is none of it.
    Addresses {
        /// IPv4 and IPv6 addresses, sent in this order.
        ips: Vec<IpAddr>,
        /// Seconds.
        ttl: u32,
    },
    /// An alias. The answer goes on with what the server says of its target.
    Alias {
        /// The target's name.
        to: String,
        /// Seconds.
        ttl: u32,
    },
    /// No such name. A name that was never set is answered so, too.
    NxDomain,
    /// The name exists without any address.
    NoData,
    /// Response code SERVFAIL.
    ServFail,
    /// Response code REFUSED.
    Refused,
    /// No reply at all.
    Silent,
    /// An empty answer marked as cut short over UDP; the addresses over TCP.
    Truncated {
        /// IPv4 and IPv6 addresses, sent in this order.
        ips: Vec<IpAddr>,
        /// Seconds.
        ttl: u32,
    },
}

impl Zone {
    /// Addresses written as text, in one line of a test. An address that is none is left out.
    pub fn addresses(ips: &[&str], ttl: u32) -> Self {
        Self::Addresses { ips: ips.iter().filter_map(|ip| ip.parse().ok()).collect(), ttl }
    }
}

/// A query that the server got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsQuery {
    /// In lower case, without the last dot.
    pub name: String,
    /// `A`, `AAAA`, ...
    pub record_type: String,
    /// Whether it came over TCP.
    pub over_tcp: bool,
}

/// The server: UDP and TCP on one free port of 127.0.0.1, in threads of its own, until it is dropped.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    zones: Mutex<HashMap<String, Zone>>,
    queries: Mutex<Vec<DnsQuery>>,
    stop: AtomicBool,
}

impl DnsServer {
    /// Starts a server that knows no name.
    ///
    /// # Errors
    /// [`Error::Io`] when no port can be had.
    pub fn start() -> Result<Self, Error> {
        let (udp, tcp) = bind().map_err(Error::io("bind the DNS server"))?;
        let address = udp.local_addr().map_err(Error::io("bind the DNS server"))?;
        udp.set_read_timeout(Some(LOOK)).map_err(Error::io("set up the DNS server"))?;
        let shared = Arc::new(Shared::default());
        let threads = vec![
            thread::spawn({
                let shared = Arc::clone(&shared);
                move || serve_udp(&udp, &shared)
            }),
            thread::spawn({
                let shared = Arc::clone(&shared);
                move || serve_tcp(&tcp, &shared)
            }),
        ];
        Ok(Self { address, shared, threads })
    }

    /// Where it listens, for `PILOTHOUSE_RESOLVERS`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says what the server answers for `name` from now on.
    pub fn set(&self, name: &str, zone: Zone) {
        lock(&self.shared.zones).insert(key(name), zone);
    }

    /// The queries so far, the oldest first.
    pub fn queries(&self) -> Vec<DnsQuery> {
        lock(&self.shared.queries).clone()
    }

    /// Forgets names and queries.
    pub fn reset(&self) {
        lock(&self.shared.zones).clear();
        lock(&self.shared.queries).clear();
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that waits in accept; if it cannot be woken, waiting for it would never end.
        if TcpStream::connect(self.address).is_ok() {
            for thread in self.threads.drain(..) {
                let _ = thread.join();
            }
        }
    }
}

/// One port for both: a resolver takes the same for UDP and TCP.
fn bind() -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..20 {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        match TcpListener::bind(udp.local_addr()?) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn serve_udp(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = [0; 4096];
    while !shared.stop.load(Ordering::SeqCst) {
        let Ok((length, client)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let Some(request) = buffer.get(..length) else {
            continue;
        };
        if let Some(reply) = reply_to(request, shared, false) {
            let _ = socket.send_to(&reply, client);
        }
    }
}

fn serve_tcp(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let _ = serve_client(stream, &shared);
        });
    }
}

/// One client's connection: each message is preceded by its length in two bytes (RFC 1035, 4.2.2).
fn serve_client(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(LOOK))?;
    loop {
        let mut length = [0; 2];
        read_whole(&mut stream, &mut length, shared)?;
        let mut request = vec![0; usize::from(u16::from_be_bytes(length))];
        read_whole(&mut stream, &mut request, shared)?;
        if let Some(reply) = reply_to(&request, shared, true) {
            let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
            stream.write_all(&length.to_be_bytes())?;
            stream.write_all(&reply)?;
        }
    }
}

/// Fills `buffer`, however many time-outs pass meanwhile.
fn read_whole(stream: &mut TcpStream, mut buffer: &mut [u8], shared: &Shared) -> io::Result<()> {
    while !buffer.is_empty() {
        if shared.stop.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => buffer = buffer.get_mut(read..).unwrap_or_default(),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn reply_to(request: &[u8], shared: &Shared, over_tcp: bool) -> Option<Vec<u8>> {
    let request = Message::from_vec(request).ok()?;
    let query = request.queries.first()?.clone();
    lock(&shared.queries).push(DnsQuery {
        name: key(&query.name().to_ascii()),
        record_type: query.query_type().to_string(),
        over_tcp,
    });
    // Under the lock: with thousands of names a copy for each query would be most of what a client waits for.
    let reply = answer(&request, &query, &lock(&shared.zones), over_tcp)?;
    reply.to_vec().ok()
}

/// The whole reply; `None` is silence. Pure.
fn answer(request: &Message, query: &Query, zones: &HashMap<String, Zone>, over_tcp: bool) -> Option<Message> {
    let mut reply = Message::response(request.metadata.id, request.metadata.op_code);
    reply.add_query(query.clone());
    reply.metadata.recursion_desired = request.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    let mut owner = query.name().clone();
    // A chain that is longer than there are names goes round in a circle, which resolvers answer with SERVFAIL.
    for _ in 0..=zones.len() {
        let (ips, ttl) = match zones.get(&key(&owner.to_ascii())) {
            Some(Zone::Alias { to, ttl }) => {
                let Ok(target) = Name::from_ascii(to).and_then(|name| name.append_domain(&Name::root())) else {
                    return Some(failing(reply, ResponseCode::ServFail));
                };
                reply.add_answer(Record::from_rdata(owner, *ttl, RData::CNAME(CNAME(target.clone()))));
                owner = target;
                continue;
            }
            Some(Zone::Silent) => return None,
            Some(Zone::ServFail) => return Some(failing(reply, ResponseCode::ServFail)),
            Some(Zone::Refused) => return Some(failing(reply, ResponseCode::Refused)),
            Some(Zone::Truncated { .. }) if !over_tcp => {
                reply.metadata.truncation = true;
                return Some(reply);
            }
            Some(Zone::Addresses { ips, ttl } | Zone::Truncated { ips, ttl }) => (ips.as_slice(), *ttl),
            Some(Zone::NoData) => (&[][..], 0),
            Some(Zone::NxDomain) | None => {
                reply.metadata.response_code = ResponseCode::NXDomain;
                (&[][..], 0)
            }
        };
        let data: Vec<RData> = ips.iter().filter_map(|ip| of_type(*ip, query.query_type())).collect();
        if data.is_empty() {
            reply.add_authority(soa());
        }
        reply.add_answers(data.into_iter().map(|data| Record::from_rdata(owner.clone(), ttl, data)));
        return Some(reply);
    }
    Some(failing(reply, ResponseCode::ServFail))
}

fn failing(mut reply: Message, code: ResponseCode) -> Message {
    reply.take_all_sections().for_each(drop);
    reply.metadata.response_code = code;
    reply
}

fn of_type(ip: IpAddr, wanted: RecordType) -> Option<RData> {
    match (ip, wanted) {
        (IpAddr::V4(ip), RecordType::A) => Some(RData::A(A(ip))),
        (IpAddr::V6(ip), RecordType::AAAA) => Some(RData::AAAA(AAAA(ip))),
        _ => None,
    }
}

fn soa() -> Record {
    let minimum = NEGATIVE_TTL;
    let data = SOA::new(Name::root(), Name::root(), 1, 3600, 600, 86400, minimum);
    Record::from_rdata(Name::root(), NEGATIVE_TTL, RData::SOA(data))
}

fn key(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
