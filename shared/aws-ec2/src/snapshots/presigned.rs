//! The presigned URL by which EC2 in the destination Region reads an encrypted source (`API_CopySnapshot`, PresignedUrl): a
//! CopySnapshot request to the source's Region, signed in its query.

use std::time::{Duration, SystemTime};

use aws_sdk_ec2::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
use aws_sdk_ec2::config::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use form_urlencoded::Serializer;
use ports::{Class, NewCopy, PortError};

use super::COPY;

/// The version of EC2's API that the request inside is of, as for every request of the SDK.
const VERSION: &str = "2016-11-15";
/// How long the URL can be used: an hour, as in the SDKs that make one themselves.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Signs with the credentials of the process.
#[derive(Debug, Clone)]
pub(super) struct Presigner {
    credentials: Option<SharedCredentialsProvider>,
    endpoint: Option<String>,
}

impl Presigner {
    pub(super) fn new(configuration: &aws::Configuration) -> Self {
        let sdk = configuration.sdk();
        Self { credentials: sdk.credentials_provider(), endpoint: sdk.endpoint_url().map(str::to_owned) }
    }

    /// The URL for a copy into `destination`. No header is signed but the host: a signed content type would make EC2 refuse it.
    pub(super) async fn copy(&self, copy: &NewCopy, destination: &str, now: SystemTime) -> Result<String, PortError> {
        let credentials = self.credentials.as_ref().ok_or_else(|| failed("NotSent", "there are no credentials"))?;
        let credentials = credentials.provide_credentials().await.map_err(|error| failed("NotSent", error))?;
        let identity = credentials.into();
        let host = self.source_endpoint(&copy.source_region).await?;
        let query = Serializer::new(String::new())
            .append_pair("Action", "CopySnapshot")
            .append_pair("Version", VERSION)
            .append_pair("SourceRegion", &copy.source_region)
            .append_pair("SourceSnapshotId", &copy.source)
            .append_pair("DestinationRegion", destination)
            .finish();
        let url = format!("{}/?{query}", host.trim_end_matches('/'));

        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(LIFETIME);
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&copy.source_region)
            .name("ec2")
            .time(now)
            .settings(settings)
            .build()
            .map_err(|error| failed("RequestNotBuilt", error))?
            .into();
        let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(&[]))
            .map_err(|error| failed("RequestNotBuilt", error))?;
        let (instructions, _) =
            sign(request, &parameters).map_err(|error| failed("RequestNotBuilt", error))?.into_parts();
        let (_, signed) = instructions.into_parts();
        let signature = Serializer::new(String::new()).extend_pairs(signed).finish();
        Ok(format!("{url}&{signature}"))
    }

    async fn source_endpoint(&self, region: &str) -> Result<String, PortError> {
        let parameters = Params::builder()
            .region(region)
            .set_endpoint(self.endpoint.clone())
            .build()
            .map_err(|error| failed("RequestNotBuilt", error))?;
        let endpoint =
            DefaultResolver::new().resolve_endpoint(&parameters).await.map_err(|e| failed("RequestNotBuilt", e))?;
        Ok(endpoint.url().to_owned())
    }
}

/// Nothing was sent.
fn failed(code: &str, cause: impl ToString) -> PortError {
    let class = if code == "NotSent" { Class::Unavailable } else { Class::Invalid };
    PortError { call: COPY, class, code: code.to_owned(), message: format!("no presigned URL: {}", cause.to_string()) }
}
