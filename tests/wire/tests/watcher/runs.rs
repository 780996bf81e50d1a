//! Runs that overlap, die or find another at work.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use stack::{DnsServer, Fault, FaultKind, Zone};
use wire::{ACME, HOST, SECOND, Scene, text};

const BOTH: [&str; 2] = ["10.9.0.5:5432 draining", "10.9.0.6:5432 healthy"];

fn hangs(operation: &str, seconds: f64) -> Fault {
    Fault { seconds: Some(seconds), ..Fault::new(operation, FaultKind::Timeout) }
}

/// Waits until a call of that name has arrived.
fn arrived(scene: &Scene, mark: u64, name: &str) {
    for _ in 0..250 {
        if scene.names_since(mark).iter().any(|call| call == name) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{name} was not called: {:?}", scene.names_since(mark));
}

/// The watcher is killed while a call hangs, and a minute passes.
fn killed_in(operation: &str, kind: FaultKind) -> Scene {
    let mut scene = Scene::serving();
    scene.name_moves_to(&[SECOND]);
    scene.look(ACME);
    let fault = Fault { seconds: Some(3.0), ..Fault::new(operation, kind).times(2) };
    scene.stack.fault(&fault).unwrap();
    let mark = scene.mark();
    thread::scope(|scope| {
        let run = scope.spawn(|| scene.watcher.invoke(&json!({"cluster": ACME})));
        arrived(&scene, mark, operation);
        scene.watcher.kill();
        run.join().unwrap().unwrap_err();
    });
    scene.stack.clear_faults().unwrap();
    scene.watcher = scene.another_watcher();
    scene
}

/// The lease of a cluster's lock runs out.
fn lease_runs_out(scene: &Scene) {
    let mut item = scene.stack.item(&format!("lock#{ACME}"), "lock").unwrap().unwrap();
    let mut body: Value = serde_json::from_str(item["body"].as_str().unwrap()).unwrap();
    body["until"] = json!("2020-01-01T00:00:00Z");
    item["body"] = json!(body.to_string());
    scene.stack.put_item(&item).unwrap();
}

#[test]
fn w3_a_run_that_is_killed_in_the_middle_is_finished_by_the_next() {
    for operation in ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"] {
        let scene = killed_in(operation, FaultKind::Timeout);
        let owned = scene.state(ACME).unwrap()["endpoints"][scene.arn(ACME)]["owned"].to_string();
        assert!(owned.contains(SECOND), "the intent outlives the run: {owned}");
        let found = scene.look(ACME);
        assert_eq!([&found["outcome"], &found["reason"]], ["waiting", "Locked"], "{found:#}");
        assert!(scene.serving_targets(ACME) > 0, "{:?}", scene.targets(ACME));
        lease_runs_out(&scene);
        scene.settle(ACME);
        assert_eq!(scene.targets(ACME), BOTH, "{operation}");
    }
}

#[test]
fn w3_a_run_that_is_killed_after_its_call_took_effect_is_finished_by_the_next() {
    let mut scene = Scene::with_peering("active");
    scene.put(&scene.spec(ACME));
    // The route is made, its reply never comes, and then the process dies.
    scene.stack.fault(&Fault::new("ec2:CreateRoute", FaultKind::LostReply).times(1)).unwrap();
    scene.stack.fault(&hangs("ec2:CreateRoute", 3.0)).unwrap();
    let mark = scene.mark();
    thread::scope(|scope| {
        let run = scope.spawn(|| scene.watcher.invoke(&json!({})));
        arrived(&scene, mark, "ec2:CreateRoute");
        for _ in 0..100 {
            if !scene.routes().is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        scene.watcher.kill();
        run.join().unwrap().unwrap_err();
    });
    scene.stack.clear_faults().unwrap();
    scene.watcher = scene.another_watcher();
    lease_runs_out(&scene);
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), ["10.9.0.5:5432 healthy"]);
    assert_eq!(scene.routes().len(), 1);
    // It is known to be ours: it goes with the peering.
    scene.peering_becomes(ACME, "deleted");
    scene.look(ACME);
    assert!(scene.routes().is_empty());
}

#[test]
fn w4_watcher_case_overlapping_runs_end_as_one() {
    let scene = Scene::with_peering("active");
    let second = scene.another_watcher();
    scene.put(&scene.spec(ACME));
    let mark = scene.mark();
    let both = |payload: &Value| -> Vec<Value> {
        thread::scope(|scope| {
            let runs = [&scene.watcher, &second].map(|watcher| scope.spawn(|| watcher.invoke(payload).unwrap()));
            runs.map(|run| run.join().unwrap()).into()
        })
    };
    for step in 0..6 {
        if step == 2 {
            scene.name_moves_to(&[SECOND]);
        }
        for report in both(&json!({"cluster": ACME})) {
            let cluster = &report["clusters"][0];
            let fine = ["changed", "unchanged", "waiting"].contains(&text(&cluster["outcome"]).as_str());
            assert!(fine, "step {step}: {report:#}");
        }
        assert!(step == 0 || scene.serving_targets(ACME) > 0, "step {step}");
    }
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), BOTH);
    assert_eq!(scene.routes().len(), 1);
    let calls = scene.world_mutations_since(mark);
    let times = |name: &str| calls.iter().filter(|c| c.ends_with(name)).count();
    assert_eq!(
        [times(":CreateRoute"), times(":RegisterTargets"), times(":DeregisterTargets")],
        [1, 2, 1],
        "each once, as in one run: {calls:?}"
    );
    let mut transitions: Vec<String> = scene.notices();
    let all = transitions.len();
    transitions.dedup();
    assert_eq!(transitions.len(), all, "no notice twice: {transitions:?}");
}

/// A slow run reads the state, a fast one then does everything, and the slow one gets the lock after it.
#[test]
fn w4_a_run_that_read_an_old_state_plans_anew_under_the_lock() {
    let scene = Scene::with_peering("active");
    scene.put(&scene.spec(ACME));
    scene.watcher.kill();
    let silent = DnsServer::start().unwrap();
    silent.set(HOST, Zone::Silent);
    let mut environment = scene.environment.clone();
    // The first server says nothing for a second and a half, the second one answers.
    let resolvers = format!("{},{}", silent.address(), scene.stack.dns.address());
    environment.insert("PILOTHOUSE_RESOLVERS".to_owned(), resolvers);
    let slow = scene.stack.function("peering-watcher", &environment).unwrap();
    let mark = scene.mark();
    let (slow, fast) = thread::scope(|scope| {
        let run = scope.spawn(|| slow.invoke(&json!({"cluster": ACME})).unwrap());
        for _ in 0..250 {
            if !silent.queries().is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let fast = scene.another_watcher().invoke(&json!({"cluster": ACME})).unwrap();
        (run.join().unwrap(), fast)
    });
    assert_eq!(fast["clusters"][0]["reason"], "PrimaryRegistered", "{fast:#}");
    assert_eq!(slow["clusters"][0]["outcome"], "unchanged", "{slow:#}");
    assert_eq!(scene.world_mutations_since(mark), ["ec2:CreateRoute", "elasticloadbalancing:RegisterTargets"]);
}

fn lock(scene: &Scene, until: &str, wake: bool) {
    let body = json!({"owner": "somebody", "function": "asg-lifecycle", "until": until, "wake": wake});
    let item = json!({"pk": format!("lock#{ACME}"), "sk": "lock", "version": 1, "body": body.to_string()});
    scene.stack.put_item(&item).unwrap();
}

#[test]
fn w4_who_finds_the_lock_taken_waits_and_asks_for_one_more_look() {
    let scene = Scene::serving();
    lock(&scene, "2099-01-01T00:00:00Z", false);
    scene.name_moves_to(&[SECOND]);
    let mark = scene.mark();
    for _ in 0..2 {
        let found = scene.look(ACME);
        assert_eq!([&found["outcome"], &found["reason"]], ["waiting", "Locked"], "{found:#}");
        assert!(text(&found["message"]).contains("asg-lifecycle"), "who has it: {found:#}");
    }
    let held = scene.body(&format!("lock#{ACME}"), "lock").unwrap();
    assert_eq!([&held["owner"], &held["wake"]], [&json!("somebody"), &json!(true)]);
    assert_eq!(scene.mutations_since(mark), [""; 0]);
    assert_eq!(scene.writes_since(mark), ["dynamodb:PutItem"], "it asks once, and writes nothing else");
    lock(&scene, "2020-01-01T00:00:00Z", false);
    scene.settle(ACME);
    assert_eq!(scene.targets(ACME), BOTH);
}

#[test]
fn w4_a_holder_that_was_asked_makes_one_more_pass() {
    let scene = Scene::serving();
    let second = scene.another_watcher();
    scene.name_moves_to(&[SECOND]);
    scene.look(ACME);
    scene.stack.fault(&hangs("elasticloadbalancing:RegisterTargets", 1.5)).unwrap();
    let mark = scene.mark();
    let (reports, locked) = thread::scope(|scope| {
        let runs = [&scene.watcher, &second].map(|w| {
            let run = scope.spawn(|| w.invoke(&json!({"cluster": ACME})).unwrap());
            arrived(&scene, mark, "elasticloadbalancing:RegisterTargets");
            run
        });
        let reports = runs.map(|run| run.join().unwrap());
        let locked = reports.iter().filter(|r| r["clusters"][0]["reason"] == "Locked").count();
        (reports, locked)
    });
    assert_eq!(locked, 1, "{reports:#?}");
    let holder = reports.iter().find(|r| r["clusters"][0]["reason"] != "Locked").unwrap();
    assert_eq!(holder["passes"], 2, "{holder:#}");
    assert_eq!(scene.targets(ACME), BOTH);
}

#[test]
fn w7_every_run_ends_before_its_deadline_and_reports_each_cluster() {
    let scene = Scene::serving_all(&["alpha", "beta"]);
    for name in ["alpha", "beta"] {
        let host = format!("{name}.example.internal");
        let next = if name == "alpha" { "10.9.0.6" } else { "10.10.0.6" };
        scene.stack.dns.set(&host, Zone::addresses(&[next], 0));
    }
    scene.pass();
    scene.stack.lambda_timeout(9.0).unwrap();
    scene.stack.fault(&Fault { seconds: Some(12.0), ..hangs("elasticloadbalancing:*", 12.0).always() }).unwrap();
    let report = scene.watcher.invoke_within(&json!({}), Duration::from_secs(9)).unwrap();
    let reasons: Vec<String> = report["clusters"].as_array().unwrap().iter().map(|c| text(&c["reason"])).collect();
    assert_eq!(reasons, ["DeadlineNear", "DeadlineNear"], "{report:#}");
    assert_eq!(report["counts"], json!({"failed": 2}));
    scene.stack.clear_faults().unwrap();
    assert_eq!(scene.targets("alpha"), ["10.9.0.5:5432 healthy"]);
}
