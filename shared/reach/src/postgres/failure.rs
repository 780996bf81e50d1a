//! What can go wrong with a probe beside the connection, and the words for it.

use std::io;
use std::time::Duration;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorFields;

use crate::failure::{Failure, quoted};
use crate::gateway::ErrorCode;

impl Failure {
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
            Self::Connect => crate::tcp::DOING,
            Self::Greeting => "asking for TLS",
            Self::Handshake => "the TLS handshake",
            Self::Login => "logging in",
            Self::Question => "asking what the server is",
        }
    }

    pub(super) fn timed_out(self, limit: Duration) -> Failure {
        Failure::timed_out(self.words(), limit)
    }

    pub(super) fn failed(self, error: &io::Error) -> Failure {
        Failure::of_io(self.words(), error)
    }
}
