//! Encryption keys over KMS.

use aws::{Turns, classify};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::{Builder, Region};
use aws_sdk_kms::types::{KeyMetadata, KeySpec, KeyState, KeyUsageType};
use ports::{EncryptionKey, PortError};

use crate::regional::Regional;

const DESCRIBE: &str = "kms:DescribeKey";

/// Reads keys.
#[derive(Debug, Clone)]
pub struct EncryptionKeys {
    clients: Regional<Builder, Client>,
    turns: Turns,
}

impl EncryptionKeys {
    /// Sends nothing.
    #[must_use]
    pub fn new(configuration: &aws::Configuration) -> Self {
        let settings = Builder::from(configuration.sdk()).interceptor(configuration.recorder("kms"));
        let clients = Regional::new(configuration, settings, |settings, region| {
            Client::from_conf(settings.region((!region.is_empty()).then(|| Region::new(region.to_owned()))).build())
        });
        Self { clients, turns: configuration.turns() }
    }
}

impl ports::EncryptionKeys for EncryptionKeys {
    async fn describe(&self, region: &str, key: &str) -> Result<EncryptionKey, PortError> {
        let _turn = self.turns.take().await;
        let answer = self
            .clients
            .of(region)
            .describe_key()
            .key_id(key)
            .send()
            .await
            .map_err(|error| classify(DESCRIBE, error))?;
        let Some(metadata) = answer.key_metadata else {
            return Err(PortError::malformed(DESCRIBE, "the answer has no key"));
        };
        let Some(arn) = metadata.arn.clone().filter(|arn| !arn.is_empty()) else {
            return Err(PortError::malformed(DESCRIBE, "the answer has no ARN"));
        };
        let state = metadata.key_state.as_ref().map(|state| state.as_str().to_owned()).unwrap_or_default();
        Ok(EncryptionKey { arn, enabled: encrypts(&metadata), state })
    }
}

/// EBS takes symmetric keys for encryption, and no others (`API_CreateVolume`, KmsKeyId: "Amazon EBS does not support
/// asymmetric KMS keys").
fn encrypts(key: &KeyMetadata) -> bool {
    key.key_state == Some(KeyState::Enabled)
        && key.key_usage.as_ref().is_none_or(|usage| *usage == KeyUsageType::EncryptDecrypt)
        && key.key_spec.as_ref().is_none_or(|spec| *spec == KeySpec::SymmetricDefault)
}

#[cfg(test)]
mod tests;
