//! What people ask for by hand.

use serde_json::json;

use crate::stage::{ACME, Stage};

#[test]
fn a_restore_point_on_demand_is_held_from_its_first_moment_until_it_is_released() {
    let stage = Stage::new();
    let answer = stage.ask(&json!({"take": ACME, "hold": "before-upgrade", "by": "ada"}));
    assert_eq!(answer["ok"], true, "{answer:#}");
    let point = stage.until_good();
    assert_eq!(point["set"], answer["set"]);
    assert_eq!((&point["kind"], &point["holds"]["before-upgrade"]["by"]), (&json!("manual"), &json!("ada")));
    let old = stage.history(&point, &[6, 12, 18, 24]);
    stage.change_items(
        |_, sk| sk.starts_with(&old[3]),
        |body| body["holds"] = json!({"audit": {"by": "bo", "at": "2026-11-01T00:00:00Z"}}),
    );
    stage.until("the deletions", |stage| stage.points().len() == 4);
    assert!(stage.points().iter().any(|point| point["set"] == old[3].as_str()), "somebody holds it");
    let released = stage.ask(&json!({"release": old[3], "name": "audit", "by": "bo"}));
    assert_eq!((&released["ok"], &released["holds"]), (&json!(true), &json!({})), "{released:#}");
    stage.until("the deletion", |stage| stage.points().len() == 3);
    let held = stage.ask(&json!({"hold": point["set"], "name": "migration", "by": "bo", "days": 14}));
    assert_eq!(held["holds"]["migration"]["by"], "bo", "{held:#}");
    let until = wire::text(&held["holds"]["migration"]["until"]).parse::<jiff::Timestamp>().unwrap();
    let shorter = stage.ask(&json!({"hold": point["set"], "name": "migration", "by": "eve", "days": 1}));
    assert_eq!(shorter["holds"]["migration"], held["holds"]["migration"], "nobody shortens it");
    // Each of its snapshots says so, in case that our table is lost.
    let says = |wanted: &str| {
        let rows = stage.snapshots(&stage.made.region);
        let own = rows.iter().filter(|row| row.tags["pilothouse:set"] == wire::text(&point["set"]));
        let told: Vec<&str> = own.map(|row| row.tags["pilothouse:holds"].as_str()).collect();
        assert_eq!(told, [wanted]);
    };
    let until = until.strftime("%Y-%m-%dT%H:%M:%SZ");
    says(&format!("before-upgrade migration@{until}"));
    stage.ask(&json!({"release": point["set"], "name": "before-upgrade", "by": "bo"}));
    says(&format!("migration@{until}"));
}

#[test]
fn requests_that_cannot_be_carried_out_say_why() {
    let stage = Stage::new();
    let problem = |request: serde_json::Value| {
        let answer = stage.ask(&request);
        assert_eq!(answer["ok"], false, "{answer:#}");
        let error = &answer["errors"][0];
        format!("{}: {}", error["path"].as_str().unwrap(), error["problem"].as_str().unwrap())
    };
    assert!(problem(json!({"take": "nobody", "by": "ada"})).starts_with("take: there is no cluster `nobody`"));
    assert!(problem(json!({"list": "nobody"})).starts_with("list: there is no cluster `nobody`"));
    assert!(problem(json!({"hold": "x", "name": "a", "by": "ada"})).starts_with("hold: `x` is no set"));
    let unknown = format!("{ACME}.20260101T000000Z.1");
    assert!(problem(json!({"release": unknown, "name": "a", "by": "ada"})).contains("there is no restore point"));
    assert!(problem(json!({"cost": "nobody"})).starts_with("cost: there is no cluster `nobody`"));
    assert!(problem(json!({"cost": ACME, "prices": {"eu-north-9": 1}})).starts_with("prices.eu-north-9: there is no"));
    assert_eq!(problem(json!({"take": ACME})), "by: is required: who asks, for the audit trail");
}

#[test]
fn a_policy_is_explained() {
    let stage = Stage::new();
    let answer = stage.ask(&json!({"explain_retention": {
        "policy": {"daily": 2},
        "taken_at": ["2026-11-20T06:00:00Z", "2026-11-20T00:00:00Z", "2026-11-19T00:00:00Z", "2026-11-18T00:00:00Z"],
        "now": "2026-11-20T07:00:00Z",
    }}));
    let kept: Vec<&str> = answer["keep"].as_array().unwrap().iter().map(|k| k["taken_at"].as_str().unwrap()).collect();
    assert_eq!(kept, ["2026-11-20T06:00:00Z", "2026-11-19T00:00:00Z"], "{answer:#}");
    assert_eq!(answer["keep"][0]["because"], json!(["daily", "floor-newest"]));
    assert_eq!(answer["remove"].as_array().unwrap().len(), 2);
}
