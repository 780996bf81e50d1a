//! Restore points: how they are taken, kept, copied and deleted, and the safety gate.

mod copied;
mod frozen;
mod gate;
mod gone;
mod held;
mod kept;
mod ours;
mod slots;
mod turns;
mod whole;

use super::Mutation;

/// Invariant by invariant, and the edge cases that cost others their last backup.
pub(super) const PARTS: [&[Mutation]; 10] = [
    whole::MUTATIONS,
    frozen::MUTATIONS,
    slots::MUTATIONS,
    turns::MUTATIONS,
    kept::MUTATIONS,
    gone::MUTATIONS,
    held::MUTATIONS,
    copied::MUTATIONS,
    ours::MUTATIONS,
    gate::MUTATIONS,
];
