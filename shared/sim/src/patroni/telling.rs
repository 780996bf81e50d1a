//! What Patroni's REST API tells, in the words of 3.x or 4.x.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::running::secs;
use super::{Cluster, Node, Postgres};

const SYSTEM: &str = "7268616322854375442";

impl Cluster {
    /// Whether a node's REST API answers.
    pub(crate) fn answers(&self, instance: &str) -> bool {
        self.nodes.get(instance).is_some_and(|node| node.online() && node.patroni)
    }

    /// The running etcd member on a node.
    pub(crate) fn member_on(&self, instance: &str) -> Option<u64> {
        let node = self.nodes.get(instance).filter(|node| node.online() && !node.etcd_down)?;
        node.member.filter(|member| self.etcd.has(*member))
    }

    /// `GET /cluster`; `None`: the DCS cannot be read, and the connection ends without a reply.
    pub(crate) fn tell_cluster(&self, now: Timestamp) -> Option<Value> {
        if !self.has_quorum() {
            return None;
        }
        let members = self.keys.iter().filter(|(_, key)| key.until > now).map(|(id, key)| {
            let leads = self.leader() == Some(id);
            let sync = self.synchronous && self.sync_standby.as_ref() == Some(id);
            let role = match (leads, sync) {
                (true, _) => "leader",
                (false, true) => "sync_standby",
                (false, false) => "replica",
            };
            let streams = !leads && key.state == "running" && key.streaming && self.made.version4;
            let mut member = json!({
                "name": key.name, "role": role, "state": if streams { "streaming" } else { key.state },
                "api_url": format!("http://{}:8008/patroni", key.address), "host": key.address.to_string(), "port": 5432,
            });
            if key.timeline > 0 {
                set(&mut member, "timeline", json!(key.timeline));
            }
            if key.nofailover {
                set(&mut member, "tags", json!({"nofailover": true}));
            }
            if !leads {
                let lag = |lsn: Option<u64>| lsn.map_or(json!("unknown"), |lsn| json!(self.optime.saturating_sub(lsn)));
                set(&mut member, "lag", lag(key.received));
                if self.made.version4 {
                    set(&mut member, "receive_lag", lag(key.received));
                    set(&mut member, "replay_lag", lag(key.received.map(|_| key.replayed)));
                }
            }
            member
        });
        let mut told = json!({"members": members.collect::<Vec<_>>(), "scope": self.made.scope});
        if self.paused {
            set(&mut told, "pause", json!(true));
        }
        Some(told)
    }

    /// `GET /patroni`.
    pub(crate) fn tell_node(&self, instance: &str, now: Timestamp) -> Option<Value> {
        let node = self.nodes.get(instance)?;
        let serves = self.serves(node);
        let role = match (node.writable && serves, self.made.version4) {
            (true, true) => "primary",
            (true, false) => "master",
            (false, _) => "replica",
        };
        let mut told = json!({
            "state": node.state(), "role": role, "dcs_last_seen": now.as_second(), "tags": {},
            "database_system_identifier": SYSTEM,
            "patroni": {"version": if self.made.version4 { "4.1.4" } else { "3.0.2" }, "scope": self.made.scope, "name": node.name},
        });
        if let (Some(place), true) = (node.place, serves) {
            set(&mut told, "server_version", json!(150_018));
            set(&mut told, "timeline", json!(self.wal.timeline(place.branch)));
            set(
                &mut told,
                "xlog",
                if node.writable {
                    json!({"location": place.lsn})
                } else {
                    json!({"received_location": place.lsn, "replayed_location": node.replayed,
                       "replayed_timestamp": null, "paused": false})
                },
            );
            if node.writable {
                set(&mut told, "replication", Value::Array(self.tell_followers()));
            } else if node.streaming && self.made.version4 {
                set(&mut told, "replication_state", json!("streaming"));
            }
        }
        if node.nofailover {
            set(&mut told, "tags", json!({"nofailover": true}));
        }
        if self.synchronous && self.sync_standby.as_deref() == Some(instance) {
            set(&mut told, "sync_standby", json!(true));
        }
        let mut flags = Map::new();
        flags.extend(self.paused.then(|| ("pause".to_owned(), json!(true))));
        flags.extend(self.lock.is_none().then(|| ("cluster_unlocked".to_owned(), json!(true))));
        told.as_object_mut().into_iter().for_each(|object| object.append(&mut flags));
        Some(told)
    }

    fn tell_followers(&self) -> Vec<Value> {
        let streams = |node: &&Node| node.streaming && node.postgres == Postgres::Running;
        let told = self.nodes.iter().filter(|(_, node)| streams(node)).map(|(id, node)| {
            let sync = self.synchronous && self.sync_standby.as_ref() == Some(id);
            json!({"usename": "replicator", "application_name": node.name, "client_addr": node.address.to_string(),
                   "state": "streaming", "sync_state": if sync { "sync" } else { "async" }, "sync_priority": 0})
        });
        told.collect()
    }

    /// `GET /config`; `None` as [`Cluster::tell_cluster`].
    pub(crate) fn tell_config(&self) -> Option<Value> {
        let mut told = json!({
            "loop_wait": secs(10).as_secs(), "ttl": self.made.ttl.as_secs(), "retry_timeout": 10,
            "maximum_lag_on_failover": 1_048_576,
        });
        if self.synchronous {
            set(&mut told, "synchronous_mode", json!(true));
            set(&mut told, "synchronous_mode_strict", json!(self.made.strict));
        }
        if self.paused {
            set(&mut told, "pause", json!(true));
        }
        self.has_quorum().then_some(told)
    }
}

/// Sets a field of an object.
fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}
