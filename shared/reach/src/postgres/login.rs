//! Logging in, by SCRAM-SHA-256 and nothing else (RFC 5802 and 7677; "SASL Authentication" in PostgreSQL's manual).

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncWrite};

use super::messages::Messages;
use crate::failure::{Failure, quoted};
use crate::gateway::{Credentials, ErrorCode};

/// The database that every cluster has.
const DATABASE: &str = "postgres";
/// As what we show in the server's `pg_stat_activity` and log.
const APPLICATION: &str = "pilothouse-probe";
/// The longest name of a role: PostgreSQL cuts longer ones (`NAMEDATALEN`).
const LONGEST_NAME: usize = 63;

/// How far the server and we have proven ourselves to each other.
enum Proof {
    /// No password was asked for. A server may let us in by our certificate, or by address; it learns nothing by that.
    NotAsked,
    /// Our nonce is sent.
    Begun(ScramSha256),
    /// Our proof is sent, from which the password cannot be computed. The server owes us its own.
    Sent(ScramSha256),
    /// The server knows what it must know of the password.
    Verified,
}

/// What can be wrong with credentials as such.
pub(super) fn check(credentials: &Credentials) -> Result<(), Failure> {
    let name = &credentials.username;
    if name.is_empty() || name.len() > LONGEST_NAME || name.contains('\0') {
        let message = format!("`credentials.username` must have 1 to {LONGEST_NAME} bytes, none of them zero");
        return Err(Failure::bad_item(message));
    }
    if credentials.password.expose().is_empty() {
        return Err(Failure::bad_item("`credentials.password` is empty"));
    }
    Ok(())
}

/// Logs in, and waits until the server takes a query.
pub(super) async fn login<S>(messages: &mut Messages<S>, credentials: &Credentials) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let parameters =
        [("user", credentials.username.as_str()), ("database", DATABASE), ("application_name", APPLICATION)];
    let mut startup = BytesMut::new();
    frontend::startup_message(parameters, &mut startup).map_err(|_| Failure::bad_item("the role's name"))?;
    messages.send(&startup).await?;
    authenticate(messages, credentials).await?;
    messages.logged_in();
    loop {
        match messages.next().await? {
            Message::ReadyForQuery(_) => return Ok(()),
            Message::ErrorResponse(error) => return Err(Failure::of_server(error.fields())),
            Message::ParameterStatus(_) | Message::BackendKeyData(_) | Message::NoticeResponse(_) => {}
            _ => return Err(out_of_turn()),
        }
    }
}

async fn authenticate<S>(messages: &mut Messages<S>, credentials: &Credentials) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut proof = Proof::NotAsked;
    loop {
        proof = match (messages.next().await?, proof) {
            (Message::NoticeResponse(_), proof) => proof,
            (Message::ErrorResponse(error), _) => return Err(Failure::of_server(error.fields())),
            (Message::AuthenticationOk, Proof::NotAsked | Proof::Verified) => return Ok(()),
            (Message::AuthenticationOk, Proof::Begun(_) | Proof::Sent(_)) => {
                return Err(not_proven("it let us in in the middle of SCRAM"));
            }
            (Message::AuthenticationSasl(offer), Proof::NotAsked) => {
                must_offer_scram(&offer)?;
                // The server's certificate is verified, so binding the proof to it would add nothing.
                let password = credentials.password.expose().as_bytes();
                let scram = ScramSha256::new(password, ChannelBinding::unsupported());
                let mut response = BytesMut::new();
                frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut response).map_err(too_long)?;
                messages.send(&response).await?;
                Proof::Begun(scram)
            }
            (Message::AuthenticationSaslContinue(challenge), Proof::Begun(scram)) => {
                let scram = answer(scram, challenge.data().to_vec()).await?;
                let mut response = BytesMut::new();
                frontend::sasl_response(scram.message(), &mut response).map_err(too_long)?;
                messages.send(&response).await?;
                Proof::Sent(scram)
            }
            (Message::AuthenticationSaslFinal(last), Proof::Sent(mut scram)) => {
                scram.finish(last.data()).map_err(|_| not_proven("its signature is wrong"))?;
                Proof::Verified
            }
            (other, _) => return Err(refused(&other)),
        };
    }
}

/// Works out our proof: one HMAC for each iteration that the server wants, 100 000 at most (the library's limit). In a thread
/// of its own, so that hostile servers cannot hold up what else goes on in the process until its time is up.
async fn answer(mut scram: ScramSha256, challenge: Vec<u8>) -> Result<ScramSha256, Failure> {
    let worked = tokio::task::spawn_blocking(move || scram.update(&challenge).map(|()| scram)).await;
    let reason = match worked {
        Ok(Ok(scram)) => return Ok(scram),
        Ok(Err(error)) => quoted(error.to_string().as_bytes()),
        Err(_) => "it could not be worked out".to_owned(),
    };
    let message = format!("the server's SCRAM challenge is not acceptable: {reason}");
    Err(Failure::new(ErrorCode::AuthMethodRefused, message))
}

fn must_offer_scram(offer: &AuthenticationSaslBody) -> Result<(), Failure> {
    let offered: Vec<&str> = offer.mechanisms().collect().map_err(|_| out_of_turn())?;
    if offered.contains(&SCRAM_SHA_256) {
        return Ok(());
    }
    Err(wanted(&format!("{} and not {SCRAM_SHA_256}", quoted(offered.join(", ").as_bytes()))))
}

fn refused(message: &Message) -> Failure {
    match message {
        Message::AuthenticationCleartextPassword => wanted("the password in clear text"),
        Message::AuthenticationMd5Password(_) => wanted("the password as MD5"),
        Message::AuthenticationGss | Message::AuthenticationGssContinue(_) => wanted("GSSAPI"),
        Message::AuthenticationKerberosV5 => wanted("Kerberos V5"),
        Message::AuthenticationSspi => wanted("SSPI"),
        Message::AuthenticationScmCredential => wanted("SCM credentials"),
        _ => out_of_turn(),
    }
}

fn wanted(what: &str) -> Failure {
    let message = format!("the server asks for {what}; nothing was sent. Use scram-sha-256 in pg_hba.conf");
    Failure::new(ErrorCode::AuthMethodRefused, message)
}

fn not_proven(why: &str) -> Failure {
    let message = format!("the server did not prove that it knows the role's password: {why}");
    Failure::new(ErrorCode::ServerNotProven, message)
}

fn out_of_turn() -> Failure {
    Failure::not_postgres("the server sent a message out of its turn")
}

fn too_long(_: std::io::Error) -> Failure {
    Failure::not_postgres("the server's SCRAM challenge cannot be answered")
}
