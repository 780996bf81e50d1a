//! What a spec claims: things that one cluster alone may have.

use super::ClusterSpec;

/// One claim. Two clusters with the same key are in conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// `target-group#<arn>` or `asg#<name>`.
    pub key: String,
    /// Where the spec names it first, for the problem that a conflict gives: `primary.endpoints[0].target_group_arn`.
    pub path: String,
}

/// Every claim of a spec, each once: a target group that `primary` and `nodes` both name is one claim. Peerings and route
/// tables may be shared, so they are not claimed. There are fewer than 100, what one DynamoDB transaction holds
/// ([`super::limits`]).
#[must_use]
pub fn claims(spec: &ClusterSpec) -> Vec<Claim> {
    let endpoints = spec.primary.iter().flat_map(|primary| &primary.endpoints).enumerate();
    let of_primary = endpoints.map(|(index, endpoint)| Claim {
        key: format!("target-group#{}", endpoint.target_group_arn),
        path: format!("primary.endpoints[{index}].target_group_arn"),
    });
    let groups = spec.nodes.iter().flat_map(|nodes| &nodes.target_groups).enumerate();
    let of_nodes = groups.map(|(index, group)| Claim {
        key: format!("target-group#{}", group.arn),
        path: format!("nodes.target_groups[{index}].arn"),
    });
    let asg = spec.nodes.iter().map(|nodes| Claim { key: format!("asg#{}", nodes.asg), path: "nodes.asg".to_owned() });

    let mut claims: Vec<Claim> = Vec::new();
    for claim in of_primary.chain(asg).chain(of_nodes) {
        if claims.iter().all(|earlier| earlier.key != claim.key) {
            claims.push(claim);
        }
    }
    claims
}
