//! A gateway's stack, made of the control plane's outputs.

use serde_json::{Value, json};
use stack::{DnsServer, Zone};

use crate::stage::{Account, CONTROL_PLANE, CUSTOMER, list, parsed, text};
use crate::story::wake;
use crate::template::translated;

const STACK: &str = "acme-gateway";
const HOST: &str = "acme.example.internal";

/// The gateway's stack, of the control plane's outputs; its subnets.
#[track_caller]
fn created(account: &Account, resolvers: &str) -> Vec<String> {
    created_with(account, resolvers, &[])
}

#[track_caller]
fn created_with(account: &Account, resolvers: &str, more: &[(&str, &str)]) -> Vec<String> {
    let outputs = account.outputs(CONTROL_PLANE);
    let subnets = list(&account.aws("ec2", "DescribeSubnets", &json!({}))["Subnets"]);
    let subnets: Vec<String> = subnets.iter().map(|s| text(&s["SubnetId"])).collect();
    let joined = subnets.join(",");
    let mut parameters = vec![
        ("Name", "acme-transit"),
        ("SubnetIds", joined.as_str()),
        ("SecurityGroupIds", "sg-1"),
        ("WatcherRoleArn", &outputs["WatcherRoleArn"]),
        ("TopicArn", &outputs["TopicArn"]),
        ("Resolvers", resolvers),
    ];
    parameters.extend(more);
    account.create(STACK, &translated("infra/gateway.yaml"), &parameters);
    subnets
}

#[test]
fn the_watcher_asks_the_gateway_for_names() {
    let account = Account::with_control_plane();
    // The name is known inside the VPC alone.
    let inside = DnsServer::start().unwrap();
    inside.set(HOST, Zone::addresses(&["10.9.0.5"], 0));
    created(&account, &inside.address().to_string());
    let (registry, _) = account.run("cluster-registry");
    let (watcher, watcher_key) = account.run("peering-watcher");
    let (gateway, gateway_key) = account.run_as("acme-transit", "vpc-gateway");
    let cluster = account.world.cluster(CUSTOMER).unwrap();
    let target_group = cluster.target_group("postgres").unwrap();
    let spec = json!({
        "name": CUSTOMER,
        "primary": {
            "endpoints": [{"name": "postgres", "host": HOST, "port": 5432, "target_group_arn": target_group}],
            "peerings": [{"connection_id": cluster.connection_id, "peer_account": cluster.peer_account,
                "peer_vpc": cluster.peer_vpc, "allowed_cidrs": cluster.allowed_cidrs}],
            "route_table_ids": account.world.route_table_ids,
            "gateway_function": "acme-transit",
        },
    });
    let answer = registry.invoke(&json!({"put": spec})).unwrap();
    assert_eq!(answer["ok"], true, "{answer:#}");
    wake(&account, &watcher);
    let targets: Vec<String> = account.stack.targets(target_group).unwrap().into_iter().map(|t| t.id).collect();
    assert_eq!(targets, ["10.9.0.5"], "{:#?}", gateway.log_lines());

    let calls = account.stack.calls().unwrap();
    let asked = calls.iter().filter(|c| c.name() == "lambda:Invoke");
    let askers: Vec<&str> = asked.filter_map(|c| c.access_key.as_deref()).collect();
    assert!(!askers.is_empty() && askers.iter().all(|key| *key == watcher_key), "{askers:?}");
    assert!(calls.iter().all(|c| c.access_key.as_deref() != Some(&gateway_key)), "the gateway makes no AWS call");
}

#[test]
fn a_gateway_is_made_of_the_control_plane_s_outputs() {
    let account = Account::with_control_plane();
    let subnets = created(&account, "");
    let outputs = account.outputs(CONTROL_PLANE);

    let function = account.aws("lambda", "GetFunctionConfiguration", &json!({"FunctionName": "acme-transit"}));
    assert_eq!(function["Environment"]["Variables"], json!({"PILOTHOUSE_VERBS": "resolve,probe"}));
    assert_eq!(function["Timeout"], 10);
    assert_eq!(function["MemorySize"], 512);
    let properties = account.properties(STACK, "Gateway");
    assert_eq!(properties["LoggingConfig"], json!({"LogFormat": "JSON", "LogGroup": "/aws/lambda/acme-transit"}));
    assert_eq!(properties["VpcConfig"], json!({"SubnetIds": subnets, "SecurityGroupIds": ["sg-1"]}));
    let made = account.aws("lambda", "ListTags", &json!({"Resource": function["FunctionArn"]}));
    assert_eq!(made["Tags"]["pilothouse:gateway"], "acme-transit", "the watcher's role may invoke what has this tag");

    let policy = account.aws("lambda", "GetPolicy", &json!({"FunctionName": "acme-transit"}));
    let statements = list(&parsed(&policy["Policy"])["Statement"]);
    let [statement] = statements.as_slice() else { panic!("{statements:#?}") };
    assert_eq!(statement["Action"], "lambda:InvokeFunction");
    assert_eq!(statement["Effect"], "Allow");
    assert!(statement["Principal"].to_string().contains(&outputs["WatcherRoleArn"]), "{statement:#}");

    let alarms = list(&account.aws("cloudwatch", "DescribeAlarms", &json!({}))["MetricAlarms"]);
    let id = json!(account.id(STACK, "GatewayErrors"));
    let alarm = alarms.iter().find(|a| a["AlarmName"] == id).unwrap();
    assert_eq!(alarm["Dimensions"], json!([{"Name": "FunctionName", "Value": "acme-transit"}]));
    assert_eq!(alarm["AlarmActions"], json!([outputs["TopicArn"]]));

    let role = account.id(STACK, "GatewayRole");
    let policies = account.aws("iam", "ListRolePolicies", &json!({"RoleName": role}));
    let request = json!({"RoleName": role, "PolicyName": policies["PolicyNames"][0]});
    let document = parsed(&account.aws("iam", "GetRolePolicy", &request)["PolicyDocument"]);
    let actions: Vec<Value> = list(&document["Statement"]).iter().flat_map(|s| list(&s["Action"])).collect();
    assert_eq!(actions, [json!("logs:CreateLogStream"), json!("logs:PutLogEvents")], "it makes no AWS call");
    let groups = account.aws("logs", "DescribeLogGroups", &json!({"logGroupNamePrefix": "/aws/lambda/acme-transit"}));
    assert_eq!(groups["logGroups"][0]["retentionInDays"], 30);
}

#[test]
fn a_gateway_of_nodes_is_the_lifecycle_function_s_and_the_snapshot_scheduler_s_too() {
    let account = Account::with_control_plane();
    let outputs = account.outputs(CONTROL_PLANE);
    let verbs = "patroni_get,patroni_switchover,patroni_reinitialize,etcd_members,etcd_add_learner,etcd_promote,\
                 etcd_remove,etcd_move_leader";
    let [lifecycle, snapshots] = ["LifecycleRoleArn", "SnapshotsRoleArn"].map(|role| (role, outputs[role].as_str()));
    created_with(&account, "", &[("Verbs", verbs), lifecycle, snapshots]);
    let function = account.aws("lambda", "GetFunctionConfiguration", &json!({"FunctionName": "acme-transit"}));
    assert_eq!(function["Environment"]["Variables"], json!({"PILOTHOUSE_VERBS": verbs}));
    let policy = account.aws("lambda", "GetPolicy", &json!({"FunctionName": "acme-transit"}));
    let statements = list(&parsed(&policy["Policy"])["Statement"]);
    let principals: Vec<String> = statements.iter().map(|one| one["Principal"].to_string()).collect();
    assert_eq!(principals.len(), 3, "{statements:#?}");
    for role in ["WatcherRoleArn", "LifecycleRoleArn", "SnapshotsRoleArn"] {
        assert!(principals.iter().any(|one| one.contains(&outputs[role])), "{role}: {principals:?}");
    }
    // It starts with these verbs, and has no other.
    let (gateway, _) = account.run_as("acme-transit", "vpc-gateway");
    let ask = |verb: &str| gateway.invoke(&json!({"v": 1, "verb": verb, "items": []})).unwrap();
    assert_eq!(ask("resolve")["error"]["code"], "VerbNotAllowed");
    assert_ne!(ask("etcd_members")["error"]["code"], "VerbNotAllowed");
}
