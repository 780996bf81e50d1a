//! Write-ahead logs that branch: which acknowledged writes a server's history holds.
//!
//! A promotion begins a new timeline where the promoted server's log ended (PostgreSQL manual, "Timelines"); what the old
//! leader wrote beyond that is on no other server's history.

/// A place in the log: a branch, and how far on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The branch.
    pub branch: usize,
    /// The log sequence number: bytes.
    pub lsn: u64,
}

/// Acknowledged writes: the bytes from `from` (excluded) to `to` (included) of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The branch.
    pub branch: usize,
    /// Where it begins.
    pub from: u64,
    /// Where it ends.
    pub to: u64,
}

impl Stretch {
    /// How long it is.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.to.saturating_sub(self.from)
    }
}

#[derive(Debug, Clone)]
struct Branch {
    /// The branch that this one left, and where.
    parent: Option<(usize, u64)>,
    timeline: u32,
}

/// The branches of one cluster's log, and what was acknowledged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wal {
    branches: Vec<Branch>,
    acknowledged: Vec<Stretch>,
    lost: Vec<Stretch>,
}

impl Wal {
    /// The log of a new cluster.
    pub(crate) fn begin(&mut self) -> Position {
        self.branches.push(Branch { parent: None, timeline: 1 });
        Position { branch: self.branches.len() - 1, lsn: 16 << 20 }
    }

    /// A server is promoted here. What was acknowledged and is not on its history is lost from now on.
    pub(crate) fn fork(&mut self, at: Position) -> (Position, u64) {
        let missing = self.missing(at);
        let bytes = missing.iter().map(Stretch::bytes).sum();
        for stretch in &mut self.acknowledged {
            if let Some(gone) = missing.iter().find(|m| m.branch == stretch.branch && m.to == stretch.to) {
                stretch.to = gone.from;
            }
        }
        self.acknowledged.retain(|stretch| stretch.bytes() > 0);
        self.lost.extend(missing);
        let timeline = self.timeline(at.branch) + 1;
        self.branches.push(Branch { parent: Some((at.branch, at.lsn)), timeline });
        (Position { branch: self.branches.len() - 1, lsn: at.lsn }, bytes)
    }

    /// A branch's timeline.
    pub(crate) fn timeline(&self, branch: usize) -> u32 {
        self.branches.get(branch).map_or(0, |b| b.timeline)
    }

    /// Where a branch begins.
    pub(crate) fn start(&self, branch: usize) -> u64 {
        self.branches.get(branch).and_then(|b| b.parent).map_or(16 << 20, |(_, fork)| fork)
    }

    /// How far a history that ends at `end` follows `branch`; `None`: not at all.
    pub(crate) fn reach(&self, end: Position, branch: usize) -> Option<u64> {
        let mut place = end;
        loop {
            if place.branch == branch {
                return Some(place.lsn);
            }
            let (parent, fork) = self.branches.get(place.branch)?.parent?;
            place = Position { branch: parent, lsn: fork.min(place.lsn) };
        }
    }

    /// Where two histories part, as a place on the second's branch; `None`: they have nothing in common.
    pub(crate) fn common(&self, one: Position, other: Position) -> Option<Position> {
        let mut place = one;
        loop {
            if let Some(reach) = self.reach(other, place.branch) {
                return Some(Position { branch: other.branch, lsn: reach.min(place.lsn) });
            }
            let (parent, fork) = self.branches.get(place.branch)?.parent?;
            place = Position { branch: parent, lsn: fork.min(place.lsn) };
        }
    }

    /// Whether a server at `place` can follow one at `leader` as it is.
    pub(crate) fn follows(&self, place: Position, leader: Position) -> bool {
        self.reach(leader, place.branch).is_some_and(|reach| place.lsn <= reach)
    }

    /// Writes up to `to` are acknowledged, from `from` on.
    pub(crate) fn acknowledge(&mut self, branch: usize, from: u64, to: u64) {
        match self.acknowledged.last_mut() {
            Some(last) if last.branch == branch && last.to >= from => last.to = last.to.max(to),
            _ if to > from => self.acknowledged.push(Stretch { branch, from, to }),
            _ => {}
        }
    }

    /// Up to where a branch's writes are acknowledged.
    pub(crate) fn acknowledged_to(&self, branch: usize) -> Option<u64> {
        self.acknowledged.iter().rev().find(|s| s.branch == branch).map(|s| s.to)
    }

    /// What is acknowledged and not on the history that ends here, what is lost already left out.
    pub(crate) fn missing(&self, end: Position) -> Vec<Stretch> {
        let beyond = self.acknowledged.iter().filter_map(|stretch| {
            let reach = self.reach(end, stretch.branch).unwrap_or(0);
            let from = stretch.from.max(reach);
            (stretch.to > from).then_some(Stretch { from, ..*stretch })
        });
        beyond.collect()
    }

    /// Acknowledged bytes in all.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.iter().chain(&self.lost).map(Stretch::bytes).sum()
    }

    /// What promotions left behind.
    pub(crate) fn lost(&self) -> &[Stretch] {
        &self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_promotion_leaves_behind_is_lost_once() {
        let mut wal = Wal::default();
        let start = wal.begin();
        wal.acknowledge(start.branch, start.lsn, start.lsn + 100);
        wal.acknowledge(start.branch, start.lsn + 100, start.lsn + 300);
        let behind = Position { lsn: start.lsn + 250, ..start };
        assert_eq!(wal.missing(behind).iter().map(Stretch::bytes).sum::<u64>(), 50);
        let (forked, lost) = wal.fork(behind);
        assert_eq!((lost, wal.lost().len()), (50, 1));
        assert_eq!(wal.missing(forked), []);
        assert_eq!(wal.timeline(forked.branch), 2);
        let old_leader = Position { lsn: start.lsn + 300, ..start };
        assert!(!wal.follows(old_leader, forked), "it has diverged");
        assert!(wal.follows(behind, forked));
        assert_eq!(wal.common(old_leader, forked), Some(Position { lsn: start.lsn + 250, ..forked }));
        assert_eq!(wal.acknowledged(), 300);
    }
}
