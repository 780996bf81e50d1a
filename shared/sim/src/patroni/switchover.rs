//! `POST /switchover`: what refuses it at once, what the leader does, and what is answered in the end.
//!
//! Held here (Patroni, `api.py`, do_POST_failover and is_failover_possible; `ha.py`, process_manual_failover_from_leader): names and
//! reachability are checked at once, the candidate's lag and timeline later by the leader, whose refusal is the opaque
//! `Switchover failed`.

use jiff::Timestamp;

use super::running::{MOST_LAG, secs};
use super::{Cluster, Node, Postgres};
use crate::instances::after;

#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    Asked,
    Demoting(Timestamp),
    Released(Timestamp),
}

/// A switchover that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    id: u64,
    leader: String,
    pub(super) candidate: String,
    acts_at: Timestamp,
    pub(super) phase: Phase,
}

impl Request {
    pub(super) fn since(&self) -> Timestamp {
        match self.phase {
            Phase::Asked => self.acts_at,
            Phase::Demoting(at) | Phase::Released(at) => at,
        }
    }
}

impl Cluster {
    fn named(&self, name: &str) -> Option<(&String, &Node)> {
        self.nodes.iter().find(|(_, node)| node.name == name)
    }

    /// A request arrives at a member that runs. `Err`: the reply that it gets at once; `Ok`: under what it is answered later.
    pub(crate) fn ask_switchover(
        &mut self,
        leader: &str,
        candidate: &str,
        rng: &mut fastrand::Rng,
        now: Timestamp,
    ) -> Result<u64, (u16, &'static str)> {
        if !self.has_quorum() {
            return Err((503, "failed to write failover key into DCS"));
        }
        if leader == candidate {
            return Err((400, "Switchover target and source are the same"));
        }
        let listed = |name: &str| self.keys.iter().find(|(_, key)| key.name == name).map(|(id, _)| id.clone());
        let holder = self.leader().map(str::to_owned);
        let Some(from) = listed(leader).filter(|id| Some(id) == holder.as_ref()) else {
            return Err((412, "leader name does not match"));
        };
        let Some(to) = listed(candidate) else { return Err((412, "candidate does not exists")) };
        if self.synchronous && self.sync_standby.as_ref() != Some(&to) {
            return Err((412, "candidate name does not match with sync_standby"));
        }
        let reaches = self.named(candidate).is_some_and(|(_, node)| node.online() && node.patroni && !node.nofailover);
        if !reaches {
            return Err((412, "no good candidates have been found"));
        }
        if self.request.is_some() {
            return Err((503, "failed to write failover key into DCS"));
        }
        self.requests += 1;
        let acts_at = after(now, secs(rng.u64(1..3)));
        self.request = Some(Request { id: self.requests, leader: from, candidate: to, acts_at, phase: Phase::Asked });
        Ok(self.requests)
    }

    /// What a request is answered with, once that is known.
    pub(crate) fn answer_to(&self, request: u64) -> Option<&(u16, String)> {
        self.outcomes.get(&request)
    }

    pub(super) fn carry_out_request(&mut self, rng: &mut fastrand::Rng, now: Timestamp) {
        let Some(request) = self.request.clone() else { return };
        if after(request.acts_at, secs(60)) <= now {
            self.outcomes.insert(request.id, (503, "Switchover status unknown".to_owned()));
            self.request = None;
            return;
        }
        let (Phase::Asked, true) = (request.phase, request.acts_at <= now) else { return };
        let Some(leader) = self.nodes.get(&request.leader) else { return };
        let works = leader.patroni && self.reaches_dcs(leader) && leader.postgres == Postgres::Running;
        if !works {
            return;
        }
        let end = leader.place;
        let good = self.nodes.get(&request.candidate).is_some_and(|node| {
            let lag = end.zip(node.place).map(|(end, place)| end.lsn.saturating_sub(place.lsn));
            node.streaming && self.reaches_dcs(node) && node.patroni && lag.is_some_and(|lag| lag <= MOST_LAG)
        });
        if !good {
            self.outcomes.insert(request.id, (503, "Switchover failed".to_owned()));
            self.request = None;
            return;
        }
        let stops = after(now, secs(rng.u64(1..9)));
        if let Some(leader) = self.nodes.get_mut(&request.leader) {
            leader.postgres = Postgres::Stopping(stops);
        }
        self.log.push(format!("{} steps down for {}", request.leader, request.candidate));
        self.request = Some(Request { phase: Phase::Demoting(stops), ..request });
    }

    /// Somebody was promoted.
    pub(super) fn request_ends(&mut self, winner: &str) {
        let Some(request) = self.request.take() else { return };
        let name = |id: &str| self.nodes.get(id).map_or(id.to_owned(), |node| node.name.clone());
        let (won, wanted) = (name(winner), name(&request.candidate));
        let text = if winner == request.candidate {
            format!("Successfully switched over to \"{won}\"")
        } else {
            format!("Switched over to \"{won}\" instead of \"{wanted}\"")
        };
        self.outcomes.insert(request.id, (200, text));
    }
}
