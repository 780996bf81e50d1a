//! Which cluster, if any, a `PhysicalResourceId` names.

use domain::names::ClusterName;
use jiff::Timestamp;

/// What an id names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PhysicalId {
    /// A cluster that a Create or an Update of ours made or took over.
    Cluster(String),
    /// A Create that failed and certainly made nothing. Its rollback's Delete has nothing to delete, above all not the
    /// other owner's cluster because of which the Create failed.
    FailedCreate,
    /// A Create that failed without knowing whether the cluster was made (the table gave no answer). If it was, the
    /// cluster has exactly this time of creation; one with any other time is somebody's who was there before or after.
    UnfinishedCreate {
        /// The name.
        name: String,
        /// The time that the attempt would have written.
        created_at: Timestamp,
    },
    /// An id that was never ours. CloudFormation makes one up where it has had no answer: a Create that was cancelled
    /// because another resource failed is deleted under such an id although the cluster may have been made
    /// (cloudformation-coverage-roadmap, issue 1814). The properties then tell the name.
    MadeUp,
}

const FAILED: &str = "pilothouse-failed-create:";
const UNFINISHED: &str = "pilothouse-unfinished-create:";

impl PhysicalId {
    /// Reads an id.
    #[must_use]
    pub fn read(id: &str) -> Self {
        if id.starts_with(FAILED) {
            return Self::FailedCreate;
        }
        if let Some((name, at)) = id.strip_prefix(UNFINISHED).and_then(|rest| rest.split_once('@')) {
            return match (ClusterName::try_from(name), at.parse()) {
                (Ok(name), Ok(created_at)) => Self::UnfinishedCreate { name: name.as_str().to_owned(), created_at },
                _ => Self::FailedCreate,
            };
        }
        match ClusterName::try_from(id) {
            Ok(name) => Self::Cluster(name.as_str().to_owned()),
            Err(_) => Self::MadeUp,
        }
    }
}

/// The id of a Create that made nothing. Never empty: CloudFormation refuses an answer without an id and then hides the
/// reason.
#[must_use]
pub fn failed_create(name: Option<&str>) -> String {
    format!("{FAILED}{}", name.unwrap_or("unnamed"))
}

/// The id of a Create of which nobody knows whether it made `name`.
#[must_use]
pub fn unfinished_create(name: &str, created_at: Timestamp) -> String {
    format!("{UNFINISHED}{name}@{created_at}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_apart() {
        let at: Timestamp = "2026-11-20T06:00:00.123456789Z".parse().unwrap();
        let cases = [
            ("acme-prod".to_owned(), PhysicalId::Cluster("acme-prod".to_owned())),
            (failed_create(Some("acme-prod")), PhysicalId::FailedCreate),
            (failed_create(None), PhysicalId::FailedCreate),
            (unfinished_create("acme", at), PhysicalId::UnfinishedCreate { name: "acme".to_owned(), created_at: at }),
            ("pilothouse-unfinished-create:acme@yesterday".to_owned(), PhysicalId::FailedCreate),
            ("mystack-Cluster-1ABC2DEF3".to_owned(), PhysicalId::MadeUp),
            ("2026/11/20/[$LATEST]0123".to_owned(), PhysicalId::MadeUp),
        ];
        for (id, expected) in cases {
            assert_eq!(PhysicalId::read(&id), expected, "{id}");
        }
    }
}
