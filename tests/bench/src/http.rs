//! A small HTTP/1.1 server on loopback: a thread for each connection, connections kept open. It knows bodies with a
//! `Content-Length` alone, which is all that the SDKs and the Lambda runtime send here.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use crate::failure::{Failure, io};

/// Connections come by the hundred, and none of their threads goes deep.
const STACK: usize = 256 * 1024;

/// A request.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// With the query, if there is one.
    pub(crate) path: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    /// As received.
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Response {
    /// HTTP status.
    pub(crate) status: u16,
    /// Besides `Content-Length`.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) body: String,
}

impl Response {
    /// One without headers of its own.
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }
}

/// What answers. It may block: each connection has a thread of its own.
pub(crate) trait Service: Send + Sync + 'static {
    /// A connection was opened.
    fn connected(&self) {}

    /// Answers a request.
    fn answer(&self, request: &Request) -> Response;
}

/// Serves on a free port of 127.0.0.1 until this process ends.
pub(crate) fn serve(service: Arc<impl Service>) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io("bind a server"))?;
    let address = listener.local_addr().map_err(io("bind a server"))?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            service.connected();
            let service = Arc::clone(&service);
            // A thread that cannot be had closes the connection: the client sees it, and so does the measurement.
            let _ = thread::Builder::new().stack_size(STACK).spawn(move || connection(stream, service.as_ref()));
        }
    });
    Ok(address)
}

fn connection(stream: TcpStream, service: &impl Service) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader)? {
        let response = service.answer(&request);
        let mut head = format!("HTTP/1.1 {} -\r\ncontent-length: {}\r\n", response.status, response.body.len());
        for (name, value) in &response.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        // One write for both: the second of two small ones would wait for the first one's acknowledgement.
        head.push_str(&response.body);
        writer.write_all(head.as_bytes())?;
    }
    Ok(())
}

fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    // `POST /path HTTP/1.1`: no operation here is told from another by its method.
    let path = line.split_ascii_whitespace().nth(1).unwrap_or_default().to_owned();
    let mut request = Request { path, ..Request::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if request.header("transfer-encoding").is_some() {
        return Err(io::Error::other("a chunked body"));
    }
    let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_end(&mut request.body)?;
    Ok(Some(request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_to_the_end_of_its_body_and_no_further() {
        let mut wire = io::Cursor::new(
            b"POST /a?b=c HTTP/1.1\r\nX-Amz-Target: T.Query\r\nContent-Length: 4\r\n\r\nbodyGET / HTTP/1.1\r\n\r\n",
        );
        let first = read(&mut wire).unwrap().unwrap();
        assert_eq!(first.path, "/a?b=c");
        assert_eq!((first.header("x-amz-target"), first.body.as_slice()), (Some("T.Query"), &b"body"[..]));
        assert_eq!(read(&mut wire).unwrap().unwrap().path, "/");
        assert!(read(&mut wire).unwrap().is_none());
    }
}
