//! What every client of a process is made from.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_smithy_runtime_api::client::http::HttpClient;
use ports::CallLog;

use crate::calls::CallRecorder;
use crate::connections::Connections;
use crate::turns::Turns;

/// How long a connection may take to open.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// How long one attempt of a call may take.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(4);
/// How long a call may take with its retry and the pause before it: no call outlasts 10 s.
pub(crate) const CALL_LIMIT: Duration = Duration::from_secs(9);
/// The first attempt and one retry. More would not fit into `CALL_LIMIT`, and the next pass is the better retry.
const ATTEMPTS: u32 = 2;

/// The settings that all SDK clients share: Region, credentials, endpoints, time-outs, retries and connections.
#[derive(Debug, Clone)]
pub struct Configuration {
    sdk: SdkConfig,
    connections: Connections,
    calls: CallLog,
    turns: Turns,
}

impl Configuration {
    /// Reads the SDK's own variables and profile files (`AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_PROFILE`, ...). Nothing is
    /// sent: credentials are looked for at the first call, and the Region is never asked of the instance metadata
    /// service, which a Lambda does not have and where the question takes seconds. Calls are counted in `calls`.
    pub async fn load(calls: &CallLog) -> Self {
        let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .region()
            .await;
        Self::in_region(region, calls).await
    }

    async fn in_region(region: Option<Region>, calls: &CallLog) -> Self {
        let connections = Connections::default();
        let mut loader = loader(connections.clone()).region(region.clone());
        if region.is_none() {
            // No call can be made, and the chain of credentials would ask the metadata service for a Region here and now.
            tracing::error!("no AWS Region: set AWS_REGION");
            loader = loader.no_credentials();
        }
        Self { sdk: loader.load().await, connections, calls: calls.clone(), turns: Turns::default() }
    }

    /// What the builder of an SDK client's configuration is made from.
    #[must_use]
    pub fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    /// The interceptor that every SDK client must carry. `prefix` is the service's prefix in IAM actions.
    #[must_use]
    pub fn recorder(&self, prefix: &'static str) -> CallRecorder {
        CallRecorder::new(self.calls.clone(), prefix)
    }

    /// What every call must take a turn of: all clients of the process share them.
    #[must_use]
    pub fn turns(&self) -> Turns {
        self.turns.clone()
    }

    /// The Region, for example `eu-central-1`. None where neither the environment nor a profile names one: every call
    /// fails then.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.sdk.region().map(AsRef::as_ref)
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }

    pub(crate) fn calls(&self) -> &CallLog {
        &self.calls
    }

    /// The production settings over real HTTP, towards a server that stands for AWS (`http://127.0.0.1:5000`): for tests that
    /// must not read the environment.
    #[cfg(any(test, feature = "wire"))]
    pub async fn at(endpoint: &str, region: &str, calls: &CallLog) -> Self {
        let connections = Connections::default();
        let credentials = aws_sdk_dynamodb::config::Credentials::new("AKIDEXAMPLE", "not-a-secret", None, None, "test");
        let sdk = loader(connections.clone())
            .region(Region::new(region.to_owned()))
            .credentials_provider(aws_sdk_dynamodb::config::SharedCredentialsProvider::new(credentials))
            .endpoint_url(endpoint)
            .load()
            .await;
        Self { sdk, connections, calls: calls.clone(), turns: Turns::default() }
    }

    #[cfg(any(test, feature = "wire"))]
    pub(crate) fn over(sdk: SdkConfig, calls: &CallLog) -> Self {
        Self { sdk, connections: Connections::default(), calls: calls.clone(), turns: Turns::default() }
    }
}

/// The settings that do not come from the environment.
pub(crate) fn loader(client: impl HttpClient + 'static) -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(client)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_LIMIT)
                .operation_attempt_timeout(ATTEMPT_LIMIT)
                .operation_timeout(CALL_LIMIT)
                .build(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ports::{CallCounts, Class, Key, Table as _};

    #[tokio::test]
    async fn w7_no_call_outlasts_ten_seconds() {
        let configuration = Configuration::load(&CallLog::default()).await;
        let timeouts = configuration.sdk().timeout_config().unwrap();
        assert_eq!(timeouts.connect_timeout(), Some(Duration::from_secs(2)));
        assert_eq!(timeouts.operation_attempt_timeout(), Some(Duration::from_secs(4)));
        assert_eq!(timeouts.operation_timeout(), Some(Duration::from_secs(9)));
        let retries = configuration.sdk().retry_config().unwrap();
        assert_eq!(retries.max_attempts(), 2);
    }

    #[tokio::test]
    async fn nothing_is_connected_to_at_start() {
        for region in [Some(Region::from_static("eu-central-1")), None] {
            let configuration = Configuration::in_region(region.clone(), &CallLog::default()).await;
            let table = crate::Table::new(&configuration, "pilothouse".to_owned());
            assert_eq!(configuration.connections().built(), 0, "{region:?}");
            assert_eq!(configuration.region(), region.as_ref().map(AsRef::as_ref));
            if region.is_none() {
                let error = table.get(&Key::new("a", "b")).await.unwrap_err();
                assert_eq!((error.class, error.code.as_str()), (Class::Unavailable, "NotSent"), "{error}");
                assert_eq!(configuration.calls().take(), CallCounts::default());
            }
        }
    }

    #[tokio::test]
    async fn every_client_gets_the_shared_connections() {
        let configuration = Configuration::load(&CallLog::default()).await;
        let client = format!("{:?}", configuration.sdk().http_client());
        assert!(client.contains("Connections"), "{client}");
    }
}
