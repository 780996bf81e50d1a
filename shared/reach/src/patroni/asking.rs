//! Asking Patroni's REST API.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Value, json};

use crate::failure::{Failure, cleaned};
use crate::gateway::{Credentials, PatroniGetItem, PatroniQuestion, ReinitializeItem, Said, SwitchoverItem};
use crate::http::{Host, Question, Reply, within};

/// The most characters of a text that is no JSON. Patroni's own are a sentence long.
const LONGEST_TEXT: usize = 1000;

/// Asks a node's Patroni what it knows. Any status is an answer.
pub(crate) async fn get(item: &PatroniGetItem, limit: Duration) -> Result<Said, Failure> {
    let host = Host::of(item.address, item.port, item.tls.as_ref())?;
    let path = match item.what {
        PatroniQuestion::Cluster => "/cluster",
        PatroniQuestion::Node => "/patroni",
        PatroniQuestion::Config => "/config",
    };
    ask(&host, Question::get(path), item.credentials.as_ref(), limit).await
}

/// Asks a node's Patroni to hand the leadership over. Patroni answers when that is done, or after 20 s at the least: an error
/// because the time was up says nothing about what happens.
pub(crate) async fn switchover(item: &SwitchoverItem, limit: Duration) -> Result<Said, Failure> {
    let host = Host::of(item.address, item.port, item.tls.as_ref())?;
    let body = json!({"leader": item.leader, "candidate": item.candidate});
    ask(&host, Question::post("/switchover", &body), item.credentials.as_ref(), limit).await
}

/// Asks a replica's Patroni to copy the leader anew. Without `force`: with it, a second request would end the copy that the first
/// one began, and begin it once more.
pub(crate) async fn reinitialize(item: &ReinitializeItem, limit: Duration) -> Result<Said, Failure> {
    let host = Host::of(item.address, item.port, item.tls.as_ref())?;
    ask(&host, Question::post("/reinitialize", &json!({"force": false})), item.credentials.as_ref(), limit).await
}

async fn ask(
    host: &Host,
    question: Question,
    credentials: Option<&Credentials>,
    limit: Duration,
) -> Result<Said, Failure> {
    let question = match credentials {
        None => question,
        Some(credentials) => question.with_secret(AUTHORIZATION, basic(credentials)?),
    };
    let reply = within(limit, async |step| host.ask(question, step).await).await?;
    Ok(said(&reply))
}

/// Basic authentication (RFC 7617). A name with a colon would move a part of itself into the password.
fn basic(credentials: &Credentials) -> Result<HeaderValue, Failure> {
    let (name, password) = (&credentials.username, credentials.password.expose());
    if name.is_empty() || name.contains(':') || name.contains(char::is_control) {
        return Err(Failure::bad_item("`credentials.username` must be text without colons and control characters"));
    }
    let value = format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
    HeaderValue::try_from(value).map_err(|_| Failure::bad_item("`credentials` cannot be put into HTTP"))
}

fn said(reply: &Reply) -> Said {
    let json = serde_json::from_slice::<Value>(&reply.body).ok().filter(|json| json.is_object() || json.is_array());
    let body = json.unwrap_or_else(|| Value::String(cleaned(&reply.body, LONGEST_TEXT)));
    Said { status: reply.status, body }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ports::Secret;

    use super::*;

    #[test]
    fn credentials_are_put_as_the_standard_says_and_never_shown() {
        let of = |username: &str, password: &str| {
            basic(&Credentials { username: username.to_owned(), password: Secret::new(password) })
        };
        assert_eq!(of("Aladdin", "open sesame").unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(of("test", "123\u{a3}").unwrap(), "Basic dGVzdDoxMjPCow==");
        for bad in ["", "a:b", "a\nb"] {
            let told = of(bad, "xyzzy").unwrap_err();
            assert!(!told.to_string().contains("xyzzy"), "{told}");
        }
    }

    #[test]
    fn a_body_is_json_or_a_short_text() {
        let of = |body: &str| said(&Reply { status: 200, body: Bytes::copy_from_slice(body.as_bytes()) }).body;
        assert_eq!(of(r#"{"a": [1]}"#), json!({"a": [1]}));
        assert_eq!(of("Switchover failed"), json!("Switchover failed"));
        assert_eq!(of("200"), json!("200"));
        assert_eq!(of(""), json!(""));
        assert_eq!(of(r#"{"a": "#), json!(r#"{"a": "#));
        assert_eq!(of(&"[".repeat(5000)).as_str().map(str::len), Some(LONGEST_TEXT + 3));
        assert_eq!(of("a\u{202e}\x1b[2J"), json!("a [2J"));
    }
}
