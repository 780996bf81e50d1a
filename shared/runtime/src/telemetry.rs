//! Log lines and metrics. Both are lines of JSON on standard output; CloudWatch makes metrics of those in its embedded
//! metric format.

use std::collections::BTreeMap;
use std::io::Write as _;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing_subscriber::EnvFilter;

/// The metrics' namespace.
pub const NAMESPACE: &str = "Pilothouse";

/// Sets up logging: JSON, one line each, at the level that Lambda is configured for (`AWS_LAMBDA_LOG_LEVEL`).
pub fn start(level: Option<&str>) {
    let level = level.unwrap_or("info").to_ascii_lowercase();
    let filter = EnvFilter::try_new(format!("{level},hickory_resolver=error,hickory_net=error,hickory_proto=error"))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let started = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(std::io::stdout)
        .try_init();
    if let Err(error) = started {
        tracing::debug!(%error, "logging was set up already");
    }
}

/// The unit of a metric, as CloudWatch names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A time.
    Seconds,
}

/// A metric's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// The unit of the value.
    pub unit: Unit,
}

impl Metric {
    /// A number of things.
    #[must_use]
    pub fn count(name: &'static str, value: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "counts are small; a metric is a float")]
        Self { name, value: value as f64, unit: Unit::Count }
    }

    /// A time in seconds.
    #[must_use]
    pub fn seconds(name: &'static str, value: f64) -> Self {
        Self { name, value, unit: Unit::Seconds }
    }
}

/// A record in CloudWatch's embedded metric format, with the dimensions `Function` and, where given, `Cluster`.
#[must_use]
pub fn embedded(function: &str, cluster: Option<&str>, at: Timestamp, metrics: &[Metric]) -> Value {
    let mut dimensions = vec!["Function"];
    let mut record = Map::from_iter([("Function".to_owned(), json!(function))]);
    if let Some(cluster) = cluster {
        dimensions.push("Cluster");
        record.insert("Cluster".to_owned(), json!(cluster));
    }
    let definitions: Vec<Value> = metrics
        .iter()
        .map(|m| json!({"Name": m.name, "Unit": match m.unit { Unit::Count => "Count", Unit::Seconds => "Seconds" }}))
        .collect();
    record.extend(metrics.iter().map(|m| (m.name.to_owned(), json!(m.value))));
    record.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": at.as_millisecond(),
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": definitions}],
        }),
    );
    Value::Object(record)
}

/// Prints a record on a line of its own. It must not go through the logger, whose fields CloudWatch would not read as
/// metrics.
pub fn emit(record: &Value) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = writeln!(out, "{record}") {
        tracing::warn!(%error, "metrics could not be written");
    }
}

/// The counts of calls, as one field of a log line.
#[must_use]
pub fn calls_field(calls: &BTreeMap<String, u64>) -> String {
    let parts: Vec<String> = calls.iter().map(|(call, n)| format!("{call}={n}")).collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_in_the_embedded_metric_format() {
        let record = embedded(
            "peering-watcher",
            Some("acme"),
            Timestamp::from_millisecond(1_795_219_200_123).unwrap(),
            &[Metric::seconds("RegistrationLag", 2.5), Metric::count("StaleTargets", 1)],
        );
        assert_eq!(
            record,
            json!({
                "Function": "peering-watcher", "Cluster": "acme", "RegistrationLag": 2.5, "StaleTargets": 1.0,
                "_aws": {"Timestamp": 1_795_219_200_123_i64, "CloudWatchMetrics": [{
                    "Namespace": "Pilothouse", "Dimensions": [["Function", "Cluster"]],
                    "Metrics": [{"Name": "RegistrationLag", "Unit": "Seconds"}, {"Name": "StaleTargets", "Unit": "Count"}]}]},
            })
        );
    }
}
