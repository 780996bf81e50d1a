//! Clusters that share a gateway: it is asked once for all their names, and once for all their servers. A gateway that
//! does not answer delays and fails nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::Duration;

use domain::reason::Reason;
use futures_util::future::{Either, join_all, select};
use jiff::{SignedDuration, Timestamp};
use ports::{Class, Clock as _, Gateways as _, PortError, Secret, Secrets as _};
use reach::gateway::{
    Answer, AnswerItem, Credentials, ItemError, MOST_ITEMS, Outcome, ProbeItem, Probed, Request, ResolveItem, Resolved,
    TlsItem, VERSION, Verb,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::cluster::{FirstLook, Job, ProbeWanted};
use crate::Ports;
use crate::observed::{Heard, Probe, Trouble};
use crate::plan::proof;

/// How long a pass waits for secrets. Without them a server is not probed, and nothing else waits.
const SECRETS_LIMIT: Duration = Duration::from_secs(3);

/// What probes must leave of a pass: their own invocation, the secrets before it, and what the clusters do afterwards.
const LEFT_FOR_PROBES: SignedDuration = SignedDuration::from_secs(22);

/// What was seen of each cluster through `gateway`, in the order of `jobs`.
pub(super) async fn look<P: Ports>(ports: &P, gateway: &str, jobs: &[Job<'_, P>], until: Timestamp) -> Vec<FirstLook> {
    let mut looks = join_all(jobs.iter().map(Job::see_peerings)).await;
    resolve(ports, gateway, jobs, &mut looks).await;
    if until.duration_since(ports.clock().now()) >= LEFT_FOR_PROBES {
        probe(ports, gateway, jobs, &mut looks).await;
    }
    looks
}

async fn resolve<P: Ports>(ports: &P, gateway: &str, jobs: &[Job<'_, P>], looks: &mut [FirstLook]) {
    let asked: Vec<(usize, String, String)> = jobs
        .iter()
        .zip(looks.iter())
        .enumerate()
        .flat_map(|(at, (job, look))| job.hosts(&look.observed).into_iter().map(move |(arn, host)| (at, arn, host)))
        .collect();
    let items = asked.iter().enumerate().map(|(id, (.., host))| ResolveItem { id: id.to_string(), host: host.clone() });
    let now = ports.clock().now();
    looks.iter_mut().for_each(|look| look.asked = now);
    let answers = ask::<P, _, Resolved>(ports, gateway, Verb::Resolve, items.collect()).await;
    for ((at, arn, _), answer) in asked.into_iter().zip(answers) {
        let Some(look) = looks.get_mut(at) else { continue };
        let heard = match answer {
            Ok(outcome) => Heard::Answer(outcome.into_name()),
            Err(trouble) => Heard::NoGateway(trouble),
        };
        look.observed.names.insert(arn, heard);
    }
}

async fn probe<P: Ports>(ports: &P, gateway: &str, jobs: &[Job<'_, P>], looks: &mut [FirstLook]) {
    let wanted: Vec<(usize, ProbeWanted)> = jobs
        .iter()
        .zip(looks.iter())
        .enumerate()
        .flat_map(|(at, (job, look))| job.probes(&look.observed).into_iter().map(move |wanted| (at, wanted)))
        .collect();
    let ids: BTreeSet<&str> =
        wanted.iter().filter_map(|(at, w)| Some(secrets_of(jobs.get(*at)?, w))).flatten().collect();
    let secrets = read(ports, ids).await;
    let mut sent = Vec::new();
    let mut items = Vec::new();
    for (at, wanted) in &wanted {
        let (Some(job), Some(look)) = (jobs.get(*at), looks.get_mut(*at)) else { continue };
        match item(items.len(), job, wanted, &secrets) {
            Ok(item) => {
                items.push(item);
                sent.push((*at, wanted.target));
            }
            Err(trouble) => {
                look.observed.probes.insert(wanted.target, Probe::Nothing(trouble));
            }
        }
    }
    let answers = ask::<P, _, Probed>(ports, gateway, Verb::Probe, items).await;
    for ((at, target), answer) in sent.into_iter().zip(answers) {
        let Some(look) = looks.get_mut(at) else { continue };
        let found = match answer {
            Ok(Outcome::Ok(probed)) => Probe::Found(probed),
            Ok(Outcome::Error(error)) => Probe::Nothing(proof::trouble(error)),
            Err(trouble) => Probe::Nothing(trouble),
        };
        look.observed.probes.insert(target, found);
    }
}

/// Asks the gateway for each of `items`, whose ids are their places, in as few invocations as there can be. Gives an answer
/// or a trouble for each, in their order: what the gateway leaves out is trouble, what it adds is passed over.
async fn ask<P: Ports, I: Serialize + Clone, T: DeserializeOwned>(
    ports: &P,
    gateway: &str,
    verb: Verb,
    items: Vec<I>,
) -> Vec<Result<Outcome<T>, Trouble>> {
    let chunks: Vec<&[I]> = items.chunks(MOST_ITEMS).collect();
    let answers = join_all(chunks.iter().map(|chunk| async move {
        let request = Request { v: VERSION, verb, items: chunk.to_vec() };
        let body = serde_json::to_vec(&request).unwrap_or_default();
        let answer = ports.gateways().invoke(gateway, body).await.map_err(|error| unasked(gateway, &error))?;
        understood::<T>(gateway, answer)
    }))
    .await;
    let mut all = Vec::with_capacity(items.len());
    for (chunk, answer) in chunks.iter().zip(answers) {
        match answer {
            Err(trouble) => all.extend(chunk.iter().map(|_| Err(trouble.clone()))),
            Ok(answered) => {
                let mut by_id: BTreeMap<String, Outcome<T>> =
                    answered.into_iter().map(|AnswerItem { id, outcome }| (id, outcome)).collect();
                let first = all.len();
                all.extend((first..first + chunk.len()).map(|id| {
                    let left_out = || failed(format!("{gateway} left an item out of its answer"));
                    by_id.remove(&id.to_string()).ok_or_else(left_out)
                }));
            }
        }
    }
    all
}

fn understood<T: DeserializeOwned>(gateway: &str, answer: Value) -> Result<Vec<AnswerItem<T>>, Trouble> {
    let refused = |error: ItemError| failed(format!("{gateway}: {}: {}", error.code, error.message));
    Answer::read(answer).map(|answer| answer.items).map_err(refused)
}

fn failed(message: String) -> Trouble {
    Trouble { reason: Reason::GatewayFailed, message }
}

fn unasked(gateway: &str, error: &PortError) -> Trouble {
    match error.class {
        Class::NotFound => {
            Trouble { reason: Reason::GatewayNotFound, message: format!("there is no function {gateway}") }
        }
        _ => failed(error.to_string()),
    }
}

type Read = BTreeMap<String, Result<Secret, Trouble>>;

/// The secrets that a probe needs.
fn secrets_of<'j, P: Ports>(job: &'j Job<'_, P>, wanted: &ProbeWanted) -> Vec<&'j str> {
    let Some(primary) = job.wanted() else { return Vec::new() };
    let tls = primary.tls.iter().flat_map(|tls| [&tls.ca_secret, &tls.cert_secret, &tls.key_secret]).flatten();
    let credentials = primary.credentials_secret.iter().filter(|_| wanted.with_credentials);
    tls.chain(credentials).map(|id| id.as_str()).collect()
}

/// Reads each secret once.
async fn read<P: Ports>(ports: &P, ids: BTreeSet<&str>) -> Read {
    let all = join_all(ids.into_iter().map(|id| async move {
        let waited = ports.clock().sleep(SECRETS_LIMIT);
        let read = match select(pin!(ports.secrets().read(id)), pin!(waited)).await {
            Either::Left((read, _)) => read.map_err(|error| unreadable(format!("{id}: {error}"))),
            Either::Right(_) => Err(unreadable(format!("{id}: not read in time"))),
        };
        (id.to_owned(), read)
    }));
    all.await.into_iter().collect()
}

fn unreadable(message: String) -> Trouble {
    Trouble { reason: Reason::CredentialsUnreadable, message }
}

fn item<P: Ports>(id: usize, job: &Job<'_, P>, wanted: &ProbeWanted, secrets: &Read) -> Result<ProbeItem, Trouble> {
    let target = wanted.target;
    let bare =
        ProbeItem { id: id.to_string(), address: target.address, port: target.port, tls: None, credentials: None };
    let Some(primary) = job.wanted() else { return Ok(bare) };
    let secret = |id: &Option<domain::names::SecretId>| match id {
        None => Ok(None),
        Some(id) => match secrets.get(id.as_str()) {
            Some(read) => read.clone().map(Some),
            None => Err(unreadable(format!("{id}: not read"))),
        },
    };
    let credentials = match &primary.credentials_secret {
        Some(id) if wanted.with_credentials => {
            secret(&Some(id.clone()))?.map(|text| credentials(id.as_str(), &text)).transpose()?
        }
        _ => None,
    };
    // Credentials go over verified TLS alone: where the spec says nothing of TLS, the system's authorities count.
    let tls = match &primary.tls {
        None if credentials.is_none() => None,
        tls => {
            let tls = tls.clone().unwrap_or_default();
            let text = |id: &Option<domain::names::SecretId>| Ok(secret(id)?.map(|s| s.expose().to_owned()));
            Some(TlsItem {
                ca: text(&tls.ca_secret)?,
                cert: text(&tls.cert_secret)?,
                key: secret(&tls.key_secret)?,
                server_name: tls.server_name.map_or_else(|| wanted.host.clone(), |name| name.as_str().to_owned()),
            })
        }
    };
    Ok(ProbeItem { tls, credentials, ..bare })
}

/// Reads `{"username", "password"}`. What is wrong is told without what the secret holds.
fn credentials(id: &str, secret: &Secret) -> Result<Credentials, Trouble> {
    serde_json::from_str(secret.expose())
        .map_err(|_| unreadable(format!("{id} does not hold {{\"username\": \"...\", \"password\": \"...\"}}")))
}
