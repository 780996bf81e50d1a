//! What was called and what came of it, typed, for those who judge.

use std::sync::Arc;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use ports::{Item, Key, NameAnswer, Peering, RouteTable, RouteTarget, Target, TargetHealth, Write};

use crate::fault::Fault;

/// One call.
#[derive(Debug, Clone)]
pub struct Record {
    /// When it took effect, or failed.
    pub at: Timestamp,
    /// Whose call it was.
    pub process: Arc<str>,
    /// Its name as IAM has it.
    pub call: &'static str,
    /// What went wrong, if something did.
    pub fault: Option<Fault>,
    /// Whether the caller gets the answer.
    pub answered: bool,
    /// What it came to.
    pub happened: Happened,
}

/// What a call came to. Reads hold the answer, not the truth.
#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    /// It did not arrive.
    Nothing,
    /// It was refused: the code.
    Refused(String),
    /// Connections were listed.
    PeeringsListed(Vec<Peering>),
    /// One connection was read by its id.
    PeeringRead(String, Option<Peering>),
    /// Route tables were read.
    RouteTablesRead(Vec<RouteTable>),
    /// A route was made.
    RouteCreated(String, Ipv4Net, String),
    /// A route was pointed elsewhere: to the connection, from the target.
    RouteReplaced(String, Ipv4Net, String, RouteTarget),
    /// A route was removed, if there was one.
    RouteDeleted(String, Ipv4Net, Option<RouteTarget>),
    /// A target group was read.
    GroupRead(String),
    /// The targets of a group were read.
    TargetsRead(String, Vec<TargetHealth>),
    /// A target was registered. Whether it was not before.
    Registered(String, Target, bool),
    /// A target was deregistered. Whether it was registered before.
    Deregistered(String, Target, bool),
    /// A name was asked.
    NameAsked(String, NameAnswer),
    /// A document was read.
    Got(Key, Option<Item>),
    /// A partition was read.
    Queried(String, usize),
    /// Documents were written.
    Written(Vec<Write>),
    /// A notice was published: its subject.
    Published(String),
    /// A gateway was asked for names: the function, and what it answered.
    GatewayResolved(String, Vec<(String, NameAnswer)>),
    /// A gateway probed servers: the function, and which.
    GatewayProbed(String, Vec<Target>),
    /// A secret was read.
    SecretRead(String),
    /// A custom resource's answer was put.
    AnswerPut(String),
}

impl Happened {
    /// Whether it changed something outside our own table.
    #[must_use]
    pub fn mutates_the_world(&self) -> bool {
        matches!(
            self,
            Self::RouteCreated(..)
                | Self::RouteReplaced(..)
                | Self::RouteDeleted(..)
                | Self::Registered(..)
                | Self::Deregistered(..)
        )
    }

    /// One line of a story.
    #[must_use]
    pub fn line(&self) -> String {
        let list = |targets: &[TargetHealth]| {
            let rows = targets.iter().map(|t| format!("{} {:?}", t.target, t.health));
            rows.collect::<Vec<_>>().join(", ")
        };
        let peering = |p: &Peering| format!("{} {:?} {:?}", p.id, p.state, p.accepter.blocks);
        match self {
            Self::Nothing => "no effect".to_owned(),
            Self::Refused(code) => format!("refused: {code}"),
            Self::PeeringsListed(all) => all.iter().map(peering).collect::<Vec<_>>().join("; "),
            Self::PeeringRead(id, None) => format!("{id} is not known"),
            Self::PeeringRead(_, Some(p)) => peering(p),
            Self::RouteTablesRead(tables) => {
                let routes = tables.iter().flat_map(|t| {
                    t.routes.iter().map(move |r| format!("{}: {} -> {} {:?}", t.id, r.destination, r.target, r.state))
                });
                routes.collect::<Vec<_>>().join("; ")
            }
            Self::RouteCreated(table, block, to) => format!("{table}: {block} -> {to}"),
            Self::RouteReplaced(table, block, to, from) => format!("{table}: {block} -> {to}, was {from}"),
            Self::RouteDeleted(table, block, was) => {
                format!("{table}: {block}, was {}", was.as_ref().map_or("nothing".to_owned(), ToString::to_string))
            }
            Self::GroupRead(arn) => arn.clone(),
            Self::TargetsRead(arn, targets) => format!("{arn}: {}", list(targets)),
            Self::Registered(arn, target, new) => format!("{arn}: {target}{}", if *new { "" } else { " (was there)" }),
            Self::Deregistered(arn, target, was) => {
                format!("{arn}: {target}{}", if *was { "" } else { " (was not there)" })
            }
            Self::NameAsked(host, answer) => format!("{host}: {answer:?}"),
            Self::Got(key, item) => {
                format!("{key}: {}", item.as_ref().map_or("nothing".to_owned(), |i| format!("version {}", i.version)))
            }
            Self::Queried(pk, n) => format!("{pk}: {n} documents"),
            Self::Written(writes) => {
                let one = |write: &Write| match write {
                    Write::Put { key, expect, body, .. } if key.pk.starts_with("state#") => {
                        format!("put {key} if {expect:?} {body}")
                    }
                    Write::Put { key, expect, .. } => format!("put {key} if {expect:?}"),
                    Write::Delete { key, expect } => format!("delete {key} if {expect:?}"),
                    Write::Check { key, expect } => format!("check {key} {expect:?}"),
                };
                writes.iter().map(one).collect::<Vec<_>>().join(", ")
            }
            Self::Published(subject) => subject.clone(),
            Self::GatewayResolved(function, names) => {
                let names: Vec<String> = names.iter().map(|(host, answer)| format!("{host}: {answer:?}")).collect();
                format!("{function}: {}", names.join("; "))
            }
            Self::GatewayProbed(function, servers) => {
                let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
                format!("{function}: probed {}", servers.join(", "))
            }
            Self::SecretRead(id) | Self::AnswerPut(id) => id.clone(),
        }
    }
}
