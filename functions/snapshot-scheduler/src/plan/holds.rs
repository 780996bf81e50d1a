//! Holds stand on the snapshots too, in a tag, so that a loss of our table loses none; and end by themselves where they say when.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ports::Snapshot;
use runtime::records::{Hold, Phase};

use super::{Draft, View};
use crate::action::Action;
use crate::observed::Observed;
use crate::sets::{self, HOLDS, HOLDS_NONE};

/// How many sets are tagged in one pass.
const AT_ONCE: usize = 10;

/// Tags whose snapshots do not say who holds them, or still do.
pub(super) fn tag(view: &View<'_>, seen: &Observed, draft: &mut Draft) {
    let mut actions = Vec::new();
    let kept = draft.points.iter().filter(|p| matches!(p.phase, Phase::Pending | Phase::Complete | Phase::Broken));
    for point in kept {
        let Some(listed) = seen.snapshots(&point.region) else { continue };
        let wanted = sets::holds_text(&point.holds);
        let says = |s: &Snapshot| s.tags.get(HOLDS).map_or(HOLDS_NONE, String::as_str) == wanted;
        let own = |s: &&Snapshot| {
            let named = point.members.values().any(|member| member.snapshot == s.id);
            // What cannot be tagged would be tried in every pass.
            named && !sets::is_binned(s) && sets::is_ours(view.deployment, view.cluster, &point.set, s)
        };
        let snapshots: Vec<String> = listed.iter().filter(own).filter(|s| !says(s)).map(|s| s.id.clone()).collect();
        if !snapshots.is_empty() && actions.len() < AT_ONCE {
            let (set, region) = (point.set.clone(), point.region.clone());
            actions.push(Action::TagHolds { set, region, snapshots, holds: wanted });
        }
    }
    draft.actions.extend(actions);
}

/// Ends the holds whose time is over: once a good restore point was taken after it, by EC2's clock. Ours may be days ahead, and what
/// it would end could not be undone. Of a deleted cluster none is taken any more.
pub(super) fn end(view: &View<'_>, now: Timestamp, draft: &mut Draft) {
    let home = draft.points.iter().filter(|point| point.good && point.region == view.region);
    let newest = home.map(|point| point.taken_at).max();
    let by = if draft.state.estate.is_some() { Some(now) } else { newest };
    let lasts = |hold: &Hold| hold.until.is_none_or(|until| by.is_none_or(|by| by <= until));
    for point in draft.points.iter_mut().filter(|point| point.phase != Phase::Deleting) {
        let holds: BTreeMap<String, Hold> = std::mem::take(&mut point.holds);
        point.holds = holds.into_iter().filter(|(_, hold)| lasts(hold)).collect();
    }
}
