//! The safety gate alone: every action that breaks an invariant is stopped, whoever planned it.

use ports::NewSet;
use reach::nodes::Seen;
use runtime::records::{Hold, Phase};
use serde_json::json;
use snapshot_scheduler::action::Action;
use snapshot_scheduler::observed::Observed;
use snapshot_scheduler::plan::Plan;
use snapshot_scheduler::sets;

use crate::taking::due;
use crate::world::{AWAY, HOME, World, at, copies_to_away, freezes, spec};

const NONE: [&str; 0] = [];

/// A world whose next plan takes a set with a freeze.
fn about_to_take() -> World {
    let mut world = due();
    world.spec = spec(freezes);
    world.pass();
    world.after(5);
    assert_eq!(world.look().actions[0].name(), "TakeSet");
    world
}

fn new(plan: &mut Plan) -> &mut NewSet {
    match &mut plan.actions[0] {
        Action::TakeSet { new, .. } => new,
        other => panic!("{other:?}"),
    }
}

fn mounts(plan: &mut Plan) -> &mut Vec<String> {
    match &mut plan.actions[0] {
        Action::TakeSet { freeze, .. } => freeze,
        other => panic!("{other:?}"),
    }
}

#[test]
fn s1_s2_s5_s6_what_is_taken_is_on_record_and_ours_and_whole_and_frozen_only_where_it_may_be() {
    let world = about_to_take();
    assert_eq!(world.objections(|_, _| {}), NONE);
    type Change = fn(&mut Plan, &mut Observed);
    let cases: [(&str, &str, Change); 13] = [
        ("no record", "S6", |p, _| p.points.clear()),
        ("a record that is no intent", "S6", |p, _| p.points[0].phase = Phase::Complete),
        ("another Region's record", "S6", |p, _| p.points[0].region = AWAY.to_owned()),
        ("another set's tag", "S5", |p, _| {
            new(p).tags.insert(sets::SET.to_owned(), "acme.20261121T060000Z.1".to_owned());
        }),
        ("another cluster's tag", "S5", |p, _| {
            new(p).tags.insert(sets::CLUSTER.to_owned(), "other".to_owned());
        }),
        ("no tags", "S5", |p, _| new(p).tags.clear()),
        ("no members", "S1", |p, _| p.points[0].members.clear()),
        ("a member that is left out", "S1", |p, _| new(p).exclude.push("vol-a2".to_owned())),
        ("more left out than a call takes", "S1", |p, _| {
            new(p).exclude = (0..=sets::MOST_EXCLUDED).map(|n| format!("vol-{n}")).collect();
        }),
        ("a synchronous standby", "S2", |p, _| {
            p.state.taking.as_mut().unwrap().survey.as_mut().unwrap().synchronous = true;
        }),
        ("a leader, as it was chosen", "S2", |p, _| {
            p.state.taking.as_mut().unwrap().survey.as_mut().unwrap().leads = true;
        }),
        ("a leader, as it says", "S2", |p, _| p.points[0].origin.role = "leader".to_owned()),
        ("a mount that nobody named", "S2", |p, _| mounts(p).push("/".to_owned())),
    ];
    for (case, invariant, change) in cases {
        assert_eq!(world.objections(change), [invariant], "{case}");
    }
    let unasked = |p: &mut Plan, _: &mut Observed| p.state.taking = None;
    assert_eq!(world.objections(unasked), ["S2"], "nobody asked the node");
    let mut world = about_to_take();
    world.spec = spec(|_| {});
    let freezes = |p: &mut Plan, _: &mut Observed| mounts(p).push("/pg".to_owned());
    assert_eq!(world.objections(freezes), ["S2"], "the spec names no file system");
    let mut world = about_to_take();
    world.spec = spec(|s| {
        freezes_with_leader(s);
    });
    let leads = |p: &mut Plan, _: &mut Observed| p.points[0].origin.role = "leader".to_owned();
    assert_eq!(world.objections(leads), NONE, "a leader where that is allowed");
}

fn freezes_with_leader(s: &mut serde_json::Value) {
    freezes(s);
    s["filesystem"]["allow_leader"] = json!(true);
}

#[test]
fn s1_only_a_good_restore_point_is_copied() {
    let mut world = World::known(copies_to_away);
    world.had("2026-11-21T06:00:00Z");
    assert_eq!(world.look().actions.len(), 2);
    assert_eq!(world.objections(|_, _| {}), NONE);
    let home = |p: &mut Plan| p.points.iter().position(|point| point.region == HOME).unwrap();
    assert_eq!(
        world.objections(|p, _| {
            let at = home(p);
            p.points[at].good = false;
        }),
        ["S1", "S1"]
    );
    let other = |p: &mut Plan, _: &mut Observed| {
        if let Action::CopySnapshot { copy, .. } = &mut p.actions[0] {
            copy.source = "snap-9999".to_owned();
        }
    };
    assert_eq!(world.objections(other), ["S1"], "a snapshot that is no member");
}

/// A world whose next plan deletes the oldest of three, member by member.
fn about_to_delete() -> (World, String) {
    let mut world = World::known(|s| s["retention"] = json!({"last": 2}));
    world.until("2026-11-21T01:00:00Z");
    world.state.clock = world.now;
    let oldest = world.had("2026-11-20T12:00:00Z");
    world.had("2026-11-20T18:00:00Z");
    world.had("2026-11-21T00:00:00Z");
    world.state.last_slot = Some(at("2026-11-21T00:00:00Z"));
    assert_eq!(world.pass(), ["MarkDeleting"]);
    world.after(5);
    assert_eq!(world.look().actions.len(), 2);
    (world, oldest)
}

#[test]
fn s3_s4_s5_only_what_is_marked_and_ours_and_not_the_last_is_deleted() {
    let (world, _) = about_to_delete();
    assert_eq!(world.objections(|_, _| {}), NONE);
    type Change = fn(&mut Plan, &mut Observed);
    let cases: [(&str, &str, Change); 11] = [
        ("not listed", "S4", |_, s| {
            s.listed.insert(HOME.to_owned(), Seen::Unknown("throttled".to_owned()));
        }),
        ("another deployment's", "S5", |_, s| retag(s, sets::DEPLOYMENT, "other")),
        ("another cluster's", "S5", |_, s| retag(s, sets::CLUSTER, "other")),
        ("another set's", "S5", |_, s| retag(s, sets::SET, "acme.20261120T180000Z.1")),
        ("a snapshot that is not there", "S5", |p, _| aim(p, "snap-9999")),
        ("a member of another set", "S5", |p, _| aim(p, "snap-0003")),
        ("a set that is not marked", "S3", |p, _| p.points[0].phase = Phase::Complete),
        ("a set that is pending", "S3", |p, _| p.points[0].phase = Phase::Pending),
        ("one that is held", "S3", |_, s| {
            let hold = Hold { by: "ada".to_owned(), at: s.points[0].taken_at, until: None };
            s.points[0].good = true;
            s.points[0].holds.insert("audit".to_owned(), hold);
        }),
        ("the newest good one", "S3", |p, s| {
            s.points[0].good = true;
            p.points.iter_mut().skip(1).for_each(|point| point.good = false);
        }),
        ("the newest is overdue", "S4", |p, _| {
            for point in &mut p.points {
                point.taken_at = at("2026-11-20T10:00:00Z");
            }
        }),
    ];
    for (case, invariant, change) in cases {
        let objections = world.objections(change);
        assert!(!objections.is_empty() && objections.iter().all(|o| *o == invariant), "{case}: {objections:?}");
    }
    let mark = |p: &mut Plan, _: &mut Observed| {
        p.points[0].phase = Phase::Complete;
        let (set, snapshots) = (p.points[0].set.clone(), vec!["snap-0001".to_owned()]);
        p.actions = vec![Action::MarkDeleting { set, region: HOME.to_owned(), snapshots }];
    };
    assert_eq!(world.objections(mark), ["S3"], "a mark is as good as a deletion");
}

fn retag(seen: &mut Observed, key: &str, value: &str) {
    let Some(Seen::Known(listed)) = seen.listed.get_mut(HOME) else { panic!() };
    for snapshot in listed {
        snapshot.tags.insert(key.to_owned(), value.to_owned());
    }
}

/// Aims the first deletion at another snapshot, and leaves the other out.
fn aim(plan: &mut Plan, id: &str) {
    plan.actions.truncate(1);
    if let Action::DeleteSnapshot { snapshot, .. } = &mut plan.actions[0] {
        *snapshot = id.to_owned();
    }
}
