//! The cluster registry: takes in, validates and stores cluster specs, shows what every function knows of a cluster, and
//! takes an operator's word.
//!
//! It changes nothing but Pilothouse's own table. What a put or a deletion means for routes and targets is carried out
//! by the functions that made them; the record says what is still theirs to do (`releasing`, `tombstone.awaiting`).

pub mod acknowledge;
pub mod custom_resource;
pub mod deletion;
pub mod handler;
pub mod listing;
pub mod nearest;
pub mod ownership;
pub mod pause;
pub mod put;
pub mod refusal;
pub mod request;
pub mod status;
pub mod table_text;

use jiff::Timestamp;

/// The function's name, in audit entries and logs.
pub const FUNCTION: &str = "cluster-registry";

/// Functions that keep a state of each cluster and have something to take down when it goes.
pub const STATEFUL_FUNCTIONS: [&str; 3] = [LIFECYCLE, WATCHER, SNAPSHOTS];

/// Looks after `nodes`.
pub(crate) const LIFECYCLE: &str = "asg-lifecycle";
/// Looks after `primary`.
pub(crate) const WATCHER: &str = "peering-watcher";
/// Looks after `snapshots`.
pub(crate) const SNAPSHOTS: &str = "snapshot-scheduler";

/// Everything that the registry needs of the world.
pub trait Ports: Sync {
    /// Our table.
    type Table: ports::Table;
    /// CloudFormation's answer box.
    type ResponseUrl: ports::ResponseUrl;
    /// Time.
    type Clock: ports::Clock;

    /// Our table.
    fn table(&self) -> &Self::Table;
    /// CloudFormation's answer box.
    fn response_url(&self) -> &Self::ResponseUrl;
    /// Time.
    fn clock(&self) -> &Self::Clock;
}

/// When and by which invocation a request is carried out. Fixed at its start, so that a step that is repeated writes the
/// very same items again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time that is written into the table.
    pub now: Timestamp,
    /// Keeps the audit entries of two invocations of one moment apart.
    pub nonce: u32,
}

impl Moment {
    /// The moment of an invocation. The nonce follows from the invocation's id (FNV-1a), so that a repeated write of its
    /// audit entry lands on the first.
    #[must_use]
    pub fn of(now: Timestamp, request_id: &str) -> Self {
        let nonce =
            request_id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        Self { now, nonce }
    }
}
