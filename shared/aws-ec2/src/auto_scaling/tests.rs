use super::*;
use aws::wire::Wire;
use ports::{AutoScaling as _, CallLog, Class};
use std::collections::BTreeMap;

const TOKEN: &str = "be2184df-6d0d-4a3d-9d7c-000000000001";

async fn auto_scaling(wire: &Wire) -> AutoScaling {
    AutoScaling::new(&wire.configuration(&CallLog::default()).await)
}

fn answer(call: &str, result: &str) -> String {
    format!("<{call}Response><{call}Result>{result}</{call}Result></{call}Response>")
}

fn form(action: &str, fields: &[(&str, &str)]) -> BTreeMap<String, String> {
    [("Action", action), ("Version", "2011-01-01")]
        .iter()
        .chain(fields)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn action(token: Option<&str>) -> LifecycleAction {
    LifecycleAction {
        group: "acme-pg".to_owned(),
        hook: "acme-terminate".to_owned(),
        instance: "i-1".to_owned(),
        token: token.map(str::to_owned),
    }
}

#[tokio::test]
async fn a_group_is_read_with_what_decides_over_its_nodes() {
    let member = "<AutoScalingGroups><member><AutoScalingGroupName>acme-pg</AutoScalingGroupName>
        <DesiredCapacity>3</DesiredCapacity>
        <TargetGroupARNs><member>arn:tg/1</member></TargetGroupARNs><LoadBalancerNames><member>classic</member></LoadBalancerNames>
        <TrafficSources><member><Identifier>arn:tg/1</Identifier></member></TrafficSources>
        <SuspendedProcesses><member><ProcessName>Launch</ProcessName></member></SuspendedProcesses>
        <InstanceLifecyclePolicy><RetentionTriggers><TerminateHookAbandon>retain</TerminateHookAbandon></RetentionTriggers></InstanceLifecyclePolicy>
        <Status>Delete in progress</Status>
        <Instances>
          <member><InstanceId>i-1</InstanceId><LifecycleState>Terminating:Retained</LifecycleState><HealthStatus>Healthy</HealthStatus>
            <ProtectedFromScaleIn>true</ProtectedFromScaleIn><AvailabilityZone>eu-central-1a</AvailabilityZone></member>
          <member><InstanceId>i-2</InstanceId><LifecycleState>Warmed:Pending:Wait</LifecycleState><HealthStatus>Unhealthy</HealthStatus></member>
          <member><InstanceId>i-3</InstanceId><LifecycleState>Levitating</LifecycleState></member>
          <member><LifecycleState>InService</LifecycleState></member>
        </Instances></member></AutoScalingGroups>";
    let wire = Wire::default();
    wire.answer(200, answer("DescribeAutoScalingGroups", member));
    let read = auto_scaling(&wire).await.groups(&["acme-pg".to_owned()]).await.unwrap();
    let sent =
        form("DescribeAutoScalingGroups", &[("AutoScalingGroupNames.member.1", "acme-pg"), ("MaxRecords", "100")]);
    assert_eq!(wire.sent()[0].form(), sent);
    let instance = |id: &str, state, healthy, protected, zone: &str| GroupInstance {
        id: id.to_owned(),
        state,
        healthy,
        protected,
        zone: zone.to_owned(),
    };
    let expected = Group {
        name: "acme-pg".to_owned(),
        desired: 3,
        instances: vec![
            instance("i-1", LifecycleState::TerminatingRetained, true, true, "eu-central-1a"),
            instance("i-2", LifecycleState::Warmed, false, false, ""),
            instance("i-3", LifecycleState::Other, false, false, ""),
        ],
        attached: vec!["arn:tg/1".to_owned(), "classic".to_owned()],
        retains: true,
        suspended: ["Launch".to_owned()].into(),
        warm_pool: false,
        spot: false,
        deleting: true,
    };
    assert_eq!(read, [expected]);
}

#[tokio::test]
async fn without_a_policy_nothing_is_retained_and_spot_and_warm_pools_show() {
    for (xml, retains, warm_pool, spot) in [
        ("", false, false, false),
        (
            "<InstanceLifecyclePolicy><RetentionTriggers><TerminateHookAbandon>terminate</TerminateHookAbandon></RetentionTriggers></InstanceLifecyclePolicy>",
            false,
            false,
            false,
        ),
        ("<WarmPoolConfiguration><MinSize>1</MinSize></WarmPoolConfiguration>", false, true, false),
        (
            "<MixedInstancesPolicy><InstancesDistribution><OnDemandPercentageAboveBaseCapacity>50</OnDemandPercentageAboveBaseCapacity></InstancesDistribution></MixedInstancesPolicy>",
            false,
            false,
            true,
        ),
    ] {
        let wire = Wire::default();
        let member = format!(
            "<AutoScalingGroups><member><AutoScalingGroupName>g</AutoScalingGroupName>{xml}</member></AutoScalingGroups>"
        );
        wire.answer(200, answer("DescribeAutoScalingGroups", &member));
        let [group] = auto_scaling(&wire).await.groups(&["g".to_owned()]).await.unwrap().try_into().unwrap();
        assert_eq!((group.retains, group.warm_pool, group.spot), (retains, warm_pool, spot), "{xml}");
    }
}

#[tokio::test]
async fn hooks_are_read_with_their_times() {
    let hook = |name: &str, transition: &str, rest: &str| {
        format!(
            "<member><LifecycleHookName>{name}</LifecycleHookName><LifecycleTransition>{transition}</LifecycleTransition>{rest}</member>"
        )
    };
    let members = [
        hook(
            "a",
            "autoscaling:EC2_INSTANCE_LAUNCHING",
            "<HeartbeatTimeout>900</HeartbeatTimeout><GlobalTimeout>90000</GlobalTimeout><DefaultResult>CONTINUE</DefaultResult>",
        ),
        hook("b", "autoscaling:EC2_INSTANCE_TERMINATING", "<HeartbeatTimeout>30</HeartbeatTimeout>"),
        hook("c", "autoscaling:OTHER", ""),
    ];
    let wire = Wire::default();
    let list = format!("<LifecycleHooks>{}</LifecycleHooks>", members.concat());
    wire.answer(200, answer("DescribeLifecycleHooks", &list));
    let read = auto_scaling(&wire).await.hooks("acme-pg").await.unwrap();
    let hook = |name: &str, transition, heartbeat, global, default| Hook {
        name: name.to_owned(),
        transition,
        heartbeat: Duration::from_secs(heartbeat),
        global: Duration::from_secs(global),
        default,
    };
    assert_eq!(
        read,
        [
            hook("a", Some(Transition::Launch), 900, 90_000, HookResult::Continue),
            // 100 times the heartbeat where that is less than 48 hours.
            hook("b", Some(Transition::Terminate), 30, 3_000, HookResult::Abandon),
            hook("c", None, 3_600, 172_800, HookResult::Abandon),
        ]
    );
}

#[tokio::test]
async fn a_hook_is_answered_by_its_token_or_by_the_instance() {
    for (token, result) in [(Some(TOKEN), HookResult::Continue), (None, HookResult::Abandon)] {
        let wire = Wire::default();
        wire.answer(200, answer("CompleteLifecycleAction", ""));
        wire.answer(200, answer("RecordLifecycleActionHeartbeat", ""));
        let auto_scaling = auto_scaling(&wire).await;
        auto_scaling.complete(&action(token), result).await.unwrap();
        auto_scaling.heartbeat(&action(token)).await.unwrap();
        let mut fields =
            vec![("AutoScalingGroupName", "acme-pg"), ("LifecycleHookName", "acme-terminate"), ("InstanceId", "i-1")];
        fields.extend(token.map(|token| ("LifecycleActionToken", token)));
        assert_eq!(wire.sent()[1].form(), form("RecordLifecycleActionHeartbeat", &fields));
        fields.push(("LifecycleActionResult", result.word()));
        assert_eq!(wire.sent()[0].form(), form("CompleteLifecycleAction", &fields));
    }
}

#[tokio::test]
async fn an_action_that_is_over_is_told_from_a_bad_request() {
    for (code, message, class) in [
        ("ValidationError", "No active Lifecycle Action found with token be2184df", Class::NotFound),
        ("ValidationError", "No active Lifecycle Action found with instance ID i-1", Class::NotFound),
        ("ValidationError", "1 validation error detected: ...", Class::Invalid),
        ("ResourceContention", "You already have a pending update", Class::Conflict),
        ("Throttling", "Rate exceeded", Class::Throttled),
        ("AccessDenied", "no", Class::Denied),
    ] {
        let wire = Wire::default();
        wire.refuse(400, code, message);
        wire.refuse(400, code, message);
        let error = auto_scaling(&wire).await.complete(&action(None), HookResult::Continue).await.unwrap_err();
        assert_eq!((error.call, error.class), ("autoscaling:CompleteLifecycleAction", class), "{message}");
    }
}

#[tokio::test]
async fn a_node_is_protected_launches_are_suspended_and_a_retained_node_ends() {
    let wire = Wire::default();
    for call in ["SetInstanceProtection", "SuspendProcesses", "TerminateInstanceInAutoScalingGroup"] {
        wire.answer(200, answer(call, ""));
    }
    let auto_scaling = auto_scaling(&wire).await;
    auto_scaling.protect("acme-pg", "i-1", true).await.unwrap();
    auto_scaling.suspend_launch("acme-pg").await.unwrap();
    auto_scaling.terminate("i-1").await.unwrap();
    let sent: Vec<_> = wire.sent().iter().map(aws::wire::Sent::form).collect();
    let group = ("AutoScalingGroupName", "acme-pg");
    assert_eq!(
        sent,
        [
            form("SetInstanceProtection", &[group, ("InstanceIds.member.1", "i-1"), ("ProtectedFromScaleIn", "true")]),
            form("SuspendProcesses", &[group, ("ScalingProcesses.member.1", "Launch")]),
            form(
                "TerminateInstanceInAutoScalingGroup",
                &[("InstanceId", "i-1"), ("ShouldDecrementDesiredCapacity", "false")]
            ),
        ]
    );
}
