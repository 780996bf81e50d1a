//! How a TLS connection to a node is made.

use schemars::JsonSchema;
use serde::Serialize;

use super::reader::{Fields, Section, text};
use crate::names::{Host, SecretId};

/// TLS towards PostgreSQL, Patroni or etcd. Each secret holds PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Tls {
    /// Secret with the certificate authority to trust. Left out: the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_secret: Option<SecretId>,
    /// Secret with our client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret: Option<SecretId>,
    /// Secret with the client certificate's private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_secret: Option<SecretId>,
    /// The name that the server's certificate must have. Left out: the host that is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<Host>,
}

impl Section for Tls {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let ca_secret = fields.optional("ca_secret", text);
        let cert_secret = fields.optional("cert_secret", text);
        let key_secret = fields.optional("key_secret", text);
        let server_name = fields.optional("server_name", text);
        Some(Self {
            ca_secret: ca_secret?,
            cert_secret: cert_secret?,
            key_secret: key_secret?,
            server_name: server_name?,
        })
    }
}
