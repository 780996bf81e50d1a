//! Notices.

use ports::PortError;

use crate::calls::Happened;
use crate::client::{Client, Kind};
use crate::world::State;

/// A notice that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its subject.
    pub subject: String,
    /// Its JSON.
    pub message: String,
}

impl State {
    /// What was published, oldest first. A lost reply and its repetition are two.
    #[must_use]
    pub fn notices(&self) -> &[Published] {
        &self.notices
    }
}

/// The port.
#[derive(Debug, Clone)]
pub struct Notices(Client);

impl Notices {
    /// A process's way to it.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }
}

impl ports::Notices for Notices {
    async fn publish(&self, subject: &str, message: &str) -> Result<(), PortError> {
        self.0
            .call("sns:Publish", Kind::Change, |state, _| {
                state.notices.push(Published { subject: subject.to_owned(), message: message.to_owned() });
                (Ok(()), Happened::Published(subject.to_owned()))
            })
            .await
    }
}
