use super::*;
use aws::wire::Wire;
use ports::{CallLog, Health, NodeTargets as _};

const ARN: &str = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/acme-rw/73e2d6bc24d8a067";

async fn node_targets(wire: &Wire) -> NodeTargets {
    NodeTargets::new(&wire.configuration(&CallLog::default()).await)
}

fn answer(call: &str, result: &str) -> String {
    format!("<{call}Response><{call}Result>{result}</{call}Result></{call}Response>")
}

#[tokio::test]
async fn a_group_is_read_with_its_kind_and_its_drain() {
    for (kind, value, expected, drain) in [
        ("instance", "15", TargetKind::Instance, 15),
        ("ip", "0", TargetKind::Address, 0),
        ("lambda", "soon", TargetKind::Other, 300),
    ] {
        let wire = Wire::default();
        let group = format!(
            "<TargetGroups><member><TargetGroupArn>{ARN}</TargetGroupArn><TargetType>{kind}</TargetType></member></TargetGroups>"
        );
        wire.answer(200, answer("DescribeTargetGroups", &group));
        let attribute = format!(
            "<Attributes><member><Key>stickiness.enabled</Key><Value>false</Value></member><member><Key>{}</Key><Value>{value}</Value></member></Attributes>",
            DRAIN.0
        );
        wire.answer(200, answer("DescribeTargetGroupAttributes", &attribute));
        let read = node_targets(&wire).await.describe(ARN).await;
        assert_eq!(read, Ok(NodeTargetGroup { kind: expected, drain: Duration::from_secs(drain) }), "{kind}");
    }
}

#[tokio::test]
async fn instances_and_addresses_are_targets_and_those_never_registered_are_not() {
    let row = |id: &str, state: &str, reason: &str| {
        format!(
            "<member><Target><Id>{id}</Id><Port>5432</Port></Target><TargetHealth><State>{state}</State>{reason}</TargetHealth></member>"
        )
    };
    let rows = [
        row("i-1", "healthy", ""),
        row("10.0.1.5", "unhealthy.draining", ""),
        row("i-3", "unused", "<Reason>Target.NotRegistered</Reason>"),
    ];
    let wire = Wire::default();
    let list = format!("<TargetHealthDescriptions>{}</TargetHealthDescriptions>", rows.concat());
    wire.answer(200, answer("DescribeTargetHealth", &list));
    let target = |id: &str, health| NodeTargetHealth { target: NodeTarget { id: id.to_owned(), port: 5432 }, health };
    let read = node_targets(&wire).await.targets(ARN).await.unwrap();
    assert_eq!(read, [target("i-1", Health::Healthy), target("10.0.1.5", Health::Draining)]);
}

#[tokio::test]
async fn a_node_is_registered_with_its_port_and_without_a_zone() {
    let target = NodeTarget { id: "i-1".to_owned(), port: 5432 };
    let wire = Wire::default();
    wire.answer(200, answer("RegisterTargets", ""));
    wire.refuse(400, "InvalidTarget", "not registered");
    let targets = node_targets(&wire).await;
    targets.register(ARN, &target).await.unwrap();
    targets.deregister(ARN, &target).await.unwrap();
    for sent in wire.sent() {
        let form = sent.form();
        assert_eq!((form["Targets.member.1.Id"].as_str(), form["Targets.member.1.Port"].as_str()), ("i-1", "5432"));
        assert!(!form.contains_key("Targets.member.1.AvailabilityZone"), "{form:?}");
    }
}
