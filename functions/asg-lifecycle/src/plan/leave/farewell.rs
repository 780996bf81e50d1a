//! The last node's last restore point. It is taken of what a clean stop has left, so nothing that was ever acknowledged is
//! missing from it; the node waits until all of it is stored.

use domain::reason::Reason;
use jiff::{SignedDuration, Timestamp};
use runtime::records::{PointKind, TakeRequest};

use crate::action::Action;
use crate::journal::{Journal, Status, Step};
use crate::observed::Seen;
use crate::plan::digest::Node;
use crate::plan::{Context, Verdict};

/// When a restore point that did not come is asked for once more: the scheduler has given it up by then.
const AGAIN: SignedDuration = SignedDuration::from_mins(30);

/// `None`: it is there, or nobody asks for it.
pub(super) fn farewell(context: &Context<'_>, node: &Node<'_>, journal: &mut Journal, last: bool) -> Option<Verdict> {
    if journal.is_over(Step::FinalRestorePoint) {
        return None;
    }
    let skipped = match (last, context.has_snapshots) {
        (false, _) => Some("other nodes stay"),
        (true, false) => Some("the spec asks for no restore points"),
        (true, true) => None,
    };
    if let Some(why) = skipped {
        journal.end(Step::FinalRestorePoint, Status::Skipped, context.now, why);
        return None;
    }
    let record = journal.steps.get(&Step::FinalRestorePoint);
    let asked = record.and_then(|record| record.evidence.parse::<Timestamp>().ok());
    if let (Some(asked), Seen::Known(points)) = (asked, &context.seen.restore_points)
        && let Some(point) = points.iter().find(|point| point.kind == PointKind::Final && point.slot >= asked)
    {
        journal.end(Step::FinalRestorePoint, Status::Done, context.now, point.set.clone());
        return None;
    }
    let waits = record.is_some_and(|record| context.now.duration_since(record.last_at) < AGAIN);
    if asked.is_none() || !waits {
        // To the second, as its id has it.
        let at = Timestamp::from_second(context.now.as_second()).unwrap_or(context.now);
        journal.begin(Step::FinalRestorePoint, context.now, at.to_string());
        let request = TakeRequest {
            cluster: context.cluster.to_owned(),
            kind: PointKind::Final,
            instance: Some(node.id.to_owned()),
            hold: None,
            by: crate::state::FUNCTION.to_owned(),
            at,
        };
        return Some(Verdict::Act(vec![Action::AskFinalRestorePoint(request)]));
    }
    let message = format!("the last restore point of {} is not whole yet", node.id);
    Some(Verdict::wait(Reason::FinalRestorePointPending, message))
}
