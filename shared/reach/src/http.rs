//! A question to a host over HTTP/1.1, and its answer within bounds.
//!
//! The host is not trusted: the head and the body of its answer are bounded, no redirect is followed, nothing is
//! decompressed, and the whole takes no longer than the caller allows. Each question has a connection of its own, so no
//! answer can be taken for that of another.

use std::error::Error;
use std::io;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::failure::{Failure, quoted};
use crate::gateway::{ErrorCode, TlsItem};
use crate::tcp;
use crate::tls::Tls;

/// The longest head of an answer, in bytes. Patroni's and etcd's have about 500.
const LONGEST_HEAD: usize = 32 * 1024;
/// The most lines of a head.
const MOST_HEADERS: usize = 64;
/// The longest body, in bytes. The `/cluster` of a Patroni with 100 members has about 40 KB.
const LONGEST_BODY: usize = 256 * 1024;

/// A host that speaks HTTP.
pub(crate) struct Host {
    address: Ipv4Addr,
    port: u16,
    tls: Option<Tls>,
}

/// What is asked of it.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) method: Method,
    /// From `/` on.
    pub(crate) path: &'static str,
    /// Beside those that every question has.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// JSON. Empty with GET.
    pub(crate) body: Vec<u8>,
}

impl Question {
    pub(crate) fn get(path: &'static str) -> Self {
        Self { method: Method::GET, path, headers: Vec::new(), body: Vec::new() }
    }

    /// The length is always sent: Patroni answers 411 without.
    pub(crate) fn post(path: &'static str, json: &serde_json::Value) -> Self {
        let json_type = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { method: Method::POST, path, headers: vec![json_type], body: json.to_string().into_bytes() }
    }

    /// Adds a header that must not show in a log.
    pub(crate) fn with_secret(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.headers.push((name, value));
        self
    }
}

/// What it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// How far a question has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing of the question was sent.
    Connect,
    /// Nothing of the question was sent.
    Handshake,
    /// It may have been sent, in part or whole.
    Answer,
}

impl Step {
    fn words(self) -> &'static str {
        match self {
            Self::Connect => tcp::DOING,
            Self::Handshake => "the TLS handshake",
            Self::Answer => "waiting for the answer",
        }
    }
}

/// Carries out `conversation` within `limit`. When the time is up, the step says where it was lost.
pub(crate) async fn within<T>(
    limit: Duration,
    conversation: impl AsyncFnOnce(&mut Step) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut step = Step::Connect;
    let result = timeout(limit, conversation(&mut step)).await;
    result.unwrap_or_else(|_| Err(Failure::timed_out(step.words(), limit)))
}

impl Host {
    /// What is wrong with an item is found before a packet is sent.
    pub(crate) fn of(address: Ipv4Addr, port: u16, tls: Option<&TlsItem>) -> Result<Self, Failure> {
        if port == 0 {
            return Err(Failure::bad_item("`port` must be from 1 to 65535"));
        }
        Ok(Self { address, port, tls: tls.map(Tls::of).transpose()? })
    }

    /// Asks, and takes whatever status comes. The caller bounds the time.
    pub(crate) async fn ask(&self, question: Question, step: &mut Step) -> Result<Reply, Failure> {
        let request = self.request(question)?;
        *step = Step::Connect;
        let stream = tcp::connect(self.address, self.port).await?;
        match &self.tls {
            None => exchange(stream, request, step).await,
            Some(tls) => {
                *step = Step::Handshake;
                let stream = tls.handshake(stream).await.map_err(|error| Failure::of_io(step.words(), &error))?;
                exchange(stream, request, step).await
            }
        }
    }

    fn request(&self, question: Question) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder().method(question.method).uri(question.path);
        let host = format!("{}:{}", self.address, self.port);
        request = request.header(HOST, host).header(CONNECTION, HeaderValue::from_static("close"));
        for (name, value) in question.headers {
            request = request.header(name, value);
        }
        // The parts are ours, and none of a kind that cannot be sent.
        let request = request.body(Full::new(Bytes::from(question.body)));
        request.map_err(|_| Failure::bad_item("what is asked cannot be put into HTTP"))
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>, step: &mut Step) -> Result<Reply, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    *step = Step::Answer;
    let mut settings = http1::Builder::new();
    // A head that does not fit into the buffer is an error. Without bounds hyper takes 400 KB.
    settings.max_buf_size(LONGEST_HEAD).max_headers(MOST_HEADERS);
    let shaken = settings.handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| of_hyper(&error))?;
    let answer = pin!(async move {
        let reply = sender.send_request(request).await.map_err(|error| of_hyper(&error))?;
        whole(reply).await
    });
    match select(answer, pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        // The host ended the connection, which with `Connection: close` is what it should do. What it sent before is ours
        // to read; where that is not enough, the connection knows better why.
        Either::Right((ended, answer)) => match (answer.await, ended) {
            (Err(_), Err(why)) => Err(of_hyper(&why)),
            (answer, _) => answer,
        },
    }
}

async fn whole(reply: Response<hyper::body::Incoming>) -> Result<Reply, Failure> {
    let status = reply.status().as_u16();
    let body = Limited::new(reply.into_body(), LONGEST_BODY).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            return too_long(&format!("more than {LONGEST_BODY} bytes"));
        }
        match error.downcast_ref::<hyper::Error>() {
            Some(error) => of_hyper(error),
            None => Failure::new(ErrorCode::NotHttp, "its answer cannot be read"),
        }
    })?;
    Ok(Reply { status, body: body.to_bytes() })
}

fn of_hyper(error: &hyper::Error) -> Failure {
    // hyper has a name for this kind only where it is a server.
    if error.is_parse() && error.to_string().contains("too large") {
        return too_long("a head that is too long");
    }
    let doing = Step::Answer.words();
    if let Some(error) = io_below(error) {
        return Failure::of_io(doing, error);
    }
    let said = quoted(error.to_string().as_bytes());
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return Failure::new(ErrorCode::ConnectionClosed, format!("{doing}: the host ended the connection ({said})"));
    }
    Failure::new(ErrorCode::NotHttp, format!("what it answers is not HTTP/1.1: {said}"))
}

fn too_long(what: &str) -> Failure {
    Failure::new(ErrorCode::AnswerTooLong, format!("the host answered with {what}"))
}

/// The failure of the connection, or of TLS, behind one of HTTP.
fn io_below(error: &hyper::Error) -> Option<&io::Error> {
    let mut next = error.source();
    while let Some(error) = next {
        // A body that is not what its head says is an error of this type too, but not of the connection.
        if let Some(io) = error.downcast_ref::<io::Error>().filter(|io| io.kind() != io::ErrorKind::InvalidInput) {
            return Some(io);
        }
        next = error.source();
    }
    None
}
