"""A SAM template as CloudFormation gets it: prints the JSON that AWS's transform makes of it, without AWS.

    python tests/aws/translate.py infra/template.yaml [--packages pilothouse-packages]

Local packages (`CodeUri: ../target/lambda/peering-watcher/`) become objects of a bucket that need not exist
(`s3://pilothouse-packages/peering-watcher.zip`), as `sam deploy` would upload them. A template without the transform is
printed as it is, short forms (`!Ref`) written out. What is wrong with a template is said on standard error, with status 1.
"""

import argparse
import json
import os
import sys
from pathlib import PurePosixPath

TRANSFORM = "AWS::Serverless-2016-10-31"
FUNCTION = "AWS::Serverless::Function"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("template", help="a YAML or JSON template")
    parser.add_argument("--packages", default="pilothouse-packages", help="the bucket in the place of local packages")
    parser.add_argument("--region", default=os.environ.get("AWS_REGION", "us-east-1"))
    arguments = parser.parse_args()
    # The translator asks boto3 for the Region's partition; nothing is called.
    os.environ["AWS_DEFAULT_REGION"] = arguments.region
    try:
        found = transformed(_read(arguments.template), arguments.packages)
    except Wrong as wrong:
        for line in wrong.args:
            print(f"{arguments.template}: {line}", file=sys.stderr)
        sys.exit(1)
    json.dump(found, sys.stdout, indent=1)
    print()


class Wrong(Exception):
    """What is wrong with the template: a line for each problem."""


def transformed(template, packages=None):
    """The template, which is changed, after the transform. Without a bucket for `packages` there may be no local ones."""
    from samtranslator.public.exceptions import InvalidDocumentException
    from samtranslator.translator.transform import transform

    if TRANSFORM not in _listed(template.get("Transform")):
        return template
    _upload(template, packages)
    defaults = {name: p["Default"] for name, p in template.get("Parameters", {}).items() if "Default" in p}
    try:
        return transform(template, defaults, NoManagedPolicies())
    except InvalidDocumentException as problem:
        raise Wrong(*(cause.message for cause in problem.causes)) from problem


class NoManagedPolicies:
    """AWS's managed policies by name, which the translator would ask IAM for. Our templates write their ARNs."""

    def load(self):
        return {}


def _read(path):
    from samcli.yamlhelper import yaml_parse
    from yaml import YAMLError

    try:
        with open(path, encoding="utf-8") as file:
            template = yaml_parse(file.read())
    except (OSError, UnicodeDecodeError) as problem:
        raise Wrong(str(problem)) from problem
    except YAMLError as problem:
        raise Wrong(" ".join(str(problem).split())) from problem
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
        raise Wrong("is no template: it has no Resources")
    return template


def _upload(template, packages):
    for name, resource in template["Resources"].items():
        if not isinstance(resource, dict) or resource.get("Type") != FUNCTION:
            continue
        properties = resource.get("Properties") or {}
        local = properties.get("CodeUri")
        if packages and isinstance(local, str) and not local.startswith("s3://"):
            properties["CodeUri"] = f"s3://{packages}/{PurePosixPath(local).name}.zip"
        elif local is None:
            raise Wrong(f"Resources.{name}: an AWS::Serverless::Function needs a CodeUri")


def _listed(value):
    return value if isinstance(value, list) else [value]


if __name__ == "__main__":
    main()
