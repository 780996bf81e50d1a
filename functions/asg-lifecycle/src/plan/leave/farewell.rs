//! The last node's last restore point. It is taken of what a clean stop has left, so nothing that was ever acknowledged is
//! missing from it; the node waits until all of it is stored.

use domain::reason::Reason;
use jiff::{SignedDuration, Timestamp};
use runtime::records::{PointKind, TakeRequest};

use crate::action::Action;
use crate::journal::{Journal, Status, Step};
use crate::observed::Seen;
use crate::plan::digest::{Node, Up};
use crate::plan::{Context, Verdict};

/// When a restore point that did not come is asked for once more: the scheduler has given it up by then.
const AGAIN: SignedDuration = SignedDuration::from_hours(3);

/// `None`: it is there, or nobody asks for it.
pub(super) fn farewell(context: &Context<'_>, node: &Node<'_>, journal: &mut Journal, last: bool) -> Option<Verdict> {
    if journal.is_over(Step::FinalRestorePoint) {
        return None;
    }
    let skipped = match (last, context.has_snapshots, node.up) {
        (false, _, _) => Some("other nodes stay"),
        (true, false, _) => Some("the spec asks for no restore points"),
        (true, true, Up::Stopped) => Some("its machine is shut down: nobody there can say where the data lies"),
        (true, true, _) => None,
    };
    if let Some(why) = skipped {
        journal.end(Step::FinalRestorePoint, Status::Skipped, context.now, why);
        return None;
    }
    let record = journal.steps.get(&Step::FinalRestorePoint);
    // PostgreSQL has been down since it was first asked for: whichever came of it will do.
    let asked = record.map(|record| second(record.first_at));
    if let (Some(asked), Seen::Known(points)) = (asked, &context.seen.restore_points)
        && let Some(point) = points.iter().find(|point| point.kind == PointKind::Final && point.slot >= asked)
    {
        journal.end(Step::FinalRestorePoint, Status::Done, context.now, point.set.clone());
        return None;
    }
    let waits = record.is_some_and(|record| context.now.duration_since(record.last_at) < AGAIN);
    if asked.is_none() || !waits {
        let at = second(context.now);
        journal.begin(Step::FinalRestorePoint, context.now, at.to_string());
        let request = TakeRequest {
            cluster: context.cluster.to_owned(),
            kind: PointKind::Final,
            instance: Some(node.id.to_owned()),
            hold: None,
            until: None,
            by: crate::state::FUNCTION.to_owned(),
            at,
        };
        return Some(Verdict::Act(vec![Action::AskFinalRestorePoint(request)]));
    }
    let message = format!("the last restore point of {} is not whole yet", node.id);
    Some(Verdict::wait(Reason::FinalRestorePointPending, message))
}

/// To the second, as its id has it.
fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
