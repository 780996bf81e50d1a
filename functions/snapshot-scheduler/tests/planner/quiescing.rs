//! Whether a node's file systems may be frozen, and what a set is graded (S2).

use runtime::records::Grade;
use serde_json::json;
use snapshot_scheduler::action::Action;
use snapshot_scheduler::survey::{Frozen, Quiesce, frozen, quiesce, read};

use crate::taking::due;
use crate::world::{World, answer, freezes, spec};

fn filesystem(change: impl FnOnce(&mut serde_json::Value)) -> domain::spec::snapshots::Filesystem {
    let spec = spec(|s| {
        freezes(s);
        change(&mut s["filesystem"]);
    });
    spec.snapshots.unwrap().filesystem.unwrap()
}

fn said(lines: &str) -> snapshot_scheduler::survey::Layout {
    read(&answer("i-2", "replica").replace("checkpoint\t", &format!("{lines}checkpoint\t"))).unwrap()
}

#[test]
fn s2_a_standby_whose_data_lies_on_the_mounts_that_the_spec_names_is_frozen() {
    let plain = said("");
    assert_eq!(quiesce(&plain, &filesystem(|_| {}), false, false), Quiesce::Freeze(vec!["/pg".to_owned()]));
}

#[test]
fn s2_what_is_never_frozen() {
    let plain = said("");
    let leads = read(&answer("i-2", "leader")).unwrap();
    let none = |_: &mut serde_json::Value| {};
    let cases = [
        ("a synchronous standby", quiesce(&plain, &filesystem(none), false, true), "synchronous standby"),
        ("a leader", quiesce(&plain, &filesystem(none), true, false), "the node leads"),
        ("one that has been promoted since", quiesce(&leads, &filesystem(none), false, false), "the node leads"),
        ("etcd", quiesce(&said("holds\t/pg\tetcd\n"), &filesystem(none), false, false), "/pg holds etcd"),
        ("Patroni", quiesce(&said("holds\t/pg\tpatroni\n"), &filesystem(none), false, false), "/pg holds patroni"),
        (
            "etcd on another mount of the spec",
            quiesce(
                &said("holds\t/var/lib\tetcd\n"),
                &filesystem(|f| f["mounts"] = json!(["/pg", "/var/lib"])),
                false,
                false,
            ),
            "/var/lib holds etcd",
        ),
        (
            "a mount that the spec does not name",
            quiesce(&said("place\t16401\t/fast/ts\t/fast\n"), &filesystem(none), false, false),
            "/fast, which `filesystem.mounts` does not name",
        ),
    ];
    for (case, quiesce, why) in cases {
        assert!(matches!(&quiesce, Quiesce::Not(text) if text.contains(why)), "{case}: {quiesce:?}");
    }
    let allowed = filesystem(|f| f["allow_leader"] = json!(true));
    assert_eq!(quiesce(&leads, &allowed, true, false), Quiesce::Freeze(vec!["/pg".to_owned()]));
    assert!(matches!(quiesce(&leads, &allowed, true, true), Quiesce::Not(_)), "allowed or not");
    let elsewhere = said("holds\t/var\tetcd\n");
    assert!(matches!(quiesce(&elsewhere, &filesystem(none), false, false), Quiesce::Freeze(_)), "not ours to freeze");
}

#[test]
fn s2_zfs_needs_no_freezing() {
    let zfs = filesystem(|f| f["kind"] = json!("zfs"));
    assert!(matches!(quiesce(&said(""), &zfs, false, false), Quiesce::Not(why) if why == "/pg is no ZFS"));
    let layout = read(&answer("i-2", "leader").replace("ext4", "zfs")).unwrap();
    assert_eq!(quiesce(&layout, &zfs, true, true), Quiesce::Needless);
}

/// What a set comes to where nothing is frozen, and what is frozen.
#[test]
fn s2_the_plan_freezes_what_may_be_and_takes_the_rest_as_it_is() {
    type Change = fn(&mut World);
    let cases: [(&str, bool, Grade, &str, Change); 5] = [
        ("frozen", true, Grade::Crash, "checkpoint written", |_| {}),
        ("promoted since", false, Grade::Crash, "not frozen: the node leads", |w| {
            w.says("i-2", &answer("i-2", "leader"))
        }),
        ("etcd", false, Grade::Crash, "not frozen: /pg holds etcd", |w| {
            w.says("i-2", &answer("i-2", "replica").replace("checkpoint\t", "holds\t/pg\tetcd\ncheckpoint\t"));
        }),
        ("crash", false, Grade::Crash, "checkpoint written", |w| w.spec = spec(|_| {})),
        ("zfs", false, Grade::Filesystem, "ZFS needs no freezing", |w| {
            w.spec = spec(|s| {
                freezes(s);
                s["filesystem"]["kind"] = json!("zfs");
            });
            w.says("i-2", &answer("i-2", "replica").replace("ext4", "zfs"));
        }),
    ];
    for (case, freeze, grade, note, change) in cases {
        let mut world = due();
        world.spec = spec(freezes);
        change(&mut world);
        assert_eq!(world.pass(), ["SurveyNode"], "{case}");
        assert_eq!(world.after(5).pass(), ["TakeSet"], "{case}");
        let Some(Action::TakeSet { freeze: mounts, unfrozen, .. }) = world.done.last() else { panic!() };
        assert_eq!((!mounts.is_empty(), *unfrozen), (freeze, grade), "{case}");
        assert!(world.points[0].note.contains(note), "{case}: {}", world.points[0].note);
    }
}

/// Who leads, and for whom commits wait, is known from when the node was chosen: after three quarters of a minute nothing is
/// frozen by it.
#[test]
fn s2_an_answer_that_comes_late_freezes_nothing() {
    for (seconds, freeze, note) in [(45, true, "checkpoint written"), (46, false, "its answer came late")] {
        let mut world = due();
        world.spec = spec(freezes);
        assert_eq!(world.pass(), ["SurveyNode"]);
        assert_eq!(world.after(seconds).pass(), ["TakeSet"], "{seconds}");
        let Some(Action::TakeSet { freeze: mounts, unfrozen, .. }) = world.done.last() else { panic!() };
        assert_eq!((!mounts.is_empty(), *unfrozen), (freeze, Grade::Crash), "{seconds}");
        assert!(world.points[0].note.contains(note), "{seconds}: {}", world.points[0].note);
    }
}

/// Where the leader may be frozen it comes before a synchronous standby, which never is.
#[test]
fn s2_the_leader_is_frozen_before_a_synchronous_standby_is_asked_where_that_is_allowed() {
    for (allowed, instance) in [(true, "i-1"), (false, "i-2")] {
        let mut world = due();
        world.spec = spec(|s| {
            freezes(s);
            s["filesystem"]["allow_leader"] = json!(allowed);
        });
        world.node("i-2", reach::nodes::Part::Replica { synchronous: true });
        world.postgres.remove("i-3");
        world.pass();
        assert_eq!(world.state.taking.as_ref().unwrap().survey.as_ref().unwrap().instance, instance);
    }
}

#[test]
fn snapshot_case_7_the_grade_is_what_the_node_says_after_the_call() {
    let mounts = ["/pg".to_owned(), "/wal".to_owned()];
    let both = "mount\t/pg\tstill\t2\nmount\t/wal\tstill\t2\n";
    assert_eq!(frozen(both, &mounts), Frozen::Throughout);
    let cases = [
        ("mount\t/pg\tstill\t2\nmount\t/wal\tearly\t5\n", "/wal had thawed by itself"),
        ("mount\t/pg\tstill\t2\n", "did not say how long /wal"),
        ("mount\t/pg\tnot-frozen\nmount\t/wal\tstill\t2\n", "/pg: not-frozen"),
        ("", "did not say how long /pg"),
    ];
    for (text, why) in cases {
        let said = frozen(text, &mounts);
        assert!(matches!(&said, Frozen::Broken(text) if text.contains(why)), "{said:?}");
    }
}
