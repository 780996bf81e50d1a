//! A fleet of clusters that are alike. One of them is put by the real registry and settled by the real watcher; the others'
//! rows are that one's with other names in them, so they have the shape that the code of today writes.

use serde_json::{Value, json};

use crate::cloud::Cloud;

/// How many clusters share a VPC of ours and its route table: 125 active peerings is the most for a VPC
/// (`vpc-peering-connection-quotas`).
pub(crate) const IN_A_VPC: usize = 100;

/// One cluster and what belongs to it. All texts of one kind have one length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    number: usize,
    /// `acme-0042`
    pub(crate) name: String,
    /// Of its primary.
    pub(crate) host: String,
    /// `pcx-...`
    pub(crate) connection: String,
    /// The customer's.
    pub(crate) peer_account: String,
    /// The customer's.
    pub(crate) peer_vpc: String,
    /// ARN.
    pub(crate) target_group: String,
    /// Of our VPC.
    pub(crate) route_table: String,
    /// Our VPC.
    pub(crate) own_vpc: String,
}

impl Member {
    /// Number `number` of at most 10,000.
    pub(crate) fn number(number: usize) -> Self {
        let own = number / IN_A_VPC;
        Self {
            number,
            name: format!("acme-{number:04}"),
            host: format!("db.acme-{number:04}.example.internal"),
            connection: format!("pcx-{:017x}", 0xa000_0000 + number),
            peer_account: format!("44445555{number:04}"),
            peer_vpc: format!("vpc-{:017x}", 0xb000_0000 + number),
            target_group: format!(
                "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/acme-{number:04}/{:016x}",
                0xc000_0000 + number
            ),
            route_table: format!("rtb-{:017x}", 0xd000_0000 + own),
            own_vpc: format!("vpc-{:017x}", 0xe000_0000 + own),
        }
    }

    /// The customer's block.
    pub(crate) fn block(&self) -> String {
        format!("{}0/24", self.prefix())
    }

    /// The primary's address.
    pub(crate) fn address(&self) -> String {
        format!("{}5", self.prefix())
    }

    /// The standby's address.
    pub(crate) fn standby(&self) -> String {
        format!("{}6", self.prefix())
    }

    /// Our VPC's block, which no customer's overlaps.
    pub(crate) fn own_block(&self) -> String {
        format!("172.16.{}.0/24", self.number / IN_A_VPC)
    }

    fn prefix(&self) -> String {
        format!("10.{}.{}.", 100 + self.number / 250, self.number % 250)
    }

    /// The spec, as an operator would put it.
    pub(crate) fn spec(&self) -> Value {
        json!({
            "schema": 1, "name": self.name, "deletion": "teardown",
            "primary": {
                "endpoints": [
                    {"name": "postgres", "host": self.host, "port": 5432, "target_group_arn": self.target_group}],
                "peerings": [{"connection_id": self.connection, "peer_account": self.peer_account,
                    "peer_vpc": self.peer_vpc, "allowed_cidrs": [self.block()]}],
                "route_table_ids": [self.route_table],
            },
        })
    }

    /// A text about `self`, made one about `other`.
    fn renamed(&self, other: &Self, text: &str) -> String {
        let pairs = [
            (&self.target_group, &other.target_group),
            (&self.name, &other.name),
            (&self.connection, &other.connection),
            (&self.peer_account, &other.peer_account),
            (&self.peer_vpc, &other.peer_vpc),
            (&self.route_table, &other.route_table),
            (&self.own_vpc, &other.own_vpc),
            (&self.prefix(), &other.prefix()),
        ];
        pairs.into_iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }
}

/// Which rows the others get of the one that was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// What the registry writes at a put.
    Put,
    /// Those, and what the watcher knows and made.
    Settled,
}

/// Rows of the table that speak of one member.
#[derive(Debug)]
pub(crate) struct Template {
    rows: Vec<(String, String)>,
    of: Member,
}

impl Template {
    /// The rows in the table of `cloud`, which has one cluster, settled.
    pub(crate) fn of(cloud: &Cloud, member: Member) -> Self {
        let rows = cloud.rows().into_iter().map(|(pk, _, json)| (pk, json)).collect();
        Self { rows, of: member }
    }

    /// The bytes that a pass reads of a settled cluster.
    pub(crate) fn bytes_read(&self) -> usize {
        let read = |pk: &str| pk == "cluster" || pk.starts_with("state#");
        self.rows.iter().filter(|(pk, _)| read(pk)).map(|(_, json)| json.len()).sum()
    }

    /// Makes a world of `n` clusters in `cloud`.
    pub(crate) fn fill(&self, cloud: &Cloud, n: usize, rows: Rows) -> Vec<Member> {
        let members: Vec<Member> = (0..n).map(Member::number).collect();
        for member in &members {
            cloud.make(member);
            if rows == Rows::Settled {
                cloud.make_served(member);
            }
            for (pk, json) in &self.rows {
                // Locks are left behind released, and audit trails and the brakes' record are not read by a pass.
                let watchers = ["state#", "lock#", "audit#", "control"].iter().any(|prefix| pk.starts_with(prefix));
                if rows == Rows::Settled || !watchers {
                    cloud.put_row(&self.of.renamed(member, json));
                }
            }
        }
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn members_share_nothing_but_a_vpc() {
        let members: Vec<Member> = (0..3000).map(Member::number).collect();
        let distinct = |of: fn(&Member) -> String| members.iter().map(of).collect::<BTreeSet<_>>().len();
        assert_eq!(distinct(|m| m.name.clone()), 3000);
        assert_eq!(distinct(|m| m.connection.clone()), 3000);
        assert_eq!(distinct(|m| m.target_group.clone()), 3000);
        assert_eq!(distinct(Member::block), 3000);
        assert_eq!(distinct(|m| m.route_table.clone()), 30);
        assert!(members.iter().all(|m| m.address().parse::<std::net::Ipv4Addr>().is_ok_and(|a| a.is_private())));
    }

    #[test]
    fn a_renamed_text_says_nothing_of_the_first_one() {
        let (first, other) = (Member::number(0), Member::number(2999));
        let renamed = first.renamed(&other, &first.spec().to_string());
        assert_eq!(serde_json::from_str::<Value>(&renamed).unwrap(), other.spec());
        assert_eq!(first.renamed(&other, &first.address()), other.address());
    }
}
