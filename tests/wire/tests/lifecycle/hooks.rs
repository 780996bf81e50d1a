//! What is wrong with the group itself is a condition with a reason.

use serde_json::json;
use stack::{Fault, Group, GroupHook};
use wire::condition;

use crate::stage::{HEARTBEAT, LAUNCH, Stage, TERMINATE, hooks};

fn hook(name: &str, transition: &str, heartbeat_timeout: u32, default_result: &str) -> GroupHook {
    let (name, transition) = (name.to_owned(), transition.to_owned());
    GroupHook { name, transition, heartbeat_timeout, default_result: default_result.to_owned() }
}

#[test]
fn what_is_wrong_with_hooks_is_said() {
    let mut stage = Stage::serving(3);
    assert_eq!(condition(&stage.pass(), "GroupReady"), "true GroupConfigured");
    let good = hooks(HEARTBEAT);
    let (launch, terminate) = (good[0].clone(), good[1].clone());
    for (hooks, reason) in [
        (vec![launch.clone()], "HookMissing"),
        (vec![terminate.clone()], "HookMissing"),
        (vec![launch.clone(), hook(TERMINATE, "launching", HEARTBEAT, "ABANDON")], "HookMissing"),
        (vec![hook(LAUNCH, "launching", HEARTBEAT, "ABANDON"), terminate], "LaunchDefaultAbandons"),
        (vec![launch.clone(), hook(TERMINATE, "terminating", HEARTBEAT, "CONTINUE")], "TerminateDefaultContinues"),
        (vec![launch, hook(TERMINATE, "terminating", 60, "ABANDON")], "HookTimeoutShort"),
    ] {
        stage.group(Group { hooks: Some(hooks.clone()), ..Group::default() });
        let report = stage.pass();
        assert_eq!(condition(&report, "GroupReady"), format!("false {reason}"), "{hooks:?}: {report:#}");
        assert!(["blocked", "waiting"].contains(&report["outcome"].as_str().unwrap()), "{report:#}");
    }
    stage.group(Group { hooks: Some(good), ..Group::default() });
    assert_eq!(condition(&stage.pass(), "GroupReady"), "true GroupConfigured");
    let told = stage.told("GroupReady");
    assert!(told.contains(&"HookTimeoutShort".to_owned()) && told.len() <= 8, "{told:?}");
}

#[test]
fn what_is_wrong_with_the_group_is_said() {
    let stage = Stage::serving(3);
    let more = |name: &str, value| Group { more: [(name.to_owned(), value)].into(), ..Group::default() };
    let retain = |word: &str| Group { terminate_hook_abandon: Some(word.to_owned()), ..Group::default() };
    let mut stage = stage;
    let spot = json!({"InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 0}});
    for (wrong, right, reason) in [
        (more("target_groups", json!([stage.arn("writer")])), more("target_groups", json!([])), "GroupAttached"),
        (more("load_balancers", json!(["classic"])), more("load_balancers", json!([])), "GroupAttached"),
        (retain("terminate"), retain("retain"), "RetainPolicyMissing"),
        (more("mixed_instances", spot), more("mixed_instances", json!(null)), "SpotCapacity"),
        (more("warm_pool", json!({"MinSize": 1})), more("warm_pool", json!(null)), "WarmPool"),
    ] {
        stage.group(wrong);
        let report = stage.pass();
        assert_eq!(condition(&report, "GroupReady"), format!("false {reason}"), "{report:#}");
        stage.group(right);
        assert_eq!(condition(&stage.pass(), "GroupReady"), "true GroupConfigured", "after {reason}");
    }
    let hold = json!({"on_unsafe": "hold"});
    stage.put_nodes(&hold);
    stage.group(retain("terminate"));
    assert_eq!(condition(&stage.pass(), "GroupReady"), "true GroupConfigured", "it is not needed where nodes are held");
    stage.put_nodes(&json!({"asg": "nobodys-group"}));
    let report = stage.pass();
    assert_eq!(condition(&report, "GroupReady"), "false GroupNotFound");
    assert_eq!(report["outcome"], "blocked", "{report:#}");
}

#[test]
fn a_group_that_cannot_be_read_is_no_group_without_nodes() {
    let mut stage = Stage::serving(3);
    let replica = stage.nodes[2].clone();
    stage.terminate(&replica);
    let mark = stage.mark();
    for (call, condition_says) in
        [("autoscaling:DescribeAutoScalingGroups", "GroupUnreadable"), ("ec2:DescribeInstances", "InstanceUnreadable")]
    {
        stage.stack.fault(&Fault::code(call, "AccessDenied").always()).unwrap();
        for _ in 0..2 {
            let report = stage.pass_after(20);
            assert!(report.to_string().contains(condition_says), "{report:#}");
            assert_eq!(report["outcome"], "failed", "{report:#}");
        }
        stage.stack.clear_faults().unwrap();
        assert_eq!(stage.changes_since(mark), [""; 0], "{call}");
    }
    stage.until("the answer", |stage| stage.answer(&replica, TERMINATE) == "CONTINUE");
}
