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
    Answer, AnswerItem, ErrorCode, ItemError, Outcome, ProbeItem, Probed, Refusal, ResolveItem, Resolved, VERSION, Verb,
};
use crate::postgres;

/// How long an invocation takes at most. Its caller waits 9 s, a start of the function included.
const TOTAL: Duration = Duration::from_secs(6);
/// How long one item takes at most.
const ITEM: Duration = Duration::from_secs(4);
/// What is not begun with this much time left is not begun: a host would seem dead that was not given time to answer.
const LEAST: Duration = Duration::from_secs(1);
/// How many items are carried out at the same time. Two turns of hosts that swallow packets fit into [`TOTAL`].
const AT_ONCE: usize = 50;

/// Says whether anything may be sent to an address, or why not.
pub type Admits = fn(Ipv4Addr) -> Result<(), String>;

/// What carries requests out.
#[derive(Debug)]
pub struct Gateway<N> {
    /// What it may do.
    pub verbs: BTreeSet<Verb>,
    /// How it looks names up.
    pub names: N,
    /// Which addresses it probes. The asker admits an address by what it knows of the peering; a gateway, which knows
    /// nothing, refuses what can be nobody's database, lest it be made to speak to its own host.
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
                    Work::Probe(items) => finished(each(items, |item, limit| self.probe(item, limit)).await),
                };
                Answered { answer, verb, counts }
            }
        }
    }

    async fn resolve(&self, item: ResolveItem, limit: Duration) -> Outcome<Resolved> {
        Outcome::of_name(self.names.resolve(&item.host, limit).await)
    }

    async fn probe(&self, item: ProbeItem, limit: Duration) -> Outcome<Probed> {
        if let Err(why) = (self.admits)(item.address) {
            return failed(ErrorCode::AddressRefused, why);
        }
        match postgres::probe(&item, limit).await {
            Ok(probed) => Outcome::Ok(probed),
            Err(error) => Outcome::Error(error.into()),
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
