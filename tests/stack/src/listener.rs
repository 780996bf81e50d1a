//! What stands for a database: something that accepts TCP connections, or doesn't.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::Error;

/// Accepts connections on a port of 127.0.0.1 and closes each at once. It can be stopped (connections are refused then)
/// and started again on the same port.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Listener {
    /// Starts listening on a free port.
    ///
    /// # Errors
    /// [`Error::Io`] when no port can be had.
    pub fn start() -> Result<Self, Error> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::io("bind a listener"))?;
        let address = socket.local_addr().map_err(Error::io("bind a listener"))?;
        let accepted = Arc::new(AtomicUsize::new(0));
        let running = Some(accept(socket, Arc::clone(&accepted)));
        Ok(Self { address, accepted, running })
    }

    /// Where it listens, and will listen again.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has accepted so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Refuses connections from now on. Does nothing when it is stopped already.
    pub fn stop(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        running.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that waits in accept; if it cannot be woken, waiting for it would never end.
        if TcpStream::connect(self.address).is_ok() {
            let _ = running.thread.join();
        }
    }

    /// Accepts connections again, on the same port. Does nothing when it is running.
    ///
    /// # Errors
    /// [`Error::Io`] when another process has taken the port meanwhile.
    pub fn restart(&mut self) -> Result<(), Error> {
        if self.running.is_some() {
            return Ok(());
        }
        let socket = bind_again(self.address).map_err(Error::io("bind a listener again"))?;
        self.running = Some(accept(socket, Arc::clone(&self.accepted)));
        Ok(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

fn accept(socket: TcpListener, accepted: Arc<AtomicUsize>) -> Running {
    let stop = Arc::new(AtomicBool::new(false));
    let thread = thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            for stream in socket.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                if stream.is_ok() {
                    accepted.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    });
    Running { stop, thread }
}

/// A connection of some other process may hold the port for a moment as its own end.
fn bind_again(address: SocketAddr) -> io::Result<TcpListener> {
    for _ in 0..20 {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                thread::sleep(Duration::from_millis(50));
            }
            other => return other,
        }
    }
    TcpListener::bind(address)
}
