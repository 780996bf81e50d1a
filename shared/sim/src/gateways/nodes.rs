//! The verbs about Patroni and etcd on a group's nodes, answered from the model.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use reach::gateway::{
    AnswerItem, EtcdChanged, EtcdItem, EtcdLearnerItem, EtcdMemberItem, ItemError, Outcome, PatroniGetItem,
    PatroniQuestion, ReinitializeItem, Said, SwitchoverItem, Verb,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::calls::NodeCall;
use crate::instances::Machine;
use crate::patroni::Cluster;
use crate::world::State;

type Refusal = (&'static str, String);

/// A switchover that is under way: it is answered when it is over, or not at all.
#[derive(Debug, Clone)]
pub(super) struct Awaited {
    pub(super) place: usize,
    pub(super) group: String,
    pub(super) request: u64,
}

/// What a request came to.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) items: Vec<AnswerItem<Value>>,
    pub(super) awaited: Vec<Awaited>,
    pub(super) calls: Vec<NodeCall>,
    /// Whether something was waited for in vain.
    pub(super) slow: bool,
}

fn said(status: u16, body: Value) -> Value {
    serde_json::to_value(Said { status, body }).unwrap_or_default()
}

/// A switchover's answer once it is known.
pub(super) fn answered(state: &State, awaited: &Awaited) -> Option<Value> {
    let (status, text) = state.clusters.get(&awaited.group)?.answer_to(awaited.request)?;
    Some(said(*status, json!(text)))
}

fn host_of(peer_url: &str) -> Option<Ipv4Addr> {
    peer_url.split_once("://")?.1.rsplit_once(':')?.0.parse().ok()
}

impl State {
    /// The cluster and the instance behind an address. Nothing there, or nothing that the network reaches: a time-out.
    fn behind(&self, address: Ipv4Addr) -> Result<(&Cluster, String), Refusal> {
        let nothing = || ("TimedOut", format!("{address}: no answer while connecting"));
        let (id, machine) = self.machines.at(address).ok_or_else(nothing)?;
        let cluster = self.clusters.get(&machine.group).ok_or_else(nothing)?;
        let reached = cluster.nodes().iter().any(|node| node.instance == *id && node.reachable);
        if reached { Ok((cluster, id.clone())) } else { Err(nothing()) }
    }

    fn group_of(&self, instance: &str) -> String {
        self.machines.get(instance).map(|machine: &Machine| machine.group.clone()).unwrap_or_default()
    }

    fn patroni_get(&self, item: &PatroniGetItem, now: Timestamp) -> Result<Value, Refusal> {
        let (cluster, id) = self.behind(item.address)?;
        if !cluster.answers(&id) {
            return Err(("ConnectionRefused", format!("{}:{}", item.address, item.port)));
        }
        let told = match item.what {
            PatroniQuestion::Cluster => cluster.tell_cluster(now),
            PatroniQuestion::Node => cluster.tell_node(&id, now),
            PatroniQuestion::Config => cluster.tell_config(),
        };
        told.map(|body| said(200, body)).ok_or(("ConnectionClosed", "before the answer".to_owned()))
    }

    fn etcd_at(&mut self, address: Ipv4Addr) -> Result<(&mut Cluster, u64), Refusal> {
        let (_, id) = self.behind(address)?;
        let group = self.group_of(&id);
        let refused = || ("ConnectionRefused", format!("{address}:2379"));
        let cluster = self.clusters.get_mut(&group).ok_or_else(refused)?;
        let member = cluster.member_on(&id).ok_or_else(refused)?;
        Ok((cluster, member))
    }

    /// Carries one item out. `Err` is the item's error.
    fn node_verb(
        &mut self,
        verb: Verb,
        item: &Value,
        place: usize,
        told: &mut Told,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        let bad = |error: serde_json::Error| ("BadItem", error.to_string());
        match verb {
            Verb::PatroniGet => {
                let item = PatroniGetItem::deserialize(item).map_err(bad)?;
                let answer = self.patroni_get(&item, now);
                let short = answer.as_ref().map(|said| said["body"].to_string()).map_err(|e| e.0.to_owned());
                told.calls.push(NodeCall::Read {
                    address: item.address,
                    what: format!("{:?}", item.what),
                    told: short,
                });
                answer
            }
            Verb::PatroniSwitchover => {
                let item = SwitchoverItem::deserialize(item).map_err(bad)?;
                let (cluster, id) = self.behind(item.address)?;
                if !cluster.answers(&id) {
                    return Err(("ConnectionRefused", format!("{}:{}", item.address, item.port)));
                }
                let before = cluster.nodes();
                let group = self.group_of(&id);
                let mut rng = self.rng().clone();
                let Some(cluster) = self.clusters.get_mut(&group) else { return Err(("TimedOut", group)) };
                let asked = cluster.ask_switchover(&item.leader, &item.candidate, &mut rng, now);
                *self.rng() = rng;
                told.calls.push(NodeCall::Switchover {
                    group: group.clone(),
                    leader: item.leader,
                    candidate: item.candidate,
                    refused: asked.err().map(|(status, text)| format!("{status} {text}")),
                    before,
                });
                match asked {
                    Err((status, text)) => Ok(said(status, json!(text))),
                    Ok(request) => {
                        told.awaited.push(Awaited { place, group, request });
                        Err(("TimedOut", "waiting for the answer".to_owned()))
                    }
                }
            }
            Verb::PatroniReinitialize => self.reinitialize(item, told, now),
            Verb::EtcdMembers => {
                let item = EtcdItem::deserialize(item).map_err(bad)?;
                let answer = self.etcd_at(item.address).and_then(|(cluster, member)| {
                    cluster.view_from(member).map_err(|(code, message)| (code, message.to_owned()))
                });
                let short = answer.as_ref().map(|view| format!("{view:?}")).map_err(|e| e.0.to_owned());
                told.calls.push(NodeCall::Read { address: item.address, what: "Members".to_owned(), told: short });
                answer.map(|view| serde_json::to_value(view).unwrap_or_default())
            }
            Verb::EtcdAddLearner => {
                let item = EtcdLearnerItem::deserialize(item).map_err(bad)?;
                let learner = host_of(&item.peer_url).ok_or(("BadItem", "peer_url".to_owned()))?;
                self.etcd_change(verb, item.ask.address, &learner.to_string(), told, now)
            }
            Verb::EtcdPromote | Verb::EtcdRemove | Verb::EtcdMoveLeader => {
                let item = EtcdMemberItem::deserialize(item).map_err(bad)?;
                self.etcd_change(verb, item.ask.address, &item.member, told, now)
            }
            Verb::Resolve | Verb::Probe => Err(("BadItem", "not of a node".to_owned())),
        }
    }

    fn reinitialize(&mut self, item: &Value, told: &mut Told, now: Timestamp) -> Result<Value, Refusal> {
        let item = ReinitializeItem::deserialize(item).map_err(|error| ("BadItem", error.to_string()))?;
        let (cluster, id) = self.behind(item.address)?;
        if !cluster.answers(&id) {
            return Err(("ConnectionRefused", format!("{}:{}", item.address, item.port)));
        }
        let before = cluster.nodes();
        let group = self.group_of(&id);
        let mut rng = self.rng().clone();
        let reply = self.clusters.get_mut(&group).and_then(|cluster| cluster.reinitialize(&id, &mut rng, now));
        *self.rng() = rng;
        let refused = match reply {
            Some((200, _)) => None,
            Some((status, text)) => Some(format!("{status} {text}")),
            None => Some(String::new()),
        };
        told.calls.push(NodeCall::Reinitialize { instance: id, refused, before });
        let (status, text) = reply.ok_or(("ConnectionClosed", "before the answer".to_owned()))?;
        Ok(said(status, json!(text)))
    }

    fn etcd_change(
        &mut self,
        verb: Verb,
        asked: Ipv4Addr,
        member: &str,
        told: &mut Told,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        let (cluster, at) = self.etcd_at(asked)?;
        let before = cluster.members();
        let group = cluster.made().group.clone();
        let result = cluster.change_members(verb, at, member, now);
        let refused = result.as_ref().err().map(|(code, _)| (*code).to_owned());
        told.calls.push(NodeCall::Members { group, verb, member: member.to_owned(), asked, refused, before });
        let members = result.map_err(|(code, message)| (code, message.to_owned()))?;
        Ok(serde_json::to_value(EtcdChanged { members }).unwrap_or_default())
    }

    pub(super) fn node_verbs(&mut self, verb: Verb, items: &[Value], now: Timestamp) -> Told {
        let mut told = Told::default();
        for (place, item) in items.iter().enumerate() {
            let id = item["id"].as_str().unwrap_or_default().to_owned();
            let outcome = match self.node_verb(verb, item, place, &mut told, now) {
                Ok(value) => Outcome::Ok(value),
                Err((code, message)) => {
                    told.slow |= code == "TimedOut" && verb != Verb::PatroniSwitchover;
                    Outcome::Error(ItemError { code: code.to_owned(), message })
                }
            };
            told.items.push(AnswerItem { id, outcome });
        }
        told
    }
}
