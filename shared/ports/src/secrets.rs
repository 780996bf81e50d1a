//! Secrets, and the type that keeps them out of logs.

use serde::{Deserialize, Serialize};

use crate::PortError;

/// A text that must not be printed: a password, a key. Its `Debug` shows nothing of it. It is serialized as itself,
/// because it must reach the gateway; nothing that holds one may be logged or stored as JSON.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from being printed.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Reads secrets.
pub trait Secrets: Sync {
    /// The current text of a secret, by its name or ARN. `NotFound` where there is none; `Invalid` where it holds bytes.
    fn read(&self, id: &str) -> impl Future<Output = Result<Secret, PortError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(..)");
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some(Secret(..))");
    }
}
