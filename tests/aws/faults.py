"""Injected faults, and AWS's errors in the wire format of each service's protocol."""

import json
import threading
import uuid
from xml.sax.saxutils import escape

import invocations

KINDS = ("throttle", "error500", "timeout", "reset", "lost_reply", "stale", "hold_before", "hold_after", "code")

# How each service says "slow down" (status, code, message). EC2 answers 503, the others 400.
THROTTLES = {
    "ec2": (503, "RequestLimitExceeded", "Request limit exceeded."),
    "elasticloadbalancing": (400, "Throttling", "Rate exceeded"),
    "dynamodb": (400, "ThrottlingException", "Rate of requests exceeds the allowed throughput."),
    "sns": (400, "Throttling", "Rate exceeded"),
    "lambda": (429, "TooManyRequestsException", "Rate Exceeded."),
    "secretsmanager": (400, "ThrottlingException", "Rate exceeded"),
    "autoscaling": (400, "Throttling", "Rate exceeded"),
    "ssm": (400, "ThrottlingException", "Rate exceeded"),
    "kms": (400, "ThrottlingException", "Rate exceeded"),
}
FAILURES = {
    "ec2": (500, "InternalError", "An internal error has occurred"),
    "elasticloadbalancing": (500, "InternalFailure", "The request processing has failed because of an unknown error."),
    "dynamodb": (500, "InternalServerError", "The request processing has failed because of an unknown error."),
    "sns": (500, "InternalFailure", "The request processing has failed because of an unknown error."),
    "lambda": (500, "ServiceException", "An error occurred and the request cannot be processed."),
    "secretsmanager": (500, "InternalServiceError", "An error occurred on the server side."),
    "autoscaling": (500, "InternalFailure", "The request processing has failed because of an unknown error."),
    "ssm": (500, "InternalServerError", "An error occurred on the server side."),
    "kms": (500, "KMSInternalException", "An internal exception occurred."),
}
NAMESPACES = {
    "elasticloadbalancing": "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
    "sns": "http://sns.amazonaws.com/doc/2010-03-31/",
    "autoscaling": "http://autoscaling.amazonaws.com/doc/2011-01-01/",
}
# DynamoDB names the package of an error in front of its code.
DYNAMODB_PACKAGES = {
    "AccessDeniedException": "com.amazon.coral.service",
    "ThrottlingException": "com.amazon.coral.availability",
    "UnrecognizedClientException": "com.amazon.coral.service",
    "ExpiredTokenException": "com.amazon.coral.service",
}

DEFAULT_TIMEOUT_SECONDS = 12
DEFAULT_STALE_SECONDS = 10
LONGEST_HOLD_SECONDS = 60


class Faults:
    """A queue for each operation: the first fault that matches and is not spent is taken."""

    FIELDS = {"operation", "containing", "kind", "code", "message", "status", "times", "skip", "seconds"}

    def __init__(self):
        self._lock = threading.Lock()
        self._queue = []

    def add(self, spec):
        unknown = set(spec) - self.FIELDS
        if unknown:
            raise ValueError(f"unknown fields of a fault: {sorted(unknown)}")
        if spec.get("kind") not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        if spec["kind"] == "code" and not spec.get("code"):
            raise ValueError("kind code needs a code")
        operation = spec.get("operation", "")
        if operation != "*" and ":" not in operation:
            raise ValueError('operation must be "service:Operation", "service:*" or "*"')
        with self._lock:
            self._queue.append({"times": 1, "skip": 0, **spec})

    def take(self, service, operation, params):
        wanted = {f"{service}:{operation}", f"{service}:*", "*"}
        with self._lock:
            for fault in self._queue:
                if fault["operation"] not in wanted or fault["times"] == 0:
                    continue
                if fault.get("containing") and fault["containing"] not in json.dumps(params):
                    continue
                if fault["skip"] > 0:
                    fault["skip"] -= 1
                    continue
                if fault["times"] > 0:
                    fault["times"] -= 1
                return dict(fault)
        return None

    def left(self):
        with self._lock:
            return [dict(fault) for fault in self._queue if fault["times"] != 0]

    def reset(self):
        with self._lock:
            self._queue = []


class Holds:
    """Requests that are held until a test lets go of them: whoever waits for the answer can be killed at that very place."""

    def __init__(self):
        self._lock = threading.Lock()
        self._held = {}

    def hold(self, entry):
        """Returns once the request has been let go of. A test that died lets go of nothing, hence the limit."""
        released = threading.Event()
        with self._lock:
            self._held[entry["n"]] = entry, released
        released.wait(LONGEST_HOLD_SECONDS)
        with self._lock:
            self._held.pop(entry["n"], None)

    def held(self):
        with self._lock:
            return [{name: entry[name] for name in ("n", "service", "operation")} for entry, _ in self._held.values()]

    def release(self):
        with self._lock:
            held, self._held = self._held, {}
        for _, released in held.values():
            released.set()


def error_for(fault, service):
    """The error that a fault of kind `throttle`, `error500` or `code` stands for: (status, headers, body)."""
    table = {"throttle": THROTTLES, "error500": FAILURES}.get(fault["kind"], {})
    status, code, message = table.get(service, (400, "InternalFailure", "injected"))
    if fault["kind"] == "error500" and service not in table:
        status = 500
    return error(
        service,
        int(fault.get("status", status)),
        fault.get("code") or code,
        fault.get("message") or message,
    )


def error(service, status, code, message):
    if service == "lambda":
        return invocations.error(status, code, message)
    request_id = str(uuid.uuid4())
    if service == "dynamodb":
        package = DYNAMODB_PACKAGES.get(code, "com.amazonaws.dynamodb.v20120810")
        body = json.dumps({"__type": f"{package}#{code}", "message": message})
        content_type = "application/x-amz-json-1.0"
    elif service in ("secretsmanager", "ssm", "kms"):
        body = json.dumps({"__type": code, "Message": message})
        content_type = "application/x-amz-json-1.1"
    elif service == "ec2":
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
            f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
            f"</Error></Errors><RequestID>{request_id}</RequestID></Response>"
        )
        content_type = "text/xml;charset=UTF-8"
    else:
        sender = "Sender" if status < 500 else "Receiver"
        namespace = f' xmlns="{NAMESPACES[service]}"' if service in NAMESPACES else ""
        body = (
            f"<ErrorResponse{namespace}><Error><Type>{sender}</Type>"
            f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        content_type = "text/xml"
    content = body.encode()
    headers = [("Content-Type", content_type), ("Content-Length", str(len(content))), ("x-amzn-RequestId", request_id)]
    return status, headers, content
