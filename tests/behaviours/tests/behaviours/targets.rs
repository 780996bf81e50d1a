//! Target groups: ELB's API reference (RegisterTargets, DeregisterTargets, TargetDescription, TargetHealth) and the Network
//! Load Balancer user guide (`load-balancer-target-groups`, `target-group-health-checks`).

use ports::{Class, Health, TargetGroups as _};

use crate::stage::{DRAIN, INITIAL, Stage, target};

const ADDRESS: &str = "10.9.0.5:5432";
const NO_GROUP: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/none/0123456789abcdef";

async fn register(stage: &impl Stage, text: &str) -> Result<(), Class> {
    stage.target_groups().register(stage.group(), target(text)).await.map_err(|error| error.class)
}

async fn deregister(stage: &impl Stage, text: &str) {
    stage.target_groups().deregister(stage.group(), target(text)).await.unwrap();
}

async fn health(stage: &impl Stage) -> Vec<String> {
    let listed = stage.target_groups().targets(stage.group()).await.unwrap();
    let mut rows: Vec<String> = listed.iter().map(|t| format!("{} {:?}", t.target, t.health)).collect();
    rows.sort();
    rows
}

/// "initial: the load balancer is in the process of registering the target or performing the initial health checks".
pub(crate) async fn a_registered_address_is_initial_and_then_healthy(stage: &impl Stage) {
    stage.server(target(ADDRESS), true);
    stage.seconds_pass(60);
    register(stage, ADDRESS).await.unwrap();
    assert_eq!(health(stage).await, ["10.9.0.5:5432 Initial"]);
    stage.seconds_pass(INITIAL + 10);
    assert_eq!(health(stage).await, ["10.9.0.5:5432 Healthy"]);
}

/// `Target.FailedHealthChecks`; and back, once something answers again.
pub(crate) async fn a_target_that_nothing_answers_for_becomes_unhealthy(stage: &impl Stage) {
    register(stage, ADDRESS).await.unwrap();
    stage.seconds_pass(INITIAL + 10);
    let listed = stage.target_groups().targets(stage.group()).await.unwrap();
    assert_eq!((listed[0].health, listed[0].reason.as_str()), (Health::Unhealthy, "Target.FailedHealthChecks"));
    stage.server(target(ADDRESS), true);
    stage.seconds_pass(30);
    assert_eq!(health(stage).await, ["10.9.0.5:5432 Healthy"]);
}

/// "draining: the target is deregistering"; gone after `deregistration_delay.timeout_seconds`.
pub(crate) async fn a_deregistered_target_drains_and_then_is_gone(stage: &impl Stage) {
    register(stage, ADDRESS).await.unwrap();
    deregister(stage, ADDRESS).await;
    assert_eq!(health(stage).await, ["10.9.0.5:5432 Draining"]);
    stage.seconds_pass(DRAIN + 1);
    assert_eq!(health(stage).await, [""; 0]);
}

/// "You can register a target again when you are ready for it to resume receiving requests", draining or not.
pub(crate) async fn a_draining_target_that_is_registered_again_is_initial(stage: &impl Stage) {
    stage.server(target(ADDRESS), true);
    register(stage, ADDRESS).await.unwrap();
    stage.seconds_pass(60);
    deregister(stage, ADDRESS).await;
    register(stage, ADDRESS).await.unwrap();
    assert_eq!(health(stage).await, ["10.9.0.5:5432 Initial"]);
    stage.seconds_pass(DRAIN + 1);
    assert_eq!(health(stage).await, ["10.9.0.5:5432 Healthy"], "the old draining does not end the new registration");
}

/// RegisterTargets is idempotent: its health goes on.
pub(crate) async fn registering_twice_is_registering_once(stage: &impl Stage) {
    stage.server(target(ADDRESS), true);
    register(stage, ADDRESS).await.unwrap();
    stage.seconds_pass(60);
    register(stage, ADDRESS).await.unwrap();
    assert_eq!(health(stage).await, ["10.9.0.5:5432 Healthy"]);
}

/// DeregisterTargets: "if the specified target does not exist, the action returns successfully".
pub(crate) async fn deregistering_what_is_not_there_is_success(stage: &impl Stage) {
    deregister(stage, ADDRESS).await;
    register(stage, ADDRESS).await.unwrap();
    deregister(stage, ADDRESS).await;
    deregister(stage, ADDRESS).await;
    assert_eq!(health(stage).await, ["10.9.0.5:5432 Draining"]);
    assert_eq!(stage.target_groups().deregister(NO_GROUP, target(ADDRESS)).await, Ok(()));
}

/// "You can register each IP address with the same target group multiple times using different ports".
pub(crate) async fn a_target_is_its_address_and_its_port(stage: &impl Stage) {
    register(stage, "10.9.0.5:5432").await.unwrap();
    register(stage, "10.9.0.5:6432").await.unwrap();
    deregister(stage, "10.9.0.5:6432").await;
    assert_eq!(health(stage).await, ["10.9.0.5:5432 Initial", "10.9.0.5:6432 Draining"]);
}

/// "You can't register publicly routable IP addresses."
pub(crate) async fn a_public_address_is_refused(stage: &impl Stage) {
    for address in ["8.8.8.8:5432", "169.254.169.254:5432", "127.0.0.1:5432", "172.32.0.5:5432"] {
        assert_eq!(register(stage, address).await, Err(Class::Invalid), "{address}");
    }
    assert_eq!(health(stage).await, [""; 0]);
}

/// 10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16.
pub(crate) async fn the_private_ranges_and_the_shared_space_are_taken(stage: &impl Stage) {
    for address in ["10.255.0.5:5432", "100.64.0.5:5432", "172.31.0.5:5432", "192.168.0.5:5432"] {
        assert_eq!(register(stage, address).await, Ok(()), "{address}");
    }
    assert_eq!(health(stage).await.len(), 4);
}

/// "is within the VPC, and cannot have its Availability Zone overridden to 'all'" (AWS Load Balancer Controller, issue 561).
pub(crate) async fn an_address_of_our_own_subnets_cannot_have_the_zone_all(stage: &impl Stage) {
    assert_eq!(register(stage, "10.1.0.9:5432").await, Err(Class::InsideVpc));
    assert_eq!(health(stage).await, [""; 0]);
}

/// `TooManyTargets`. That draining targets leave room is not verified on AWS; both worlds agree on it.
pub(crate) async fn a_full_group_refuses_and_draining_targets_leave_room(stage: &impl Stage) {
    stage.at_most(1);
    register(stage, "10.9.0.5:5432").await.unwrap();
    assert_eq!(register(stage, "10.9.0.5:5432").await, Ok(()), "what is there is no one more");
    assert_eq!(register(stage, "10.9.0.6:5432").await, Err(Class::LimitReached));
    deregister(stage, "10.9.0.5:5432").await;
    assert_eq!(register(stage, "10.9.0.6:5432").await, Ok(()));
}

/// "unused: the target group is not used in a listener", `Target.NotInUse`.
pub(crate) async fn a_group_without_a_listener_has_unused_targets(stage: &impl Stage) {
    stage.attached(false);
    register(stage, ADDRESS).await.unwrap();
    let listed = stage.target_groups().targets(stage.group()).await.unwrap();
    assert_eq!((listed[0].health, listed[0].reason.as_str()), (Health::Unused, "Target.NotInUse"));
    stage.attached(true);
    stage.seconds_pass(INITIAL + 10);
    assert_eq!(health(stage).await, ["10.9.0.5:5432 Unhealthy"]);
}

/// `TargetGroupNotFound`.
pub(crate) async fn a_group_that_is_not_there_is_not_found(stage: &impl Stage) {
    let groups = stage.target_groups();
    assert_eq!(groups.describe(NO_GROUP).await.unwrap_err().class, Class::NotFound);
    assert_eq!(groups.targets(NO_GROUP).await.unwrap_err().class, Class::NotFound);
    assert_eq!(groups.register(NO_GROUP, target(ADDRESS)).await.unwrap_err().class, Class::NotFound);
}

/// `API_TargetGroup`.
pub(crate) async fn a_group_tells_its_vpc_and_what_it_takes(stage: &impl Stage) {
    let group = stage.target_groups().describe(stage.group()).await.unwrap();
    assert_eq!(group.arn, stage.group());
    assert_eq!(group.vpc.as_deref(), Some(stage.vpc()));
    assert!(group.takes_addresses && !group.ipv6);
}
