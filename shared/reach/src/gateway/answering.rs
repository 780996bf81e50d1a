//! Carries a request out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use ports::Names;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::reading::{self, Asked, Work};
use super::{
    Answer, AnswerItem, ErrorCode, EtcdItem, EtcdLearnerItem, EtcdMemberItem, ItemError, Outcome, PatroniGetItem,
    ProbeItem, Refusal, ReinitializeItem, ResolveItem, Resolved, SwitchoverItem, VERSION, Verb,
};
use crate::failure::Failure;
use crate::{etcd, patroni, postgres};

/// How long an invocation takes at most. Its caller waits 9 s, a start of the function included.
const TOTAL: Duration = Duration::from_secs(6);
/// How long one item takes at most.
const ITEM: Duration = Duration::from_secs(4);
/// What is not begun with this much time left is not begun: a host would seem dead that was not given time to answer.
const LEAST: Duration = Duration::from_secs(1);
/// How many items are carried out at the same time. Two turns of hosts that swallow packets fit into [`TOTAL`].
const AT_ONCE: usize = 50;

/// The longest result of one item, in bytes of JSON. A hundred of them fit into what Lambda answers (6 MB), so that one host
/// cannot spoil the answers of the others.
const LONGEST_RESULT: usize = 48 * 1024;

/// Says whether anything may be sent to an address, or why not.
pub type Admits = fn(Ipv4Addr) -> Result<(), String>;

/// What carries requests out.
#[derive(Debug)]
pub struct Gateway<N> {
    /// What it may do.
    pub verbs: BTreeSet<Verb>,
    /// How it looks names up.
    pub names: N,
    /// Which addresses it speaks to. The asker admits an address by what it knows of the peering or the group; a gateway, which knows
    /// nothing, refuses what can be nobody's host, lest it be made to speak to its own host.
    pub admits: Admits,
}

/// An answer, and what of it may be logged.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// An [`Answer`] or a [`Refusal`].
    pub answer: Value,
    /// What was asked for, where that could be read.
    pub verb: Option<Verb>,
    /// How many items have which result: `ok`, or an error's code. A refusal counts as one.
    pub counts: BTreeMap<String, usize>,
}

impl<N: Names> Gateway<N> {
    /// Answers a request, whatever it is, within six seconds.
    pub async fn answer(&self, payload: &Value) -> Answered {
        match reading::read(payload, &self.verbs) {
            Err(error) => {
                let counts = BTreeMap::from([(error.code.clone(), 1)]);
                Answered { answer: wire(&Refusal { v: VERSION, error }), verb: None, counts }
            }
            Ok(work) => {
                let verb = Some(work.verb());
                let (answer, counts) = match work {
                    Work::Resolve(items) => finished(each(items, |item, limit| self.resolve(item, limit)).await),
                    Work::Probe(items) => {
                        self.hosts(items, |item, limit| async move { postgres::probe(&item, limit).await }).await
                    }
                    Work::PatroniGet(items) => {
                        self.hosts(items, |item, limit| async move { patroni::get(&item, limit).await }).await
                    }
                    Work::PatroniSwitchover(items) => {
                        self.hosts(items, |item, limit| async move { patroni::switchover(&item, limit).await }).await
                    }
                    Work::PatroniReinitialize(items) => {
                        self.hosts(items, |item, limit| async move { patroni::reinitialize(&item, limit).await }).await
                    }
                    Work::EtcdMembers(items) => {
                        self.hosts(items, |item, limit| async move { etcd::members(&item, limit).await }).await
                    }
                    Work::EtcdAddLearner(items) => {
                        self.hosts(items, |item, limit| async move { etcd::add_learner(&item, limit).await }).await
                    }
                    Work::EtcdPromote(items) => {
                        self.hosts(items, |item, limit| async move { etcd::promote(&item, limit).await }).await
                    }
                    Work::EtcdRemove(items) => {
                        self.hosts(items, |item, limit| async move { etcd::remove(&item, limit).await }).await
                    }
                    Work::EtcdMoveLeader(items) => {
                        self.hosts(items, |item, limit| async move { etcd::move_leader(&item, limit).await }).await
                    }
                };
                Answered { answer, verb, counts }
            }
        }
    }

    async fn resolve(&self, item: ResolveItem, limit: Duration) -> Outcome<Resolved> {
        Outcome::of_name(self.names.resolve(&item.host, limit).await)
    }

    /// Asks hosts. Nothing is sent to one whose address is not admitted.
    async fn hosts<I: At, T: Serialize, F: Future<Output = Result<T, Failure>>>(
        &self,
        items: Vec<Asked<I>>,
        ask: impl Fn(I, Duration) -> F,
    ) -> (Value, BTreeMap<String, usize>) {
        let ask = &ask;
        let carry_out = |item: I, limit| async move {
            if let Err(why) = (self.admits)(item.address()) {
                return failed(ErrorCode::AddressRefused, why);
            }
            match ask(item, limit).await {
                Ok(result) => bounded(result),
                Err(error) => Outcome::Error(error.into()),
            }
        };
        finished(each(items, carry_out).await)
    }
}

/// An item that names a host.
trait At {
    fn address(&self) -> Ipv4Addr;
}

macro_rules! at {
    ($($item:ty: $($path:ident).+;)+) => {
        $(impl At for $item {
            fn address(&self) -> Ipv4Addr {
                self.$($path).+
            }
        })+
    };
}

at! {
    ProbeItem: address;
    PatroniGetItem: address;
    SwitchoverItem: address;
    ReinitializeItem: address;
    EtcdItem: address;
    EtcdLearnerItem: ask.address;
    EtcdMemberItem: ask.address;
}

/// A result that leaves room for those of the other items.
fn bounded<T: Serialize>(result: T) -> Outcome<T> {
    match serde_json::to_vec(&result) {
        Ok(json) if json.len() <= LONGEST_RESULT => Outcome::Ok(result),
        _ => {
            failed(ErrorCode::AnswerTooLong, format!("the host answered with more than {LONGEST_RESULT} bytes of JSON"))
        }
    }
}

/// Carries out all items, each within what is left of the time.
async fn each<I, T, F>(items: Vec<Asked<I>>, carry_out: impl Fn(I, Duration) -> F) -> Vec<AnswerItem<T>>
where
    F: Future<Output = Outcome<T>>,
{
    let end = Instant::now() + TOTAL;
    let carry_out = &carry_out;
    let tasks = items.into_iter().enumerate().map(|(n, Asked { id, item })| async move {
        let left = end.saturating_duration_since(Instant::now());
        let outcome = match item {
            Err(error) => Outcome::Error(error),
            Ok(_) if left < LEAST => failed(ErrorCode::OutOfTime, "the gateway had no time left for it".to_owned()),
            Ok(item) => carry_out(item, left.min(ITEM)).await,
        };
        (n, AnswerItem { id, outcome })
    });
    let mut answers: Vec<_> = stream::iter(tasks).buffer_unordered(AT_ONCE).collect().await;
    answers.sort_unstable_by_key(|(n, _)| *n);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn failed<T>(code: ErrorCode, message: String) -> Outcome<T> {
    Outcome::Error(ItemError { code: code.code().to_owned(), message })
}

fn finished<T: Serialize>(items: Vec<AnswerItem<T>>) -> (Value, BTreeMap<String, usize>) {
    let mut counts = BTreeMap::new();
    for item in &items {
        let result = match &item.outcome {
            Outcome::Ok(_) => "ok",
            Outcome::Error(error) => &error.code,
        };
        *counts.entry(result.to_owned()).or_default() += 1;
    }
    (wire(&Answer { v: VERSION, items }), counts)
}

/// These types have text for keys and no numbers beyond JSON's, so this cannot fail; if it did, that must show.
fn wire(answer: &impl Serialize) -> Value {
    serde_json::to_value(answer)
        .unwrap_or_else(|error| json!({"v": VERSION, "error": {"code": "BadAnswer", "message": error.to_string()}}))
}
