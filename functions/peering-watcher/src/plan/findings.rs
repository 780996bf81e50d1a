//! One finding for each condition of a cluster, out of those of its endpoints.

use std::collections::BTreeMap;

use domain::condition::{ConditionKind, Finding, Status};

/// Collects findings; where several speak of one condition, the worst is kept, the first of equals.
#[derive(Debug, Default)]
pub struct Findings(BTreeMap<ConditionKind, Finding>);

impl Findings {
    /// One more finding.
    pub fn note(&mut self, kind: ConditionKind, finding: Finding) {
        match self.0.get_mut(&kind) {
            Some(known) if known.status == Status::worse(known.status, finding.status) => {}
            Some(known) => *known = finding,
            None => {
                self.0.insert(kind, finding);
            }
        }
    }

    /// More findings.
    pub fn extend(&mut self, findings: impl IntoIterator<Item = (ConditionKind, Finding)>) {
        for (kind, finding) in findings {
            self.note(kind, finding);
        }
    }

    /// Replaces what was found.
    pub fn overrule(&mut self, kind: ConditionKind, finding: Finding) {
        self.0.insert(kind, finding);
    }

    /// What was found.
    #[must_use]
    pub fn into_map(self) -> BTreeMap<ConditionKind, Finding> {
        self.0
    }
}
