//! Every call, every fault: each call of each story fails in each way, and the process is killed at each call. Whatever it
//! was, the invariants hold on the way, and the end is the one of the undisturbed story.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

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

#[test]
fn w3_every_call_of_every_story_with_every_fault_ends_as_without() {
    let only = std::env::var_os(programme::ONLY).map(|only| only.to_string_lossy().into_owned());
    let results = programme::run(STORIES, only.as_deref());
    programme::tell(&table(&results));
    let broken: Vec<String> = results.values().flat_map(|r| r.broken.clone()).collect();
    assert!(broken.is_empty(), "{} trials broke an invariant:\n{}", broken.len(), broken.join("\n"));
    if only.is_none() {
        for story in STORIES {
            has_not_shrunk(story, &results[story.name]);
        }
    }
}

/// Coverage that rots does so silently.
fn has_not_shrunk(story: &Story, results: &Results) {
    let Results { calls, tried, .. } = results;
    let name = story.name;
    assert!(*calls >= story.least_calls, "{name} has shrunk to {calls} calls");
    assert_eq!(tried.get(&Trouble::KillBefore), Some(calls), "{name}: killed at each call");
    let failures = [Trouble::Throttle, Trouble::Error500, Trouble::Reset, Trouble::Lost, Trouble::TimeOut];
    for trouble in failures {
        let times = tried.get(&trouble).copied().unwrap_or_default();
        assert!(times >= KINDS_OF_READS, "{name}: {} was tried {times} times", trouble.name());
    }
}

fn table(results: &BTreeMap<&'static str, Results>) -> String {
    let mut text = String::from("\n");
    let troubles: Vec<&str> = Trouble::ALL.iter().map(|t| t.name()).collect();
    writeln!(text, "{:36} {:>6}  {}  void  broken", "story", "calls", troubles.join("  ")).unwrap();
    for story in STORIES.iter().filter(|s| results.contains_key(s.name)) {
        let result = &results[story.name];
        write!(text, "{:36} {:>6}", story.name, result.calls).unwrap();
        for trouble in Trouble::ALL {
            let tried = result.tried.get(&trouble).copied().unwrap_or_default();
            write!(text, "  {tried:>width$}", width = trouble.name().len()).unwrap();
        }
        writeln!(text, "  {:>4}  {:>6}", result.void, result.broken.len()).unwrap();
    }
    text
}
