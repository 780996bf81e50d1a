"""What IAM would decide a call by: its actions, the resource of each, and the tags of that resource.

On which resource an action is authorized, AWS's service authorization reference says; `tests/permissions` compares what stands
here with the copy of it that cfn-lint carries. `*` is the resource of an action that cannot be narrowed.
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from moto.awslambda.models import lambda_backends
from moto.dynamodb.models import dynamodb_backends
from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends
from moto.sts.models import sts_backends

import stacks
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
    here what the call is authorized on. Moto's backends are read, so hold the lock around moto."""
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


def _need(action, resource, tags):
    return {"action": action, "resource": resource, "tags": tags}


def _arn(service, region, rest):
    return f"arn:{PARTITION}:{service}:{region}:{ACCOUNT}:{rest}"


def _listed(tags):
    return {tag["Key"]: tag["Value"] for tag in tags or []}


NEEDS = {
    **{f"dynamodb:{name}": _item for name in ("DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem")},
    **{f"dynamodb:{name}": _transaction for name in ("TransactGetItems", "TransactWriteItems")},
    **{f"ec2:{name}": _anything for name in ("DescribeRouteTables", "DescribeVpcPeeringConnections")},
    **{f"ec2:{name}": _route_table for name in ("CreateRoute", "DeleteRoute", "ReplaceRoute")},
    **{f"elasticloadbalancing:{name}": _anything for name in ("DescribeTargetGroups", "DescribeTargetHealth")},
    **{f"elasticloadbalancing:{name}": _target_group for name in ("DeregisterTargets", "RegisterTargets")},
    "lambda:Invoke": _function,
    "secretsmanager:GetSecretValue": _secret,
    "sns:Publish": _topic,
}
