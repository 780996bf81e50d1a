//! Secrets.

use ports::{Class, PortError, Secret};

use crate::calls::Happened;
use crate::client::{Client, Kind};
use crate::world::State;

impl State {
    /// A secret has this text from now on.
    pub fn put_secret(&mut self, id: &str, text: &str) {
        self.secrets.insert(id.to_owned(), text.to_owned());
    }
}

/// The port.
#[derive(Debug, Clone)]
pub struct Secrets(Client);

impl Secrets {
    /// A process's way to it.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }
}

impl ports::Secrets for Secrets {
    async fn read(&self, id: &str) -> Result<Secret, PortError> {
        const CALL: &str = "secretsmanager:GetSecretValue";
        self.0
            .call(CALL, Kind::Consistent, |state, _| match state.secrets.get(id) {
                Some(text) => (Ok(Secret::new(text.clone())), Happened::SecretRead(id.to_owned())),
                None => {
                    let code = "ResourceNotFoundException".to_owned();
                    let message = "Secrets Manager can't find the specified secret.".to_owned();
                    let happened = Happened::Refused(code.clone());
                    (Err(PortError { call: CALL, class: Class::NotFound, code, message }), happened)
                }
            })
            .await
    }
}
