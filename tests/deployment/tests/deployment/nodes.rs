//! The lifecycle function and the snapshot scheduler in the stack, and `infra/examples/nodes.yaml`: database nodes that a stack
//! declares.

use serde_json::{Value, json};

use crate::requests::Resource;
use crate::stage::{Account, CUSTOMER, list, parsed, text};
use crate::template::translated;

const EXAMPLE: &str = "infra/examples/nodes.yaml";
const STACK: &str = "acme-nodes";

/// Creates the example's stack, as its user would.
#[track_caller]
fn created(account: &Account) {
    let subnets = list(&account.aws("ec2", "DescribeSubnets", &json!({}))["Subnets"]);
    let subnets: Vec<String> = subnets.iter().map(|s| text(&s["SubnetId"])).collect();
    let gateway = json!({"GroupName": "gateway", "Description": "gateway", "VpcId": account.world.vpc_id});
    let gateway = text(&account.aws("ec2", "CreateSecurityGroup", &gateway)["GroupId"]);
    let parameters = [
        ("Name", CUSTOMER),
        ("GatewayFunction", "acme-gateway"),
        ("GatewaySecurityGroupId", gateway.as_str()),
        ("VpcId", &account.world.vpc_id),
        ("ClientCidr", "10.0.0.0/16"),
        ("SubnetIds", &subnets.join(",")),
        ("ImageId", "ami-0a1b2c3d4e5f60718"),
        // The emulated group has no instances of its own.
        ("Nodes", "0"),
        ("EtcdPeers", "http://etcd.acme.internal:2379"),
    ];
    account.create(STACK, &translated(EXAMPLE), &parameters);
}

fn event(hook: &str) -> Value {
    json!({"version": "0", "id": "1", "detail-type": "EC2 Instance-terminate Lifecycle Action", "source": "aws.autoscaling",
        "account": "123456789012", "region": "us-east-1", "time": "2026-11-21T00:00:00Z", "resources": [],
        "detail": {"LifecycleActionToken": "be2184df", "AutoScalingGroupName": CUSTOMER, "EC2InstanceId": "i-0a1b2c3d4e5f60718",
            "LifecycleHookName": hook, "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"}})
}

#[test]
fn the_example_s_group_is_as_the_lifecycle_function_wants_it() {
    let account = Account::with_control_plane();
    created(&account);
    let group = account.properties(STACK, "Group");
    assert_eq!(group["AutoScalingGroupName"], CUSTOMER);
    assert_eq!(group["InstanceLifecyclePolicy"]["RetentionTriggers"]["TerminateHookAbandon"], "retain");
    assert_eq!(group.get("TargetGroupARNs"), None, "Auto Scaling would drain a leader before its hook is asked");
    assert_eq!(group["Tags"][0]["Key"], "pilothouse:cluster");
    let hooks = list(&group["LifecycleHookSpecificationList"]);
    let spec = account.properties(STACK, "Cluster")["nodes"].clone();
    for (hook, name, transition, default) in [
        (&hooks[0], "launch", "autoscaling:EC2_INSTANCE_LAUNCHING", "CONTINUE"),
        (&hooks[1], "terminate", "autoscaling:EC2_INSTANCE_TERMINATING", "ABANDON"),
    ] {
        assert_eq!(hook["LifecycleHookName"], spec["hooks"][name], "{name}");
        assert_eq!((&hook["LifecycleTransition"], &hook["DefaultResult"]), (&json!(transition), &json!(default)));
        assert!(hook["HeartbeatTimeout"].as_u64().unwrap() >= 300, "{hook}");
    }
    assert_eq!(spec["asg"], CUSTOMER);
    let launched = account.properties(STACK, "LaunchTemplate")["LaunchTemplateData"].clone();
    assert_eq!(launched["MetadataOptions"], json!({"HttpTokens": "required", "InstanceMetadataTags": "enabled"}));
    // Commands are sent to tagged instances alone, and restore points taken of tagged volumes.
    for (nth, kind) in ["instance", "volume"].into_iter().enumerate() {
        let given = &launched["TagSpecifications"][nth];
        assert_eq!(given["ResourceType"], kind);
        let tags = list(&given["Tags"]);
        assert!(tags.contains(&json!({"Key": "pilothouse:cluster", "Value": CUSTOMER})), "{tags:?}");
    }
    let tags = list(&launched["TagSpecifications"][0]["Tags"]);
    // With tags in the metadata, none may have a space or a slash in its key.
    assert!(tags.iter().all(|tag| !text(&tag["Key"]).contains([' ', '/'])), "{tags:?}");
    for (target_group, path) in [("Writer", "/primary"), ("Reader", "/replica")] {
        let arn = account.id(STACK, target_group);
        let found = account.aws("elbv2", "DescribeTargetGroups", &json!({"TargetGroupArns": [arn]}));
        assert_eq!(found["TargetGroups"][0]["HealthCheckPath"], path);
        let tags = account.aws("elbv2", "DescribeTags", &json!({"ResourceArns": [arn]}));
        assert_eq!(tags["TagDescriptions"][0]["Tags"], json!([{"Key": "pilothouse:cluster", "Value": CUSTOMER}]));
    }
}

#[test]
fn the_lifecycle_function_runs_with_its_role_by_the_schedule_s_word_and_by_an_event() {
    let account = Account::with_control_plane();
    created(&account);
    let (registry, registry_key) = account.run("cluster-registry");
    let (lifecycle, lifecycle_key) = account.run("asg-lifecycle");
    // Time for a pass.
    account.stack.lambda_timeout(45.0).unwrap();
    let schedule = account.aws("scheduler", "GetSchedule", &json!({"Name": "pilothouse-asg-lifecycle"}));
    let report = lifecycle.invoke(&parsed(&schedule["Target"]["Input"])).unwrap();
    assert_eq!(report["function"], "asg-lifecycle", "{report:#}");
    assert_eq!((&report["passes"], &report["clusters"]), (&json!(1), &json!([])), "{report:#}");

    let data = Resource::of(&account, &registry, STACK, "Cluster").create().unwrap();
    assert_eq!(data, json!({"Name": CUSTOMER, "Generation": "1"}));
    let stored = registry.invoke(&json!({"get": CUSTOMER})).unwrap();
    assert_eq!(stored["spec"]["nodes"]["etcd"]["voters"], 3, "{stored:#}");

    // The emulator keeps groups of its own, so there is none of this name: it is said so, by what the role may read.
    let report = lifecycle.invoke(&event(&format!("{CUSTOMER}-terminate"))).unwrap();
    let cluster = &report["clusters"][0];
    assert_eq!((&cluster["name"], &cluster["reason"]), (&json!(CUSTOMER), &json!("GroupNotFound")), "{report:#}");
    assert_eq!(cluster["outcome"], "blocked");
    let status = registry.invoke(&json!({"status": CUSTOMER})).unwrap();
    assert!(status.to_string().contains("GroupReady"), "{status:#}");

    let calls = account.stack.calls().unwrap();
    let own = |key: &str, service: &str| {
        calls.iter().any(|call| call.access_key.as_deref() == Some(key) && call.service == service)
    };
    assert!(own(&registry_key, "dynamodb") && own(&lifecycle_key, "dynamodb") && own(&lifecycle_key, "autoscaling"));
    assert_eq!(account.stack.items().unwrap(), Vec::<Value>::new(), "the table of other tests is not touched");
}

#[test]
fn the_snapshot_scheduler_runs_with_its_role_by_the_schedule_s_word_by_an_event_and_by_hand() {
    let account = Account::with_control_plane();
    created(&account);
    let (registry, _) = account.run("cluster-registry");
    let (scheduler, key) = account.run("snapshot-scheduler");
    // Time for a pass.
    account.stack.lambda_timeout(100.0).unwrap();
    let schedule = account.aws("scheduler", "GetSchedule", &json!({"Name": "pilothouse-snapshot-scheduler"}));
    let report = scheduler.invoke(&parsed(&schedule["Target"]["Input"])).unwrap();
    assert_eq!(report["function"], "snapshot-scheduler", "{report:#}");
    assert_eq!((&report["passes"], &report["clusters"]), (&json!(1), &json!([])), "{report:#}");

    Resource::of(&account, &registry, STACK, "Cluster").create().unwrap();
    let stored = registry.invoke(&json!({"get": CUSTOMER})).unwrap();
    assert_eq!(stored["spec"]["snapshots"]["retention"]["daily"], 7, "{stored:#}");
    assert_eq!(stored["spec"]["snapshots"]["max_age_hours"], 13, "{stored:#}");

    let event = json!({"version": "0", "id": "1", "detail-type": "EBS Snapshot Notification", "source": "aws.ec2",
        "account": "123456789012", "region": "us-east-1", "time": "2026-11-21T00:00:00Z",
        "resources": ["arn:aws:ec2::us-east-1:snapshot/snap-01234567"],
        "detail": {"event": "createSnapshot", "result": "succeeded", "snapshot_id": "arn:aws:ec2::us-east-1:snapshot/snap-01234567"}});
    scheduler.invoke(&event).unwrap();
    let status = registry.invoke(&json!({"status": CUSTOMER})).unwrap();
    let recent = &status["conditions"]["snapshot-scheduler"]["RestorePointRecent"];
    assert_eq!((&recent["status"], &recent["reason"]), (&json!("false"), &json!("NoRestorePoint")), "{status:#}");

    let listed = scheduler.invoke(&json!({"list": CUSTOMER})).unwrap();
    assert_eq!((&listed["ok"], &listed["restore_points"]), (&json!(true), &json!([])), "{listed:#}");
    let refused = scheduler.invoke(&json!({"take": "nobody", "by": "ops"})).unwrap();
    assert_eq!(refused["ok"], false, "{refused:#}");

    let calls = account.stack.calls().unwrap();
    let own = |name: &str| calls.iter().any(|call| call.access_key.as_deref() == Some(&key) && call.name() == name);
    assert!(own("ec2:DescribeSnapshots") && own("dynamodb:Query"));
}
