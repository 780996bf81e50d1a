//! What becomes of a deleted cluster's restore points: `final` in its spec.

use jiff::{SignedDuration, Timestamp};

use super::brakes::on_everything;
use super::{Because, Circumstances, Decision, Place, Plan, Point, decisions, floors, newest_first};
use crate::spec::snapshots::FinalRetention;

/// So long after the deletion nothing goes: a cluster that was deleted by mistake is put again.
const GRACE: SignedDuration = SignedDuration::from_hours(24);

/// The plan for one place of a cluster that was deleted at `deleted_at`: for a day all stay; then the newest `last` (one at
/// least) until its `days` are over; then none but those that are held, in use or still being copied.
///
/// No new points come, so neither their age nor the share that goes is a brake; the listing and the clocks are.
#[must_use]
pub fn plan_final(
    points: &[Point],
    r#final: &FinalRetention,
    deleted_at: Timestamp,
    place: &Place,
    about: &Circumstances,
) -> Plan {
    let sorted = newest_first(points);
    let decisions = decide_final(&sorted, r#final, deleted_at, place, about.now);
    let mut plan = Plan::new(decisions, &format!("final last {} days {}", r#final.last, r#final.days), place);
    plan.brakes = on_everything(&sorted, about);
    plan
}

fn decide_final(
    points: &[&Point],
    r#final: &FinalRetention,
    deleted_at: Timestamp,
    place: &Place,
    now: Timestamp,
) -> Vec<Decision> {
    let passed = now.duration_since(deleted_at);
    let over = passed >= SignedDuration::from_hours(24 * i64::from(r#final.days));
    let grace = (passed < GRACE).then_some(Because::FloorJustDeleted);
    let mut room = if over { 0 } else { r#final.last.max(1) };
    let floors = if over {
        points.iter().map(|point| floors::guards(point, now)).collect()
    } else {
        floors::reasons(points, place, now)
    };
    let reasons = points.iter().zip(floors).map(|(point, floors)| {
        let kept = point.at <= now && room > 0;
        room -= u32::from(kept);
        floors.into_iter().chain(kept.then_some(Because::Final)).chain(grace)
    });
    decisions(points, reasons)
}
