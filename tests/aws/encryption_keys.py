"""KMS keys, as far as EBS and DescribeKey ask about them. moto's own KMS serves; control makes keys and takes them away.

Sources: AWS KMS API reference (DescribeKey, KeyMetadata) and the EBS user guide (ebs-encryption-requirements).
"""

from moto.kms.models import kms_backends

from world import ACCOUNT, known, world

STATES = ("Enabled", "Disabled", "PendingDeletion", "PendingImport", "Unavailable")


def backend(region):
    return kms_backends[ACCOUNT][region or world.region]


def found(region, name):
    """The key that an id, an ARN or an alias names in a Region, or None. An ARN of another Region names none."""
    if name.startswith("arn:") and name.split(":")[3] != region:
        return None
    keys = backend(region).keys
    _, mark, alias = name.rpartition("alias/")
    if mark:
        return next((key for key in keys.values() if mark + alias in key.aliases), None)
    return keys.get(name.rpartition("key/")[2])


def arn(region, name):
    """What EBS shows for a key, however a request named it; as it was named where there is none."""
    key = found(region, name)
    return key.arn if key else name


def usable(region, name):
    key = found(region, name)
    return key is not None and key.key_state == "Enabled"


def default(ec2):
    """AWS's own key for EBS, made when it is first needed."""
    return ec2.default_kms_key_id or ec2._create_default_encryption_key()


def change(body):
    """A new key, or another state of one."""
    known(body, {"region", "key", "alias", "state"}, "key")
    region = body.get("region") or world.region
    if "key" in body:
        key = found(region, body["key"])
        if key is None:
            raise ValueError(f"no key {body['key']!r} in {region}")
    else:
        key = backend(region).create_key("", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "", None)
    if body.get("alias"):
        backend(region).create_alias(key.id, body["alias"])
    state = body.get("state", key.key_state)
    if state not in STATES:
        raise ValueError(f"state must be one of {', '.join(STATES)}")
    key.key_state, key.enabled = state, state == "Enabled"
    return {"key_id": key.id, "arn": key.arn, "state": key.key_state}
