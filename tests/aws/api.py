"""Any call of AWS's API as its own Python SDK makes and reads it, for tests that read back what a template made."""

import base64
import functools

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# Told apart from the functions' calls in the log by its access key.
ACCESS_KEY = "control"


def call(address, body):
    """`{"service": "dynamodb", "operation": "DescribeTable", "params": {...}, "region"}`; the answer without its metadata."""
    client = _client(address, body["service"], body.get("region", "us-east-1"))
    names = {operation: name for name, operation in client.meta.method_to_api_mapping.items()}
    if body["operation"] not in names:
        raise ValueError(f"{body['service']} has no operation {body['operation']!r}")
    try:
        answer = getattr(client, names[body["operation"]])(**body.get("params", {}))
    except (ClientError, BotoCoreError) as problem:
        raise ValueError(str(problem)) from problem
    answer.pop("ResponseMetadata", None)
    return _plain(answer)


@functools.lru_cache
def _client(address, service, region):
    return boto3.client(
        service,
        endpoint_url=address,
        region_name=region,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key="none",
        # A second try would hide why the first one failed.
        config=Config(retries={"total_max_attempts": 1}),
    )


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if hasattr(value, "read"):
        return value.read().decode("utf-8", "replace")
    return value
