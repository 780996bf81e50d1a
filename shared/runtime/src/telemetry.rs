//! Log lines and metrics. Both are lines of JSON on standard output; CloudWatch makes metrics of those in its embedded
//! metric format.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The metrics' namespace.
pub const NAMESPACE: &str = "Pilothouse";

/// What must not follow the configured level. At `trace`, lambda_runtime logs each event whole, and an event can hold
/// credentials; hickory's warnings say what our own lines say better: a name that does not resolve is a condition of its
/// cluster.
const QUIET: [(&str, LevelFilter); 4] = [
    ("lambda_runtime", LevelFilter::INFO),
    ("hickory_net", LevelFilter::ERROR),
    ("hickory_proto", LevelFilter::ERROR),
    ("hickory_resolver", LevelFilter::ERROR),
];

/// Sets up logging: JSON, one line each, at the level that Lambda is configured for (`AWS_LAMBDA_LOG_LEVEL`).
pub fn start(level: Option<&str>) {
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(std::io::stdout);
    if let Err(error) = tracing_subscriber::registry().with(lines).with(filter(level)).try_init() {
        tracing::debug!(%error, "logging was set up already");
    }
}

/// What is logged at one of Lambda's levels (`TRACE` to `ERROR`, and `FATAL`). Not an `EnvFilter`: its regular expressions
/// are a good part of a package.
fn filter(level: Option<&str>) -> Targets {
    let level = match level.unwrap_or_default().to_ascii_lowercase().as_str() {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "warn" => LevelFilter::WARN,
        "error" | "fatal" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    };
    Targets::new().with_default(level).with_targets(QUIET)
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

static MUTE: AtomicBool = AtomicBool::new(false);

/// No record is printed from now on: a simulation makes more passes in one process than anybody would read.
pub fn mute() {
    MUTE.store(true, Ordering::Relaxed);
}

/// Prints a record on a line of its own. It must not go through the logger, whose fields CloudWatch would not read as
/// metrics.
pub fn emit(record: &Value) {
    if MUTE.load(Ordering::Relaxed) {
        return;
    }
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
    use tracing::Level;

    #[test]
    fn lambdas_levels_are_understood_and_nonsense_is_the_default() {
        for (given, loudest, too_loud) in [
            (Some("DEBUG"), Level::DEBUG, Some(Level::TRACE)),
            (Some("TRACE"), Level::TRACE, None),
            (Some("WARN"), Level::WARN, Some(Level::INFO)),
            (Some("FATAL"), Level::ERROR, Some(Level::WARN)),
            (Some("noisy"), Level::INFO, Some(Level::DEBUG)),
            (None, Level::INFO, Some(Level::DEBUG)),
        ] {
            let filter = filter(given);
            assert!(filter.would_enable("peering_watcher::pass", &loudest), "{given:?}");
            assert!(!too_loud.is_some_and(|level| filter.would_enable("peering_watcher::pass", &level)), "{given:?}");
        }
    }

    #[test]
    fn the_resolver_says_only_what_is_an_error() {
        let filter = filter(Some("TRACE"));
        for target in ["hickory_resolver::name_server", "hickory_net", "hickory_proto::op"] {
            assert!(filter.would_enable(target, &Level::ERROR), "{target}");
            assert!(!filter.would_enable(target, &Level::WARN), "{target}");
        }
    }

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
