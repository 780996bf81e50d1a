//! Secrets over Secrets Manager.

use aws_sdk_secretsmanager::Client;
use ports::{Class, PortError, Secret};

use crate::configuration::Configuration;
use crate::errors::classify;
use crate::on_demand::{OnDemand, on_demand};
use crate::turns::Turns;

const GET: &str = "secretsmanager:GetSecretValue";

/// Reads the current version of secrets. Nothing is kept: a rotated password counts at the next read.
#[derive(Debug, Clone)]
pub struct Secrets {
    client: OnDemand<Client>,
    turns: Turns,
}

impl Secrets {
    /// Over `configuration`'s connections.
    #[must_use]
    pub fn new(configuration: &Configuration) -> Self {
        let settings = aws_sdk_secretsmanager::config::Builder::from(configuration.sdk())
            .interceptor(configuration.recorder("secretsmanager"));
        Self { client: on_demand(|| Client::from_conf(settings.build())), turns: configuration.turns() }
    }
}

impl ports::Secrets for Secrets {
    async fn read(&self, id: &str) -> Result<Secret, PortError> {
        let _turn = self.turns.take().await;
        let answer = self.client.get_secret_value().secret_id(id).send().await.map_err(|error| classify(GET, error))?;
        answer.secret_string().map(Secret::new).ok_or_else(|| PortError {
            call: GET,
            class: Class::Invalid,
            code: "NotText".to_owned(),
            message: format!("{id} holds bytes, where text is needed"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Wire;
    use ports::{CallLog, Secrets as _};

    async fn read(wire: &Wire) -> Result<Secret, PortError> {
        Secrets::new(&wire.configuration(&CallLog::default()).await).read("acme/probe").await
    }

    #[tokio::test]
    async fn the_text_is_read_as_it_is() {
        let wire = Wire::default();
        wire.answer(200, r#"{"Name": "acme/probe", "SecretString": "{\"username\": \"probe\"}"}"#);
        assert_eq!(read(&wire).await.unwrap().expose(), r#"{"username": "probe"}"#);
        let [sent] = wire.sent().try_into().unwrap();
        assert_eq!(sent.target.as_deref(), Some("secretsmanager.GetSecretValue"));
        assert_eq!(sent.body, r#"{"SecretId":"acme/probe"}"#);
    }

    #[tokio::test]
    async fn bytes_are_refused_and_errors_told_apart() {
        let wire = Wire::default();
        wire.answer(200, r#"{"Name": "acme/probe", "SecretBinary": "AAAA"}"#);
        assert_eq!(read(&wire).await.unwrap_err().code, "NotText");
        for (status, code, class) in [
            (400, "ResourceNotFoundException", Class::NotFound),
            (400, "AccessDeniedException", Class::Denied),
            (400, "DecryptionFailure", Class::Invalid),
            (400, "InvalidRequestException", Class::Invalid),
        ] {
            let wire = Wire::default();
            wire.answer(status, format!(r#"{{"__type": "{code}", "Message": "no"}}"#));
            assert_eq!(read(&wire).await.unwrap_err().class, class, "{code}");
        }
    }
}
