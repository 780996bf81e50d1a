//! The nodes' lifecycle: its plans, and its safety gate.

mod gate;
mod joining;
mod leaving;
mod quorum;

use super::Mutation;

/// Invariant by invariant, and the edge cases that cost others a database.
pub(super) const PARTS: [&[Mutation]; 4] = [leaving::MUTATIONS, joining::MUTATIONS, quorum::MUTATIONS, gate::MUTATIONS];
