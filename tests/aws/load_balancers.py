"""Target groups as AWS documents them, in place of moto's.

Sources: Elastic Load Balancing API reference (RegisterTargets, DeregisterTargets, TargetDescription, TargetHealth) and the
Network Load Balancer user guide (load-balancer-target-groups, target-group-health-checks). Messages of validation errors are
as users have quoted them from AWS: kubernetes-sigs/aws-load-balancer-controller issues 561, 3084 and 3714,
ansible-collections/community.aws issue 1441.
"""

import contextvars
import ipaddress
from concurrent.futures import ThreadPoolExecutor

from moto.core.responses import ActionResult
from moto.elbv2 import models, responses
from moto.elbv2.exceptions import ELBClientError, TargetGroupNotFoundError, TargetNotRunning, ValidationError
from moto.elbv2.models import ELBv2Backend, FakeTargetGroup

import pages
from health import addresses, clock

DEFAULT_INITIAL_SECONDS = 0.5
DESCRIPTIONS = {
    "Elb.RegistrationInProgress": "Target registration is in progress",
    "Target.DeregistrationInProgress": "Target deregistration is in progress",
    "Target.FailedHealthChecks": "Health checks failed",
    "Target.NotInUse": "Target group is not configured to receive traffic from the load balancer",
    "Target.NotRegistered": "Target is not registered to the target group",
    "Target.InvalidState": "Target is in the stopped state",
}
# What a target of type ip may be besides an address of the VPC's subnets.
PRIVATE_RANGES = [
    ipaddress.ip_network(cidr) for cidr in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
]

_probes = ThreadPoolExecutor(max_workers=8, thread_name_prefix="probe")
_load_balancer_type = contextvars.ContextVar("load_balancer_type", default=None)


class TooManyTargetsError(ELBClientError):
    code = "TooManyTargets"
    message = "You've reached the limit on the number of targets."


class Health:
    """A TargetHealthDescription, by the names that moto's serializer looks for. moto's own drops the zone."""

    def __init__(self, group, target, state, reason=None):
        port = group.health_check_port
        self.health_check_port = str(target["Port"]) if port in (None, "traffic-port") else port
        self.target = {name: target.get(name) for name in ("Id", "Port", "AvailabilityZone")}
        self.target_health = {"State": state, "Reason": reason, "Description": DESCRIPTIONS.get(reason)}


def register(group, targets):
    """All or nothing: one bad target refuses the whole call."""
    _forget_drained(group)
    checked = [_checked(group, target) for target in targets]
    cap = settings(group)["max_targets"]
    if cap is not None:
        kept = {key for key, target in group.targets.items() if target["draining_since"] is None}
        if len(kept | {_key(target) for target in checked}) > cap:
            raise TooManyTargetsError()
    for target in checked:
        known = group.targets.get(_key(target))
        if known is None or known["draining_since"] is not None:
            group.targets[_key(target)] = target
        else:
            known["AvailabilityZone"] = target["AvailabilityZone"]


def deregister(group, targets):
    """An unknown target, or one named without the port that it was registered with, is success and changes nothing."""
    for target in targets:
        known = group.targets.get((target["Id"], int(target.get("Port") or group.port)))
        if known is not None and known["draining_since"] is None:
            known["draining_since"] = clock.now()
    _forget_drained(group)


def describe_health(group, targets):
    _forget_drained(group)
    if targets:
        wanted = [
            group.targets.get(
                (t["Id"], int(t.get("Port") or group.port)),
                {"Id": t["Id"], "Port": int(t.get("Port") or group.port)},
            )
            for t in targets
        ]
    else:
        wanted = list(group.targets.values())
    return list(_probes.map(lambda target: _health(group, target), wanted))


def _health(group, target):
    if "registered_at" not in target:
        return Health(group, target, "unused", "Target.NotRegistered")
    if target["draining_since"] is not None:
        return Health(group, target, "draining", "Target.DeregistrationInProgress")
    if not group.load_balancer_arns:
        return Health(group, target, "unused", "Target.NotInUse")
    if group.target_type == "instance":
        instance = group.ec2_backend.get_instance_by_id(target["Id"])
        if instance is None or instance.state != "running":
            return Health(group, target, "unused", "Target.InvalidState")
        address = instance.private_ip
    else:
        address = target["Id"]
    if clock.now() - target["registered_at"] < settings(group)["initial_seconds"]:
        return Health(group, target, "initial", "Elb.RegistrationInProgress")
    if addresses.reachable(address, target["Port"]):
        return Health(group, target, "healthy")
    return Health(group, target, "unhealthy", "Target.FailedHealthChecks")


def _checked(group, target):
    found = {
        "Id": target["Id"],
        "Port": int(target.get("Port") or group.port),
        "AvailabilityZone": target.get("AvailabilityZone"),
        "registered_at": clock.now(),
        "draining_since": None,
    }
    if group.target_type == "instance":
        instance = group.ec2_backend.get_instance_by_id(target["Id"])
        if instance is None or instance.state != "running":
            raise TargetNotRunning(instance_id=target["Id"])
    elif group.target_type == "ip":
        found["AvailabilityZone"] = _zone(group, target["Id"], target.get("AvailabilityZone"))
    return found


def _zone(group, text, asked):
    """The zone that a target of type ip gets, or the ValidationError that AWS answers."""
    family = 6 if group.ip_address_type == "ipv6" else 4
    try:
        address = ipaddress.ip_address(text)
        fits = address.version == family
    except ValueError:
        fits = False
    if not fits:
        raise ValidationError(f"The IP address '{text}' is not a valid IPv{family} address")

    # ELB compares with the VPC's subnets, not with its CIDR blocks.
    for subnet in group.ec2_backend.describe_subnets(filters={"vpc-id": [group.vpc_id]}):
        blocks = [subnet.cidr_block] if family == 4 else [b["ipv6CidrBlock"] for b in subnet.ipv6_cidr_block_associations.values()]
        if any(block and address in ipaddress.ip_network(block) for block in blocks):
            if asked and asked != subnet.availability_zone:
                raise ValidationError(
                    f"The IP address '{text}' is within the VPC, and cannot have its Availability Zone "
                    f"overridden to '{asked}' from '{subnet.availability_zone}'"
                )
            return subnet.availability_zone

    if family == 4 and not any(address in allowed for allowed in PRIVATE_RANGES):
        raise ValidationError(
            f"The IP address '{text}' is not valid: it must be from the subnets of the VPC for the target group or from "
            f"{', '.join(str(allowed) for allowed in PRIVATE_RANGES)}"
        )
    zones = {zone.name for zone in group.ec2_backend.describe_availability_zones()}
    if asked == "all" or asked in zones:
        return asked
    vpc = group.ec2_backend.get_vpc(group.vpc_id)
    within = [ipaddress.ip_network(block["cidr_block"]) for block in vpc.get_cidr_block_association_set(ipv6=family == 6)]
    if not asked and any(address in block for block in within):
        raise ValidationError(f"The Availability Zone is required for IP address '{text}' because it is not in the VPC")
    raise ValidationError(
        "You must specify a valid Availability Zone or select 'all' for all enabled Availability zones, since the IP "
        f"address '{text}' is outside the VPC"
    )


def _forget_drained(group):
    delay = float(group.attributes["deregistration_delay.timeout_seconds"])
    now = clock.now()
    for key, target in list(group.targets.items()):
        if target["draining_since"] is not None and now - target["draining_since"] >= delay:
            del group.targets[key]


def _key(target):
    return target["Id"], target["Port"]


def settings(group):
    """What the control routes may set for a group."""
    if not hasattr(group, "emulated"):
        group.emulated = {"max_targets": None, "initial_seconds": DEFAULT_INITIAL_SECONDS, "detached_from": None}
    return group.emulated


def set_attached(group, attached):
    """Takes the group out of its listeners' use, or puts it back, as if the listeners had changed."""
    kept = settings(group)
    if attached and kept["detached_from"] is not None:
        group.load_balancer_arns, kept["detached_from"] = kept["detached_from"], None
    elif not attached and kept["detached_from"] is None:
        kept["detached_from"], group.load_balancer_arns = group.load_balancer_arns, []


def install():
    """Puts all this in moto's place."""

    def found(backend, arn):
        group = backend.target_groups.get(arn)
        if group is None:
            raise TargetGroupNotFoundError()
        return group

    def deregister_terminated(group, instance_ids):
        deregister(group, [{"Id": id, "Port": port} for id, port in list(group.targets) if id in instance_ids])

    FakeTargetGroup.register = register
    FakeTargetGroup.deregister = deregister
    FakeTargetGroup.deregister_terminated_instances = deregister_terminated
    ELBv2Backend.describe_target_health = lambda backend, target_group_arn, targets: describe_health(
        found(backend, target_group_arn), targets
    )

    arn_of_any = models.make_arn_for_load_balancer

    def make_arn(**kwargs):
        arn = arn_of_any(**kwargs)
        kind = {"network": "net", "gateway": "gwy"}.get(_load_balancer_type.get(), "app")
        return arn.replace(":loadbalancer/app/", f":loadbalancer/{kind}/")

    create_load_balancer = ELBv2Backend.create_load_balancer

    def create_typed(backend, *args, loadbalancer_type=None, **kwargs):
        token = _load_balancer_type.set(loadbalancer_type)
        try:
            return create_load_balancer(backend, *args, loadbalancer_type=loadbalancer_type, **kwargs)
        finally:
            _load_balancer_type.reset(token)

    models.make_arn_for_load_balancer = make_arn
    ELBv2Backend.create_load_balancer = create_typed

    delete_listener = ELBv2Backend.delete_listener

    def delete_and_release(backend, listener_arn):
        listener = delete_listener(backend, listener_arn)
        for group in backend.target_groups.values():
            if listener.load_balancer_arn in group.load_balancer_arns and not backend._any_listener_using(group.arn):
                group.load_balancer_arns = []
        return listener

    ELBv2Backend.delete_listener = delete_and_release

    def describe_target_groups(response):
        groups = response.elbv2_backend.describe_target_groups(
            response._get_param("LoadBalancerArn"),
            response._get_param("TargetGroupArns", []),
            response._get_param("Names", []),
        )
        asked, marker = response._get_int_param("PageSize"), response._get_param("Marker")
        page, marker = pages.page("target_groups", list(groups), asked, marker, ValidationError("The marker is invalid"))
        return ActionResult({"TargetGroups": page, "NextMarker": marker})

    responses.ELBV2Response.describe_target_groups = describe_target_groups
