//! TLS as an item wants it.

use std::io;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::failure::{Failure, quoted};
use crate::gateway::TlsItem;

/// The longest PEM text. A bundle of all authorities of a cloud has about 200 KB.
const LONGEST_PEM: usize = 512 * 1024;

/// How one server's certificate is verified, and ours shown.
#[derive(Clone)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    server_name: ServerName<'static>,
}

impl Tls {
    /// Reads an item's PEM texts. No text of a key, or near one, gets into a message: the parser's errors quote what they
    /// stumble over, so they are not passed on.
    pub(crate) fn of(item: &TlsItem) -> Result<Self, Failure> {
        let server_name = ServerName::try_from(item.server_name.clone())
            .map_err(|_| Failure::bad_item("`tls.server_name` is neither a DNS name nor an address"))?;
        let roots = match &item.ca {
            Some(pem) => given_roots(pem)?,
            None => system_roots()?,
        };
        // Never the process's default, which another part of the process could set.
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Failure::bad_item(format!("TLS cannot be set up: {error}")))?
            .with_root_certificates(roots);
        let config = match (&item.cert, &item.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let chain = certificates("tls.cert", cert)?;
                let key = bounded("tls.key", key.expose()).and_then(|pem| {
                    PrivateKeyDer::from_pem_slice(pem).map_err(|_| none_in("tls.key", "private key"))
                })?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|_| Failure::bad_item("`tls.key` cannot be used, or is not that of `tls.cert`"))?
            }
            _ => return Err(Failure::bad_item("`tls.cert` and `tls.key` are only of use together")),
        };
        Ok(Self { config: Arc::new(config), server_name })
    }

    pub(crate) async fn handshake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsConnector::from(Arc::clone(&self.config)).connect(self.server_name.clone(), stream).await
    }
}

fn given_roots(pem: &str) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("tls.ca", pem)? {
        roots.add(certificate).map_err(|error| {
            let said = quoted(error.to_string().as_bytes());
            Failure::bad_item(format!("`tls.ca` holds a certificate that cannot be used: {said}"))
        })?;
    }
    Ok(roots)
}

/// The authorities that this machine trusts.
fn system_roots() -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    // Some of a system's certificates may be older than today's rules; those that can be used count.
    let (usable, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if usable == 0 {
        return Err(Failure::bad_item("`tls.ca` is left out, and the system of the gateway trusts no authority"));
    }
    Ok(roots)
}

fn certificates(field: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bounded(field, pem)?).collect();
    found.ok().filter(|list| !list.is_empty()).ok_or_else(|| none_in(field, "certificate"))
}

fn bounded<'a>(field: &str, pem: &'a str) -> Result<&'a [u8], Failure> {
    if pem.len() > LONGEST_PEM {
        return Err(Failure::bad_item(format!("`{field}` is longer than {LONGEST_PEM} bytes")));
    }
    Ok(pem.as_bytes())
}

fn none_in(field: &str, what: &str) -> Failure {
    Failure::bad_item(format!("`{field}` holds no {what} in PEM form"))
}
