//! A node's tags.

use serde_json::Value;

use super::reading::{Object, truth};

/// What a node's own configuration bars it from (`tags` in "YAML Configuration Settings"). Tags cannot be set over the REST API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// `nofailover`, where it is given.
    pub nofailover: Option<bool>,
    /// `failover_priority`, where it is given (Patroni 3.2 and newer): the higher, the rather it leads; 0 and less: never.
    pub failover_priority: Option<i64>,
    /// `nosync`, or a `sync_priority` of 0 and less: it never becomes a synchronous standby.
    pub nosync: bool,
    /// `noloadbalance`: `/replica` answers 503.
    pub noloadbalance: bool,
    /// `nostream` (Patroni 4.0 and newer): it takes WAL from the archive alone.
    pub nostream: bool,
    /// `replicatefrom`: the name of the member that it replicates from.
    pub replicatefrom: Option<String>,
    /// A tag that bars the node from something, and whose value is none that Patroni knows: its name.
    pub odd: Option<&'static str>,
}

impl Tags {
    pub(super) fn read(object: &Object) -> Self {
        let none = Object::new();
        let mut tags = Self::default();
        let given = match object.get("tags") {
            None | Some(Value::Null) => &none,
            Some(Value::Object(given)) => given,
            Some(_) => {
                tags.odd = Some("tags");
                &none
            }
        };
        tags.nofailover = tags.yes_or_no(given, "nofailover");
        tags.failover_priority = tags.priority(given, "failover_priority");
        let nosync = tags.yes_or_no(given, "nosync");
        let sync_priority = tags.priority(given, "sync_priority");
        tags.nosync = nosync.unwrap_or(sync_priority.is_some_and(|priority| priority <= 0));
        tags.noloadbalance = tags.yes_or_no(given, "noloadbalance").unwrap_or(false);
        tags.nostream = tags.yes_or_no(given, "nostream").unwrap_or(false);
        tags.replicatefrom = given.get("replicatefrom").and_then(Value::as_str).map(str::to_owned);
        tags
    }

    /// The tag because of which the node never leads, if there is one. `nofailover` counts more than `failover_priority` where
    /// both are given (`_bool_tag` in Patroni's `tags.py`). A tag that cannot be read bars too: Patroni itself may take it for
    /// a yes.
    #[must_use]
    pub fn bar_to_lead(&self) -> Option<&'static str> {
        if let Some(odd @ ("tags" | "nofailover" | "failover_priority")) = self.odd {
            return Some(odd);
        }
        match (self.nofailover, self.failover_priority) {
            (Some(true), _) => Some("nofailover"),
            (None, Some(priority)) if priority <= 0 => Some("failover_priority"),
            _ => None,
        }
    }

    fn yes_or_no(&mut self, given: &Object, name: &'static str) -> Option<bool> {
        let value = given.get(name).filter(|value| !value.is_null())?;
        let truth = truth(value);
        self.note(name, truth.is_none());
        truth
    }

    fn priority(&mut self, given: &Object, name: &'static str) -> Option<i64> {
        let value = given.get(name).filter(|value| !value.is_null())?;
        let priority = value.as_i64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
        self.note(name, priority.is_none());
        priority
    }

    /// The first that is odd counts: those that bar from leading are read first.
    fn note(&mut self, name: &'static str, odd: bool) {
        if odd && self.odd.is_none() {
            self.odd = Some(name);
        }
    }
}
