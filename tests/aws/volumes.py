"""EBS volumes as AWS creates, attaches and detaches them, in place of moto's.

Sources: Amazon EC2 API reference (CreateVolume, AttachVolume, DetachVolume, Volume, VolumeAttachment, "Error codes", "Ensuring
idempotency") and the EBS user guide (ebs-describing-volumes, ebs-detaching-volume). Messages are as users have quoted them.
"""

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.block_device import BlockDeviceType
from moto.ec2.models.elastic_block_store import EBSBackend, Volume, VolumeAttachment
from moto.ec2.models.instances import Instance
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

import encryption_keys
import snapshot_files
from agenda import agenda

ATTACHABLE_TO = ("pending", "running", "stopping", "stopped")
GP3_THROUGHPUT = 125


def set_stuck(volume, stuck):
    """A detachment that hangs: "If the volume is mounted, detaching it results in it being stuck in the busy state"."""
    volume.stuck = stuck
    if not stuck and volume.attachment is not None and volume.attachment.status == "busy":
        _detach_now(volume, volume.attachment)


def _create(response):
    """The same token means the same volume, as long as everything else is the same too."""
    token = response._get_param("ClientToken")
    asked = {name: value for name, value in sorted(response.data.items()) if name not in ("ClientToken", "Action", "Version")}
    tokens = response.ec2_backend.__dict__.setdefault("volume_tokens", {})
    if token in tokens:
        known, volume = tokens[token]
        if known != asked:
            raise EC2ClientError(
                "IdempotentParameterMismatch",
                "The request uses the same client token as a previous, but non-identical request. Do not reuse a client token "
                "with different requests, unless the requests are identical",
            )
        return ActionResult(volume)
    snapshot = response._get_param("SnapshotId") and response.ec2_backend.get_snapshot(response._get_param("SnapshotId"))
    if snapshot:
        _check_snapshot(snapshot, response._get_param("Size"))
    made = create_volume_plainly(response)
    if snapshot:
        made.result.kms_key_id = made.result.kms_key_id or snapshot.kms_key_id
        snapshot_files.give(made.result, snapshot)
    if token:
        tokens[token] = asked, made.result
    return made


def _check_snapshot(snapshot, size):
    if snapshot.status != "completed":
        raise EC2ClientError("IncorrectState", f"Snapshot is in invalid state - {snapshot.status}")
    if snapshot.storage_tier != "standard":
        raise EC2ClientError("IncorrectState", f"Snapshot {snapshot.id} is archived and must be restored first")
    if size is not None and int(size) < snapshot.volume.size:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Volume of {size}GiB is smaller than snapshot '{snapshot.id}', expect size >= {snapshot.volume.size}GiB",
        )


def _attach(backend, volume_id, instance_id, device_path, delete_on_termination=False):
    volume, instance = backend.get_volume(volume_id), backend.get_instance(instance_id)
    if volume.attachment is not None:
        raise EC2ClientError("VolumeInUse", f"{volume_id} is already attached to an instance")
    # An instance's own volumes are made with it.
    with_it = volume.launched_with == instance_id
    if volume.status != "available" and not with_it:
        raise EC2ClientError("IncorrectState", f"{volume_id} is not 'available'.")
    if instance.state not in ATTACHABLE_TO:
        raise EC2ClientError("IncorrectState", f"Instance '{instance_id}' is not 'running'.")
    if volume.availability_zone != instance.availability_zone:
        raise EC2ClientError(
            "InvalidVolume.ZoneMismatch",
            f"The volume '{volume_id}' is not in the same availability zone as instance '{instance_id}'",
        )
    if device_path in instance.block_device_mapping:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Invalid value '{device_path}' for unixDevice. Attachment point {device_path} is already in use",
        )
    attachment = VolumeAttachment(volume, instance, device_path, "attached" if with_it else "attaching")
    volume.attachment = attachment
    instance.block_device_mapping[device_path] = BlockDeviceType(
        volume_id=volume_id,
        status=attachment.status,
        size=volume.size,
        attach_time=utcnow(),
        delete_on_termination=delete_on_termination,
    )
    if not with_it:
        agenda.soon("volume", lambda: attachment.status == "attaching" and _set(attachment, "attached"))
    return attachment


def _detach(backend, volume_id, instance_id, device_path, force=False):
    volume = backend.get_volume(volume_id)
    attachment = volume.attachment
    if attachment is None:
        raise EC2ClientError("IncorrectState", f"Volume '{volume_id}' is in the '{volume.status}' state.")
    if instance_id and attachment.instance.id != instance_id:
        raise EC2ClientError("InvalidAttachment.NotFound", f"Volume '{volume_id}' is not attached to instance '{instance_id}'")
    if device_path and attachment.device != device_path:
        raise EC2ClientError(
            "InvalidAttachment.NotFound",
            f"The volume '{volume_id}' is not attached to instance '{instance_id}' as device {device_path}",
        )
    instance = attachment.instance
    if attachment.device == instance.root_device_name and instance.state in ("pending", "running"):
        raise EC2ClientError("OperationNotPermitted", f"Unable to detach root volume '{volume_id}' from instance '{instance.id}'")
    if volume.stuck and not force:
        _set(attachment, "busy")
    else:
        _set(attachment, "detaching")
        agenda.soon("volume", lambda: _detach_now(volume, attachment))
    return attachment


def _detach_now(volume, attachment):
    if volume.attachment is attachment:
        attachment.instance.block_device_mapping.pop(attachment.device, None)
        volume.attachment, attachment.status = None, "detached"


def _set(attachment, status):
    attachment.status = status
    attachment.instance.block_device_mapping[attachment.device].status = status


def _tear_down(instance):
    """What becomes of a terminated instance's volumes."""
    for mapping in list(instance.block_device_mapping.values()):
        volume = instance.ec2_backend.get_volume(mapping.volume_id)
        _detach_now(volume, volume.attachment)
        if mapping.delete_on_termination:
            instance.ec2_backend.delete_volume(volume.id)


def _deletes_on_termination(attachment):
    mapping = attachment.instance.block_device_mapping.get(attachment.device)
    return mapping is not None and mapping.delete_on_termination


def _status(volume):
    if volume.attachment is not None:
        return "in-use"
    return "creating" if agenda.now() < volume.ready_at else "available"


def _detach_response(response):
    attachment = response.ec2_backend.detach_volume(
        response._get_param("VolumeId"),
        response._get_param("InstanceId"),
        response._get_param("Device"),
        response._get_bool_param("Force", False),
    )
    return ActionResult(
        {
            "VolumeId": attachment.volume.id,
            "InstanceId": attachment.instance.id,
            "Device": attachment.device,
            "State": attachment.status,
            "AttachTime": attachment.attach_time,
        }
    )


def create_volume_plainly(response):
    raise NotImplementedError("install() puts moto's here")


def install():
    """Puts all this in moto's place."""
    global create_volume_plainly
    create_volume_plainly = ElasticBlockStore.create_volume
    ElasticBlockStore.create_volume = _create
    ElasticBlockStore.detach_volume = _detach_response
    EBSBackend.attach_volume = _attach
    EBSBackend.detach_volume = _detach
    Instance.teardown_defaults = _tear_down

    plain_init = Volume.__init__

    def init(volume, *args, **kwargs):
        plain_init(volume, *args, **kwargs)
        volume.ready_at = agenda.now() + agenda.pace["volume"]
        volume.stuck = False
        volume.launched_with = None
        volume.file = volume.hold = volume.release = None
        if volume.kms_key_id:
            volume.kms_key_id = encryption_keys.arn(volume.ec2_backend.region_name, volume.kms_key_id)
        if volume.volume_type == "gp3" and not volume.throughput:
            volume.throughput = GP3_THROUGHPUT

    Volume.__init__ = init
    Volume.status = property(_status)
    VolumeAttachment.delete_on_termination = property(_deletes_on_termination)

    def set_up(instance):
        """The root volume, which is there as soon as the instance is."""
        volume = instance.ec2_backend.create_volume(size=8, zone_name=instance.availability_zone, volume_type="gp3")
        volume.launched_with = instance.id
        instance.ec2_backend.attach_volume(volume.id, instance.id, instance.root_device_name, True)

    Instance.setup_defaults = set_up
