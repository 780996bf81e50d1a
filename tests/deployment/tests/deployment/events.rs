//! What wakes the functions.

use serde_json::{Value, json};

use crate::stage::{Account, CONTROL_PLANE, list, parsed, text};
use crate::template::translated;

const SNAPSHOTS: &str = "EBS Multi-Volume Snapshots Completion Status";

#[test]
fn each_schedule_wakes_its_function_each_minute_and_keeps_what_did_not_arrive() {
    let account = Account::with_control_plane();
    let schedules = list(&account.aws("scheduler", "ListSchedules", &json!({}))["Schedules"]);
    assert_eq!(schedules.len(), 3);
    for (name, arn, role, queue) in [
        ("pilothouse-peering-watcher", "WatcherArn", "PeeringWatcherEveryMinuteRole", "WatcherDeadLetters"),
        ("pilothouse-asg-lifecycle", "LifecycleArn", "AsgLifecycleEveryMinuteRole", "LifecycleDeadLetters"),
        ("pilothouse-snapshot-scheduler", "SnapshotsArn", "SnapshotSchedulerEveryMinuteRole", "SnapshotDeadLetters"),
    ] {
        let schedule = account.aws("scheduler", "GetSchedule", &json!({"Name": name}));
        assert_eq!(schedule["ScheduleExpression"], "rate(1 minute)");
        assert_eq!(schedule["State"], "ENABLED");
        assert_eq!(schedule["FlexibleTimeWindow"], json!({"Mode": "OFF"}));
        let target = &schedule["Target"];
        assert_eq!(text(&target["Arn"]), account.outputs(CONTROL_PLANE)[arn]);
        assert_eq!(target["DeadLetterConfig"]["Arn"], arn_of(&account, queue));
        // Older than a minute, a wake-up is no news.
        assert_eq!(target["RetryPolicy"]["MaximumEventAgeInSeconds"], 60);
        let role = account.id(CONTROL_PLANE, role);
        assert_eq!(text(&target["RoleArn"]), format!("arn:aws:iam::{}:role/{role}", account.world.account));
    }
}

#[test]
fn rules_take_accepted_peerings_failovers_lifecycle_actions_and_snapshots_and_nothing_else() {
    let account = Account::with_control_plane();
    let rules = list(&account.aws("events", "ListRules", &json!({}))["Rules"]);
    assert_eq!(rules.len(), 4);
    let api_call = |name: &str| {
        event("aws.ec2", "AWS API Call via CloudTrail", json!({"eventSource": "ec2.amazonaws.com", "eventName": name}))
    };
    let database = |kind: &str, category: &str| {
        event(
            "aws.rds",
            &format!("RDS DB {kind} Event"),
            json!({"EventCategories": [category], "SourceIdentifier": "acme"}),
        )
    };
    for (event, wakes) in [
        (api_call("AcceptVpcPeeringConnection"), true),
        (api_call("DeleteVpcPeeringConnection"), true),
        (api_call("CreateRoute"), false),
        (database("Instance", "failover"), true),
        (database("Cluster", "failover"), true),
        (database("Instance", "backup"), false),
        (event("aws.autoscaling", "EC2 Instance-launch Lifecycle Action", json!({"LifecycleHookName": "acme"})), true),
        (event("aws.autoscaling", "EC2 Instance-terminate Lifecycle Action", json!({"Origin": "EC2"})), true),
        (event("aws.autoscaling", "EC2 Instance Launch Successful", json!({"EC2InstanceId": "i-1"})), false),
        (event("mine", "EC2 Instance-launch Lifecycle Action", json!({})), false),
        (event("aws.ec2", SNAPSHOTS, json!({"event": "createSnapshots", "result": "failed"})), true),
        (
            event("aws.ec2", "EBS Snapshot Notification", json!({"event": "createSnapshot", "result": "succeeded"})),
            true,
        ),
        (event("aws.ec2", "EBS Snapshot Notification", json!({"event": "copySnapshot", "result": "failed"})), true),
        (event("aws.ec2", "EBS Snapshot Notification", json!({"event": "shareSnapshot"})), false),
        (event("mine", SNAPSHOTS, json!({"event": "createSnapshots"})), false),
        (event("aws.ec2", "EBS Volume Notification", json!({"event": "createVolume"})), false),
        (event("aws.ec2", "EC2 Instance State-change Notification", json!({"state": "running"})), false),
    ] {
        let matched = rules.iter().filter(|rule| {
            let request = json!({"EventPattern": rule["EventPattern"], "Event": event.to_string()});
            account.aws("events", "TestEventPattern", &request)["Result"] == true
        });
        assert_eq!(matched.count(), usize::from(wakes), "{event}");
    }
}

#[test]
fn each_rule_leads_to_its_function_may_invoke_it_and_keeps_what_did_not_arrive() {
    let account = Account::with_control_plane();
    let outputs = account.outputs(CONTROL_PLANE);
    let rules = list(&account.aws("events", "ListRules", &json!({}))["Rules"]);
    // What happens to nodes goes in as it is: the token is in it. So does what happens to snapshots: the function goes by its source.
    // Of all else only that something happened counts.
    for (function, output, queue, input, count) in [
        ("peering-watcher", "WatcherArn", "WatcherDeadLetters", json!({"single_pass": true}), 2),
        ("asg-lifecycle", "LifecycleArn", "LifecycleDeadLetters", Value::Null, 1),
        ("snapshot-scheduler", "SnapshotsArn", "SnapshotDeadLetters", Value::Null, 1),
    ] {
        let policy = account.aws("lambda", "GetPolicy", &json!({"FunctionName": function}));
        let statements = list(&parsed(&policy["Policy"])["Statement"]);
        let mut found = 0;
        for rule in &rules {
            let targets = list(&account.aws("events", "ListTargetsByRule", &json!({"Rule": rule["Name"]}))["Targets"]);
            let [target] = targets.as_slice() else { panic!("{targets:#?}") };
            if text(&target["Arn"]) != outputs[output] {
                continue;
            }
            found += 1;
            assert_eq!(rule["State"], "ENABLED");
            assert_eq!(target["DeadLetterConfig"]["Arn"], arn_of(&account, queue));
            assert_eq!(target["RetryPolicy"]["MaximumEventAgeInSeconds"], 60);
            assert_eq!(target.get("Input").map(parsed).unwrap_or_default(), input);
            assert_eq!((target.get("InputPath"), target.get("InputTransformer")), (None, None));
            let allowed = statements.iter().find(|s| s["Condition"]["ArnLike"]["AWS:SourceArn"] == rule["Arn"]);
            let allowed = allowed.unwrap_or_else(|| panic!("{} may not invoke {function}", rule["Name"]));
            assert_eq!(allowed["Principal"], json!({"Service": "events.amazonaws.com"}));
            assert_eq!(allowed["Action"], "lambda:InvokeFunction");
        }
        assert_eq!(found, count, "{function}");
        assert_eq!(statements.len(), count, "nobody else may: {statements:#?}");
    }
}

/// What EC2 says of copies in their Region goes on to the bus on which the control plane's rule is.
#[test]
fn a_region_of_copies_sends_their_events_home_and_no_others() {
    let account = Account::empty();
    account.create("copies", &translated("infra/copy-region.yaml"), &[("HomeRegion", "eu-central-1")]);
    let rules = list(&account.aws("events", "ListRules", &json!({}))["Rules"]);
    let [rule] = rules.as_slice() else { panic!("{rules:#?}") };
    for (happened, sent) in [("copySnapshot", true), ("createSnapshot", false), ("shareSnapshot", false)] {
        let event = event("aws.ec2", "EBS Snapshot Notification", json!({"event": happened, "result": "succeeded"}));
        let request = json!({"EventPattern": rule["EventPattern"], "Event": event.to_string()});
        assert_eq!(account.aws("events", "TestEventPattern", &request)["Result"], sent, "{happened}");
    }
    let targets = list(&account.aws("events", "ListTargetsByRule", &json!({"Rule": rule["Name"]}))["Targets"]);
    let [target] = targets.as_slice() else { panic!("{targets:#?}") };
    let bus = format!("arn:aws:events:eu-central-1:{}:event-bus/default", account.world.account);
    assert_eq!(target["Arn"], json!(bus));
    let role = account.id("copies", "CopiesDoneRole");
    assert_eq!(target["RoleArn"], json!(format!("arn:aws:iam::{}:role/{role}", account.world.account)));
    let policies = account.aws("iam", "ListRolePolicies", &json!({"RoleName": role}));
    let request = json!({"RoleName": role, "PolicyName": policies["PolicyNames"][0]});
    let document = parsed(&account.aws("iam", "GetRolePolicy", &request)["PolicyDocument"]);
    let [statement] = <[Value; 1]>::try_from(list(&document["Statement"])).unwrap();
    assert_eq!((&statement["Action"], &statement["Resource"]), (&json!(["events:PutEvents"]), &json!(bus)));
}

#[test]
fn failed_invocations_are_kept() {
    let account = Account::with_control_plane();
    for (name, queue, retries, age) in [
        ("cluster-registry", "RegistryDeadLetters", 2, 3600),
        ("peering-watcher", "WatcherDeadLetters", 0, 60),
        ("asg-lifecycle", "LifecycleDeadLetters", 0, 60),
        ("snapshot-scheduler", "SnapshotDeadLetters", 0, 60),
    ] {
        let config = account.aws("lambda", "GetFunctionEventInvokeConfig", &json!({"FunctionName": name}));
        assert_eq!(config["MaximumRetryAttempts"], retries, "{name}");
        assert_eq!(config["MaximumEventAgeInSeconds"], age, "{name}");
        assert_eq!(config["DestinationConfig"]["OnFailure"]["Destination"], arn_of(&account, queue), "{name}");
    }
}

fn event(source: &str, detail_type: &str, detail: Value) -> Value {
    json!({"id": "1", "version": "0", "account": "123456789012", "region": "us-east-1", "time": "2026-11-21T00:00:00Z",
        "resources": [], "source": source, "detail-type": detail_type, "detail": detail})
}

fn arn_of(account: &Account, queue: &str) -> Value {
    let request = json!({"QueueUrl": account.id(CONTROL_PLANE, queue), "AttributeNames": ["QueueArn"]});
    account.aws("sqs", "GetQueueAttributes", &request)["Attributes"]["QueueArn"].clone()
}
