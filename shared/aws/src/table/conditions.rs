//! Expectations in DynamoDB's language of conditions.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use ports::Expect;

/// A condition of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// There is no such item.
    Absent,
    /// The item exists and was written by hand without a version, or with one that is no number, or with 0.
    Unversioned,
    /// The item has this version.
    Version(u64),
    /// Always true.
    Always,
}

impl Condition {
    /// The condition of an expectation; none where anything will do.
    pub(super) fn of(expect: Expect) -> Option<Self> {
        match expect {
            Expect::Absent => Some(Self::Absent),
            Expect::Version(0) => Some(Self::Unversioned),
            Expect::Version(version) => Some(Self::Version(version)),
            Expect::Any => None,
        }
    }

    pub(super) fn expression(&self) -> String {
        match self {
            Self::Absent => "attribute_not_exists(#pk)",
            Self::Unversioned => {
                "attribute_exists(#pk) AND (NOT attribute_type(#version, :number) OR #version = :expected)"
            }
            Self::Version(_) => "#version = :expected",
            Self::Always => "attribute_exists(#pk) OR attribute_not_exists(#pk)",
        }
        .to_owned()
    }

    /// Only those that the expression uses: DynamoDB refuses others.
    pub(super) fn names(&self) -> HashMap<String, String> {
        let names: &[&str] = match self {
            Self::Absent | Self::Always => &["pk"],
            Self::Unversioned => &["pk", "version"],
            Self::Version(_) => &["version"],
        };
        names.iter().map(|name| (format!("#{name}"), (*name).to_owned())).collect()
    }

    pub(super) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        let expected = |version: u64| (":expected".to_owned(), AttributeValue::N(version.to_string()));
        match self {
            Self::Absent | Self::Always => None,
            Self::Unversioned => {
                Some(HashMap::from([(":number".to_owned(), AttributeValue::S("N".to_owned())), expected(0)]))
            }
            Self::Version(version) => Some(HashMap::from([expected(*version)])),
        }
    }
}
