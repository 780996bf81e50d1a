//! What the roles are, and what is noticed when one is changed.

use permissions::on_behalf;
use permissions::template::{Role, Template};
use permissions::width::findings;
use serde_json::{Value, json};

use super::{REFERENCE, templates};

fn roles(templates: &[Template]) -> Vec<Role> {
    templates.iter().flat_map(|template| template.roles().unwrap()).collect()
}

/// The roles, with this statement of a function's role changed.
fn with(program: &str, sid: &str, change: impl Fn(&mut Value)) -> Vec<Role> {
    let mut roles = roles(&templates());
    let role = roles.iter_mut().find(|role| role.program.as_deref() == Some(program)).unwrap();
    change(role.statements.iter_mut().find(|statement| statement["Sid"] == sid).unwrap());
    roles
}

#[test]
fn what_services_do_in_a_role_s_name_is_exactly_the_list() {
    assert_eq!(on_behalf::differences(&roles(&templates())), [""; 0]);
}

#[test]
fn no_statement_is_wider_than_it_need_be() {
    assert_eq!(findings(&roles(&templates()), &REFERENCE).unwrap(), [""; 0]);
}

/// Everything that it does, it does to hosts of its VPC.
#[test]
fn a_gateway_may_do_nothing_itself() {
    let roles = roles(&templates());
    let gateway = roles.iter().find(|role| role.program.as_deref() == Some("vpc-gateway")).unwrap();
    let actions: Vec<&Value> = gateway.statements.iter().flat_map(|one| one["Action"].as_array().unwrap()).collect();
    assert_eq!(actions, ["logs:CreateLogStream", "logs:PutLogEvents"]);
    assert_eq!(
        gateway.managed.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
        ["AWSLambdaENIManagementAccess"]
    );
}

#[test]
fn a_change_of_what_is_for_a_service_is_noticed() {
    let via = json!({"StringEquals": {"kms:ViaService": {"Fn::Sub": "ec2.${AWS::Region}.amazonaws.com"}}});
    let changes: [(&str, &str, &str, Value); 7] = [
        (
            "vpc-gateway",
            "OurLog",
            "Action",
            json!(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]),
        ),
        ("cluster-registry", "OurLog", "Resource", json!("*")),
        ("peering-watcher", "TopicKey", "Condition", json!({})),
        ("peering-watcher", "OurDeadLetters", "Resource", json!({"Fn::GetAtt": ["RegistryDeadLetters", "Arn"]})),
        ("asg-lifecycle", "VolumeKeyGrants", "Condition", via),
        ("asg-lifecycle", "VolumeKeys", "Resource", json!("*")),
        ("snapshot-scheduler", "SnapshotKeys", "Condition", json!({})),
    ];
    for (program, sid, field, value) in changes {
        let found = on_behalf::differences(&with(program, sid, |statement| statement[field] = value.clone()));
        assert_eq!(found.len(), 1, "{program} {sid}: {found:#?}");
    }
    let mut roles = roles(&templates());
    roles.iter_mut().find(|role| role.program.is_none()).unwrap().statements[0]["Action"] = json!("lambda:*");
    assert_eq!(on_behalf::differences(&roles).len(), 2, "one is missing, one is not known");
    roles.iter_mut().for_each(|role| role.managed.clear());
    assert_eq!(on_behalf::differences(&roles).len(), 6);
}

#[test]
fn a_statement_that_is_too_wide_or_never_applies_is_noticed() {
    let narrow = json!({"Fn::Sub": "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:route-table/*"});
    let tag = json!({"Null": {"aws:ResourceTag/pilothouse:cluster": "false"}});
    for (sid, field, value, expected) in [
        ("RoutesToPeers", "Resource", json!("*"), "it can be narrowed to a route-table"),
        ("OurTable", "Resource", json!("*"), "it can be narrowed to a table"),
        ("RoutesToPeers", "Condition", json!({}), "route-table/* is every one of its type"),
        ("Gateways", "Condition", json!({}), "function:* is every one of its type"),
        ("OurTable", "Action", json!(["dynamodb:*"]), "a wildcard grows with AWS"),
        ("ReadTheNetwork", "Resource", narrow, "never allowed without the resource *"),
        ("ReadTheNetwork", "Condition", tag, "ec2:DescribeRouteTables knows no tags"),
    ] {
        let found =
            findings(&with("peering-watcher", sid, |statement| statement[field] = value.clone()), &REFERENCE).unwrap();
        assert!(found.iter().any(|line| line.contains(sid) && line.contains(expected)), "{sid} {field}: {found:#?}");
    }
    for (sid, field, value, expected) in [
        ("StartGrants", "Condition", json!({}), "instance/* is every one of its type"),
        ("StopNodes", "Condition", json!({}), "instance/* is every one of its type"),
        ("StopDocument", "Resource", json!("*"), "it can be narrowed to a"),
        ("Groups", "Resource", json!("*"), "it can be narrowed to a autoScalingGroup"),
        ("RestorePoints", "Condition", json!({}), "snapshot/* is every one of its type"),
        ("NodeVolumes", "Condition", json!({}), "volume/* is every one of its type"),
        ("NewVolumes", "Resource", json!("*"), "it can be narrowed to a snapshot or volume"),
    ] {
        let found =
            findings(&with("asg-lifecycle", sid, |statement| statement[field] = value.clone()), &REFERENCE).unwrap();
        assert!(found.iter().any(|line| line.contains(sid) && line.contains(expected)), "{sid} {field}: {found:#?}");
    }
    for (sid, field, value, expected) in [
        ("TakenOf", "Condition", json!({}), "volume/* is every one of its type"),
        ("NewSnapshots", "Condition", json!({}), "snapshot/* is every one of its type"),
        ("NewCopies", "Condition", json!({}), "snapshot/* is every one of its type"),
        ("OldSnapshots", "Condition", json!({}), "snapshot/* is every one of its type"),
        ("OldSnapshots", "Resource", json!("*"), "it can be narrowed to a snapshot"),
        ("KeyStates", "Resource", json!("*"), "it can be narrowed to a key"),
        (
            "KeyStates",
            "Action",
            json!(["kms:DescribeKey", "kms:ScheduleKeyDeletion"]),
            "key/* is every one of its type",
        ),
    ] {
        let changed = with("snapshot-scheduler", sid, |statement| statement[field] = value.clone());
        let found = findings(&changed, &REFERENCE).unwrap();
        assert!(found.iter().any(|line| line.contains(sid) && line.contains(expected)), "{sid} {field}: {found:#?}");
    }
    let misspelt = with("peering-watcher", "Notices", |statement| statement["Action"] = json!(["sns:Publsh"]));
    assert!(findings(&misspelt, &REFERENCE).is_err());
}

#[test]
fn what_would_escape_the_comparison_is_an_error() {
    let role = "/Resources/PeeringWatcherRole";
    for (place, value) in [
        ("/Resources/More", json!({"Type": "AWS::IAM::Policy"})),
        ("/Resources/More", json!({"Type": "AWS::IAM::ManagedPolicy"})),
        ("/Resources/PeeringWatcherRole/Properties/PermissionsBoundary", json!("arn")),
        ("/Resources/PeeringWatcherRole/Properties/Policies/0/PolicyDocument", json!({})),
        ("/Resources/PeeringWatcherRole/Properties/ManagedPolicyArns", json!({"Fn::If": ["InVpc", ["a"], ["b"]]})),
        ("/Resources/PeeringWatcher/Properties/Role", json!("arn:aws:iam::1:role/by-hand")),
        ("/Resources/PeeringWatcher/Properties/Role", json!({"Fn::GetAtt": ["ClusterRegistryRole", "Arn"]})),
        ("/Resources/PeeringWatcher/Properties/Role", json!({"Fn::GetAtt": ["Elsewhere", "Arn"]})),
    ] {
        let mut template = templates().remove(0);
        assert!(template.json.pointer(role).is_some());
        let (parent, name) = place.rsplit_once('/').unwrap();
        template.json.pointer_mut(parent).unwrap()[name] = value;
        assert!(template.roles().is_err(), "{place}");
    }
}
