"""Groups, instances and lifecycle actions, as the control routes show them."""

import commands
from groups import groups
from world import world


def group(one):
    return {
        "name": one.name,
        "arn": one.arn,
        "desired": one.desired,
        "suspended": one.suspended,
        "status": one.status,
        "instances": [instance(member) for member in one.members.values()],
    }


def instance(member):
    shown = {"group": member.group.name, **_machine(member.instance)}
    return {**shown, "state": member.state, "health": member.health, "protected": member.protected}


def instances():
    """All that EC2 knows, whichever group they are in or were in."""
    if world.vpc_id is None:
        return []
    found = [(one, groups.member(one.id)) for one in world.ec2.all_instances()]
    return [instance(member) if member else {"group": None, **_machine(one), "state": None} for one, member in found]


def volumes():
    """All of the world's Region, with the file that stands for one's bytes, where there is one."""
    if world.vpc_id is None:
        return []
    return [
        {
            "volume_id": one.id,
            "status": one.status,
            "size": one.size,
            "snapshot_id": one.snapshot_id,
            "instance_id": one.attachment.instance.id if one.attachment else None,
            "device": one.attachment.device if one.attachment else None,
            "encrypted": one.encrypted,
            "key": one.kms_key_id,
            "file": one.file,
        }
        for one in world.ec2.volumes.values()
    ]


def _machine(one):
    return {
        "instance_id": one.id,
        "ec2_state": one.state,
        "address": one.private_ip,
        "zone": one.availability_zone,
        "tags": {tag["key"]: tag["value"] for tag in one.get_tags()},
        "agent": commands.agent_of(one.id).state,
        "volumes": [
            {"device": device, "volume_id": disk.volume_id, "status": disk.status}
            for device, disk in one.get_block_device_mapping
        ],
    }


def action(one):
    return {
        "token": one.token,
        "group": one.group.name,
        "hook": one.hook.name,
        "transition": one.hook.transition,
        "instance_id": one.member.id,
        "started_at": one.started_at,
        "expires_at": one.expires_at,
        "ends_at": one.ends_at,
        "heartbeats": one.heartbeats,
        "result": one.result,
        "by": one.by,
        "ended_at": one.ended_at,
    }
