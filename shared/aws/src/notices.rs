//! Notices over SNS.

use aws_sdk_sns::Client;
use ports::PortError;

use crate::configuration::Configuration;
use crate::errors::classify;
use crate::on_demand::{OnDemand, on_demand};
use crate::turns::Turns;

/// Publishes to a topic, or nowhere where there is none.
#[derive(Debug, Clone)]
pub struct Notices(Option<Topic>);

#[derive(Debug, Clone)]
struct Topic {
    client: OnDemand<Client>,
    arn: String,
    turns: Turns,
}

impl Notices {
    /// `topic`: the ARN of a standard topic. Without one every publication succeeds and sends nothing.
    #[must_use]
    pub fn new(configuration: &Configuration, topic: Option<String>) -> Self {
        Self(topic.map(|arn| {
            let settings =
                aws_sdk_sns::config::Builder::from(configuration.sdk()).interceptor(configuration.recorder("sns"));
            Topic { client: on_demand(|| Client::from_conf(settings.build())), arn, turns: configuration.turns() }
        }))
    }
}

impl ports::Notices for Notices {
    async fn publish(&self, subject: &str, message: &str) -> Result<(), PortError> {
        let Some(Topic { client, arn, turns }) = &self.0 else { return Ok(()) };
        let _turn = turns.take().await;
        client
            .publish()
            .topic_arn(arn)
            .subject(subject)
            .message(message)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify("sns:Publish", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Wire;
    use ports::{CallLog, Class, Notices as _};

    const TOPIC: &str = "arn:aws:sns:eu-central-1:111122223333:notices";

    async fn notices(wire: &Wire, topic: Option<&str>) -> (Notices, CallLog) {
        let calls = CallLog::default();
        (Notices::new(&wire.configuration(&calls).await, topic.map(str::to_owned)), calls)
    }

    #[tokio::test]
    async fn publishes_subject_and_message_to_the_topic() {
        let wire = Wire::default();
        wire.answer(200, "<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>");
        let (notices, calls) = notices(&wire, Some(TOPIC)).await;
        notices.publish("acme-prod: PeeringAccepted", r#"{"schema": 1, "to": "true"}"#).await.unwrap();
        let [sent] = wire.sent().try_into().unwrap();
        assert_eq!(
            sent.form(),
            [
                ("Action", "Publish"),
                ("Message", r#"{"schema": 1, "to": "true"}"#),
                ("Subject", "acme-prod: PeeringAccepted"),
                ("TopicArn", TOPIC),
                ("Version", "2010-03-31"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
        );
        assert_eq!(calls.take(), [("sns:Publish".to_owned(), 1)].into());
    }

    #[tokio::test]
    async fn without_a_topic_nothing_is_sent() {
        let wire = Wire::default();
        let (notices, calls) = notices(&wire, None).await;
        notices.publish("subject", "{}").await.unwrap();
        assert!(wire.sent().is_empty() && calls.take().is_empty());
    }

    #[tokio::test]
    async fn a_topic_that_is_gone_or_closed_says_so() {
        for (status, code, class) in [(404, "NotFound", Class::NotFound), (403, "AuthorizationError", Class::Denied)] {
            let wire = Wire::default();
            wire.refuse(status, code, "no");
            let error = notices(&wire, Some(TOPIC)).await.0.publish("s", "{}").await.unwrap_err();
            assert_eq!((error.call, error.class, error.code.as_str()), ("sns:Publish", class, code));
        }
    }
}
