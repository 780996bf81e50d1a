//! The emulator's process and control routes, and functions under its Runtime API. Needs `make venv`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy takes helpers of a test for no test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::json;
use stack::{
    Error, Fault, FaultKind, Function, Launch, Listener, NewPeering, PeeringChange, Stack, TargetGroupChange, World,
    WorldCluster,
};

/// `cargo lambda watch` takes invocations only for functions that it knows.
const NAME: &str = "peering-watcher";
const LIMIT: Duration = Duration::from_secs(10);

fn world() -> World {
    World { clusters: vec![WorldCluster::named("acme", "10.9.0.0/16")], ..World::default() }
}

fn start(stack: &Stack, env: &[(&str, &str)], log_file: Option<&Path>) -> Function {
    let env: BTreeMap<String, String> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Function::start(&Launch {
        name: NAME,
        binary: Path::new(env!("CARGO_BIN_EXE_echo-function")),
        endpoints: stack.endpoints(),
        env: &env,
        log_file,
    })
    .unwrap()
}

#[test]
fn a_world_is_made_and_its_peering_changes_on_demand() {
    let stack = stack::acquire().unwrap();
    let made = stack.world(&world()).unwrap();
    let acme = made.cluster("acme").unwrap();
    assert!(acme.connection_id.starts_with("pcx-"));
    assert_eq!(acme.allowed_cidrs, ["10.9.0.0/16"]);
    assert!(made.cluster("other").is_err());
    assert!(acme.target_group("other").is_err());
    assert_eq!(stack.environment(&made)["PILOTHOUSE_TABLE"], made.table);

    stack.peering(&acme.connection_id, "active").unwrap();
    stack
        .change_peering(&PeeringChange {
            connection_id: acme.connection_id.clone(),
            peer_cidrs: Some(vec!["10.9.0.0/17".to_owned()]),
            ..PeeringChange::default()
        })
        .unwrap();
    let again =
        stack.new_peering(&NewPeering { peer_vpc: Some(acme.peer_vpc.clone()), ..NewPeering::default() }).unwrap();
    assert_ne!(again.connection_id, acme.connection_id);

    let refused = stack.peering(&acme.connection_id, "half-open").unwrap_err();
    assert!(
        matches!(&refused, Error::Status { status: 400, body, .. } if body.contains("pending-acceptance")),
        "{refused}"
    );
}

#[test]
fn health_is_what_a_listener_shows() {
    let stack = stack::acquire().unwrap();
    let made = stack.world(&world()).unwrap();
    let arn = made.cluster("acme").unwrap().target_group("postgres").unwrap().to_owned();
    stack
        .change_target_group(&TargetGroupChange {
            arn: arn.clone(),
            initial_seconds: Some(0.0),
            ..TargetGroupChange::default()
        })
        .unwrap();
    let mut database = Listener::start().unwrap();
    stack.addresses([("10.9.0.5:5432", database.address())]).unwrap();
    stack.register_target(&arn, "10.9.0.5", 5432, Some("all")).unwrap();

    let state = || {
        let rows = stack.targets(&arn).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].id.as_str(), rows[0].port, rows[0].zone.as_deref()), ("10.9.0.5", 5432, Some("all")));
        rows[0].state.clone()
    };
    assert_eq!(state(), "healthy");
    database.stop();
    assert_eq!(state(), "unhealthy");
    database.restart().unwrap();
    assert_eq!(state(), "healthy");
    stack.deregister_target(&arn, "10.9.0.5", 5432).unwrap();
    assert_eq!(state(), "draining");
    stack.clock(301.0).unwrap();
    assert_eq!(stack.targets(&arn).unwrap(), []);
    assert!(stack.calls().unwrap().is_empty(), "control routes are no AWS calls");
}

#[test]
fn routes_items_faults_and_answers_are_read_back() {
    let stack = stack::acquire().unwrap();
    let made = stack.world(&world()).unwrap();
    let table = &made.route_table_ids[0];
    let gateway = stack.put_route(table, "0.0.0.0/0", "internet-gateway", false).unwrap();
    let routes = stack.routes(table).unwrap();
    let route = routes.iter().find(|route| route.destination == "0.0.0.0/0").unwrap();
    assert_eq!(route.target.as_deref(), Some(gateway.as_str()));
    assert!(
        routes.iter().any(|route| route.destination == "10.200.0.0/16" && route.target.as_deref() == Some("local"))
    );
    stack.delete_route(table, "0.0.0.0/0").unwrap();
    assert_eq!(stack.routes(table).unwrap().len(), routes.len() - 1);

    let item = json!({"pk": "cluster#acme", "sk": "spec", "generation": 3, "deep": {"list": [1, "two", null, true]}});
    stack.put_item(&item).unwrap();
    assert_eq!(stack.items().unwrap(), std::slice::from_ref(&item));
    assert_eq!(stack.item("cluster#acme", "spec").unwrap(), Some(item));
    stack.delete_item("cluster#acme", "spec").unwrap();
    assert_eq!(stack.item("cluster#acme", "spec").unwrap(), None);

    stack.fault(&Fault::new("ec2:*", FaultKind::LostReply).after(2).always()).unwrap();
    stack.fault(&Fault::code("sns:Publish", "AuthorizationError").times(3)).unwrap();
    let faults = stack.faults().unwrap();
    assert_eq!(faults[0], json!({"operation": "ec2:*", "kind": "lost_reply", "times": -1, "skip": 2}));
    assert_eq!(faults[1]["code"], "AuthorizationError");
    stack.clear_faults().unwrap();
    assert!(stack.faults().unwrap().is_empty());

    let url = stack.answer_url("stack-1", "X-Amz-Signature=abc");
    assert!(stack.answers("stack-1").unwrap().is_empty());
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
    agent.put(&url).content_type("").send(json!({"Status": "SUCCESS"}).to_string()).unwrap();
    let puts = stack.answers("stack-1").unwrap();
    assert_eq!(puts.len(), 1);
    assert_eq!((puts[0].query.as_str(), puts[0].json()), ("X-Amz-Signature=abc", json!({"Status": "SUCCESS"})));
    assert!(stack.notices().unwrap().is_empty());
}

#[test]
fn an_aws_request_is_logged_and_a_reset_forgets_it() {
    let stack = stack::acquire().unwrap();
    let sign = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/elasticloadbalancing/aws4_request, SignedHeaders=host, Signature=0";
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().into();
    let call = |action: &str| {
        let request = agent.post(&stack.endpoints().aws).header("authorization", sign);
        request.send_form([("Action", action), ("Version", "2015-12-01")]).unwrap();
    };
    call("DescribeTargetGroups");
    stack.fault(&Fault::new("elasticloadbalancing:RegisterTargets", FaultKind::Throttle)).unwrap();
    call("RegisterTargets");
    let calls = stack.calls().unwrap();
    assert_eq!(calls.len(), 2);
    assert_eq!(
        (calls[0].name().as_str(), calls[0].mutates(), calls[0].status),
        ("elasticloadbalancing:DescribeTargetGroups", false, Some(200))
    );
    assert_eq!((calls[1].mutates(), calls[1].status, calls[1].fault.as_deref()), (true, Some(400), Some("throttle")));
    assert_eq!(stack.calls_since(calls[0].n).unwrap().len(), 1);
    assert_eq!(stack.last_call().unwrap().unwrap().n, calls[1].n);
    drop(stack);

    let stack = stack::acquire().unwrap();
    assert!(stack.calls().unwrap().is_empty());
    assert!(stack.last_call().unwrap().is_none());
}

#[test]
fn the_log_says_what_iam_would_decide_each_call_by() {
    let stack = stack::acquire().unwrap();
    let made = stack.world(&world()).unwrap();
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().into();
    let sign = |service: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        )
    };
    let form = |service: &str, version: &str, fields: &[(&str, &str)]| {
        let request = agent.post(&stack.endpoints().aws).header("authorization", sign(service));
        request.send_form([("Version", version)].iter().chain(fields).copied()).unwrap();
    };
    let elb = |action: &str, arn: &str| {
        form("elasticloadbalancing", "2015-12-01", &[("Action", action), ("TargetGroupArn", arn)])
    };
    let group = made.clusters[0].endpoints[0].target_group_arn.as_str();
    let gone = group.replace("acme", "gone");
    elb("DescribeTargetHealth", group);
    elb("RegisterTargets", group);
    elb("RegisterTargets", &gone);
    let table = made.route_table_ids[0].as_str();
    form(
        "ec2",
        "2016-11-15",
        &[("Action", "DeleteRoute"), ("RouteTableId", table), ("DestinationCidrBlock", "10.9.0.0/16")],
    );
    form("ec2", "2016-11-15", &[("Action", "DescribeVpcs")]);
    let write = |kind: &str| json!({kind: {"TableName": "pilothouse", "Key": {}, "Item": {}}});
    let transaction = json!({"TransactItems": [write("Put"), write("ConditionCheck"), write("Put")]}).to_string();
    let request = agent.post(&stack.endpoints().aws).header("authorization", sign("dynamodb"));
    request.header("x-amz-target", "DynamoDB_20120810.TransactWriteItems").send(transaction).unwrap();

    let calls = stack.calls().unwrap();
    let shown = |need: &stack::Need| {
        let tags = need.tags.as_ref().map(|tags| tags.iter().map(|(k, v)| format!(" {k}={v}")).collect::<String>());
        let resource = need.resource.as_deref().unwrap_or("not known");
        format!("{} {resource}{}", need.action, tags.unwrap_or_else(|| " no such resource".to_owned()))
    };
    let found: Vec<String> = calls.iter().flat_map(|call| &call.needs).map(shown).collect();
    let ours = "arn:aws:dynamodb:us-east-1:123456789012:table/pilothouse";
    assert_eq!(
        found,
        [
            "elasticloadbalancing:DescribeTargetHealth *".to_owned(),
            format!("elasticloadbalancing:RegisterTargets {group} pilothouse:cluster=acme"),
            format!("elasticloadbalancing:RegisterTargets {gone} no such resource"),
            format!("ec2:DeleteRoute arn:aws:ec2:us-east-1:123456789012:route-table/{table} pilothouse:cluster=shared"),
            "ec2:DescribeVpcs not known no such resource".to_owned(),
            format!("dynamodb:ConditionCheckItem {ours}"),
            format!("dynamodb:PutItem {ours}"),
        ]
    );
}

#[test]
fn turns_share_one_emulator_and_a_broken_one_is_replaced() {
    let stack = stack::acquire().unwrap();
    let first = stack.emulator().pid();
    drop(stack);
    let stack = stack::acquire().unwrap();
    assert_eq!(stack.emulator().pid(), first);
    let kill = std::process::Command::new("kill").args(["-9", &first.to_string()]).status().unwrap();
    assert!(kill.success());
    while stack.calls().is_ok() {
        thread::sleep(Duration::from_millis(20));
    }
    drop(stack);
    let stack = stack::acquire().unwrap();
    assert_ne!(stack.emulator().pid(), first);
    assert!(stack.calls().unwrap().is_empty());
}

#[test]
fn a_function_answers_fails_and_ends() {
    let stack = stack::acquire().unwrap();
    let log = std::env::temp_dir().join(format!("stack-echo-{}.log", std::process::id()));
    let function = start(&stack, &[("PILOTHOUSE_TABLE", "t1")], Some(&log));
    let event = json!({"cluster": "acme", "text": "über"});
    assert_eq!(function.invoke(&event).unwrap(), event);
    assert!(function.wait_for_line(|line| line.contains("acme"), LIMIT).is_some());
    assert!(function.wait_for_line(|line| line == "on standard error too", LIMIT).is_some());
    assert!(std::fs::read_to_string(&log).unwrap().contains("acme"));
    std::fs::remove_file(&log).unwrap();

    let env = |name: &str| function.invoke(&json!({ "env": name })).unwrap();
    assert_eq!(env("PILOTHOUSE_TABLE"), "t1");
    assert_eq!(env("AWS_ENDPOINT_URL"), stack.endpoints().aws.as_str());
    assert_eq!(env("AWS_ACCESS_KEY_ID"), "echo-function", "its calls are told from others'");
    assert_eq!(env("AWS_LAMBDA_FUNCTION_NAME"), NAME);
    assert_eq!(env("CARGO_MANIFEST_DIR"), json!(null), "this process's environment is not handed on");

    let failed = function.invoke(&json!({"fail": "no good"})).unwrap_err();
    assert!(
        matches!(&failed, Error::Function { error_type, message, .. } if error_type == "EchoError" && message == "no good"),
        "{failed}"
    );
    assert_eq!(function.exited(), None);

    let ended = function.invoke(&json!({"exit": 3})).unwrap_err();
    let Error::Exited { status, log, .. } = &ended else {
        panic!("{ended}");
    };
    assert!(status.contains('3'), "{status}");
    assert!(log.contains("\"exit\":3"), "{log}");
    assert_eq!(function.exited().unwrap().code(), Some(3));
}

#[test]
fn an_invocation_that_nobody_took_is_not_handed_to_the_next_instance() {
    let stack = stack::acquire().unwrap();
    {
        let broken = start(&stack, &[("ECHO_EXIT", "PILOTHOUSE_TABLE is not set")], None);
        // It ends while the invocation waits in the queue.
        let ended = broken.invoke(&json!({"from": "the past"})).unwrap_err();
        assert!(matches!(&ended, Error::Exited { log, .. } if log.contains("is not set")), "{ended}");
    }
    let function = start(&stack, &[], None);
    assert_eq!(function.invoke(&json!({"from": "now"})).unwrap(), json!({"from": "now"}));
    assert!(!function.log_lines().iter().any(|line| line.contains("the past")));
}

#[test]
fn a_killed_instance_leaves_its_name_to_the_next() {
    let stack = stack::acquire().unwrap();
    for n in 0..5 {
        let function = start(&stack, &[], None);
        assert_eq!(function.invoke_within(&json!(n), LIMIT).unwrap(), json!(n));
        function.kill();
        assert!(function.exited().is_some());
        assert!(matches!(function.invoke(&json!(n)), Err(Error::Exited { .. })));
    }
}

#[test]
fn a_program_that_is_not_built_is_named() {
    let missing = stack::binary("peering-watchman").unwrap_err().to_string();
    assert!(missing.contains("cargo build -p peering-watchman"), "{missing}");
}
