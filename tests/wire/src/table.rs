//! The table behind the functions' backs.

use serde_json::{Value, json};

use crate::Scene;

const STATES: &str = "state#peering-watcher";

impl Scene {
    /// The stored state of a cluster; `None` where there is none.
    #[track_caller]
    pub fn state(&self, name: &str) -> Option<Value> {
        self.body(STATES, name)
    }

    /// Changes the stored state of a cluster, as time would.
    #[track_caller]
    pub fn edit_state(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut item = self.stack.item(STATES, name).unwrap().unwrap();
        let mut body = self.state(name).unwrap();
        edit(&mut body);
        item["body"] = json!(body.to_string());
        self.stack.put_item(&item).unwrap();
    }

    /// Overwrites the stored state with something that is none.
    #[track_caller]
    pub fn corrupt_state(&self, name: &str) {
        let mut item = self.stack.item(STATES, name).unwrap().unwrap();
        item["body"] = json!("{\"routes\": \"a fork wrote this\"}");
        self.stack.put_item(&item).unwrap();
    }

    /// Loses the stored state.
    #[track_caller]
    pub fn lose_state(&self, name: &str) {
        self.stack.delete_item(STATES, name).unwrap();
    }

    /// Since when a cluster's connection has not been known to EC2 becomes earlier by `seconds`.
    #[track_caller]
    pub fn missing_for(&self, name: &str, seconds: i64) {
        let pointer = format!("/peerings/{}/missing_since", self.connection(name));
        self.edit_state(name, |state| {
            let since = state.pointer_mut(&pointer).unwrap();
            *since = json!(earlier(since.as_str().unwrap(), seconds));
        });
    }

    /// Everything that was registered, deregistered or routed, and each change of a peer's blocks, becomes older by half a minute:
    /// reads of ELB and EC2 lag behind by less, so what they say then is so.
    #[track_caller]
    pub fn reads_catch_up(&self, name: &str) {
        let age = |time: Option<&mut Value>| {
            if let Some(time) = time {
                *time = json!(earlier(time.as_str().unwrap(), 31));
            }
        };
        self.edit_state(name, |state| {
            let endpoints = state["endpoints"].as_object_mut().unwrap().values_mut();
            for owned in endpoints.flat_map(|e| e["owned"].as_array_mut().unwrap()) {
                age(owned.get_mut("since"));
                age(owned.get_mut("left"));
            }
            state["routes"].as_array_mut().unwrap().iter_mut().for_each(|route| age(route.get_mut("since")));
            let peerings = state["peerings"].as_object_mut().unwrap().values_mut();
            peerings.for_each(|peering| age(peering.get_mut("blocks_since")));
        });
    }

    /// Everything in the table that speaks of a cluster, but its audit trail: `cluster acme-prod`, sorted.
    #[track_caller]
    pub fn left_of(&self, name: &str) -> Vec<String> {
        let items = self.stack.items().unwrap();
        let keys =
            items.iter().map(|item| format!("{} {}", item["pk"].as_str().unwrap(), item["sk"].as_str().unwrap()));
        let speaks = |item: &Value| item.to_string().contains(name);
        let mut left: Vec<String> = keys
            .zip(&items)
            .filter(|(key, item)| speaks(item) && !key.starts_with("audit#") && !key.starts_with("lock#"))
            .map(|(key, _)| key)
            .collect();
        left.sort();
        left
    }

    /// The body of an item.
    #[track_caller]
    pub fn body(&self, pk: &str, sk: &str) -> Option<Value> {
        let item = self.stack.item(pk, sk).unwrap()?;
        Some(serde_json::from_str(item["body"].as_str().unwrap()).unwrap())
    }

    /// The audit trail of a cluster: the bodies, oldest first.
    #[track_caller]
    pub fn audit(&self, name: &str) -> Vec<Value> {
        let items = self.stack.items().unwrap();
        let mut trail: Vec<&Value> = items.iter().filter(|item| item["pk"] == format!("audit#{name}")).collect();
        trail.sort_by_key(|item| item["sk"].as_str().unwrap().to_owned());
        trail.iter().map(|item| serde_json::from_str(item["body"].as_str().unwrap()).unwrap()).collect()
    }
}

/// A time in RFC 3339, `seconds` earlier.
fn earlier(time: &str, seconds: i64) -> String {
    let time: jiff::Timestamp = time.parse().unwrap();
    time.checked_sub(jiff::SignedDuration::from_secs(seconds)).unwrap().to_string()
}
