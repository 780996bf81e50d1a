//! Conditions: what is known of a cluster, one line for each question, with the time since when.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::reason::Reason;

/// The answer to a condition's question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Yes.
    True,
    /// No.
    False,
    /// It could not be found out, or it is too early to say.
    Unknown,
}

impl Status {
    /// The worse of two answers: no, then unknown, then yes.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::True, Self::True) => Self::True,
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::True => "true",
            Self::False => "false",
            Self::Unknown => "unknown",
        })
    }
}

/// The questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConditionKind {
    /// Is the peering active, and with whom the spec says?
    PeeringAccepted,
    /// Do our route tables lead to the peer's blocks?
    RouteReady,
    /// Does the name of the primary resolve?
    NameResolves,
    /// May the answered address be registered?
    AddressAllowed,
    /// Is it registered in the target group, and nothing else of ours?
    Registered,
    /// Does the load balancer find it healthy?
    Healthy,
    /// Does a PostgreSQL server answer there, as seen from inside the VPC?
    Reachable,
    /// Is that server the writer, and no standby?
    IsWriter,
    /// Can that server serve logical replication? It is for information: no outcome follows from it.
    ReplicationReady,
    /// Are the Auto Scaling group and its hooks as they must be?
    GroupReady,
    /// Does one node lead, and do enough standbys stream from it?
    PatroniHealthy,
    /// Do all of etcd's voters answer, as many as the spec asks for?
    EtcdHealthy,
    /// Does no node wait in a lifecycle hook, or retained?
    NodesSettled,
    /// Is the newest good restore point young enough?
    RestorePointRecent,
    /// Was the restore point of the newest time of the schedule taken, and is it whole?
    RestorePointTaken,
    /// Does every Region of the spec hold a copy that is young enough?
    CopiesRecent,
    /// Are restore points kept and deleted as the policy says?
    RetentionInOrder,
    /// A question of a version that this one does not know.
    #[serde(other)]
    Unrecognized,
}

impl ConditionKind {
    /// The question's name as reports print it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PeeringAccepted => "PeeringAccepted",
            Self::RouteReady => "RouteReady",
            Self::NameResolves => "NameResolves",
            Self::AddressAllowed => "AddressAllowed",
            Self::Registered => "Registered",
            Self::Healthy => "Healthy",
            Self::Reachable => "Reachable",
            Self::IsWriter => "IsWriter",
            Self::ReplicationReady => "ReplicationReady",
            Self::GroupReady => "GroupReady",
            Self::PatroniHealthy => "PatroniHealthy",
            Self::EtcdHealthy => "EtcdHealthy",
            Self::NodesSettled => "NodesSettled",
            Self::RestorePointRecent => "RestorePointRecent",
            Self::RestorePointTaken => "RestorePointTaken",
            Self::CopiesRecent => "CopiesRecent",
            Self::RetentionInOrder => "RetentionInOrder",
            Self::Unrecognized => "Unrecognized",
        }
    }
}

/// A condition as found in one pass, not yet with a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The answer.
    pub status: Status,
    /// Why.
    pub reason: Reason,
    /// The particulars, for a person. Holds nothing that changes while the situation does not (no ages, no counts of
    /// passes): a changed message is written to the table, and a settled cluster costs no write.
    pub message: String,
}

impl Finding {
    /// Yes.
    #[must_use]
    pub fn yes(reason: Reason, message: impl Into<String>) -> Self {
        Self { status: Status::True, reason, message: message.into() }
    }

    /// No.
    #[must_use]
    pub fn no(reason: Reason, message: impl Into<String>) -> Self {
        Self { status: Status::False, reason, message: message.into() }
    }

    /// Not known.
    #[must_use]
    pub fn unknown(reason: Reason, message: impl Into<String>) -> Self {
        Self { status: Status::Unknown, reason, message: message.into() }
    }
}

/// A condition with the time of its last transition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The answer.
    pub status: Status,
    /// Why.
    pub reason: Reason,
    /// The particulars.
    pub message: String,
    /// When the status or the reason last changed.
    pub since: jiff::Timestamp,
}

/// The conditions of one cluster.
pub type Conditions = BTreeMap<ConditionKind, Condition>;

/// A change of a condition's status or reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Which condition.
    pub kind: ConditionKind,
    /// What it was; `None` where nothing was known.
    pub from: Option<Status>,
    /// What it is.
    pub to: Condition,
}

/// Folds the findings of a pass into the known conditions. A condition keeps its time while its status and its reason
/// stay. A condition that no finding speaks of any more is dropped. Gives the new conditions and what changed.
#[must_use]
pub fn settle(
    known: &Conditions,
    findings: &BTreeMap<ConditionKind, Finding>,
    now: jiff::Timestamp,
) -> (Conditions, Vec<Transition>) {
    let mut transitions = Vec::new();
    let conditions = findings
        .iter()
        .map(|(&kind, finding)| {
            let before = known.get(&kind);
            let same = before.filter(|c| c.status == finding.status && c.reason == finding.reason);
            let condition = Condition {
                status: finding.status,
                reason: finding.reason,
                message: finding.message.clone(),
                since: same.map_or(now, |c| c.since),
            };
            if same.is_none() {
                transitions.push(Transition { kind, from: before.map(|c| c.status), to: condition.clone() });
            }
            (kind, condition)
        })
        .collect();
    (conditions, transitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(second).unwrap()
    }

    fn found(finding: Finding) -> BTreeMap<ConditionKind, Finding> {
        BTreeMap::from([(ConditionKind::NameResolves, finding)])
    }

    #[test]
    fn time_is_kept_until_status_or_reason_changes() {
        let (first, changes) = settle(&Conditions::new(), &found(Finding::yes(Reason::Resolved, "a")), at(10));
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].from, None);

        let (second, changes) = settle(&first, &found(Finding::yes(Reason::Resolved, "b")), at(20));
        assert_eq!(changes, []);
        assert_eq!(second[&ConditionKind::NameResolves].since, at(10));
        assert_eq!(second[&ConditionKind::NameResolves].message, "b");

        let (third, changes) = settle(&second, &found(Finding::no(Reason::NxDomain, "c")), at(30));
        assert_eq!(changes[0].from, Some(Status::True));
        assert_eq!(third[&ConditionKind::NameResolves].since, at(30));

        let (fourth, changes) = settle(&third, &found(Finding::no(Reason::ServFail, "c")), at(40));
        assert_eq!(changes.len(), 1, "another reason is another situation");
        assert_eq!(fourth[&ConditionKind::NameResolves].since, at(40));
    }

    #[test]
    fn a_question_that_is_no_longer_asked_is_dropped() {
        let (known, _) = settle(&Conditions::new(), &found(Finding::yes(Reason::Resolved, "a")), at(10));
        let (conditions, changes) = settle(&known, &BTreeMap::new(), at(20));
        assert!(conditions.is_empty());
        assert_eq!(changes, []);
    }
}
