//! What a behaviour of nodes is shown on.

/// The group.
pub(crate) const GROUP: &str = "acme-pg";
/// Its hooks. Nobody's answer is CONTINUE for the first, and ABANDON for the second.
pub(crate) const LAUNCH: &str = "acme-launch";
pub(crate) const TERMINATE: &str = "acme-terminate";
/// The hooks' HeartbeatTimeout, and how long a target drains, in seconds.
pub(crate) const HEARTBEAT: u64 = 300;
pub(crate) const DRAIN: u64 = 60;

/// How an instance's agent behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Agent {
    /// It takes nothing up.
    Never,
    /// There is none.
    Unknown,
}

/// An account with an empty group that retains, which replaces what leaves it, and a target group of instances.
pub(crate) trait NodeStage {
    type AutoScaling: ports::AutoScaling;
    type Instances: ports::Instances;
    type NodeTargets: ports::NodeTargets;
    type Commands: ports::Commands;
    type Volumes: ports::Volumes;

    fn auto_scaling(&self) -> &Self::AutoScaling;
    fn instances(&self) -> &Self::Instances;
    fn node_targets(&self) -> &Self::NodeTargets;
    fn commands(&self) -> &Self::Commands;
    fn volumes(&self) -> &Self::Volumes;

    fn target_group(&self) -> &str;
    /// The group wants one more, and launches it. Gives its id.
    fn launched(&self) -> String;
    /// The group begins to take it out, and wants another.
    fn taken_out(&self, id: &str);
    /// It is ended in EC2.
    fn killed(&self, id: &str);
    /// Whether the group's lifecycle policy retains.
    fn retains(&self, retains: bool);
    fn agent(&self, id: &str, agent: Agent);
    /// The token in the latest event of this instance.
    fn token(&self, id: &str) -> String;
    /// A snapshot that is complete, of 10 GiB. Gives its id.
    fn snapshot(&self) -> String;
    fn seconds_pass(&self, seconds: u64);
}
