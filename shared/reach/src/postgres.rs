//! Asks a PostgreSQL server what it is, over its own protocol, version 3.0 ("Frontend/Backend Protocol" in PostgreSQL's manual).
//!
//! The server belongs to a customer and is not trusted: everything that it sends is bounded in length and number, the whole
//! takes no longer than the caller allows, and no answer of its makes us send the password, or anything from which it could
//! be had without guessing.

mod failure;
mod login;
mod messages;
mod question;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::gateway::{ErrorCode, ProbeItem, Probed};
use crate::tcp;
use crate::tls::Tls;
use failure::Step;
use messages::Messages;

/// How long taking leave may take, once everything is known.
const FAREWELL_LIMIT: Duration = Duration::from_millis(200);

/// Probes one server within `limit`.
///
/// Without `tls` the server is only asked whether it speaks PostgreSQL (`SSLRequest`), which needs no role. A server that has TLS
/// logs then that none was made. With `tls` the handshake is made and its certificate verified. With `credentials` as well it is asked what it
/// is.
///
/// # Errors
/// A [`Failure`] that says what went wrong, and at which step.
pub async fn probe(item: &ProbeItem, limit: Duration) -> Result<Probed, Failure> {
    let tls = prepare(item)?;
    let mut step = Step::Connect;
    // When the time is up, `step` is where it was lost.
    let result = timeout(limit, ask(item, tls, &mut step)).await;
    result.unwrap_or_else(|_| Err(step.timed_out(limit)))
}

/// What is wrong with an item is found before a packet is sent.
fn prepare(item: &ProbeItem) -> Result<Option<Tls>, Failure> {
    if item.port == 0 {
        return Err(Failure::bad_item("`port` must be from 1 to 65535"));
    }
    if item.credentials.is_some() && item.tls.is_none() {
        return Err(Failure::bad_item("`credentials` are used over verified TLS alone: give `tls` too"));
    }
    item.credentials.as_ref().map_or(Ok(()), login::check)?;
    item.tls.as_ref().map(Tls::of).transpose()
}

async fn ask(item: &ProbeItem, tls: Option<Tls>, step: &mut Step) -> Result<Probed, Failure> {
    let mut stream = tcp::connect(item.address, item.port).await?;
    *step = Step::Greeting;
    let offered = offers_tls(&mut stream).await.map_err(|error| step.failed(&error))?;
    let offered = offered?;
    let Some(tls) = tls else {
        return Ok(Probed { tls: false, server: None });
    };
    if !offered {
        let message = "the server has no TLS: set ssl = on";
        return Err(Failure::new(ErrorCode::TlsNotOffered, message));
    }
    *step = Step::Handshake;
    let mut stream = tls.handshake(stream).await.map_err(|error| step.failed(&error))?;
    let Some(credentials) = &item.credentials else {
        let _ = timeout(FAREWELL_LIMIT, stream.shutdown()).await;
        return Ok(Probed { tls: true, server: None });
    };
    *step = Step::Login;
    let mut messages = Messages::over(stream);
    login::login(&mut messages, credentials).await?;
    *step = Step::Question;
    let server = question::ask(&mut messages).await?;
    let _ = timeout(FAREWELL_LIMIT, messages.leave()).await;
    Ok(Probed { tls: true, server: Some(server) })
}

/// Asks for TLS. Exactly one byte is read: whatever follows it in plain text goes to the TLS library, which takes it for a
/// broken handshake. A client that kept it in a buffer would take it for part of the encrypted session (CVE-2021-23222).
async fn offers_tls(stream: &mut TcpStream) -> std::io::Result<Result<bool, Failure>> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    stream.write_all(&request).await?;
    Ok(match stream.read_u8().await? {
        b'S' => Ok(true),
        b'N' => Ok(false),
        // "The client should not display this error message to the user", as the server is not authenticated (SSL Session
        // Encryption, and CVE-2024-10977). PostgreSQL sends one where it cannot start a process for the connection.
        b'E' => Err(Failure::new(ErrorCode::ServerError, "the server answered the request for TLS with an error")),
        other => {
            let message = format!("the first byte that it answered is {other:#04x}, where PostgreSQL says S or N");
            Err(Failure::new(ErrorCode::NotPostgres, message))
        }
    })
}
