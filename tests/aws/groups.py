"""Auto Scaling groups, their lifecycle hooks, and the instances that wait for an answer, in place of moto's, whose never wait.

Sources: Amazon EC2 Auto Scaling user guide (lifecycle-hooks, lifecycle-hooks-overview, ec2-auto-scaling-lifecycle,
instance-lifecycle-policy, configure-instance-retention, warm-pool-instance-lifecycle) and API reference (PutLifecycleHook,
LifecycleHook, CompleteLifecycleAction, RecordLifecycleActionHeartbeat, TerminateInstanceInAutoScalingGroup, RetentionTriggers).
"""

import logging
import uuid
from datetime import datetime, timezone

import instances
from agenda import agenda
from world import ACCOUNT, known, world

log = logging.getLogger("groups")

LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
DETAIL_TYPES = {
    LAUNCHING: "EC2 Instance-launch Lifecycle Action",
    TERMINATING: "EC2 Instance-terminate Lifecycle Action",
}
LONGEST_WAIT_SECONDS = 48 * 3600
HEARTBEATS_PER_WAIT = 100
RETRY_SECONDS = 1
RESULTS = ("CONTINUE", "ABANDON")
# When an instance that leaves is replaced: as soon as it begins to, once it has left or was retained, or by the test's hand alone.
REPLACEMENTS = ("at_once", "when_gone", "never")
GROUP_FIELDS = {
    "name",
    "zones",
    "desired",
    "min",
    "max",
    "hooks",
    "terminate_hook_abandon",
    "replacements",
    "launches",
    "suspended",
    "status",
    "target_groups",
    "load_balancers",
    "traffic_sources",
    "warm_pool",
    "mixed_instances",
    "tags",
    "protect_new",
    "abandoned_launch_runs_terminate_hooks",
    "event_origins",
}
HOOK_FIELDS = {"name", "transition", "heartbeat_timeout", "default_result", "metadata", "notification_target"}
INSTANCE_FIELDS = {"group", "instance_id", "address", "zone", "tags", "instance_type", "spot", "run", "agent", "state", "protected"}


class Hook:
    def __init__(self, name, transition, heartbeat_timeout=3600, default_result="ABANDON", metadata=None, notification_target=None):
        transition = {"launching": LAUNCHING, "terminating": TERMINATING}.get(transition, transition)
        if transition not in DETAIL_TYPES or default_result not in RESULTS or not 30 <= int(heartbeat_timeout) <= 7200:
            raise ValueError(f"hook {name}: transition, default_result or heartbeat_timeout (30 to 7200) is none")
        self.name, self.transition, self.default_result = name, transition, default_result
        self.heartbeat_timeout = int(heartbeat_timeout)
        self.metadata, self.notification_target = metadata, notification_target

    def become(self, other):
        """The same hook with other settings: what waits for it goes on."""
        self.__dict__.update(other.__dict__)
        return self

    @property
    def global_timeout(self):
        """"48 hours or 100 times the heartbeat timeout, whichever is smaller"."""
        return min(LONGEST_WAIT_SECONDS, HEARTBEATS_PER_WAIT * self.heartbeat_timeout)


class Action:
    """What one hook waits for, at one instance. Over as soon as it has a result."""

    def __init__(self, group, member, hook):
        self.token = str(uuid.uuid4())
        self.group, self.member, self.hook = group, member, hook
        self.started_at = agenda.now()
        self.accepted_from = self.started_at + agenda.pace["accept_after"]
        self.ends_at = self.started_at + hook.global_timeout
        self.expires_at = min(self.started_at + hook.heartbeat_timeout, self.ends_at)
        self.heartbeats = 0
        self.result = self.by = self.ended_at = None

    def accepts(self):
        return self.result is None and agenda.now() >= self.accepted_from

    def beat(self):
        """"The heartbeat timeout is the amount of time that the instance can stay in a wait state before being continued": anew."""
        self.heartbeats += 1
        self.expires_at = min(agenda.now() + self.hook.heartbeat_timeout, self.ends_at)

    def end(self, result, by):
        self.result, self.by, self.ended_at = result, by, agenda.now()


class Member:
    """An instance, as its group sees it."""

    def __init__(self, group, instance, state, protected):
        self.group, self.instance, self.state, self.protected = group, instance, state, protected
        self.health = "Healthy"
        self.actions = []

    @property
    def id(self):
        return self.instance.id

    def leaves(self):
        return "Terminating" in self.state or self.state.endswith("Terminated")

    def later(self, step):
        """Unless something else has happened to it until then."""
        state = self.state
        agenda.soon("transition", lambda: self.state == state and step(self))


class Group:
    def __init__(self, name):
        self.name = name
        self.uuid = str(uuid.uuid4())
        self.created_at = agenda.now()
        self.zones = []
        self.desired, self.min, self.max = 0, 0, 100
        self.hooks = {}
        self.terminate_hook_abandon = None
        self.replacements, self.launches = "at_once", []
        self.suspended = []
        self.status = None
        self.target_groups, self.load_balancers, self.traffic_sources = [], [], []
        self.warm_pool = self.mixed_instances = None
        self.tags = {}
        self.protect_new = False
        self.abandoned_launch_runs_terminate_hooks = False
        self.event_origins = True
        self.members = {}

    @property
    def arn(self):
        return f"arn:aws:autoscaling:{world.region}:{ACCOUNT}:autoScalingGroup:{self.uuid}:autoScalingGroupName/{self.name}"

    def hooks_of(self, transition):
        return [hook for hook in self.hooks.values() if hook.transition == transition]

    def missing(self):
        """How many instances it lacks. "Retained instances don't count toward desired capacity"."""
        leaving_count = self.replacements == "when_gone"
        counted = [
            one
            for one in self.members.values()
            if not one.state.startswith("Warmed") and one.state != "Terminating:Retained" and (leaving_count or not one.leaves())
        ]
        return self.desired - len(counted)


class Groups:
    """All groups, the actions that ever were, and the events that EventBridge may deliver."""

    def __init__(self):
        self.reset()
        instances.ended_from_outside.append(self._ended_from_outside)

    def reset(self):
        self.by_name = {}
        self.actions = []
        self.events = []

    def of(self, name):
        if name not in self.by_name:
            raise ValueError(f"no group {name!r}")
        return self.by_name[name]

    def member(self, instance_id):
        """The instance, or None if no group has it."""
        return next((group.members[instance_id] for group in self.by_name.values() if instance_id in group.members), None)

    def put(self, given):
        """Makes a group, or changes what is given of one."""
        known(given, GROUP_FIELDS, "group")
        group = self.by_name.get(given["name"]) or Group(given["name"])
        if given.get("replacements", "never") not in REPLACEMENTS:
            raise ValueError(f"replacements must be one of {', '.join(REPLACEMENTS)}")
        if given.get("terminate_hook_abandon") not in (None, "retain", "terminate"):
            raise ValueError("terminate_hook_abandon must be retain, terminate or null")
        hooks = [Hook(**one) for one in given.get("hooks", []) if known(one, HOOK_FIELDS, "hook") is None]
        for name in GROUP_FIELDS & set(given) - {"hooks"}:
            setattr(group, name, given[name])
        if "hooks" in given:
            for name in set(group.hooks) - {hook.name for hook in hooks}:
                self.delete_hook(group, name)
            group.hooks = {new.name: group.hooks[new.name].become(new) if new.name in group.hooks else new for new in hooks}
        self.by_name[group.name] = group
        return group

    def delete_hook(self, group, name):
        """"If there are any outstanding lifecycle actions, they are completed first (ABANDON for launching instances, CONTINUE for
        terminating instances)" (DeleteLifecycleHook)."""
        hook = group.hooks.pop(name)
        for member in list(group.members.values()):
            for action in [one for one in member.actions if one.hook is hook and one.result is None]:
                self.finish(action, "ABANDON" if hook.transition == LAUNCHING else "CONTINUE", "hook deleted")

    def launch(self, group, given):
        """One more instance, in `Pending`, or already in the state that is given: then no hook is asked."""
        known(given, INSTANCE_FIELDS, "instance")
        instance = instances.launch(
            instance_id=given.get("instance_id"),
            address=given.get("address"),
            zone=given.get("zone") or (None if given.get("address") else self._emptiest_zone(group)),
            # As DescribeAutoScalingGroups says of the group's: PropagateAtLaunch.
            tags={**group.tags, **given.get("tags", {}), "aws:autoscaling:groupName": group.name},
            instance_type=given.get("instance_type"),
            running="state" in given,
            spot=given.get("spot", False),
        )
        instances.commands.set_agent(instance.id, given.get("run"), given.get("agent", "online"))
        member = Member(group, instance, given.get("state", "Pending"), given.get("protected", group.protect_new))
        group.members[instance.id] = member
        if "state" not in given:
            member.later(self._launched)
        return member

    def terminate(self, member, decrement=False, hooks=True):
        """Begins to take an instance out. A retained one has been through its hooks."""
        group = member.group
        retained = member.state.endswith(":Retained")
        if member.leaves() and not retained:
            return
        self._supersede(member)
        if decrement and not retained:
            group.desired -= 1
        prefix = "Warmed:" if member.state.startswith("Warmed:") else ""
        if retained:
            self._proceed(member, prefix)
            return
        member.state = prefix + "Terminating"
        asked = group.hooks_of(TERMINATING) if hooks else []
        if asked:
            origin = "WarmPool" if prefix else "AutoScalingGroup"
            member.later(lambda one: self.wait(one, prefix + "Terminating:Wait", asked, origin, "EC2"))
        else:
            member.later(lambda one: self._proceed(one, prefix))
        self._replace(group, "at_once")

    def wait(self, member, state, hooks, origin, destination):
        """Each hook has an action and an event of its own."""
        member.state = state
        member.actions = [Action(member.group, member, hook) for hook in hooks]
        self.actions += member.actions
        for action in member.actions:
            agenda.at(action.expires_at, lambda one=action: self._expire(one))
            self.events.append({"n": len(self.events) + 1, "at": agenda.now(), "event": _event(action, origin, destination)})

    def finish(self, action, result, by):
        """The last result of all actions decides; ABANDON does at once, and the others are over."""
        member = action.member
        action.end(result, by)
        if result == "ABANDON":
            for other in member.actions:
                if other.result is None:
                    other.end("ABANDON", "another hook")
        if all(one.result for one in member.actions):
            self._decide(member, any(one.result == "ABANDON" for one in member.actions))

    def _decide(self, member, abandoned):
        before = member.state.removesuffix(":Wait")
        group, prefix = member.group, "Warmed:" if before.startswith("Warmed:") else ""
        if before.endswith("Terminating"):
            if abandoned and group.terminate_hook_abandon == "retain":
                member.state = before + ":Retained"
                self._replace(group, "when_gone")
            else:
                self._proceed(member, prefix)
        elif abandoned:
            self.terminate(member, hooks=group.abandoned_launch_runs_terminate_hooks)
        else:
            member.state = before + ":Proceed"
            member.later(self._in_service if not prefix else self._warmed)

    def _expire(self, action):
        if action.result is not None:
            return
        if action.expires_at > agenda.now():
            agenda.at(action.expires_at, lambda: self._expire(action))
        else:
            self.finish(action, action.hook.default_result, "timeout")

    def _launched(self, member):
        hooks = member.group.hooks_of(LAUNCHING)
        if hooks:
            self.wait(member, "Pending:Wait", hooks, "EC2", "AutoScalingGroup")
        else:
            self._in_service(member)

    def _in_service(self, member):
        """Not before the instance is up."""
        state = member.state
        instances.when_started(member.instance, lambda: member.state == state and self._serves(member))

    def _serves(self, member):
        member.state = "InService"
        if member.instance.state != "running":
            self._unhealthy(member)

    def _warmed(self, member):
        member.state = "Warmed:Running"

    def _proceed(self, member, prefix):
        member.state = prefix + "Terminating:Proceed"
        member.later(lambda one: agenda.at(max(instances.end(one.instance), agenda.now()), lambda: self._gone(one)))

    def _gone(self, member):
        member.state = "Terminated"
        member.group.members.pop(member.id, None)
        self._replace(member.group, "when_gone")

    def _replace(self, group, when):
        while group.replacements == when and group.missing() > 0 and "Launch" not in group.suspended and group.status is None:
            try:
                self.launch(group, group.launches[0] if group.launches else {})
            except ValueError as problem:
                # Its address may not be free yet.
                log.info("%s: no replacement: %s", group.name, problem)
                agenda.after(RETRY_SECONDS, lambda: self._replace(group, when))
                return
            del group.launches[:1]

    def _supersede(self, member):
        for action in member.actions:
            if action.result is None:
                action.end("ABANDON", "terminated meanwhile")

    def _ended_from_outside(self, instance_id):
        """Health checks look at instances in service alone. One that waits goes on waiting."""
        member = self.member(instance_id)
        if member is not None and member.state in ("InService", "Standby"):
            self._unhealthy(member)

    def _unhealthy(self, member):
        member.health = "Unhealthy"
        if "ReplaceUnhealthy" not in member.group.suspended and "Terminate" not in member.group.suspended:
            self.terminate(member)

    def _emptiest_zone(self, group):
        zones = [member.instance.availability_zone for member in group.members.values()]
        return min(group.zones, key=zones.count) if group.zones else None


def _event(action, origin, destination):
    group, hook = action.group, action.hook
    detail = {
        "LifecycleActionToken": action.token,
        "AutoScalingGroupName": group.name,
        "LifecycleHookName": hook.name,
        "EC2InstanceId": action.member.id,
        "LifecycleTransition": hook.transition,
    }
    if hook.metadata is not None:
        detail["NotificationMetadata"] = hook.metadata
    if group.event_origins:
        detail.update({"Origin": origin, "Destination": destination})
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": DETAIL_TYPES[hook.transition],
        "source": "aws.autoscaling",
        "account": ACCOUNT,
        "time": datetime.fromtimestamp(agenda.now(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": world.region,
        "resources": [group.arn],
        "detail": detail,
    }


groups = Groups()
