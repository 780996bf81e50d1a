//! The emulator's groups, instances, volumes and commands, as AWS's Python SDK reads them. Needs `make venv`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes helpers of a test for no test"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use stack::{Control, Error, Fault, FaultKind, Group, GroupHook, Need, NewInstance, RunsIn, Stack, World};

const GROUP: &str = "acme-pg";
const HEARTBEAT: u32 = 300;

/// A world with a group of these hooks, where nothing takes time.
fn stage(hooks: &[GroupHook], change: impl FnOnce(&mut Group)) -> Stack {
    let stack = stack::acquire().unwrap();
    stack.world(&World { zones: Some(3), ..World::default() }).unwrap();
    let pace =
        ["pending", "shutdown", "transition", "volume", "command_unknown"].map(|name| (name.to_owned(), json!(0)));
    stack.pace(&Value::Object(pace.into_iter().collect())).unwrap();
    let mut group = Group {
        name: GROUP.to_owned(),
        zones: Some(["a", "b", "c"].map(|zone| format!("us-east-1{zone}")).to_vec()),
        hooks: Some(hooks.to_vec()),
        tags: Some(BTreeMap::from([("pilothouse:cluster".to_owned(), "acme".to_owned())])),
        ..Group::default()
    };
    change(&mut group);
    stack.group(&group).unwrap();
    stack
}

fn launched(control: &Control, state: Option<&str>, run: Option<RunsIn>) -> String {
    let state = state.map(str::to_owned);
    let new = NewInstance { group: Some(GROUP.to_owned()), state, run, ..NewInstance::default() };
    control.launch(&new).unwrap().instance_id
}

/// Of the group, as the SDK sees them: each instance's state.
fn states(control: &Control) -> Vec<String> {
    let found = control.aws("autoscaling", "DescribeAutoScalingGroups", &json!({})).unwrap();
    let instances = found["AutoScalingGroups"][0]["Instances"].as_array().cloned().unwrap_or_default();
    instances.iter().map(|one| one["LifecycleState"].as_str().unwrap().to_owned()).collect()
}

fn answer(
    control: &Control,
    operation: &str,
    hook: &str,
    by: (&str, &str),
    result: Option<&str>,
) -> Result<Value, Error> {
    let mut params = json!({"AutoScalingGroupName": GROUP, "LifecycleHookName": hook, by.0: by.1});
    if let Some(result) = result {
        params["LifecycleActionResult"] = result.into();
    }
    control.aws("autoscaling", operation, &params)
}

fn complete(control: &Control, hook: &str, instance: &str, result: &str) -> Result<Value, Error> {
    answer(control, "CompleteLifecycleAction", hook, ("InstanceId", instance), Some(result))
}

fn beat(control: &Control, hook: &str, instance: &str) -> Result<Value, Error> {
    answer(control, "RecordLifecycleActionHeartbeat", hook, ("InstanceId", instance), None)
}

/// What AWS's error says.
fn refused(answer: Result<Value, Error>) -> String {
    answer.unwrap_err().to_string()
}

fn has(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} is not in {text}");
}

#[test]
fn a_launch_waits_for_every_hook_and_its_events_are_there_to_be_delivered() {
    let stack = stage(&[GroupHook::launching("one", HEARTBEAT), GroupHook::launching("two", HEARTBEAT)], |_| {});
    let id = launched(&stack, None, None);
    assert_eq!(states(&stack), ["Pending:Wait"]);
    let events = stack.events_since(0).unwrap();
    assert_eq!(events.len(), 2);
    let detail = &events[0].event["detail"];
    assert_eq!(events[0].event["detail-type"], "EC2 Instance-launch Lifecycle Action");
    assert_eq!(events[0].event["source"], "aws.autoscaling");
    assert_eq!(detail["EC2InstanceId"], id.as_str());
    assert_eq!(detail["LifecycleTransition"], "autoscaling:EC2_INSTANCE_LAUNCHING");
    assert_eq!((&detail["Origin"], &detail["Destination"]), (&json!("EC2"), &json!("AutoScalingGroup")));

    let token = detail["LifecycleActionToken"].as_str().unwrap();
    let by_token =
        || answer(&stack, "CompleteLifecycleAction", "one", ("LifecycleActionToken", token), Some("CONTINUE"));
    by_token().unwrap();
    assert_eq!(states(&stack), ["Pending:Wait"]);
    let again = refused(by_token());
    has(&again, "(ValidationError)");
    has(&again, &format!("No active Lifecycle Action found with token {token}"));
    complete(&stack, "two", &id, "CONTINUE").unwrap();
    assert_eq!(states(&stack), ["InService"]);
    let again = refused(complete(&stack, "two", &id, "CONTINUE"));
    has(&again, &format!("No active Lifecycle Action found with instance ID {id}"));
    assert_eq!(stack.events_since(2).unwrap().len(), 0);
}

#[test]
fn an_abandoned_launch_is_replaced_until_launches_are_suspended() {
    let next = NewInstance { instance_id: Some("i-0000000000000000b".to_owned()), ..NewInstance::default() };
    let stack = stage(&[GroupHook::launching("ready", HEARTBEAT)], |group| {
        group.desired = Some(1);
        group.launches = Some(vec![next]);
    });
    let first = launched(&stack, None, None);
    complete(&stack, "ready", &first, "ABANDON").unwrap();
    assert_eq!(stack.instance(&first).unwrap().unwrap().ec2_state, "terminated");
    let second = stack.instance("i-0000000000000000b").unwrap().unwrap();
    assert_eq!(second.state.as_deref(), Some("Pending:Wait"));
    assert_eq!(second.tags["pilothouse:cluster"], "acme");

    let launch = json!({"AutoScalingGroupName": GROUP, "ScalingProcesses": ["Launch"]});
    stack.aws("autoscaling", "SuspendProcesses", &launch).unwrap();
    complete(&stack, "ready", &second.instance_id, "ABANDON").unwrap();
    assert_eq!(states(&stack), [""; 0]);
}

#[test]
fn a_heartbeat_restarts_the_time_out_within_the_global_one() {
    let stack = stage(&[GroupHook::terminating("leave", 30)], |_| {});
    let id = launched(&stack, Some("InService"), None);
    stack.terminate(&id).unwrap();
    assert_eq!(states(&stack), ["Terminating:Wait"]);
    let mut waited = 0;
    while beat(&stack, "leave", &id).is_ok() {
        stack.clock(29.0).unwrap();
        waited += 29;
    }
    // 100 times 30 s.
    assert!((3000..3060).contains(&waited), "{waited}");
    assert_eq!(states(&stack), [""; 0]);
    assert_eq!(stack.actions().unwrap()[0].by.as_deref(), Some("timeout"));
}

#[test]
fn a_time_out_applies_the_default_result_of_its_own_hook() {
    let stack =
        stage(&[GroupHook::launching("ready", HEARTBEAT), GroupHook::terminating("leave", HEARTBEAT)], |group| {
            group.terminate_hook_abandon = Some("retain".to_owned());
        });
    let id = launched(&stack, None, None);
    stack.clock(f64::from(HEARTBEAT) - 1.0).unwrap();
    assert_eq!(states(&stack), ["Pending:Wait"]);
    stack.clock(2.0).unwrap();
    assert_eq!(states(&stack), ["InService"]);
    stack.terminate(&id).unwrap();
    stack.clock(f64::from(HEARTBEAT) + 1.0).unwrap();
    assert_eq!(states(&stack), ["Terminating:Retained"]);
}

#[test]
fn a_retained_instance_is_replaced_and_ends_by_the_groups_own_call_without_a_hook() {
    let stack = stage(&[GroupHook::terminating("leave", HEARTBEAT)], |group| {
        group.desired = Some(1);
        group.replacements = Some("when_gone".to_owned());
        group.terminate_hook_abandon = Some("retain".to_owned());
    });
    let id = launched(&stack, Some("InService"), None);
    stack.terminate(&id).unwrap();
    assert_eq!(states(&stack), ["Terminating:Wait"]);
    complete(&stack, "leave", &id, "ABANDON").unwrap();
    assert_eq!(states(&stack), ["Terminating:Retained", "InService"]);
    assert_eq!(stack.instance(&id).unwrap().unwrap().ec2_state, "running");

    let leave = json!({"InstanceId": id, "ShouldDecrementDesiredCapacity": false});
    stack.aws("autoscaling", "TerminateInstanceInAutoScalingGroup", &leave).unwrap();
    assert_eq!(states(&stack), ["InService"]);
    assert_eq!(stack.instance(&id).unwrap().unwrap().ec2_state, "terminated");
    assert_eq!(stack.actions().unwrap().len(), 1);
    has(&refused(stack.aws("autoscaling", "TerminateInstanceInAutoScalingGroup", &leave)), "No managed instance found");
}

#[test]
fn a_replacement_is_launched_as_soon_as_its_predecessor_leaves() {
    let stack = stage(&[GroupHook::terminating("leave", HEARTBEAT)], |group| group.desired = Some(1));
    let id = launched(&stack, Some("InService"), None);
    stack.terminate(&id).unwrap();
    assert_eq!(states(&stack), ["Terminating:Wait", "InService"]);
    complete(&stack, "leave", &id, "CONTINUE").unwrap();
    assert_eq!(states(&stack), ["InService"]);
    stack.scale_in(&stack.instances().unwrap()[1].instance_id).unwrap();
    assert_eq!(states(&stack), ["Terminating:Wait"]);
}

#[test]
fn a_group_may_wait_until_each_place_is_free() {
    let stack = stage(&[GroupHook::terminating("leave", HEARTBEAT)], |group| {
        group.desired = Some(2);
        group.replacements = Some("when_gone".to_owned());
    });
    let ids = [launched(&stack, Some("InService"), None), launched(&stack, Some("InService"), None)];
    for id in &ids {
        stack.terminate(id).unwrap();
    }
    complete(&stack, "leave", &ids[0], "CONTINUE").unwrap();
    assert_eq!(states(&stack), ["Terminating:Wait", "InService"]);
}

#[test]
fn one_hook_that_abandons_ends_the_others() {
    let stack = stage(&[GroupHook::terminating("one", HEARTBEAT), GroupHook::terminating("two", HEARTBEAT)], |_| {});
    let id = launched(&stack, Some("InService"), None);
    stack.terminate(&id).unwrap();
    complete(&stack, "one", &id, "ABANDON").unwrap();
    assert_eq!(states(&stack), [""; 0]);
    has(&refused(beat(&stack, "two", &id)), "No active Lifecycle Action");
    let by: Vec<_> = stack.actions().unwrap().into_iter().filter_map(|action| action.by).collect();
    assert_eq!(by, ["CompleteLifecycleAction", "another hook"]);
}

#[test]
fn a_wait_may_be_seen_before_its_action_is_accepted() {
    let stack = stage(&[GroupHook::terminating("leave", HEARTBEAT)], |_| {});
    stack.pace(&json!({"accept_after": 60})).unwrap();
    let id = launched(&stack, Some("InService"), None);
    stack.terminate(&id).unwrap();
    assert_eq!(states(&stack), ["Terminating:Wait"]);
    has(&refused(beat(&stack, "leave", &id)), "No active Lifecycle Action");
    stack.clock(61.0).unwrap();
    beat(&stack, "leave", &id).unwrap();
}

#[test]
fn a_killed_instance_goes_through_its_hooks_and_one_that_waits_goes_on_waiting() {
    let stack = stage(&[GroupHook::launching("ready", HEARTBEAT), GroupHook::terminating("leave", HEARTBEAT)], |_| {});
    let (serving, starting) = (launched(&stack, Some("InService"), None), launched(&stack, None, None));
    stack.kill(&serving).unwrap();
    stack.kill(&starting).unwrap();
    assert_eq!(states(&stack), ["Terminating:Wait", "Pending:Wait"]);
    let found = stack.aws("ec2", "DescribeInstances", &json!({"InstanceIds": [serving]})).unwrap();
    let instance = &found["Reservations"][0]["Instances"][0];
    assert_eq!(instance["State"]["Name"], "terminated");
    assert_eq!(instance.get("PrivateIpAddress"), None);
    complete(&stack, "leave", &serving, "CONTINUE").unwrap();
    // In service for a moment: then its group sees what it is.
    complete(&stack, "ready", &starting, "CONTINUE").unwrap();
    assert_eq!(states(&stack), ["Terminating:Wait"]);
}

/// Ends well within the time that a slow machine takes.
fn ended(control: &Control, command: &str, instance: &str) -> Value {
    for _ in 0..500 {
        let params = json!({"CommandId": command, "InstanceId": instance});
        let found = control.aws("ssm", "GetCommandInvocation", &params).unwrap();
        if !["Pending", "InProgress"].contains(&found["Status"].as_str().unwrap()) {
            return found;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{command} does not end");
}

fn sent(control: &Control, instance: &str, script: &str) -> Result<String, Error> {
    let params = json!({"DocumentName": "AWS-RunShellScript", "InstanceIds": [instance], "TimeoutSeconds": 60,
        "Parameters": {"commands": [script], "executionTimeout": ["100"]}});
    let answer = control.aws("ssm", "SendCommand", &params)?;
    Ok(answer["Command"]["CommandId"].as_str().unwrap().to_owned())
}

#[test]
fn a_command_really_runs_where_its_instance_says() {
    let stack = stage(&[], |_| {});
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("commands");
    std::fs::create_dir_all(&folder).unwrap();
    let dir = folder.to_str().unwrap().to_owned();
    let run = RunsIn { dir, env: BTreeMap::from([("NODE".to_owned(), "n1".to_owned())]) };
    let id = launched(&stack, Some("InService"), Some(run));
    let command = sent(&stack, &id, "echo $NODE > here; seq 1 20000; echo bad >&2; exit 3").unwrap();
    let found = ended(&stack, &command, &id);
    assert_eq!((&found["Status"], &found["ResponseCode"]), (&json!("Failed"), &json!(3)));
    assert_eq!(found["StandardOutputContent"].as_str().unwrap().len(), 24_000);
    assert_eq!(found["StandardErrorContent"], "bad\n");
    assert_eq!(std::fs::read_to_string(folder.join("here")).unwrap(), "n1\n");

    let at = folder.join("pid");
    let _ = std::fs::remove_file(&at);
    let command = sent(&stack, &id, "echo $$ > pid.new && mv pid.new pid; sleep 1000").unwrap();
    while !at.exists() {
        thread::sleep(Duration::from_millis(20));
    }
    let process = Path::new("/proc").join(std::fs::read_to_string(&at).unwrap().trim());
    assert!(process.exists());
    stack.kill(&id).unwrap();
    assert!(!process.exists());
    let params = json!({"CommandId": command, "InstanceId": id});
    assert_eq!(stack.aws("ssm", "GetCommandInvocation", &params).unwrap()["Status"], "InProgress");
    stack.clock(161.0).unwrap();
    assert_eq!(ended(&stack, &command, &id)["StatusDetails"], "ExecutionTimedOut");
    has(&sent(&stack, &id, "true").unwrap_err().to_string(), "(InvalidInstanceId)");
}

#[test]
fn an_agent_that_is_lost_never_answers_until_it_is_back() {
    let stack = stage(&[], |_| {});
    let id = launched(&stack, Some("InService"), None);
    let information = stack.aws("ssm", "DescribeInstanceInformation", &json!({})).unwrap();
    assert_eq!(information["InstanceInformationList"][0]["PingStatus"], "ConnectionLost");
    let command = sent(&stack, &id, "true").unwrap();
    let params = json!({"CommandId": command, "InstanceId": id});
    stack.clock(159.0).unwrap();
    assert_eq!(stack.aws("ssm", "GetCommandInvocation", &params).unwrap()["Status"], "Pending");
    stack.clock(2.0).unwrap();
    let found = ended(&stack, &command, &id);
    assert_eq!((&found["Status"], &found["StatusDetails"]), (&json!("TimedOut"), &json!("DeliveryTimedOut")));

    let late = sent(&stack, &id, "true").unwrap();
    stack.clock(61.0).unwrap();
    let second = sent(&stack, &id, "true").unwrap();
    stack.change_instance(&id, &json!({"run": {"dir": "/"}})).unwrap();
    assert_eq!(ended(&stack, &second, &id)["Status"], "Success");
    let params = json!({"CommandId": late, "InstanceId": id});
    assert_eq!(stack.aws("ssm", "GetCommandInvocation", &params).unwrap()["Status"], "Pending");

    stack.pace(&json!({"command_unknown": 30})).unwrap();
    let third = sent(&stack, &id, "true").unwrap();
    let params = json!({"CommandId": third, "InstanceId": id});
    has(&refused(stack.aws("ssm", "GetCommandInvocation", &params)), "(InvocationDoesNotExist)");
    has(&sent(&stack, "i-0000000000000000f", "true").unwrap_err().to_string(), "(InvalidInstanceId)");
}

#[test]
fn a_volume_is_made_once_for_its_token_and_attached_by_the_rules() {
    let stack = stage(&[], |_| {});
    let ids = [launched(&stack, Some("InService"), None), launched(&stack, Some("InService"), None)];
    let row = |id: &str| stack.instance(id).unwrap().unwrap();
    assert_ne!(row(&ids[0]).zone, row(&ids[1]).zone);
    let mut new = json!({"AvailabilityZone": row(&ids[0]).zone, "Size": 10, "VolumeType": "gp3", "ClientToken": "t"});
    let made = stack.aws("ec2", "CreateVolume", &new).unwrap();
    assert_eq!(stack.aws("ec2", "CreateVolume", &new).unwrap()["VolumeId"], made["VolumeId"]);
    new["Size"] = json!(11);
    has(&refused(stack.aws("ec2", "CreateVolume", &new)), "(IdempotentParameterMismatch)");

    let volume = made["VolumeId"].as_str().unwrap();
    let attach = |id: &str, device: &str| {
        let params = json!({"VolumeId": volume, "InstanceId": id, "Device": device});
        stack.aws("ec2", "AttachVolume", &params)
    };
    has(&refused(attach(&ids[1], "/dev/sdf")), "(InvalidVolume.ZoneMismatch)");
    has(&refused(attach(&ids[0], "/dev/sda1")), "(InvalidParameterValue)");
    attach(&ids[0], "/dev/sdf").unwrap();
    has(&refused(attach(&ids[0], "/dev/sdf")), "(VolumeInUse)");
    let attachment = || {
        let found = stack.aws("ec2", "DescribeVolumes", &json!({"VolumeIds": [volume]})).unwrap();
        let one = &found["Volumes"][0];
        let at = &one["Attachments"][0];
        (one["State"].clone(), at["State"].clone(), at["DeleteOnTermination"].clone())
    };
    assert_eq!(attachment(), (json!("in-use"), json!("attached"), json!(false)));
    let keep = |on_termination: bool, device: &str| {
        let mapping = json!({"DeviceName": device, "Ebs": {"DeleteOnTermination": on_termination}});
        stack.aws("ec2", "ModifyInstanceAttribute", &json!({"InstanceId": ids[0], "BlockDeviceMappings": [mapping]}))
    };
    has(&refused(keep(true, "/dev/sdz")), "(InvalidInstanceAttributeValue)");
    keep(true, "/dev/sdf").unwrap();
    assert_eq!(attachment().2, json!(true));
    keep(false, "/dev/sdf").unwrap();

    stack.stuck_volume(volume, true).unwrap();
    stack.aws("ec2", "DetachVolume", &json!({"VolumeId": volume})).unwrap();
    assert_eq!(attachment().1, json!("busy"));
    stack.stuck_volume(volume, false).unwrap();
    assert_eq!(attachment().0, json!("available"));
    has(&refused(stack.aws("ec2", "DetachVolume", &json!({"VolumeId": volume}))), "(IncorrectState)");

    // Its instance's end keeps this one, and deletes the root.
    attach(&ids[0], "/dev/sdf").unwrap();
    let root = row(&ids[0]).volumes.iter().find(|one| one.device == "/dev/sda1").unwrap().volume_id.clone();
    stack.kill(&ids[0]).unwrap();
    assert_eq!(attachment().0, json!("available"));
    has(&refused(stack.aws("ec2", "DescribeVolumes", &json!({"VolumeIds": [root]}))), "(InvalidVolume.NotFound)");
    has(&refused(attach(&ids[0], "/dev/sdf")), "(IncorrectState)");
}

#[test]
fn instances_pass_through_their_states_at_the_pace_that_is_asked() {
    let stack = stage(&[], |_| {});
    stack.pace(&json!({"pending": 60, "shutdown": 60, "volume": 60})).unwrap();
    let id = launched(&stack, None, None);
    let state = || stack.instance(&id).unwrap().unwrap().ec2_state;
    // Without a hook it is in service only once it runs.
    assert_eq!((state().as_str(), states(&stack)), ("pending", vec!["Pending".to_owned()]));
    stack.clock(61.0).unwrap();
    assert_eq!((state().as_str(), states(&stack)), ("running", vec!["InService".to_owned()]));
    stack.kill(&id).unwrap();
    assert_eq!(state(), "shutting-down");
    stack.clock(61.0).unwrap();
    assert_eq!(state(), "terminated");
}

#[test]
fn reads_may_be_stale_and_errors_are_each_services_own() {
    let stack = stage(&[], |_| {});
    states(&stack);
    launched(&stack, Some("InService"), None);
    let stale = |operation| Fault::new(operation, FaultKind::Stale);
    stack.fault(&stale("autoscaling:DescribeAutoScalingGroups")).unwrap();
    assert_eq!(states(&stack), [""; 0]);
    assert_eq!(states(&stack), ["InService"]);
    for (call, code) in [
        ("autoscaling:DescribeAutoScalingGroups", "(Throttling)"),
        ("ssm:DescribeInstanceInformation", "(ThrottlingException)"),
    ] {
        stack.fault(&Fault::new(call, FaultKind::Throttle)).unwrap();
        let (service, operation) = call.split_once(':').unwrap();
        has(&refused(stack.aws(service, operation, &json!({}))), code);
    }
}

#[test]
fn what_each_call_is_authorized_on_is_logged_with_its_tags() {
    let stack = stage(&[GroupHook::terminating("leave", HEARTBEAT)], |_| {});
    let id = launched(&stack, Some("InService"), None);
    stack.clear_calls().unwrap();
    stack.terminate(&id).unwrap();
    complete(&stack, "leave", &id, "CONTINUE").unwrap();
    let other = launched(&stack, Some("InService"), None);
    sent(&stack, &other, "true").unwrap();
    let tags = json!([{"Key": "pilothouse:start", "Value": "join"}]);
    stack.aws("ec2", "CreateTags", &json!({"Resources": [other], "Tags": tags})).unwrap();
    let calls = stack.calls().unwrap();
    let needs: Vec<_> = calls.iter().flat_map(|call| &call.needs).map(|need| (need.action.as_str(), need)).collect();
    let actions: Vec<_> = needs.iter().map(|(action, _)| *action).collect();
    assert_eq!(
        actions,
        ["autoscaling:CompleteLifecycleAction", "ssm:SendCommand", "ssm:SendCommand", "ec2:CreateTags"]
    );
    let resources: Vec<_> = needs.iter().map(|(_, need)| need.resource.clone().unwrap()).collect();
    has(&resources[0], &format!(":autoScalingGroupName/{GROUP}"));
    assert_eq!(resources[1], "arn:aws:ssm:us-east-1::document/AWS-RunShellScript");
    assert_eq!(resources[2], format!("arn:aws:ec2:us-east-1:123456789012:instance/{other}"));
    assert_eq!(resources[3], resources[2]);
    for place in [0, 2, 3] {
        assert_eq!(needs[place].1.tags.as_ref().unwrap()["pilothouse:cluster"], "acme");
    }
}

/// The service authorization reference has two resources for each of these, and tags that are given are an action of their own.
#[test]
fn what_makes_attaches_and_changes_volumes_is_authorized_on_each_resource() {
    let stack = stage(&[], |_| {});
    let id = launched(&stack, Some("InService"), None);
    let zone = stack.instance(&id).unwrap().unwrap().zone;
    let plain = stack.aws("ec2", "CreateVolume", &json!({"AvailabilityZone": zone, "Size": 1})).unwrap();
    let from =
        stack.aws("ec2", "CreateSnapshot", &json!({"VolumeId": plain["VolumeId"]})).unwrap()["SnapshotId"].clone();
    stack.clear_calls().unwrap();
    let tags = json!([{"ResourceType": "volume", "Tags": [{"Key": "pilothouse:node", "Value": id}]}]);
    let new = json!({"AvailabilityZone": zone, "SnapshotId": from, "TagSpecifications": tags});
    let made = stack.aws("ec2", "CreateVolume", &new).unwrap();
    let volume = made["VolumeId"].as_str().unwrap();
    stack.clock(60.0).unwrap();
    let at = json!({"VolumeId": volume, "InstanceId": id, "Device": "/dev/sdf"});
    stack.aws("ec2", "AttachVolume", &at).unwrap();
    let mapping = json!([{"DeviceName": "/dev/sdf", "Ebs": {"DeleteOnTermination": true}}]);
    let ends = json!({"InstanceId": id, "BlockDeviceMappings": mapping});
    stack.aws("ec2", "ModifyInstanceAttribute", &ends).unwrap();

    let calls = stack.calls().unwrap();
    let shown = |need: &Need| {
        let tags: Vec<_> =
            need.tags.iter().flat_map(BTreeMap::keys).filter(|key| key.starts_with("pilothouse")).cloned().collect();
        let resource = need.resource.clone().unwrap();
        let resource = resource.strip_prefix("arn:aws:ec2:us-east-1:").unwrap();
        format!("{} {resource} {}", need.action, tags.join(" "))
    };
    let mut needs: Vec<String> = calls.iter().flat_map(|call| &call.needs).map(shown).collect();
    needs[3..].sort();
    let own = "123456789012:";
    let expected = [
        format!("ec2:CreateVolume {own}volume/* "),
        format!("ec2:CreateVolume :snapshot/{} ", from.as_str().unwrap()),
        format!("ec2:CreateTags {own}volume/* "),
        format!("ec2:AttachVolume {own}instance/{id} pilothouse:cluster"),
        format!("ec2:AttachVolume {own}volume/{volume} pilothouse:node"),
        format!("ec2:ModifyInstanceAttribute {own}instance/{id} pilothouse:cluster"),
        format!("ec2:ModifyInstanceAttribute {own}volume/{volume} pilothouse:node"),
    ];
    assert_eq!(needs, expected);
}
