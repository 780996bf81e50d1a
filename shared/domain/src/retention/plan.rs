//! A plan: what becomes of every point of a place, what holds it back, and the name by which it is acknowledged.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use super::brakes::{on_age, on_change, on_everything};
use super::{Brake, Circumstances, Decision, Place, Point, Policy, decide, newest_first};

/// What becomes of the good points of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Each good point, newest first.
    pub decisions: Vec<Decision>,
    /// What holds the plan back. With any of them nothing is deleted.
    pub brakes: Vec<Brake>,
    hash: String,
}

impl Plan {
    /// What someone acknowledges who wants exactly these points gone: `plan:` and 12 hexadecimal digits. It changes with the
    /// points that would go, with the policy and with the place, and with nothing else.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The points that the policy does not keep, brakes or not: what is shown.
    pub fn unkept(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter().filter(|decision| !decision.kept())
    }

    /// The points to delete now: none while a brake holds.
    pub fn deletions(&self) -> impl Iterator<Item = &Decision> {
        let braked = !self.brakes.is_empty();
        self.unkept().filter(move |_| !braked)
    }

    pub(super) fn new(decisions: Vec<Decision>, policy: &str, place: &Place) -> Self {
        let hash = hash(&decisions, policy, place);
        Self { decisions, brakes: Vec::new(), hash }
    }
}

/// The plan for one place of a cluster that lives.
#[must_use]
pub fn plan(points: &[Point], policy: &Policy, zone: &TimeZone, place: &Place, about: &Circumstances) -> Plan {
    let mut plan = Plan::new(decide(points, policy, zone, place, about.now), &policy.to_string(), place);
    let removed = plan.unkept().count();
    let points = newest_first(points);
    plan.brakes = on_everything(&points, about);
    plan.brakes.extend(policy.is_empty().then_some(Brake::EmptyPolicy));
    plan.brakes.extend(on_age(&points, about));
    plan.brakes.extend(on_change(removed, points.len(), &plan.hash, about));
    plan
}

fn hash(decisions: &[Decision], policy: &str, place: &Place) -> String {
    let mut ids: Vec<_> = decisions.iter().filter(|decision| !decision.kept()).map(|gone| gone.id.as_str()).collect();
    ids.sort_unstable();
    let mut digest = Sha256::new();
    // A length before each text: two lists must not run together into one.
    for text in [place.to_string().as_str(), policy].iter().chain(&ids) {
        digest.update(text.len().to_be_bytes());
        digest.update(text.as_bytes());
    }
    digest.finalize().iter().take(6).fold("plan:".to_owned(), |mut hash, byte| {
        // Writing into a text does not fail.
        let _ = write!(hash, "{byte:02x}");
        hash
    })
}
