//! An etcd cluster on a group's nodes: its members, its quorum, and what it refuses.
//!
//! Held here (etcd v3.5, `server/etcdserver/server.go`: mayAddMember, mayPromoteMember, mayRemoveMember; `api/v3rpc/rpctypes/error.go`;
//! design document "Learner"): a change needs a quorum of voters; a learner is added only while every voter is connected, and
//! only one at a time; it is promoted once it is in sync; a live voter is removed only if a quorum of the others is connected,
//! a dead one if enough others were ever started; a removed member's process ends and its data is of no use any more; the
//! leadership is moved by the leader alone, to a voter.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use reach::gateway::{EtcdMember, EtcdStatus, EtcdView};

use crate::instances::after;

/// How long a learner copies what the others have.
const SYNC: Duration = Duration::from_secs(6);

/// A member as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberTruth {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub address: Ipv4Addr,
    /// Whether it has no vote.
    pub learner: bool,
    /// Whether it was ever started.
    pub started: bool,
    /// Whether it runs and the others reach it.
    pub alive: bool,
}

#[derive(Debug, Clone)]
struct Member {
    address: Ipv4Addr,
    name: Option<String>,
    learner: bool,
    started_at: Option<Timestamp>,
    alive: bool,
}

/// The members, as a quorum has agreed on them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ensemble {
    members: BTreeMap<u64, Member>,
    leader: Option<u64>,
    elects_at: Option<Timestamp>,
    term: u64,
    index: u64,
    made: u64,
}

type Refusal = (&'static str, &'static str);

fn id_of(n: u64) -> u64 {
    // Beyond what a JSON number carries.
    9_000_000_000_000_000_000 + n * 7_919
}

impl Ensemble {
    pub(crate) fn is_new(&self) -> bool {
        self.members.is_empty()
    }

    fn add(&mut self, address: Ipv4Addr, learner: bool) -> u64 {
        self.made += 1;
        self.index += 1;
        let id = id_of(self.made);
        self.members.insert(id, Member { address, name: None, learner, started_at: None, alive: false });
        id
    }

    /// A member of a cluster that begins with it.
    pub(crate) fn found(&mut self, address: Ipv4Addr) -> u64 {
        self.add(address, false)
    }

    /// The member that was added for this address and never started.
    pub(crate) fn awaited(&self, address: Ipv4Addr) -> Option<u64> {
        self.members.iter().find(|(_, m)| m.address == address && m.name.is_none()).map(|(id, _)| *id)
    }

    pub(crate) fn has(&self, id: u64) -> bool {
        self.members.contains_key(&id)
    }

    pub(crate) fn start(&mut self, id: u64, name: &str, now: Timestamp) {
        if let Some(member) = self.members.get_mut(&id) {
            member.name = Some(name.to_owned());
            member.started_at = Some(now);
            member.alive = true;
        }
    }

    fn voters(&self) -> impl Iterator<Item = (&u64, &Member)> {
        self.members.iter().filter(|(_, member)| !member.learner)
    }

    pub(crate) fn has_quorum(&self) -> bool {
        let alive = self.voters().filter(|(_, member)| member.alive).count();
        alive > self.voters().count() / 2 && self.leader.is_some()
    }

    /// Who is alive, and who leads.
    pub(crate) fn tick(&mut self, alive: impl Fn(u64) -> bool, now: Timestamp) {
        self.index += 3;
        for (id, member) in &mut self.members {
            member.alive = alive(*id);
        }
        let up: Vec<u64> = self.voters().filter(|(_, m)| m.alive).map(|(id, _)| *id).collect();
        let quorum = up.len() > self.voters().count() / 2;
        if self.leader.is_some_and(|leader| !up.contains(&leader)) || !quorum {
            self.leader = None;
        }
        if !quorum {
            self.elects_at = None;
        } else if self.leader.is_none() {
            let at = *self.elects_at.get_or_insert(after(now, Duration::from_secs(2)));
            if at <= now {
                self.leader = up.get(usize::try_from(self.term).unwrap_or_default() % up.len().max(1)).copied();
                self.term += 1;
                self.elects_at = None;
            }
        }
    }

    pub(crate) fn truth(&self) -> Vec<MemberTruth> {
        let told = self.members.iter().map(|(id, m)| MemberTruth {
            id: id.to_string(),
            address: m.address,
            learner: m.learner,
            started: m.name.is_some(),
            alive: m.alive,
        });
        told.collect()
    }

    /// As a reply has them.
    pub(crate) fn told(&self) -> Vec<EtcdMember> {
        let told = self.members.iter().map(|(id, m)| EtcdMember {
            id: id.to_string(),
            name: m.name.clone().unwrap_or_default(),
            peer_urls: vec![format!("http://{}:2380", m.address)],
            client_urls: if m.name.is_some() { vec![format!("http://{}:2379", m.address)] } else { Vec::new() },
            learner: m.learner,
        });
        told.collect()
    }

    /// What a member answers to the question for all members and for itself.
    pub(crate) fn view(&self, asked: u64) -> Result<EtcdView, Refusal> {
        let member = self.members.get(&asked).ok_or(("ConnectionRefused", "no etcd"))?;
        if member.learner {
            return Err(("EtcdAskedLearner", "etcdserver: rpc not supported for learner"));
        }
        if !self.has_quorum() {
            return Err(("EtcdUnavailable", "etcdserver: no leader"));
        }
        let status = EtcdStatus {
            member_id: asked.to_string(),
            leader_id: self.leader.map(|id| id.to_string()),
            raft_index: self.index,
            raft_term: self.term,
            learner: member.learner,
            version: "3.5.28".to_owned(),
            errors: Vec::new(),
        };
        Ok(EtcdView { status, members: self.told() })
    }

    fn changeable(&self, asked: u64) -> Result<(), Refusal> {
        let member = self.members.get(&asked).ok_or(("ConnectionRefused", "no etcd"))?;
        if member.learner {
            return Err(("EtcdAskedLearner", "etcdserver: rpc not supported for learner"));
        }
        if self.has_quorum() { Ok(()) } else { Err(("EtcdUnavailable", "etcdserver: no leader")) }
    }

    pub(crate) fn add_learner(&mut self, asked: u64, address: Ipv4Addr) -> Result<(), Refusal> {
        self.changeable(asked)?;
        if self.members.values().any(|m| m.address == address) {
            return Err(("EtcdMemberExists", "etcdserver: Peer URLs already exists"));
        }
        if self.voters().any(|(_, m)| !m.alive) {
            return Err(("EtcdUnavailable", "etcdserver: unhealthy cluster"));
        }
        if self.members.values().any(|m| m.learner) {
            return Err(("EtcdNotReady", "etcdserver: too many learner members in cluster"));
        }
        self.add(address, true);
        Ok(())
    }

    pub(crate) fn promote(&mut self, asked: u64, id: u64, now: Timestamp) -> Result<(), Refusal> {
        self.changeable(asked)?;
        let member = self.members.get_mut(&id).ok_or(("EtcdMemberNotFound", "etcdserver: member not found"))?;
        if !member.learner {
            return Err(("EtcdNotLearner", "etcdserver: can only promote a learner member"));
        }
        if !member.alive || member.started_at.is_none_or(|at| after(at, SYNC) > now) {
            return Err(("EtcdNotReady", "etcdserver: can only promote a learner member which is in sync with leader"));
        }
        member.learner = false;
        self.index += 1;
        Ok(())
    }

    pub(crate) fn remove(&mut self, asked: u64, id: u64) -> Result<(), Refusal> {
        self.changeable(asked)?;
        let member = self.members.get(&id).ok_or(("EtcdMemberNotFound", "etcdserver: member not found"))?;
        if !member.learner {
            let voters = self.voters().count();
            let others = self.voters().filter(|(other, _)| **other != id);
            let started = others.filter(|(_, m)| m.name.is_some()).count();
            if started < (voters - 1) / 2 + 1 {
                return Err(("EtcdNotReady", "etcdserver: re-configuration failed due to not enough started members"));
            }
            let active = self.voters().filter(|(_, m)| m.alive).count();
            if member.alive && active.saturating_sub(1) < 1 + (voters - 1) / 2 {
                return Err(("EtcdUnavailable", "etcdserver: unhealthy cluster"));
            }
        }
        self.members.remove(&id);
        self.index += 1;
        if self.leader == Some(id) {
            self.leader = None;
        }
        Ok(())
    }

    pub(crate) fn move_leader(&mut self, asked: u64, to: u64) -> Result<(), Refusal> {
        self.changeable(asked)?;
        if self.leader != Some(asked) {
            return Err(("EtcdNotLeader", "etcdserver: not leader"));
        }
        let fit = self.members.get(&to).is_some_and(|m| !m.learner && m.alive);
        if !fit {
            return Err(("EtcdNotReady", "etcdserver: bad leader transferee"));
        }
        self.leader = Some(to);
        self.term += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> (Ensemble, Vec<u64>, Timestamp) {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let mut etcd = Ensemble::default();
        let ids: Vec<u64> = (1..=3).map(|n| etcd.found(Ipv4Addr::new(10, 1, 0, n))).collect();
        ids.iter().for_each(|id| etcd.start(*id, "n", now));
        etcd.tick(|_| true, now);
        etcd.tick(|_| true, after(now, Duration::from_secs(3)));
        (etcd, ids, after(now, Duration::from_secs(3)))
    }

    #[test]
    fn a_live_voter_is_removed_only_with_a_quorum_of_others_connected() {
        let (mut etcd, ids, now) = three();
        let [a, b, c] = ids[..] else { panic!() };
        etcd.tick(|id| id != c, now);
        assert_eq!(etcd.remove(a, b).unwrap_err().0, "EtcdUnavailable", "a live one, while another is dead");
        assert_eq!(etcd.remove(a, c), Ok(()), "the dead one");
        assert_eq!(etcd.remove(a, c).unwrap_err().0, "EtcdMemberNotFound");
        assert!(etcd.has_quorum());
        assert_eq!(etcd.remove(a, b), Ok(()), "of two that are connected: etcd lets it, we do not");
    }

    #[test]
    fn a_learner_is_promoted_once_it_is_in_sync() {
        let (mut etcd, ids, now) = three();
        let new = Ipv4Addr::new(10, 1, 0, 9);
        assert_eq!(etcd.add_learner(ids[0], new), Ok(()));
        assert_eq!(etcd.add_learner(ids[0], new).unwrap_err().0, "EtcdMemberExists");
        let learner = etcd.awaited(new).unwrap();
        assert_eq!(etcd.promote(ids[0], learner, now).unwrap_err().0, "EtcdNotReady", "never started");
        etcd.start(learner, "d", now);
        assert_eq!(etcd.promote(ids[0], learner, now).unwrap_err().0, "EtcdNotReady", "not in sync");
        assert_eq!(etcd.promote(ids[0], learner, after(now, SYNC)), Ok(()));
        etcd.tick(|id| id != ids[1] && id != ids[2], now);
        assert_eq!(etcd.add_learner(ids[0], Ipv4Addr::new(10, 1, 0, 8)).unwrap_err().0, "EtcdUnavailable");
    }
}
