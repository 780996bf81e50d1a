//! Nodes that begin with data from a restore point, and `POST /reinitialize`.
//!
//! Held here (Patroni 3.0 and 4.1, `ha.py`, reinitialize, and `api.py`, do_POST_reinitialize): a node that finds data in its folder
//! replays from there and copies nothing; where the WAL in between is nowhere any more it runs and never gets on; asked to
//! reinitialize, a replica throws its data away and copies the leader. That is refused where the DCS has no leader, by the
//! leader itself, and while Patroni is at something else.

use jiff::Timestamp;

use super::{Cluster, Node, Postgres};
use crate::instances::after;
use crate::wal::Position;

/// How far behind the leader a restore point can be.
const OLDEST: u64 = 8 << 20;

impl Cluster {
    /// Nodes that start with a volume attached hold what the leader had a while ago.
    pub(super) fn restore(&mut self, restored: impl Fn(&str) -> bool, rng: &mut fastrand::Rng) {
        let Some(leader) = self.source().and_then(|(_, node)| node.place) else { return };
        let oldest = self.wal.start(leader.branch);
        for (id, node) in &mut self.nodes {
            let starts = node.patroni && !node.stopped && node.online() && node.postgres == Postgres::Down;
            if !starts || node.begun || node.place.is_some() {
                continue;
            }
            node.begun = true;
            if !restored(id) {
                continue;
            }
            let lsn = leader.lsn.saturating_sub(rng.u64(1..OLDEST)).max(oldest);
            node.place = Some(Position { lsn, ..leader });
            node.replayed = lsn;
            node.wal_gone = lsn < leader.lsn && rng.f64() < self.made.wal_gone;
            let gone = if node.wal_gone { ", and what was written since is nowhere any more" } else { "" };
            self.log.push(format!("{id} begins with data that is {} bytes old{gone}", leader.lsn - lsn));
        }
    }

    /// A request arrives at a node whose Patroni runs. `None`: the DCS cannot be read, and the connection ends without a reply.
    pub(crate) fn reinitialize(
        &mut self,
        instance: &str,
        rng: &mut fastrand::Rng,
        now: Timestamp,
    ) -> Option<(u16, &'static str)> {
        if !self.has_quorum() {
            return None;
        }
        match self.leader() {
            None => return Some((503, "Cluster has no leader, can not reinitialize")),
            Some(leader) if leader == instance => return Some((503, "I am the leader, can not reinitialize")),
            Some(_) => {}
        }
        let ends = after(now, self.made.copy.mul_f64(0.5 + rng.f64()));
        let node = self.nodes.get_mut(instance)?;
        match node.postgres {
            Postgres::Copying(_) if node.anew => return Some((503, "reinitialize already in progress")),
            Postgres::Copying(_) => return Some((503, "bootstrap from leader already in progress")),
            Postgres::Starting(_) => return Some((503, "restarting after failure already in progress")),
            Postgres::Down | Postgres::Running | Postgres::Stopping(_) => {}
        }
        node.throw_away();
        node.anew = true;
        node.postgres = Postgres::Copying(ends);
        self.log.push(format!("{instance} throws its data away, and copies the leader"));
        Some((200, "reinitialize started"))
    }
}

impl Node {
    fn throw_away(&mut self) {
        self.place = None;
        self.replayed = 0;
        self.streaming = false;
        self.writable = false;
        self.wal_gone = false;
        self.begun = true;
    }
}
