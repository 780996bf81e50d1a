//! The catalogue as it stands fits the sources: what `make mutations` finds after minutes is found here at once.

#![cfg(test)] // for clippy: `unwrap` and the like are for tests alone

use std::collections::BTreeSet;

use house::files;
use mutations::catalogue;

#[test]
fn every_mutation_replaces_a_text_that_is_there_once() {
    let found: Vec<String> = catalogue::all()
        .iter()
        .filter_map(|m| match files::read(m.file).matches(m.find).count() {
            1 if m.find != m.replace => None,
            1 => Some(format!("{}: it changes nothing", m.name)),
            n => Some(format!("{}: `{}` is {n} times in {}", m.name, m.find, m.file)),
        })
        .collect();
    house::assert_none(&found, "The code moved: say in tests/mutations/src/catalogue what breaks it now.");
}

#[test]
fn every_mutation_names_tests_that_exist_and_has_a_name_of_its_own() {
    let tests: BTreeSet<String> =
        files::all().iter().filter(|f| f.is_rust()).flat_map(|f| files::tests_in(&f.text)).collect();
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    for m in catalogue::all() {
        found.extend((!names.insert(m.name)).then(|| format!("{}: the name is used twice", m.name)));
        found.extend(m.caught_by.is_empty().then(|| format!("{}: no test is named", m.name)));
        let missing = m.caught_by.iter().filter(|test| !tests.contains(**test));
        found.extend(missing.map(|test| format!("{}: there is no test {test}", m.name)));
    }
    house::assert_none(&found, "Name the tests that notice: `make mutations` shows whether they do.");
}

#[test]
fn every_part_that_decides_is_broken_somewhere() {
    let parts = [
        "shared/domain/src/address.rs",
        "shared/domain/src/retention.rs",
        "shared/domain/src/retention/brakes.rs",
        "shared/domain/src/retention/ending.rs",
        "shared/domain/src/retention/floors.rs",
        "shared/domain/src/retention/plan.rs",
        "shared/domain/src/retention/rules.rs",
        "shared/domain/src/slots.rs",
        "functions/asg-lifecycle/src/check.rs",
        "functions/asg-lifecycle/src/plan/candidate.rs",
        "functions/asg-lifecycle/src/plan/digest.rs",
        "functions/asg-lifecycle/src/plan/etcd.rs",
        "functions/asg-lifecycle/src/plan/heartbeat.rs",
        "functions/asg-lifecycle/src/plan/join.rs",
        "functions/asg-lifecycle/src/plan/join/bootstrap.rs",
        "functions/asg-lifecycle/src/plan/join/following.rs",
        "functions/asg-lifecycle/src/plan/join/learner.rs",
        "functions/asg-lifecycle/src/plan/leave.rs",
        "functions/asg-lifecycle/src/plan/leave/gate.rs",
        "functions/asg-lifecycle/src/plan/leave/stop.rs",
        "functions/asg-lifecycle/src/plan/mod.rs",
        "functions/asg-lifecycle/src/plan/quorum.rs",
        "functions/asg-lifecycle/src/plan/refusal.rs",
        "functions/asg-lifecycle/src/plan/roster.rs",
        "functions/asg-lifecycle/src/plan/turns.rs",
        "functions/peering-watcher/src/admission.rs",
        "functions/peering-watcher/src/check.rs",
        "functions/peering-watcher/src/plan/desired.rs",
        "functions/peering-watcher/src/plan/hold.rs",
        "functions/peering-watcher/src/plan/mod.rs",
        "functions/peering-watcher/src/plan/peerings.rs",
        "functions/peering-watcher/src/plan/routes.rs",
        "functions/peering-watcher/src/plan/targets.rs",
        "functions/snapshot-scheduler/src/check.rs",
        "functions/snapshot-scheduler/src/plan/again.rs",
        "functions/snapshot-scheduler/src/plan/books.rs",
        "functions/snapshot-scheduler/src/plan/choose.rs",
        "functions/snapshot-scheduler/src/plan/clock.rs",
        "functions/snapshot-scheduler/src/plan/copies.rs",
        "functions/snapshot-scheduler/src/plan/delete.rs",
        "functions/snapshot-scheduler/src/plan/ending.rs",
        "functions/snapshot-scheduler/src/plan/holds.rs",
        "functions/snapshot-scheduler/src/plan/keep.rs",
        "functions/snapshot-scheduler/src/plan/mod.rs",
        "functions/snapshot-scheduler/src/plan/take.rs",
        "functions/snapshot-scheduler/src/plan/turns.rs",
        "functions/snapshot-scheduler/src/sets.rs",
        "functions/snapshot-scheduler/src/survey.rs",
    ];
    let all = catalogue::all();
    let found: Vec<String> =
        parts.iter().filter(|part| !all.iter().any(|m| m.file == **part)).map(|part| (*part).to_owned()).collect();
    house::assert_none(&found, "Break it in one way at least.");
}
