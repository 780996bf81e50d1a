"""Lambda's Invoke at the address of AWS itself, as the SDKs call it: by the functions that run under `lambda_api`.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import http.client
import json
import re
import uuid
from urllib.parse import unquote, urlsplit

PATH = re.compile(r"^/2015-03-31/functions/([^/]+)/invocations$")
# Longer than any caller waits.
LONGEST_SECONDS = 120


def is_invoke(environ):
    return environ["REQUEST_METHOD"] == "POST" and PATH.match(environ.get("PATH_INFO", "")) is not None


def identify(environ, body):
    """The operation and its parameters, as they stand in the log of calls. The payload is part of it, so that a test can tell
    what was asked for: nothing else may write that log anywhere."""
    kind = environ.get("HTTP_X_AMZ_INVOCATION_TYPE", "RequestResponse")
    try:
        payload = json.loads(body or b"null")
    except ValueError:
        payload = body.decode("utf-8", "replace")
    return "Invoke", {"FunctionName": _name(environ), "InvocationType": kind, "Payload": payload}


def invoke(environ, body, lambda_api):
    """Hands the payload to the function and waits for its answer: (status, headers, body)."""
    name = _name(environ).split(":function:")[-1].split(":")[0]
    kind = environ.get("HTTP_X_AMZ_INVOCATION_TYPE", "RequestResponse")
    if kind != "RequestResponse":
        return error(400, "InvalidParameterValueException", f"the emulator knows no invocation of type {kind}")
    if lambda_api is None or not lambda_api.has_polled(name):
        return error(404, "ResourceNotFoundException", f"Function not found: {_name(environ)}")
    connection = http.client.HTTPConnection(urlsplit(lambda_api.url).netloc, timeout=LONGEST_SECONDS)
    try:
        connection.request("POST", f"/2015-03-31/functions/{name}/invocations", body=body or b"{}")
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    headers = [("Content-Type", "application/json"), ("X-Amz-Executed-Version", "$LATEST")]
    if response.status != 200:
        # cargo-lambda gives a function's own error as 500; Lambda as 200 with a header.
        if not _is_function_error(content):
            return error(500, "ServiceException", content.decode("utf-8", "replace"))
        headers.append(("X-Amz-Function-Error", "Unhandled"))
    return 200, _whole(headers, content), content


def error(status, code, message):
    """Lambda speaks JSON over REST: the code is in a header."""
    kind = "User" if status < 500 else "Service"
    content = json.dumps({"Type": kind, "Message": message}).encode()
    return status, _whole([("Content-Type", "application/json"), ("x-amzn-ErrorType", code)], content), content


def _whole(headers, content):
    return [*headers, ("Content-Length", str(len(content))), ("x-amzn-RequestId", str(uuid.uuid4()))]


def _name(environ):
    return unquote(PATH.match(environ["PATH_INFO"]).group(1))


def _is_function_error(content):
    try:
        return "errorType" in json.loads(content)
    except (ValueError, TypeError):
        return False
