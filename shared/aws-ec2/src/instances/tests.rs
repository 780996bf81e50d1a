use super::*;
use aws::wire::Wire;
use ports::{CallLog, Instances as _};

async fn instances(wire: &Wire) -> Instances {
    Instances::new(&wire.configuration(&CallLog::default()).await)
}

fn reservation(items: &str) -> String {
    format!(
        "<DescribeInstancesResponse><reservationSet><item><instancesSet>{items}</instancesSet></item></reservationSet></DescribeInstancesResponse>"
    )
}

#[tokio::test]
async fn an_instance_is_read_with_its_state_its_address_and_its_tags() {
    let wire = Wire::default();
    wire.answer(
        200,
        reservation(
            "<item><instanceId>i-1</instanceId><instanceState><name>running</name></instanceState>
               <privateIpAddress>10.0.1.5</privateIpAddress><instanceLifecycle>spot</instanceLifecycle>
               <tagSet><item><key>pilothouse:start</key><value>join</value></item></tagSet></item>
             <item><instanceId>i-2</instanceId><instanceState><name>terminated</name></instanceState></item>
             <item><instanceId>i-9</instanceId><instanceState><name>running</name></instanceState></item>",
        ),
    );
    let read = instances(&wire).await.describe(&["i-1".to_owned(), "i-2".to_owned()]).await.unwrap();
    let form = wire.sent()[0].form();
    assert_eq!((form["Filter.1.Name"].as_str(), form["Filter.1.Value.2"].as_str()), ("instance-id", "i-2"));
    let expected = [
        Instance {
            id: "i-1".to_owned(),
            state: InstanceState::Running,
            address: Some(std::net::Ipv4Addr::new(10, 0, 1, 5)),
            tags: [("pilothouse:start".to_owned(), "join".to_owned())].into(),
            spot: true,
        },
        Instance {
            id: "i-2".to_owned(),
            state: InstanceState::Terminated,
            address: None,
            tags: [].into(),
            spot: false,
        },
    ];
    assert_eq!(read, expected, "an instance that was not asked for is left out");
}

#[tokio::test]
async fn a_tag_is_set_on_one_instance() {
    let wire = Wire::default();
    wire.answer(200, "<CreateTagsResponse><return>true</return></CreateTagsResponse>");
    instances(&wire).await.tag("i-1", "pilothouse:start", "join").await.unwrap();
    let form = wire.sent()[0].form();
    let field = |name: &str| form[name].clone();
    assert_eq!(
        [field("Action"), field("ResourceId.1"), field("Tag.1.Key"), field("Tag.1.Value")],
        ["CreateTags", "i-1", "pilothouse:start", "join"]
    );
}
