//! Every call, every fault: each call of each story fails in each way, and the process is killed at each call. Whatever it
//! was, the invariants hold on the way, and the end is the one of the undisturbed story.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod customer;
mod end;
mod perform;
mod programme;
mod stories;
mod story;
mod trouble;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use programme::Results;
use stories::STORIES;
use story::Story;
use trouble::Trouble;

/// Specs, brakes, states, peerings: what each pass reads.
const KINDS_OF_READS: usize = 4;

/// The services that the watcher calls. Nothing of any of them may be left out.
const SERVICES: [&str; 6] = ["dynamodb", "ec2", "elasticloadbalancing", "lambda", "secretsmanager", "sns"];

/// What each kind of call meets, whatever it is.
const FAILURES: [Trouble; 5] = [Trouble::Throttle, Trouble::Error500, Trouble::Reset, Trouble::Lost, Trouble::TimeOut];

#[test]
fn w3_every_call_of_every_story_with_every_fault_ends_as_without() {
    let only = std::env::var_os(programme::ONLY).map(|only| only.to_string_lossy().into_owned());
    let _kept = customer::Kept;
    let results = programme::run(STORIES, only.as_deref());
    programme::tell(&table(&results));
    let calls = by_call(&results);
    programme::tell(&table_of_calls(&calls));
    let broken: Vec<String> = results.values().flat_map(|r| r.broken.clone()).collect();
    assert!(broken.is_empty(), "{} trials broke an invariant:\n{}", broken.len(), broken.join("\n"));
    if only.is_none() {
        for story in STORIES {
            has_not_shrunk(story, &results[story.name]);
        }
        no_call_is_spared(&calls);
    }
}

/// Coverage that rots does so silently.
fn has_not_shrunk(story: &Story, results: &Results) {
    let Results { calls, about, tried, .. } = results;
    let name = story.name;
    assert!(*calls >= story.least_calls, "{name} has shrunk to {calls} calls");
    assert_eq!(tried.get(&Trouble::KillBefore), Some(about), "{name}: killed at each call");
    for trouble in FAILURES {
        let times = tried.get(&trouble).copied().unwrap_or_default();
        assert!(times >= KINDS_OF_READS, "{name}: {} was tried {times} times", trouble.name());
    }
}

/// What was tried at each kind of call, in all stories together.
fn by_call(results: &BTreeMap<&'static str, Results>) -> BTreeMap<String, BTreeMap<Trouble, usize>> {
    let mut calls: BTreeMap<String, BTreeMap<Trouble, usize>> = BTreeMap::new();
    for ((call, trouble), times) in results.values().flat_map(|r| &r.tried_at) {
        *calls.entry(call.clone()).or_default().entry(*trouble).or_default() += times;
    }
    calls
}

fn no_call_is_spared(calls: &BTreeMap<String, BTreeMap<Trouble, usize>>) {
    for service in SERVICES {
        let of = |call: &String| call.split(':').next() == Some(service);
        assert!(calls.keys().any(of), "no story has a call of {service}");
    }
    for (call, tried) in calls {
        for trouble in FAILURES.into_iter().chain([Trouble::KillBefore]) {
            assert!(tried.contains_key(&trouble), "{call}: no {} was tried", trouble.name());
        }
    }
}

fn table(results: &BTreeMap<&'static str, Results>) -> String {
    let mut text = head("story", "calls  ") + "  void  broken\n";
    for story in STORIES.iter().filter(|s| results.contains_key(s.name)) {
        let result = &results[story.name];
        let calls = format!("{:>5}  ", result.calls);
        writeln!(text, "{}  {:>4}  {:>6}", row(story.name, &calls, &result.tried), result.void, result.broken.len())
            .unwrap();
    }
    text
}

fn table_of_calls(calls: &BTreeMap<String, BTreeMap<Trouble, usize>>) -> String {
    let mut text = head("call", "") + "\n";
    for (call, tried) in calls {
        writeln!(text, "{}", row(call, "", tried)).unwrap();
    }
    text
}

fn head(what: &str, more: &str) -> String {
    let troubles: Vec<&str> = Trouble::ALL.iter().map(|t| t.name()).collect();
    format!("\n{what:52}  {more}{}", troubles.join("  "))
}

fn row(name: &str, more: &str, tried: &BTreeMap<Trouble, usize>) -> String {
    let tried: Vec<String> = Trouble::ALL
        .iter()
        .map(|t| format!("{:>width$}", tried.get(t).copied().unwrap_or_default(), width = t.name().len()))
        .collect();
    format!("{name:52}  {more}{}", tried.join("  "))
}
