//! A server that means harm: it does what a script says, and keeps what it is sent.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lab::{Authority, Identity};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::asking::NAME;

/// What the server does next.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes again and again, until nobody takes them.
    SendForever(Vec<u8>),
    /// Sends one byte every 50 ms.
    Drip(Vec<u8>),
    /// Reads one message.
    Read,
    /// Reads the client's first SCRAM message, and answers it with these iterations; with `ours` its nonce begins as the
    /// client's does.
    Challenge { iterations: &'static str, ours: bool },
    /// Ends the connection.
    Close,
}

/// It takes one connection.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<u8>>>,
    session: JoinHandle<()>,
}

impl Server {
    /// Does `script` in plain text once a connection is there.
    pub(crate) async fn plain(script: Vec<Act>) -> Self {
        Self::serve(move |mut stream, received| async move {
            let _ = perform(&mut stream, &script, &received).await;
        })
        .await
    }

    /// Takes the request for TLS, makes it with a certificate that holds, takes the start of the session, and then does
    /// `script`.
    pub(crate) async fn over_tls(authority: &Authority, script: Vec<Act>) -> Self {
        let acceptor = acceptor(&authority.server(&[NAME]).unwrap());
        Self::serve(move |mut stream, received| async move {
            let mut request = [0; 8];
            stream.read_exact(&mut request).await.unwrap();
            assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47], "SSLRequest");
            stream.write_all(b"S").await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            let length = stream.read_u32().await.unwrap();
            let mut startup = vec![0; usize::try_from(length).unwrap() - 4];
            stream.read_exact(&mut startup).await.unwrap();
            let _ = perform(&mut stream, &script, &received).await;
        })
        .await
    }

    async fn serve<F>(session: impl FnOnce(TcpStream, Arc<Mutex<Vec<u8>>>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::default();
        let session = tokio::spawn({
            let received = Arc::clone(&received);
            async move {
                let (stream, _) = listener.accept().await.unwrap();
                session(stream, received).await;
            }
        });
        Self { address, received, session }
    }

    /// What the client sent, all of it: over TLS, after its StartupMessage. Waits for the end of the session.
    pub(crate) async fn received(self) -> Vec<u8> {
        let _ = tokio::time::timeout(Duration::from_secs(10), self.session).await.expect("the session goes on");
        self.received.lock().unwrap().clone()
    }
}

fn acceptor(identity: &Identity) -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn perform<S>(stream: &mut S, script: &[Act], received: &Mutex<Vec<u8>>) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for act in script {
        match act {
            Act::Send(bytes) => stream.write_all(bytes).await?,
            Act::SendForever(bytes) => loop {
                stream.write_all(bytes).await?;
                stream.flush().await?;
            },
            Act::Drip(bytes) => {
                for byte in bytes {
                    stream.write_all(&[*byte]).await?;
                    stream.flush().await?;
                    wait().await;
                }
            }
            Act::Read => {
                read(stream, received).await?;
            }
            Act::Challenge { iterations, ours } => {
                let first = read(stream, received).await?;
                let first = String::from_utf8_lossy(&first).into_owned();
                // A nonce is any printable text without a comma, `r=` included (RFC 5802, section 5.1).
                let nonce = first.rsplit_once(",r=").unwrap().1;
                let nonce = if *ours { format!("{nonce}more") } else { "another".to_owned() };
                let challenge = format!("r={nonce},s=c2FsdHNhbHQ=,i={iterations}");
                stream.write_all(&authentication(11, challenge.as_bytes())).await?;
            }
            Act::Close => {
                stream.shutdown().await?;
                break;
            }
        }
        stream.flush().await?;
    }
    drain(stream, received).await
}

#[expect(clippy::disallowed_methods, reason = "a test's server has no port of time")]
async fn wait() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Reads until the client has nothing more to say.
async fn drain<S: AsyncRead + Unpin>(stream: &mut S, received: &Mutex<Vec<u8>>) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        received.lock().unwrap().extend(&buffer[..read]);
    }
}

/// Reads one message with its type.
async fn read<S: AsyncRead + Unpin>(stream: &mut S, received: &Mutex<Vec<u8>>) -> std::io::Result<Vec<u8>> {
    let mut header = [0; 5];
    stream.read_exact(&mut header).await?;
    let length = u32::from_be_bytes(header[1..].try_into().unwrap());
    let mut body = vec![0; usize::try_from(length).unwrap() - 4];
    stream.read_exact(&mut body).await?;
    let mut received = received.lock().unwrap();
    received.extend(header);
    received.extend(&body);
    Ok(body)
}

/// A message of the server's.
pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    lying(tag, u32::try_from(body.len()).unwrap() + 4, body)
}

/// A message that says that it has this length.
pub(crate) fn lying(tag: u8, length: u32, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

pub(crate) fn authentication(kind: u32, body: &[u8]) -> Vec<u8> {
    message(b'R', &[&kind.to_be_bytes(), body].concat())
}

/// The offer of SCRAM as PostgreSQL makes it.
pub(crate) fn sasl() -> Vec<u8> {
    authentication(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
}

/// We are let in, and may ask.
pub(crate) fn welcome() -> Vec<u8> {
    [authentication(0, b""), message(b'S', b"server_version\x0015.18\0"), message(b'Z', b"I")].concat()
}

pub(crate) fn error(state: &str, text: &[u8]) -> Vec<u8> {
    message(b'E', &[b"SFATAL\0C", state.as_bytes(), b"\0M", text, b"\0\0"].concat())
}

/// A row of these fields.
pub(crate) fn row(fields: &[&str]) -> Vec<u8> {
    let mut body = u16::try_from(fields.len()).unwrap().to_be_bytes().to_vec();
    for field in fields {
        body.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
        body.extend(field.as_bytes());
    }
    message(b'D', &body)
}
