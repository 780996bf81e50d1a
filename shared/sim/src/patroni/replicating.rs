//! Clients write, standbys follow, and writes are acknowledged.

use jiff::Timestamp;

use super::{Cluster, Node, Postgres, Stall};
use crate::wal::Position;

/// What a standby receives in a second.
const BANDWIDTH: u64 = 40 << 20;
/// How much may wait for the synchronous standby: clients stop sending.
const WAITING: u64 = 65_536;

impl Cluster {
    pub(super) fn replicate(&mut self) {
        let quorum = self.has_quorum();
        let unlocked = self.lock.is_none();
        // Clients find who takes writes, with the key or, for the moment between, without.
        let writer = self.nodes.iter().find(|(id, node)| {
            let leads = self.lock.as_ref().is_some_and(|lock| lock.holder == **id);
            node.writable && node.postgres == Postgres::Running && node.online() && (leads || unlocked || !quorum)
        });
        let Some((writer, place)) = writer.and_then(|(id, node)| Some((id.clone(), node.place?))) else {
            self.nodes.values_mut().for_each(|node| node.streaming = false);
            return;
        };
        let acknowledged = self.wal.acknowledged_to(place.branch).unwrap_or_else(|| self.wal.start(place.branch));
        let strict = self.made.strict;
        let waits = self.synchronous && (self.sync_standby.is_some() || strict);
        let room = if waits { WAITING.saturating_sub(place.lsn.saturating_sub(acknowledged)) } else { u64::MAX };
        let end = Position { lsn: place.lsn + self.made.writes.min(room), ..place };
        let wal = &self.wal;
        for (id, node) in &mut self.nodes {
            if *id == writer {
                node.place = Some(end);
                node.replayed = end.lsn;
                continue;
            }
            let Some(at) = node.place else { continue };
            let wanted = node.online() && node.postgres == Postgres::Running && !node.wal_gone;
            let connects = wanted && node.stall != Stall::Disconnected;
            if !connects || node.writable {
                node.streaming = false;
                continue;
            }
            if !wal.follows(at, end) {
                // Patroni rewinds it to where the histories part; without Patroni it stays as it is.
                node.streaming = false;
                if let Some(common) = wal.common(at, end).filter(|_| node.patroni) {
                    node.place = Some(common);
                    node.replayed = common.lsn;
                }
                continue;
            }
            node.streaming = true;
            let received = if node.stall == Stall::Receive { at.lsn } else { end.lsn.min(at.lsn + BANDWIDTH) };
            if node.stall != Stall::Replay {
                node.replayed = received;
            }
            node.place = Some(Position { branch: end.branch, lsn: received });
        }
        let standby = self.sync_standby.as_ref().and_then(|id| self.nodes.get(id)).filter(|n| n.streaming);
        let to = match (self.synchronous, &self.sync_standby) {
            (true, Some(_)) => standby.and_then(|node| node.place).map_or(0, |place| place.lsn.min(end.lsn)),
            (true, None) if strict => 0,
            _ => end.lsn,
        };
        self.wal.acknowledge(place.branch, acknowledged, to);
    }

    pub(super) fn choose_standby(&mut self, now: Timestamp) {
        if !self.synchronous || now.as_second() % 4 != 0 || !self.has_quorum() {
            return;
        }
        let Some((_, leader)) = self.source() else { return };
        let acknowledged = leader.place.and_then(|place| self.wal.acknowledged_to(place.branch)).unwrap_or_default();
        let fit = |node: &Node| node.streaming && node.patroni && node.postgres == Postgres::Running;
        if self.sync_standby.as_ref().and_then(|id| self.nodes.get(id)).is_some_and(fit) {
            return;
        }
        let has_all = |node: &Node| node.place.is_some_and(|place| place.lsn >= acknowledged);
        let next = self.nodes.iter().find(|(_, node)| fit(node) && has_all(node) && !node.nofailover);
        self.sync_standby = next.map(|(id, _)| id.clone());
    }
}
