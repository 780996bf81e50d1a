//! A host that does what a script says, and keeps what it is asked.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lab::{Authority, Identity};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What the host does with a connection, once it has read a request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Sends these bytes, and ends the connection.
    Send(Vec<u8>),
    /// Sends the first, and then the second again and again, until nobody takes it.
    Forever(Vec<u8>, Vec<u8>),
    /// Sends one byte every 50 ms.
    Drip(Vec<u8>),
    /// Does nothing, and keeps the connection.
    Hang,
}

/// What it was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The request line and the headers, in lower case.
    pub(crate) head: String,
    /// The request line as it came.
    pub(crate) line: String,
    /// The body.
    pub(crate) body: String,
}

impl Asked {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// It takes connections until it is dropped.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// How many bytes were taken of what it sends forever.
    taken: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Host {
    /// Answers each request by `script`.
    pub(crate) async fn new(script: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        Self::serve(None, script).await
    }

    /// Does the same whatever it is asked.
    pub(crate) async fn always(act: Act) -> Self {
        Self::new(move |_| act.clone()).await
    }

    /// The same over TLS. With `clients` it wants a certificate of that authority's.
    pub(crate) async fn over_tls(identity: &Identity, clients: Option<&Authority>, act: Act) -> Self {
        Self::serve(Some(acceptor(identity, clients)), move |_| act.clone()).await
    }

    async fn serve(tls: Option<TlsAcceptor>, script: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let kept = Arc::clone(&asked);
        let taken: Arc<AtomicUsize> = Arc::default();
        let counted = Arc::clone(&taken);
        let script = Arc::new(script);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, script, kept) = (tls.clone(), Arc::clone(&script), Arc::clone(&kept));
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    match tls {
                        None => session(stream, &*script, &kept, &counted).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                session(stream, &*script, &kept, &counted).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, asked, taken, task }
    }

    /// Everything that it was asked, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How many bytes were taken of what it sends forever.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    /// The request lines of all that.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

async fn session<S>(
    mut stream: S,
    script: &(impl Fn(&Asked) -> Act + Sync),
    kept: &Mutex<Vec<Asked>>,
    taken: &AtomicUsize,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(asked) = read(&mut stream).await else { return };
    kept.lock().unwrap().push(asked.clone());
    let _ = perform(&mut stream, script(&asked), taken).await;
}

async fn perform<S>(stream: &mut S, act: Act, taken: &AtomicUsize) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match act {
        Act::Send(bytes) => stream.write_all(&bytes).await?,
        Act::Forever(first, then) => {
            stream.write_all(&first).await?;
            loop {
                stream.write_all(&then).await?;
                taken.fetch_add(then.len(), Ordering::SeqCst);
            }
        }
        Act::Drip(bytes) => {
            for byte in bytes {
                stream.write_all(&[byte]).await?;
                stream.flush().await?;
                wait().await;
            }
        }
        Act::Hang => {
            let _ = stream.read_u8().await;
        }
    }
    stream.shutdown().await
}

#[expect(clippy::disallowed_methods, reason = "a test's server has no port of time")]
async fn wait() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Reads one request, and no more of the body than its head says: without a length there is none.
async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8(head).unwrap();
    let line = text.lines().next().unwrap().to_owned();
    let head: String = text
        .lines()
        .map(|line| line.split_once(": ").map_or(line.to_owned(), |(name, v)| format!("{}: {v}", name.to_lowercase())))
        .collect::<Vec<_>>()
        .join("\n");
    let mut asked = Asked { head, line, body: String::new() };
    let length: usize = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    asked.body = String::from_utf8(body).unwrap();
    Some(asked)
}

fn acceptor(identity: &Identity, clients: Option<&Authority>) -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()))
}

/// An answer with its length.
pub(crate) fn reply(status: &str, body: &str) -> Act {
    let length = body.len();
    Act::Send(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes())
}

pub(crate) fn json(body: &Value) -> Act {
    reply("200 OK", &body.to_string())
}
