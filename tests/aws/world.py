"""What an account holds before a test begins, made in moto's own backends so that no call is logged."""

import hashlib
import ipaddress

from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.dynamodb.models import dynamodb_backends
from moto.ec2.models import ec2_backends
from moto.ec2.utils import random_vpc_id
from moto.elbv2.models import elbv2_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends

import load_balancers
import pages
import peerings

ACCOUNT = "123456789012"
DEFAULT_PEER_ACCOUNT = "111122223333"
LISTENERS_PER_LOAD_BALANCER = 50
# What an owner puts on a target group, a route table and a secret, so that the functions' roles allow their use.
CLUSTER_TAG = "pilothouse:cluster"

WORLD_FIELDS = {
    "region",
    "own_cidr",
    "subnets",
    "zones",
    "route_tables",
    "table",
    "deregistration_delay",
    "initial_seconds",
    "clusters",
}
CLUSTER_FIELDS = {
    "name",
    "peer_account",
    "peer_vpc",
    "peer_region",
    "peer_cidrs",
    "allowed_cidrs",
    "requested_by",
    "state",
    "endpoints",
}
ENDPOINT_FIELDS = {"name", "port", "deregistration_delay", "initial_seconds", "ip_address_type", "target_type"}
PEERING_FIELDS = {"peer_account", "peer_vpc", "peer_region", "peer_cidrs", "own_cidrs", "requested_by", "state", "message"}


class World:
    """The one world of this process."""

    def __init__(self):
        self.region = "us-east-1"
        self._forget()

    def _forget(self):
        self.vpc_id = None
        self.table = None
        self.topic_arn = None
        self.peer_vpcs = {}
        self._load_balancers = []
        self._listeners = 0

    @property
    def ec2(self):
        return ec2_backends[ACCOUNT][self.region]

    @property
    def elb(self):
        return elbv2_backends[ACCOUNT][self.region]

    @property
    def dynamodb(self):
        return dynamodb_backends[ACCOUNT][self.region]

    @property
    def sns(self):
        return sns_backends[ACCOUNT][self.region]

    @property
    def secretsmanager(self):
        return secretsmanager_backends[ACCOUNT][self.region]

    def reset(self):
        BackendDict.reset()
        reset_model_data()
        pages.reset()
        self._forget()

    def create(self, spec):
        known(spec, WORLD_FIELDS, "world")
        if self.vpc_id is not None:
            raise ValueError("there is a world already: POST /_control/reset first")
        self.region = spec.get("region", "us-east-1")
        cidr = ipaddress.ip_network(spec.get("own_cidr", "10.200.0.0/16"))
        vpc = self.ec2.create_vpc(str(cidr))
        self.vpc_id = vpc.id
        zones = int(spec.get("zones", 2))
        # Equal parts, of which some may be left over.
        parts = [str(part) for part in cidr.subnets(prefixlen_diff=max(1, (zones - 1).bit_length()))]
        subnet_cidrs = spec.get("subnets") or parts[:zones]
        subnets = [
            self.ec2.create_subnet(vpc.id, block, availability_zone=f"{self.region}{'abcdef'[index % zones]}")
            for index, block in enumerate(subnet_cidrs)
        ]
        self._subnet_ids = [subnet.id for subnet in subnets]
        tables = [self.ec2.create_route_table(vpc.id, tagged("shared")) for _ in range(int(spec.get("route_tables", 1)))]
        if tables:
            for subnet in subnets:
                self.ec2.associate_route_table(tables[0].id, subnet_id=subnet.id)
        self._create_table(spec.get("table", "pilothouse"))
        self.topic_arn = self.sns.create_topic("pilothouse-notices").arn
        clusters = [self._cluster(cluster, spec) for cluster in spec.get("clusters", [])]
        return {
            "region": self.region,
            "account": ACCOUNT,
            "vpc_id": vpc.id,
            "subnet_ids": self._subnet_ids,
            "table": self.table,
            "topic_arn": self.topic_arn,
            "route_table_ids": [table.id for table in tables],
            "clusters": clusters,
        }

    def peering(self, spec):
        """One more peering between our VPC and a peer's."""
        known(spec, PEERING_FIELDS, "peering")
        peer = self._peer_vpc(spec)
        peering = peerings.create(
            self.ec2,
            self.ec2.get_vpc(self.vpc_id),
            peer,
            spec.get("requested_by", "us"),
            spec.get("state", "pending-acceptance"),
        )
        if spec.get("message"):
            peerings.set_state(peering, peering._status.code, spec["message"])
        peerings.set_cidrs(peering, spec.get("own_cidrs"), spec.get("peer_cidrs"))
        return {"connection_id": peering.id, "peer_vpc": peer.id, "peer_account": peer.owner_id}

    def _peer_vpc(self, spec):
        vpc_id = spec.get("peer_vpc") or random_vpc_id()
        if vpc_id not in self.peer_vpcs:
            self.peer_vpcs[vpc_id] = peerings.PeerVpc(
                vpc_id,
                spec.get("peer_account", DEFAULT_PEER_ACCOUNT),
                spec.get("peer_region", self.region),
                list(spec.get("peer_cidrs", [])),
            )
        return self.peer_vpcs[vpc_id]

    def _cluster(self, cluster, spec):
        known(cluster, CLUSTER_FIELDS, "cluster")
        fields = PEERING_FIELDS & set(cluster)
        made = self.peering({name: cluster[name] for name in fields})
        endpoints = [self._endpoint(cluster["name"], endpoint, spec) for endpoint in cluster.get("endpoints", [])]
        return {
            "name": cluster["name"],
            **made,
            "allowed_cidrs": cluster.get("allowed_cidrs", cluster.get("peer_cidrs", [])),
            "endpoints": endpoints,
        }

    def _endpoint(self, cluster, endpoint, spec):
        known(endpoint, ENDPOINT_FIELDS, "endpoint")
        group = self.elb.create_target_group(
            _group_name(cluster, endpoint["name"]),
            vpc_id=self.vpc_id,
            protocol="TCP",
            port=int(endpoint["port"]),
            target_type=endpoint.get("target_type", "ip"),
            ip_address_type=endpoint.get("ip_address_type", "ipv4"),
            tags=tagged(cluster),
        )
        delay = endpoint.get("deregistration_delay", spec.get("deregistration_delay", 300))
        group.attributes["deregistration_delay.timeout_seconds"] = str(delay)
        kept = load_balancers.settings(group)
        kept["initial_seconds"] = float(endpoint.get("initial_seconds", spec.get("initial_seconds", kept["initial_seconds"])))
        self._listen(group)
        return {"name": endpoint["name"], "port": int(endpoint["port"]), "target_group_arn": group.arn}

    def _listen(self, group):
        if self._listeners % LISTENERS_PER_LOAD_BALANCER == 0:
            balancer = self.elb.create_load_balancer(
                f"pilothouse-{len(self._load_balancers)}", [], self._subnet_ids, scheme="internal", loadbalancer_type="network"
            )
            self._load_balancers.append(balancer.arn)
        self.elb.create_listener(
            self._load_balancers[-1],
            "TCP",
            10000 + self._listeners % LISTENERS_PER_LOAD_BALANCER,
            "",
            None,
            [{"Type": "forward", "TargetGroupArn": group.arn}],
        )
        self._listeners += 1

    def _create_table(self, name):
        self.dynamodb.create_table(
            name,
            schema=[{"KeyType": "HASH", "AttributeName": "pk"}, {"KeyType": "RANGE", "AttributeName": "sk"}],
            throughput=None,
            attr=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
            global_indexes=None,
            indexes=None,
            streams=None,
            billing_mode="PAY_PER_REQUEST",
            sse_specification=None,
            tags=[],
            deletion_protection_enabled=False,
            warm_throughput=None,
        )
        self.dynamodb.update_time_to_live(name, {"Enabled": True, "AttributeName": "expires_at"})
        self.table = name


def known(given, fields, what):
    """Refuses a misspelt field, which would otherwise make a test prove nothing."""
    unknown = set(given) - fields
    if unknown:
        raise ValueError(f"unknown fields of {what}: {sorted(unknown)}; known: {sorted(fields)}")


def tagged(value):
    return [{"Key": CLUSTER_TAG, "Value": value}]


def _group_name(cluster, endpoint):
    name = f"{cluster}-{endpoint}"
    if len(name) <= 32:
        return name
    return f"{name[:23]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


world = World()
