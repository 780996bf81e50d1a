//! The verb `explain_retention`, as a stranger would use it.

use domain::retention::explain;
use serde_json::{Value, json};

use crate::at;

fn answer(request: Value) -> Value {
    explain(&request, at("2026-11-20T12:00:00Z")).unwrap()
}

fn problems(request: Value) -> Vec<String> {
    explain(&request, at("2026-11-20T12:00:00Z")).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn keep_and_remove_are_told_newest_first_with_reasons_and_the_text_that_came() {
    let request = json!({
        "policy": {"last": 1, "daily": 2},
        "taken_at": ["2026-11-18T06:00:00Z", "2026-11-20T07:00:00+01:00", "2026-11-19T18:00:00.000Z", "2026-11-20T00:00:00Z"],
        "now": "2026-11-20T12:00:00Z",
    });
    let expected = json!({
        "keep": [
            {"taken_at": "2026-11-20T07:00:00+01:00", "because": ["last", "daily", "floor-newest"]},
            {"taken_at": "2026-11-19T18:00:00.000Z", "because": ["daily"]},
        ],
        "remove": [{"taken_at": "2026-11-20T00:00:00Z"}, {"taken_at": "2026-11-18T06:00:00Z"}],
        "brakes": [],
    });
    assert_eq!(answer(request), expected);
}

#[test]
fn an_empty_list_has_nothing_to_keep() {
    let nothing = json!({"keep": [], "remove": [], "brakes": []});
    assert_eq!(answer(json!({"policy": {"daily": 7}, "taken_at": []})), nothing);
}

#[test]
fn equal_times_are_separate_points() {
    let time = "2026-11-20T06:00:00Z";
    let answer = answer(json!({"policy": {"last": 2}, "taken_at": [time, time, time]}));
    assert_eq!(answer["keep"].as_array().unwrap().len(), 2);
    assert_eq!(answer["remove"], json!([{"taken_at": "2026-11-20T06:00:00Z"}]));
}

#[test]
fn the_policy_may_come_as_in_a_spec_with_its_zone_and_age() {
    let times = ["2026-11-19T23:30:00Z", "2026-11-20T00:30:00Z", "2026-11-18T12:00:00Z", "2026-11-17T12:00:00Z"];
    let kept = |policy: Value| {
        let answer = answer(json!({"policy": policy, "taken_at": times}));
        let keep = answer["keep"].as_array().unwrap().iter().map(|kept| kept["taken_at"].as_str().unwrap().to_owned());
        (keep.collect::<Vec<_>>(), answer["brakes"].clone())
    };
    let berlin = ["2026-11-20T00:30:00Z", "2026-11-18T12:00:00Z"].map(str::to_owned).to_vec();
    assert_eq!(kept(json!({"daily": 2, "timezone": "Europe/Berlin"})), (berlin.clone(), json!([])));
    let nested = json!({"retention": {"daily": 2}, "timezone": "Europe/Berlin", "max_age_hours": 11});
    let why = "The newest good restore point is of 2026-11-20T00:30:00Z, more than 11 hours ago. Nothing is deleted until \
               there is a newer one.";
    assert_eq!(kept(nested), (berlin, json!([{"brake": "newest-too-old", "why": why}])));
}

#[test]
fn within_is_a_rule_too() {
    let times = ["2026-11-20T06:00:00Z", "2026-11-19T07:00:00Z", "2026-11-19T06:00:00Z"];
    let answer = answer(json!({"policy": {"within": "1d"}, "taken_at": times}));
    assert_eq!(answer["keep"][0]["because"], json!(["within", "floor-newest"]));
    assert_eq!(answer["keep"][1], json!({"taken_at": "2026-11-19T07:00:00Z", "because": ["within"]}));
    assert_eq!(answer["remove"], json!([{"taken_at": "2026-11-19T06:00:00Z"}]));
}

#[test]
fn s4_a_policy_that_keeps_nothing_removes_nothing() {
    for policy in [json!({}), json!({"last": 0, "daily": 0}), json!({"retention": {}})] {
        let answer = answer(json!({"policy": policy, "taken_at": ["2026-11-20T06:00:00Z", "2026-11-19T06:00:00Z"]}));
        let because = |number: usize| answer["keep"][number]["because"].clone();
        assert_eq!(
            (because(0), because(1)),
            (json!(["floor-newest", "floor-empty-policy"]), json!(["floor-empty-policy"]))
        );
        assert_eq!(answer["remove"], json!([]));
        let why = "The policy keeps nothing, so nothing is deleted. Give a rule a number above 0.";
        assert_eq!(answer["brakes"], json!([{"brake": "empty-policy", "why": why}]));
    }
}

#[test]
fn a_time_after_now_is_kept_and_a_brake_is_told() {
    let request = json!({"policy": {"last": 1}, "taken_at": ["2026-11-20T06:00:00Z", "2026-11-19T06:00:00Z"],
        "now": "2026-11-19T12:00:00Z"});
    let answer = answer(request);
    assert_eq!(answer["keep"][0]["because"], json!(["last", "floor-future"]));
    assert_eq!(answer["keep"][1]["because"], json!(["floor-newest"]));
    assert_eq!(answer["brakes"][0]["brake"], "clock-behind-newest");
}

#[test]
fn every_problem_is_named_at_once_with_the_nearest_known_field() {
    let request = json!({
        "policy": {"dayly": 7, "last": -1, "weekly": "4", "within": "1w", "timezone": "Europe/Atlantis", "max_age_hours": 0},
        "taken_at": ["2026-11-20T06:00:00Z", "yesterday", 5, null],
        "now": null,
        "takenAt": [],
    });
    let expected = [
        "policy.last: must be an integer from 0 to 10000, not -1",
        "policy.weekly: must be an integer from 0 to 10000, not text",
        "policy.within: must be a span of years, months, days and hours such as `30d` or `1y5m7d2h`, each at most 9999 and \
         one above 0",
        "policy.max_age_hours: must be an integer from 1 to 8760, not 0",
        "policy.timezone: must be a zone of the IANA time zone database such as `UTC` or `Europe/Berlin`; the database of \
         this version has no `Europe/Atlantis`",
        "policy.dayly: unknown field; did you mean `daily`?",
        "taken_at[1]: must be a time with its offset such as `2026-11-20T06:00:00Z`, not `yesterday`",
        "taken_at[2]: must be text, not a number",
        "taken_at[3]: must not be null",
        "now: must not be null: leave the field out",
        "takenAt: unknown field; did you mean `taken_at`?",
    ];
    assert_eq!(problems(request), expected);
    assert_eq!(problems(json!({})), ["policy: is required", "taken_at: is required"]);
    assert_eq!(problems(json!("x")), ["must be an object, not text"]);
    let twice = json!({"policy": {"daily": 1, "retention": {"daily": 2}}, "taken_at": []});
    assert_eq!(problems(twice), ["policy: must give its counts here or in `retention`, not in both"]);
}
