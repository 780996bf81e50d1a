//! What is wrong in `primary`.

use serde_json::{Value, json};

use super::{Case, case, set, without};
use crate::examples::{minimal, target_group};

pub(super) const HOST: &str = "/primary/endpoints/0/host";
pub(super) const PORT: &str = "/primary/endpoints/0/port";
const PIN: &str = "/primary/endpoints/0/pin";
const ARN: &str = "/primary/endpoints/0/target_group_arn";
const CIDRS: &str = "/primary/peerings/0/allowed_cidrs";
const RANGES: &str = "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10";

pub(super) fn of_endpoints() -> Vec<Case> {
    let host = "primary.endpoints[0].host: must be a host name (labels of letters, digits, `-` and `_` between dots, \
                253 characters at most) or an IP address, without a port or a scheme, not";
    let port = "primary.endpoints[0].port: must be an integer from 1 to 65535, not";
    let arn = "primary.endpoints[0].target_group_arn: must be the ARN of a target group: \
               `arn:aws:elasticloadbalancing:<region>:<account>:targetgroup/<name>/<id>`, not";
    let second = |name: &str, group: &str| json!({"name": name, "host": "b.example.internal", "port": 5432, "target_group_arn": target_group(group)});
    let fifty_one: Value = (0..51).map(|index| second(&format!("e{index}"), &format!("e{index}"))).collect();
    vec![
        without("/primary/endpoints", "primary.endpoints: is required"),
        set("/primary/endpoints", json!([]), &["primary.endpoints: must not be empty"]),
        set("/primary/endpoints", json!({}), &["primary.endpoints: must be a list, not an object"]),
        set("/primary/endpoints", json!([null]), &["primary.endpoints[0]: must not be null"]),
        set("/primary/endpoints", json!(["postgres"]), &["primary.endpoints[0]: must be an object, not text"]),
        set("/primary/endpoints", fifty_one, &["primary.endpoints: must hold 1 to 50 items, not 51"]),
        set(
            "/primary/endpoints",
            json!([{}]),
            &[
                "primary.endpoints[0].name: is required",
                "primary.endpoints[0].host: is required",
                "primary.endpoints[0].port: is required",
                "primary.endpoints[0].target_group_arn: is required",
            ],
        ),
        set("/primary/endpoints/-", second("postgres", "b"), &["primary.endpoints[1].name: is the same as in item 0"]),
        set(
            "/primary/endpoints/-",
            second("b", "acme"),
            &["primary.endpoints[1].target_group_arn: is the same as in item 0"],
        ),
        case(
            "repeats are found beside other problems",
            &[
                ("/primary/endpoints/-", Some(second("postgres", "acme"))),
                ("/primary/endpoints/1/port", Some(json!(0))),
            ],
            &[
                "primary.endpoints[1].port: must be an integer from 1 to 65535, not 0",
                "primary.endpoints[1].name: is the same as in item 0",
                "primary.endpoints[1].target_group_arn: is the same as in item 0",
            ],
        ),
        set(
            "/primary/endpoints/0/name",
            json!("Main DB"),
            &[
                "primary.endpoints[0].name: must be 1 to 40 characters of a-z, 0-9, `-` and `_`, starting with a letter, not \"Main DB\"",
            ],
        ),
        set(HOST, json!("db.example.com:5432"), &[&format!("{host} \"db.example.com:5432\"")]),
        set(HOST, json!("postgres://db.example.com"), &[&format!("{host} \"postgres://db.example.com\"")]),
        set(HOST, json!("10.9.0.256"), &[&format!("{host} \"10.9.0.256\"")]),
        set(HOST, json!(""), &[&format!("{host} \"\"")]),
        set(HOST, json!(["a"]), &["primary.endpoints[0].host: must be text, not a list"]),
        set(PORT, json!("5432"), &["primary.endpoints[0].port: must be an integer from 1 to 65535, not text"]),
        set(PORT, json!(0), &[&format!("{port} 0")]),
        set(PORT, json!(65536), &[&format!("{port} 65536")]),
        set(PORT, json!(-1), &[&format!("{port} -1")]),
        set(PORT, json!(5432.5), &[&format!("{port} 5432.5")]),
        set(PORT, json!(1e300), &[&format!("{port} 1e+300")]),
        set(PORT, Value::Null, &["primary.endpoints[0].port: is required and must not be null"]),
        set(
            "/primary/endpoints/0/role",
            json!("master"),
            &["primary.endpoints[0].role: must be `writer` or `any`, not \"master\""],
        ),
        set(
            "/primary/endpoints/0/role",
            json!("Writer"),
            &["primary.endpoints[0].role: must be `writer` or `any`, not \"Writer\""],
        ),
        set(ARN, json!("arn:..."), &[&format!("{arn} \"arn:...\"")]),
        set(ARN, json!("acme-pg"), &[&format!("{arn} \"acme-pg\"")]),
        set(
            "/primary/endpoints/0/hots",
            json!("a.b"),
            &["primary.endpoints[0].hots: unknown field; did you mean `host`?"],
        ),
        case(
            "a field misspelt is missing and unknown",
            &[(HOST, None), ("/primary/endpoints/0/Host", Some(json!("a.b")))],
            &[
                "primary.endpoints[0].host: is required",
                "primary.endpoints[0].Host: unknown field; did you mean `host`?",
            ],
        ),
        set(
            PIN,
            json!({}),
            &["primary.endpoints[0].pin.address: is required", "primary.endpoints[0].pin.until: is required"],
        ),
        set(
            PIN,
            json!({"address": "fd00::5", "until": "tomorrow"}),
            &[
                "primary.endpoints[0].pin.address: must be an IPv4 address such as `10.9.0.5`, not `fd00::5`",
                "primary.endpoints[0].pin.until: must be a time such as `2026-12-01T00:00:00Z`, not `tomorrow`",
            ],
        ),
        set(
            PIN,
            json!({"address": "10.9.0.5", "until": "2026-12-01"}),
            &["primary.endpoints[0].pin.until: must be a time such as `2026-12-01T00:00:00Z`, not `2026-12-01`"],
        ),
        set(
            PIN,
            json!({"address": "10.8.0.5", "until": "2026-12-01T00:00:00Z"}),
            &["primary.endpoints[0].pin.address: must be inside `allowed_cidrs` of a peering, and 10.8.0.5 is in none"],
        ),
    ]
}

pub(super) fn of_peerings() -> Vec<Case> {
    let private = |index: usize, block: &str| {
        format!(
            "primary.peerings[0].allowed_cidrs[{index}]: must lie inside one of {RANGES}, where a load balancer takes targets; `{block}` does not"
        )
    };
    let not_block = |block: &str| {
        format!("primary.peerings[0].allowed_cidrs[0]: must be an IPv4 block such as `10.9.0.0/16`, not `{block}`")
    };
    vec![
        without("/primary/peerings", "primary.peerings: is required"),
        set("/primary/peerings", json!([]), &["primary.peerings: must not be empty"]),
        set(
            "/primary/peerings",
            json!([{}]),
            &[
                "primary.peerings[0].connection_id: is required",
                "primary.peerings[0].peer_account: is required",
                "primary.peerings[0].peer_vpc: is required",
                "primary.peerings[0].allowed_cidrs: is required",
            ],
        ),
        set(
            "/primary/peerings/-",
            minimal()["primary"]["peerings"][0].clone(),
            &["primary.peerings[1].connection_id: is the same as in item 0"],
        ),
        set(
            "/primary/peerings/0/connection_id",
            json!("vpc-1"),
            &[
                "primary.peerings[0].connection_id: must be the id of a peering connection: `pcx-` and 1 to 32 characters of a-z and 0-9, not \"vpc-1\"",
            ],
        ),
        set(
            "/primary/peerings/0/peer_account",
            json!(111_122_223_333_u64),
            &["primary.peerings[0].peer_account: must be text, not a number"],
        ),
        set(
            "/primary/peerings/0/peer_account",
            json!("1111-2222-3333"),
            &["primary.peerings[0].peer_account: must be an AWS account id: 12 digits, not \"1111-2222-3333\""],
        ),
        set(
            "/primary/peerings/0/peer_vpc",
            json!("VPC-1"),
            &[
                "primary.peerings[0].peer_vpc: must be the id of a VPC: `vpc-` and 1 to 32 characters of a-z and 0-9, not \"VPC-1\"",
            ],
        ),
        set(CIDRS, json!([]), &["primary.peerings[0].allowed_cidrs: must not be empty"]),
        set(CIDRS, json!("10.9.0.0/16"), &["primary.peerings[0].allowed_cidrs: must be a list, not text"]),
        set(
            CIDRS,
            json!(["10.9.0.5/16"]),
            &["primary.peerings[0].allowed_cidrs[0]: has host bits set: write `10.9.0.0/16`"],
        ),
        set(CIDRS, json!(["10.9.0.0"]), &[&not_block("10.9.0.0")]),
        set(CIDRS, json!(["10.9.0.0/33"]), &[&not_block("10.9.0.0/33")]),
        set(CIDRS, json!(["10.9.0/24"]), &[&not_block("10.9.0/24")]),
        set(
            CIDRS,
            json!(["fd00::/8"]),
            &[
                "primary.peerings[0].allowed_cidrs[0]: must be an IPv4 block such as `10.9.0.0/16`: `fd00::/8` is IPv6, which targets cannot have",
            ],
        ),
        set(
            CIDRS,
            json!(["0.0.0.0/0", "10.9.0.0/16", "10.0.0.0/7", "172.32.0.0/16", "52.0.0.0/8", "127.0.0.0/8"]),
            &[
                &private(0, "0.0.0.0/0"),
                &private(2, "10.0.0.0/7"),
                &private(3, "172.32.0.0/16"),
                &private(4, "52.0.0.0/8"),
                &private(5, "127.0.0.0/8"),
            ],
        ),
        set(
            CIDRS,
            json!(["10.9.0.0/16", "10.9.0.0/16"]),
            &["primary.peerings[0].allowed_cidrs[1]: is the same as item 0"],
        ),
        set(
            CIDRS,
            json!([null, 10]),
            &[
                "primary.peerings[0].allowed_cidrs[0]: must not be null",
                "primary.peerings[0].allowed_cidrs[1]: must be text, not a number",
            ],
        ),
        set("/primary/route_table_ids", json!("rtb-1"), &["primary.route_table_ids: must be a list, not text"]),
        set(
            "/primary/route_table_ids",
            json!(["rtb-1", "rtb-1", "main"]),
            &[
                "primary.route_table_ids[1]: is the same as item 0",
                "primary.route_table_ids[2]: must be the id of a route table: `rtb-` and 1 to 32 characters of a-z and 0-9, not \"main\"",
            ],
        ),
        set(
            "/primary/gateway_function",
            json!("acme transit"),
            &[
                "primary.gateway_function: must be the name (1 to 64 letters, digits, `-` and `_`) or ARN of a Lambda function, not \"acme transit\"",
            ],
        ),
        // A secret that was pasted is not shown again.
        set(
            "/primary/credentials_secret",
            json!("{\"username\": \"watcher\", \"password\": \"hunter2\"}"),
            &[
                "primary.credentials_secret: must be the name or ARN of a secret in Secrets Manager (letters, digits and `/_+=.@-`), not the secret itself",
            ],
        ),
        set(
            "/primary/tls",
            json!({"ca": "x"}),
            &["primary.tls.ca: unknown field; known here: `ca_secret`, `cert_secret`, `key_secret`, `server_name`"],
        ),
        set("/primary/tls", json!(true), &["primary.tls: must be an object, not a boolean"]),
    ]
}
