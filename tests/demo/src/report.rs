//! What a run of a function says, read as any caller would read it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The conditions in the order in which one thing leads to the next.
const ORDER: [&str; 6] = ["PeeringAccepted", "RouteReady", "NameResolves", "AddressAllowed", "Registered", "Healthy"];

/// A report of one invocation.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    pub(crate) passes: u32,
    pub(crate) clusters: Vec<Cluster>,
}

/// One cluster's part of it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Cluster {
    pub(crate) outcome: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) conditions: BTreeMap<String, Condition>,
    pub(crate) actions: Vec<Action>,
}

/// What is known about one question.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Condition {
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// Conditions with one status and one reason, or all that hold.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub(crate) status: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) names: Vec<&'a str>,
    /// What is said of it, where it is one alone.
    pub(crate) message: Option<&'a str>,
}

/// Something that was done.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Action {
    #[serde(rename = "do")]
    pub(crate) verb: String,
    pub(crate) on: String,
    pub(crate) result: Value,
}

impl Cluster {
    /// `changed PrimaryRegistered: registered 10.9.0.5:5432`.
    pub(crate) fn headline(&self) -> String {
        let colon = if self.message.is_empty() { "" } else { ": " };
        format!("{} {}{colon}{}", self.outcome, self.reason, self.message)
    }

    /// Whether it ended so.
    pub(crate) fn ended(&self, outcome: &str, reason: &str) -> bool {
        self.outcome == outcome && self.reason == reason
    }

    /// Whether these actions were done, in this order, and no others.
    pub(crate) fn did(&self, verbs: &[&str]) -> bool {
        self.actions.iter().all(|a| a.result == "done")
            && self.actions.iter().map(|a| a.verb.as_str()).eq(verbs.iter().copied())
    }

    /// The status of a condition, `-` when there is none.
    pub(crate) fn status(&self, condition: &str) -> &str {
        self.conditions.get(condition).map_or("-", |c| c.status.as_str())
    }

    /// The conditions by status and reason, each group where its first condition stands.
    pub(crate) fn groups(&self) -> Vec<Group<'_>> {
        let mut all: Vec<(&str, &Condition)> = self.conditions.iter().map(|(name, c)| (name.as_str(), c)).collect();
        all.sort_by_key(|(name, _)| ORDER.iter().position(|known| known == name).unwrap_or(ORDER.len()));
        let mut groups: Vec<Group<'_>> = Vec::new();
        for (name, Condition { status, reason, message }) in all {
            let reason = if status == "true" { "" } else { reason.as_str() };
            match groups.iter_mut().find(|g| g.status == status && g.reason == reason) {
                Some(group) => {
                    group.names.push(name);
                    group.message = None;
                }
                None => groups.push(Group { status, reason, names: vec![name], message: Some(message) }),
            }
        }
        groups
    }
}

impl Action {
    /// `done`, or `failed` with its error.
    pub(crate) fn result(&self) -> String {
        match &self.result {
            Value::String(word) => word.clone(),
            other => other.to_string(),
        }
    }
}
