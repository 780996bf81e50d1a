//! The alarms and the dashboard.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::stage::{Account, CONTROL_PLANE, list, text};

/// Of these the threshold is another than one.
const LONGEST_WAIT: (&str, f64) = ("NodeWaitsTooLong", 3600.0);

/// Namespace, metric, its dimension, statistic, minutes, comparison, and what no data means.
type Expected = (&'static str, &'static str, (&'static str, String), &'static str, u64, &'static str, &'static str);

#[test]
fn each_alarm_watches_what_it_says_and_tells_the_topic() {
    let account = Account::with_control_plane();
    let topic = account.id(CONTROL_PLANE, "Topic");
    let (least, less) = ("GreaterThanOrEqualToThreshold", "LessThanThreshold");
    let watcher = || ("Function", "peering-watcher".to_owned());
    let lifecycle = || ("Function", "asg-lifecycle".to_owned());
    let snapshots = || ("Function", "snapshot-scheduler".to_owned());
    let function = |name: &str| ("FunctionName", account.id(CONTROL_PLANE, name));
    let queue = |name: &str| {
        let url = account.id(CONTROL_PLANE, name);
        ("QueueName", url.rsplit('/').next().unwrap().to_owned())
    };
    let lambda = "AWS/Lambda";
    let letters = "ApproximateNumberOfMessagesVisible";
    let expected: BTreeMap<&str, Expected> = BTreeMap::from([
        ("NoSuccessfulPass", ("Pilothouse", "Passes", watcher(), "Sum", 3, less, "breaching")),
        ("ClusterBlocked", ("Pilothouse", "ClustersBlocked", watcher(), "Maximum", 15, least, "ignore")),
        ("ClusterFailing", ("Pilothouse", "ClustersFailed", watcher(), "Maximum", 15, least, "ignore")),
        ("PeeringWatcherErrors", (lambda, "Errors", function("PeeringWatcher"), "Sum", 3, least, "notBreaching")),
        ("ClusterRegistryErrors", (lambda, "Errors", function("ClusterRegistry"), "Sum", 1, least, "notBreaching")),
        (
            "WatcherDeadLettersArrived",
            ("AWS/SQS", letters, queue("WatcherDeadLetters"), "Maximum", 1, least, "notBreaching"),
        ),
        (
            "RegistryDeadLettersArrived",
            ("AWS/SQS", letters, queue("RegistryDeadLetters"), "Maximum", 1, least, "notBreaching"),
        ),
        ("NoSuccessfulLifecyclePass", ("Pilothouse", "Passes", lifecycle(), "Sum", 3, less, "breaching")),
        ("LifecycleClusterBlocked", ("Pilothouse", "ClustersBlocked", lifecycle(), "Maximum", 15, least, "ignore")),
        ("LifecycleClusterFailing", ("Pilothouse", "ClustersFailed", lifecycle(), "Maximum", 15, least, "ignore")),
        ("NodeWaitsTooLong", ("Pilothouse", "LongestWait", lifecycle(), "Maximum", 5, least, "ignore")),
        ("NodeRefused", ("Pilothouse", "NodesRefused", lifecycle(), "Maximum", 5, least, "ignore")),
        ("NodeRetained", ("Pilothouse", "NodesRetained", lifecycle(), "Maximum", 3, least, "ignore")),
        ("AsgLifecycleErrors", (lambda, "Errors", function("AsgLifecycle"), "Sum", 3, least, "notBreaching")),
        (
            "LifecycleDeadLettersArrived",
            ("AWS/SQS", letters, queue("LifecycleDeadLetters"), "Maximum", 1, least, "notBreaching"),
        ),
        ("NoSuccessfulSnapshotPass", ("Pilothouse", "Passes", snapshots(), "Sum", 3, less, "breaching")),
        ("SnapshotClusterBlocked", ("Pilothouse", "ClustersBlocked", snapshots(), "Maximum", 15, least, "ignore")),
        ("SnapshotClusterFailing", ("Pilothouse", "ClustersFailed", snapshots(), "Maximum", 15, least, "ignore")),
        ("RestorePointsOverdue", ("Pilothouse", "RestorePointsOverdue", snapshots(), "Maximum", 5, least, "ignore")),
        ("RestorePointsNotTaken", ("Pilothouse", "RestorePointsNotTaken", snapshots(), "Maximum", 15, least, "ignore")),
        ("CopiesOverdue", ("Pilothouse", "CopiesOverdue", snapshots(), "Maximum", 15, least, "ignore")),
        ("RetentionBraked", ("Pilothouse", "RetentionBraked", snapshots(), "Maximum", 15, least, "ignore")),
        ("SnapshotSchedulerErrors", (lambda, "Errors", function("SnapshotScheduler"), "Sum", 3, least, "notBreaching")),
        (
            "SnapshotDeadLettersArrived",
            ("AWS/SQS", letters, queue("SnapshotDeadLetters"), "Maximum", 1, least, "notBreaching"),
        ),
    ]);
    let alarms = list(&account.aws("cloudwatch", "DescribeAlarms", &json!({}))["MetricAlarms"]);
    assert_eq!(alarms.len(), expected.len());
    for (name, (namespace, metric, (dimension, value), statistic, minutes, comparison, no_data)) in expected {
        let id = account.id(CONTROL_PLANE, name);
        let alarm: &Value = alarms.iter().find(|a| a["AlarmName"] == json!(id)).unwrap();
        assert_eq!(alarm["Namespace"], namespace, "{name}");
        assert_eq!(alarm["MetricName"], metric, "{name}");
        assert_eq!(alarm["Dimensions"], json!([{"Name": dimension, "Value": value}]), "{name}");
        assert_eq!(alarm["Statistic"], statistic, "{name}");
        assert_eq!(alarm["Period"], 60, "{name}");
        assert_eq!(alarm["EvaluationPeriods"], minutes, "{name}");
        let threshold = if name == LONGEST_WAIT.0 { LONGEST_WAIT.1 } else { 1.0 };
        assert_eq!(alarm["Threshold"], threshold, "{name}");
        assert_eq!(alarm["ComparisonOperator"], comparison, "{name}");
        assert_eq!(alarm["TreatMissingData"], no_data, "{name}");
        assert_eq!(alarm["AlarmActions"], json!([topic]), "{name}");
        assert_eq!(alarm["ActionsEnabled"], true, "{name}");
    }
}

#[test]
fn the_dashboard_shows_every_alarm_and_only_what_is_there() {
    let account = Account::with_control_plane();
    let name = account.id(CONTROL_PLANE, "Dashboard");
    let found = account.aws("cloudwatch", "GetDashboard", &json!({"DashboardName": name}));
    let body: Value = serde_json::from_str(&text(&found["DashboardBody"])).unwrap();
    assert!(!body.to_string().contains("${"), "everything is resolved: {body:#}");
    let widgets = list(&body["widgets"]);
    let alarms = account.aws("cloudwatch", "DescribeAlarms", &json!({}));
    let mut arns: Vec<String> = list(&alarms["MetricAlarms"]).iter().map(|a| text(&a["AlarmArn"])).collect();
    let shown = widgets.iter().find(|w| w["type"] == "alarm").unwrap();
    let mut shown: Vec<String> = list(&shown["properties"]["alarms"]).iter().map(text).collect();
    arns.sort();
    shown.sort();
    assert_eq!(shown, arns);
    // A dashboard is 24 wide, and no widget may lie on another.
    let number = |widget: &Value, field: &str| widget[field].as_u64().unwrap();
    let mut taken = std::collections::BTreeSet::new();
    for widget in &widgets {
        let (x, y) = (number(widget, "x"), number(widget, "y"));
        assert!(x + number(widget, "width") <= 24, "{widget:#}");
        for column in x..x + number(widget, "width") {
            for row in y..y + number(widget, "height") {
                assert!(taken.insert((column, row)), "{} lies on another", widget["properties"]["title"]);
            }
        }
        if widget["type"] == "metric" {
            assert_eq!(widget["properties"]["region"], json!(account.world.region));
        }
    }
}
