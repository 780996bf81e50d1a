//! Names, as resolvers answer them.
//!
//! An answer may come from a cache for as long as its TTL says (RFC 1035, section 3.2.1), so a read can lag behind a change by
//! that much. A name can have several answers by turns, as with a split brain or two resolvers that disagree.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use ports::NameAnswer;

use crate::calls::Happened;
use crate::client::{Client, Kind};
use crate::history::History;
use crate::world::State;

/// All names; each with its answers, given by turns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Zone {
    names: BTreeMap<String, History<Vec<NameAnswer>>>,
    turn: usize,
}

impl Zone {
    /// What a resolver says that cached what was true at `seen`, if its TTL allows.
    fn ask(&mut self, host: &str, now: Timestamp, seen: Timestamp) -> NameAnswer {
        if let Ok(address) = host.parse::<IpAddr>() {
            return NameAnswer::Addresses { addresses: vec![address], ttl: Duration::ZERO };
        }
        self.turn += 1;
        let Some(history) = self.names.get(host) else { return NameAnswer::NxDomain };
        let pick = |answers: &[NameAnswer]| answers.get(self.turn % answers.len().max(1)).cloned();
        let lag = Duration::try_from(now.duration_since(seen)).unwrap_or_default();
        let cached = pick(history.at(seen)).filter(|answer| match answer {
            NameAnswer::Addresses { ttl, .. } => lag < *ttl,
            _ => false,
        });
        match cached.or_else(|| pick(history.now())).unwrap_or(NameAnswer::NxDomain) {
            NameAnswer::Addresses { mut addresses, ttl } => {
                addresses.sort_unstable();
                addresses.dedup();
                // What is left of it, if it comes from a cache.
                NameAnswer::Addresses { addresses, ttl: ttl.saturating_sub(lag) }
            }
            other => other,
        }
    }
}

impl State {
    /// A name answers this from now on: several answers by turns.
    pub fn put_name(&mut self, host: &str, answers: Vec<NameAnswer>, now: Timestamp) {
        match self.zone.names.get_mut(host) {
            Some(known) => *known.change(now) = answers,
            None => {
                self.zone.names.insert(host.to_owned(), History::new(answers));
            }
        }
    }

    /// What a name answers at present.
    #[must_use]
    pub fn name(&self, host: &str) -> &[NameAnswer] {
        self.zone.names.get(host).map_or(&[], |history| history.now())
    }

    pub(crate) fn ask_name(&mut self, host: &str, now: Timestamp, seen: Timestamp) -> NameAnswer {
        self.zone.ask(host, now, seen)
    }
}

/// The port.
#[derive(Debug, Clone)]
pub struct Names(Client);

impl Names {
    /// A process's way to it.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self(client.clone())
    }
}

impl ports::Names for Names {
    async fn resolve(&self, host: &str, limit: Duration) -> NameAnswer {
        const CALL: &str = "dns:Resolve";
        let ask = self.0.call(CALL, Kind::Lagging(Duration::from_secs(60)), |state, moment| {
            let answer = state.ask_name(host, moment.now, moment.seen);
            (Ok(answer.clone()), Happened::NameAsked(host.to_owned(), answer))
        });
        let time = self.0.world().time().clone();
        let started = time.now();
        match limited(&time, limit, ask).await {
            Some(Ok(NameAnswer::TimedOut)) | None => {
                let spent = Duration::try_from(time.now().duration_since(started)).unwrap_or_default();
                time.sleep(limit.saturating_sub(spent)).await;
                NameAnswer::TimedOut
            }
            Some(Ok(answer)) => answer,
            Some(Err(error)) => match error.class {
                ports::Class::Throttled => NameAnswer::Refused,
                ports::Class::Unavailable => NameAnswer::ServFail,
                ports::Class::TimedOut => NameAnswer::TimedOut,
                _ => NameAnswer::Failed(error.to_string()),
            },
        }
    }
}

/// Waits for `future` until `limit` has passed.
async fn limited<T>(time: &crate::time::VirtualTime, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut over = std::pin::pin!(time.sleep(limit));
    std::future::poll_fn(|context| {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
            return std::task::Poll::Ready(Some(value));
        }
        over.as_mut().poll(context).map(|()| None)
    })
    .await
}
