//! EC2: peering connections, all of them active, and route tables.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Answer, Form, list, refusal, text};
use crate::fleet::Member;

/// The longest page of DescribeVpcPeeringConnections (`API_DescribeVpcPeeringConnections`).
const PAGE: usize = 1000;

#[derive(Debug, Default)]
pub(super) struct Network {
    /// As XML, by id.
    peerings: BTreeMap<String, String>,
    tables: BTreeMap<String, RouteTable>,
}

#[derive(Debug)]
struct RouteTable {
    vpc: String,
    /// Connection by block.
    routes: BTreeMap<String, String>,
}

impl Network {
    pub(super) fn make(&mut self, member: &Member) {
        self.peerings.insert(member.connection.clone(), peering(member));
        let made = RouteTable { vpc: member.own_vpc.clone(), routes: BTreeMap::new() };
        self.tables.entry(member.route_table.clone()).or_insert(made);
    }

    pub(super) fn create_route(&mut self, table: &str, block: &str, connection: &str) {
        if let Some(table) = self.tables.get_mut(table) {
            table.routes.insert(block.to_owned(), connection.to_owned());
        }
    }

    pub(super) fn answer(&mut self, operation: &str, form: &Form) -> Answer {
        match operation {
            "DescribeVpcPeeringConnections" => self.peerings(form),
            "DescribeRouteTables" => self.tables(form),
            "CreateRoute" => {
                let (table, block) = (text(form, "RouteTableId"), text(form, "DestinationCidrBlock"));
                let found = self.tables.get(table).ok_or_else(|| refusal("InvalidRouteTableID.NotFound"))?;
                if found.routes.contains_key(block) {
                    return Err(refusal("RouteAlreadyExists"));
                }
                self.create_route(table, block, text(form, "VpcPeeringConnectionId"));
                Ok("<CreateRouteResponse><return>true</return></CreateRouteResponse>".to_owned())
            }
            _ => Err(refusal("InvalidAction")),
        }
    }

    fn peerings(&self, form: &Form) -> Answer {
        let ids: Vec<&str> = list(form, "VpcPeeringConnectionId").collect();
        let mut xml = "<DescribeVpcPeeringConnectionsResponse><vpcPeeringConnectionSet>".to_owned();
        let mut next = None;
        if ids.is_empty() {
            let page = form.get("MaxResults").and_then(|n| n.parse().ok()).unwrap_or(PAGE).min(PAGE);
            let mut rest = self.peerings.range(text(form, "NextToken").to_owned()..);
            xml.extend(rest.by_ref().take(page).map(|(_, peering)| peering.as_str()));
            next = rest.next().map(|(id, _)| id);
        }
        for id in ids {
            xml += self.peerings.get(id).ok_or_else(|| refusal("InvalidVpcPeeringConnectionID.NotFound"))?;
        }
        xml += "</vpcPeeringConnectionSet>";
        if let Some(id) = next {
            let _ = write!(xml, "<nextToken>{id}</nextToken>");
        }
        Ok(xml + "</DescribeVpcPeeringConnectionsResponse>")
    }

    fn tables(&self, form: &Form) -> Answer {
        let mut xml = "<DescribeRouteTablesResponse><routeTableSet>".to_owned();
        for id in list(form, "RouteTableId") {
            let table = self.tables.get(id).ok_or_else(|| refusal("InvalidRouteTableID.NotFound"))?;
            let _ = write!(xml, "<item><routeTableId>{id}</routeTableId><vpcId>{}</vpcId><routeSet>", table.vpc);
            for (block, connection) in &table.routes {
                let _ = write!(
                    xml,
                    "<item><destinationCidrBlock>{block}</destinationCidrBlock><vpcPeeringConnectionId>{connection}\
                     </vpcPeeringConnectionId><state>active</state><origin>CreateRoute</origin></item>"
                );
            }
            xml += "</routeSet></item>";
        }
        Ok(xml + "</routeTableSet></DescribeRouteTablesResponse>")
    }
}

/// An active connection with both sides' blocks, as EC2 shows it.
fn peering(member: &Member) -> String {
    let side = |kind: &str, account: &str, vpc: &str, block: &str| {
        format!(
            "<{kind}><ownerId>{account}</ownerId><vpcId>{vpc}</vpcId><region>us-east-1</region><cidrBlock>{block}</cidrBlock>\
             <cidrBlockSet><item><cidrBlock>{block}</cidrBlock></item></cidrBlockSet><peeringOptions>\
             <allowDnsResolutionFromRemoteVpc>true</allowDnsResolutionFromRemoteVpc></peeringOptions></{kind}>"
        )
    };
    format!(
        "<item><vpcPeeringConnectionId>{}</vpcPeeringConnectionId>{}{}<status><code>active</code>\
         <message>Active</message></status><tagSet/></item>",
        member.connection,
        side("requesterVpcInfo", "123456789012", &member.own_vpc, &member.own_block()),
        side("accepterVpcInfo", &member.peer_account, &member.peer_vpc, &member.block()),
    )
}
