"""EC2 instances that come and go as AWS's do: `pending`, `running`, `shutting-down`, `terminated`, with what goes with them.

Sources: Amazon EC2 user guide (ec2-instance-lifecycle, preserving-volumes-on-termination) and API reference (DescribeInstances,
ModifyInstanceAttribute). A terminated instance can still be seen; its address is free again, and its volumes without
DeleteOnTermination are `available`.
"""

import ipaddress

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Instance
from moto.ec2.responses.instances import InstanceResponse
from moto.elbv2.models import elbv2_backends

import commands
from agenda import agenda
from world import ACCOUNT, world

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
ENDING = ("shutting-down", "terminated")
IMAGE = "ami-0123456789abcdef0"
DEFAULT_TYPE = "m6g.large"

# Called with the id of an instance whose end began without its group's doing.
ended_from_outside = []


def launch(instance_id=None, address=None, zone=None, tags=None, instance_type=None, running=False, spot=False):
    """A new instance of moto's, `pending` for its time unless it is to be `running` at once."""
    if instance_id and world.ec2.get_instance_by_id(instance_id):
        raise ValueError(f"there is an instance {instance_id} already")
    subnet = _subnet(address, zone)
    reservation = world.ec2.run_instances(
        IMAGE,
        1,
        None,
        [],
        subnet_id=subnet.id,
        private_ip=address,
        region_name=world.region,
        instance_type=instance_type or DEFAULT_TYPE,
        is_instance_type_default=False,
        client_token="",
    )
    instance = reservation.instances[0]
    # Before anything refers to it by its id.
    instance.id = instance_id or instance.id
    instance.add_tags(tags or {})
    instance.waiting = []
    # InstanceLifecycle, which has no value for others.
    instance.lifecycle = "spot" if spot else None
    if not running:
        set_state(instance, "pending")
        agenda.soon("pending", lambda: instance.state == "pending" and set_state(instance, "running"))
    return instance


def found(instance_id):
    instance = world.ec2.get_instance_by_id(instance_id)
    if instance is None:
        raise ValueError(f"no instance {instance_id!r}")
    return instance


def set_state(instance, name):
    instance._state.name, instance._state.code = name, CODES[name]
    if name == "running":
        commands.deliver_to(instance.id)
    if name != "pending":
        waiting, instance.waiting = instance.waiting, []
        for happen in waiting:
            happen()


def when_started(instance, happen):
    """At once, if it is not `pending` any more."""
    if instance.state == "pending":
        instance.waiting.append(happen)
    else:
        happen()


def end(instance):
    """Begins its end, and returns the time at which it will have been terminated."""
    if instance.state in ENDING:
        return instance.ends_at
    instance.ends_at = agenda.now() + agenda.pace["shutdown"]
    set_state(instance, "shutting-down")
    commands.instance_ended(instance.id)
    elbv2_backends[ACCOUNT][world.region].notify_terminate_instances([instance.id])
    agenda.at(instance.ends_at, lambda: _terminated(instance))
    return instance.ends_at


def kill(instance_id):
    """As its owner, or the taking back of spare capacity, ends it: nobody asks its group."""
    instance = found(instance_id)
    ends_at = end(instance)
    for tell in ended_from_outside:
        tell(instance_id)
    return ends_at


def _terminated(instance):
    subnet = world.ec2.get_subnet(instance.subnet_id)
    instance.terminate_plainly()
    for address in list(instance._private_ips):
        subnet.del_subnet_ip(address)


def _subnet(address, zone):
    if world.vpc_id is None:
        raise ValueError("there is no world: POST /_control/world first")
    subnets = world.ec2.describe_subnets(filters={"vpc-id": [world.vpc_id]})
    if address:
        subnets = [one for one in subnets if ipaddress.ip_address(address) in ipaddress.ip_network(one.cidr_block)]
    if zone:
        subnets = [one for one in subnets if one.availability_zone == zone]
    if not subnets:
        raise ValueError(f"no subnet of the world's VPC has the address {address} and the zone {zone}")
    if address in subnets[0]._subnet_ips:
        raise ValueError(f"the address {address} is in use")
    return subnets[0]


def _terminate(instance):
    """As the API has it: takes its time, and its group notices."""
    previous = type(instance._state)(instance.state, instance.state_code)
    if instance.state not in ENDING:
        kill(instance.id)
    return previous


def _gone(instance):
    return instance.state == "terminated"


def _modify_devices(response):
    """moto answers HTML where no such device is mapped."""
    instance = response.ec2_backend.get_instance(response._get_param("InstanceId"))
    changes = [
        (one.get("DeviceName"), one.get("Ebs", {}).get("DeleteOnTermination"))
        for one in response._get_param("BlockDeviceMappings", [])
    ]
    changes = [(device, keep) for device, keep in changes if keep is not None]
    for device, _ in changes:
        if device not in instance.block_device_mapping:
            raise EC2ClientError("InvalidInstanceAttributeValue", f"No device is currently mapped at {device}")
    for device, on_termination in changes:
        instance.block_device_mapping[device].delete_on_termination = str(on_termination).lower() == "true"
    return bool(changes)


def install():
    """Puts all this in moto's place."""
    Instance.terminate_plainly = Instance.terminate
    Instance.terminate = _terminate
    # "terminated" has none of these.
    private_dns_name = Instance.private_dns_name.fget
    Instance.private_ip_address = property(lambda self: None if _gone(self) else self.nics[0].private_ip_address)
    Instance.network_interfaces = property(lambda self: [] if _gone(self) else list(self.nics.values()))
    Instance.private_dns_name = property(lambda self: "" if _gone(self) else private_dns_name(self))
    InstanceResponse._block_device_mapping_handler = _modify_devices

    do_resources_exist = EC2Backend.do_resources_exist

    def exist(backend, ids):
        for one in ids:
            if one.startswith("i-"):
                backend.get_instance(one)
        return do_resources_exist(backend, ids)

    EC2Backend.do_resources_exist = exist
