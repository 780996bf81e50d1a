//! Opening a connection.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::failure::Failure;

/// How long opening a connection may take. A lost SYN is sent again after one second; a host that is dropped by a
/// security group never answers, and must not use up the time of those that wait behind it.
const LIMIT: Duration = Duration::from_millis(2500);

/// At which step a connection is while it is opened.
pub(crate) const DOING: &str = "opening the connection";

/// Opens a connection.
pub(crate) async fn connect(address: Ipv4Addr, port: u16) -> Result<TcpStream, Failure> {
    let stream = match timeout(LIMIT, TcpStream::connect((address, port))).await {
        Err(_) => return Err(Failure::timed_out(DOING, LIMIT)),
        Ok(stream) => stream.map_err(|error| Failure::of_io(DOING, &error))?,
    };
    stream.set_nodelay(true).map_err(|error| Failure::of_io(DOING, &error))?;
    Ok(stream)
}
