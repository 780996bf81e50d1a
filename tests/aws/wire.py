"""What stands between a client and moto: the log of calls, injected faults, stale answers.

moto is not safe under threads (a condition of DynamoDB's is checked in one step and the item written in another), so its
part of each request runs under one lock.
"""

import io
import json
import logging
import re
import socket
import struct
import threading
import time
from http import HTTPStatus
from urllib.parse import parse_qsl

from werkzeug.serving import ThreadedWSGIServer

import authorization
import faults as fault_bodies
import invocations
from agenda import agenda
from health import clock

log = logging.getLogger("wire")

CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/[^/]+/([^/]+)/([^/]+)/aws4_request")
REQUEST_ID = re.compile(rb"<(RequestI[dD]|requestId)>[^<]*</\1>")
EVENTUALLY_CONSISTENT = {
    ("elasticloadbalancing", "DescribeTargetHealth"),
    ("ec2", "DescribeVpcPeeringConnections"),
    ("ec2", "DescribeRouteTables"),
    # "The Amazon EC2 API follows an eventual consistency model" (EC2 developer guide, eventual-consistency).
    ("ec2", "DescribeInstances"),
    ("ec2", "DescribeVolumes"),
    ("ec2", "DescribeSnapshots"),
    # AWS does not say so of Auto Scaling; users see a wait before its action is accepted, and after it was completed.
    ("autoscaling", "DescribeAutoScalingGroups"),
    ("autoscaling", "DescribeAutoScalingInstances"),
    # "The Run Command API follows an eventual consistency model" (GetCommandInvocation).
    ("ssm", "GetCommandInvocation"),
    # Unless it asks for a consistent read.
    ("dynamodb", "Query"),
    # "All Secrets Manager operations are eventually consistent" (API_ListSecrets).
    ("secretsmanager", "GetSecretValue"),
}


class Calls:
    """The log of AWS requests, oldest first."""

    def __init__(self):
        self._lock = threading.Lock()
        self._entries = []
        self._next = 1

    def begin(self, **entry):
        with self._lock:
            entry = {"n": self._next, "at": time.time(), **entry, "status": None, "fault": None}
            self._next += 1
            self._entries.append(entry)
        return entry

    def since(self, n):
        with self._lock:
            return [dict(entry) for entry in self._entries if entry["n"] > n]

    def last(self):
        with self._lock:
            return [dict(entry) for entry in self._entries[-1:]]

    def clear(self):
        """Forgets the entries. Numbers go on, so that a reader's last number stays valid."""
        with self._lock:
            self._entries = []

    def reset(self):
        with self._lock:
            self._entries = []
            self._next = 1


class Answers:
    """What each identical read was answered before, for stale answers. An answer is kept once until it changes."""

    KEPT = 32

    def __init__(self):
        self._lock = threading.Lock()
        self._by_request = {}

    def remember(self, key, answer):
        with self._lock:
            kept = self._by_request.setdefault(key, [])
            if not kept or _without_request_id(kept[-1][1][2]) != _without_request_id(answer[2]):
                kept.append((clock.now(), answer))
                del kept[: -self.KEPT]

    def before(self, key, seconds):
        """The answer in force `seconds` ago; the oldest known when the request was first made later than that."""
        limit = clock.now() - seconds
        with self._lock:
            kept = self._by_request.get(key)
            if not kept:
                return None
            older = [answer for at, answer in kept if at <= limit]
            return older[-1] if older else kept[0][1]

    def reset(self):
        with self._lock:
            self._by_request = {}


class Wire:
    """The WSGI application. `control` gets what starts with `/_control`, moto the rest."""

    def __init__(self, moto, control, journal):
        self.moto = moto
        self.control = control
        self.journal = journal
        self.lock = threading.RLock()
        self.calls = Calls()
        self.faults = fault_bodies.Faults()
        self.holds = fault_bodies.Holds()
        self.answers = Answers()

    def reset(self):
        self.calls.reset()
        self.faults.reset()
        self.holds.release()
        self.answers.reset()

    def __call__(self, environ, start_response):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        path = environ.get("PATH_INFO", "")
        if path.startswith("/_control/"):
            status, headers, answer = self.control(environ, body)
        else:
            status, headers, answer = self._aws(environ, body)
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return [answer]

    def _aws(self, environ, body):
        call = identify(environ, body)
        # As the world is before the call, which may change it.
        with self.lock:
            agenda.settle()
            needs = authorization.needs(call, self.control.lambda_api)
            self.journal.note(authorization.caller(call["access_key"]), needs, authorization.names())
        entry = self.calls.begin(**call, needs=needs)
        service, operation = call["service"], call["operation"]
        fault = self.faults.take(service, operation, call["params"])
        kind = entry["fault"] = fault and fault["kind"]
        started = time.monotonic()
        key = (call["access_key"], service, operation, environ.get("QUERY_STRING", ""), body)
        try:
            if kind == "hold_before":
                self.holds.hold(entry)
            if kind in ("timeout", "reset", "hold_before"):
                hang_up(environ, fault)
            if kind in ("throttle", "error500", "code"):
                answer = fault_bodies.error_for(fault, service)
            else:
                answer = self._moto_or_failure(environ, body, service)
                if answer[0] == 200 and eventually_consistent(call):
                    self.answers.remember(key, answer)
                    if kind == "stale":
                        answer = self._stale(key, fault, answer, entry)
            entry["status"] = answer[0]
            if kind == "hold_after":
                self.holds.hold(entry)
            if kind in ("lost_reply", "hold_after"):
                hang_up(environ, fault)
            return answer
        finally:
            spent = int((time.monotonic() - started) * 1000)
            log.info("%s:%s %s %sms%s", service, operation, entry["status"], spent, f" {kind}" if kind else "")

    def _stale(self, key, fault, fresh, entry):
        older = self.answers.before(key, float(fault.get("seconds", fault_bodies.DEFAULT_STALE_SECONDS)))
        if older is None or _without_request_id(older[2]) == _without_request_id(fresh[2]):
            entry["fault"] = "stale_same"
            return fresh
        return older

    def _moto_or_failure(self, environ, body, service):
        try:
            if invocations.is_invoke(environ):
                return invocations.invoke(environ, body, self.control.lambda_api)
            return self._through_moto(environ, body)
        except Exception:
            # A fault of the emulator. The caller gets the form that its SDK can read, the log tells where it was.
            log.exception("moto failed")
            return fault_bodies.error_for({"kind": "error500", "message": "the emulator failed: see its log"}, service)

    def _through_moto(self, environ, body):
        inner = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        answer = {}

        def start(status, headers, exc_info=None):
            answer["status"] = int(status.split(" ", 1)[0])
            answer["headers"] = [(k, v) for k, v in headers if k.lower() != "content-length"]

        with self.lock:
            # It may have been held since.
            agenda.settle()
            parts = self.moto(inner, start)
            try:
                content = b"".join(parts)
            finally:
                if hasattr(parts, "close"):
                    parts.close()
        return answer["status"], [*answer["headers"], ("Content-Length", str(len(content)))], content


def identify(environ, body):
    """Which call this is, from the credential scope and `Action` or `X-Amz-Target`."""
    found = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    access_key, region, service = found.groups() if found else (None, None, None)
    target = environ.get("HTTP_X_AMZ_TARGET")
    if invocations.is_invoke(environ):
        operation, params = invocations.identify(environ, body)
    elif target:
        operation = target.rpartition(".")[2]
        params = _json(body)
    else:
        text = body.decode("utf-8", "replace") or environ.get("QUERY_STRING", "")
        params = dict(parse_qsl(text, keep_blank_values=True)) if "=" in text else {}
        operation = params.pop("Action", None) or f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '/')}"
        params.pop("Version", None)
    return {"service": service, "operation": operation, "params": params, "access_key": access_key, "region": region}


def eventually_consistent(call):
    return (call["service"], call["operation"]) in EVENTUALLY_CONSISTENT and not call["params"].get("ConsistentRead")


def hang_up(environ, fault):
    """Ends the connection without an answer: at once, or for `timeout` after as long as a client would wait."""
    if fault["kind"] == "timeout":
        time.sleep(float(fault.get("seconds", fault_bodies.DEFAULT_TIMEOUT_SECONDS)))
    handler = environ["emulator.handler"]
    handler.close_connection = True
    if fault["kind"] == "reset":
        # No lingering: closing then sends RST. `Server` must not send FIN before it.
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.server.resets.add(handler.connection)
    raise ConnectionAbortedError(fault["kind"])


class Server(ThreadedWSGIServer):
    def __init__(self, *args, **kwargs):
        self.resets = set()
        super().__init__(*args, **kwargs)

    def shutdown_request(self, request):
        if request in self.resets:
            self.resets.discard(request)
            request.close()
        else:
            super().shutdown_request(request)


def handler_class(base):
    class Handler(base):
        # Headers and body are two writes; Nagle's algorithm would hold the second back for 40 ms.
        disable_nagle_algorithm = True

        def make_environ(self):
            return {**super().make_environ(), "emulator.handler": self}

        def log_request(self, code="-", size="-"):
            """`Wire` logs each call with its operation; paths and sizes say nothing."""

        def log(self, type, message, *args):
            log.log(logging.ERROR if type == "error" else logging.INFO, message.rstrip(), *args)

    return Handler


def _without_request_id(content):
    return REQUEST_ID.sub(b"", content)


def _json(body):
    try:
        return json.loads(body or b"{}")
    except ValueError:
        return {"unreadable": body.decode("utf-8", "replace")}
