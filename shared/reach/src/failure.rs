//! What can go wrong with a host, and the words for it.

use std::io::{self, ErrorKind};
use std::time::Duration;

use crate::gateway::{ErrorCode, ItemError};

/// The most characters of a host's text that are quoted in a message.
const QUOTED: usize = 200;

/// Why a host gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.code())]
pub struct Failure {
    /// What kind of failure.
    pub code: ErrorCode,
    /// The particulars, for a person. What a host said is in it, cleaned and cut; no secret ever is.
    pub message: String,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn bad_item(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadItem, message)
    }

    /// The time was up while `doing` this.
    pub(crate) fn timed_out(doing: &str, limit: Duration) -> Self {
        Self::new(ErrorCode::TimedOut, format!("{doing} took longer than {:.1} s", limit.as_secs_f64()))
    }

    /// A failure of the connection, or of TLS, which shows in any read or write: with TLS 1.3 a server judges our certificate
    /// only after the handshake is done for us.
    pub(crate) fn of_io(doing: &str, error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(tls) = tls {
            let said = quoted(tls.to_string().as_bytes());
            return Self::new(ErrorCode::TlsFailed, format!("{doing}: {said}"));
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
        Self::new(code, format!("{doing}: {}", quoted(error.to_string().as_bytes())))
    }
}

impl From<Failure> for ItemError {
    fn from(error: Failure) -> Self {
        Self { code: error.code.code().to_owned(), message: error.message }
    }
}

/// A text that is not ours, fit for a message: without what moves a terminal's cursor or turns its writing round, and short.
pub(crate) fn quoted(text: &[u8]) -> String {
    cleaned(text, QUOTED)
}

/// As [`quoted`], with at most this many characters.
pub(crate) fn cleaned(text: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(text);
    let mut characters = text.chars().filter(|c| !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
    let mut short: String = characters.by_ref().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect();
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
            assert_eq!(Failure::of_io("asking", &kind.into()).code, code, "{kind:?}");
        }
        let tls = io::Error::new(ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert_eq!(Failure::of_io("asking", &tls).code, ErrorCode::TlsFailed);
    }
}
