"""EC2's operations on snapshots, in the place of moto's: what they check, and what they answer."""

import re
from datetime import datetime, timezone
from urllib.parse import parse_qsl, urlsplit

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.elastic_block_store import Snapshot
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

import instances
import pages
import snapshots
from world import ACCOUNT

# DescribeSnapshots' filters but those of tags.
FILTERS = {
    "description": lambda one: one.description,
    "encrypted": lambda one: str(one.encrypted).lower(),
    "owner-id": lambda one: one.owner_id,
    "progress": snapshots.progress,
    "snapshot-id": lambda one: one.id,
    "status": lambda one: one.status,
    "storage-tier": lambda one: one.storage_tier,
    "volume-id": lambda one: one.volume.id,
    "volume-size": lambda one: str(one.volume.size),
}
# "a maximum of 200 values in a single request" (Using_Filtering).
MOST_VALUES = 200


def _create_snapshots(response):
    backend = response.ec2_backend
    asked = response._get_param("InstanceSpecification", {})
    if not asked.get("InstanceId"):
        raise EC2ClientError("MissingParameter", "The request must contain the parameter InstanceSpecification.InstanceId")
    instance = backend.get_instance(asked["InstanceId"])
    tags = _new_tags(response)
    response.error_on_dryrun()
    if instance.state in instances.ENDING:
        raise EC2ClientError("IncorrectState", f"The instance '{instance.id}' is not in a state from which snapshots can be taken.")
    boot = str(asked.get("ExcludeBootVolume", False)).lower() == "true"
    volumes = snapshots.included(backend, instance, boot, asked.get("ExcludeDataVolumeIds", []))
    if not volumes:
        raise EC2ClientError("InvalidParameterValue", f"No volumes of instance {instance.id} are left to take snapshots of.")
    copied = response._get_param("CopyTagsFromSource") == "volume"
    made = snapshots.take(
        backend,
        volumes,
        response._get_param("Description", ""),
        lambda volume: {**(_own_tags(backend, volume) if copied else {}), **tags},
        together=True,
    )
    return ActionResult({"Snapshots": [_described(one, ANSWERED) for one in made]})


def _create_snapshot(response):
    backend = response.ec2_backend
    volume = backend.get_volume(response._get_param("VolumeId"))
    tags = _new_tags(response)
    response.error_on_dryrun()
    description = response._get_param("Description", "")
    made = snapshots.take(backend, [volume], description, lambda _: tags, together=False)
    return ActionResult(_described(made[0], ANSWERED))


def _copy_snapshot(response):
    backend = response.ec2_backend
    destination = response._get_param("DestinationRegion")
    if destination and destination != backend.region_name:
        raise EC2ClientError(
            "InvalidParameterValue", f"Value ({destination}) for parameter DestinationRegion is invalid: it is {backend.region_name}."
        )
    tags = _new_tags(response)
    response.error_on_dryrun()
    made = snapshots.copy(
        backend,
        response._get_param("SourceRegion"),
        response._get_param("SourceSnapshotId"),
        response._get_param("Description"),
        response._get_bool_param("Encrypted", False),
        response._get_param("KmsKeyId"),
        tags,
        _signed(response, backend.region_name),
    )
    return ActionResult({"SnapshotId": made.id, "Tags": _tags(made)})


def _signed(response, destination):
    """Whether the PresignedUrl is one for this copy, at the source's Region; nobody here can check the signature itself."""
    url = response._get_param("PresignedUrl")
    if not url:
        return None
    query = dict(parse_qsl(urlsplit(url).query))
    source = response._get_param("SourceRegion")
    wanted = {
        "Action": "CopySnapshot",
        "SourceRegion": source,
        "SourceSnapshotId": response._get_param("SourceSnapshotId"),
        "DestinationRegion": destination,
        # "A signed Content-Type header invalidates the URL."
        "X-Amz-SignedHeaders": "host",
    }
    scope = query.get("X-Amz-Credential", "").split("/")[2:4]
    return scope == [source, "ec2"] and "X-Amz-Signature" in query and all(query.get(k) == v for k, v in wanted.items())


def _delete_snapshot(response):
    response.error_on_dryrun()
    snapshots.delete(response.ec2_backend, response._get_param("SnapshotId"))
    return EmptyResult()


def _describe_snapshots(response):
    backend = response.ec2_backend
    ids = response._get_param("SnapshotIds", [])
    asked = response._get_param("MaxResults")
    if ids and asked:
        raise EC2ClientError(
            "InvalidParameterCombination", "The parameter MaxResults cannot be used with the parameter SnapshotId."
        )
    if asked and not 5 <= int(asked) <= pages.MOST["snapshots"]:
        raise EC2ClientError("InvalidParameterValue", f"Value ( {asked} ) for parameter maxResults is invalid. Expecting 5 to 1000.")
    owners = response._get_param("OwnerIds", [])
    seen = [one for one in backend.snapshots.values() if _visible(one, owners)]
    for one in ids:
        if one not in [found.id for found in seen]:
            raise EC2ClientError("InvalidSnapshot.NotFound", f"The snapshot '{one}' does not exist.")
    found = [one for one in seen if (not ids or one.id in ids) and _matches(one, response._filters_from_querystring())]
    refusal = EC2ClientError("InvalidParameterValue", "Unable to parse pagination token")
    page, token = pages.page("snapshots", found, asked, response._get_param("NextToken"), refusal)
    return ActionResult({"Snapshots": [_described(one, DESCRIBED) for one in page], "NextToken": token})


def _describe_locked(response):
    states = response._filters_from_querystring().get("lock-state", [])
    ids = response._get_param("SnapshotIds", [])
    found = [one for one in response.ec2_backend.snapshots.values() if one.lock and (not ids or one.id in ids)]
    found = [one for one in found if not states or one.lock["state"] in states]
    refusal = EC2ClientError("InvalidParameterValue", "Unable to parse pagination token")
    asked, token = response._get_param("MaxResults"), response._get_param("NextToken")
    page, token = pages.page("locked_snapshots", found, asked, token, refusal)
    shown = [
        {"OwnerId": one.owner_id, "SnapshotId": one.id, "LockState": one.lock["state"], "LockExpiresOn": one.lock.get("expires")}
        for one in page
    ]
    return ActionResult({"Snapshots": [_plain(one) for one in shown], "NextToken": token})


def _describe_images(response):
    """Images that control says are made from a snapshot are asked for by that snapshot. moto knows all others."""
    wanted = response._filters_from_querystring().get("block-device-mapping.snapshot-id")
    if wanted is None:
        return describe_images_plainly(response)
    found = [
        (one.image or one.from_ami, one)
        for one in response.ec2_backend.snapshots.values()
        if one.id in wanted and (one.image or one.from_ami in response.ec2_backend.amis)
    ]
    refusal = EC2ClientError("InvalidParameterValue", "Unable to parse pagination token")
    page, token = pages.page("images", found, response._get_param("MaxResults"), response._get_param("NextToken"), refusal)
    made = [
        {
            "ImageId": image,
            "State": "available",
            "OwnerId": ACCOUNT,
            "CreationDate": snapshot.start_time,
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot.id}}],
        }
        for image, snapshot in page
    ]
    return ActionResult({"Images": made, "NextToken": token})


def _describe_attribute(response):
    backend, one = response.ec2_backend, response._get_param("SnapshotId")
    if one not in backend.snapshots:
        raise EC2ClientError("InvalidSnapshot.NotFound", f"The snapshot '{one}' does not exist.")
    return describe_attribute_plainly(response)


def _visible(one, owners):
    """Ours, and what is public or shared with us; narrowed by OwnerIds."""
    if one.owner_id != ACCOUNT and not one.public:
        return False
    return not owners or one.owner_id in [ACCOUNT if owner == "self" else owner for owner in owners]


def _matches(one, filters):
    tags = one.ec2_backend.tags.get(one.id, {})
    for name, values in filters.items():
        if len(values) > MOST_VALUES:
            raise EC2ClientError("FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200")
        if name.startswith("tag:"):
            held = [tags[name[4:]]] if name[4:] in tags else []
        elif name in ("tag-key", "tag-value"):
            held = list(tags if name == "tag-key" else tags.values())
        elif name in FILTERS:
            held = [FILTERS[name](one)]
        else:
            raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
        if not any(_like(text, value) for text in held for value in values):
            return False
    return True


def _like(text, pattern):
    """`*` stands for any characters and `?` for one or none, unless a backslash is before them. Case counts."""
    wild = {"*": ".*", "?": ".?"}
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    return re.fullmatch("".join(wild.get(part) or re.escape(part[-1]) for part in parts), text, re.DOTALL) is not None


def _new_tags(response):
    kinds = response._parse_tag_specification()
    others = sorted(set(kinds) - {"snapshot"})
    if others:
        raise EC2ClientError("InvalidParameterValue", f"'{others[0]}' is not a valid taggable resource type for this operation.")
    return kinds.get("snapshot", {})


def _own_tags(backend, volume):
    """Tags of AWS's own are not copied."""
    return {name: value for name, value in backend.tags.get(volume.id, {}).items() if not name.startswith("aws:")}


def _tags(one):
    return [{"Key": name, "Value": value} for name, value in one.ec2_backend.tags.get(one.id, {}).items()]


# StateMessage is "returned only when you use DescribeSnapshots"; the answer of CreateSnapshots has neither key nor tier.
ANSWERED = ("SnapshotId", "VolumeId", "State", "StartTime", "Progress", "OwnerId", "Description", "VolumeSize", "Encrypted", "Tags")
DESCRIBED = (*ANSWERED, "StateMessage", "KmsKeyId", "StorageTier", "CompletionTime", "FullSnapshotSizeInBytes", "TransferType")


def _described(one, fields):
    completed = one.completed_at and datetime.fromtimestamp(one.completed_at, timezone.utc).replace(tzinfo=None)
    whole = {
        "SnapshotId": one.id,
        "VolumeId": one.volume.id,
        "State": one.status,
        "StateMessage": one.message,
        "StartTime": one.start_time,
        "CompletionTime": completed,
        "FullSnapshotSizeInBytes": snapshots.full_size(one) if one.status == "completed" else None,
        "Progress": snapshots.progress(one),
        "OwnerId": one.owner_id,
        "Description": one.description or "",
        "VolumeSize": one.volume.size,
        "Encrypted": one.encrypted,
        "KmsKeyId": one.kms_key_id,
        "StorageTier": one.storage_tier,
        "TransferType": "standard" if one.copy_of else None,
        "Tags": _tags(one),
    }
    return _plain({name: whole[name] for name in fields})


def _plain(fields):
    return {name: value for name, value in fields.items() if value is not None}


def describe_images_plainly(response):
    raise NotImplementedError("install() puts moto's here")


def describe_attribute_plainly(response):
    raise NotImplementedError("install() puts moto's here")


def install():
    """Puts all this in moto's place."""
    global describe_images_plainly, describe_attribute_plainly
    describe_images_plainly = AmisResponse.describe_images
    describe_attribute_plainly = ElasticBlockStore.describe_snapshot_attribute
    AmisResponse.describe_images = _describe_images
    ElasticBlockStore.describe_snapshot_attribute = _describe_attribute
    ElasticBlockStore.create_snapshots = _create_snapshots
    ElasticBlockStore.create_snapshot = _create_snapshot
    ElasticBlockStore.copy_snapshot = _copy_snapshot
    ElasticBlockStore.delete_snapshot = _delete_snapshot
    ElasticBlockStore.describe_snapshots = _describe_snapshots
    ElasticBlockStore.describe_locked_snapshots = _describe_locked

    plain_init = Snapshot.__init__

    def init(snapshot, *args, **kwargs):
        plain_init(snapshot, *args, **kwargs)
        snapshots.begin(snapshot)

    Snapshot.__init__ = init
