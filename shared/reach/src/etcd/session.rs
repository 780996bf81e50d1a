//! Questions to one member, logged in where credentials are given.

use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::reading;
use crate::failure::Failure;
use crate::gateway::{Credentials, ErrorCode, EtcdItem};
use crate::http::{Host, Question, Step};

const AUTHENTICATE: &str = "/v3/auth/authenticate";

/// Passed on to gRPC as its deadline: what takes longer fails with etcd's own word, before our time is up.
const DEADLINE: (HeaderName, HeaderValue) =
    (HeaderName::from_static("grpc-timeout"), HeaderValue::from_static("3000m"));

/// Passed on to gRPC as the metadata `hasleader`: a member that knows of no leader says so at once, where it would otherwise
/// wait for one until the time is up (`MetadataRequireLeaderKey` in etcd's `rpctypes`).
const WITH_LEADER: (HeaderName, HeaderValue) =
    (HeaderName::from_static("grpc-metadata-hasleader"), HeaderValue::from_static("true"));

/// Questions to one member.
pub(super) struct Session<'a> {
    host: Host,
    credentials: Option<&'a Credentials>,
    login: Login,
}

enum Login {
    /// None was made yet.
    None,
    /// etcd has no authentication: nobody can log in, and nobody needs to.
    NotNeeded,
    /// The token, which etcd gave us.
    Made(HeaderValue),
}

impl<'a> Session<'a> {
    pub(super) fn of(item: &'a EtcdItem) -> Result<Self, Failure> {
        if let Some(credentials) = &item.credentials
            && (credentials.username.is_empty() || credentials.password.expose().is_empty())
        {
            return Err(Failure::bad_item("`credentials` have an empty name or password"));
        }
        let host = Host::of(item.address, item.port, item.tls.as_ref())?;
        Ok(Self { host, credentials: item.credentials.as_ref(), login: Login::None })
    }

    /// Asks, and gives what etcd says if it is no error. A token that does not hold was refused before anything was done, so
    /// one more login is tried.
    pub(super) async fn ask(&mut self, path: &'static str, body: &Value, step: &mut Step) -> Result<Value, Failure> {
        self.log_in(step).await?;
        match self.send(path, body, step).await {
            Err(error) if error.code == ErrorCode::EtcdTokenInvalid && self.credentials.is_some() => {
                self.login = Login::None;
                self.log_in(step).await?;
                self.send(path, body, step).await
            }
            other => other,
        }
    }

    async fn log_in(&mut self, step: &mut Step) -> Result<(), Failure> {
        let (Some(credentials), Login::None) = (self.credentials, &self.login) else { return Ok(()) };
        let body = json!({"name": credentials.username, "password": credentials.password.expose()});
        self.login = match self.send(AUTHENTICATE, &body, step).await {
            Ok(answer) => Login::Made(reading::token(&answer)?),
            // As etcd's own client does it.
            Err(error) if error.code == ErrorCode::EtcdLoginNotNeeded => Login::NotNeeded,
            Err(error) => return Err(error),
        };
        Ok(())
    }

    async fn send(&self, path: &'static str, body: &Value, step: &mut Step) -> Result<Value, Failure> {
        let mut question = Question::post(path, body);
        question.headers.extend([DEADLINE, WITH_LEADER]);
        if let Login::Made(token) = &self.login {
            question = question.with_secret(AUTHORIZATION, token.clone());
        }
        reading::answer(&self.host.ask(question, step).await?)
    }
}
