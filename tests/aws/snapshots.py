"""EBS snapshots as AWS takes, completes, copies and deletes them. `snapshot_api.py` puts it in moto's place.

Sources: Amazon EC2 API reference (CreateSnapshots, CopySnapshot, DeleteSnapshot, Snapshot, "Error codes"), the EBS user guide
(ebs-creating-snapshot, ebs-copy-snapshot, ebs-deleting-snapshot, snapshot-lock, recycle-bin) and the EBS endpoints and quotas.
Messages are as users have quoted them, where they have.
"""

import os
from datetime import datetime, timezone
from types import SimpleNamespace

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_block_store import Snapshot
from moto.ec2.utils import random_snapshot_id

import encryption_keys
import snapshot_events
import snapshot_files
from agenda import agenda
from world import ACCOUNT, known, world

# Null: no such limit. The first three are AWS's, which cannot be raised; the rest are the account's.
DEFAULT_QUOTAS = {
    "pending_per_volume": 5,
    "pending_per_cold_volume": 1,
    "pending_copies": 20,
    # "The maximum per volume CreateSnapshot request rate has been exceeded": one in 15 s.
    "seconds_between": 15,
    "pending": None,
    "snapshots": None,
    # No quotas: whether a rule of the Recycle Bin keeps what is deleted, and whether copies of encrypted sources, and they alone, need
    # a presigned URL. What AWS does without one is not known; a wrong one "fails asynchronously".
    "recycle_bin": False,
    "presigned_url": False,
}
COLD = ("st1", "sc1")
# "Snapshots copies have an arbitrary source volume ID. Do not use this volume ID for any purpose."
ARBITRARY_VOLUME = "vol-ffffffff"
NO_KEY = "Given key ID is not accessible"


class Call:
    """What one CreateSnapshots or CreateSnapshot made."""

    def __init__(self, started, together):
        self.started = started
        self.together = together
        self.members = []
        self.told = False


class Registry:
    def __init__(self):
        self.reset()

    def reset(self):
        self.quotas = dict(DEFAULT_QUOTAS)
        # By destination and lineage: one is copied at a time.
        self.queues = {}
        # By volume: when its latest snapshot was begun, whatever became of that.
        self.begun = {}

    def limit(self, given):
        unknown = set(given) - set(DEFAULT_QUOTAS)
        if unknown:
            raise ValueError(f"unknown: {sorted(unknown)}; known: {sorted(DEFAULT_QUOTAS)}")
        self.quotas.update(given)


registry = Registry()


def regions():
    return [(region, backend) for region, backend in list(ec2_backends[ACCOUNT].items())]


def new(backend, volume, description, **fields):
    """A snapshot of moto's with what this emulator keeps of one. `began` is the emulator's time, as StartTime is."""
    snapshot = Snapshot(backend, random_snapshot_id(), volume, description)
    vars(snapshot).update(fields)
    snapshot.start_time = datetime.fromtimestamp(snapshot.began, timezone.utc).replace(tzinfo=None)
    backend.snapshots[snapshot.id] = snapshot
    return snapshot


def begin(snapshot):
    """What moto's own snapshots (those of images) lack."""
    snapshot.region = snapshot.ec2_backend.region_name
    snapshot.began = agenda.now()
    snapshot.takes, snapshot.completed_at = 0.0, None
    snapshot.call = snapshot.copy_of = snapshot.file = snapshot.message = snapshot.image = snapshot.lock = None
    snapshot.incremental = False
    snapshot.deleted = False
    snapshot.public = False
    snapshot.lineage = snapshot.volume.id


def included(backend, instance, exclude_boot, excluded):
    """The volumes of an instance that CreateSnapshots is to take: all that are attached but those that are left out."""
    if len(excluded) > 40:
        raise EC2ClientError("InvalidParameterValue", "The number of ExcludeDataVolumeIds exceeds the maximum of 40.")
    attached = {
        one.id: one for one in backend.volumes.values() if one.attachment is not None and one.attachment.instance is instance
    }
    attached = {id: one for id, one in attached.items() if one.attachment.status in ("attached", "busy", "detaching")}
    root = next((id for id, one in attached.items() if one.attachment.device == instance.root_device_name), None)
    if root in excluded:
        raise EC2ClientError(
            "InvalidParameterValue", f"The root volume {root} cannot be in ExcludeDataVolumeIds. Use ExcludeBootVolume."
        )
    for one in excluded:
        backend.get_volume(one)
        if one not in attached:
            raise EC2ClientError("InvalidParameterValue", f"The volume {one} is not attached to instance {instance.id}.")
    return [one for id, one in attached.items() if id not in excluded and not (exclude_boot and id == root)]


def take(backend, volumes, description, tags, together):
    """Snapshots of these volumes, all of the same instant. `tags` is a function of the volume."""
    _check_room(backend, volumes)
    for volume in volumes:
        if len([name for name in tags(volume) if not name.startswith("aws:")]) > 50:
            raise EC2ClientError("TagLimitExceeded", "More than 50 tags specified")
    call = Call(round(agenda.now(), 3), together)
    takes = agenda.pace["snapshot" if together else "single_snapshot"]
    for volume in volumes:
        of = SimpleNamespace(id=volume.id, size=volume.size)
        key = {"encrypted": volume.encrypted, "kms_key_id": volume.encrypted and volume.kms_key_id or None}
        snapshot = new(backend, of, description, status="pending", began=call.started, takes=takes, call=call, **key)
        snapshot.lineage = volume.id
        call.members.append(snapshot)
    # Under the lock around everything, so that nothing that passes through here happens between one file and the next.
    try:
        snapshot_files.take(list(zip(volumes, call.members)))
    except BaseException:
        for one in call.members:
            _remove(one)
        raise
    for volume, snapshot in zip(volumes, call.members):
        registry.begun[volume.id] = call.started
        snapshot.add_tags(tags(volume))
    agenda.after(takes, lambda: [complete(one) for one in call.members])
    return call.members


def _check_room(backend, volumes):
    quotas = registry.quotas
    ours = [one for one in backend.snapshots.values() if one.owner_id == ACCOUNT]
    pending = [one for one in ours if one.status == "pending"]
    for volume in volumes:
        own = [one for one in pending if one.call and one.volume.id == volume.id]
        most = quotas["pending_per_cold_volume" if volume.volume_type in COLD else "pending_per_volume"]
        if most is not None and len(own) >= most:
            raise EC2ClientError("ConcurrentSnapshotLimitExceeded", "Maximum allowed in-progress snapshots for a single volume exceeded.")
        last = registry.begun.get(volume.id)
        if quotas["seconds_between"] and last is not None and agenda.now() - last < quotas["seconds_between"]:
            raise EC2ClientError(
                "SnapshotCreationPerVolumeRateExceeded", "The maximum per volume CreateSnapshot request rate has been exceeded."
            )
    if quotas["pending"] is not None and len(pending) + len(volumes) > quotas["pending"]:
        raise EC2ClientError("PendingSnapshotLimitExceeded", "The maximum number of pending snapshots has been reached.")
    if quotas["snapshots"] is not None and len(ours) + len(volumes) > quotas["snapshots"]:
        raise EC2ClientError("SnapshotLimitExceeded", "The maximum number of snapshots has been reached.")


def complete(snapshot):
    if snapshot.status != "pending":
        return
    snapshot.status, snapshot.completed_at = "completed", agenda.now()
    if snapshot.copy_of:
        snapshot_events.copy_ended(snapshot, "")
        _next_copy(snapshot)
    elif snapshot.call:
        _tell(snapshot.call, "")
    if snapshot.deleted:
        _remove(snapshot)


def fail(snapshot, message=None):
    """One of a set takes all of it along: "If any one of the snapshots fails, all of the other snapshots display an error status"."""
    cause = f"Snapshot {snapshot.id} is in status error"
    for one in snapshot.call.members if snapshot.call else [snapshot]:
        one.status, one.completed_at = "error", None
        if one.deleted:
            _remove(one)
    snapshot.message = message or "The snapshot failed"
    if snapshot.copy_of:
        snapshot_events.copy_ended(snapshot, message or cause)
        _next_copy(snapshot)
    elif snapshot.call:
        snapshot.call.told = False
        _tell(snapshot.call, cause)


def _tell(call, cause):
    """Once for all of a call, when the last of it is over."""
    if call.told or any(one.status == "pending" for one in call.members):
        return
    call.told = True
    if call.together:
        snapshot_events.set_ended(call, cause)
    else:
        snapshot_events.snapshot_ended(call.members[0], cause)


def copy(backend, source_region, source_id, description, encrypted, key, tags, signed=None):
    """A copy in `backend`'s Region, `pending` behind any other of its lineage that is on its way there. `signed`: whether its presigned
    URL is right; None where it has none."""
    source = source_of(source_region, source_id)
    if source.status != "completed" or source.storage_tier != "standard":
        shown = source.status if source.status != "completed" else source.storage_tier
        raise EC2ClientError("IncorrectState", f"Snapshot is in invalid state - {shown}")
    if key and not (encrypted or source.encrypted):
        raise EC2ClientError("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
    here = [one for one in backend.snapshots.values() if one.copy_of]
    most = registry.quotas["pending_copies"]
    if most is not None and len([one for one in here if one.status == "pending"]) >= most:
        raise EC2ClientError(
            "ResourceLimitExceeded", f"Too many snapshot copies in progress. The limit is {most} for this destination region."
        )
    if len(tags) > 50:
        raise EC2ClientError("TagLimitExceeded", "More than 50 tags specified")
    encrypted = bool(encrypted or source.encrypted)
    wanted = (key or encryption_keys.default(backend)) if encrypted else None
    arn = wanted and encryption_keys.arn(backend.region_name, wanted)
    newest = max((one for one in here if one.lineage == source.lineage), key=lambda one: one.began, default=None)
    snapshot = new(
        backend,
        SimpleNamespace(id=ARBITRARY_VOLUME, size=source.volume.size),
        description or "",
        status="pending",
        began=round(agenda.now(), 3),
        takes=agenda.pace["copy"],
        copy_of=(source_region, source_id),
        encrypted=encrypted,
        kms_key_id=arn,
        lineage=source.lineage,
        # "Incremental if the most recent copy still exists" and all have the same key.
        incremental=newest is not None and newest.status != "error" and newest.kms_key_id == arn,
        file=source.file,
    )
    snapshot.add_tags(tags)
    wants = registry.quotas["presigned_url"]
    snapshot.unsigned = wants and signed is not (True if source.encrypted else None)
    queue = registry.queues.setdefault((backend.region_name, source.lineage), [])
    queue.append(snapshot)
    if queue == [snapshot]:
        agenda.after(snapshot.takes, lambda: _copied(snapshot))
    return snapshot


def source_of(region, one):
    if region not in ec2_backends[ACCOUNT]:
        raise EC2ClientError("InvalidParameterValue", f"Value ({region}) for parameter SourceRegion is invalid.")
    source = ec2_backends[ACCOUNT][region].snapshots.get(one)
    if source is None or source.status == "recoverable" or (source.owner_id != ACCOUNT and not source.public):
        raise EC2ClientError("InvalidSnapshot.NotFound", f"The snapshot '{one}' does not exist.")
    return source


def _copied(snapshot):
    """The keys are looked at only now: "the action can appear to complete, but eventually fails"."""
    if snapshot.status != "pending":
        return
    region, source = snapshot.copy_of
    source = ec2_backends[ACCOUNT][region].snapshots.get(source)
    closed = source is not None and source.kms_key_id and encryption_keys.found(region, source.kms_key_id)
    if snapshot.unsigned:
        fail(snapshot, "The presigned URL is not valid")
    elif snapshot.kms_key_id and not encryption_keys.usable(snapshot.region, snapshot.kms_key_id):
        fail(snapshot, NO_KEY)
    elif closed and closed.key_state != "Enabled":
        fail(snapshot, NO_KEY)
    else:
        complete(snapshot)


def _next_copy(snapshot):
    queue = registry.queues.get((snapshot.region, snapshot.lineage), [])
    if snapshot not in queue:
        return
    first = queue[0] is snapshot
    queue.remove(snapshot)
    if first and queue:
        following = queue[0]
        agenda.after(following.takes, lambda: _copied(following))


def delete(backend, one):
    snapshot = backend.snapshots.get(one)
    if snapshot is None or snapshot.status in ("recoverable", "recovering"):
        raise EC2ClientError("InvalidSnapshot.NotFound", f"The snapshot '{one}' does not exist.")
    if snapshot.owner_id != ACCOUNT:
        raise EC2ClientError("AuthFailure", f"Not authorized for snapshot {one}")
    image = snapshot.image or (snapshot.from_ami if snapshot.from_ami in backend.amis else None)
    if image:
        raise EC2ClientError("InvalidSnapshot.InUse", f"The snapshot {one} is currently in use by {image}")
    if snapshot.lock and snapshot.lock["state"] != "expired":
        raise EC2ClientError("SnapshotLocked", f"The snapshot {one} is locked and cannot be deleted.")
    if snapshot.status == "pending":
        # "the snapshot must complete before the deletion takes effect"
        snapshot.deleted = True
    elif registry.quotas["recycle_bin"] and snapshot.status == "completed":
        snapshot.status = "recoverable"
    else:
        _remove(snapshot)


def _remove(snapshot):
    snapshot.ec2_backend.snapshots.pop(snapshot.id, None)


def find(body):
    region = body.get("region") or world.region
    snapshot = ec2_backends[ACCOUNT][region].snapshots.get(body["snapshot_id"])
    if snapshot is None:
        raise ValueError(f"no snapshot {body['snapshot_id']!r} in {region}")
    return snapshot


def change(body):
    """A snapshot, changed by hand."""
    known(
        body,
        {"snapshot_id", "region", "complete", "fail", "message", "image", "lock", "tier", "shared_with", "state", "gone"},
        "snapshot",
    )
    snapshot = find(body)
    if body.get("fail"):
        fail(snapshot, body.get("message"))
    elif "message" in body:
        snapshot.message = body["message"]
    if body.get("complete"):
        complete(snapshot)
    if "image" in body:
        snapshot.image = body["image"]
    if "lock" in body:
        lock = body["lock"]
        known(lock or {}, {"state", "expires"}, "lock")
        snapshot.lock = lock
    if "tier" in body:
        snapshot.storage_tier = body["tier"]
    if "shared_with" in body:
        snapshot.create_volume_permission_groups = {one for one in body["shared_with"] if one == "all"}
        snapshot.create_volume_permission_userids = {one for one in body["shared_with"] if one != "all"}
    if "state" in body:
        snapshot.status = body["state"]
    if body.get("gone"):
        _remove(snapshot)


def by_hand(body):
    """A completed snapshot that nobody here took: another account's, which may be public, or one of ours."""
    known(body, {"region", "owner", "public", "tags", "size", "description", "volume_id"}, "snapshot")
    backend = ec2_backends[ACCOUNT][body.get("region") or world.region]
    of = SimpleNamespace(id=body.get("volume_id", ARBITRARY_VOLUME), size=int(body.get("size", 8)))
    fields = {"owner_id": body.get("owner", ACCOUNT), "public": body.get("public", False), "began": round(agenda.now(), 3)}
    snapshot = new(backend, of, body.get("description", ""), status="completed", completed_at=agenda.now(), **fields)
    snapshot.add_tags(body.get("tags", {}))
    return shown(snapshot)


def all_shown():
    return [shown(one) for _, backend in regions() for one in backend.snapshots.values()]


def shown(one):
    return {
        "snapshot_id": one.id,
        "region": one.region,
        "volume_id": one.volume.id,
        "state": one.status,
        "message": one.message,
        "progress": progress(one),
        "started_at": one.began,
        "completed_at": one.completed_at,
        "size": one.volume.size,
        "encrypted": one.encrypted,
        "key": one.kms_key_id,
        "tier": one.storage_tier,
        "owner": one.owner_id,
        "tags": dict(one.ec2_backend.tags.get(one.id, {})),
        "file": one.file,
        "copy_of": one.copy_of and {"region": one.copy_of[0], "snapshot_id": one.copy_of[1]},
        "incremental": one.incremental,
        "deleted_when_complete": one.deleted,
    }


def full_size(one):
    """Of what has no file, half of the volume was ever written."""
    return os.path.getsize(one.file) if one.file else one.volume.size << 29


def progress(one):
    if one.status != "pending":
        return "100%" if one.status == "completed" else "0%"
    return f"{min(99, int(100 * (agenda.now() - one.began) / one.takes)) if one.takes else 0}%"
