//! All that is known of a cluster: its record, what every function keeps of it, who did what.

use ports::{Item, Table};
use runtime::records::{Acknowledgement, AuditEntry, ClusterRecord, Control, Kept, StateRecord};
use serde_json::{Map, Value, json};

use crate::listing::is_paused;
use crate::nearest::no_cluster;
use crate::put::record;
use crate::refusal::Stop;
use crate::table_text;
use crate::{Moment, STATEFUL_FUNCTIONS};

/// How many audit entries are shown.
const AUDIT_SHOWN: u16 = 20;

/// The status of one cluster.
///
/// # Errors
/// There is no such cluster; or the table could not be read. A state or an audit entry of another shape is shown as it
/// is: the status is what people look at when something is wrong.
pub async fn status(table: &impl Table, name: &str, moment: Moment) -> Result<Value, Stop> {
    let Some(record) = record(table, "status", name).await? else {
        return Err(no_cluster(table, "status", name).await?);
    };
    let control = Control::read(table).await?;
    let acknowledgements = acknowledgements(table.query(ClusterRecord::PARTITION).await?, name, moment);
    let audit = audit(table.newest(&AuditEntry::partition(name), AUDIT_SHOWN).await?);
    let (mut states, mut conditions, mut outcomes) = (Map::new(), Map::new(), Map::new());
    for function in STATEFUL_FUNCTIONS {
        let state = match StateRecord::<Value>::get(table, function, name).await?.kept {
            Kept::Nothing => continue,
            Kept::State(state) | Kept::Corrupt(state) => state,
        };
        if let Some(found @ Value::Object(_)) = state.get("conditions") {
            conditions.insert(function.to_owned(), found.clone());
        }
        if let Some(outcome @ Value::Object(_)) = state.get("outcome") {
            outcomes.insert(function.to_owned(), outcome.clone());
        }
        states.insert(function.to_owned(), state);
    }
    let mut answer = json!({
        "ok": true, "name": record.name, "generation": record.generation, "paused": is_paused(&record.spec),
        "fleet_paused": control.pause, "tombstone": record.tombstone, "owner": record.owner,
        "releasing": record.releasing, "created_at": record.created_at, "updated_at": record.updated_at,
        "spec": record.spec, "conditions": conditions, "outcome": outcomes, "state": states,
        "acknowledgements": acknowledgements, "audit": audit,
    });
    let text = table_text::render(&answer);
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("table".to_owned(), Value::String(text));
    }
    Ok(answer)
}

fn acknowledgements(items: Vec<Item>, name: &str, moment: Moment) -> Vec<Value> {
    items
        .iter()
        .filter(|item| Acknowledgement::is_one(item))
        .filter_map(|item| Acknowledgement::read(item).ok())
        .filter(|acknowledgement| acknowledgement.cluster == name && acknowledgement.holds_at(moment.now))
        .map(|acknowledgement| json!(acknowledgement))
        .collect()
}

/// Newest first.
fn audit(items: Vec<Item>) -> Vec<Value> {
    items.into_iter().map(|item| AuditEntry::read(&item).map_or(item.body, |entry| json!(entry))).collect()
}
