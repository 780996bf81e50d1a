//! What `POST /reinitialize` says.

use crate::failure::quoted;
use crate::gateway::{ItemError, Said};

use super::switchover::{Switchover, text};

/// What came of a request to copy the leader anew (`do_POST_reinitialize` in Patroni's `api.py` and `reinitialize` in its `ha.py`,
/// the same in 3.x and 4.x).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reinitialize {
    /// It has begun, now or before.
    Started,
    /// It is refused, and nothing is changed: nobody leads, the asked node does, or Patroni is at something else.
    Refused {
        /// In Patroni's words.
        said: String,
    },
    /// We are not let in: credentials, client certificate, `restapi.allowlist`.
    Denied {
        /// In Patroni's words.
        said: String,
    },
    /// Nothing of the request was sent: the code says why.
    NotSent {
        /// One of [`crate::gateway::ErrorCode`]'s.
        code: String,
    },
    /// It may have begun or not. The node's state tells.
    InDoubt {
        /// What is known.
        said: String,
    },
}

impl Reinitialize {
    /// Reads an answer. What is not understood is in doubt.
    #[must_use]
    pub fn of(said: &Said) -> Self {
        let text = text(&said.body);
        let told = || format!("{}: {}", said.status, quoted(text.as_bytes()));
        match said.status {
            200 if text == "reinitialize started" => Self::Started,
            503 if text == "reinitialize already in progress" => Self::Started,
            401 | 403 => Self::Denied { said: told() },
            400 | 404 | 405 | 411 | 413 | 501 | 503 => Self::Refused { said: told() },
            _ => Self::InDoubt { said: told() },
        }
    }

    /// Reads why there is no answer.
    #[must_use]
    pub fn of_error(error: &ItemError) -> Self {
        match Switchover::of_error(error) {
            Switchover::NotSent { code } => Self::NotSent { code },
            _ => Self::InDoubt { said: format!("{}: {}", error.code, quoted(error.message.as_bytes())) },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_patroni_says_is_started_refused_denied_or_in_doubt() {
        let of = |status: u16, text: &str| Reinitialize::of(&Said { status, body: json!(text) });
        let refused = |said: &str| Reinitialize::Refused { said: said.to_owned() };
        assert_eq!(of(200, "reinitialize started"), Reinitialize::Started);
        assert_eq!(of(503, "reinitialize already in progress"), Reinitialize::Started);
        assert_eq!(of(503, "restart already in progress"), refused("503: restart already in progress"));
        let nobody = "Cluster has no leader, can not reinitialize";
        assert_eq!(of(503, nobody), refused(&format!("503: {nobody}")));
        assert_eq!(of(501, ""), refused("501: "));
        assert!(matches!(of(401, "no auth header received"), Reinitialize::Denied { .. }));
        assert!(matches!(of(200, "welcome"), Reinitialize::InDoubt { .. }));
        assert!(matches!(of(502, "bad gateway"), Reinitialize::InDoubt { .. }));
    }

    #[test]
    fn only_what_was_not_sent_is_known_to_have_had_no_effect() {
        let of =
            |code: &str| Reinitialize::of_error(&ItemError { code: code.to_owned(), message: "so it is".to_owned() });
        assert_eq!(of("ConnectionRefused"), Reinitialize::NotSent { code: "ConnectionRefused".to_owned() });
        assert!(matches!(of("TimedOut"), Reinitialize::InDoubt { .. }));
    }
}
