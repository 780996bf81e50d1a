//! Route tables: EC2's API reference (CreateRoute, ReplaceRoute, DeleteRoute, DescribeRouteTables, Route) and the VPC user
//! guide (`route-table-options`, `vpc-peering-routing`).

use ipnet::Ipv4Net;
use ports::{Class, RouteState, RouteTables as _, RouteTarget};

use crate::stage::{OWN, PEER, Stage};

const NO_TABLE: &str = "rtb-0123456789abcdef0";

fn block(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

async fn route(stage: &impl Stage, destination: &str) -> Option<(RouteTarget, RouteState)> {
    let tables = stage.route_tables().describe(&[stage.route_table().to_owned()]).await.unwrap();
    let found = tables[0].routes.iter().find(|r| r.destination == block(destination));
    found.map(|r| (r.target.clone(), r.state))
}

async fn create(stage: &impl Stage, destination: &str) -> Result<(), Class> {
    let made = stage.route_tables().create(stage.route_table(), block(destination), stage.connection()).await;
    made.map_err(|error| error.class)
}

fn over(connection: &str, state: RouteState) -> Option<(RouteTarget, RouteState)> {
    Some((RouteTarget::Peering(connection.to_owned()), state))
}

pub(crate) async fn a_table_has_its_local_route(stage: &impl Stage) {
    assert_eq!(route(stage, OWN).await, Some((RouteTarget::Local, RouteState::Active)));
}

/// Routes may be made while the request waits; "the route has a state of blackhole until the connection is active".
pub(crate) async fn a_route_over_a_pending_connection_is_a_blackhole_until_it_is_active(stage: &impl Stage) {
    create(stage, PEER).await.unwrap();
    assert_eq!(route(stage, PEER).await, over(stage.connection(), RouteState::Blackhole));
    stage.peering_becomes("active");
    assert_eq!(route(stage, PEER).await, over(stage.connection(), RouteState::Active));
}

/// Nobody removes the routes of a connection that was deleted.
pub(crate) async fn the_end_of_a_connection_leaves_its_route_as_a_blackhole(stage: &impl Stage) {
    stage.peering_becomes("active");
    create(stage, PEER).await.unwrap();
    stage.peering_becomes("deleted");
    assert_eq!(route(stage, PEER).await, over(stage.connection(), RouteState::Blackhole));
    stage.peering_vanishes();
    assert_eq!(route(stage, PEER).await, over(stage.connection(), RouteState::Blackhole));
}

/// `RouteAlreadyExists`.
pub(crate) async fn a_second_route_for_a_block_is_a_conflict(stage: &impl Stage) {
    stage.peering_becomes("active");
    create(stage, PEER).await.unwrap();
    assert_eq!(create(stage, PEER).await, Err(Class::Conflict));
    assert_eq!(create(stage, "10.9.1.0/24").await, Ok(()), "a narrower block is another route");
}

pub(crate) async fn a_route_is_pointed_to_another_connection(stage: &impl Stage) {
    stage.peering_becomes("active");
    create(stage, PEER).await.unwrap();
    let second = stage.second_connection();
    stage.route_tables().replace(stage.route_table(), block(PEER), &second).await.unwrap();
    assert_eq!(route(stage, PEER).await, over(&second, RouteState::Active));
}

/// "There is no route defined for '10.9.0.0/16' in the route table" (`InvalidParameterValue`).
pub(crate) async fn replacing_a_route_that_is_not_there_is_not_found(stage: &impl Stage) {
    stage.peering_becomes("active");
    let replaced = stage.route_tables().replace(stage.route_table(), block(PEER), stage.connection()).await;
    assert_eq!(replaced.unwrap_err().class, Class::NotFound);
    assert_eq!(route(stage, PEER).await, None);
}

/// `InvalidRoute.NotFound`, which the port takes for success.
pub(crate) async fn a_route_that_is_not_there_is_removed(stage: &impl Stage) {
    stage.peering_becomes("active");
    create(stage, PEER).await.unwrap();
    for _ in 0..2 {
        assert_eq!(stage.route_tables().delete(stage.route_table(), block(PEER)).await, Ok(()));
    }
    assert_eq!(route(stage, PEER).await, None);
}

/// A peering cannot be the target of a route into the VPC's own blocks.
pub(crate) async fn a_route_into_our_own_vpc_is_refused(stage: &impl Stage) {
    stage.peering_becomes("active");
    assert_eq!(create(stage, "10.1.2.0/24").await, Err(Class::Invalid));
}

/// `InvalidRouteTableID.NotFound`; the port leaves it out of a list.
pub(crate) async fn a_table_that_is_not_there_is_left_out_and_not_found(stage: &impl Stage) {
    let both = [stage.route_table().to_owned(), NO_TABLE.to_owned()];
    let found = stage.route_tables().describe(&both).await.unwrap();
    assert_eq!(found.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(), [stage.route_table()]);
    stage.peering_becomes("active");
    let made = stage.route_tables().create(NO_TABLE, block(PEER), stage.connection()).await;
    assert_eq!(made.unwrap_err().class, Class::NotFound);
}
