//! VPC peering connections: Amazon VPC Peering Guide (`vpc-peering-basics`), EC2's API reference
//! (DescribeVpcPeeringConnections, VpcPeeringConnection, VpcPeeringConnectionVpcInfo).

use ports::{PeeringState, Peerings as _};

use crate::stage::{OWN, PEER, Stage, peering};

fn blocks(side: &ports::PeeringVpc) -> Vec<String> {
    side.blocks.iter().map(ToString::to_string).collect()
}

pub(crate) async fn the_list_and_a_read_by_id_say_the_same(stage: &impl Stage) {
    for state in ["pending-acceptance", "active", "deleted"] {
        stage.peering_becomes(state);
        let read = peering(stage).await;
        let listed = stage.peerings().list().await.unwrap();
        assert_eq!(listed.iter().find(|p| p.id == stage.connection()), Some(&read));
        assert_eq!(read.requester.vpc.as_deref(), Some(stage.vpc()));
    }
}

/// `InvalidVpcPeeringConnectionID.NotFound`, the code of the SDKs' waiters.
pub(crate) async fn an_id_that_nobody_has_is_none(stage: &impl Stage) {
    assert_eq!(stage.peerings().get("pcx-0123456789abcdef0").await, Ok(None));
}

/// The nine states of the connection's life.
pub(crate) async fn every_state_is_told_as_itself(stage: &impl Stage) {
    use PeeringState::{
        Active, Deleted, Deleting, Expired, Failed, InitiatingRequest, PendingAcceptance, Provisioning, Rejected,
    };
    for (code, state) in [
        ("initiating-request", InitiatingRequest),
        ("pending-acceptance", PendingAcceptance),
        ("provisioning", Provisioning),
        ("active", Active),
        ("failed", Failed),
        ("rejected", Rejected),
        ("expired", Expired),
        ("deleting", Deleting),
        ("deleted", Deleted),
    ] {
        stage.peering_becomes(code);
        assert_eq!(peering(stage).await.state, state, "{code}");
    }
}

/// The accepter's CIDR block is "returned only for an active VPC peering connection" (seen by many: boto3 issue 326).
pub(crate) async fn the_accepters_blocks_are_told_only_while_active(stage: &impl Stage) {
    for (state, told) in [("pending-acceptance", &[][..]), ("provisioning", &[]), ("active", &[PEER]), ("deleted", &[])]
    {
        stage.peering_becomes(state);
        let read = peering(stage).await;
        assert_eq!(blocks(&read.accepter), told, "{state}");
        assert!(read.accepter.vpc.is_some() && read.accepter.account.is_some(), "{state}");
    }
}

pub(crate) async fn the_requesters_blocks_are_told_from_the_start(stage: &impl Stage) {
    for state in ["pending-acceptance", "active"] {
        stage.peering_becomes(state);
        assert_eq!(blocks(&peering(stage).await.requester), [OWN], "{state}");
    }
}

/// `CidrBlockSet` beside `CidrBlock`: blocks that were associated later.
pub(crate) async fn a_second_block_is_told_with_the_first(stage: &impl Stage) {
    stage.peering_becomes("active");
    stage.peer_blocks(&[PEER, "10.8.0.0/16"]);
    assert_eq!(blocks(&peering(stage).await.accepter), ["10.8.0.0/16", PEER]);
    stage.peer_blocks(&["10.8.0.0/16"]);
    assert_eq!(blocks(&peering(stage).await.accepter), ["10.8.0.0/16"]);
}

/// "The accepter has 7 days to accept"; `ExpirationTime`.
pub(crate) async fn a_request_that_waits_has_an_expiry(stage: &impl Stage) {
    assert!(peering(stage).await.expires.is_some());
    stage.peering_becomes("active");
    assert_eq!(peering(stage).await.expires, None);
}

/// A connection that has ended is seen for hours or days, and then no more.
pub(crate) async fn a_connection_out_of_sight_is_none_and_not_listed(stage: &impl Stage) {
    stage.peering_becomes("deleted");
    stage.peering_vanishes();
    assert_eq!(stage.peerings().get(stage.connection()).await, Ok(None));
    let listed = stage.peerings().list().await.unwrap();
    assert!(listed.iter().all(|p| p.id != stage.connection()));
}
