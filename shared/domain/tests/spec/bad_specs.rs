//! Specs that a put refuses, each with every problem that it gets, in order.
//!
//! A case is the minimal spec with some values set (`Some`) or taken away (`None`) at JSON pointers.

use domain::spec::validate;
use serde_json::{Value, json};

mod nodes_and_snapshots;
mod primary;

use crate::examples::{minimal, with};

struct Case {
    name: &'static str,
    changes: Vec<(&'static str, Option<Value>)>,
    problems: Vec<String>,
}

fn case(name: &'static str, changes: &[(&'static str, Option<Value>)], problems: &[&str]) -> Case {
    Case { name, changes: changes.to_vec(), problems: problems.iter().map(|&problem| problem.to_owned()).collect() }
}

/// One value set.
fn set(pointer: &'static str, value: Value, problems: &[&str]) -> Case {
    case(pointer, &[(pointer, Some(value))], problems)
}

/// One field left out.
fn without(pointer: &'static str, problem: &str) -> Case {
    case(pointer, &[(pointer, None)], &[problem])
}

fn of_the_whole() -> Vec<Case> {
    let name = "name: must be 2 to 40 characters of a-z, 0-9 and `-`, starting with a letter, not";
    vec![
        without("/name", "name: is required"),
        set("/name", json!(7), &["name: must be text, not a number"]),
        set("/name", Value::Null, &["name: is required and must not be null"]),
        set("/name", json!("Acme"), &[&format!("{name} \"Acme\"")]),
        set("/name", json!(""), &[&format!("{name} \"\"")]),
        set("/name", json!("x".repeat(500)), &[&format!("{name} \"{}…", "x".repeat(59))]),
        set("/schema", json!(2), &["schema: must be 1, the only schema that this version knows, not 2"]),
        set("/schema", json!("1"), &["schema: must be 1, the only schema that this version knows, not \"1\""]),
        set("/paused", json!("false"), &["paused: must be true or false, not text"]),
        set("/paused", json!(0), &["paused: must be true or false, not a number"]),
        set("/deletion", json!("delete"), &["deletion: must be `retain` or `teardown`, not \"delete\""]),
        set("/deletion", json!(true), &["deletion: must be `retain` or `teardown`, not a boolean"]),
        set("/primary", json!([]), &["primary: must be an object, not a list"]),
        set("/nodes", Value::Null, &["nodes: must not be null: leave the field out"]),
        set("/primray", json!({}), &["primray: unknown field; did you mean `primary`?"]),
        set("/Paused", json!(true), &["Paused: unknown field; did you mean `paused`?"]),
        set(
            "/colour",
            json!("red"),
            &[
                "colour: unknown field; known here: `schema`, `name`, `paused`, `deletion`, `primary`, `nodes`, `snapshots`",
            ],
        ),
        set("/paused.x", json!(true), &["[\"paused.x\"]: unknown field; did you mean `paused`?"]),
        case(
            "unknown fields come last and sorted, sections in the spec's order",
            &[
                ("/zname", Some(json!(1))),
                ("/nmae", Some(json!(1))),
                ("/name", None),
                ("/snapshots/retention", None),
                ("/nodes/asg", None),
                (primary::PORT, None),
            ],
            &[
                "name: is required",
                "primary.endpoints[0].port: is required",
                "nodes.asg: is required",
                "snapshots.retention: is required",
                "nmae: unknown field; did you mean `name`?",
                "zname: unknown field; did you mean `name`?",
            ],
        ),
    ]
}

#[test]
fn each_bad_spec_gets_every_problem_that_it_has_in_order() {
    let cases: Vec<Case> = [
        of_the_whole(),
        primary::of_endpoints(),
        primary::of_peerings(),
        nodes_and_snapshots::of_nodes(),
        nodes_and_snapshots::of_snapshots(),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert!(cases.len() >= 100, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for Case { name, changes, problems } in cases {
        let spec = changes.into_iter().fold(minimal(), |spec, (pointer, value)| with(spec, pointer, value));
        let got: Vec<String> = validate(&spec).err().unwrap_or_default().iter().map(ToString::to_string).collect();
        if got != problems {
            wrong.push(format!("{name}\n  expected {problems:#?}\n  got      {got:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_is_no_object_is_one_problem_at_the_empty_path() {
    let cases = [
        (json!(null), "null"),
        (json!(true), "a boolean"),
        (json!(7), "a number"),
        (json!("acme"), "text"),
        (json!([minimal()]), "a list"),
    ];
    for (payload, kind) in cases {
        let problems = serde_json::to_value(validate(&payload).unwrap_err()).unwrap();
        assert_eq!(problems, json!([{"path": "", "problem": format!("must be an object, not {kind}")}]));
    }
}

#[test]
fn a_problem_has_the_form_of_the_contract() {
    let problems = validate(&with(minimal(), primary::PORT, Some(json!("5432")))).unwrap_err();
    assert_eq!(
        serde_json::to_value(problems).unwrap(),
        json!([{"path": "primary.endpoints[0].port", "problem": "must be an integer from 1 to 65535, not text"}])
    );
}

#[test]
fn a_huge_spec_gets_no_huge_answer() {
    let spec = with(minimal(), "/primary/endpoints", Some((0..100_000).map(|_| json!({})).collect()));
    let problems = validate(&spec).unwrap_err();
    assert_eq!(problems.len(), 1 + 50 * 4);
    let unknown: serde_json::Map<String, Value> = (0..1000).map(|index| (format!("field-{index}"), json!(1))).collect();
    let problems = validate(&json!({"name": "ab", "primary": unknown})).unwrap_err();
    assert_eq!(problems.len(), 2 + 50 + 1);
    assert_eq!(problems.last().unwrap().to_string(), "primary: has 950 more unknown fields");
    let spec = with(minimal(), primary::HOST, Some(json!("h".repeat(1_000_000))));
    let answer = serde_json::to_string(&validate(&spec).unwrap_err()).unwrap();
    assert!(answer.len() < 500, "{} bytes", answer.len());
}
