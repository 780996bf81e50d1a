"""The routes under `/_control`: what a test may do to the world by hand, and read from it. README.md lists them."""

import json
import re
import uuid
from urllib.parse import parse_qs

from moto.core.exceptions import ServiceException
from werkzeug.exceptions import HTTPException

import api
import commands
import encryption_keys
import instances
import items
import load_balancers
import pages
import peerings
import routes
import shown
import snapshots
import stacks
import volumes
from agenda import agenda
from groups import groups
from health import addresses, clock
from world import known, tagged, world

ANSWER = re.compile(r"^/_control/answers/([^/]+)$")


class Control:
    def __init__(self):
        self.wire = None
        self.lambda_api = None
        self.stored = {}
        self.handlers = {
            ("POST", "reset"): self.reset,
            ("POST", "world"): lambda _, body: world.create(body),
            ("GET", "calls"): self.calls,
            ("DELETE", "calls"): lambda *_: self.wire.calls.clear(),
            ("GET", "faults"): lambda *_: self.wire.faults.left(),
            ("POST", "faults"): lambda _, body: self.wire.faults.add(body),
            ("DELETE", "faults"): lambda *_: self.wire.faults.reset(),
            ("GET", "holds"): lambda *_: self.wire.holds.held(),
            ("DELETE", "holds"): lambda *_: self.wire.holds.release(),
            ("POST", "clock"): self.advance,
            ("GET", "clock"): lambda *_: {"now": clock.now(), "offset": clock.offset},
            ("GET", "addresses"): lambda *_: addresses.entries(),
            ("POST", "addresses"): lambda _, body: addresses.replace(body),
            ("POST", "pages"): lambda _, body: pages.limit(body),
            ("POST", "peerings"): lambda _, body: world.peering(body),
            ("POST", "peering"): self.change_peering,
            ("POST", "target_group"): self.change_target_group,
            ("GET", "targets"): self.targets,
            ("POST", "targets"): self.register,
            ("DELETE", "targets"): self.deregister,
            ("GET", "routes"): self.routes,
            ("POST", "routes"): self.put_route,
            ("DELETE", "routes"): self.delete_route,
            ("GET", "items"): lambda *_: items.all_items(world.dynamodb, world.table) if world.table else [],
            ("PUT", "items"): lambda _, body: items.put(world.dynamodb, world.table, body),
            ("DELETE", "items"): lambda _, body: items.delete(world.dynamodb, world.table, body),
            ("GET", "notices"): self.notices,
            ("PUT", "secrets"): self.put_secret,
            ("POST", "lambda"): self.change_lambda,
            ("GET", "stack"): lambda query, _: stacks.resolved.of(query["name"]),
            ("POST", "pace"): lambda _, body: agenda.change_pace(body),
            ("GET", "pace"): lambda *_: agenda.pace,
            ("PUT", "group"): lambda _, body: {"arn": groups.put(body).arn},
            ("GET", "groups"): lambda *_: [shown.group(one) for one in groups.by_name.values()],
            ("POST", "instances"): lambda _, body: shown.instance(groups.launch(groups.of(body["group"]), body)),
            ("GET", "instances"): lambda *_: shown.instances(),
            ("POST", "instance"): self.change_instance,
            ("POST", "termination"): self.terminate,
            ("POST", "kill"): self.kill,
            ("POST", "transition"): self.transition,
            ("GET", "actions"): lambda *_: [shown.action(one) for one in groups.actions],
            ("GET", "events"): lambda query, _: [one for one in groups.events if one["n"] > int(query.get("since", 0))],
            ("POST", "volume"): self.change_volume,
            ("GET", "volumes"): lambda *_: shown.volumes(),
            ("POST", "snapshot"): lambda _, body: snapshots.change(body),
            ("POST", "snapshots"): lambda _, body: snapshots.by_hand(body),
            ("GET", "snapshots"): lambda *_: snapshots.all_shown(),
            ("POST", "quotas"): lambda _, body: snapshots.registry.limit(body),
            ("GET", "quotas"): lambda *_: snapshots.registry.quotas,
            ("POST", "key"): lambda _, body: encryption_keys.change(body),
        }

    def __call__(self, environ, body):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        answer = ANSWER.match(path)
        if answer:
            return self.answer(method, answer.group(1), environ, body)
        if (method, path) == ("POST", "/_control/api"):
            return self.api(environ, body)
        handler = self.handlers.get((method, path.removeprefix("/_control/")))
        if handler is None:
            return _json(404, {"error": f"no route {method} {path}"})
        query = {name: values[-1] for name, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        try:
            with self.wire.lock:
                agenda.settle()
                found = handler(query, json.loads(body) if body else {})
                # So that a clock moved forward, or a pace of zero, shows at once.
                agenda.settle()
        except (ValueError, KeyError, TypeError, AttributeError, ServiceException, HTTPException) as problem:
            return _json(400, {"error": f"{type(problem).__name__}: {problem}"})
        return _json(200, {} if found is None else found)

    def reset(self, *_):
        commands.reset()
        groups.reset()
        snapshots.registry.reset()
        agenda.reset()
        world.reset()
        addresses.reset()
        clock.reset()
        stacks.resolved.reset()
        self.wire.reset()
        self.stored = {}
        if self.lambda_api is not None:
            self.lambda_api.reset()

    def calls(self, query, _):
        if "last" in query:
            return self.wire.calls.last()
        return self.wire.calls.since(int(query.get("since", 0)))

    def advance(self, _, body):
        known(body, {"advance"}, "clock")
        clock.advance(float(body["advance"]))
        return {"now": clock.now(), "offset": clock.offset}

    def change_instance(self, _, body):
        known(body, {"instance_id", "run", "agent", "tags", "state", "health", "protected", "ec2_state"}, "instance")
        instance = instances.found(body["instance_id"])
        if "run" in body or "agent" in body:
            commands.set_agent(instance.id, body.get("run"), body.get("agent", "online"))
        instance.add_tags(body.get("tags", {}))
        if "ec2_state" in body:
            instances.set_state(instance, body["ec2_state"])
        member = groups.member(instance.id)
        for name in {"state", "health", "protected"} & set(body):
            setattr(member, name, body[name])

    def terminate(self, _, body):
        known(body, {"instance_id", "decrement"}, "termination")
        groups.terminate(groups.member(body["instance_id"]), body.get("decrement", False))

    def kill(self, _, body):
        known(body, {"instance_id"}, "kill")
        instances.kill(body["instance_id"])

    def transition(self, _, body):
        known(body, {"instance_id", "state", "hook", "origin", "destination"}, "transition")
        member = groups.member(body["instance_id"])
        hook = member.group.hooks[body["hook"]]
        groups.wait(member, body["state"], [hook], body["origin"], body["destination"])

    def change_volume(self, _, body):
        known(body, {"volume_id", "stuck", "file", "hold", "release"}, "volume")
        volume = world.ec2.get_volume(body["volume_id"])
        if "stuck" in body:
            volumes.set_stuck(volume, body["stuck"])
        for name in {"file", "hold", "release"} & set(body):
            setattr(volume, name, body[name])

    def change_peering(self, _, body):
        known(body, {"connection_id", "state", "message", "peer_cidrs", "own_cidrs", "peer_resolves", "vanish"}, "peering")
        peering = world.ec2.get_vpc_peering_connection(body["connection_id"])
        if body.get("state"):
            peerings.set_state(peering, body["state"], body.get("message"))
        peerings.set_cidrs(peering, body.get("own_cidrs"), body.get("peer_cidrs"))
        if body.get("peer_resolves") is not None:
            peerings.set_peer_resolves(peering, body["peer_resolves"])
        if body.get("vanish"):
            peerings.vanish(world.ec2, peering)

    def change_target_group(self, _, body):
        fields = {"arn", "max_targets", "initial_seconds", "deregistration_delay", "attached", "ip_address_type"}
        known(body, fields, "target_group")
        group = world.elb.target_groups[body["arn"]]
        kept = load_balancers.settings(group)
        if "max_targets" in body:
            kept["max_targets"] = body["max_targets"]
        if "initial_seconds" in body:
            kept["initial_seconds"] = float(body["initial_seconds"])
        if "deregistration_delay" in body:
            group.attributes["deregistration_delay.timeout_seconds"] = str(body["deregistration_delay"])
        if "attached" in body:
            load_balancers.set_attached(group, body["attached"])
        if "ip_address_type" in body:
            group.ip_address_type = body["ip_address_type"]

    def targets(self, query, _):
        group = world.elb.target_groups[query["arn"]]
        return [
            {
                "id": health.target["Id"],
                "port": health.target["Port"],
                "zone": health.target["AvailabilityZone"],
                "state": health.target_health["State"],
                "reason": health.target_health["Reason"],
            }
            for health in load_balancers.describe_health(group, [])
        ]

    def register(self, _, body):
        known(body, {"arn", "id", "port", "zone"}, "target")
        target = {"Id": body["id"], "Port": body.get("port"), "AvailabilityZone": body.get("zone")}
        load_balancers.register(world.elb.target_groups[body["arn"]], [target])

    def deregister(self, _, body):
        known(body, {"arn", "id", "port"}, "target")
        target = {"Id": body["id"], "Port": body.get("port")}
        load_balancers.deregister(world.elb.target_groups[body["arn"]], [target])

    def routes(self, query, _):
        table = world.ec2.get_route_table(query["route_table_id"])
        return [routes.described(route) for route in table.routes]

    def put_route(self, _, body):
        known(body, {"route_table_id", "destination", "target", "replace"}, "route")
        target = routes.target(world.ec2, world.vpc_id, body["target"])
        put = world.ec2.replace_route if body.get("replace") else world.ec2.create_route
        put(body["route_table_id"], body["destination"], **target)
        return {"target": next(iter(target.values()))}

    def delete_route(self, _, body):
        known(body, {"route_table_id", "destination"}, "route")
        world.ec2.delete_route(body["route_table_id"], body["destination"])

    def notices(self, *_):
        if world.topic_arn is None:
            return []
        topic = world.sns.topics[world.topic_arn]
        return [
            {"topic": world.topic_arn, "subject": subject, "message": message}
            for _, message, subject, *_ in topic.sent_notifications
        ]

    def put_secret(self, _, body):
        known(body, {"name", "text"}, "secret")
        name, text = body["name"], body["text"]
        backend = world.secretsmanager
        if name in backend.secrets:
            backend.put_secret_value(name, text, None, str(uuid.uuid4()), ["AWSCURRENT"])
        else:
            backend.create_secret(name, text, None, None, tagged("shared"), None, str(uuid.uuid4()), [], False)

    def change_lambda(self, _, body):
        known(body, {"timeout_seconds"}, "lambda")
        if self.lambda_api is None:
            raise ValueError("started without --with-lambda")
        self.lambda_api.timeout_seconds = float(body["timeout_seconds"])

    def api(self, environ, body):
        """Not under the lock: the call comes in here once more, by the front door."""
        try:
            return _json(200, api.call(f"http://127.0.0.1:{environ['SERVER_PORT']}", json.loads(body)))
        except (ValueError, KeyError, TypeError) as problem:
            return _json(400, {"error": str(problem)})

    def answer(self, method, name, environ, body):
        """Stands for the ResponseURL of a CloudFormation custom resource: takes any PUT, whatever its signature says."""
        query = environ.get("QUERY_STRING", "")
        with self.wire.lock:
            puts = self.stored.setdefault(name, []) if method == "PUT" else self.stored.get(name, [])
            if method == "PUT":
                puts.append({"query": query, "headers": _headers(environ), "body": body.decode("utf-8", "replace")})
            elif method != "GET":
                return _json(405, {"error": "PUT or GET"})
            found = list(puts)
        if method == "GET":
            return _json(200, {"puts": found})
        fail = parse_qs(query).get("fail")
        return (int(fail[-1]) if fail else 200), [("Content-Length", "0")], b""


def _headers(environ):
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if key in environ:
            headers[key.replace("_", "-").lower()] = environ[key]
    return headers


def _json(status, value):
    body = json.dumps(value, default=str).encode()
    return status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))], body
