//! How a step ends, in words that are the same in every world.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use stack::Call;
use wire::text;

use crate::story::Play;

/// The end of a step.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct End {
    /// Targets, by target group, and routes.
    pub(crate) world: Vec<String>,
    /// Our table, but for locks, which have to be free, and the audit trail.
    pub(crate) items: BTreeMap<String, Value>,
    /// The status that was told last of each condition. A reason that changes within a status is not told.
    pub(crate) told: BTreeMap<String, String>,
    /// What the audit trail says was done. A killed process may have left no word of its last deed.
    pub(crate) done: BTreeSet<String>,
}

impl End {
    pub(crate) fn of(play: &Play) -> Self {
        let labels = Labels::of(play);
        let scene = &play.scene;
        let mut world = Vec::new();
        for made in &scene.made.clusters {
            for endpoint in &made.endpoints {
                let rows = scene.targets_in(&endpoint.target_group_arn);
                world.push(labels.in_text(&format!("{}: {}", endpoint.target_group_arn, rows.join(", "))));
            }
        }
        world.extend(scene.routes().iter().map(|route| labels.in_text(route)));
        let now = scene.stack.last_call().unwrap().unwrap().at;
        let mut end = Self { world, ..Self::default() };
        for item in scene.stack.items().unwrap() {
            let (pk, sk) = (text(&item["pk"]), text(&item["sk"]));
            let body: Value = serde_json::from_str(item["body"].as_str().unwrap()).unwrap();
            if pk.starts_with("lock#") {
                let until: jiff::Timestamp = body["until"].as_str().unwrap().parse().unwrap();
                if until.as_second() as f64 > now {
                    end.items.insert(format!("{pk} {sk}"), Value::from("held"));
                }
            } else if pk.starts_with("audit#") {
                let result = body.pointer("/detail/result").and_then(Value::as_str);
                if result.is_none_or(|result| result == "done") {
                    end.done.insert(labels.in_text(&format!("{} {}", text(&body["what"]), body["detail"]["on"])));
                }
            } else {
                let mut body = labels.in_value(&body);
                forget_when_groups_were_read(&mut body);
                end.items.insert(labels.in_text(&format!("{pk} {sk}")), body);
            }
        }
        for notice in scene.stack.notices().unwrap() {
            let notice = notice.json();
            let what = format!("{} {}", text(&notice["cluster"]), text(&notice["condition"]));
            end.told.insert(what, text(&notice["to"]));
        }
        end
    }

    /// What differs from `undisturbed`, in words; empty where nothing does.
    pub(crate) fn differs_from(&self, undisturbed: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.world != undisturbed.world {
            found.push(format!("W3: the world is {:?}, undisturbed {:?}", self.world, undisturbed.world));
        }
        let keys: BTreeSet<&String> = self.items.keys().chain(undisturbed.items.keys()).collect();
        for key in keys {
            let (ours, theirs) = (self.items.get(key), undisturbed.items.get(key));
            if ours != theirs {
                let (ours, theirs) = only_differences(ours, theirs);
                found.push(format!("W3: the record `{key}` is {ours}, undisturbed {theirs}"));
            }
        }
        if self.told != undisturbed.told {
            found.push(format!("what was told last is {:?}, undisturbed {:?}", self.told, undisturbed.told));
        }
        let more: Vec<&String> = self.done.difference(&undisturbed.done).collect();
        if !more.is_empty() {
            found.push(format!("W6: done, and not done undisturbed: {more:?}"));
        }
        found
    }
}

/// What a target group is cannot change. Of which generation the read was that failed, is no matter: it is made up for at
/// the group's next turn.
fn forget_when_groups_were_read(state: &mut Value) {
    for endpoint in
        state.pointer_mut("/endpoints").and_then(Value::as_object_mut).into_iter().flat_map(|e| e.values_mut())
    {
        if let Some(group) = endpoint.pointer_mut("/group").and_then(Value::as_object_mut) {
            group.remove("generation");
        }
    }
}

/// Where two records differ, without what they share.
fn only_differences(one: Option<&Value>, other: Option<&Value>) -> (String, String) {
    fn split(one: &Value, other: &Value, at: &str, found: &mut (Vec<String>, Vec<String>)) {
        match (one, other) {
            (Value::Object(a), Value::Object(b)) => {
                let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
                for key in keys {
                    split(&one[key.as_str()], &other[key.as_str()], &format!("{at}/{key}"), found);
                }
            }
            _ if one == other => {}
            _ => {
                found.0.push(format!("{at} {one}"));
                found.1.push(format!("{at} {other}"));
            }
        }
    }
    let (Some(one), Some(other)) = (one, other) else {
        let said = |value: Option<&Value>| value.map_or_else(|| "not there".to_owned(), Value::to_string);
        return (said(one), said(other));
    };
    let mut found = (Vec::new(), Vec::new());
    split(one, other, "", &mut found);
    (found.0.join("; "), found.1.join("; "))
}

/// The ids of a world and what they stand for.
pub(crate) struct Labels(Vec<(String, String)>);

impl Labels {
    pub(crate) fn of(play: &Play) -> Self {
        let made = &play.scene.made;
        let mut labels = Vec::new();
        for cluster in &made.clusters {
            for endpoint in &cluster.endpoints {
                labels.push((endpoint.target_group_arn.clone(), format!("<group {}>", cluster.name)));
            }
            labels.push((cluster.connection_id.clone(), format!("<connection {}>", cluster.name)));
            labels.push((cluster.peer_vpc.clone(), format!("<peer {}>", cluster.name)));
        }
        labels.extend(made.route_table_ids.iter().map(|id| (id.clone(), "<route table>".to_owned())));
        labels.push((made.vpc_id.clone(), "<our vpc>".to_owned()));
        labels.extend(play.noted.iter().map(|(what, id)| (id.clone(), format!("<{what}>"))));
        Self(labels)
    }

    pub(crate) fn in_text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (id, label)| text.replace(id.as_str(), label))
    }

    /// Ids become labels, times become one word.
    pub(crate) fn in_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => Value::from("<time>"),
            Value::String(text) => Value::from(self.in_text(text)),
            Value::Array(list) => list.iter().map(|one| self.in_value(one)).collect(),
            Value::Object(map) => map
                .iter()
                .map(|(key, one)| (self.in_text(key), self.in_value(one)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// What a call asks for, as text.
    pub(crate) fn in_call(&self, call: &Call) -> String {
        format!("{} {}", call.name(), self.in_value(&call.params))
    }
}
