//! CloudFormation's answer boxes.

use ports::PortError;

use crate::calls::Happened;
use crate::client::{Client, Kind};
use crate::world::State;

impl State {
    /// What was put, oldest first: the URL and the body.
    #[must_use]
    pub fn answers(&self) -> &[(String, String)] {
        &self.answers
    }
}

/// The port.
#[derive(Debug, Clone)]
pub struct ResponseUrl(Client);

impl ResponseUrl {
    /// A process's way to it.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }
}

impl ports::ResponseUrl for ResponseUrl {
    async fn put(&self, url: &str, body: String) -> Result<(), PortError> {
        self.0
            .call("https:Put", Kind::Change, |state, _| {
                state.answers.push((url.to_owned(), body.clone()));
                (Ok(()), Happened::AnswerPut(url.to_owned()))
            })
            .await
    }
}
