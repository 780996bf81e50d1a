//! What a put takes, its normal form and its claims.

use domain::spec::{Claim, claims, validate};
use serde_json::{Value, json};

use crate::examples::{full, minimal, target_group, with};

fn normal(spec: &Value) -> Value {
    serde_json::to_value(validate(spec).unwrap_or_else(|problems| panic!("{problems:#?}"))).unwrap()
}

#[test]
fn the_example_of_the_contract_is_taken_and_is_its_own_normal_form() {
    assert_eq!(normal(&full()), full());
}

#[test]
fn every_default_is_filled_in_and_options_stay_away() {
    let expected = json!({
        "schema": 1, "name": "acme-prod", "paused": false, "deletion": "retain",
        "primary": {
            "endpoints": [{
                "name": "postgres", "host": "acme.example.internal", "port": 5432, "role": "writer",
                "target_group_arn": target_group("acme"),
            }],
            "peerings": [{
                "connection_id": "pcx-1", "peer_account": "111122223333", "peer_vpc": "vpc-1",
                "allowed_cidrs": ["10.9.0.0/16"],
            }],
            "route_table_ids": [],
        },
        "nodes": {
            "asg": "acme-pg",
            "hooks": {"launch": "acme-launch", "terminate": "acme-terminate"},
            "patroni": {"scope": "acme", "port": 8008},
            "target_groups": [{"arn": target_group("acme-w"), "role": "writer", "port": 5432}],
            "volumes": {"source": "snapshot", "devices": ["/dev/sdf"]},
            "max_lag_bytes": 1_048_576, "max_lag_seconds": 30, "min_streaming_after_terminate": 1,
            "on_unsafe": "retain", "decommission": false,
        },
        "snapshots": {
            "schedule": "0 */6 * * *", "timezone": "UTC", "spread_minutes": 5, "source": "prefer-replica", "max_age_hours": 13,
            "consistency": "crash",
            "retention": {"last": 3, "hourly": 0, "daily": 0, "weekly": 0, "monthly": 0, "yearly": 0},
            "copies": [],
            "final": {"last": 1, "days": 30},
        },
    });
    assert_eq!(normal(&minimal()), expected);
    assert_eq!(normal(&expected), expected, "a normal form is its own");
    assert_eq!(
        normal(&json!({"name": "ab"})),
        json!({"schema": 1, "name": "ab", "paused": false, "deletion": "retain"})
    );
    let etcd = normal(&with(minimal(), "/nodes/etcd", Some(json!({}))));
    assert_eq!(etcd["nodes"]["etcd"], json!({"endpoints_from": "asg", "port": 2379, "voters": 3}));
}

#[test]
fn two_spellings_of_one_spec_have_one_normal_form() {
    let spellings = [
        ("/primary/endpoints/0/host", json!("ACME.Example.Internal.")),
        ("/primary/route_table_ids", json!([])),
        ("/snapshots/schedule", json!("0  */6 * * *")),
        ("/snapshots/retention", json!({"last": 3, "daily": 0})),
        ("/nodes/volumes", json!({})),
    ];
    for (pointer, value) in spellings {
        assert_eq!(validate(&with(minimal(), pointer, Some(value))), validate(&minimal()), "{pointer}");
    }
    let pinned = |until: &str| {
        validate(&with(minimal(), "/primary/endpoints/0/pin", Some(json!({"address": "10.9.0.5", "until": until}))))
            .unwrap()
    };
    assert_eq!(pinned("2026-12-01T00:00:00Z"), pinned("2026-12-01T02:00:00+02:00"));
}

#[test]
fn every_limit_is_inside() {
    let endpoint = |index: usize| json!({"name": format!("e{index}"), "host": "10.9.0.5", "port": 65535, "target_group_arn": target_group(&format!("e{index}"))});
    let peering = |index: usize| {
        json!({
            "connection_id": format!("pcx-{index}"), "peer_account": "111122223333", "peer_vpc": "vpc-1",
            "allowed_cidrs": (0..50).map(|block| format!("10.{block}.0.0/16")).collect::<Vec<_>>(),
        })
    };
    let spec = json!({
        "name": "a".repeat(40),
        "primary": {
            "endpoints": (0..50).map(endpoint).collect::<Vec<_>>(),
            "peerings": (0..50).map(peering).collect::<Vec<_>>(),
            "route_table_ids": (0..50).map(|index| format!("rtb-{index}")).collect::<Vec<_>>(),
        },
        "nodes": with(
            minimal()["nodes"].clone(),
            "/target_groups",
            Some((0..20).map(|index| json!({"arn": target_group(&format!("n{index}"))})).collect()),
        ),
    });
    let claimed = claims(&validate(&spec).unwrap());
    assert_eq!(claimed.len(), 71, "with the spec, its state and its audit record this fits a transaction of 100 items");
}

#[test]
fn a_spec_claims_each_target_group_and_its_auto_scaling_group_once() {
    let claimed = |spec: &Value| claims(&validate(spec).unwrap());
    let claim = |key: &str, path: &str| Claim { key: key.to_owned(), path: path.to_owned() };
    let group = |name: &str| format!("target-group#{}", target_group(name));
    assert_eq!(
        claimed(&full()),
        [
            claim(&group("acme"), "primary.endpoints[0].target_group_arn"),
            claim("asg#acme-pg", "nodes.asg"),
            claim(&group("acme-w"), "nodes.target_groups[0].arn"),
            claim(&group("acme-r"), "nodes.target_groups[1].arn"),
        ]
    );
    let shared = with(full(), "/nodes/target_groups/0/arn", Some(json!(target_group("acme"))));
    assert_eq!(
        claimed(&shared),
        [
            claim(&group("acme"), "primary.endpoints[0].target_group_arn"),
            claim("asg#acme-pg", "nodes.asg"),
            claim(&group("acme-r"), "nodes.target_groups[1].arn"),
        ],
        "a target group that both sections name is one claim"
    );
    assert_eq!(claimed(&json!({"name": "ab"})), []);
}
