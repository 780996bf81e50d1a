//! Gateway functions, each inside its VPC: they see that VPC's names, and reach its servers.
//!
//! Requests and answers are those of `reach::gateway`. A probe finds what [`crate::Server`] says: nothing there or nothing
//! listening is an item's error; a server tells what it is only where credentials were sent, over verified TLS. What is asked of
//! Patroni and etcd is answered from [`crate::Cluster`].

mod nodes;

use std::collections::BTreeMap;
use std::time::Duration;

use ports::{Class, NameAnswer, PortError, Target};
use reach::gateway::{
    Answer, AnswerItem, ItemError, MOST_ITEMS, Outcome, ProbeItem, Probed, Request, ResolveItem, Resolved, ServerFacts,
    VERSION, Verb,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::calls::Happened;
use crate::client::{Client, Kind, Moment};
use crate::world::State;
use nodes::{Awaited, Told};

const CALL: &str = "lambda:InvokeFunction";

/// How a gateway as a whole behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mood {
    /// It answers.
    #[default]
    Works,
    /// The function fails by itself.
    Fails,
    /// It never answers.
    Hangs,
    /// It answers something else.
    Nonsense,
}

/// A gateway.
#[derive(Debug, Clone, Default)]
pub struct Gateway {
    /// How it behaves.
    pub mood: Mood,
    /// Names as they are seen from inside, where they differ from everybody's.
    pub names: BTreeMap<String, NameAnswer>,
}

impl State {
    /// A gateway function appears or changes.
    pub fn put_gateway(&mut self, function: &str, gateway: Gateway) {
        self.gateways.insert(function.to_owned(), gateway);
    }

    /// A gateway function is deleted.
    pub fn gateway_vanishes(&mut self, function: &str) {
        self.gateways.remove(function);
    }

    fn probe(&self, item: &ProbeItem) -> Outcome<Probed> {
        let error = |code: &str| {
            let message = format!("{}:{}", item.address, item.port);
            Outcome::Error(ItemError { code: code.to_owned(), message })
        };
        let Some(server) = self.server(Target { address: item.address, port: item.port }) else {
            return error("TimedOut");
        };
        if !server.reachable {
            return error("TimedOut");
        }
        if !server.listening {
            return error("ConnectionRefused");
        }
        let facts = item.credentials.as_ref().filter(|_| item.tls.is_some()).map(|_| ServerFacts {
            version: 150_018,
            in_recovery: server.in_recovery,
            wal_level: server.wal_level.clone(),
            max_replication_slots: 10,
            max_slot_wal_keep_size_mb: 10_240,
            databases: 1,
        });
        Outcome::Ok(Probed { tls: item.tls.is_some(), server: facts })
    }
}

fn malformed(message: &str) -> (Result<Value, PortError>, Happened) {
    (Err(PortError::malformed(CALL, message)), Happened::Refused("Malformed".to_owned()))
}

/// How long a gateway waits for a host.
const ITEM: Duration = Duration::from_secs(4);

fn answer<T: serde::Serialize>(items: Vec<AnswerItem<T>>) -> Value {
    serde_json::to_value(Answer { v: VERSION, items }).unwrap_or_default()
}

/// An answer, and what is still waited for.
type Invoked = (Value, Vec<AnswerItem<Value>>, Vec<Awaited>, bool);

fn whole((answer, happened): (Result<Value, PortError>, Happened)) -> (Result<Invoked, PortError>, Happened) {
    (answer.map(|answer| (answer, Vec::new(), Vec::new(), false)), happened)
}

fn of_nodes(state: &mut State, moment: Moment, function: &str, request: &[u8]) -> Option<(Invoked, Happened)> {
    let works = state.gateways.get(function).is_some_and(|gateway| gateway.mood == Mood::Works);
    let request = serde_json::from_slice::<Request<Value>>(request).ok().filter(|_| works)?;
    if matches!(request.verb, Verb::Resolve | Verb::Probe) || request.items.len() > MOST_ITEMS {
        return None;
    }
    let Told { items, awaited, calls, slow } = state.node_verbs(request.verb, &request.items, moment.now);
    let happened = Happened::GatewayAskedNodes(function.to_owned(), calls);
    Some(((answer(items.clone()), items, awaited, slow), happened))
}

fn invoked(state: &mut State, moment: Moment, function: &str, request: &[u8]) -> (Result<Value, PortError>, Happened) {
    let Some(gateway) = state.gateways.get(function).cloned() else {
        let code = "ResourceNotFoundException".to_owned();
        let message = format!("Function not found: {function}");
        let happened = Happened::Refused(code.clone());
        return (Err(PortError { call: CALL, class: Class::NotFound, code, message }), happened);
    };
    match gateway.mood {
        Mood::Works => {}
        Mood::Fails => return malformed("the function failed"),
        Mood::Hangs => return (Err(crate::Fault::Timeout.error(CALL)), Happened::Refused("TimedOut".to_owned())),
        Mood::Nonsense => return (Ok(json!({"hello": "world"})), Happened::Refused("Nonsense".to_owned())),
    }
    let Ok(request) = serde_json::from_slice::<Request<Value>>(request) else { return malformed("no request") };
    if request.items.len() > MOST_ITEMS {
        return malformed("too many items");
    }
    match request.verb {
        Verb::Resolve => {
            let asked: Vec<ResolveItem> =
                request.items.iter().filter_map(|i| ResolveItem::deserialize(i).ok()).collect();
            let (mut items, mut names) = (Vec::new(), Vec::new());
            for ResolveItem { id, host } in asked {
                let seen = gateway.names.get(&host).cloned();
                let told = seen.unwrap_or_else(|| state.ask_name(&host, moment.now, moment.seen));
                names.push((host, told.clone()));
                items.push(AnswerItem { id, outcome: Outcome::<Resolved>::of_name(told) });
            }
            (Ok(answer(items)), Happened::GatewayResolved(function.to_owned(), names))
        }
        Verb::Probe => {
            let asked: Vec<ProbeItem> = request.items.iter().filter_map(|i| ProbeItem::deserialize(i).ok()).collect();
            let servers = asked.iter().map(|item| Target { address: item.address, port: item.port }).collect();
            let probed = asked.iter().map(|item| AnswerItem { id: item.id.clone(), outcome: state.probe(item) });
            (Ok(answer(probed.collect())), Happened::GatewayProbed(function.to_owned(), servers))
        }
        _ => malformed("this gateway does not have that verb"),
    }
}

/// The port.
#[derive(Debug, Clone)]
pub struct Gateways(Client);

impl Gateways {
    /// A process's way to it.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }
}

impl ports::Gateways for Gateways {
    async fn invoke(&self, function: &str, request: Vec<u8>) -> Result<Value, PortError> {
        let changes = serde_json::from_slice::<Request<Value>>(&request).is_ok_and(|request| request.verb.changes());
        let kind = if changes { Kind::Change } else { Kind::Consistent };
        let answered = self
            .0
            .call(CALL, kind, |state, moment| match of_nodes(state, moment, function, &request) {
                Some((told, happened)) => (Ok(told), happened),
                None => whole(invoked(state, moment, function, &request)),
            })
            .await;
        let time = self.0.world().time();
        if answered.as_ref().is_err_and(|error| error.class == Class::TimedOut) {
            // As long as our clients wait.
            time.sleep(Duration::from_secs(8)).await;
        }
        let (mut value, mut items, mut awaited, slow) = answered?;
        if slow {
            time.sleep(ITEM).await;
        }
        for _ in 0..8 {
            if awaited.is_empty() {
                break;
            }
            time.sleep(ITEM / 8).await;
            self.0.world().happen(|state, _| {
                awaited.retain(|waits| match nodes::answered(state, waits) {
                    Some(said) => {
                        items
                            .get_mut(waits.place)
                            .into_iter()
                            .for_each(|item| item.outcome = Outcome::Ok(said.clone()));
                        false
                    }
                    None => true,
                });
            });
            value = answer(items.clone());
        }
        Ok(value)
    }
}
