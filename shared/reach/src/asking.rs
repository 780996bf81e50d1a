//! Asks a VPC's hosts: through the spec's gateway, or from here where it names none.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::pin::pin;
use std::time::Duration;

use domain::names::SecretId;
use domain::spec::{Nodes, Tls};
use futures_util::future::{Either, join_all, select};
use ports::{Clock as _, Gateways as _, Secret, Secrets as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::gateway::{
    Answer, AnswerItem, Credentials, ItemError, MOST_ITEMS, Outcome, Request, TlsItem, VERSION, Verb,
};

/// What asking takes of the world.
pub trait Ways: Sync {
    /// Functions inside VPCs.
    type Gateways: ports::Gateways;
    /// The same from here, where a spec names no gateway.
    type Inside: ports::Gateways;
    /// Secrets.
    type Secrets: ports::Secrets;
    /// Time.
    type Clock: ports::Clock;

    /// Functions inside VPCs.
    fn gateways(&self) -> &Self::Gateways;
    /// The same from here.
    fn inside(&self) -> &Self::Inside;
    /// Secrets.
    fn secrets(&self) -> &Self::Secrets;
    /// Time.
    fn clock(&self) -> &Self::Clock;
}

/// How long a pass waits for secrets.
const SECRETS_LIMIT: Duration = Duration::from_secs(3);

/// What Patroni and etcd are asked with: the texts of the spec's secrets, by id.
#[derive(Debug, Clone, Default)]
pub struct Keys(BTreeMap<String, Result<Secret, String>>);

impl Keys {
    /// Reads every secret that the spec names for Patroni and etcd, each once.
    pub async fn read<W: Ways>(ways: &W, nodes: &Nodes) -> Self {
        let etcd = nodes.etcd.iter().flat_map(|etcd| named(etcd.tls.as_ref(), &etcd.credentials_secret));
        let ids: BTreeSet<&str> = of_patroni(nodes).chain(etcd).collect();
        Self::of(ways, ids).await
    }

    /// Reads Patroni's alone, each once.
    pub async fn of_patroni<W: Ways>(ways: &W, nodes: &Nodes) -> Self {
        let ids: BTreeSet<&str> = of_patroni(nodes).collect();
        Self::of(ways, ids).await
    }

    async fn of<W: Ways>(ways: &W, ids: BTreeSet<&str>) -> Self {
        let read = join_all(ids.into_iter().map(|id| async move {
            let waited = ways.clock().sleep(SECRETS_LIMIT);
            let read = match select(pin!(ways.secrets().read(id)), pin!(waited)).await {
                Either::Left((read, _)) => read.map_err(|error| format!("{id}: {error}")),
                Either::Right(_) => Err(format!("{id}: not read in time")),
            };
            (id.to_owned(), read)
        }));
        Self(read.await.into_iter().collect())
    }

    /// Whether each was read.
    #[must_use]
    pub fn are_whole(&self) -> bool {
        self.0.values().all(Result::is_ok)
    }

    fn text(&self, id: &Option<SecretId>) -> Result<Option<Secret>, String> {
        match id {
            None => Ok(None),
            Some(id) => match self.0.get(id.as_str()) {
                Some(read) => read.clone().map(Some),
                None => Err(format!("{id}: not read")),
            },
        }
    }

    /// How the certificate of the node at `address` is verified. Its name is what the spec says, or the address.
    ///
    /// # Errors
    /// Why one of its secrets is not at hand.
    pub fn tls(&self, tls: Option<&Tls>, address: Ipv4Addr) -> Result<Option<TlsItem>, String> {
        let Some(tls) = tls else { return Ok(None) };
        let text = |id| Ok::<_, String>(self.text(id)?.map(|secret| secret.expose().to_owned()));
        Ok(Some(TlsItem {
            ca: text(&tls.ca_secret)?,
            cert: text(&tls.cert_secret)?,
            key: self.text(&tls.key_secret)?,
            server_name: tls.server_name.as_ref().map_or_else(|| address.to_string(), |name| name.as_str().to_owned()),
        }))
    }

    /// Who we are. What is wrong is told without what the secret holds.
    ///
    /// # Errors
    /// Why it is not at hand, or that it is no user's name and password.
    pub fn credentials(&self, id: &Option<SecretId>) -> Result<Option<Credentials>, String> {
        let Some(secret) = self.text(id)? else { return Ok(None) };
        serde_json::from_str(secret.expose()).map(Some).map_err(|_| {
            let id = id.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{id} does not hold {{\"username\": \"...\", \"password\": \"...\"}}")
        })
    }
}

fn of_patroni(nodes: &Nodes) -> impl Iterator<Item = &str> {
    named(nodes.patroni.tls.as_ref(), &nodes.patroni.credentials_secret)
}

/// The secrets that are shown to one kind of server.
fn named<'a>(tls: Option<&'a Tls>, credentials: &'a Option<SecretId>) -> impl Iterator<Item = &'a str> {
    let of_tls = tls.into_iter().flat_map(|tls| [&tls.ca_secret, &tls.cert_secret, &tls.key_secret]).flatten();
    of_tls.chain(credentials).map(|id| id.as_str())
}

/// Asks, in the name of one cluster.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a, W> {
    /// The ways to the hosts.
    pub ways: &'a W,
    /// The gateway.
    pub gateway: Option<&'a str>,
    /// What is shown.
    pub keys: &'a Keys,
}

impl<'a, W> Asker<'a, W> {
    /// Asks a spec's nodes, the way that the spec says.
    pub fn of(ways: &'a W, nodes: &'a Nodes, keys: &'a Keys) -> Self {
        Self { ways, gateway: nodes.gateway_function.as_ref().map(|name| name.as_str()), keys }
    }
}

/// Why an item has no answer: its own code, or the gateway's trouble.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Unanswered {
    /// One of [`crate::gateway::ErrorCode`]'s; `Gateway` where the gateway itself did not answer.
    pub code: String,
    /// The particulars.
    pub message: String,
    /// Whether what was asked for may have been done all the same.
    pub in_doubt: bool,
}

impl<W: Ways> Asker<'_, W> {
    /// Asks for all items, in as few requests as they fit into. The answers come in the items' order; each item's id must be
    /// its number.
    pub async fn ask<I: Serialize, T: DeserializeOwned>(
        &self,
        verb: Verb,
        items: Vec<I>,
    ) -> Vec<Result<T, Unanswered>> {
        let mut all = Vec::with_capacity(items.len());
        for chunk in items.chunks(MOST_ITEMS) {
            let first = all.len();
            match self.send::<I, T>(verb, chunk).await {
                Ok(answered) => {
                    let mut by_id: BTreeMap<String, Outcome<T>> =
                        answered.into_iter().map(|AnswerItem { id, outcome }| (id, outcome)).collect();
                    all.extend((first..first + chunk.len()).map(|id| match by_id.remove(&id.to_string()) {
                        Some(Outcome::Ok(value)) => Ok(value),
                        Some(Outcome::Error(ItemError { code, message })) => {
                            Err(Unanswered { in_doubt: verb.changes(), code, message })
                        }
                        None => Err(gateway("it left an item out of its answer".to_owned(), true)),
                    }));
                }
                Err(trouble) => all.extend(chunk.iter().map(|_| Err(trouble.clone()))),
            }
        }
        all
    }

    /// Asks for one item, whose id is `0`.
    pub async fn one<I: Serialize, T: DeserializeOwned>(&self, verb: Verb, item: I) -> Result<T, Unanswered> {
        let mut answers = self.ask(verb, vec![item]).await;
        answers.pop().unwrap_or_else(|| Err(gateway("no answer".to_owned(), true)))
    }

    async fn send<I: Serialize, T: DeserializeOwned>(
        &self,
        verb: Verb,
        items: &[I],
    ) -> Result<Vec<AnswerItem<T>>, Unanswered> {
        let request = serde_json::to_vec(&Request { v: VERSION, verb, items: items.iter().collect() })
            .map_err(|error| gateway(error.to_string(), false))?;
        let answer = match self.gateway {
            Some(function) => self.ways.gateways().invoke(function, request).await,
            None => self.ways.inside().invoke("", request).await,
        };
        let answer = answer.map_err(|error| gateway(error.to_string(), error.class.outcome_unknown()))?;
        let read = Answer::read(answer);
        read.map(|answer| answer.items).map_err(|ItemError { code, message }| Unanswered {
            code,
            message,
            in_doubt: false,
        })
    }
}

fn gateway(message: String, in_doubt: bool) -> Unanswered {
    Unanswered { code: "Gateway".to_owned(), message, in_doubt }
}

#[cfg(test)]
mod tests;
