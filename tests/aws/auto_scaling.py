"""Auto Scaling's API over `groups`, in place of moto's. What is not here is refused: moto's groups would be others than ours.

Messages of errors are as users have quoted them from AWS, where they have; `ValidationError` is the code of nearly all of them.
"""

import uuid
from datetime import datetime, timezone

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

import pages
from agenda import agenda
from groups import RESULTS, Hook, groups

PROCESSES = (
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
)
# "You can set it for instances that are in one of these states" (SetInstanceProtection's own error).
PROTECTABLE = ("InService", "EnteringStandby", "Standby")
TOKEN_LENGTH = 36
# What PutLifecycleHook leaves as it was, unless given.
SETTINGS = {"heartbeat_timeout", "default_result", "metadata", "notification_target"}


def _group(response):
    name = response._get_param("AutoScalingGroupName")
    if name not in groups.by_name:
        raise ValidationError("AutoScalingGroup name not found - null")
    return groups.by_name[name]


def _describe_groups(response):
    names = response._get_param("AutoScalingGroupNames", [])
    found = [group for group in groups.by_name.values() if not names or group.name in names]
    for one in response._get_param("Filters", []):
        found = [group for group in found if _matches(group, one["Name"], one["Values"])]
    page, token = _page(response, "groups", found, 50)
    return ActionResult({"AutoScalingGroups": [_described(group) for group in page], "NextToken": token})


def _matches(group, name, values):
    if name == "tag-key":
        return any(key in values for key in group.tags)
    if name == "tag-value":
        return any(value in values for value in group.tags.values())
    if name.startswith("tag:"):
        return group.tags.get(name[4:]) in values
    raise ValidationError(f"Filter type {name} is not correct. Allowed Filter types are: tag-key tag-value tag:<key>")


def _described(group):
    retention = {"TerminateHookAbandon": group.terminate_hook_abandon}
    return {
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group.arn,
        "MinSize": group.min,
        "MaxSize": group.max,
        "DesiredCapacity": group.desired,
        "DefaultCooldown": 300,
        "AvailabilityZones": group.zones,
        "LoadBalancerNames": group.load_balancers,
        "TargetGroupARNs": group.target_groups,
        "TrafficSources": [
            {"Identifier": one, "Type": "elbv2"} if isinstance(one, str) else one
            for one in [*group.target_groups, *group.traffic_sources]
        ],
        "HealthCheckType": "EC2",
        "HealthCheckGracePeriod": 0,
        "Instances": [_instance(member) for member in group.members.values()],
        "CreatedTime": datetime.fromtimestamp(group.created_at, timezone.utc),
        "SuspendedProcesses": [{"ProcessName": name, "SuspensionReason": "User suspended"} for name in group.suspended],
        "Status": group.status,
        "Tags": [
            {"ResourceId": group.name, "ResourceType": "auto-scaling-group", "Key": key, "Value": value, "PropagateAtLaunch": True}
            for key, value in group.tags.items()
        ],
        "TerminationPolicies": ["Default"],
        "NewInstancesProtectedFromScaleIn": group.protect_new,
        "MixedInstancesPolicy": group.mixed_instances,
        "WarmPoolConfiguration": group.warm_pool,
        "InstanceLifecyclePolicy": {"RetentionTriggers": retention} if group.terminate_hook_abandon else None,
    }


def _instance(member):
    return {
        "InstanceId": member.id,
        "InstanceType": member.instance.instance_type,
        "AvailabilityZone": member.instance.availability_zone,
        "LifecycleState": member.state,
        "HealthStatus": member.health,
        "ProtectedFromScaleIn": member.protected,
    }


def _describe_instances(response):
    wanted = response._get_param("InstanceIds", [])
    if len(wanted) > 50:
        raise ValidationError("The number of instance ids that may be passed in is limited to 50")
    members = [member for group in groups.by_name.values() for member in group.members.values()]
    found = [member for member in members if not wanted or member.id in wanted]
    page, token = _page(response, "group_instances", found, 50)
    # In capitals here alone.
    described = [{**_instance(one), "AutoScalingGroupName": one.group.name, "HealthStatus": one.health.upper()} for one in page]
    return ActionResult({"AutoScalingInstances": described, "NextToken": token})


def _page(response, kind, found, usual):
    refusal = AutoscalingClientError("InvalidNextToken", "The token is not valid")
    return pages.page(kind, found, response._get_param("MaxRecords") or usual, response._get_param("NextToken"), refusal)


def _describe_hooks(response):
    group, names = _group(response), response._get_param("LifecycleHookNames", [])
    found = [
        {
            "LifecycleHookName": hook.name,
            "AutoScalingGroupName": group.name,
            "LifecycleTransition": hook.transition,
            "NotificationTargetARN": hook.notification_target,
            "NotificationMetadata": hook.metadata,
            "HeartbeatTimeout": hook.heartbeat_timeout,
            "GlobalTimeout": hook.global_timeout,
            "DefaultResult": hook.default_result,
        }
        for hook in group.hooks.values()
        if not names or hook.name in names
    ]
    return ActionResult({"LifecycleHooks": found})


def _put_hook(response):
    group, name = _group(response), response._get_param("LifecycleHookName")
    known = group.hooks.get(name)
    transition = response._get_param("LifecycleTransition") or (known and known.transition)
    given = {
        "heartbeat_timeout": response._get_param("HeartbeatTimeout"),
        "default_result": response._get_param("DefaultResult"),
        "metadata": response._get_param("NotificationMetadata"),
        "notification_target": response._get_param("NotificationTargetARN"),
    }
    given = {key: value for key, value in given.items() if value is not None}
    try:
        kept = {key: getattr(known, key) for key in SETTINGS - given.keys()} if known else {}
        new = Hook(name, transition, **{**kept, **given})
        group.hooks[name] = known.become(new) if known else new
    except ValueError as problem:
        raise ValidationError(str(problem)) from problem
    return EmptyResult()


def _delete_hook(response):
    group, name = _group(response), response._get_param("LifecycleHookName")
    if name not in group.hooks:
        raise ValidationError(f"No Lifecycle Hook found with name: {name}")
    groups.delete_hook(group, name)
    return EmptyResult()


def _action(response):
    """The action that is meant: by its token, or by its instance."""
    group, name = _group(response), response._get_param("LifecycleHookName")
    token, instance_id = response._get_param("LifecycleActionToken"), response._get_param("InstanceId")
    if token is not None and len(token) != TOKEN_LENGTH:
        raise ValidationError(
            f"1 validation error detected: Value '{token}' at 'lifecycleActionToken' failed to satisfy constraint: "
            f"Member must have length {'greater' if len(token) < TOKEN_LENGTH else 'less'} than or equal to {TOKEN_LENGTH}"
        )
    if token is None and instance_id is None:
        raise ValidationError("Either a lifecycle action token or an instance ID must be specified")
    for action in groups.actions:
        meant = action.group is group and action.hook.name == name and (token is None or action.token == token)
        if meant and instance_id in (None, action.member.id) and action.accepts():
            return action
    raise ValidationError(
        f"No active Lifecycle Action found with token {token}"
        if token is not None
        else f"No active Lifecycle Action found with instance ID {instance_id}"
    )


def _complete(response):
    result = response._get_param("LifecycleActionResult")
    if result not in RESULTS:
        raise ValidationError(f"Lifecycle action result {result} is not one of {', '.join(RESULTS)}")
    groups.finish(_action(response), result, "CompleteLifecycleAction")
    return EmptyResult()


def _heartbeat(response):
    _action(response).beat()
    return EmptyResult()


def _protect(response):
    group, protected = _group(response), response._get_bool_param("ProtectedFromScaleIn")
    members = []
    for instance_id in response._get_param("InstanceIds", []):
        member = group.members.get(instance_id)
        if member is None:
            raise ValidationError(f"The instance {instance_id} is not part of Auto Scaling group {group.name}.")
        if member.state not in PROTECTABLE:
            raise ValidationError(f"The instance {instance_id} is not in InService or EnteringStandby or Standby.")
        members.append(member)
    for member in members:
        member.protected = protected
    return EmptyResult()


def _processes(response):
    """None named are all."""
    named = response._get_param("ScalingProcesses", []) or list(PROCESSES)
    for name in named:
        if name not in PROCESSES:
            raise ValidationError(f"'{name}' is not a valid process type")
    return named


def _suspend(response):
    group, named = _group(response), _processes(response)
    group.suspended = [*group.suspended, *[name for name in named if name not in group.suspended]]
    return EmptyResult()


def _resume(response):
    group, named = _group(response), _processes(response)
    group.suspended = [name for name in group.suspended if name not in named]
    return EmptyResult()


def _terminate(response):
    instance_id, decrement = response._get_param("InstanceId"), response._get_bool_param("ShouldDecrementDesiredCapacity")
    member = groups.member(instance_id)
    if member is None:
        raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")
    group = member.group
    if decrement and group.desired <= group.min and not member.leaves():
        raise ValidationError(
            f"Currently, desiredSize equals minSize ({group.min}). Terminating instance without replacement will violate group's "
            "min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size."
        )
    groups.terminate(member, decrement)
    activity = {
        "ActivityId": str(uuid.uuid4()),
        "AutoScalingGroupName": group.name,
        "Description": f"Terminating EC2 instance: {instance_id}",
        "Cause": f"At {_time()} instance {instance_id} was taken out of service in response to a user request.",
        "StartTime": datetime.fromtimestamp(agenda.now(), timezone.utc),
        "StatusCode": "InProgress",
        "Progress": 0,
    }
    return ActionResult({"Activity": activity})


def _time():
    return datetime.fromtimestamp(agenda.now(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


HANDLERS = {
    "complete_lifecycle_action": _complete,
    "delete_lifecycle_hook": _delete_hook,
    "describe_auto_scaling_groups": _describe_groups,
    "describe_auto_scaling_instances": _describe_instances,
    "describe_lifecycle_hooks": _describe_hooks,
    "put_lifecycle_hook": _put_hook,
    "record_lifecycle_action_heartbeat": _heartbeat,
    "resume_processes": _resume,
    "set_instance_protection": _protect,
    "suspend_processes": _suspend,
    "terminate_instance_in_auto_scaling_group": _terminate,
}
# moto's own, which are no operations.
PLAIN = ("call_action", "autoscaling_backend")


def _refused(name):
    def refuse(response):
        raise AutoscalingClientError("InvalidAction", f"the emulator's groups are made by control: it has no {name}")

    return refuse


def install():
    """Puts all this in moto's place."""
    for name in [name for name in vars(AutoScalingResponse) if not name.startswith("_") and name not in PLAIN]:
        setattr(AutoScalingResponse, name, _refused(name))
    for name, handler in HANDLERS.items():
        setattr(AutoScalingResponse, name, handler)
