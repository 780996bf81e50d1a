"""CloudFormation: the types that moto's lacks, made in moto's own backends, and what each resource's properties were resolved to.

A custom resource is recorded and not invoked: whoever created the stack plays CloudFormation's part and sends the events.
"""

import json
import os
from urllib.parse import urlparse

import moto.cloudformation.parsing as parsing
import moto.cloudformation.responses as responses
from moto.awslambda.models import LambdaFunction, lambda_backends
from moto.cloudformation.exceptions import UnformattedGetAttTemplateException
from moto.cloudformation.models import ChangeSet, Stack
from moto.cloudwatch.models import cloudwatch_backends
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table
from moto.elbv2.models import FakeLoadBalancer as LoadBalancer
from moto.elbv2.models import FakeTargetGroup as TargetGroup
from moto.elbv2.models import elbv2_backends
from moto.events.models import EventPattern, EventPatternParser
from moto.events.responses import EventsHandler
from moto.iam.models import Role
from moto.kms.models import Key
from moto.s3.models import s3_backends
from moto.scheduler.models import scheduler_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from groups import Hook, groups
from translate import transformed


class Resource:
    """A resource by its id, which `Ref` gives, and its ARN. It goes with the emulator's reset, not with its stack."""

    def __init__(self, physical_id, arn=None):
        self._physical_id = physical_id
        self._arn = arn

    @property
    def physical_resource_id(self):
        return self._physical_id

    @staticmethod
    def cloudformation_name_type():
        return ""

    @classmethod
    def has_cfn_attr(cls, attr):
        return attr == "Arn"

    def get_cfn_attribute(self, attribute):
        if attribute == "Arn" and self._arn:
            return self._arn
        raise UnformattedGetAttTemplateException()

    def is_created(self):
        return True

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name):
        pass


class Alarm(Resource):
    @staticmethod
    def cloudformation_name_type():
        return "AlarmName"

    @staticmethod
    def cloudformation_type():
        return "AWS::CloudWatch::Alarm"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        given = cloudformation_json["Properties"]
        alarm = cloudwatch_backends[account_id][region_name].put_metric_alarm(
            name=resource_name,
            namespace=given["Namespace"],
            metric_name=given["MetricName"],
            comparison_operator=given["ComparisonOperator"],
            evaluation_periods=int(given["EvaluationPeriods"]),
            datapoints_to_alarm=given.get("DatapointsToAlarm"),
            period=int(given["Period"]),
            threshold=float(given["Threshold"]),
            statistic=given.get("Statistic"),
            extended_statistic=given.get("ExtendedStatistic"),
            description=given.get("AlarmDescription"),
            dimensions=given.get("Dimensions", []),
            alarm_actions=given.get("AlarmActions", []),
            ok_actions=given.get("OKActions"),
            insufficient_data_actions=given.get("InsufficientDataActions"),
            unit=given.get("Unit"),
            actions_enabled=given.get("ActionsEnabled", True),
            treat_missing_data=given.get("TreatMissingData"),
        )
        return cls(alarm.name, alarm.alarm_arn)


class TopicPolicy(Resource):
    @staticmethod
    def cloudformation_type():
        return "AWS::SNS::TopicPolicy"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        given = cloudformation_json["Properties"]
        for topic in given["Topics"]:
            sns_backends[account_id][region_name].get_topic(topic).policy = json.dumps(given["PolicyDocument"])
        return cls(resource_name)


class QueuePolicy(Resource):
    @staticmethod
    def cloudformation_type():
        return "AWS::SQS::QueuePolicy"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        given = cloudformation_json["Properties"]
        for url in given["Queues"]:
            policy = {"Policy": json.dumps(given["PolicyDocument"])}
            sqs_backends[account_id][region_name].set_queue_attributes(url.rsplit("/", 1)[-1], policy)
        return cls(resource_name)


class EventInvokeConfig(Resource):
    @staticmethod
    def cloudformation_type():
        return "AWS::Lambda::EventInvokeConfig"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        given = dict(cloudformation_json["Properties"])
        function = given.pop("FunctionName")
        given.pop("Qualifier", None)
        lambda_backends[account_id][region_name].put_function_event_invoke_config(function, given)
        return cls(resource_name)


class Schedule(Resource):
    @staticmethod
    def cloudformation_name_type():
        return "Name"

    @staticmethod
    def cloudformation_type():
        return "AWS::Scheduler::Schedule"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        given = cloudformation_json["Properties"]
        made = scheduler_backends[account_id][region_name].create_schedule(
            description=given.get("Description"),
            end_date=given.get("EndDate"),
            flexible_time_window=given["FlexibleTimeWindow"],
            group_name=given.get("GroupName"),
            kms_key_arn=given.get("KmsKeyArn"),
            name=resource_name,
            schedule_expression=given["ScheduleExpression"],
            schedule_expression_timezone=given.get("ScheduleExpressionTimezone"),
            start_date=given.get("StartDate"),
            state=given.get("State"),
            target=given["Target"],
            action_after_completion=None,
        )
        return cls(made.name, made.arn)


class LifecycleHook(Resource):
    """Of a group that control has made; of any other it is recorded."""

    @staticmethod
    def cloudformation_name_type():
        return "LifecycleHookName"

    @staticmethod
    def cloudformation_type():
        return "AWS::AutoScaling::LifecycleHook"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        given = cloudformation_json["Properties"]
        group = groups.by_name.get(given["AutoScalingGroupName"])
        if group is not None:
            group.hooks[resource_name] = Hook(
                resource_name,
                given["LifecycleTransition"],
                heartbeat_timeout=given.get("HeartbeatTimeout", 3600),
                default_result=given.get("DefaultResult", "ABANDON"),
                metadata=given.get("NotificationMetadata"),
                notification_target=given.get("NotificationTargetARN"),
            )
        return cls(resource_name)


class CustomResource(Resource):
    """moto's would invoke the function in a container."""

    @classmethod
    def has_cfn_attr(cls, attr):
        return True

    def get_cfn_attribute(self, attribute):
        return f"{self._physical_id}.{attribute}"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        return cls(resource_name)


class Resolved:
    """Of each stack, by its id: its resources with their resolved properties, and those of types that nobody made."""

    def __init__(self):
        self.stacks = {}

    def reset(self):
        self.stacks = {}

    def of(self, name):
        found = [stack for stack in self.stacks.values() if stack["name"] == name]
        if not found:
            raise ValueError(f"no stack {name!r}")
        return found[-1]

    def _stack(self, resources):
        name = resources["AWS::StackName"]
        return self.stacks.setdefault(resources.stack_id, {"name": name, "id": resources.stack_id, "resources": {}, "not_made": []})

    def create(self, create, logical_id, resource_json, resources_map, **where):
        resources = resources_map
        made = create(logical_id, resource_json, resources, **where)
        stack = self._stack(resources)
        condition = resource_json.get("Condition")
        if made is None and condition and not resources.lazy_condition_map[condition]:
            return made
        if made is None:
            stack["not_made"].append(f"{logical_id} {resource_json['Type']}")
        else:
            properties = parsing.clean_json(resource_json.get("Properties", {}), resources)
            stack["resources"][logical_id] = {
                "type": resource_json["Type"],
                "id": getattr(made, "physical_resource_id", None),
                "properties": properties,
            }
        return made


resolved = Resolved()


def install():
    # Packages are named, and need not exist.
    os.environ.setdefault("VALIDATE_LAMBDA_S3", "false")
    # The translator of SAM templates wants to know of one.
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    parsing.CustomModel = CustomResource
    known = [*parsing.get_model_list(), Alarm, TopicPolicy, QueuePolicy, EventInvokeConfig, Schedule, LifecycleHook]
    parsing.get_model_list = lambda: known
    parsing.get_model_map = lambda: {model.cloudformation_type(): model for model in known}
    create = parsing.parse_and_create_resource
    parsing.parse_and_create_resource = lambda *given, **named: resolved.create(create, *given, **named)
    responses.get_stack_from_s3_url = _template_at
    parse = Stack.parse_template
    Stack.parse_template = staticmethod(lambda template: transformed(parse(template)))
    ChangeSet._parse_template = lambda change: setattr(change, "template_dict", Stack.parse_template(change.template))
    Stack.has_parameters = lambda stack, given: _with_defaults(stack, stack.parameters) == _with_defaults(stack, given)
    apply = ChangeSet.apply
    ChangeSet.apply = lambda change: _create(change) if change.change_set_type == "CREATE" else apply(change)
    completed = {Table: _of_a_table, Role: _of_a_role, Key: _of_a_key, TargetGroup: _of_a_target_group, LambdaFunction: _of_a_function}
    for model, after in completed.items():
        _complete(model, after)
    LoadBalancer.create_from_cloudformation_json = classmethod(_create_load_balancer)
    EventsHandler.test_event_pattern = _test_event_pattern


def _complete(model, after):
    """Has `after(made, properties, account_id, region_name)` do what moto leaves out when it creates a resource."""
    create = model.create_from_cloudformation_json.__func__

    def complete(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        made = create(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs)
        after(made, cloudformation_json["Properties"], account_id, region_name)
        return made

    model.create_from_cloudformation_json = classmethod(complete)


def _template_at(url, account_id, partition):
    """A template in our own S3: the path is `/bucket/key`, whatever the host is called."""
    bucket, _, key = urlparse(url).path.lstrip("/").partition("/")
    return s3_backends[account_id][partition].get_object(bucket, key).value.decode()


def _with_defaults(stack, given):
    """A parameter that is given its default has not changed."""
    defaults = {name: str(one["Default"]) for name, one in stack.template_dict.get("Parameters", {}).items() if "Default" in one}
    return {**defaults, **given}


def _create(change):
    """As CreateStack does it: moto's change sets make no outputs and resolve no parameters."""
    stack = change.stack
    stack.template = json.dumps(change.template_dict)
    stack._parse_template()
    stack.parameters = change.parameters
    stack.resource_map = stack._create_resource_map()
    stack.output_map = stack._create_output_map()
    stack.create_resources()


def _of_a_table(made, given, account_id, region_name):
    backend = dynamodb_backends[account_id][region_name]
    if "TimeToLiveSpecification" in given:
        backend.update_time_to_live(made.name, given["TimeToLiveSpecification"])
    if "PointInTimeRecoverySpecification" in given:
        backend.update_continuous_backups(made.name, given["PointInTimeRecoverySpecification"])


def _of_a_role(made, *_):
    # moto keeps what the template had, which its API then shows as Python would.
    for name, document in made.policies.items():
        made.policies[name] = document if isinstance(document, str) else json.dumps(document)


def _of_a_key(made, *_):
    made.policy = made.policy if isinstance(made.policy, str) else json.dumps(made.policy)


def _of_a_target_group(made, given, account_id, region_name):
    elbv2_backends[account_id][region_name].add_tags([made.arn], given.get("Tags", []))
    made.attributes.update({one["Key"]: one["Value"] for one in given.get("TargetGroupAttributes", [])})


def _of_a_function(made, given, account_id, region_name):
    # What is given back is a copy.
    tags = {one["Key"]: one["Value"] for one in given.get("Tags", [])}
    lambda_backends[account_id][region_name].get_function(made.function_name).tags.update(tags)


def _create_load_balancer(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
    given = cloudformation_json["Properties"]
    return elbv2_backends[account_id][region_name].create_load_balancer(
        resource_name,
        given.get("SecurityGroups", []),
        given.get("Subnets"),
        scheme=given.get("Scheme", "internet-facing"),
        loadbalancer_type=given.get("Type"),
    )


def _test_event_pattern(self):
    """By the matcher with which moto's buses choose their rules."""
    pattern = self._get_param("EventPattern")
    event = json.loads(self._get_param("Event"))
    matches = EventPattern(pattern, EventPatternParser(pattern).parse()).matches_event(event)
    return json.dumps({"Result": matches}), {}
