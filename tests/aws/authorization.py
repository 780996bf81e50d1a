"""What IAM would decide a call by: its actions, the resource of each, and the tags of that resource.

On which resource an action is authorized, AWS's service authorization reference says; `tests/permissions` compares what stands
here with the copy of it that cfn-lint carries. `*` is the resource of an action that cannot be narrowed.
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

import re

from moto.awslambda.models import lambda_backends
from moto.dynamodb.models import dynamodb_backends
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends
from moto.sts.models import sts_backends

import encryption_keys
import snapshots
import stacks
from groups import groups
from world import ACCOUNT, world

PARTITION = "aws"
# "Permissions for Put, Update, Delete, and Get actions are governed by the permissions used for the underlying PutItem,
# UpdateItem, DeleteItem, and GetItem operations" (DynamoDB's guide, "Using IAM with DynamoDB transactions").
TRANSACTION_PARTS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}


def needs(call, lambda_api):
    """`[{"action", "resource", "tags"}]`. `tags` is None where there is no such resource; `resource` too where nobody has said
    here what the call is authorized on. A request that gives tags has them as `request_tags`; with `create_action`, where it
    creates what it tags. Moto's backends are read, so hold the lock around moto."""
    name = f"{call['service']}:{call['operation']}"
    found = NEEDS.get(name, _not_known)
    try:
        return found(name, call["params"], call["region"], lambda_api)
    except KeyError:
        # Without what names its resource AWS refuses a request before it asks IAM.
        return []


def names():
    """What a template's table and topic are called here: those of a stack that was created, or else of the test's world."""
    made = [one for stack in stacks.resolved.stacks.values() for one in stack["resources"].values()]
    ids = {one["type"]: one["id"] for one in made}
    return {
        "partition": PARTITION,
        "region": world.region,
        "account": ACCOUNT,
        "table": ids.get("AWS::DynamoDB::Table", world.table),
        "topic": ids.get("AWS::SNS::Topic", world.topic_arn),
    }


def caller(access_key):
    """The function that made a call. Its key is its name, or belongs to a session of its role, which Lambda too names after the
    function."""
    session = sts_backends[ACCOUNT][PARTITION].get_assumed_role_from_access_key(access_key)
    return session.session_name if session else access_key


def _not_known(name, params, region, lambda_api):
    return [_need(name, None, None)]


def _anything(name, params, region, lambda_api):
    return [_need(name, "*", {})]


def _item(name, params, region, lambda_api):
    return [_on_table(name, params["TableName"], region)]


def _transaction(name, params, region, lambda_api):
    parts = [part for item in params["TransactItems"] for part in item.items()]
    wanted = {(TRANSACTION_PARTS[kind], part["TableName"]) for kind, part in parts}
    return [_on_table(f"dynamodb:{action}", table, region) for action, table in sorted(wanted)]


def _on_table(action, table, region):
    name = table.rpartition(":table/")[2]
    found = dynamodb_backends[ACCOUNT][region].tables.get(name)
    return _need(action, _arn("dynamodb", region, f"table/{name}"), None if found is None else _listed(found.tags))


def _route_table(name, params, region, lambda_api):
    backend = ec2_backends[ACCOUNT][region]
    table = params["RouteTableId"]
    tags = dict(backend.tags.get(table, {})) if table in backend.route_tables else None
    return [_need(name, _arn("ec2", region, f"route-table/{table}"), tags)]


def _target_group(name, params, region, lambda_api):
    backend = elbv2_backends[ACCOUNT][region]
    group = params["TargetGroupArn"]
    tags = backend.tagging_service.get_tag_dict_for_resource(group) if group in backend.target_groups else None
    return [_need(name, group, tags)]


def _secret(name, params, region, lambda_api):
    wanted = params["SecretId"]
    found = secretsmanager_backends[ACCOUNT][region].secrets.get(wanted)
    if found is None:
        return [_need(name, wanted if wanted.startswith("arn:") else _arn("secretsmanager", region, f"secret:{wanted}"), None)]
    return [_need(name, found.arn, _listed(found.tags))]


def _topic(name, params, region, lambda_api):
    topic = params["TopicArn"]
    found = sns_backends[ACCOUNT][region].topics.get(topic)
    return [_need(name, topic, None if found is None else dict(found._tags))]


def _function(name, params, region, lambda_api):
    """The action is called otherwise than the operation."""
    function = params["FunctionName"].rpartition("function:")[2].split(":")[0]
    resource = _arn("lambda", region, f"function:{function}")
    made = {one.function_name: one.tags for one in lambda_backends[ACCOUNT][region].list_functions()}
    run = {} if lambda_api is None else lambda_api.tags
    return [_need("lambda:InvokeFunction", resource, made.get(function, run.get(function)))]


def _group(name, params, region, lambda_api):
    found = groups.by_name.get(params["AutoScalingGroupName"])
    # Without the group there is no such ARN: it has an id that nobody knows.
    return [_need(name, found.arn if found else _arn("autoscaling", region, "autoScalingGroup:*"), found and dict(found.tags))]


def _group_of_instance(name, params, region, lambda_api):
    found = groups.member(params["InstanceId"])
    return _group(name, {"AutoScalingGroupName": found.group.name if found else ""}, region, lambda_api)


def _ec2_resources(name, params, region, lambda_api):
    """One need for each id, whatever parameter it is in."""
    ids = [value for key, value in params.items() if key.partition(".")[0] in ("InstanceId", "VolumeId", "SnapshotId", "ResourceId")]
    return [_ec2_resource(name, one, region) for one in ids]


def _attribute(name, params, region, lambda_api):
    """The instance, and each volume at a device that the request is about. The reference lists volumes for this action and does
    not say when they are asked for."""
    needs = _ec2_resources(name, params, region, lambda_api)
    backend = ec2_backends[ACCOUNT][region]
    instance = backend.get_instance_by_id(params["InstanceId"])
    devices = {value for key, value in params.items() if re.match(r"^BlockDeviceMapping\.\d+\.DeviceName$", key)}
    mapped = {} if instance is None else instance.block_device_mapping
    return needs + [_ec2_resource(name, mapped[one].volume_id, region) for one in sorted(devices) if one in mapped]


def _new_volume(name, params, region, lambda_api):
    """The volume has no id yet, and no tags but those that the request gives: to give them is an action of its own."""
    volume = {**_need(name, _arn("ec2", region, "volume/*"), {}), "request_tags": _request_tags(params)}
    needs = [volume]
    if params.get("SnapshotId"):
        needs.append(_ec2_resource(name, params["SnapshotId"], region))
    if volume["request_tags"]:
        needs.append({**volume, "action": "ec2:CreateTags", "create_action": "CreateVolume"})
    return needs


def _new_snapshots(name, params, region, lambda_api):
    """Of the instance, of each volume that is taken, and of the snapshots, which have no ids yet and no tags but those given."""
    instance = params["InstanceSpecification.InstanceId"]
    listed = "InstanceSpecification.ExcludeDataVolumeId."
    excluded = [value for key, value in params.items() if key.startswith(listed)]
    backend = ec2_backends[ACCOUNT][region]
    found = backend.get_instance_by_id(instance)
    try:
        boot = params.get("InstanceSpecification.ExcludeBootVolume") == "true"
        volumes = snapshots.included(backend, found, boot, excluded) if found else []
    except EC2ClientError:
        volumes = []
    return [
        _ec2_resource(name, instance, region),
        *[_ec2_resource(name, one.id, region) for one in volumes],
        *_new_snapshot(name, params, region),
    ]


def _copied_snapshot(name, params, region, lambda_api):
    """Of the copy, and of its source in its own Region ("Resource-level permissions for CopySnapshot" in the EBS user guide has both)."""
    return [*_new_snapshot(name, params, region), _ec2_resource(name, params["SourceSnapshotId"], params["SourceRegion"])]


def _new_snapshot(name, params, region):
    snapshot = {**_need(name, f"arn:{PARTITION}:ec2:{region}::snapshot/*", {}), "request_tags": _request_tags(params)}
    if not snapshot["request_tags"]:
        return [snapshot]
    return [snapshot, {**snapshot, "action": "ec2:CreateTags", "create_action": name.partition(":")[2]}]


def _key(name, params, region, lambda_api):
    """An alias is authorized on its key."""
    found = encryption_keys.found(region, params["KeyId"])
    if found is None:
        return [_need(name, _arn("kms", region, f"key/{params['KeyId'].rpartition('/')[2]}"), None)]
    tags = encryption_keys.backend(region).list_resource_tags(found.id)["Tags"]
    return [_need(name, found.arn, {tag["TagKey"]: tag["TagValue"] for tag in tags})]


def _tagging(name, params, region, lambda_api):
    tags = {params[key]: params.get(key.replace(".Key", ".Value"), "") for key in params if re.match(r"^Tag\.\d+\.Key$", key)}
    return [{**one, "request_tags": tags} for one in _ec2_resources(name, params, region, lambda_api)]


def _request_tags(params):
    keys = [key for key in params if re.match(r"^TagSpecification\.\d+\.Tag\.\d+\.Key$", key)]
    return {params[key]: params.get(key.replace(".Key", ".Value"), "") for key in keys}


def _ec2_resource(action, one, region):
    backend = ec2_backends[ACCOUNT][region]
    kind, known = {
        "i": ("instance", lambda: backend.get_instance_by_id(one) is not None),
        "vol": ("volume", lambda: one in backend.volumes),
        "snap": ("snapshot", lambda: one in backend.snapshots),
    }.get(one.partition("-")[0], ("", lambda: False))
    # A snapshot's ARN names no account.
    resource = f"arn:{PARTITION}:ec2:{region}::snapshot/{one}" if kind == "snapshot" else _arn("ec2", region, f"{kind}/{one}")
    return _need(action, resource, dict(backend.tags.get(one, {})) if known() else None)


def _command(name, params, region, lambda_api):
    """Its document, which is AWS's own, and each instance."""
    document = _need(name, f"arn:{PARTITION}:ssm:{region}::document/{params['DocumentName']}", {})
    return [document, *[_ec2_resource(name, one, region) for one in params.get("InstanceIds", [])]]


def _need(action, resource, tags):
    return {"action": action, "resource": resource, "tags": tags}


def _arn(service, region, rest):
    return f"arn:{PARTITION}:{service}:{region}:{ACCOUNT}:{rest}"


def _listed(tags):
    return {tag["Key"]: tag["Value"] for tag in tags or []}


GROUP_ACTIONS = (
    "CompleteLifecycleAction",
    "RecordLifecycleActionHeartbeat",
    "ResumeProcesses",
    "SetInstanceProtection",
    "SuspendProcesses",
)
NEEDS = {
    **{f"autoscaling:{name}": _group for name in GROUP_ACTIONS},
    **{
        f"autoscaling:{name}": _anything
        for name in ("DescribeAutoScalingGroups", "DescribeAutoScalingInstances", "DescribeLifecycleHooks")
    },
    "autoscaling:TerminateInstanceInAutoScalingGroup": _group_of_instance,
    **{f"dynamodb:{name}": _item for name in ("DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem")},
    **{f"dynamodb:{name}": _transaction for name in ("TransactGetItems", "TransactWriteItems")},
    **{
        f"ec2:{name}": _anything
        for name in (
            "DescribeImages",
            "DescribeInstances",
            "DescribeLockedSnapshots",
            "DescribeRouteTables",
            "DescribeSnapshots",
            "DescribeVolumes",
            "DescribeVpcPeeringConnections",
        )
    },
    **{
        f"ec2:{name}": _ec2_resources
        for name in ("AttachVolume", "DeleteSnapshot", "DeleteVolume", "DescribeSnapshotAttribute", "DetachVolume")
    },
    "ec2:CreateSnapshots": _new_snapshots,
    "ec2:CopySnapshot": _copied_snapshot,
    "kms:DescribeKey": _key,
    "ec2:ModifyInstanceAttribute": _attribute,
    **{f"ec2:{name}": _tagging for name in ("CreateTags", "DeleteTags")},
    "ec2:CreateVolume": _new_volume,
    **{f"ec2:{name}": _route_table for name in ("CreateRoute", "DeleteRoute", "ReplaceRoute")},
    **{
        f"elasticloadbalancing:{name}": _anything
        for name in ("DescribeTargetGroupAttributes", "DescribeTargetGroups", "DescribeTargetHealth")
    },
    **{f"elasticloadbalancing:{name}": _target_group for name in ("DeregisterTargets", "RegisterTargets")},
    "lambda:Invoke": _function,
    "secretsmanager:GetSecretValue": _secret,
    "sns:Publish": _topic,
    "ssm:SendCommand": _command,
    **{f"ssm:{name}": _anything for name in ("DescribeInstanceInformation", "GetCommandInvocation")},
}
