//! Patroni, as every running node has it: the cluster, the node itself, and from anybody the configuration.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use domain::spec::Nodes;
use jiff::Timestamp;

use super::{Member, Part, Postgres, Seen, Settings, Topology};
use crate::asking::{Asker, Unanswered, Ways};
use crate::gateway::{ErrorCode, PatroniGetItem, PatroniQuestion, Said, Verb};
use crate::patroni::{self, ClusterView, DynamicConfig, NodeRole, NodeView, Synchronous};

/// A node that reached the DCS this much earlier than another speaks of the past, in seconds, unless Patroni's loop is longer.
const CUT_OFF: u64 = 30;

/// Patroni's defaults, in seconds ("Dynamic Configuration Settings").
const TTL: u64 = 30;
const LOOP_WAIT: u64 = 10;

/// What a look at Patroni has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// The cluster, as each running node's Patroni has it.
    pub topologies: BTreeMap<String, Seen<Topology>>,
    /// What each running node's Patroni says of its PostgreSQL. `Absent`: nothing listens there.
    pub postgres: BTreeMap<String, Seen<Postgres>>,
    /// The dynamic configuration, from any node.
    pub settings: Seen<Settings>,
}

/// Asks the Patroni of every node that runs, all of it in one request. `running`: their addresses, by instance.
pub async fn look<W: Ways>(asker: &Asker<'_, W>, nodes: &Nodes, running: &BTreeMap<String, Ipv4Addr>) -> Looked {
    let mut seen = Looked::default();
    let credentials = match asker.keys.credentials(&nodes.patroni.credentials_secret) {
        Ok(credentials) => credentials,
        Err(why) => return unknown(running, &why),
    };
    let mut items = Vec::new();
    let mut asked = Vec::new();
    for question in [PatroniQuestion::Cluster, PatroniQuestion::Node, PatroniQuestion::Config] {
        for (id, address) in running {
            let tls = match asker.keys.tls(nodes.patroni.tls.as_ref(), *address) {
                Ok(tls) => tls,
                Err(why) => return unknown(running, &why),
            };
            items.push(PatroniGetItem {
                id: items.len().to_string(),
                address: *address,
                port: nodes.patroni.port,
                what: question,
                tls,
                credentials: credentials.clone(),
            });
            asked.push((id.clone(), question));
        }
    }
    if items.is_empty() {
        return seen;
    }
    let answers: Vec<Result<Said, Unanswered>> = asker.ask(Verb::PatroniGet, items).await;
    let mut last_seen: BTreeMap<String, u64> = BTreeMap::new();
    for ((id, question), answer) in asked.into_iter().zip(answers) {
        match question {
            PatroniQuestion::Cluster => {
                seen.topologies.insert(id, read(answer, |said| ClusterView::read(said).map(topology)));
            }
            PatroniQuestion::Node => {
                let node = read(answer, |said| {
                    NodeView::read(said).map(|view| {
                        if let Some(at) = view.dcs_last_seen {
                            last_seen.insert(id.clone(), at);
                        }
                        postgres(view, said)
                    })
                });
                seen.postgres.insert(id, node);
            }
            PatroniQuestion::Config => {
                let settings = read(answer, |said| DynamicConfig::read(said).map(settings));
                if seen.settings.known().is_none() {
                    seen.settings = settings;
                }
            }
        }
    }
    // It is told anew once in each of Patroni's loops.
    let cut_off = seen.settings.known().map_or(CUT_OFF, |settings| CUT_OFF.max(2 * settings.loop_wait + 10));
    let newest = last_seen.values().max().copied().unwrap_or_default();
    for (id, at) in last_seen {
        if let Some(Seen::Known(postgres)) = seen.postgres.get_mut(&id) {
            postgres.cut_off = newest.saturating_sub(at) > cut_off;
        }
    }
    seen
}

fn unknown(running: &BTreeMap<String, Ipv4Addr>, why: &str) -> Looked {
    Looked {
        topologies: running.keys().map(|id| (id.clone(), Seen::Unknown(why.to_owned()))).collect(),
        postgres: running.keys().map(|id| (id.clone(), Seen::Unknown(why.to_owned()))).collect(),
        settings: Seen::Unknown(why.to_owned()),
    }
}

fn read<T>(answer: Result<Said, Unanswered>, read: impl FnOnce(&Said) -> Result<T, patroni::Unreadable>) -> Seen<T> {
    match answer {
        Ok(said) => match read(&said) {
            Ok(value) => Seen::Known(value),
            Err(error) => Seen::Unknown(error.to_string()),
        },
        // The machine is up and says that nobody listens there: the one silence that is an answer.
        Err(error) if error.code == ErrorCode::ConnectionRefused.code() => Seen::Absent,
        Err(error) => Seen::Unknown(error.to_string()),
    }
}

fn topology(view: ClusterView) -> Topology {
    Topology {
        members: view.members.iter().map(member).collect(),
        paused: view.paused,
        scheduled_switchover: view
            .scheduled_switchover
            .map(|scheduled| scheduled.at.unwrap_or_else(|| "a time that is not told".to_owned())),
    }
}

fn member(member: &patroni::Member) -> Member {
    use patroni::Role;
    Member {
        name: member.name.clone(),
        // Where host and API differ, neither is believed: a member must not be taken for another's instance.
        address: {
            let mut addresses = member.addresses();
            let first = addresses.next();
            first.filter(|first| addresses.all(|other| other == *first))
        },
        port: member.port,
        part: match &member.role {
            Role::Leader | Role::StandbyLeader => Part::Leader,
            // It holds the lock, and its promotion is not complete (`cluster_as_json` of Patroni newer than 4.1).
            Role::Other(word) if word == "promoted" => Part::Leader,
            Role::SyncStandby | Role::QuorumStandby => Part::Replica { synchronous: true },
            Role::Replica => Part::Replica { synchronous: false },
            Role::Other(_) => Part::Other,
        },
        state: member.state.words().to_owned(),
        timeline: member.timeline,
        nofailover: member.tags.bar_to_lead().is_some(),
    }
}

fn postgres(view: NodeView, said: &Said) -> Postgres {
    let leads = match view.role {
        NodeRole::Primary | NodeRole::StandbyLeader | NodeRole::Promoted => true,
        NodeRole::Replica | NodeRole::Demoted | NodeRole::Uninitialized => false,
        // What is not known may be a primary.
        NodeRole::Other(_) => true,
    };
    let wal = view.wal;
    Postgres {
        leads,
        state: view.state.words().to_owned(),
        written: wal.location.or(wal.received),
        replayed: wal.location.or(wal.replayed),
        replayed_at: said
            .body
            .pointer("/xlog/replayed_timestamp")
            .and_then(serde_json::Value::as_str)
            .and_then(|text| text.parse::<Timestamp>().ok()),
        timeline: view.timeline,
        streams: view.replication_state.map(|state| state == patroni::State::Streaming),
        receivers: view.replication.map(|list| {
            // A base backup under way has a row of the same name, which says nothing of the standby.
            let standbys = list.into_iter().filter(|row| row.state != "backup");
            let mut known = BTreeMap::new();
            for row in standbys {
                *known.entry(row.application_name.clone()).or_insert(false) |= row.streams();
            }
            known
        }),
        system: view.system_identifier,
        cut_off: false,
    }
}

fn settings(config: DynamicConfig) -> Settings {
    Settings {
        ttl: config.ttl.unwrap_or(TTL),
        loop_wait: config.loop_wait.unwrap_or(LOOP_WAIT),
        synchronous: config.synchronous != Synchronous::Off,
        strict: config.strict,
    }
}
