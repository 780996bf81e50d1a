//! `infra/examples/cluster.yaml`: a cluster that a stack declares.

use serde_json::{Value, json};
use stack::{Listener, TargetGroupChange, Zone};

use crate::requests::Resource;
use crate::stage::{Account, CONTROL_PLANE, CUSTOMER, list, text};
use crate::story::{settle, wake};
use crate::template::translated;

const STACK: &str = "acme";
const HOST: &str = "acme.example.internal";

/// Creates the example's stack, as its user would.
#[track_caller]
fn created(account: &Account, stack: &str, changes: &[(&'static str, &str)]) {
    let subnets = list(&account.aws("ec2", "DescribeSubnets", &json!({}))["Subnets"]);
    let subnets: Vec<String> = subnets.iter().map(|s| text(&s["SubnetId"])).collect();
    let subnets = subnets.join(",");
    let cluster = account.world.cluster(CUSTOMER).unwrap();
    let mut parameters = vec![
        ("Name", CUSTOMER),
        ("VpcId", &account.world.vpc_id),
        ("SubnetIds", &subnets),
        ("Host", HOST),
        ("PeeringConnectionId", &cluster.connection_id),
        ("PeerAccount", &cluster.peer_account),
        ("PeerVpc", &cluster.peer_vpc),
        ("AllowedCidrs", "10.9.0.0/16"),
        ("RouteTableIds", &account.world.route_table_ids[0]),
    ];
    for (name, value) in changes {
        parameters.retain(|(known, _)| known != name);
        parameters.push((name, value));
    }
    account.create(stack, &translated("infra/examples/cluster.yaml"), &parameters);
    let arn = account.id(stack, "TargetGroup");
    account
        .stack
        .change_target_group(&TargetGroupChange { arn, initial_seconds: Some(0.0), ..Default::default() })
        .unwrap();
}

#[test]
fn the_example_is_created_updated_and_deleted() {
    let account = Account::with_control_plane();
    let database = Listener::start().unwrap();
    let servers = ["10.9.0.5:5432", "10.9.1.5:5432"].map(|server| (server, database.address()));
    account.stack.addresses(servers).unwrap();
    account.stack.dns.set(HOST, Zone::addresses(&["10.9.0.5"], 0));
    account.stack.dns.set("new.example.internal", Zone::addresses(&["10.9.1.5"], 0));
    let (registry, _) = account.run("cluster-registry");
    let (watcher, _) = account.run("peering-watcher");
    created(&account, STACK, &[]);

    // What the watcher may change is tagged, and the token is the control plane's.
    let target_group = account.id(STACK, "TargetGroup");
    let tags = account.aws("elbv2", "DescribeTags", &json!({"ResourceArns": [target_group]}));
    assert_eq!(tags["TagDescriptions"][0]["Tags"], json!([{"Key": "pilothouse:cluster", "Value": CUSTOMER}]));
    let properties = account.properties(STACK, "Cluster");
    assert_eq!(text(&properties["ServiceToken"]), account.outputs(CONTROL_PLANE)["RegistryArn"]);

    let mut cluster = Resource::of(&account, &registry, STACK, "Cluster");
    let data = cluster.create().unwrap();
    assert_eq!(data, json!({"Name": CUSTOMER, "Generation": "1"}));
    settle(&account, &watcher);
    assert_eq!(serving(&account, &target_group), ["10.9.0.5"]);

    let data = cluster.update(&[("/primary/endpoints/0/host", json!("new.example.internal"))]).unwrap();
    assert_eq!(data["Generation"], "2");
    settle(&account, &watcher);
    assert_eq!(serving(&account, &target_group), ["10.9.1.5"]);

    cluster.delete().unwrap();
    let last = (0..3).map(|_| wake(&account, &watcher)).last().unwrap();
    // What the watcher took away must be gone from AWS's answers too, for half a minute, before the name is free.
    assert_eq!(last["clusters"][0]["reason"], "TearingDown", "{last:#}");
    assert_eq!(serving(&account, &target_group), Vec::<String>::new());
    let routes = account.stack.routes(&account.world.route_table_ids[0]).unwrap();
    assert!(routes.iter().all(|r| r.target.as_deref() == Some("local")), "{routes:?}");
}

#[test]
fn mistakes_are_named_in_the_stack_s_events() {
    let account = Account::with_control_plane();
    let (registry, _) = account.run("cluster-registry");

    // Two mistakes in the parameters: both are said at once.
    created(&account, "mistaken", &[("AllowedCidrs", "10.9.0.5/16"), ("PeerAccount", "4444")]);
    let reason = Resource::of(&account, &registry, "mistaken", "Cluster").create().unwrap_err();
    let expected = "primary.peerings[0].peer_account: must be an AWS account id: 12 digits, not \"4444\"; \
                    primary.peerings[0].allowed_cidrs[0]: has host bits set: write `10.9.0.0/16`";
    assert_eq!(reason, expected);

    created(&account, STACK, &[]);
    let mut cluster = Resource::of(&account, &registry, STACK, "Cluster");
    cluster.create().unwrap();

    // A field's name is misspelt in an update; the spec stays as it was.
    let host = json!(HOST);
    let reason = cluster
        .update(&[("/primary/endpoints/0/host", Value::Null), ("/primary/endpoints/0/hosts", host)])
        .unwrap_err();
    assert_eq!(
        reason,
        "primary.endpoints[0].host: is required; primary.endpoints[0].hosts: unknown field; did you mean `host`?"
    );
    let stored = registry.invoke(&json!({"get": CUSTOMER})).unwrap();
    assert_eq!(stored["generation"], 1, "{stored:#}");

    // Another stack takes the same name.
    created(&account, "twin", &[]);
    let mut twin = Resource::of(&account, &registry, "twin", "Cluster");
    let reason = twin.create().unwrap_err();
    let first = text(&account.stack.made_by(STACK).unwrap()["id"]);
    let expected =
        format!("name: `acme-prod` is registered already by CloudFormation stack `{first}` (logical id `Cluster`)");
    assert_eq!(reason, expected);

    // Its rollback deletes nothing of the first's.
    twin.delete().unwrap();
    assert_eq!(registry.invoke(&json!({"get": CUSTOMER})).unwrap()["ok"], true);
}

/// The addresses that a target group serves.
fn serving(account: &Account, target_group: &str) -> Vec<String> {
    let rows = account.stack.targets(target_group).unwrap();
    rows.into_iter().filter(|t| t.state != "draining").map(|t| t.id).collect()
}
