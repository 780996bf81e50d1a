//! Whole specs that the tests start from.

use serde_json::{Value, json};

/// A target group of that name.
pub(crate) fn target_group(name: &str) -> String {
    format!("arn:aws:elasticloadbalancing:us-east-1:444455556666:targetgroup/{name}/0123456789abcdef")
}

fn secret(name: &str) -> String {
    format!("arn:aws:secretsmanager:us-east-1:444455556666:secret:{name}-AbCdEf")
}

/// Every section with what is required and nothing else.
pub(crate) fn minimal() -> Value {
    json!({
        "name": "acme-prod",
        "primary": {
            "endpoints": [{
                "name": "postgres", "host": "acme.example.internal", "port": 5432,
                "target_group_arn": target_group("acme"),
            }],
            "peerings": [{
                "connection_id": "pcx-1", "peer_account": "111122223333", "peer_vpc": "vpc-1",
                "allowed_cidrs": ["10.9.0.0/16"],
            }],
        },
        "nodes": {
            "asg": "acme-pg",
            "hooks": {"launch": "acme-launch", "terminate": "acme-terminate"},
            "patroni": {"scope": "acme"},
            "target_groups": [{"arn": target_group("acme-w")}],
        },
        "snapshots": {"schedule": "0 */6 * * *", "retention": {"last": 3}},
    })
}

/// The example of the contract, every field given.
pub(crate) fn full() -> Value {
    let tls = json!({
        "ca_secret": secret("ca"), "cert_secret": secret("cert"), "key_secret": secret("key"),
        "server_name": "acme.example.internal",
    });
    json!({
        "schema": 1, "name": "acme-prod", "paused": false, "deletion": "retain",
        "primary": {
            "endpoints": [{
                "name": "postgres", "host": "acme.example.internal", "port": 5432, "role": "writer",
                "target_group_arn": target_group("acme"),
                "pin": {"address": "10.9.0.5", "until": "2026-12-01T00:00:00Z"},
            }],
            "peerings": [{
                "connection_id": "pcx-1", "peer_account": "111122223333", "peer_vpc": "vpc-1",
                "allowed_cidrs": ["10.9.0.0/16"],
            }],
            "route_table_ids": ["rtb-1"],
            "gateway_function": "acme-transit",
            "credentials_secret": secret("pg"),
            "tls": tls,
        },
        "nodes": {
            "asg": "acme-pg",
            "hooks": {"launch": "acme-launch", "terminate": "acme-terminate"},
            "gateway_function": "acme-gateway",
            "patroni": {"scope": "acme", "port": 8008, "tls": tls, "credentials_secret": secret("patroni")},
            "etcd": {"endpoints_from": "asg", "port": 2379, "peer_port": 2380, "voters": 3, "tls": tls,
                "credentials_secret": secret("etcd")},
            "target_groups": [
                {"arn": target_group("acme-w"), "role": "writer", "port": 5432},
                {"arn": target_group("acme-r"), "role": "reader", "port": 5432},
            ],
            "volumes": {"source": "snapshot", "devices": ["/dev/sdf"]},
            "max_lag_bytes": 1_048_576, "max_lag_seconds": 30, "min_streaming_after_terminate": 1,
            "on_unsafe": "retain",
            "decommission": false,
        },
        "snapshots": {
            "schedule": "0 */6 * * *", "timezone": "UTC", "spread_minutes": 5, "source": "prefer-replica", "max_age_hours": 13,
            "consistency": "crash",
            "filesystem": {
                "kind": "zfs", "data_dir": "/var/lib/postgresql/15/main", "mounts": ["/var/lib/postgresql"],
                "allow_leader": false,
            },
            "retention": {"last": 3, "hourly": 24, "daily": 7, "weekly": 5, "monthly": 12, "yearly": 3},
            "copies": [{
                "region": "us-west-2", "kms_key_id": "alias/dr",
                "retention": {"last": 1, "hourly": 0, "daily": 14, "weekly": 0, "monthly": 0, "yearly": 0},
            }],
            "final": {"last": 1, "days": 30},
        },
    })
}

/// A spec with `value` at a JSON pointer; nothing takes the field away.
pub(crate) fn with(mut spec: Value, pointer: &str, value: Option<Value>) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    match (spec.pointer_mut(parent).expect("the parent is there"), value) {
        (Value::Object(map), Some(value)) => drop(map.insert(key.to_owned(), value)),
        (Value::Object(map), None) => drop(map.remove(key).expect("the field is there")),
        (Value::Array(items), Some(value)) => match key {
            "-" => items.push(value),
            key => items[key.parse::<usize>().unwrap()] = value,
        },
        (other, _) => panic!("{pointer} in {other}"),
    }
    spec
}
