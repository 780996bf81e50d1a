//! The functions as their real programs, with the variables and the roles that the stack gave them, over the stack's own table
//! and topic.

use serde_json::{Value, json};
use stack::{Function, Listener, Zone};

use crate::stage::{Account, CONTROL_PLANE, CUSTOMER, list, parsed, text};

const HOST: &str = "acme.example.internal";

#[test]
fn a_cluster_is_put_served_and_followed_through_a_failover() {
    let account = Account::with_control_plane();
    let database = Listener::start().unwrap();
    let servers = ["10.9.0.5:5432", "10.9.0.6:5432"].map(|server| (server, database.address()));
    account.stack.addresses(servers).unwrap();
    account.stack.dns.set(HOST, Zone::addresses(&["10.9.0.5"], 0));
    let notices = subscribed(&account);
    let (registry, registry_key) = account.run("cluster-registry");
    let (watcher, watcher_key) = account.run("peering-watcher");

    let cluster = account.world.cluster(CUSTOMER).unwrap();
    let target_group = cluster.target_group("postgres").unwrap();
    let spec = json!({
        "name": CUSTOMER, "deletion": "teardown",
        "primary": {
            "endpoints": [{"name": "postgres", "host": HOST, "port": 5432, "target_group_arn": target_group}],
            "peerings": [{"connection_id": cluster.connection_id, "peer_account": cluster.peer_account,
                "peer_vpc": cluster.peer_vpc, "allowed_cidrs": cluster.allowed_cidrs}],
            "route_table_ids": account.world.route_table_ids,
        },
    });
    let answer = registry.invoke(&json!({"put": spec})).unwrap();
    assert_eq!(answer["ok"], true, "{answer:#}");

    settle(&account, &watcher);
    let targets = || -> Vec<String> {
        let rows = account.stack.targets(target_group).unwrap();
        rows.iter().map(|t| format!("{} {}", t.id, t.state)).collect()
    };
    assert_eq!(targets(), ["10.9.0.5 healthy"]);
    let routes = account.stack.routes(&account.world.route_table_ids[0]).unwrap();
    assert!(routes.iter().any(|r| r.target.as_deref() == Some(&cluster.connection_id)), "{routes:?}");

    account.stack.dns.set(HOST, Zone::addresses(&["10.9.0.6"], 0));
    settle(&account, &watcher);
    assert_eq!(targets(), ["10.9.0.5 draining", "10.9.0.6 healthy"]);

    let status = registry.invoke(&json!({"status": CUSTOMER})).unwrap();
    assert_eq!(status["ok"], true, "{status:#}");
    let conditions = status.to_string();
    assert!(conditions.contains("\"Registered\"") && conditions.contains("peering-watcher"), "{status:#}");

    let request = json!({"QueueUrl": notices, "MaxNumberOfMessages": 10});
    let received = list(&account.aws("sqs", "ReceiveMessage", &request)["Messages"]);
    let said: Vec<Value> = received.iter().map(|m| parsed(&parsed(&m["Body"])["Message"])).collect();
    assert!(said.iter().any(|n| n["cluster"] == CUSTOMER && n["condition"] == "Registered"), "{said:#?}");

    // Everything was called in one of the two roles, and the table is the stack's.
    let table = account.id(CONTROL_PLANE, "Table");
    let calls = account.stack.calls().unwrap();
    let calls: Vec<_> = calls.iter().filter(|call| call.access_key.as_deref() != Some("control")).collect();
    let keys = [Some(registry_key.as_str()), Some(watcher_key.as_str())];
    let stranger = calls.iter().find(|call| !keys.contains(&call.access_key.as_deref()));
    assert!(stranger.is_none(), "{stranger:#?}");
    for key in keys {
        assert!(calls.iter().any(|call| call.access_key.as_deref() == key && call.service == "dynamodb"), "{key:?}");
    }
    let elsewhere = calls.iter().find(|c| c.service == "dynamodb" && !c.params.to_string().contains(&table));
    assert!(elsewhere.is_none(), "{elsewhere:#?}");
    assert_eq!(account.stack.items().unwrap(), Vec::<Value>::new(), "the table of other tests is not touched");
}

#[test]
fn the_schedule_s_own_words_wake_the_watcher() {
    let account = Account::with_control_plane();
    let (watcher, _) = account.run("peering-watcher");
    let schedule = account.aws("scheduler", "GetSchedule", &json!({"Name": "pilothouse-peering-watcher"}));
    // Time for one pass, and none for the next one 10 s later.
    account.stack.lambda_timeout(25.0).unwrap();
    let report = watcher.invoke(&parsed(&schedule["Target"]["Input"])).unwrap();
    assert_eq!(report["function"], "peering-watcher");
    assert_eq!(report["passes"], 1, "{report:#}");
    assert_eq!(report.get("ignored"), None, "{report:#}");
    let line = watcher
        .wait_for_line(|line| line.contains("aws.scheduler/Scheduled Event"), std::time::Duration::from_secs(10));
    assert!(line.is_some(), "{:#?}", watcher.log_lines());
}

/// Wakes the watcher as an accepted peering does, in the words of the stack's rule.
#[track_caller]
pub(crate) fn wake(account: &Account, watcher: &Function) -> Value {
    let rule = account.id(CONTROL_PLANE, "PeeringWatcherPeeringChanged");
    let targets = account.aws("events", "ListTargetsByRule", &json!({"Rule": rule}));
    let report = watcher.invoke(&parsed(&targets["Targets"][0]["Input"])).unwrap();
    assert_eq!(report["passes"], 1, "{report:#}");
    report
}

/// Wakes the watcher until nothing is left to do.
#[track_caller]
pub(crate) fn settle(account: &Account, watcher: &Function) {
    let mut last = Value::Null;
    for _ in 0..8 {
        last = wake(account, watcher);
        if last["clusters"] == json!([]) {
            return;
        }
    }
    panic!("it did not settle: {last:#}");
}

/// A queue that gets what is published to the stack's topic.
fn subscribed(account: &Account) -> String {
    let url = text(&account.aws("sqs", "CreateQueue", &json!({"QueueName": "operators"}))["QueueUrl"]);
    let request = json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]});
    let arn = account.aws("sqs", "GetQueueAttributes", &request)["Attributes"]["QueueArn"].clone();
    let topic = account.id(CONTROL_PLANE, "Topic");
    account.aws("sns", "Subscribe", &json!({"TopicArn": topic, "Protocol": "sqs", "Endpoint": arn}));
    url
}
