//! The verb `explain_retention`: what a policy would do to any list of times.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Because, Circumstances, Place, Point, plan};
use crate::spec::Problem;
use crate::spec::retention_request;

#[derive(Serialize)]
struct Kept {
    taken_at: String,
    because: Vec<Because>,
}

#[derive(Serialize)]
struct Removed {
    taken_at: String,
}

/// Answers `{"policy": ..., "taken_at": [...], "now": ...}` with `{"keep": [...], "remove": [...], "brakes": [...]}`, each newest
/// first. `clock` is the time where the request gives none. Rules and floors are applied; brakes are only told.
///
/// # Errors
/// Every problem of the request at once.
pub fn explain(request: &Value, clock: Timestamp) -> Result<Value, Vec<Problem>> {
    let request = retention_request::read(request)?;
    let mut about = Circumstances::untroubled(request.now.unwrap_or(clock));
    about.max_age = request.max_age_hours.map(|hours| SignedDuration::from_hours(hours.into()));
    // The text that a time came in is its id here: it comes back as it was.
    let points: Vec<_> = request.taken_at.into_iter().map(|taken| Point::new(taken.text, taken.at)).collect();
    let plan = plan(&points, &request.policy, &request.zone, &Place::Source, &about);
    let (keep, remove): (Vec<_>, Vec<_>) = plan.decisions.into_iter().partition(super::Decision::kept);
    let keep: Vec<_> = keep.into_iter().map(|kept| Kept { taken_at: kept.id, because: kept.because }).collect();
    let remove: Vec<_> = remove.into_iter().map(|gone| Removed { taken_at: gone.id }).collect();
    Ok(json!({ "keep": keep, "remove": remove, "brakes": plan.brakes }))
}
