//! The `primary` section: which customer address is served through which target group, over which peerings.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::choices::choices;
use super::limits::{ALLOWED_CIDRS, ENDPOINTS, PEERINGS, PORT, ROUTE_TABLES};
use super::problem::shortened;
use super::reader::{Fields, Section, choice, integer, list, parsed, section, text};
use super::tls::Tls;
use crate::address::TARGET_RANGES;
use crate::names::{
    AccountId, EndpointName, FunctionName, Host, PeeringId, RouteTableId, SecretId, TargetGroupArn, VpcId,
};

/// What the peering watcher keeps on the load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Primary {
    /// The names that are served, one or more.
    #[schemars(length(min = 1, max = ENDPOINTS))]
    pub endpoints: Vec<Endpoint>,
    /// The peering connections that the addresses are reached over, one or more.
    #[schemars(length(min = 1, max = PEERINGS))]
    pub peerings: Vec<PeeringSpec>,
    /// Our route tables that get a route to each peer block inside `allowed_cidrs`.
    #[schemars(default, length(max = ROUTE_TABLES))]
    pub route_table_ids: Vec<RouteTableId>,
    /// The vpc-gateway that resolves and probes from inside the VPC. Left out: the watcher resolves itself and does not probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_function: Option<FunctionName>,
    /// Secret with `{"username", "password"}` for the probe. Left out: only reachability is probed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_secret: Option<SecretId>,
    /// TLS towards PostgreSQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

impl Section for Primary {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let endpoints =
            fields.required("endpoints", list(1..=ENDPOINTS, &["name", "target_group_arn"], section::<Endpoint>));
        let peerings = fields.required("peerings", list(1..=PEERINGS, &["connection_id"], section::<PeeringSpec>));
        let route_table_ids = fields.or("route_table_ids", Vec::new, list(0..=ROUTE_TABLES, &[""], text));
        let gateway_function = fields.optional("gateway_function", text);
        let credentials_secret = fields.optional("credentials_secret", text);
        let tls = fields.optional("tls", section);
        let (endpoints, peerings) = (endpoints?, peerings?);
        for (index, endpoint) in endpoints.iter().enumerate() {
            let Some(pin) = &endpoint.pin else { continue };
            let admissible =
                peerings.iter().flat_map(|peering| &peering.allowed_cidrs).any(|block| block.contains(&pin.address));
            fields.require(admissible, &format!("endpoints[{index}].pin.address"), || {
                format!("must be inside `allowed_cidrs` of a peering, and {} is in none", pin.address)
            });
        }
        Some(Self {
            endpoints,
            peerings,
            route_table_ids: route_table_ids?,
            gateway_function: gateway_function?,
            credentials_secret: credentials_secret?,
            tls: tls?,
        })
    }
}

/// A name whose addresses are the targets of one target group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Endpoint {
    /// What conditions and notices call it. Unique in the cluster.
    pub name: EndpointName,
    /// The customer's DNS name for the primary, or its address.
    pub host: Host,
    /// The port that PostgreSQL listens on there.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// How many of the host's addresses serve.
    #[schemars(default)]
    pub role: Role,
    /// The target group of type `ip` that the addresses are registered in. One endpoint has it.
    pub target_group_arn: TargetGroupArn,
    /// An operator's word that this address serves, whatever DNS says, until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
}

impl Section for Endpoint {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let name = fields.required("name", text);
        let host = fields.required("host", text);
        let port = fields.required("port", integer(PORT));
        let role = fields.or("role", Role::default, choice);
        let target_group_arn = fields.required("target_group_arn", text);
        let pin = fields.optional("pin", section);
        Some(Self {
            name: name?,
            host: host?,
            port: port?,
            role: role?,
            target_group_arn: target_group_arn?,
            pin: pin?,
        })
    }
}

choices! {
    /// How many of an endpoint's addresses serve.
    Role {
        /// Exactly one address serves, the one that takes writes.
        Writer = "writer",
        /// Every address serves.
        Any = "any",
    }
}

/// An address that an operator has set by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Pin {
    /// The address; admitted like any other before it is registered.
    pub address: Ipv4Addr,
    /// When DNS counts again, such as `2026-12-01T00:00:00Z`.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub until: Timestamp,
}

impl Section for Pin {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let address = fields.required(
            "address",
            parsed(|text| {
                text.parse()
                    .map_err(|_| format!("must be an IPv4 address such as `10.9.0.5`, not `{}`", shortened(text)))
            }),
        );
        let until = fields.required(
            "until",
            parsed(|text| {
                text.parse()
                    .map_err(|_| format!("must be a time such as `2026-12-01T00:00:00Z`, not `{}`", shortened(text)))
            }),
        );
        Some(Self { address: address?, until: until? })
    }
}

/// A peering connection and what of the peer may be reached over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PeeringSpec {
    /// The peering connection's id. Unique in the cluster; clusters may share one.
    pub connection_id: PeeringId,
    /// The account that the peer VPC must belong to.
    pub peer_account: AccountId,
    /// The VPC that must be on the other side.
    pub peer_vpc: VpcId,
    /// The IPv4 blocks in which the peer's addresses may be, one or more, private and without host bits.
    #[schemars(length(min = 1, max = ALLOWED_CIDRS), with = "Vec<BlockSchema>")]
    pub allowed_cidrs: Vec<Ipv4Net>,
}

impl Section for PeeringSpec {
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let connection_id = fields.required("connection_id", text);
        let peer_account = fields.required("peer_account", text);
        let peer_vpc = fields.required("peer_vpc", text);
        let allowed_cidrs = fields.required("allowed_cidrs", list(1..=ALLOWED_CIDRS, &[""], parsed(allowed_block)));
        Some(Self {
            connection_id: connection_id?,
            peer_account: peer_account?,
            peer_vpc: peer_vpc?,
            allowed_cidrs: allowed_cidrs?,
        })
    }
}

/// An allowed block is private and is written as the network that it is: `10.9.0.5/16` may be meant as one address.
fn allowed_block(text: &str) -> Result<Ipv4Net, String> {
    if text.parse::<ipnet::Ipv6Net>().is_ok() {
        return Err(format!(
            "must be an IPv4 block such as `10.9.0.0/16`: `{}` is IPv6, which targets cannot have",
            shortened(text)
        ));
    }
    let block: Ipv4Net =
        text.parse().map_err(|_| format!("must be an IPv4 block such as `10.9.0.0/16`, not `{}`", shortened(text)))?;
    if block != block.trunc() {
        return Err(format!("has host bits set: write `{}`", block.trunc()));
    }
    if !TARGET_RANGES.iter().any(|range| range.contains(&block)) {
        let ranges = TARGET_RANGES.map(|range| range.to_string()).join(", ");
        return Err(format!(
            "must lie inside one of {ranges}, where a load balancer takes targets; `{block}` does not"
        ));
    }
    Ok(block)
}

/// How an IPv4 block looks in the JSON Schema.
struct BlockSchema;

impl JsonSchema for BlockSchema {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Ipv4Block".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}$" })
    }
}
