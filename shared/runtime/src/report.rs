//! What a function answers and logs about a run.

use std::collections::BTreeMap;

use domain::condition::{Condition, ConditionKind, Conditions, Status};
use domain::reason::Reason;
use ports::{CallCounts, PortError};
use serde::{Serialize, Serializer};

use crate::envelope::Look;
use crate::telemetry::calls_field;

/// How a pass ended for one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Nothing was to be done.
    Unchanged,
    /// Something was done.
    Changed,
    /// It will settle by itself.
    Waiting,
    /// Someone must act: the reason says who and what.
    Blocked,
    /// This pass could not finish for it.
    Failed,
}

impl Outcome {
    /// The outcome's name as reports print it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Changed => "changed",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Failed => "failed",
        }
    }
}

/// What came of one action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionResult {
    /// It was done.
    Done,
    /// A dry run: it would be done.
    Planned,
    /// It was held back: by a brake, a pause or the safety gate.
    Held,
    /// It was not tried, because an earlier one failed or time ran out.
    Skipped,
    /// It failed, with the error.
    Failed(String),
}

impl std::fmt::Display for ActionResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Planned => f.write_str("planned"),
            Self::Held => f.write_str("held back"),
            Self::Skipped => f.write_str("skipped"),
            Self::Failed(message) => write!(f, "failed: {message}"),
        }
    }
}

/// One action of a cluster's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActionReport {
    /// The action: `RegisterTarget`, `CreateRoute`, ...
    #[serde(rename = "do")]
    pub action: &'static str,
    /// On what.
    pub on: String,
    /// What came of it.
    pub result: ActionResult,
}

/// One cluster's part of a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClusterReport {
    /// The cluster.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// The particulars.
    pub message: String,
    /// What is known of it.
    #[serde(serialize_with = "by_name")]
    pub conditions: Conditions,
    /// What was done, or would be.
    pub actions: Vec<ActionReport>,
}

impl ClusterReport {
    /// A report without conditions and actions.
    #[must_use]
    pub fn plain(name: &str, outcome: Outcome, reason: Reason, message: String) -> Self {
        let (name, conditions, actions) = (name.to_owned(), Conditions::new(), Vec::new());
        Self { name, outcome, reason, message, conditions, actions }
    }

    /// One wide log line, for a cluster that is not settled.
    pub fn log(&self, function: &str, generation: u64) {
        let actions: Vec<String> =
            self.actions.iter().map(|a| format!("{} {}: {}", a.action, a.on, a.result)).collect();
        let conditions: Vec<String> = self
            .conditions
            .iter()
            .filter(|(_, c)| c.status != Status::True)
            .map(|(kind, c)| format!("{}={}/{}", kind.name(), c.status, c.reason))
            .collect();
        tracing::info!(
            function,
            cluster = self.name,
            generation,
            outcome = self.outcome.name(),
            reason = self.reason.code(),
            detail = self.message,
            actions = actions.join("; "),
            conditions = conditions.join(" "),
            "cluster"
        );
    }
}

/// The log line of a pass, the `number`th of its invocation.
pub fn log_pass(
    function: &str,
    look: &Look,
    number: u32,
    result: Result<&[ClusterReport], &PortError>,
    calls: &CallCounts,
) {
    let calls = calls_field(calls);
    match result {
        Ok(clusters) => {
            let of = |outcome: Outcome| clusters.iter().filter(|c| c.outcome == outcome).count();
            tracing::info!(
                function,
                source = look.source,
                pass = number,
                dry_run = look.dry_run,
                clusters = clusters.len(),
                unchanged = of(Outcome::Unchanged),
                changed = of(Outcome::Changed),
                waiting = of(Outcome::Waiting),
                blocked = of(Outcome::Blocked),
                failed = of(Outcome::Failed),
                calls,
                "pass"
            );
        }
        Err(error) => tracing::error!(function, source = look.source, pass = number, %error, calls, "pass failed"),
    }
}

fn by_name<S: Serializer>(conditions: &BTreeMap<ConditionKind, Condition>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(conditions.iter().map(|(kind, condition)| (kind.name(), condition)))
}

/// A report of one invocation.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// The function.
    pub function: &'static str,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// How many passes were made.
    pub passes: u32,
    /// Clusters by outcome, in the last pass.
    pub counts: BTreeMap<&'static str, u64>,
    /// The clusters worth a line: all that were asked for by name, otherwise those that were not `unchanged` in the
    /// last pass, or changed in an earlier one.
    pub clusters: Vec<ClusterReport>,
    /// Requests sent, by kind.
    pub api_calls: CallCounts,
    /// Why the payload was no wake-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored: Option<Ignored>,
    /// The report as a person reads it, a line each. On dry runs and when one cluster was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<String>,
}

/// Why a payload was ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// The field at fault; empty for the payload as a whole.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Report {
    /// The report on a payload that was no wake-up.
    #[must_use]
    pub fn ignored(function: &'static str, path: String, problem: String) -> Self {
        Self {
            function,
            counts: BTreeMap::from([("ignored", 1)]),
            ignored: Some(Ignored { path, problem }),
            ..Self::default()
        }
    }

    /// Fills in `text`.
    #[must_use]
    pub fn with_text(mut self) -> Self {
        self.text = self.clusters.iter().flat_map(cluster_lines).collect();
        if self.text.is_empty() {
            self.text.push("Nothing to do.".to_owned());
        }
        self
    }
}

fn cluster_lines(cluster: &ClusterReport) -> Vec<String> {
    let mut lines =
        vec![format!("{}: {} ({}). {}", cluster.name, cluster.outcome.name(), cluster.reason, cluster.message)];
    for action in &cluster.actions {
        let result = match &action.result {
            ActionResult::Planned => "would be done".to_owned(),
            other => other.to_string(),
        };
        lines.push(format!("  {} {}: {result}", action.action, action.on));
    }
    for (kind, condition) in &cluster.conditions {
        lines.push(format!("  {} is {} ({}): {}", kind.name(), condition.status, condition.reason, condition.message));
        if condition.status != Status::True && !condition.reason.remedy().is_empty() {
            lines.push(format!("    remedy: {}", condition.reason.remedy()));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_has_the_shape_of_the_contract() {
        let report = Report {
            function: "peering-watcher",
            passes: 1,
            counts: BTreeMap::from([("changed", 1)]),
            clusters: vec![ClusterReport {
                name: "acme-prod".to_owned(),
                outcome: Outcome::Changed,
                reason: Reason::PrimaryRegistered,
                message: "m".to_owned(),
                conditions: Conditions::from([(
                    ConditionKind::PeeringAccepted,
                    Condition {
                        status: domain::condition::Status::True,
                        reason: Reason::Active,
                        message: "pcx-1".to_owned(),
                        since: jiff::Timestamp::UNIX_EPOCH,
                    },
                )]),
                actions: vec![
                    ActionReport {
                        action: "RegisterTarget",
                        on: "10.9.0.5:5432".to_owned(),
                        result: ActionResult::Done,
                    },
                    ActionReport {
                        action: "DeregisterTarget",
                        on: "10.9.0.6:5432".to_owned(),
                        result: ActionResult::Failed("elb: denied".to_owned()),
                    },
                ],
            }],
            api_calls: CallCounts::from([("ec2:DescribeVpcPeeringConnections".to_owned(), 1)]),
            ..Report::default()
        };
        assert_eq!(
            serde_json::to_value(&report).unwrap(),
            json!({"function": "peering-watcher", "dry_run": false, "passes": 1, "counts": {"changed": 1},
                "clusters": [{"name": "acme-prod", "outcome": "changed", "reason": "PrimaryRegistered", "message": "m",
                    "conditions": {"PeeringAccepted": {"status": "true", "reason": "Active", "message": "pcx-1", "since": "1970-01-01T00:00:00Z"}},
                    "actions": [{"do": "RegisterTarget", "on": "10.9.0.5:5432", "result": "done"},
                        {"do": "DeregisterTarget", "on": "10.9.0.6:5432", "result": {"failed": "elb: denied"}}]}],
                "api_calls": {"ec2:DescribeVpcPeeringConnections": 1}})
        );
    }
}
