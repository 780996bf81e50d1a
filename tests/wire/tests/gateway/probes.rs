//! What probes find, and what follows from it.

use serde_json::json;
use wire::{ACME, condition};

use crate::transit::{PASSWORD, TRANSIT, Transit};

#[test]
fn a_primary_is_served_and_known_as_the_writer() {
    let mut transit = Transit::serving();
    assert_eq!(transit.targets(), [format!("{} healthy", transit.target(0))]);
    let found = transit.fresh_look();
    assert_eq!(found["outcome"], "unchanged", "{found:#}");
    for (name, says) in [
        ("NameResolves", "true Resolved"),
        ("Reachable", "true Reachable"),
        ("IsWriter", "true Writer"),
        ("ReplicationReady", "true LogicalReplicationReady"),
    ] {
        assert_eq!(condition(&found, name), says, "{found:#}");
    }
}

#[test]
fn w5_a_settled_pass_asks_the_gateway_once_and_reads_no_secret() {
    let transit = Transit::serving();
    transit.scene.pass();
    let mark = transit.scene.mark();
    let report = transit.scene.pass();
    assert_eq!(report["counts"], json!({"unchanged": 1}));
    assert_eq!(report["api_calls"]["lambda:InvokeFunction"], 1, "{report:#}");
    assert!(report["api_calls"].get("secretsmanager:GetSecretValue").is_none(), "{report:#}");
    assert_eq!(transit.scene.writes_since(mark), [""; 0]);
}

#[test]
fn w8_a_promoted_standby_is_switched_to_in_one_pass_whatever_the_ttl() {
    let mut transit = Transit::serving();
    transit.primary = None;
    transit.standby.sql("SELECT pg_catalog.pg_promote()").unwrap();
    transit.name_answers(&[1], 3600);
    let found = transit.scene.look(ACME);
    assert_eq!(found["reason"], "PrimarySwitched", "{found:#}");
    assert_eq!(condition(&found, "IsWriter"), "true Writer");
    let targets = transit.targets();
    assert!(targets.contains(&format!("{} draining", transit.target(0))), "{targets:?}");
    assert!(targets.contains(&format!("{} healthy", transit.target(1))), "{targets:?}");
}

#[test]
fn watcher_case_a_name_that_leads_to_a_standby_is_not_followed() {
    let transit = Transit::serving();
    transit.name_answers(&[1], 0);
    for _ in 0..4 {
        let found = transit.scene.look(ACME);
        assert_eq!(condition(&found, "Registered"), "false AddressIsStandby", "{found:#}");
        assert_eq!(transit.targets(), [format!("{} healthy", transit.target(0))]);
    }
    transit.standby.sql("SELECT pg_catalog.pg_promote()").unwrap();
    let found = transit.scene.look(ACME);
    assert_eq!(found["reason"], "PrimarySwitched", "{found:#}");
}

#[test]
fn watcher_case_several_a_records_lead_to_the_only_writer() {
    let transit = Transit::new();
    transit.name_answers(&[0, 1], 60);
    transit.scene.put(&transit.spec());
    transit.scene.settle(ACME);
    assert_eq!(transit.targets(), [format!("{} healthy", transit.target(0))]);
}

#[test]
fn watcher_case_what_keeps_the_probe_out_is_named_and_the_target_stays() {
    let mut transit = Transit::serving();
    let serving = [format!("{} healthy", transit.target(0))];
    let wrong = json!({"username": "pilothouse_probe", "password": "guessed"}).to_string();
    let right = json!({"username": "pilothouse_probe", "password": PASSWORD}).to_string();
    let other = lab::Authority::new("somebody else's").unwrap().pem();
    let good = transit.authority.pem();
    for (secret, text, mended, reachable, is_writer) in [
        ("acme/probe", wrong.as_str(), right.as_str(), "true Reachable", "unknown AuthenticationFailed"),
        ("acme/probe", "hunter2", right.as_str(), "unknown CredentialsUnreadable", "unknown CredentialsUnreadable"),
        ("acme/ca", other.as_str(), good.as_str(), "false TlsFailed", "unknown TlsFailed"),
    ] {
        transit.scene.stack.secret(secret, text).unwrap();
        let found = transit.fresh_look();
        assert_eq!(condition(&found, "Reachable"), reachable, "{found:#}");
        assert_eq!(condition(&found, "IsWriter"), is_writer, "{found:#}");
        assert_eq!(found["outcome"], "blocked", "{found:#}");
        assert_eq!(transit.targets(), serving);
        transit.scene.stack.secret(secret, mended).unwrap();
        let found = transit.fresh_look();
        assert_eq!(condition(&found, "IsWriter"), "true Writer", "{found:#}");
    }
    let missing = transit.spec();
    let mut missing = missing;
    missing["primary"]["credentials_secret"] = json!("acme/gone");
    transit.scene.put(&missing);
    let found = transit.fresh_look();
    assert_eq!(condition(&found, "IsWriter"), "unknown CredentialsUnreadable", "{found:#}");
    assert!(found["conditions"]["IsWriter"]["message"].to_string().contains("acme/gone"), "{found:#}");
    assert_eq!(transit.targets(), serving);
}

#[test]
fn a_password_is_nowhere_but_in_the_invocation_that_needs_it() {
    let mut transit = Transit::serving();
    transit.scene.environment.insert("AWS_LAMBDA_LOG_LEVEL".to_owned(), "TRACE".to_owned());
    transit.fresh_look();
    transit.scene.stack.secret("acme/probe", &format!("not JSON, {PASSWORD}")).unwrap();
    transit.fresh_look();
    let calls = transit.scene.stack.calls().unwrap();
    let carried: Vec<String> =
        calls.iter().filter(|c| format!("{c:?}").contains(PASSWORD)).map(stack::Call::name).collect();
    assert!(carried.iter().all(|call| call == "lambda:Invoke"), "{carried:?}");
    let stored = format!("{:?}", transit.scene.stack.items().unwrap());
    let told = format!("{:?}", transit.scene.stack.notices().unwrap());
    let status = transit.scene.ask_registry(&json!({"status": ACME})).to_string();
    let logs = [transit.scene.watcher.log_lines(), transit.gateway.log_lines(), transit.scene.registry.log_lines()];
    assert!(logs.iter().flatten().any(|line| line.contains("answered")), "the gateway's log was read");
    for (what, text) in [("table", stored), ("notices", told), ("status", status), ("logs", logs.concat().join("\n"))] {
        assert!(!text.contains(PASSWORD), "the password is in the {what}");
    }
    assert!(transit.scene.watcher.log_lines().iter().any(|line| line.contains(TRANSIT)) || !calls.is_empty());
}
