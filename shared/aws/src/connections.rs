//! The HTTP client under all SDK clients of a process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

type Timeouts = (Option<Duration>, Option<Duration>);

/// One pool of connections, built at first use.
///
/// The SDK's own default client parses the system's root certificates at the construction of every client, which is at
/// the start of a function, where nothing may be slow. This one parses them once, when the first call is made, and
/// lets the clients share connections. Like the default one it honours `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections(Arc<Mutex<BTreeMap<Timeouts, SharedHttpConnector>>>);

impl Connections {
    /// The connector with these time-outs.
    pub(crate) fn connector(&self, settings: &HttpConnectorSettings) -> SharedHttpConnector {
        let mut connectors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connectors
            .entry((settings.connect_timeout(), settings.read_timeout()))
            .or_insert_with(|| {
                SharedHttpConnector::new(
                    Connector::builder()
                        .connector_settings(settings.clone())
                        .proxy_config(ProxyConfig::from_env())
                        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
                        .build(),
                )
            })
            .clone()
    }

    /// How many connectors there are.
    #[cfg(test)]
    pub(crate) fn built(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl HttpClient for Connections {
    fn http_connector(&self, settings: &HttpConnectorSettings, _components: &RuntimeComponents) -> SharedHttpConnector {
        self.connector(settings)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("hyper", Some("1.x".into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_connector_for_each_setting_and_none_before_first_use() {
        let connections = Connections::default();
        assert_eq!(connections.built(), 0);
        let settings = HttpConnectorSettings::builder().connect_timeout(Duration::from_secs(2)).build();
        connections.connector(&settings);
        let clone = connections.clone();
        clone.connector(&settings);
        assert_eq!(connections.built(), 1);
        connections.connector(&HttpConnectorSettings::builder().build());
        assert_eq!(connections.built(), 2);
    }
}
