//! What is wrong in `nodes` and `snapshots`.

use serde_json::{Value, json};

use super::{Case, set, without};
use crate::examples::target_group;

pub(super) fn of_nodes() -> Vec<Case> {
    vec![
        set(
            "/nodes",
            json!({}),
            &[
                "nodes.asg: is required",
                "nodes.hooks: is required",
                "nodes.patroni: is required",
                "nodes.target_groups: is required",
            ],
        ),
        set(
            "/nodes/asg",
            json!("a:b"),
            &[
                "nodes.asg: must be the name of an Auto Scaling group: 1 to 255 printable ASCII characters without space and `:`, not \"a:b\"",
            ],
        ),
        without("/nodes/hooks/launch", "nodes.hooks.launch: is required"),
        set(
            "/nodes/hooks/terminate",
            json!("acme-launch"),
            &["nodes.hooks.terminate: must be another hook than `launch`"],
        ),
        set(
            "/nodes/hooks/launch",
            json!("a b"),
            &[
                "nodes.hooks.launch: must be the name of a lifecycle hook: 1 to 255 letters, digits, `-`, `_` and `/`, not \"a b\"",
            ],
        ),
        without("/nodes/patroni/scope", "nodes.patroni.scope: is required"),
        set(
            "/nodes/patroni/scope",
            json!("a/b"),
            &["nodes.patroni.scope: must be 1 to 128 letters, digits, `-`, `_` and `.`, not \"a/b\""],
        ),
        set("/nodes/etcd", json!({"voters": 4}), &["nodes.etcd.voters: must be 1, 3, 5 or 7, not 4"]),
        set("/nodes/etcd", json!({"voters": 9}), &["nodes.etcd.voters: must be an integer from 1 to 7, not 9"]),
        set(
            "/nodes/etcd",
            json!({"endpoints_from": "dns"}),
            &["nodes.etcd.endpoints_from: must be `asg`, not \"dns\""],
        ),
        set("/nodes/target_groups", json!([]), &["nodes.target_groups: must not be empty"]),
        set(
            "/nodes/target_groups/-",
            json!({"arn": target_group("acme-w"), "role": "any"}),
            &[
                "nodes.target_groups[1].role: must be `writer` or `reader`, not \"any\"",
                "nodes.target_groups[1].arn: is the same as in item 0",
            ],
        ),
        set(
            "/nodes/volumes",
            json!({"source": "image", "devices": ["sdf"]}),
            &[
                "nodes.volumes.source: must be `snapshot` or `none`, not \"image\"",
                "nodes.volumes.devices[0]: must be a block device such as `/dev/sdf`: `/dev/` and 1 to 32 characters of a-z and 0-9, not \"sdf\"",
            ],
        ),
        set("/nodes/max_lag_byte", json!(1), &["nodes.max_lag_byte: unknown field; did you mean `max_lag_bytes`?"]),
        set("/nodes/on_unsafe", json!("kill"), &["nodes.on_unsafe: must be `retain` or `hold`, not \"kill\""]),
    ]
}

pub(super) fn of_snapshots() -> Vec<Case> {
    let nothing =
        "must keep something: give `last`, `hourly`, `daily`, `weekly`, `monthly` or `yearly` a number above 0";
    let fields = "must have five fields, `minute hour day month weekday`, such as `0 */6 * * *`; it has";
    let filesystem = |data_dir: &str, mounts: Value| json!({"kind": "zfs", "data_dir": data_dir, "mounts": mounts});
    vec![
        without("/snapshots/schedule", "snapshots.schedule: is required"),
        set("/snapshots/schedule", json!("hourly"), &[&format!("snapshots.schedule: {fields} 1")]),
        set("/snapshots/schedule", json!("0 0 0 * * *"), &[&format!("snapshots.schedule: {fields} 6")]),
        set(
            "/snapshots/schedule",
            json!("0 25 * * *"),
            &["snapshots.schedule: has a bad hour, `25`: it must be 0 to 23, `*`, a range, a step or a list of them"],
        ),
        set(
            "/snapshots/schedule",
            json!("0 0 30 2 *"),
            &["snapshots.schedule: never comes: none of its months has such a day"],
        ),
        set(
            "/snapshots/timezone",
            json!("+02:00"),
            &[
                "snapshots.timezone: must be the name of an IANA time zone such as `UTC` or `Europe/Berlin`, not \"+02:00\"",
            ],
        ),
        set("/snapshots/source", json!("leader"), &["snapshots.source: must be `prefer-replica`, not \"leader\""]),
        set("/snapshots/retention", json!({}), &[&format!("snapshots.retention: {nothing}")]),
        set("/snapshots/retention", json!({"last": 0, "daily": 0}), &[&format!("snapshots.retention: {nothing}")]),
        set(
            "/snapshots/retention",
            json!({"dayly": 7, "last": -1}),
            &[
                "snapshots.retention.last: must be an integer from 0 to 10000, not -1",
                "snapshots.retention.dayly: unknown field; did you mean `daily`?",
            ],
        ),
        set(
            "/snapshots/consistency",
            json!("filesystem"),
            &["snapshots.filesystem: is required where `consistency` is `filesystem`"],
        ),
        set(
            "/snapshots/filesystem",
            filesystem("/srv/pg", json!(["/srv/pgdata", "/var"])),
            &["snapshots.filesystem.data_dir: must be on one of `mounts`"],
        ),
        set(
            "/snapshots/filesystem",
            json!({"kind": "btrfs", "data_dir": "/", "mounts": ["/data; reboot"]}),
            &[
                "snapshots.filesystem.kind: must be `zfs`, `ext4` or `xfs`, not \"btrfs\"",
                "snapshots.filesystem.data_dir: must be an absolute path below `/` of letters, digits, `.`, `_` and `-`, without `..`, `//` or a `/` at its end, not \"/\"",
                "snapshots.filesystem.mounts[0]: must be an absolute path below `/` of letters, digits, `.`, `_` and `-`, without `..`, `//` or a `/` at its end, not \"/data; reboot\"",
            ],
        ),
        set(
            "/snapshots/copies",
            json!([{"region": "us-west-2", "retention": {"daily": 1}}, {"region": "us-west-2", "retention": {"daily": 0}}, {"region": "Oregon"}]),
            &[
                &format!("snapshots.copies[1].retention: {nothing}"),
                "snapshots.copies[1].region: is the same as in item 0",
                "snapshots.copies[2].region: must be the code of an AWS Region such as `us-west-2`, not \"Oregon\"",
                "snapshots.copies[2].retention: is required",
            ],
        ),
        set(
            "/snapshots/copies",
            json!([{"region": "us-west-2", "kms_key_id": "dr key", "retention": {"daily": 1}}]),
            &[
                "snapshots.copies[0].kms_key_id: must be a KMS key: `alias/<name>`, a key id or the ARN of either, not \"dr key\"",
            ],
        ),
        set(
            "/snapshots/final",
            json!({"last": "1", "day": 3}),
            &[
                "snapshots.final.last: must be an integer from 0 to 10000, not text",
                "snapshots.final.day: unknown field; did you mean `days`?",
            ],
        ),
    ]
}
