//! An HTTP client that plays a script and keeps what was sent, for tests of what goes over the wire. Nothing leaves the
//! process. Everything above the wire is the real thing: serialisation, signing, retries, time-outs, parsing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_config::Region;
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use ports::CallLog;

use crate::configuration::{Configuration, loader};

/// The script and the record. Clones share both.
#[derive(Debug, Clone, Default)]
pub struct Wire(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Reply>,
    sent: Vec<Sent>,
}

#[derive(Debug)]
enum Reply {
    Answer(u16, String),
    ConnectionFailed,
    Silence,
}

/// A request as it would have gone over the wire.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The operation, where the protocol has it in a header (`DynamoDB_20120810.PutItem`).
    pub target: Option<String>,
    /// The body as it is.
    pub body: String,
    /// Whom it is for: `ec2.eu-west-1.amazonaws.com`, for one.
    pub host: String,
}

impl Wire {
    /// The next request gets this answer. Requests beyond the script get a failed connection that is not retried.
    pub fn answer(&self, status: u16, body: impl Into<String>) {
        self.state().script.push_back(Reply::Answer(status, body.into()));
    }

    /// The next request gets an error in the form of the query protocol, as ELB and SNS send it.
    pub fn refuse(&self, status: u16, code: &str, message: &str) {
        self.answer(
            status,
            format!("<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"),
        );
    }

    /// The next request gets an error in the form of EC2's own protocol.
    pub fn refuse_ec2(&self, status: u16, code: &str, message: &str) {
        self.answer(
            status,
            format!(
                "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>"
            ),
        );
    }

    /// The next request finds nobody there.
    pub fn fail(&self) {
        self.state().script.push_back(Reply::ConnectionFailed);
    }

    /// The next request is never answered.
    pub fn hang(&self) {
        self.state().script.push_back(Reply::Silence);
    }

    /// What was sent so far, retries included.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.state().sent.clone()
    }

    /// The production configuration over this wire, with a Region and credentials of its own.
    pub async fn configuration(&self, calls: &CallLog) -> Configuration {
        let credentials = Credentials::new("AKIDEXAMPLE", "not-a-secret", None, None, "wire");
        let sdk = loader(self.clone())
            .region(Region::from_static("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .load()
            .await;
        Configuration::over(sdk, calls)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sent {
    /// The fields of a form body, decoded, by name.
    #[must_use]
    pub fn form(&self) -> BTreeMap<String, String> {
        self.body
            .split('&')
            .map(|field| {
                let (name, value) = field.split_once('=').unwrap_or((field, ""));
                (decoded(name), decoded(value))
            })
            .collect()
    }

    /// A JSON body; null where it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let escaped = (byte == b'%').then(|| {
            let digits = [bytes.next()?, bytes.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()
        });
        plain.push(escaped.flatten().unwrap_or(byte));
    }
    String::from_utf8_lossy(&plain).into_owned()
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let sent = Sent {
            target: request.headers().get("x-amz-target").map(str::to_owned),
            body: String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned(),
            host: http::Uri::try_from(request.uri())
                .ok()
                .and_then(|uri| uri.host().map(str::to_owned))
                .unwrap_or_default(),
        };
        let mut state = self.state();
        state.sent.push(sent);
        match state.script.pop_front() {
            Some(Reply::Answer(status, body)) => HttpConnectorFuture::ready(
                http::Response::builder()
                    .status(status)
                    .body(SdkBody::from(body))
                    .map_err(|error| ConnectorError::user(error.into()))
                    .and_then(|answer| {
                        HttpResponse::try_from(answer).map_err(|error| ConnectorError::user(error.into()))
                    }),
            ),
            Some(Reply::ConnectionFailed) => {
                HttpConnectorFuture::ready(Err(ConnectorError::io("connection refused".into())))
            }
            Some(Reply::Silence) => HttpConnectorFuture::new(std::future::pending()),
            None => HttpConnectorFuture::ready(Err(ConnectorError::user("the script has ended".into()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        let body = "Action=Publish&Message=%7B%22a%22%3A%201%7D&Empty=&Odd=%zz".to_owned();
        let sent = Sent { target: None, body, host: String::new() };
        let form = sent.form();
        assert_eq!(form["Message"], r#"{"a": 1}"#);
        assert_eq!((form["Action"].as_str(), form["Empty"].as_str()), ("Publish", ""));
    }
}
