//! What a deleted cluster leaves.

use ports::{Expect, Table as _, Write};
use serde_json::json;

use super::Hand;
use crate::closing::Kept;
use crate::losses::state_key;

const HOUR: u64 = 3600;

impl Hand {
    /// The cluster was deleted a moment ago; its newest restore point is kept for two days.
    fn deleted() -> Self {
        let hand = Self::new();
        hand.document(&state_key().pk, &state_key().sk, &json!({}));
        hand
    }

    fn delete_cluster(&self) {
        let kept = Kept { last: 1, days: 2 };
        self.world.read(|state| self.oracle.read(|oracle| oracle.is_buried(state, self.now(), kept, true)));
        self.wait(600);
    }

    /// It is judged by what is there. `over`: all its days are past.
    fn estate(&self, over: bool) {
        self.world.read(|state| self.oracle.read(|oracle| oracle.estate_at_rest(state, over)));
    }

    fn forget(&self, key: ports::Key) {
        let table = sim::Table::new(&self.client);
        let write = Write::Delete { key, expect: Expect::Any };
        sim::block_on(self.world.time(), table.write(vec![write])).unwrap().unwrap();
    }
}

#[test]
fn what_goes_in_its_time_breaks_nothing() {
    let hand = Hand::deleted();
    let (first, old) = hand.good();
    let (second, new) = hand.good();
    hand.delete_cluster();
    hand.wait(25 * HOUR);
    hand.retire(&first, &old);
    hand.estate(false);
    hand.wait(24 * HOUR);
    hand.retire(&second, &new);
    for set in [first, second] {
        hand.forget(ports::Key::new("restore#acme-prod", format!("{set}#{}", crate::layout::HOME)));
    }
    hand.forget(state_key());
    hand.estate(true);
    assert_eq!(hand.oracle.read(|oracle| oracle.violations.clone()), []);
}

#[test]
fn snapshot_case_23_all_of_it_stays_for_a_day() {
    let hand = Hand::deleted();
    let (set, snapshots) = hand.good();
    hand.good();
    hand.delete_cluster();
    hand.retire(&set, &snapshots);
    hand.broke("final");
}

#[test]
fn snapshot_case_23_the_last_stays_for_its_days() {
    let hand = Hand::deleted();
    hand.good();
    let (set, snapshots) = hand.good();
    hand.delete_cluster();
    hand.wait(25 * HOUR);
    hand.retire(&set, &snapshots);
    hand.broke("final");
}

#[test]
fn snapshot_case_23_nothing_stays_for_ever() {
    let hand = Hand::deleted();
    hand.good();
    hand.good();
    hand.delete_cluster();
    hand.wait(25 * HOUR);
    hand.estate(false);
    hand.broke("final");
    let hand = Hand::deleted();
    hand.good();
    hand.delete_cluster();
    hand.wait(49 * HOUR);
    hand.estate(true);
    hand.broke("final");
    // What failed counts nowhere, and is paid for all the same.
    let hand = Hand::deleted();
    let (_, snapshots) = hand.good();
    hand.world.happen(|state, now| state.snapshot_fails("", &snapshots[0].id, "Internal error", now));
    hand.delete_cluster();
    hand.wait(49 * HOUR);
    hand.estate(true);
    hand.broke("final");
    let hand = Hand::deleted();
    hand.delete_cluster();
    hand.wait(49 * HOUR);
    hand.estate(true);
    hand.broke("final");
}

#[test]
fn whose_state_is_lost_is_left_alone() {
    let hand = Hand::deleted();
    hand.good();
    hand.delete_cluster();
    hand.world.happen(|state, now| state.document_lost(&state_key(), now));
    hand.wait(49 * HOUR);
    hand.estate(true);
    assert_eq!(hand.oracle.read(|oracle| oracle.violations.clone()), []);
}

/// The cluster of the same name that is put anew has all that was left, and needs it.
#[test]
fn s3_of_a_cluster_that_is_put_anew_the_newest_stays() {
    let hand = Hand::deleted();
    let (set, snapshots) = hand.good();
    hand.delete_cluster();
    hand.wait(49 * HOUR);
    hand.oracle.read(|oracle| oracle.is_put_anew(hand.now()));
    hand.wait(600);
    hand.retire(&set, &snapshots);
    let seen = hand.oracle.read(|oracle| oracle.violations.clone());
    assert!(seen.iter().any(|violation| violation.invariant == "S3"), "{seen:?}");
    // By whom it was begun a moment before it may end as it was begun.
    let hand = Hand::deleted();
    let (set, snapshots) = hand.good();
    hand.delete_cluster();
    hand.wait(49 * HOUR);
    hand.oracle.read(|oracle| oracle.is_put_anew(hand.now()));
    hand.wait(20);
    hand.retire(&set, &snapshots);
    assert_eq!(hand.oracle.read(|oracle| oracle.violations.clone()), []);
}
