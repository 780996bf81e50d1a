//! Records that are lost, and clocks that are wrong.

use jiff::SignedDuration;
use ports::Key;
use serde_json::json;

use super::Hand;
use crate::layout::HOME;

impl Hand {
    fn lose(&self, set: &str) {
        let key = Key::new("restore#acme-prod", format!("{set}#{HOME}"));
        self.world.happen(|state, now| state.document_lost(&key, now));
        self.wait(1);
    }

    fn nothing_is_broken(&self) {
        assert_eq!(self.oracle.read(|oracle| oracle.violations.clone()), []);
    }
}

#[test]
fn snapshot_case_28_a_set_that_no_record_tells_of_is_seen() {
    let hand = Hand::new();
    let (set, snapshots) = hand.good();
    hand.rest(None);
    hand.nothing_is_broken();
    hand.lose(&set);
    hand.world.happen(|state, now| state.delete_by_hand("", &snapshots[0].id, now));
    hand.rest(None);
    hand.broke("books");
}

#[test]
fn s1_a_lost_record_that_comes_back_good_is_judged_anew() {
    let hand = Hand::new();
    let (set, snapshots) = hand.good();
    hand.lose(&set);
    hand.world.happen(|state, now| state.archive_by_hand("", &snapshots[0].id, now));
    hand.wait(600);
    hand.write(&set, HOME, &snapshots, true, false);
    hand.broke("S1");
}

/// Who holds what is on record alone.
#[test]
fn s3_a_hold_ends_with_its_record_and_no_other_does() {
    let two = || {
        let hand = Hand::new();
        let (set, snapshots) = hand.good();
        hand.write(&set, HOME, &snapshots, true, true);
        let (other, _) = hand.good();
        (hand, set, snapshots, other)
    };
    let (hand, set, snapshots, _) = two();
    hand.lose(&set);
    hand.retire(&set, &snapshots);
    hand.nothing_is_broken();
    let (hand, set, snapshots, other) = two();
    hand.lose(&other);
    hand.list();
    hand.mark(&snapshots);
    hand.broke("S3");
    assert!(!set.is_empty());
}

#[test]
fn s6_a_set_whose_record_was_never_written_is_seen_whatever_was_lost() {
    let hand = Hand::new();
    let (set, _) = hand.good();
    hand.lose(&set);
    hand.create(&hand.name(2));
    hand.broke("S6");
}

#[test]
fn a_lock_counts_by_the_clock_of_who_holds_it() {
    let two_hours = SignedDuration::from_hours(2);
    let holds_until = |by: SignedDuration| {
        let hand = Hand::new();
        let until = (hand.now() + by).to_string();
        hand.document("lock#acme-prod", "lock", &json!({"owner": "keeper-1#1", "until": until}));
        hand
    };
    let hand = holds_until(-two_hours);
    hand.world.happen(|state, _| state.set_clock("keeper-1", -two_hours * 2));
    hand.take(1);
    hand.nothing_is_broken();
    let hand = holds_until(-two_hours);
    hand.world.happen(|state, _| state.set_clock("keeper-1", two_hours * 2));
    hand.take(1);
    hand.broke("lock");
}

/// A clock that was ahead took it for a time that had not come.
#[test]
fn s3_what_was_taken_before_its_time_is_not_the_newest() {
    let hand = Hand::new();
    hand.ahead.set(SignedDuration::from_hours(12));
    hand.good();
    hand.ahead.set(SignedDuration::ZERO);
    let (set, snapshots) = hand.good();
    hand.retire(&set, &snapshots);
    hand.broke("S3");
}

#[test]
fn a_time_whose_restore_point_was_taken_before_it_is_seen() {
    let hand = Hand::new();
    hand.ahead.set(SignedDuration::from_hours(6));
    let (_, snapshots) = hand.good();
    assert!(!snapshots.is_empty());
    let due = hand.now();
    hand.ahead.set(SignedDuration::ZERO);
    hand.rest(Some(crate::run::slot(due)));
    hand.broke("rest");
}
