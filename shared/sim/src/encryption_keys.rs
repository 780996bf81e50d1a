//! KMS keys.
//!
//! Held here (`API_DescribeKey`; KMS developer guide, "Key states"): a key is named by its id, its ARN or an alias; one that is
//! disabled or pending deletion is told as such, and encrypts nothing.

use std::collections::BTreeMap;

use ports::{Class, EncryptionKey, PortError};

use crate::calls::Happened;
use crate::client::{Client, Kind};
use crate::world::State;

const DESCRIBE: &str = "kms:DescribeKey";

/// The keys of all Regions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    /// By Region and ARN: KMS's word for its state.
    states: BTreeMap<(String, String), String>,
    /// By Region and alias or id: the ARN.
    names: BTreeMap<(String, String), String>,
}

impl Keys {
    /// The ARN of what is named so in a Region.
    pub(crate) fn arn(&self, region: &str, name: &str) -> Option<String> {
        let place = (region.to_owned(), name.to_owned());
        if self.states.contains_key(&place) { Some(place.1) } else { self.names.get(&place).cloned() }
    }

    fn get(&self, region: &str, name: &str) -> Option<EncryptionKey> {
        if is_awss_own(name) {
            return Some(EncryptionKey { enabled: true, arn: name.to_owned(), state: "Enabled".to_owned() });
        }
        let arn = self.arn(region, name)?;
        let state = self.states.get(&(region.to_owned(), arn.clone()))?.clone();
        Some(EncryptionKey { enabled: state == "Enabled", arn, state })
    }

    /// Whether something can be encrypted with a key. AWS's own always can.
    pub(crate) fn enabled(&self, region: &str, name: &str) -> bool {
        self.get(region, name).is_some_and(|key| key.enabled)
    }
}

/// `aws/ebs`, with which EBS encrypts where no key is named.
fn is_awss_own(name: &str) -> bool {
    name.ends_with(":key/aws-ebs")
}

impl State {
    /// A key appears in a Region, enabled. Gives its ARN.
    pub fn put_key(&mut self, region: &str, alias: &str) -> String {
        let region = self.stored.region_name(region).to_owned();
        let id = format!("key-{}", self.keys.states.len() + 1);
        let arn = format!("arn:aws:kms:{region}:999900001111:key/{id}");
        for name in [alias.to_owned(), id] {
            self.keys.names.insert((region.clone(), name), arn.clone());
        }
        self.keys.states.insert((region, arn.clone()), "Enabled".to_owned());
        arn
    }

    /// Somebody changes a key's state: `Disabled`, `PendingDeletion`, `Enabled`.
    pub fn set_key(&mut self, region: &str, name: &str, word: &str) {
        let region = self.stored.region_name(region).to_owned();
        if let Some(arn) = self.keys.arn(&region, name) {
            self.keys.states.insert((region, arn), word.to_owned());
        }
    }
}

/// The port.
#[derive(Debug, Clone)]
pub struct EncryptionKeys(Client);

impl EncryptionKeys {
    /// A process's way to it.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }
}

impl ports::EncryptionKeys for EncryptionKeys {
    async fn describe(&self, region: &str, key: &str) -> Result<EncryptionKey, PortError> {
        self.0
            .call(DESCRIBE, Kind::Consistent, |state, _| match state.keys.get(state.stored.region_name(region), key) {
                Some(found) => (Ok(found.clone()), Happened::KeyRead(found)),
                None => {
                    let (code, message) = ("NotFoundException".to_owned(), format!("Key '{key}' does not exist"));
                    let happened = Happened::Refused(format!("{code}: {message}"));
                    (Err(PortError { call: DESCRIBE, class: Class::NotFound, code, message }), happened)
                }
            })
            .await
    }
}
