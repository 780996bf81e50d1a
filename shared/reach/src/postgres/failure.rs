//! What can go wrong with a probe, and the words for it.

use std::io::{self, ErrorKind};
use std::time::Duration;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorFields;

use crate::gateway::{ErrorCode, ItemError};

/// The most characters of a server's text that are quoted.
const QUOTED: usize = 200;

/// Why a probe has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.code())]
pub struct ProbeError {
    /// What kind of failure.
    pub code: ErrorCode,
    /// The particulars, for a person. What a server said is in it, cleaned and cut; no secret ever is.
    pub message: String,
}

impl ProbeError {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn bad_item(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadItem, message)
    }

    pub(super) fn not_postgres(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotPostgres, message)
    }

    /// An ErrorResponse of the server's, by its SQLSTATE ("PostgreSQL Error Codes"). Where the fields cannot be read, those
    /// before count.
    pub(super) fn of_server(mut fields: ErrorFields<'_>) -> Self {
        let (mut state, mut message) = (String::new(), String::new());
        while let Ok(Some(field)) = fields.next() {
            match field.type_() {
                b'C' => state = quoted(field.value_bytes()),
                b'M' => message = quoted(field.value_bytes()),
                _ => {}
            }
        }
        let code = match state.as_str() {
            "53300" => ErrorCode::TooManyConnections,
            "57P03" => ErrorCode::StartingUp,
            other if other.starts_with("28") => ErrorCode::AuthenticationFailed,
            _ => ErrorCode::ServerError,
        };
        Self::new(code, format!("the server said: {message} (SQLSTATE {state})"))
    }
}

impl From<ProbeError> for ItemError {
    fn from(error: ProbeError) -> Self {
        Self { code: error.code.code().to_owned(), message: error.message }
    }
}

/// How far a probe has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Connect,
    Greeting,
    Handshake,
    Login,
    Question,
}

impl Step {
    fn words(self) -> &'static str {
        match self {
            Self::Connect => "opening the connection",
            Self::Greeting => "asking for TLS",
            Self::Handshake => "the TLS handshake",
            Self::Login => "logging in",
            Self::Question => "asking what the server is",
        }
    }

    pub(super) fn timed_out(self, limit: Duration) -> ProbeError {
        let message = format!("{} took longer than {:.1} s", self.words(), limit.as_secs_f64());
        ProbeError::new(ErrorCode::TimedOut, message)
    }

    /// A failure of the connection, or of TLS, which shows in any read or write: with TLS 1.3 a server judges our certificate
    /// only after the handshake is done for us.
    pub(super) fn failed(self, error: &io::Error) -> ProbeError {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(tls) = tls {
            let said = quoted(tls.to_string().as_bytes());
            return ProbeError::new(ErrorCode::TlsFailed, format!("{}: {said}", self.words()));
        }
        let code = match error.kind() {
            ErrorKind::ConnectionRefused => ErrorCode::ConnectionRefused,
            ErrorKind::TimedOut => ErrorCode::TimedOut,
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
            | ErrorKind::UnexpectedEof
            | ErrorKind::WriteZero => ErrorCode::ConnectionClosed,
            // No route, no such network, a firewall of our own: whatever it is, the host was not reached.
            _ => ErrorCode::Unreachable,
        };
        ProbeError::new(code, format!("{}: {}", self.words(), quoted(error.to_string().as_bytes())))
    }
}

/// A text that is not ours, fit for a message: without what moves a terminal's cursor or turns its writing round, and short.
pub(super) fn quoted(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut characters = text.chars().filter(|c| !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
    let mut short: String = characters.by_ref().take(QUOTED).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if characters.next().is_some() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_not_ours_is_cleaned_and_cut() {
        assert_eq!(quoted(b"a\x1b[2Jb\r\nc\0"), "a [2Jb  c ");
        assert_eq!(quoted("a\u{202e}b".as_bytes()), "ab");
        assert_eq!(quoted(b"\xff"), "\u{fffd}");
        assert_eq!(quoted("ä".repeat(QUOTED).as_bytes()), "ä".repeat(QUOTED));
        assert_eq!(quoted("ä".repeat(QUOTED + 1).as_bytes()), format!("{}...", "ä".repeat(QUOTED)));
    }

    #[test]
    fn failures_of_a_connection_are_told_apart() {
        for (kind, code) in [
            (ErrorKind::ConnectionRefused, ErrorCode::ConnectionRefused),
            (ErrorKind::HostUnreachable, ErrorCode::Unreachable),
            (ErrorKind::NetworkUnreachable, ErrorCode::Unreachable),
            (ErrorKind::PermissionDenied, ErrorCode::Unreachable),
            (ErrorKind::TimedOut, ErrorCode::TimedOut),
            (ErrorKind::ConnectionReset, ErrorCode::ConnectionClosed),
            (ErrorKind::UnexpectedEof, ErrorCode::ConnectionClosed),
        ] {
            assert_eq!(Step::Greeting.failed(&kind.into()).code, code, "{kind:?}");
        }
        let tls = io::Error::new(ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert_eq!(Step::Login.failed(&tls).code, ErrorCode::TlsFailed);
    }
}
