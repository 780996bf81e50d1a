//! What is registered.

use ports::Table;
use runtime::records::{ClusterRecord, Fleet};
use serde_json::{Value, json};

use crate::nearest::no_cluster;
use crate::put::plan::sections;
use crate::put::record;
use crate::refusal::Stop;

/// The record of one cluster.
///
/// # Errors
/// There is no such cluster; or the table could not be read.
pub async fn get(table: &impl Table, name: &str) -> Result<Value, Stop> {
    let Some(record) = record(table, "get", name).await? else {
        return Err(no_cluster(table, "get", name).await?);
    };
    let mut answer = json!({
        "ok": true, "name": record.name, "generation": record.generation, "spec": record.spec,
        "created_at": record.created_at, "updated_at": record.updated_at,
    });
    if let Some(answer) = answer.as_object_mut() {
        if let Some(owner) = &record.owner {
            answer.insert("owner".to_owned(), json!(owner));
        }
        if let Some(tombstone) = &record.tombstone {
            answer.insert("tombstone".to_owned(), json!(tombstone));
        }
        if !record.releasing.is_empty() {
            answer.insert("releasing".to_owned(), json!(record.releasing));
        }
    }
    Ok(answer)
}

/// Every cluster, by name.
///
/// # Errors
/// The table could not be read.
pub async fn list(table: &impl Table) -> Result<Value, Stop> {
    let fleet = Fleet::read(table).await?;
    let readable = fleet.clusters.iter().map(|record| (record.name.clone(), summary(record)));
    let unreadable = fleet
        .unreadable
        .iter()
        .map(|(name, error)| (name.clone(), json!({"name": name, "unreadable": error.to_string()})));
    let mut clusters: Vec<(String, Value)> = readable.chain(unreadable).collect();
    clusters.sort_by(|a, b| a.0.cmp(&b.0));
    let clusters: Vec<Value> = clusters.into_iter().map(|(_, summary)| summary).collect();
    Ok(json!({"ok": true, "clusters": clusters}))
}

fn summary(record: &ClusterRecord) -> Value {
    json!({
        "name": record.name, "generation": record.generation, "paused": is_paused(&record.spec),
        "deleted": record.tombstone.is_some(), "sections": sections(&record.spec),
    })
}

/// Whether a stored spec pauses its cluster.
#[must_use]
pub fn is_paused(spec: &Value) -> bool {
    spec.get("paused").and_then(Value::as_bool).unwrap_or(false)
}
