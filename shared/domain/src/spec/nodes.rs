//! The `nodes` section: the Auto Scaling group of database nodes and how its nodes join and leave.

use schemars::JsonSchema;
use serde::Serialize;

use super::choices::choices;
use super::limits::{DEVICES, NODE_TARGET_GROUPS, PORT};
use super::reader::{Fields, Section, boolean, choice, integer, list, section, text};
use super::tls::Tls;
use crate::names::{AsgName, DeviceName, FunctionName, HookName, PatroniScope, SecretId, TargetGroupArn};

/// What the lifecycle function looks after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Nodes {
    /// The Auto Scaling group.
    pub asg: AsgName,
    /// Its lifecycle hooks.
    pub hooks: Hooks,
    /// The vpc-gateway that asks Patroni and etcd from inside the VPC. Left out: the function asks them itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_function: Option<FunctionName>,
    /// Patroni on the nodes.
    pub patroni: Patroni,
    /// etcd on the nodes. Left out: the DCS is elsewhere and not ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etcd: Option<Etcd>,
    /// The target groups that the nodes serve in.
    #[schemars(length(min = 1, max = NODE_TARGET_GROUPS))]
    pub target_groups: Vec<NodeTargetGroup>,
    /// Where a new node's data comes from.
    #[schemars(default)]
    pub volumes: Volumes,
    /// A node joins when its replay is behind by this many bytes at most, or within `max_lag_seconds`.
    #[schemars(default = "defaults::lag_bytes", range(max = 1_099_511_627_776_u64))]
    pub max_lag_bytes: u64,
    /// A node joins when its replay is behind by this many seconds at most, or within `max_lag_bytes`.
    #[schemars(default = "defaults::lag_seconds", range(max = 86_400))]
    pub max_lag_seconds: u32,
    /// How many standbys must be streaming after a node has gone.
    #[schemars(default = "defaults::min_streaming", range(max = 50))]
    pub min_streaming_after_terminate: u16,
    /// What is done with a node whose end would be unsafe.
    #[schemars(default)]
    pub on_unsafe: OnUnsafe,
    /// `true`: the last node may go, after a clean stop and a final restore point.
    #[schemars(default)]
    pub decommission: bool,
}

impl Section for Nodes {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let asg = fields.required("asg", text);
        let hooks = fields.required("hooks", section);
        let gateway_function = fields.optional("gateway_function", text);
        let patroni = fields.required("patroni", section);
        let etcd = fields.optional("etcd", section);
        let target_groups = fields.required("target_groups", list(1..=NODE_TARGET_GROUPS, &["arn"], section));
        let volumes = fields.or("volumes", Volumes::default, section);
        let max_lag_bytes = fields.or("max_lag_bytes", defaults::lag_bytes, integer(0..=1_099_511_627_776));
        let max_lag_seconds = fields.or("max_lag_seconds", defaults::lag_seconds, integer(0..=86_400));
        let min_streaming = fields.or("min_streaming_after_terminate", defaults::min_streaming, integer(0..=50));
        let on_unsafe = fields.or("on_unsafe", OnUnsafe::default, choice);
        let decommission = fields.or("decommission", bool::default, boolean);
        Some(Self {
            asg: asg?,
            hooks: hooks?,
            gateway_function: gateway_function?,
            patroni: patroni?,
            etcd: etcd?,
            target_groups: target_groups?,
            volumes: volumes?,
            max_lag_bytes: max_lag_bytes?,
            max_lag_seconds: max_lag_seconds?,
            min_streaming_after_terminate: min_streaming?,
            on_unsafe: on_unsafe?,
            decommission: decommission?,
        })
    }
}

/// The two lifecycle hooks that are answered; no other is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Hooks {
    /// The hook on `autoscaling:EC2_INSTANCE_LAUNCHING`.
    pub launch: HookName,
    /// The hook on `autoscaling:EC2_INSTANCE_TERMINATING`.
    pub terminate: HookName,
}

impl Section for Hooks {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let launch = fields.required("launch", text);
        let terminate = fields.required("terminate", text);
        let (launch, terminate): (HookName, HookName) = (launch?, terminate?);
        fields.require(launch != terminate, "terminate", || "must be another hook than `launch`".to_owned());
        Some(Self { launch, terminate })
    }
}

/// Patroni's REST API on every node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Patroni {
    /// Patroni's `scope`, the cluster's name in its DCS.
    pub scope: PatroniScope,
    /// The REST API's port.
    #[schemars(default = "defaults::patroni_port", range(min = 1, max = 65535))]
    pub port: u16,
    /// TLS towards the REST API. Left out: plain HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Secret with `{"username", "password"}` for the REST API's unsafe requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_secret: Option<SecretId>,
}

impl Section for Patroni {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let scope = fields.required("scope", text);
        let port = fields.or("port", defaults::patroni_port, integer(PORT));
        let tls = fields.optional("tls", section);
        let credentials_secret = fields.optional("credentials_secret", text);
        Some(Self { scope: scope?, port: port?, tls: tls?, credentials_secret: credentials_secret? })
    }
}

/// etcd's client API on the nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Etcd {
    /// Where the members' addresses come from.
    #[schemars(default)]
    pub endpoints_from: EtcdEndpoints,
    /// The client port.
    #[schemars(default = "defaults::etcd_port", range(min = 1, max = 65535))]
    pub port: u16,
    /// The port on which members reach each other. Left out: 2380, etcd's own default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub peer_port: Option<u16>,
    /// How many voting members there are: 1, 3, 5 or 7.
    #[schemars(default = "defaults::voters", range(min = 1, max = 7), extend("enum" = [1, 3, 5, 7]))]
    pub voters: u8,
    /// TLS towards etcd. Left out: plain HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Secret with `{"username", "password"}` for etcd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_secret: Option<SecretId>,
}

impl Etcd {
    /// Where a member at `address` is reached by the others: `https://10.0.1.10:2380`.
    #[must_use]
    pub fn peer_url(&self, address: std::net::Ipv4Addr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{address}:{}", self.peer_port.unwrap_or(defaults::PEER_PORT))
    }
}

impl Section for Etcd {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let endpoints_from = fields.or("endpoints_from", EtcdEndpoints::default, choice);
        let port = fields.or("port", defaults::etcd_port, integer(PORT));
        let peer_port = fields.optional("peer_port", integer(PORT));
        let voters = fields.or("voters", defaults::voters, integer(1..=7));
        if let Some(voters) = voters {
            // An even number of voters bears no more failures than one fewer, and needs more of them for a quorum.
            fields.require(voters % 2 == 1, "voters", || format!("must be 1, 3, 5 or 7, not {voters}"));
        }
        let tls = fields.optional("tls", section);
        let credentials_secret = fields.optional("credentials_secret", text);
        Some(Self {
            endpoints_from: endpoints_from?,
            port: port?,
            peer_port: peer_port?,
            voters: voters?,
            tls: tls?,
            credentials_secret: credentials_secret?,
        })
    }
}

choices! {
    /// Where etcd's members are.
    EtcdEndpoints {
        /// On the Auto Scaling group's nodes.
        Asg = "asg",
    }
}

/// A target group that nodes serve in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct NodeTargetGroup {
    /// The target group.
    pub arn: TargetGroupArn,
    /// Which nodes serve in it.
    #[schemars(default)]
    pub role: NodeRole,
    /// The port that they serve on.
    #[schemars(default = "defaults::postgres_port", range(min = 1, max = 65535))]
    pub port: u16,
}

impl Section for NodeTargetGroup {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let arn = fields.required("arn", text);
        let role = fields.or("role", NodeRole::default, choice);
        let port = fields.or("port", defaults::postgres_port, integer(PORT));
        Some(Self { arn: arn?, role: role?, port: port? })
    }
}

choices! {
    /// Which nodes serve in a target group.
    NodeRole {
        /// The leader.
        Writer = "writer",
        /// The standbys.
        Reader = "reader",
    }
}

/// The data volumes of a new node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Volumes {
    /// What the volumes are made from.
    #[schemars(default)]
    pub source: VolumeSource,
    /// The devices that hold the cluster's data, all of them.
    #[schemars(default = "defaults::devices", length(min = 1, max = DEVICES))]
    pub devices: Vec<DeviceName>,
}

impl Default for Volumes {
    fn default() -> Self {
        Self { source: VolumeSource::default(), devices: defaults::devices() }
    }
}

impl Section for Volumes {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let source = fields.or("source", VolumeSource::default, choice);
        let devices = fields.or("devices", defaults::devices, list(1..=DEVICES, &[""], text));
        Some(Self { source: source?, devices: devices? })
    }
}

choices! {
    /// What a new node's data volumes are made from.
    VolumeSource {
        /// The newest good restore point.
        Snapshot = "snapshot",
        /// Nothing: the node copies from the leader.
        None = "none",
    }
}

choices! {
    /// What is done with a node whose end would be unsafe.
    OnUnsafe {
        /// The instance is retained outside the group until its end is safe.
        Retain = "retain",
        /// It is held in its lifecycle hook.
        Hold = "hold",
    }
}

mod defaults {
    use crate::names::DeviceName;

    pub(super) const PEER_PORT: u16 = 2380;

    pub(super) fn lag_bytes() -> u64 {
        1_048_576
    }
    pub(super) fn lag_seconds() -> u32 {
        30
    }
    pub(super) fn min_streaming() -> u16 {
        1
    }
    pub(super) fn patroni_port() -> u16 {
        8008
    }
    pub(super) fn etcd_port() -> u16 {
        2379
    }
    pub(super) fn voters() -> u8 {
        3
    }
    pub(super) fn postgres_port() -> u16 {
        5432
    }
    pub(super) fn devices() -> Vec<DeviceName> {
        DeviceName::try_from("/dev/sdf").into_iter().collect()
    }
}
