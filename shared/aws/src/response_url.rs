//! CloudFormation's presigned answer box.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use ports::{CallLog, Class, PortError};

use crate::configuration::{CALL_LIMIT, CONNECT_LIMIT, Configuration};
use crate::connections::Connections;
use crate::errors::{chain, class_of_status};

const CALL: &str = "cloudformation:ResponseURL";

/// How much of S3's words on a refusal is kept, in characters.
const MESSAGE_LIMIT: usize = 300;

/// PUTs over the HTTP client that the SDK clients share, unsigned. It sends once: who calls decides on a repetition.
#[derive(Debug, Clone)]
pub struct ResponseUrl {
    connections: Connections,
    calls: CallLog,
}

impl ResponseUrl {
    /// Sends nothing.
    #[must_use]
    pub fn new(configuration: &Configuration) -> Self {
        Self { connections: configuration.connections().clone(), calls: configuration.calls().clone() }
    }

    fn connector(&self) -> SharedHttpConnector {
        self.connections.connector(&HttpConnectorSettings::builder().connect_timeout(CONNECT_LIMIT).build())
    }
}

impl ports::ResponseUrl for ResponseUrl {
    async fn put(&self, url: &str, body: String) -> Result<(), PortError> {
        let request = request(url, body).map_err(|error| refused(Class::Invalid, "InvalidUrl", chain(&*error)))?;
        self.calls.record(CALL.to_owned());
        tokio::time::timeout(CALL_LIMIT, exchange(self.connector(), request))
            .await
            .map_err(|_| PortError::timed_out(CALL, CALL_LIMIT))?
    }
}

/// Its errors never repeat the URL, which is a secret while it is valid.
fn request(url: &str, body: String) -> Result<HttpRequest, BoxError> {
    let url: http::Uri = url.parse()?;
    if url.authority().is_none() || !matches!(url.scheme_str(), Some("https" | "http")) {
        return Err("the response URL is not https://host/...".into());
    }
    let request = http::Request::put(url)
        .header(http::header::CONTENT_TYPE, "")
        .header(http::header::CONTENT_LENGTH, body.len())
        .body(SdkBody::from(body))?;
    Ok(request.try_into()?)
}

async fn exchange(connector: SharedHttpConnector, request: HttpRequest) -> Result<(), PortError> {
    let response = connector.call(request).await.map_err(|error| {
        let (class, code) =
            if error.is_timeout() { (Class::TimedOut, "TimedOut") } else { (Class::Disconnected, "ConnectionFailed") };
        refused(class, code, chain(&error))
    })?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let words = ByteStream::new(response.into_body()).collect().await.map_or_else(
        |error| chain(&error),
        |bytes| String::from_utf8_lossy(&bytes.into_bytes()).chars().take(MESSAGE_LIMIT).collect(),
    );
    Err(refused(class_of_status(status.as_u16()), &format!("Http{}", status.as_u16()), words))
}

fn refused(class: Class, code: &str, message: String) -> PortError {
    PortError { call: CALL, class, code: code.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ports::ResponseUrl as _;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc;

    /// A server that takes one request and answers it; its address, and the request as it came over the wire.
    fn server(answer: &'static str) -> (String, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.ends_with(b"END") {
                let read = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..read]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            sender.send(String::from_utf8(request).unwrap()).unwrap();
        });
        (address, receiver)
    }

    async fn put(url: &str) -> (Result<(), PortError>, CallLog) {
        let calls = CallLog::default();
        let port = ResponseUrl::new(&Configuration::load(&calls).await);
        (port.put(url, "{\"Status\": \"SUCCESS\"} END".to_owned()).await, calls)
    }

    /// What S3's signature covers: path and query byte for byte, and an empty content type.
    const SIGNED: &str =
        "/arn%3Aaws%3Acloudformation%3A1%2Fstack%7CMyCluster%7Cid?AWSAccessKeyId=AKIA&Expires=1&Signature=a%2Bb%2Fc%3D";

    #[tokio::test]
    async fn sends_the_url_as_it_was_given_with_an_empty_content_type() {
        let (address, request) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        let (result, calls) = put(&format!("http://{address}{SIGNED}")).await;
        result.unwrap();
        let request = request.recv().unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        assert_eq!(lines.next(), Some(format!("PUT {SIGNED} HTTP/1.1").as_str()));
        let mut headers: Vec<_> = lines.map(str::to_lowercase).collect();
        headers.sort();
        assert_eq!(headers, ["content-length: 25", "content-type: ", &format!("host: {address}")]);
        assert_eq!(body, "{\"Status\": \"SUCCESS\"} END");
        assert_eq!(calls.take(), [(CALL.to_owned(), 1)].into());
    }

    #[tokio::test]
    async fn a_refusal_says_why_and_never_the_url() {
        for (answer, class, code) in [
            ("HTTP/1.1 403 Forbidden\r\ncontent-length: 22\r\n\r\nRequest has expired (1)", Class::Denied, "Http403"),
            (
                "HTTP/1.1 503 Slow Down\r\ncontent-length: 22\r\n\r\nRequest has expired (1)",
                Class::Unavailable,
                "Http503",
            ),
            ("HTTP/1.1 400 Bad\r\ncontent-length: 22\r\n\r\nRequest has expired (1)", Class::Invalid, "Http400"),
        ] {
            let (address, _request) = server(answer);
            let error = put(&format!("http://{address}{SIGNED}")).await.0.unwrap_err();
            assert_eq!((error.call, error.class, error.code.as_str()), (CALL, class, code));
            assert!(error.message.starts_with("Request has expired"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_closed_port_is_unavailable_and_a_bad_url_invalid() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for (url, class, code) in [
            (format!("http://{address}{SIGNED}"), Class::Disconnected, "ConnectionFailed"),
            ("not a url?Signature=a%2Bb".to_owned(), Class::Invalid, "InvalidUrl"),
            ("ftp://host/path?Signature=a%2Bb".to_owned(), Class::Invalid, "InvalidUrl"),
            ("/only/a/path?Signature=a%2Bb".to_owned(), Class::Invalid, "InvalidUrl"),
        ] {
            let error = put(&url).await.0.unwrap_err();
            assert_eq!((error.class, error.code.as_str()), (class, code), "{error}");
            assert!(!error.to_string().contains("Signature"), "the URL is a secret: {error}");
        }
    }
}
