//! What must not be once all is quiet.

use super::Hand;
use crate::layout::HOME;
use crate::run::slot;

#[test]
fn s6_a_time_of_the_schedule_rests_with_one() {
    let hand = Hand::new();
    hand.take(1);
    let (set, snapshots) = hand.take(2);
    hand.write(&set, HOME, &snapshots, true, false);
    hand.rest(None);
    hand.broke("S6");
}

#[test]
fn a_time_without_a_restore_point_is_seen() {
    let hand = Hand::new();
    hand.good();
    hand.rest(Some(slot(hand.now())));
    hand.broke("rest");
}

#[test]
fn s1_what_broke_long_ago_does_not_rest_as_good() {
    let hand = Hand::new();
    let (_, snapshots) = hand.good();
    hand.world.happen(|state, now| state.delete_by_hand("", &snapshots[0].id, now));
    hand.wait(600);
    hand.rest(None);
    hand.broke("S1");
}
