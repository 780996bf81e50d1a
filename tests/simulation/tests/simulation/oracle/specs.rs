//! What was asked for when: every version of every cluster's record.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::spec::{ClusterSpec, Endpoint, PeeringSpec, Primary};
use jiff::Timestamp;
use ports::{Item, Key};
use runtime::records::{ClusterRecord, Stored};
use serde_json::Value;

/// One version of a record.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) from: Timestamp,
    pub(crate) until: Option<Timestamp>,
    /// `None`: there is no such cluster.
    pub(crate) record: Option<Arc<ClusterRecord>>,
    pub(crate) spec: Option<Arc<ClusterSpec>>,
}

impl Version {
    /// What the version asks for. A deleted cluster asks for nothing.
    pub(crate) fn primary(&self) -> Option<&Primary> {
        let living = self.record.as_ref().is_some_and(|record| record.tombstone.is_none());
        self.spec.as_ref().filter(|_| living)?.primary.as_ref()
    }

    pub(crate) fn endpoint(&self, arn: &str) -> Option<(&Primary, &Endpoint)> {
        let primary = self.primary()?;
        let endpoint = primary.endpoints.iter().find(|e| e.target_group_arn.as_str() == arn)?;
        Some((primary, endpoint))
    }

    pub(crate) fn peering(&self, id: &str) -> Option<&PeeringSpec> {
        self.primary()?.peerings.iter().find(|p| p.connection_id.as_str() == id)
    }

    /// Whether it was deleted, with everything to be taken down.
    pub(crate) fn torn_down(&self) -> bool {
        let teardown = self.spec.as_ref().is_some_and(|s| s.deletion == domain::spec::Deletion::Teardown);
        teardown && self.record.as_ref().is_some_and(|record| record.tombstone.is_some())
    }
}

/// All versions, by cluster, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct SpecBook(BTreeMap<String, Vec<Version>>);

impl SpecBook {
    pub(super) fn written(&mut self, cluster: &str, body: Option<&Value>, now: Timestamp) {
        let item = body.map(|body| Item { key: Key::new("cluster", cluster), version: 1, body: body.clone() });
        let record = item.and_then(|item| ClusterRecord::read(&item).ok());
        let spec = record.as_ref().and_then(|record| match record.read_spec() {
            Stored::Spec(spec) => Some(Arc::new(*spec)),
            Stored::Newer(_) | Stored::Unreadable(_) => None,
        });
        let versions = self.0.entry(cluster.to_owned()).or_default();
        if let Some(last) = versions.last_mut() {
            last.until = Some(now);
        }
        versions.push(Version { from: now, until: None, record: record.map(Arc::new), spec });
    }

    /// The clusters that ever were.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The versions of a cluster that were the present one at some time since then.
    pub(crate) fn since(&self, cluster: &str, then: Timestamp) -> Vec<Version> {
        let versions = self.0.get(cluster).map(Vec::as_slice).unwrap_or_default();
        versions.iter().filter(|v| v.until.is_none_or(|until| until >= then)).cloned().collect()
    }

    /// The present version.
    pub(crate) fn now(&self, cluster: &str) -> Option<&Version> {
        self.0.get(cluster)?.last()
    }
}
