//! What a test reads back.

use serde_json::Value;
use stack::Call;

use crate::Scene;

/// A condition of a cluster's part of a report, `true Active`; `-` where there is none.
pub fn condition(cluster: &Value, name: &str) -> String {
    let found = cluster.pointer(&format!("/conditions/{name}"));
    found.map_or_else(|| "-".to_owned(), |c| format!("{} {}", text(&c["status"]), text(&c["reason"])))
}

/// A string; anything else as JSON.
pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Scene {
    /// The target group of a cluster's `postgres` endpoint: `10.9.0.5:5432 healthy`, sorted.
    #[track_caller]
    pub fn targets(&self, name: &str) -> Vec<String> {
        self.targets_in(&self.arn(name))
    }

    /// As [`Scene::targets`], of any target group.
    #[track_caller]
    pub fn targets_in(&self, arn: &str) -> Vec<String> {
        let rows = self.stack.targets(arn).unwrap();
        let mut rows: Vec<String> = rows.iter().map(|t| format!("{}:{} {}", t.id, t.port, t.state)).collect();
        rows.sort();
        rows
    }

    /// How many targets of a cluster take connections now.
    #[track_caller]
    pub fn serving_targets(&self, name: &str) -> usize {
        self.targets(name).iter().filter(|t| t.ends_with(" healthy")).count()
    }

    /// The routes of the first route table but the local one: `10.9.0.0/16 pcx-1 active`.
    #[track_caller]
    pub fn routes(&self) -> Vec<String> {
        let table = self.made.route_table_ids.first().unwrap();
        let routes = self.stack.routes(table).unwrap();
        let remote = routes.iter().filter(|r| r.target.as_deref() != Some("local"));
        remote.map(|r| format!("{} {} {}", r.destination, r.target.as_deref().unwrap_or("?"), r.state)).collect()
    }

    /// The number of the last AWS call so far.
    #[track_caller]
    pub fn mark(&self) -> u64 {
        self.stack.last_call().unwrap().map_or(0, |call| call.n)
    }

    /// The AWS calls since `mark`.
    #[track_caller]
    pub fn calls_since(&self, mark: u64) -> Vec<Call> {
        self.stack.calls_since(mark).unwrap()
    }

    /// The names of the AWS calls since `mark`, in their order.
    #[track_caller]
    pub fn names_since(&self, mark: u64) -> Vec<String> {
        self.calls_since(mark).iter().map(Call::name).collect()
    }

    /// The calls since `mark` that may change something outside our own table.
    #[track_caller]
    pub fn mutations_since(&self, mark: u64) -> Vec<String> {
        let calls = self.calls_since(mark);
        calls.iter().filter(|c| c.mutates() && c.service != "dynamodb").map(Call::name).collect()
    }

    /// As [`Scene::mutations_since`], but for notices.
    #[track_caller]
    pub fn world_mutations_since(&self, mark: u64) -> Vec<String> {
        self.mutations_since(mark).into_iter().filter(|name| name != "sns:Publish").collect()
    }

    /// The writes to our own table since `mark`.
    #[track_caller]
    pub fn writes_since(&self, mark: u64) -> Vec<String> {
        let calls = self.calls_since(mark);
        calls.iter().filter(|c| c.mutates() && c.service == "dynamodb").map(Call::name).collect()
    }

    /// The notices so far, as `acme-prod PeeringAccepted false Deleted`.
    #[track_caller]
    pub fn notices(&self) -> Vec<String> {
        let notices = self.stack.notices().unwrap();
        notices
            .iter()
            .map(|notice| {
                let json = notice.json();
                ["cluster", "condition", "to", "reason"].map(|field| text(&json[field])).join(" ")
            })
            .collect()
    }
}
