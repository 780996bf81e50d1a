//! `GET /config`: the dynamic configuration, as the DCS has it.

use serde_json::Value;

use super::reading::{self, Object, Unreadable};
use crate::gateway::Said;

/// What of the dynamic configuration rules a node's coming and going ("Dynamic Configuration Settings"). A number that is absent
/// was not given, or is none: Patroni then takes its own default, which is named at each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynamicConfig {
    /// Seconds between two turns of Patroni's loop; Patroni's default is 10.
    pub loop_wait: Option<u64>,
    /// Seconds until the leader's lock and a member's record expire; 30.
    pub ttl: Option<u64>,
    /// Seconds for which the DCS and PostgreSQL are asked again; 10.
    pub retry_timeout: Option<u64>,
    /// The most bytes by which a standby may lag and still lead; 1048576.
    pub maximum_lag_on_failover: Option<u64>,
    /// What a commit waits for.
    pub synchronous: Synchronous,
    /// `synchronous_mode_strict`: without a synchronous standby, writes stop.
    pub strict: bool,
    /// Maintenance mode.
    pub paused: bool,
    /// `failsafe_mode`.
    pub failsafe_mode: bool,
    /// Whether the cluster follows another.
    pub standby_cluster: bool,
    /// Seconds that a primary may take to stop in synchronous mode; 0: without end.
    pub primary_stop_timeout: Option<u64>,
}

/// `synchronous_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// A commit waits for nobody.
    Off,
    /// It waits for the synchronous standbys.
    On,
    /// It waits for a quorum of them (Patroni 4.0 and newer).
    Quorum,
}

impl DynamicConfig {
    /// Reads an answer to `/config`.
    ///
    /// # Errors
    /// Where this is no such answer, or a switch in it is neither on nor off.
    pub fn read(said: &Said) -> Result<Self, Unreadable> {
        let object = reading::object(said, "/config")?;
        let number = |name: &str| reading::number(object, name);
        Ok(Self {
            loop_wait: number("loop_wait"),
            ttl: number("ttl"),
            retry_timeout: number("retry_timeout"),
            maximum_lag_on_failover: number("maximum_lag_on_failover"),
            synchronous: Synchronous::read(object)?,
            strict: reading::mark(object, "synchronous_mode_strict")?,
            paused: reading::mark(object, "pause")?,
            failsafe_mode: reading::mark(object, "failsafe_mode")?,
            // As `is_standby_cluster` of Patroni's `global_config.py`; without a host, a port or a command it is none.
            standby_cluster: object.get("standby_cluster").and_then(Value::as_object).is_some_and(|part| {
                ["host", "port", "restore_command"].iter().any(|name| part.get(*name).is_some_and(|v| !v.is_null()))
            }),
            primary_stop_timeout: number("primary_stop_timeout").or_else(|| number("master_stop_timeout")),
        })
    }
}

impl Synchronous {
    fn read(object: &Object) -> Result<Self, Unreadable> {
        match object.get("synchronous_mode") {
            Some(Value::String(word)) if word.eq_ignore_ascii_case("quorum") => Ok(Self::Quorum),
            _ => Ok(if reading::mark(object, "synchronous_mode")? { Self::On } else { Self::Off }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<DynamicConfig, Unreadable> {
        DynamicConfig::read(&Said { status: 200, body })
    }

    #[test]
    fn what_is_given_is_read_and_what_is_not_is_not_made_up() {
        let whole = json!({
            "ttl": 30, "loop_wait": 10, "retry_timeout": "10", "maximum_lag_on_failover": 1_048_576,
            "synchronous_mode": true, "synchronous_mode_strict": "on", "pause": true, "failsafe_mode": true,
            "primary_stop_timeout": 30, "postgresql": {"use_slots": true, "parameters": {"wal_level": "logical"}},
            "standby_cluster": {"host": "10.1.0.5"},
        });
        let expected = DynamicConfig {
            loop_wait: Some(10),
            ttl: Some(30),
            retry_timeout: Some(10),
            maximum_lag_on_failover: Some(1_048_576),
            synchronous: Synchronous::On,
            strict: true,
            paused: true,
            failsafe_mode: true,
            standby_cluster: true,
            primary_stop_timeout: Some(30),
        };
        assert_eq!(read(whole), Ok(expected));
        let bare = read(json!({"loop_wait": "soon", "ttl": -1, "pause": false, "standby_cluster": {}})).unwrap();
        assert_eq!((bare.loop_wait, bare.ttl, bare.maximum_lag_on_failover), (None, None, None));
        assert_eq!((bare.synchronous, bare.strict), (Synchronous::Off, false));
        assert!(!bare.paused && !bare.standby_cluster && !bare.failsafe_mode);
        assert_eq!(read(json!({"master_stop_timeout": 5})).unwrap().primary_stop_timeout, Some(5));
    }

    #[test]
    fn the_mode_of_commits_is_on_off_or_quorum_and_nothing_between() {
        for (value, expected) in [
            (json!("quorum"), Some(Synchronous::Quorum)),
            (json!("Quorum"), Some(Synchronous::Quorum)),
            (json!("on"), Some(Synchronous::On)),
            (json!("OFF"), Some(Synchronous::Off)),
            (json!(1), Some(Synchronous::On)),
            (json!(null), Some(Synchronous::Off)),
            (json!("some"), None),
            (json!({}), None),
            (json!(7), None),
        ] {
            let read = read(json!({"synchronous_mode": value})).map(|config| config.synchronous);
            assert_eq!(read.ok(), expected, "{value}");
        }
    }

    #[test]
    fn what_is_no_configuration_is_none() {
        assert!(read(json!([])).is_err());
        assert!(read(json!("<html>")).is_err());
        assert!(read(json!({"pause": "maybe"})).is_err());
        let told = DynamicConfig::read(&Said { status: 502, body: json!("") }).unwrap_err();
        assert!(told.to_string().contains("502"), "{told}");
    }
}
