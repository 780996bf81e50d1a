//! What the comparison says when a role and the calls differ.

use std::collections::BTreeSet;

use permissions::calls::Call;
use permissions::compare::{Compared, compare};
use permissions::template::Template;
use serde_json::{Value, json};

use super::{REFERENCE, templates};

const HERE: &str = "us-east-1:123456789012";

fn call(function: &str, action: &str, resource: &str, tags: &Value) -> Call {
    let names = json!({"partition": "aws", "region": "us-east-1", "account": "123456789012", "table": "pilothouse",
        "topic": format!("arn:aws:sns:{HERE}:notices")});
    let resource = if resource == "?" { Value::Null } else { json!(resource) };
    let call = json!({"function": function, "action": action, "resource": resource, "tags": tags, "names": names});
    serde_json::from_value(call).unwrap()
}

/// A node that is granted its start, with these tags given.
fn grant(given: &Value) -> Call {
    let instance = format!("arn:aws:ec2:{HERE}:instance/i-1");
    let tagged = call("asg-lifecycle", "ec2:CreateTags", &instance, &json!({"pilothouse:cluster": "acme"}));
    Call { request_tags: Some(serde_json::from_value(given.clone()).unwrap()), ..tagged }
}

/// A volume that is made, with these tags given: what IAM decides, one by one.
fn new_volume(given: &Value, create_action: Option<&str>) -> Vec<Call> {
    let volume = |action: &str| Call {
        request_tags: Some(serde_json::from_value(given.clone()).unwrap()),
        ..call("asg-lifecycle", action, &format!("arn:aws:ec2:{HERE}:volume/*"), &json!({}))
    };
    let tags = Call { create_action: create_action.map(str::to_owned), ..volume("ec2:CreateTags") };
    let snapshot = "arn:aws:ec2:us-east-1::snapshot/snap-1";
    let from = call("asg-lifecycle", "ec2:CreateVolume", snapshot, &json!({"pilothouse:cluster": "acme"}));
    vec![volume("ec2:CreateVolume"), from, tags]
}

fn volume_tags() -> Value {
    json!({"pilothouse:cluster": "acme", "pilothouse:node": "i-1", "pilothouse:device": "/dev/sdf"})
}

/// What the functions call when they do all that their roles allow.
fn everything() -> BTreeSet<Call> {
    let none = json!({});
    let cluster = json!({"pilothouse:cluster": "acme"});
    let gateway = json!({"pilothouse:gateway": "transit"});
    let arn = |service: &str, rest: &str| format!("arn:aws:{service}:{HERE}:{rest}");
    let table = arn("dynamodb", "table/pilothouse");
    let mut found = BTreeSet::new();
    for action in ["ConditionCheckItem", "DeleteItem", "GetItem", "PutItem", "Query"] {
        found.insert(call("cluster-registry", &format!("dynamodb:{action}"), &table, &none));
    }
    let mut watcher = |action: &str, resource: &str, tags: &Value| {
        found.insert(call("peering-watcher", action, resource, tags));
    };
    for action in ["DeleteItem", "GetItem", "PutItem", "Query"] {
        watcher(&format!("dynamodb:{action}"), &table, &none);
    }
    for action in ["ec2:DescribeRouteTables", "ec2:DescribeVpcPeeringConnections"] {
        watcher(action, "*", &none);
    }
    for action in ["DescribeTargetGroups", "DescribeTargetHealth"] {
        watcher(&format!("elasticloadbalancing:{action}"), "*", &none);
    }
    for action in ["CreateRoute", "DeleteRoute", "ReplaceRoute"] {
        watcher(&format!("ec2:{action}"), &arn("ec2", "route-table/rtb-1"), &cluster);
    }
    for action in ["DeregisterTargets", "RegisterTargets"] {
        watcher(&format!("elasticloadbalancing:{action}"), &group(), &cluster);
    }
    watcher("lambda:InvokeFunction", &arn("lambda", "function:transit"), &gateway);
    watcher("secretsmanager:GetSecretValue", &arn("secretsmanager", "secret:acme-1"), &cluster);
    watcher("sns:Publish", &arn("sns", "notices"), &none);
    found.extend(everything_about_nodes());
    found.extend(everything_about_restore_points());
    found
}

fn everything_about_nodes() -> BTreeSet<Call> {
    let none = json!({});
    let cluster = json!({"pilothouse:cluster": "acme"});
    let arn = |service: &str, rest: &str| format!("arn:aws:{service}:{HERE}:{rest}");
    let mut found = BTreeSet::from([grant(&json!({"pilothouse:start": "join"}))]);
    let mut lifecycle = |action: &str, resource: &str, tags: &Value| {
        found.insert(call("asg-lifecycle", action, resource, tags));
    };
    for action in ["DeleteItem", "GetItem", "PutItem", "Query"] {
        lifecycle(&format!("dynamodb:{action}"), &arn("dynamodb", "table/pilothouse"), &none);
    }
    for action in [
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeLifecycleHooks",
        "ec2:DescribeInstances",
        "ec2:DescribeVolumes",
        "elasticloadbalancing:DescribeTargetGroupAttributes",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
        "ssm:GetCommandInvocation",
    ] {
        lifecycle(action, "*", &none);
    }
    for action in [
        "CompleteLifecycleAction",
        "RecordLifecycleActionHeartbeat",
        "SetInstanceProtection",
        "SuspendProcesses",
        "TerminateInstanceInAutoScalingGroup",
    ] {
        let group = arn("autoscaling", "autoScalingGroup:1-2:autoScalingGroupName/acme-pg");
        lifecycle(&format!("autoscaling:{action}"), &group, &cluster);
    }
    lifecycle("ssm:SendCommand", "arn:aws:ssm:us-east-1::document/AWS-RunShellScript", &none);
    lifecycle("ssm:SendCommand", &arn("ec2", "instance/i-1"), &cluster);
    for action in ["DeregisterTargets", "RegisterTargets"] {
        lifecycle(&format!("elasticloadbalancing:{action}"), &group(), &cluster);
    }
    lifecycle("lambda:InvokeFunction", &arn("lambda", "function:acme"), &json!({"pilothouse:gateway": "acme"}));
    lifecycle("secretsmanager:GetSecretValue", &arn("secretsmanager", "secret:acme-1"), &cluster);
    lifecycle("sns:Publish", &arn("sns", "notices"), &none);
    for action in ["AttachVolume", "ModifyInstanceAttribute"] {
        lifecycle(&format!("ec2:{action}"), &arn("ec2", "instance/i-1"), &cluster);
    }
    for action in ["AttachVolume", "DeleteVolume", "ModifyInstanceAttribute"] {
        lifecycle(&format!("ec2:{action}"), &arn("ec2", "volume/vol-1"), &volume_tags());
    }
    found.extend(new_volume(&volume_tags(), Some("CreateVolume")));
    found
}

/// A snapshot of this table's, with this tag beside.
fn own_tags(more: (&str, &str)) -> Value {
    let mut tags = json!({"pilothouse:cluster": "acme", "pilothouse:deployment": "pilothouse"});
    tags[more.0] = json!(more.1);
    tags
}

/// Snapshots that are made by `action` in a Region, with these tags given: what IAM decides of them.
fn new_snapshots(action: &str, region: &str, given: &Value) -> [Call; 2] {
    let snapshot = |called: &str| Call {
        request_tags: Some(serde_json::from_value(given.clone()).unwrap()),
        ..call("snapshot-scheduler", called, &format!("arn:aws:ec2:{region}::snapshot/*"), &json!({}))
    };
    let tagged = Call { create_action: Some(action.to_owned()), ..snapshot("ec2:CreateTags") };
    [snapshot(&format!("ec2:{action}")), tagged]
}

/// The mark of a snapshot that has these tags.
fn mark(tags: &Value, given: &Value) -> Call {
    let marked = call("snapshot-scheduler", "ec2:CreateTags", "arn:aws:ec2:eu-west-1::snapshot/snap-1", tags);
    Call { request_tags: Some(serde_json::from_value(given.clone()).unwrap()), ..marked }
}

fn everything_about_restore_points() -> BTreeSet<Call> {
    let none = json!({});
    let cluster = json!({"pilothouse:cluster": "acme"});
    let own = own_tags(("pilothouse:set", "acme.1.1"));
    let arn = |service: &str, rest: &str| format!("arn:aws:{service}:{HERE}:{rest}");
    let mut found = BTreeSet::new();
    let mut scheduler = |action: &str, resource: &str, tags: &Value| {
        found.insert(call("snapshot-scheduler", action, resource, tags));
    };
    for action in ["DeleteItem", "GetItem", "PutItem", "Query"] {
        scheduler(&format!("dynamodb:{action}"), &arn("dynamodb", "table/pilothouse"), &none);
    }
    for action in ["Images", "Instances", "LockedSnapshots", "Snapshots", "Volumes"] {
        scheduler(&format!("ec2:Describe{action}"), "*", &none);
    }
    scheduler("autoscaling:DescribeAutoScalingGroups", "*", &none);
    scheduler("ssm:GetCommandInvocation", "*", &none);
    for taken_of in ["instance/i-1", "volume/vol-1"] {
        scheduler("ec2:CreateSnapshots", &arn("ec2", taken_of), &cluster);
    }
    for action in ["CopySnapshot", "DescribeSnapshotAttribute"] {
        scheduler(&format!("ec2:{action}"), "arn:aws:ec2:us-east-1::snapshot/snap-1", &own);
    }
    scheduler("ec2:DeleteSnapshot", "arn:aws:ec2:eu-west-1::snapshot/snap-1", &own);
    scheduler("kms:DescribeKey", &arn("kms", "key/1"), &none);
    scheduler("ssm:SendCommand", "arn:aws:ssm:us-east-1::document/AWS-RunShellScript", &none);
    scheduler("ssm:SendCommand", &arn("ec2", "instance/i-1"), &cluster);
    scheduler("lambda:InvokeFunction", &arn("lambda", "function:acme"), &json!({"pilothouse:gateway": "acme"}));
    scheduler("secretsmanager:GetSecretValue", &arn("secretsmanager", "secret:acme-1"), &cluster);
    scheduler("sns:Publish", &arn("sns", "notices"), &none);
    found.extend(new_snapshots("CreateSnapshots", "us-east-1", &own));
    found.extend(new_snapshots("CopySnapshot", "eu-west-1", &own));
    found.insert(mark(&own, &json!({"pilothouse:state": "deleting"})));
    found.insert(mark(&own, &json!({"pilothouse:holds": "audit"})));
    found
}

#[test]
fn s5_a_snapshot_of_another_deployment_is_neither_made_nor_marked_nor_copied_nor_deleted() {
    let own = own_tags(("pilothouse:set", "acme.1.1"));
    let foreign = json!({"pilothouse:cluster": "acme", "pilothouse:deployment": "another"});
    let (none, cluster) = (json!({}), json!({"pilothouse:cluster": "acme"}));
    let state = json!({"pilothouse:state": "deleting"});
    let snapshot = |action: &str, tags: &Value| {
        call("snapshot-scheduler", &format!("ec2:{action}"), "arn:aws:ec2:us-east-1::snapshot/snap-2", tags)
    };
    let [made, _] = new_snapshots("CreateSnapshots", "us-east-1", &foreign);
    let [copied, _] = new_snapshots("CopySnapshot", "eu-west-1", &cluster);
    let [_, tagged] = new_snapshots("CreateSnapshots", "us-east-1", &own);
    for (call, expected) in [
        (snapshot("DeleteSnapshot", &none), "not allow it: OldSnapshots"),
        (snapshot("DeleteSnapshot", &foreign), "not allow it: OldSnapshots"),
        (snapshot("DeleteSnapshot", &cluster), "not allow it: OldSnapshots"),
        (snapshot("DescribeSnapshotAttribute", &foreign), "not allow it: OwnSnapshots"),
        (snapshot("CopySnapshot", &foreign), "NewCopies, OwnSnapshots"),
        (snapshot("ModifySnapshotAttribute", &own), "SnapshotSchedulerRole does not allow it"),
        (made, "TakenOf, NewSnapshots"),
        (copied, "NewCopies, OwnSnapshots"),
        (Call { create_action: None, ..tagged }, "NewSnapshotTags, DeletionMarks"),
        (mark(&foreign, &state), "NewSnapshotTags, DeletionMarks"),
        (mark(&own, &json!({"pilothouse:state": "kept"})), "NewSnapshotTags, DeletionMarks"),
        (mark(&own, &own_tags(("pilothouse:state", "deleting"))), "NewSnapshotTags, DeletionMarks"),
        (mark(&foreign, &json!({"pilothouse:holds": "audit"})), "DeletionMarks, HoldNotes"),
        (mark(&own, &own_tags(("pilothouse:holds", "audit"))), "DeletionMarks, HoldNotes"),
        (
            call("snapshot-scheduler", "ec2:CreateSnapshots", &format!("arn:aws:ec2:{HERE}:volume/vol-2"), &none),
            "TakenOf, NewSnapshots",
        ),
    ] {
        let found = compared(&templates(), &and(call.clone()));
        assert!(found.len() == 1 && found[0].contains(expected), "{call:?}: {found:#?}");
    }
}

fn group() -> String {
    format!("arn:aws:elasticloadbalancing:{HERE}:targetgroup/acme/1")
}

fn compared(templates: &[Template], calls: &BTreeSet<Call>) -> Vec<String> {
    let Compared { findings, .. } = compare(templates, calls, &REFERENCE).unwrap();
    findings.into_iter().collect()
}

fn and(more: Call) -> BTreeSet<Call> {
    let mut calls = everything();
    calls.insert(more);
    calls
}

/// One statement of the watcher's role, changed.
fn with(sid: &str, change: impl Fn(&mut Value)) -> Vec<Template> {
    let mut templates = templates();
    let policies =
        templates[0].json.pointer_mut("/Resources/PeeringWatcherRole/Properties/Policies/0/PolicyDocument/Statement");
    let statements = policies.unwrap().as_array_mut().unwrap();
    change(statements.iter_mut().find(|statement| statement["Sid"] == sid).unwrap());
    templates
}

#[test]
fn roles_and_calls_that_agree_give_nothing() {
    assert_eq!(compared(&templates(), &everything()), [""; 0]);
}

#[test]
fn a_call_that_is_not_allowed_is_found() {
    let none = json!({});
    let cluster = json!({"pilothouse:cluster": "acme"});
    let elsewhere = "arn:aws:dynamodb:us-east-1:123456789012:table/other";
    for (more, expected) in [
        (
            call(
                "peering-watcher",
                "dynamodb:UpdateItem",
                "arn:aws:dynamodb:us-east-1:123456789012:table/pilothouse",
                &none,
            ),
            "does not allow it",
        ),
        (
            call("cluster-registry", "dynamodb:GetItem", elsewhere, &none),
            "does not allow it: OurTable names the action",
        ),
        (
            call("peering-watcher", "elasticloadbalancing:RegisterTargets", &group(), &none),
            "(no tags), and PeeringWatcherRole does not allow it: Targets names",
        ),
        (
            call(
                "peering-watcher",
                "elasticloadbalancing:RegisterTargets",
                &group().replace("east-1:", "east-2:"),
                &cluster,
            ),
            "does not allow it",
        ),
        (
            call(
                "peering-watcher",
                "lambda:InvokeFunction",
                &format!("arn:aws:lambda:{HERE}:function:payroll"),
                &json!({"pilothouse:cluster": "a"}),
            ),
            "does not allow it: Gateways",
        ),
        (
            call("vpc-gateway", "dynamodb:GetItem", "arn:aws:dynamodb:us-east-1:123456789012:table/pilothouse", &none),
            "GatewayRole does not allow it",
        ),
        (call("payroll", "dynamodb:GetItem", elsewhere, &none), "no template has it"),
    ] {
        let found = compared(&templates(), &and(more.clone()));
        assert!(found.len() == 1 && found[0].contains(expected), "{more:?}: {found:#?}");
    }
    let denied = with("Notices", |statement| statement["Effect"] = json!("Deny"));
    let found = compared(&denied, &everything());
    assert!(found.len() == 1 && found[0].contains("Notices denies it"), "{found:#?}");
}

#[test]
fn a_node_gets_its_start_grant_and_no_other_tag_and_only_tagged_ones_take_commands() {
    let leaves = and(grant(&json!({"pilothouse:start": "leave"})));
    assert_eq!(compared(&templates(), &leaves), [""; 0]);
    for given in [
        json!({"pilothouse:start": "now"}),
        json!({"pilothouse:start": "join", "pilothouse:cluster": "mine"}),
        json!({"pilothouse:cluster": "mine"}),
    ] {
        let found = compared(&templates(), &and(grant(&given)));
        assert!(found.len() == 1 && found[0].contains("not allow it: StartGrants"), "{given}: {found:#?}");
    }
    let elsewhere = Call { tags: Some([].into()), ..grant(&json!({"pilothouse:start": "join"})) };
    let found = compared(&templates(), &and(elsewhere));
    assert!(found.len() == 1 && found[0].contains("not allow it: StartGrants"), "{found:#?}");
    let none = json!({});
    for (resource, names) in [
        (format!("arn:aws:ec2:{HERE}:instance/i-2"), "StopDocument, StopNodes"),
        ("arn:aws:ssm:us-east-1::document/AWS-RunPowerShellScript".to_owned(), "StopDocument, StopNodes"),
    ] {
        let found = compared(&templates(), &and(call("asg-lifecycle", "ssm:SendCommand", &resource, &none)));
        assert!(found.len() == 1 && found[0].contains(names), "{resource}: {found:#?}");
    }
}

#[test]
fn volumes_are_made_for_nodes_alone_and_those_of_others_are_left_alone() {
    let (node, cluster, none) = (json!({"pilothouse:node": "i-1"}), json!({"pilothouse:cluster": "acme"}), json!({}));
    let arn = |rest: &str| format!("arn:aws:ec2:{HERE}:{rest}");
    let lifecycle =
        |action: &str, rest: &str, tags: &Value| call("asg-lifecycle", &format!("ec2:{action}"), &arn(rest), tags);
    let more = json!({"pilothouse:node": "i-1", "pilothouse:gateway": "mine"});
    for (call, expected) in [
        (new_volume(&cluster, Some("CreateVolume")).remove(0), "NewVolumes, RestorePoints"),
        (new_volume(&more, Some("CreateVolume")).remove(2), "NewVolumeTags"),
        (new_volume(&node, None).remove(2), "NewVolumeTags"),
        (new_volume(&node, Some("CreateSnapshot")).remove(2), "NewVolumeTags"),
        (Call { tags: Some([].into()), ..new_volume(&node, None).remove(1) }, "NewVolumes, RestorePoints"),
        (lifecycle("AttachVolume", "instance/i-2", &none), "NodesWithVolumes, NodeVolumes"),
        (lifecycle("AttachVolume", "volume/vol-2", &cluster), "NodesWithVolumes, NodeVolumes"),
        (lifecycle("ModifyInstanceAttribute", "instance/i-2", &node), "NodesWithVolumes, NodeVolumes"),
        (lifecycle("DeleteVolume", "volume/vol-2", &cluster), "NodeVolumes"),
        (lifecycle("DetachVolume", "volume/vol-1", &volume_tags()), "AsgLifecycleRole does not allow it"),
    ] {
        let found = compared(&templates(), &and(call.clone()));
        assert!(found.len() == 1 && found[0].contains(expected), "{call:?}: {found:#?}");
    }
}

#[test]
fn an_action_that_was_taken_away_or_is_not_called_is_found() {
    let less = with("RoutesToPeers", |statement| statement["Action"] = json!(["ec2:CreateRoute", "ec2:DeleteRoute"]));
    let found = compared(&less, &everything());
    assert!(found.len() == 1 && found[0].contains("calls ec2:ReplaceRoute"), "{found:#?}");

    let more = with("Notices", |statement| statement["Action"] = json!(["sns:Publish", "sns:Subscribe"]));
    let found = compared(&more, &everything());
    assert!(found.len() == 1 && found[0].contains("allows sns:Subscribe (Notices)"), "{found:#?}");

    let more = with("OurTable", |statement| {
        let table = statement["Resource"].clone();
        statement["Resource"] = json!([table, {"Fn::Sub": "${Table.Arn}/index/*"}]);
    });
    let found = compared(&more, &everything());
    assert!(found.len() == 1 && found[0].contains("/index/* (OurTable)"), "{found:#?}");

    // A condition that no call meets: the tag is another's.
    let other =
        with("Targets", |statement| statement["Condition"] = json!({"Null": {"aws:ResourceTag/other": "false"}}));
    let found = compared(&other, &everything());
    assert_eq!(found.len(), 5, "two calls refused, two actions and a resource unused: {found:#?}");
}

#[test]
fn a_function_without_calls_is_found_and_a_gateway_needs_none() {
    let calls = everything().into_iter().filter(|call| call.function != "cluster-registry").collect();
    let found = compared(&templates(), &calls);
    assert!(found.iter().any(|line| line.contains("cluster-registry made no call")), "{found:#?}");
    assert!(!found.iter().any(|line| line.contains("vpc-gateway")), "{found:#?}");
}

#[test]
fn a_resource_that_aws_would_not_name_is_found() {
    let none = json!({});
    for (action, resource) in [
        ("ec2:DescribeRouteTables", "arn:aws:ec2:us-east-1:123456789012:route-table/rtb-1"),
        ("dynamodb:GetItem", "*"),
        ("ec2:CreateRoute", "arn:aws:ec2:us-east-1:123456789012:vpc/vpc-1"),
        ("ec2:DescribeVpcs", "?"),
    ] {
        let found = compared(&templates(), &and(call("peering-watcher", action, resource, &none)));
        assert!(found.iter().any(|line| line.contains("authorization.py")), "{action}: {found:#?}");
    }
}

/// AWS denies it, or says that it is not there; no role has to allow it, and none is used by it.
#[test]
fn a_call_on_what_does_not_exist_proves_nothing() {
    let gone = call("peering-watcher", "elasticloadbalancing:RegisterTargets", &group(), &Value::Null);
    let same = |call: &Call| call.function == gone.function && call.action == gone.action;
    let mut calls: BTreeSet<Call> = everything().into_iter().filter(|call| !same(call)).collect();
    calls.insert(gone);
    let found = compared(&templates(), &calls);
    assert!(found.len() == 1 && found[0].contains("allows elasticloadbalancing:RegisterTargets"), "{found:#?}");
}
