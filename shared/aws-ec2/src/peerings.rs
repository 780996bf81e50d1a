//! VPC peering connections over EC2.

use aws::{Turns, classify};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::{VpcPeeringConnection, VpcPeeringConnectionStateReasonCode, VpcPeeringConnectionVpcInfo};
use ipnet::Ipv4Net;
use jiff::Timestamp;
use ports::{Class, Peering, PeeringState, PeeringVpc, PortError};

const DESCRIBE: &str = "ec2:DescribeVpcPeeringConnections";

/// The most that EC2 gives at once (`API_DescribeVpcPeeringConnections`).
const PAGE: i32 = 1000;

/// Reads peering connections from EC2.
#[derive(Debug, Clone)]
pub struct Peerings {
    client: Client,
    turns: Turns,
}

impl Peerings {
    /// Sends nothing.
    #[must_use]
    pub fn new(configuration: &aws::Configuration) -> Self {
        Self { client: crate::ec2(configuration), turns: configuration.turns() }
    }
}

impl ports::Peerings for Peerings {
    async fn list(&self) -> Result<Vec<Peering>, PortError> {
        let _turn = self.turns.take().await;
        let mut peerings = Vec::new();
        let mut next = None;
        loop {
            let page = self
                .client
                .describe_vpc_peering_connections()
                .max_results(PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| classify(DESCRIBE, error))?;
            peerings.extend(page.vpc_peering_connections.unwrap_or_default().into_iter().filter_map(peering));
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(peerings);
            }
        }
    }

    async fn get(&self, id: &str) -> Result<Option<Peering>, PortError> {
        let _turn = self.turns.take().await;
        let answer = self.client.describe_vpc_peering_connections().vpc_peering_connection_ids(id).send().await;
        match answer.map_err(|error| classify(DESCRIBE, error)) {
            Ok(page) => Ok(page
                .vpc_peering_connections
                .unwrap_or_default()
                .into_iter()
                .filter_map(peering)
                .find(|peering| peering.id == id)),
            Err(error) if error.class == Class::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn peering(connection: VpcPeeringConnection) -> Option<Peering> {
    let Some(id) = connection.vpc_peering_connection_id else {
        tracing::warn!(call = DESCRIBE, "a peering connection without an id is left out");
        return None;
    };
    let status = connection.status;
    Some(Peering {
        state: state(status.as_ref().and_then(|status| status.code.as_ref())),
        message: status.and_then(|status| status.message).unwrap_or_default(),
        requester: side(&id, connection.requester_vpc_info),
        accepter: side(&id, connection.accepter_vpc_info),
        expires: connection.expiration_time.and_then(|time| timestamp(&id, time)),
        id,
    })
}

fn state(code: Option<&VpcPeeringConnectionStateReasonCode>) -> PeeringState {
    use VpcPeeringConnectionStateReasonCode as Code;
    match code {
        Some(Code::InitiatingRequest) => PeeringState::InitiatingRequest,
        Some(Code::PendingAcceptance) => PeeringState::PendingAcceptance,
        Some(Code::Provisioning) => PeeringState::Provisioning,
        Some(Code::Active) => PeeringState::Active,
        Some(Code::Failed) => PeeringState::Failed,
        Some(Code::Rejected) => PeeringState::Rejected,
        Some(Code::Expired) => PeeringState::Expired,
        Some(Code::Deleting) => PeeringState::Deleting,
        Some(Code::Deleted) => PeeringState::Deleted,
        _ => PeeringState::Unrecognized,
    }
}

/// A side of which one block cannot be read has no blocks at all: nothing is admitted by half of what EC2 said, and the
/// other connections of the list are not lost for it.
fn side(id: &str, info: Option<VpcPeeringConnectionVpcInfo>) -> PeeringVpc {
    let Some(info) = info else { return PeeringVpc::default() };
    let texts = info.cidr_block_set.into_iter().flatten().filter_map(|block| block.cidr_block).chain(info.cidr_block);
    let mut blocks = texts
        .map(|text| text.parse::<Ipv4Net>().map(|block| block.trunc()).map_err(|_| text))
        .collect::<Result<Vec<_>, _>>()
        .unwrap_or_else(|text| {
            tracing::warn!(call = DESCRIBE, peering = id, block = text, "the blocks of this side cannot be read");
            Vec::new()
        });
    blocks.sort();
    blocks.dedup();
    let resolves_for_other = info.peering_options.and_then(|options| options.allow_dns_resolution_from_remote_vpc);
    PeeringVpc { account: info.owner_id, vpc: info.vpc_id, region: info.region, blocks, resolves_for_other }
}

fn timestamp(id: &str, time: DateTime) -> Option<Timestamp> {
    let nanoseconds = i32::try_from(time.subsec_nanos()).ok()?;
    Timestamp::new(time.secs(), nanoseconds)
        .inspect_err(|error| tracing::warn!(call = DESCRIBE, peering = id, %error, "the expiry cannot be read"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws::wire::Wire;
    use ports::{CallLog, Peerings as _};

    fn answer(connections: &str, next: &str) -> String {
        format!(
            r#"<DescribeVpcPeeringConnectionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
            <vpcPeeringConnectionSet>{connections}</vpcPeeringConnectionSet>{next}</DescribeVpcPeeringConnectionsResponse>"#
        )
    }

    fn item(id: &str, state: &str) -> String {
        format!(
            "<item><vpcPeeringConnectionId>{id}</vpcPeeringConnectionId><status><code>{state}</code></status></item>"
        )
    }

    async fn peerings(wire: &Wire) -> (Peerings, CallLog) {
        let calls = CallLog::default();
        (Peerings::new(&wire.configuration(&calls).await), calls)
    }

    fn fields(fields: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[tokio::test]
    async fn list_reads_every_page_of_a_thousand() {
        let wire = Wire::default();
        wire.answer(200, answer(&item("pcx-1", "active"), "<nextToken>more</nextToken>"));
        wire.answer(200, answer("", "<nextToken>still more</nextToken>"));
        wire.answer(200, answer(&(item("pcx-2", "deleted") + "<item/>"), ""));
        let (peerings, calls) = peerings(&wire).await;
        let ids: Vec<_> = peerings.list().await.unwrap().into_iter().map(|peering| peering.id).collect();
        assert_eq!(ids, ["pcx-1", "pcx-2"]);
        let forms: Vec<_> = wire.sent().iter().map(|sent| sent.form()).collect();
        let first =
            fields(&[("Action", "DescribeVpcPeeringConnections"), ("MaxResults", "1000"), ("Version", "2016-11-15")]);
        let mut third = first.clone();
        third.insert("NextToken".to_owned(), "still more".to_owned());
        assert_eq!((forms.len(), &forms[0], &forms[2]), (3, &first, &third));
        assert_eq!(calls.take(), [("ec2:DescribeVpcPeeringConnections".to_owned(), 3)].into());
    }

    #[tokio::test]
    async fn w9_a_page_that_fails_is_no_shorter_list() {
        let wire = Wire::default();
        wire.answer(200, answer(&item("pcx-1", "active"), "<nextToken>more</nextToken>"));
        wire.refuse_ec2(403, "UnauthorizedOperation", "no");
        let error = peerings(&wire).await.0.list().await.unwrap_err();
        assert_eq!((error.call, error.class), (DESCRIBE, Class::Denied));
    }

    #[tokio::test]
    async fn a_connection_comes_with_both_sides() {
        let wire = Wire::default();
        wire.answer(
            200,
            answer(
                "<item><vpcPeeringConnectionId>pcx-1</vpcPeeringConnectionId>
                 <requesterVpcInfo><ownerId>111122223333</ownerId><vpcId>vpc-1</vpcId><region>eu-central-1</region>
                   <cidrBlock>10.0.0.0/16</cidrBlock></requesterVpcInfo>
                 <accepterVpcInfo><ownerId>444455556666</ownerId><vpcId>vpc-2</vpcId><region>eu-west-1</region>
                   <cidrBlock>10.9.0.0/16</cidrBlock><cidrBlockSet><item><cidrBlock>10.9.0.0/16</cidrBlock></item>
                   <item><cidrBlock>10.8.0.0/16</cidrBlock></item></cidrBlockSet>
                   <peeringOptions><allowDnsResolutionFromRemoteVpc>false</allowDnsResolutionFromRemoteVpc></peeringOptions></accepterVpcInfo>
                 <status><code>pending-acceptance</code><message>Pending Acceptance by 444455556666</message></status>
                 <expirationTime>2026-12-01T00:00:00.000Z</expirationTime></item>",
                "",
            ),
        );
        let found = peerings(&wire).await.0.get("pcx-1").await.unwrap();
        assert_eq!(wire.sent()[0].form()["VpcPeeringConnectionId.1"], "pcx-1");
        assert!(!wire.sent()[0].form().contains_key("MaxResults"), "EC2 refuses it beside an id");
        let side = |account: &str, vpc: &str, region: &str, blocks: &[&str]| PeeringVpc {
            account: Some(account.to_owned()),
            vpc: Some(vpc.to_owned()),
            region: Some(region.to_owned()),
            blocks: blocks.iter().map(|block| block.parse().unwrap()).collect(),
            resolves_for_other: None,
        };
        let accepter = side("444455556666", "vpc-2", "eu-west-1", &["10.8.0.0/16", "10.9.0.0/16"]);
        assert_eq!(
            found,
            Some(Peering {
                id: "pcx-1".to_owned(),
                state: PeeringState::PendingAcceptance,
                message: "Pending Acceptance by 444455556666".to_owned(),
                requester: side("111122223333", "vpc-1", "eu-central-1", &["10.0.0.0/16"]),
                accepter: PeeringVpc { resolves_for_other: Some(false), ..accepter },
                expires: Some("2026-12-01T00:00:00Z".parse().unwrap()),
            })
        );
    }

    #[tokio::test]
    async fn w9_not_found_and_an_empty_answer_and_another_id_are_none() {
        for reply in [None, Some(answer("", "")), Some(answer(&item("pcx-2", "active"), ""))] {
            let wire = Wire::default();
            match reply {
                Some(body) => wire.answer(200, body),
                None => wire.refuse_ec2(400, "InvalidVpcPeeringConnectionID.NotFound", "does not exist"),
            }
            assert_eq!(peerings(&wire).await.0.get("pcx-1").await, Ok(None));
        }
    }

    #[tokio::test]
    async fn w9_any_other_failure_is_not_none() {
        for (status, code, class) in [
            (400, "InvalidVpcPeeringConnectionId.Malformed", Class::Invalid),
            (403, "UnauthorizedOperation", Class::Denied),
            (503, "RequestLimitExceeded", Class::Throttled),
            (500, "InternalError", Class::Unavailable),
        ] {
            let wire = Wire::default();
            wire.refuse_ec2(status, code, "words");
            wire.refuse_ec2(status, code, "words");
            let error = peerings(&wire).await.0.get("pcx-1").await.unwrap_err();
            assert_eq!((error.call, error.class, error.code.as_str()), (DESCRIBE, class, code));
        }
    }

    #[test]
    fn every_state_has_its_name() {
        for (code, expected) in [
            ("initiating-request", PeeringState::InitiatingRequest),
            ("pending-acceptance", PeeringState::PendingAcceptance),
            ("provisioning", PeeringState::Provisioning),
            ("active", PeeringState::Active),
            ("failed", PeeringState::Failed),
            ("rejected", PeeringState::Rejected),
            ("expired", PeeringState::Expired),
            ("deleting", PeeringState::Deleting),
            ("deleted", PeeringState::Deleted),
            ("paused", PeeringState::Unrecognized),
        ] {
            assert_eq!(state(Some(&code.into())), expected);
        }
        assert_eq!(state(None), PeeringState::Unrecognized);
    }

    #[test]
    fn w1_a_block_that_cannot_be_read_leaves_its_side_empty() {
        let info = |block: &str| VpcPeeringConnectionVpcInfo::builder().vpc_id("vpc-1").cidr_block(block).build();
        let readable = side("pcx-1", Some(info("10.9.0.0/16")));
        assert_eq!(readable.blocks, ["10.9.0.0/16".parse().unwrap()]);
        let odd = aws_sdk_ec2::types::CidrBlock::builder().cidr_block("fd00::/8").build();
        let half = VpcPeeringConnectionVpcInfo::builder().vpc_id("vpc-1").cidr_block("10.9.0.0/16").cidr_block_set(odd);
        let half = side("pcx-1", Some(half.build()));
        assert_eq!((half.vpc.as_deref(), half.blocks), (Some("vpc-1"), Vec::new()));
    }
}
