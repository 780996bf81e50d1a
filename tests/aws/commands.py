"""Run Command of Systems Manager, in place of moto's, which answers Success without running anything.

An instance that was given a folder and an environment has an agent, which really runs the script there, with `sh -c`. One that
was not has an agent that does not answer any more: its commands stay `Pending` until they expire.

Sources: Systems Manager API reference (SendCommand, GetCommandInvocation, DescribeInstanceInformation) and user guide
(monitor-commands: statuses, and what expires when).
"""

import os
import signal
import subprocess
import tempfile
import threading
import uuid
from datetime import datetime, timezone

from moto.core.responses import ActionResult
from moto.ssm.exceptions import SSMException
from moto.ssm.responses import SimpleSystemManagerResponse

from agenda import agenda
from lambda_api import die_with_parent
from world import ACCOUNT, world

DOCUMENT = "AWS-RunShellScript"
PLUGIN = "aws:runShellScript"
# "The first 24,000 characters written by the plugin to stdout", "the first 8,000 characters" of stderr (GetCommandInvocation).
MOST_OUTPUT, MOST_ERRORS = 24_000, 8_000
DEFAULT_TIMEOUT = 3600
# `online`: it runs what it is sent, if it has somewhere to. `lost`: it once was. `none`: it has never been there.
AGENTS = ("online", "lost", "none")

_agents = {}
_commands = {}


class Agent:
    """What stands for an instance: where its scripts run."""

    def __init__(self, state, folder, environment):
        self.state, self.folder, self.environment = state, folder, environment

    def answers(self):
        return self.state == "online" and self.folder is not None


class Invocation:
    """A command on one instance. What the thread that runs it finds is set at once, as `end`."""

    def __init__(self, command, instance_id):
        self.command, self.instance_id = command, instance_id
        self.started_at = None
        self.process = None
        self.end = None
        # What was decided without the instance.
        self.given_up = None

    def status(self):
        """Status, details, and response code, which is -1 until there is one."""
        if self.given_up:
            return *self.given_up, -1
        if self.end:
            return self.end["status"], self.end["details"], self.end["code"]
        return ("Pending", "Pending", -1) if self.started_at is None else ("InProgress", "InProgress", -1)

    def start(self):
        if self.started_at is not None or self.given_up:
            return
        self.started_at = agenda.now()
        agent = _agents[self.instance_id]
        threading.Thread(target=self._run, args=(agent.folder, agent.environment), name="command", daemon=True).start()

    def _run(self, folder, environment):
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            status, code = "Failed", 1
            try:
                self.process = subprocess.Popen(
                    ["sh", "-c", self.command.script],
                    cwd=self.command.folder or folder,
                    env={"PATH": os.environ.get("PATH", ""), **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )
                if self.given_up:
                    self.kill()
                code = self.process.wait(self.command.execution_timeout)
                status = "Success" if code == 0 else "Failed"
            except subprocess.TimeoutExpired:
                self.kill()
                status, code = "TimedOut", -1
            except OSError as problem:
                errors.write(str(problem).encode())
            self.end = {
                "status": status,
                "details": "ExecutionTimedOut" if status == "TimedOut" else status,
                # A signal's number is not what an agent reports.
                "code": 128 - code if status == "Failed" and code < 0 else code,
                "output": _first(output, MOST_OUTPUT),
                "errors": _first(errors, MOST_ERRORS),
                "at": agenda.now(),
            }

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def vanish(self):
        """Its instance has ended, and will not say so: it looks as if it ran until it expires."""
        if self.end is None and self.started_at is not None:
            self.given_up = self.given_up or ("InProgress", "InProgress")
            self.kill()

    def expire(self):
        if self.given_up or self.end is None:
            delivered = self.started_at is not None
            self.given_up = "TimedOut", "ExecutionTimedOut" if delivered else "DeliveryTimedOut"
            self.kill()

    def described(self):
        status, details, code = self.status()
        end = None if self.given_up else self.end
        return {
            "CommandId": self.command.id,
            "InstanceId": self.instance_id,
            "Comment": self.command.comment,
            "DocumentName": DOCUMENT,
            "DocumentVersion": "$DEFAULT",
            "PluginName": PLUGIN,
            "ResponseCode": code,
            "ExecutionStartDateTime": _time(self.started_at),
            "ExecutionEndDateTime": _time(end and end["at"]),
            "Status": status,
            "StatusDetails": details,
            "StandardOutputContent": end["output"] if end else "",
            "StandardErrorContent": end["errors"] if end else "",
        }


class Command:
    def __init__(self, instance_ids, parameters, timeout, comment):
        self.id = str(uuid.uuid4())
        self.comment = comment
        self.parameters = parameters
        self.script = "\n".join(parameters["commands"])
        self.folder = (parameters.get("workingDirectory") or [""])[0]
        self.execution_timeout = int((parameters.get("executionTimeout") or [DEFAULT_TIMEOUT])[0])
        self.timeout = timeout
        self.sent_at = agenda.now()
        # "If this time is reached and the command hasn't already started running, it won't run" (SendCommand). But that it timed
        # out is said only after the total of both (monitor-commands).
        self.deliver_by = self.sent_at + timeout
        self.expires_at = self.deliver_by + self.execution_timeout
        self.invocations = {one: Invocation(self, one) for one in instance_ids}


def set_agent(instance_id, run, state):
    """`run` is `{"dir", "env"}` or None."""
    if state not in AGENTS:
        raise ValueError(f"agent must be one of {', '.join(AGENTS)}")
    run = run or {}
    unknown = set(run) - {"dir", "env"}
    if unknown or (run and "dir" not in run):
        raise ValueError('run is {"dir", "env"}')
    _agents[instance_id] = Agent(state, run.get("dir"), {name: str(value) for name, value in run.get("env", {}).items()})
    deliver_to(instance_id)


def agent_of(instance_id):
    return _agents.get(instance_id) or Agent("none", None, {})


def deliver_to(instance_id):
    """What waits for this instance starts, if it can."""
    if not agent_of(instance_id).answers() or _state(instance_id) != "running":
        return
    for command in _commands.values():
        invocation = command.invocations.get(instance_id)
        if invocation is not None and command.sent_at + agenda.pace["command_delay"] <= agenda.now() <= command.deliver_by:
            invocation.start()


def instance_ended(instance_id):
    for command in _commands.values():
        if instance_id in command.invocations:
            command.invocations[instance_id].vanish()


def reset():
    for command in _commands.values():
        for invocation in command.invocations.values():
            invocation.kill()
    _agents.clear()
    _commands.clear()


def _state(instance_id):
    instance = world.ec2.get_instance_by_id(instance_id)
    return instance and instance.state


def _manageable(instance_id):
    """"Valid states are: Running, Pending, Stopped, Stopping" (SendCommand, InvalidInstanceId); it must have had an agent."""
    return agent_of(instance_id).state != "none" and _state(instance_id) in ("running", "pending", "stopping", "stopped")


def _send(response):
    instance_ids = response._get_param("InstanceIds", [])
    parameters = response._get_param("Parameters") or {}
    if response._get_param("DocumentName") != DOCUMENT:
        raise SSMException("InvalidDocument", f"Document with name {response._get_param('DocumentName')} does not exist.")
    if not parameters.get("commands"):
        raise SSMException("InvalidParameters", "Parameter commands is required but not provided")
    bad = [one for one in instance_ids if not _manageable(one)]
    if bad or not instance_ids:
        raise SSMException("InvalidInstanceId", f"Instances [[{', '.join(bad)}]] not in a valid state for account {ACCOUNT}")
    timeout = int(response._get_param("TimeoutSeconds") or DEFAULT_TIMEOUT)
    if not 30 <= timeout <= 2_592_000:
        raise SSMException(
            "ValidationException",
            f"1 validation error detected: Value '{timeout}' at 'timeoutSeconds' failed to satisfy constraint: "
            "Member must have value between 30 and 2592000",
        )
    command = Command(instance_ids, parameters, timeout, response._get_param("Comment") or "")
    _commands[command.id] = command
    for instance_id, invocation in command.invocations.items():
        agenda.soon("command_delay", lambda one=instance_id: deliver_to(one))
        agenda.at(command.expires_at, invocation.expire)
    agenda.settle()
    return ActionResult({"Command": _described(command)})


def _described(command):
    return {
        "CommandId": command.id,
        "DocumentName": DOCUMENT,
        "Comment": command.comment,
        "ExpiresAfter": datetime.fromtimestamp(command.expires_at, timezone.utc),
        "Parameters": command.parameters,
        "InstanceIds": list(command.invocations),
        "Targets": [],
        "RequestedDateTime": datetime.fromtimestamp(command.sent_at, timezone.utc),
        # As it is right after SendCommand; GetCommandInvocation tells what becomes of it.
        "Status": "Pending",
        "StatusDetails": "Pending",
        "TargetCount": len(command.invocations),
        "CompletedCount": 0,
        "ErrorCount": 0,
        "DeliveryTimedOutCount": 0,
        "TimeoutSeconds": command.timeout,
    }


def _get_invocation(response):
    command = _commands.get(response._get_param("CommandId"))
    invocation = command and command.invocations.get(response._get_param("InstanceId"))
    if invocation is None or agenda.now() < command.sent_at + agenda.pace["command_unknown"]:
        raise SSMException("InvocationDoesNotExist", "")
    plugin = response._get_param("PluginName")
    if plugin not in (None, PLUGIN):
        raise SSMException("InvalidPluginName", "")
    return ActionResult(invocation.described())


def _describe_agents(response):
    wanted = None
    for one in (response._get_param("Filters") or []) + (response._get_param("InstanceInformationFilterList") or []):
        name, values = one.get("Key") or one.get("key"), one.get("Values") or one.get("valueSet")
        if name != "InstanceIds":
            raise SSMException("InvalidFilterKey", f"the emulator knows no filter {name}")
        wanted = set(values) if wanted is None else wanted & set(values)
    found = [
        {
            "InstanceId": instance_id,
            "PingStatus": "Online" if agent.answers() and _state(instance_id) == "running" else "ConnectionLost",
            "LastPingDateTime": datetime.fromtimestamp(agenda.now(), timezone.utc),
            "AgentVersion": "3.3.0.0",
            "PlatformType": "Linux",
            "ResourceType": "EC2Instance",
            "IPAddress": world.ec2.get_instance(instance_id).private_ip_address,
        }
        for instance_id, agent in _agents.items()
        if _manageable(instance_id) and (wanted is None or instance_id in wanted)
    ]
    return ActionResult({"InstanceInformationList": found})


def _first(file, most):
    file.seek(0)
    return file.read().decode("utf-8", "replace")[:most]


def _time(at):
    return "" if at is None else datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def install():
    """Puts all this in moto's place."""
    SimpleSystemManagerResponse.send_command = _send
    SimpleSystemManagerResponse.get_command_invocation = _get_invocation
    SimpleSystemManagerResponse.describe_instance_information = _describe_agents
