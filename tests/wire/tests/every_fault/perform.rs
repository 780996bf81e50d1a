//! A story is played: once as it is, then with trouble in it.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use stack::{Call, Error, Stack};
use wire::{ACME, text};

use crate::end::{End, Labels};
use crate::story::{Play, Step, Story};
use crate::trouble::{Name, Place, Trial};

/// After a fault the end is reached within this many passes more than without.
const QUIET_PASSES: usize = 2;
/// How long an invocation has.
const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks whether a call is held. Each takes the emulator from the watcher.
const LOOK: Duration = Duration::from_millis(30);
/// The call that sends a notice.
const NOTICE: &str = "sns:Publish";
/// How many conditions a cluster has of which there may be news.
const CONDITIONS: usize = 6;

/// The conditions that say what was seen of the customer's side. Others say what was done, and that may really wait.
const SEEN: [&str; 4] = ["NameResolves", "Reachable", "IsWriter", "ReplicationReady"];

/// What an undisturbed step was.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// The calls, in their order.
    pub(crate) calls: Vec<Place>,
    /// What was sent that may change the world, notices included, and how often.
    pub(crate) changes: BTreeMap<String, usize>,
    /// What was seen to be false, as it was told.
    pub(crate) denied: BTreeSet<String>,
    /// The least number of serving targets that the step itself allows.
    pub(crate) floor: usize,
    pub(crate) end: End,
}

/// Plays a story as it is.
pub(crate) fn undisturbed(story: &Story, stage: Stack) -> Vec<Record> {
    let mut play = (story.begin)(stage);
    let mut records = Vec::new();
    for (at, step) in story.steps.iter().enumerate() {
        play.a_minute_passes();
        let before = play.serving_targets();
        (step.happens)(&mut play);
        let (mark, told) = (play.scene.mark(), play.scene.notices().len());
        let mut last = mark;
        for _ in 0..step.passes {
            last = play.scene.mark();
            play.scene.pass();
        }
        let what = format!("{}, {}", story.name, step.what);
        assert_eq!(play.scene.mutations_since(last), [""; 0], "{what}: the last pass is a quiet one");
        assert_eq!(play.scene.writes_since(last), [""; 0], "{what}: the last pass is a quiet one");
        let calls = play.scene.calls_since(mark);
        records.push(Record {
            calls: places(at, &calls),
            changes: changes(&Labels::of(&play), &calls),
            denied: denied(&play, told),
            floor: before.min(play.serving_targets()),
            end: End::of(&play),
        });
    }
    records
}

fn places(step: usize, calls: &[Call]) -> Vec<Place> {
    let mut seen: BTreeMap<Name, u32> = BTreeMap::new();
    calls
        .iter()
        .map(|call| {
            let name = Name::of(call);
            let next = seen.entry(name.clone()).or_default();
            let nth = *next;
            *next += 1;
            Place { step, name, nth, mutates: call.mutates() }
        })
        .collect()
}

fn changes(labels: &Labels, calls: &[Call]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for call in calls.iter().filter(|c| c.mutates() && c.service != "dynamodb") {
        // What a notice says may differ; that it is sent counts.
        let what = if call.name() == NOTICE { NOTICE.to_owned() } else { labels.in_call(call) };
        *found.entry(what).or_default() += 1;
    }
    found
}

/// What was seen to be false, as it was told, but for the first `skip` notices.
fn denied(play: &Play, skip: usize) -> BTreeSet<String> {
    let notices = play.scene.stack.notices().unwrap();
    let notices = notices.iter().skip(skip).map(stack::PublishedNotice::json);
    let told = notices.filter(|notice| notice["to"] == "false").map(|notice| text(&notice["condition"]));
    told.filter(|condition| SEEN.contains(&condition.as_str())).collect()
}

/// How a play with trouble in it went.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The trials that came to an end as they should.
    pub(crate) held: Vec<Trial>,
    /// Stale answers that said what fresh ones would have: nothing was tried.
    pub(crate) void: Vec<Trial>,
    /// The one that did not, and what was broken. The play ends there.
    pub(crate) broken: Option<(Trial, Vec<String>)>,
}

/// Plays a story with at most one trouble in each of its steps. A disturbed step has to end like the undisturbed one, so the
/// next begins like it.
pub(crate) fn disturbed(story: &Story, records: &[Record], trials: &[Trial], stage: Stack) -> Outcome {
    let mut play = (story.begin)(stage);
    let mut outcome = Outcome::default();
    let last = trials.iter().map(|t| t.place.step).max().unwrap_or_default();
    for (at, (step, record)) in story.steps.iter().zip(records).enumerate().take(last + 1) {
        play.a_minute_passes();
        (step.happens)(&mut play);
        match trials.iter().find(|t| t.place.step == at) {
            None => {
                for _ in 0..step.passes {
                    play.scene.pass();
                }
            }
            Some(trial) => {
                let met = disturbed_step(&mut play, step, record, trial);
                match met {
                    Ok(true) => outcome.held.push(trial.clone()),
                    Ok(false) => outcome.void.push(trial.clone()),
                    Err(broken) => {
                        outcome.broken = Some((trial.clone(), broken));
                        return outcome;
                    }
                }
            }
        }
    }
    outcome
}

/// One step with one trouble, until a pass finds nothing to do any more and everything is as after the undisturbed step.
/// `false`: the trouble was none.
fn disturbed_step(play: &mut Play, step: &Step, record: &Record, trial: &Trial) -> Result<bool, Vec<String>> {
    let (mark, told) = (play.scene.mark(), play.scene.notices().len());
    let mut broken = Vec::new();
    play.scene.stack.fault(&trial.trouble.at(&trial.place)).unwrap();
    let mut missing = Vec::new();
    for _ in 0..step.passes + QUIET_PASSES {
        let before = play.scene.mark();
        let met_before = play.scene.stack.faults().unwrap().is_empty();
        if trial.trouble.kills() && !met_before {
            if pass_to_the_death(play, &mut broken) {
                play.scene.stack.release_held().unwrap();
                play.scene.watcher = play.scene.another_watcher();
                play.leases_run_out();
            }
        } else {
            judge_report(play, trial, met_before, &mut broken);
        }
        let serving = play.serving_targets();
        if serving < record.floor {
            broken.push(format!("W2: {serving} targets serve, undisturbed never fewer than {}", record.floor));
        }
        missing = still_missing(play, record, before, met_before);
        if missing.is_empty() {
            break;
        }
    }
    broken.extend(missing);
    let calls = play.scene.calls_since(mark);
    judge_changes(play, record, trial, &calls, &mut broken);
    let denied = denied(play, told);
    // What is false may be told anew once it is seen again.
    let is_false = |kind: &&String| record.end.told.get(&format!("{ACME} {kind}")).is_some_and(|to| to == "false");
    let more: Vec<&String> = denied.difference(&record.denied).filter(|kind| !is_false(kind)).collect();
    // What cannot be seen is unknown.
    if trial.blinds() && !more.is_empty() {
        broken.push(format!("told to be false, and all that is wrong is that it could not be seen: {more:?}"));
    }
    if !broken.is_empty() {
        return Err(broken);
    }
    Ok(!calls.iter().any(|c| c.fault.as_deref() == Some("stale_same")))
}

/// What a pass, which began at `before`, lacks to be the last one: W3 and W5.
fn still_missing(play: &Play, record: &Record, before: u64, met_before: bool) -> Vec<String> {
    if !met_before {
        return vec![format!("the trouble was not met: {:?}", play.scene.stack.faults().unwrap())];
    }
    let calls = play.scene.calls_since(before);
    let changes: Vec<String> = calls.iter().filter(|c| c.mutates()).map(Call::name).collect();
    let mut missing = End::of(play).differs_from(&record.end);
    if !changes.is_empty() {
        missing.push(format!("W5: the last pass still changes something: {changes:?}"));
    }
    missing
}

/// A pass in which the process is killed once a call is held. Says whether it was.
fn pass_to_the_death(play: &Play, broken: &mut Vec<String>) -> bool {
    let scene = &play.scene;
    thread::scope(|scope| {
        let run = scope.spawn(|| scene.watcher.invoke_within(&json!({}), DEADLINE));
        while !run.is_finished() {
            if !scene.stack.held().unwrap().is_empty() {
                scene.watcher.kill();
                let answer = run.join().unwrap();
                if !matches!(answer, Err(Error::Exited { .. })) {
                    broken.push(format!("the process answered before it was killed: {answer:?}"));
                }
                return true;
            }
            thread::sleep(LOOK);
        }
        if let Err(error) = run.join().unwrap() {
            broken.push(format!("W7: an undisturbed pass failed: {error}"));
        }
        false
    })
}

/// W7: a pass answers before its deadline and reports the cluster. It fails as a whole only where the fleet cannot be read.
fn judge_report(play: &Play, trial: &Trial, met_before: bool, broken: &mut Vec<String>) {
    match play.scene.watcher.invoke_within(&json!({}), DEADLINE) {
        Ok(report) => {
            let counts = report["counts"].as_object();
            let reported: u64 = counts.map_or(0, |c| c.values().filter_map(Value::as_u64).sum());
            let there = play.scene.stack.item("cluster", ACME).unwrap().is_some();
            // A cluster that this very pass has finished with is reported, and gone.
            if reported != 1 && there {
                broken.push(format!("W7: the cluster is not reported: {report}"));
            }
            if report.to_string().contains("SafetyGate") {
                broken.push(format!("the safety gate had to stop something: {report}"));
            }
        }
        Err(Error::Function { .. }) if !met_before && trial.place.name.operation == "dynamodb:Query" => {}
        Err(error) => broken.push(format!("W7: {error}")),
    }
}

/// W6 and a bound: nothing is done to the world that is not done undisturbed, and nothing is sent more often than the trouble
/// explains.
fn judge_changes(play: &Play, record: &Record, trial: &Trial, calls: &[Call], broken: &mut Vec<String>) {
    for (what, times) in changes(&Labels::of(play), calls) {
        let undisturbed = record.changes.get(&what).copied().unwrap_or_default();
        let notice = what == NOTICE;
        if undisturbed == 0 && !notice {
            broken.push(format!("W6: {what} is sent, and never undisturbed"));
            continue;
        }
        // What cannot be read is news, and so is that it can be read again.
        let news = if notice { 2 * CONDITIONS } else { 0 };
        let repeated = usize::try_from(trial.trouble.times(&trial.place.name)).unwrap();
        if times > undisturbed + repeated + news {
            broken.push(format!("{what} is sent {times} times, undisturbed {undisturbed}"));
        }
    }
}
