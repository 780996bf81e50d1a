use super::*;
use aws::wire::Wire;
use ports::{CallLog, RouteTables as _};
use std::collections::BTreeMap;

async fn route_tables(wire: &Wire) -> (RouteTables, CallLog) {
    let calls = CallLog::default();
    (RouteTables::new(&wire.configuration(&calls).await), calls)
}

fn answer(tables: &[&str]) -> String {
    let tables: String =
        tables.iter().map(|id| format!("<item><routeTableId>{id}</routeTableId><vpcId>vpc-1</vpcId></item>")).collect();
    format!("<DescribeRouteTablesResponse><routeTableSet>{tables}</routeTableSet></DescribeRouteTablesResponse>")
}

fn ids(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn found(tables: Vec<RouteTable>) -> Vec<String> {
    tables.into_iter().map(|table| table.id).collect()
}

/// The ids that each request asked for.
fn asked(wire: &Wire) -> Vec<Vec<String>> {
    let ids = |form: BTreeMap<String, String>| {
        form.into_iter().filter(|(name, _)| name.starts_with("RouteTableId.")).map(|(_, value)| value).collect()
    };
    wire.sent().iter().map(|sent| ids(sent.form())).collect()
}

fn block() -> Ipv4Net {
    "10.9.0.0/16".parse().unwrap()
}

fn fields(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn no_ids_are_no_call() {
    let wire = Wire::default();
    assert_eq!(route_tables(&wire).await.0.describe(&[]).await, Ok(Vec::new()));
    assert!(wire.sent().is_empty());
}

#[tokio::test]
async fn ids_are_asked_once_each_and_a_hundred_at_a_time() {
    let wire = Wire::default();
    let mut all: Vec<String> = (0..101).map(|number| format!("rtb-{number:03}")).collect();
    wire.answer(200, answer(&["rtb-000", "rtb-of-another"]));
    wire.answer(200, answer(&["rtb-100"]));
    all.push("rtb-000".to_owned());
    let (tables, calls) = route_tables(&wire).await;
    assert_eq!(found(tables.describe(&all).await.unwrap()), ["rtb-000", "rtb-100"]);
    let asked = asked(&wire);
    assert_eq!((asked.len(), asked[0].len(), &asked[1]), (2, 100, &ids(&["rtb-100"])));
    assert_eq!(calls.take(), [("ec2:DescribeRouteTables".to_owned(), 2)].into());
}

#[tokio::test]
async fn w6_an_unknown_id_does_not_hide_the_others() {
    for code in ["InvalidRouteTableID.NotFound", "InvalidRouteTableId.Malformed"] {
        let wire = Wire::default();
        wire.refuse_ec2(400, code, "rtb-3");
        wire.answer(200, answer(&["rtb-1"]));
        wire.refuse_ec2(400, code, "rtb-3");
        wire.answer(200, answer(&["rtb-2"]));
        wire.refuse_ec2(400, code, "rtb-3");
        let described = route_tables(&wire).await.0.describe(&ids(&["rtb-1", "rtb-2", "rtb-3"])).await;
        assert_eq!(found(described.unwrap()), ["rtb-1", "rtb-2"]);
        let expected: [&[&str]; 5] =
            [&["rtb-1", "rtb-2", "rtb-3"], &["rtb-1"], &["rtb-2", "rtb-3"], &["rtb-2"], &["rtb-3"]];
        assert_eq!(asked(&wire), expected.map(ids));
    }
}

#[tokio::test]
async fn any_other_failure_fails_the_description() {
    for (status, code, class) in [
        (403, "UnauthorizedOperation", Class::Denied),
        (503, "RequestLimitExceeded", Class::Throttled),
        (500, "InternalError", Class::Unavailable),
        (400, "InvalidParameterValue", Class::Invalid),
    ] {
        let wire = Wire::default();
        wire.refuse_ec2(status, code, "words");
        wire.refuse_ec2(status, code, "words");
        let error = route_tables(&wire).await.0.describe(&ids(&["rtb-1", "rtb-2"])).await.unwrap_err();
        assert_eq!((error.call, error.class), (DESCRIBE, class));
    }
}

#[tokio::test]
async fn routes_are_read_with_target_and_state() {
    let wire = Wire::default();
    wire.answer(
        200,
        "<DescribeRouteTablesResponse><routeTableSet><item><routeTableId>rtb-1</routeTableId><vpcId>vpc-1</vpcId><routeSet>
         <item><destinationCidrBlock>10.0.0.0/16</destinationCidrBlock><gatewayId>local</gatewayId><state>active</state></item>
         <item><destinationCidrBlock>10.9.0.0/16</destinationCidrBlock><vpcPeeringConnectionId>pcx-1</vpcPeeringConnectionId><state>blackhole</state></item>
         <item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><natGatewayId>nat-1</natGatewayId><state>active</state></item>
         <item><destinationCidrBlock>10.7.0.0/16</destinationCidrBlock><instanceId>i-1</instanceId><networkInterfaceId>eni-1</networkInterfaceId><state>active</state></item>
         <item><destinationCidrBlock>10.6.0.0/16</destinationCidrBlock></item>
         <item><destinationIpv6CidrBlock>::/0</destinationIpv6CidrBlock><egressOnlyInternetGatewayId>eigw-1</egressOnlyInternetGatewayId><state>active</state></item>
         <item><destinationPrefixListId>pl-1</destinationPrefixListId><gatewayId>vpce-1</gatewayId><state>active</state></item>
         </routeSet></item></routeTableSet></DescribeRouteTablesResponse>",
    );
    let described = route_tables(&wire).await.0.describe(&ids(&["rtb-1"])).await.unwrap();
    let route = |destination: &str, target, state| Route { destination: destination.parse().unwrap(), target, state };
    let other = |id: &str| RouteTarget::Other(id.to_owned());
    assert_eq!(
        described,
        [RouteTable {
            id: "rtb-1".to_owned(),
            vpc: Some("vpc-1".to_owned()),
            routes: vec![
                route("10.0.0.0/16", RouteTarget::Local, RouteState::Active),
                route("10.9.0.0/16", RouteTarget::Peering("pcx-1".to_owned()), RouteState::Blackhole),
                route("0.0.0.0/0", other("nat-1"), RouteState::Active),
                route("10.7.0.0/16", other("i-1"), RouteState::Active),
                route("10.6.0.0/16", other("unknown"), RouteState::Blackhole),
            ],
        }]
    );
}

#[tokio::test]
async fn changes_name_table_destination_and_connection() {
    let wire = Wire::default();
    wire.answer(200, "<CreateRouteResponse><return>true</return></CreateRouteResponse>");
    wire.answer(200, "<ReplaceRouteResponse><return>true</return></ReplaceRouteResponse>");
    wire.answer(200, "<DeleteRouteResponse><return>true</return></DeleteRouteResponse>");
    let (tables, _) = route_tables(&wire).await;
    tables.create("rtb-1", block(), "pcx-1").await.unwrap();
    tables.replace("rtb-1", block(), "pcx-1").await.unwrap();
    tables.delete("rtb-1", block()).await.unwrap();
    let change = |action| {
        let mut form = fields(&[
            ("Action", action),
            ("DestinationCidrBlock", "10.9.0.0/16"),
            ("RouteTableId", "rtb-1"),
            ("Version", "2016-11-15"),
        ]);
        if action != "DeleteRoute" {
            form.insert("VpcPeeringConnectionId".to_owned(), "pcx-1".to_owned());
        }
        form
    };
    let forms: Vec<_> = wire.sent().iter().map(|sent| sent.form()).collect();
    assert_eq!(forms, ["CreateRoute", "ReplaceRoute", "DeleteRoute"].map(change));
}

#[tokio::test]
async fn changes_that_are_refused_say_why() {
    let no_route = "There is no route defined for '10.9.0.0/16' in the route table. Use CreateRoute instead.";
    for (code, message, class) in [
        ("RouteAlreadyExists", "exists", Class::Conflict),
        ("RouteLimitExceeded", "full", Class::LimitReached),
        ("InvalidVpcPeeringConnectionID.NotFound", "gone", Class::NotFound),
        ("InvalidParameterValue", no_route, Class::NotFound),
        ("UnauthorizedOperation", "no", Class::Denied),
    ] {
        let wire = Wire::default();
        wire.refuse_ec2(400, code, message);
        wire.refuse_ec2(400, code, message);
        let (tables, _) = route_tables(&wire).await;
        let created = tables.create("rtb-1", block(), "pcx-1").await.unwrap_err();
        assert_eq!((created.call, created.class), ("ec2:CreateRoute", class));
        let replaced = tables.replace("rtb-1", block(), "pcx-1").await.unwrap_err();
        assert_eq!((replaced.call, replaced.class), ("ec2:ReplaceRoute", class));
    }
}

#[tokio::test]
async fn a_route_that_is_not_there_is_deleted() {
    for code in ["InvalidRoute.NotFound", "InvalidRouteTableID.NotFound"] {
        let wire = Wire::default();
        wire.refuse_ec2(400, code, "gone");
        assert_eq!(route_tables(&wire).await.0.delete("rtb-1", block()).await, Ok(()));
    }
    let wire = Wire::default();
    wire.refuse_ec2(403, "UnauthorizedOperation", "no");
    let error = route_tables(&wire).await.0.delete("rtb-1", block()).await.unwrap_err();
    assert_eq!((error.call, error.class), ("ec2:DeleteRoute", Class::Denied));
}
