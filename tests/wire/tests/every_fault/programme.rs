//! What is tried, and by whom: several stages side by side, since a play mostly waits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;

use stack::{Emulator, Stack};

use crate::perform::{Record, disturbed, undisturbed};
use crate::story::Story;
use crate::trouble::{Name, Place, SECRET, Trial, Trouble};

/// A part of a trial's name: only trials that have it are made. Several parts are joined by `+`.
pub(crate) const ONLY: &str = "PILOTHOUSE_TRIALS";

/// How many plays are made side by side. A play waits more than it computes: half of them begin with time-outs, which
/// hardly compute at all.
const STAGES: usize = 10;

/// What came of a story's trials.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// How many calls the story makes undisturbed.
    pub(crate) calls: usize,
    /// How many of them the story is about.
    pub(crate) about: usize,
    /// How many places were tried, by trouble.
    pub(crate) tried: BTreeMap<Trouble, usize>,
    /// As `tried`, by what was called.
    pub(crate) tried_at: BTreeMap<(String, Trouble), usize>,
    /// Stale answers that were no different.
    pub(crate) void: usize,
    /// What went wrong, with how to see it again.
    pub(crate) broken: Vec<String>,
}

/// A play that is still to be made.
#[derive(Clone)]
struct Job<'s> {
    story: &'s Story,
    records: Arc<Vec<Record>>,
    trials: Vec<Trial>,
}

/// Makes all trials of all stories.
pub(crate) fn run(stories: &'static [Story], only: Option<&str>) -> BTreeMap<&'static str, Results> {
    let stages: Vec<Mutex<Option<Arc<Emulator>>>> = (0..STAGES).map(|_| Mutex::new(None)).collect();
    let results: Mutex<BTreeMap<&'static str, Results>> = Mutex::default();

    let parts: Vec<&str> = only.iter().flat_map(|only| only.split('+')).collect();
    let named = stories.iter().filter(|s| parts.contains(&s.name)).count();
    let stories = stories.iter().filter(|s| named == 0 || parts.contains(&s.name));
    let queue_of_stories: Mutex<VecDeque<&Story>> = Mutex::new(stories.collect());
    let jobs: Mutex<Vec<Job<'_>>> = Mutex::default();
    on_all(&stages, |_, stage| {
        while let Some(story) = queue_of_stories.lock().unwrap().pop_front() {
            let records = Arc::new(undisturbed(story, stage()));
            let calls = records.iter().map(|r| r.calls.len()).sum();
            let about = places(story, &records);
            let mut trials = trials(&about, records.len());
            trials.retain(|t| parts.iter().all(|part| id(story, t).contains(part)));
            results.lock().unwrap().insert(story.name, Results { calls, about: about.len(), ..Results::default() });
            let plays = plays(trials, records.len());
            let made = plays.into_iter().map(|trials| Job { story, records: Arc::clone(&records), trials });
            jobs.lock().unwrap().extend(made);
        }
    });

    let mut jobs = jobs.into_inner().unwrap();
    // What waits longest stands first.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.trials.iter().filter(|t| t.trouble == Trouble::TimeOut).count()));
    let trials: usize = jobs.iter().map(|job| job.trials.len()).sum();
    tell(&format!("{trials} trials in {} plays\n", jobs.len()));
    let jobs = Mutex::new(VecDeque::from(jobs));
    on_all(&stages, |n, stage| {
        let next = || {
            let mut jobs = jobs.lock().unwrap();
            if n % 2 == 0 { jobs.pop_front() } else { jobs.pop_back() }
        };
        while let Some(job) = next() {
            let left = jobs.lock().unwrap().len();
            if left > 0 && left % 100 == 0 {
                tell(&format!("{left} plays left\n"));
            }
            let played = catch_unwind(AssertUnwindSafe(|| disturbed(job.story, &job.records, &job.trials, stage())));
            let mut all = results.lock().unwrap();
            let result = all.get_mut(job.story.name).unwrap();
            let mut undone = job.trials.clone();
            match played {
                Ok(outcome) => {
                    for trial in &outcome.held {
                        *result.tried.entry(trial.trouble).or_default() += 1;
                        let called = (trial.place.name.operation.clone(), trial.trouble);
                        *result.tried_at.entry(called).or_default() += 1;
                    }
                    result.void += outcome.void.len();
                    undone.retain(|t| !outcome.held.contains(t) && !outcome.void.contains(t));
                    if let Some((trial, broken)) = outcome.broken {
                        undone.retain(|t| *t != trial);
                        result.broken.push(report(job.story, &trial, &broken));
                    }
                }
                // Whose fault it was shows when each is tried alone.
                Err(_) if undone.len() > 1 => {
                    let alone = undone.drain(..).map(|trial| Job { trials: vec![trial], ..job.clone() });
                    jobs.lock().unwrap().extend(alone);
                }
                Err(panic) => {
                    let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                    let trial = undone.remove(0);
                    result.broken.push(report(job.story, &trial, &[said]));
                }
            }
            drop(all);
            if !undone.is_empty() {
                jobs.lock().unwrap().push_back(Job { trials: undone, ..job });
            }
        }
    });
    results.into_inner().unwrap()
}

/// Runs `work` on every stage at once. What it is given is the stage's number, and what makes the stage anew.
fn on_all(stages: &[Mutex<Option<Arc<Emulator>>>], work: impl Fn(usize, &dyn Fn() -> Stack) + Sync) {
    thread::scope(|scope| {
        for (n, slot) in stages.iter().enumerate() {
            let work = &work;
            scope.spawn(move || {
                work(n, &|| {
                    let mut slot = slot.lock().unwrap();
                    let emulator = slot.get_or_insert_with(|| Arc::new(Emulator::start().unwrap()));
                    Stack::over(emulator).unwrap()
                });
            });
        }
    });
}

/// A trial's name, stable from run to run.
fn id(story: &Story, trial: &Trial) -> String {
    format!("{}, {}, {trial}", story.name, story.steps[trial.place.step].what)
}

/// What went wrong, at once and for the end.
fn report(story: &Story, trial: &Trial, broken: &[String]) -> String {
    let id = id(story, trial);
    let report = format!(
        "{id}:\n    {}\n    again: {ONLY}='{}+{trial}' cargo test --workspace --test every_fault",
        broken.join("\n    "),
        story.name
    );
    tell(&format!("{report}\n"));
    report
}

/// Past the test's captured output: what takes minutes says meanwhile what it has found.
pub(crate) fn tell(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// The calls that a story is about.
fn places<'r>(story: &Story, records: &'r [Record]) -> Vec<&'r Place> {
    let about = |place: &&Place| story.about.iter().any(|part| place.name.to_string().contains(part));
    records.iter().flat_map(|r| &r.calls).filter(about).collect()
}

/// What is tried. A kill: at each call. Each kind of call in each story fails in each way, each way at another occurrence.
/// Of calls that change something, each kind in each step also fails at its first and at its last occurrence: refused
/// (a throttle; a 500 is no different to the caller), not sent, done with the reply lost, and with the reply lost once, where the
/// SDK's retry finds the call done. What can be stale is, wherever it is read.
fn trials(all: &[&Place], steps: usize) -> Vec<Trial> {
    let mut trials = BTreeSet::new();
    let mut attempt = |place: &Place, trouble| trials.insert(Trial { place: place.clone(), trouble });
    let mut kinds: BTreeMap<&Name, Vec<&Place>> = BTreeMap::new();
    for place in all {
        kinds.entry(&place.name).or_default().push(place);
        attempt(place, Trouble::KillBefore);
        if place.mutates {
            attempt(place, Trouble::KillAfter);
        }
        if can_be_stale(place) {
            attempt(place, Trouble::Stale);
        }
    }
    for places in kinds.values() {
        let failures = [Trouble::Throttle, Trouble::Error500, Trouble::Reset, Trouble::Lost, Trouble::TimeOut];
        for (n, trouble) in failures.into_iter().enumerate() {
            attempt(places[n * places.len() / failures.len()], trouble);
        }
        for step in 0..steps {
            let mut of_step = places.iter().filter(|p| p.mutates && p.step == step);
            let ends = [of_step.next(), of_step.next_back()];
            for place in ends.into_iter().flatten() {
                for trouble in [Trouble::Throttle, Trouble::Reset, Trouble::Lost, Trouble::LostOnce] {
                    attempt(place, trouble);
                }
            }
        }
    }
    trials.into_iter().collect()
}

/// The reads that the emulator can answer with the past.
fn can_be_stale(place: &Place) -> bool {
    [
        "elasticloadbalancing:DescribeTargetHealth",
        "ec2:DescribeVpcPeeringConnections",
        "ec2:DescribeRouteTables",
        "dynamodb:Query",
        SECRET,
    ]
    .contains(&place.name.operation.as_str())
}

/// Packs trials into plays: one in each step. Slow ones go together.
fn plays(trials: Vec<Trial>, steps: usize) -> Vec<Vec<Trial>> {
    let mut by_step: Vec<Vec<Trial>> = vec![Vec::new(); steps];
    for trial in trials {
        by_step[trial.place.step].push(trial);
    }
    for step in &mut by_step {
        step.sort_by_key(|t| t.trouble != Trouble::TimeOut);
    }
    let longest = by_step.iter().map(Vec::len).max().unwrap_or_default();
    (0..longest).map(|n| by_step.iter().filter_map(|step| step.get(n).cloned()).collect()).collect()
}
