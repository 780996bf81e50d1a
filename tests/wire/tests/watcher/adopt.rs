//! The five steps of docs/adopt.md: a target group that another watcher, or a person, filled before us becomes ours.

use serde_json::{Value, json};
use wire::{ACME, FIRST, SECOND, Scene, THIRD, condition, text};

/// The name answers the second server, and so did another watcher follow it: registered beside the first one, which it left
/// behind. Springtail's does so at each failover (docs/adopt.md). The route is somebody's too.
fn filled_by_another_watcher() -> Scene {
    let scene = Scene::with_peering("active");
    let table = scene.made.route_table_ids.first().unwrap();
    scene.stack.put_route(table, "10.9.0.0/16", &scene.connection(ACME), false).unwrap();
    for address in [FIRST, SECOND] {
        register_by_hand(&scene, address);
    }
    scene.name_moves_to(&[SECOND]);
    scene
}

/// The spec that is put: its deletion leaves everything where it is.
fn retaining(scene: &Scene) -> Value {
    scene.spec_with(ACME, &[("/deletion", json!("retain"))])
}

fn register_by_hand(scene: &Scene, address: &str) {
    scene.stack.register_target(&scene.arn(ACME), address, 5432, Some("all")).unwrap();
}

/// A look, before and after which the primary takes connections.
#[track_caller]
fn look_while_serving(scene: &Scene, primary: &str) -> Value {
    let healthy = format!("{primary}:5432 healthy");
    assert!(scene.targets(ACME).contains(&healthy), "before: {:?}", scene.targets(ACME));
    let found = scene.look(ACME);
    assert!(scene.targets(ACME).contains(&healthy), "{:?} after {found:#}", scene.targets(ACME));
    found
}

/// The guide shows this line, as somebody who follows it sees it.
#[track_caller]
fn is_shown(line: &str) {
    let guide = include_str!("../../../../docs/adopt.md");
    assert!(guide.lines().any(|shown| shown == line), "docs/adopt.md does not show: {line}");
}

fn pause(scene: &Scene) {
    let answer = scene.ask_registry(&json!({"pause": {"by": "ops", "reason": "moving over"}}));
    assert_eq!(answer["ok"], true, "{answer:#}");
}

fn resume(scene: &Scene) {
    let answer = scene.ask_registry(&json!({"resume": {"by": "ops", "reason": "the old watcher is stopped"}}));
    assert_eq!([&answer["ok"], &answer["changed"]], [true, true], "{answer:#}");
}

#[test]
fn w2_a_group_of_another_watcher_is_adopted_in_five_steps_and_nothing_is_interrupted() {
    let scene = filled_by_another_watcher();
    let (before, mark) = (scene.targets(ACME), scene.mark());
    assert_eq!(before, ["10.9.0.5:5432 healthy", "10.9.0.6:5432 healthy"]);

    // 1. Paused before there is anything to look after. 2. The tag: what it allows is the role's matter, docs/permissions.md.
    pause(&scene);
    scene.pass();

    // 3. The spec, as it should stay: `retain` is the way back.
    scene.put(&retaining(&scene));
    let writes = scene.mark();
    let plan = scene.watcher.invoke(&json!({"cluster": ACME, "dry_run": true})).unwrap();
    assert_eq!(scene.writes_since(writes), [""; 0], "a dry run is not remembered");
    assert_eq!(plan.pointer("/clusters/0/actions"), Some(&json!([])), "all that is wanted is there: {plan:#}");
    let said = plan["text"].as_array().unwrap();
    said.iter().map(text).filter(|line| !line.contains("pcx-")).for_each(|line| is_shown(&line));
    for _ in 0..3 {
        let found = look_while_serving(&scene, SECOND);
        assert_eq!(condition(&found, "Registered"), "false ForeignTarget", "{found:#}");
        assert!(text(&found["conditions"]["Registered"]["message"]).contains("10.9.0.5:5432"), "{found:#}");
    }
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);

    // 4. The old watcher is stopped. What it registered for the name is ours now; what it left behind is not.
    resume(&scene);
    for _ in 0..3 {
        let found = look_while_serving(&scene, SECOND);
        assert_eq!([&found["outcome"], &found["reason"]], ["blocked", "ForeignTarget"], "{found:#}");
    }
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
    assert_eq!(scene.targets(ACME), before);

    // 5. What it left behind goes by a person's word, and not before.
    scene.acknowledge(ACME, "ForeignTarget:10.9.0.5:5432");
    let found = look_while_serving(&scene, SECOND);
    let headline = ["outcome", "reason", "message"].map(|field| text(&found[field]));
    is_shown(&format!("acme-prod: {} ({}). {}", headline[0], headline[1], headline[2]));
    assert_eq!(scene.world_mutations_since(mark), ["elasticloadbalancing:DeregisterTargets"]);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);
    scene.settle(ACME);
    assert_eq!(scene.routes(), [format!("10.9.0.0/16 {} active", scene.connection(ACME))], "as it was found");
}

#[test]
fn w2_a_failover_in_the_middle_of_the_move_is_the_old_watchers_until_the_pause_ends() {
    let scene = filled_by_another_watcher();
    pause(&scene);
    scene.put(&scene.spec(ACME));
    look_while_serving(&scene, SECOND);
    let mark = scene.mark();

    scene.name_moves_to(&[THIRD]);
    look_while_serving(&scene, SECOND);
    let found = look_while_serving(&scene, SECOND);
    assert_eq!([&found["outcome"], &found["reason"]], ["blocked", "FleetPaused"], "{found:#}");
    assert!(text(&found["message"]).contains("RegisterTarget 10.9.0.7:5432"), "what waits: {found:#}");
    register_by_hand(&scene, THIRD);
    for _ in 0..2 {
        look_while_serving(&scene, THIRD);
    }
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);

    resume(&scene);
    for _ in 0..3 {
        look_while_serving(&scene, THIRD);
    }
    // The second server was found serving as the primary, so it was ours, and its replacement is healthy. The first never was.
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy", "10.9.0.6:5432 draining", "10.9.0.7:5432 healthy"]);
    assert_eq!(scene.world_mutations_since(mark), ["elasticloadbalancing:DeregisterTargets"]);
}

#[test]
fn w2_whoever_goes_back_leaves_every_target_and_route_where_it_is() {
    // From the third step, still paused, and from the fourth.
    for paused in [true, false] {
        let scene = filled_by_another_watcher();
        let before = (scene.targets(ACME), scene.routes());
        let mark = scene.mark();
        if paused {
            pause(&scene);
        }
        scene.put(&retaining(&scene));
        for _ in 0..3 {
            look_while_serving(&scene, SECOND);
        }
        scene.delete(ACME);
        for _ in 0..3 {
            scene.pass();
        }
        assert_eq!(scene.left_of(ACME), [""; 0], "paused {paused}: nobody's now, and free to be put again");
        assert_eq!((scene.targets(ACME), scene.routes()), before, "paused {paused}");
        assert_eq!(scene.world_mutations_since(mark), [""; 0], "paused {paused}");
    }
}

#[test]
fn w2_a_target_that_was_handed_over_by_mistake_is_put_back_by_hand_and_stays() {
    let mut scene = filled_by_another_watcher();
    scene.put(&retaining(&scene));
    look_while_serving(&scene, SECOND);
    scene.acknowledge(ACME, "ForeignTarget:10.9.0.5:5432");
    for _ in 0..3 {
        look_while_serving(&scene, SECOND);
    }
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"]);
    scene.reads_catch_up(ACME);
    look_while_serving(&scene, SECOND);
    register_by_hand(&scene, FIRST);
    // A settled group is read once a minute; a new process reads it at once.
    scene.cold_start();
    let mark = scene.mark();
    for _ in 0..3 {
        let found = look_while_serving(&scene, SECOND);
        assert_eq!(condition(&found, "Registered"), "false ForeignTarget", "{found:#}");
    }
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy", "10.9.0.6:5432 healthy"]);
    assert_eq!(scene.world_mutations_since(mark), [""; 0]);
}
