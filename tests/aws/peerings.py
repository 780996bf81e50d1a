"""VPC peering connections as AWS describes them, in place of moto's.

Sources: Amazon EC2 API reference (DescribeVpcPeeringConnections, VpcPeeringConnection, VpcPeeringConnectionVpcInfo), Amazon
VPC Peering Guide (vpc-peering-basics), and the SDKs' waiters, which name the error code for an unknown id.
"""

import fnmatch
from datetime import datetime, timezone

from moto.core.responses import ActionResult
from moto.ec2 import exceptions
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.vpc_peering_connections import VPCPeeringConnection
from moto.ec2.responses.vpc_peering_connections import VPCPeeringConnections
from moto.ec2.utils import random_vpc_peering_connection_id

import pages
from health import clock

STATES = (
    "initiating-request",
    "pending-acceptance",
    "provisioning",
    "active",
    "failed",
    "rejected",
    "expired",
    "deleting",
    "deleted",
)
LIVE = ("initiating-request", "pending-acceptance", "provisioning", "active")
ACCEPTANCE_SECONDS = 7 * 24 * 3600


class PeerVpc:
    """Another account's VPC, as far as a peering shows it. A whole moto backend for each account would cost 50 ms."""

    def __init__(self, vpc_id, owner_id, region, cidrs):
        self.id = vpc_id
        self.owner_id = owner_id
        self.region = region
        self.cidrs = cidrs

    @property
    def cidr_block(self):
        return self.cidrs[0] if self.cidrs else None


def create(backend, ours, peer, requested_by, state):
    """A peering between `ours` (a VPC of `backend`) and `peer`, asked for by `us` or by the `peer`."""
    requester, accepter = (ours, peer) if requested_by == "us" else (peer, ours)
    peering = VPCPeeringConnection(backend, random_vpc_peering_connection_id(), requester, accepter)
    backend.vpc_pcxs[peering.id] = peering
    set_state(peering, state)
    return peering


def set_state(peering, state, message=None):
    if state not in STATES:
        raise ValueError(f"state must be one of {', '.join(STATES)}")
    requester, accepter = peering.vpc.owner_id, peering.peer_vpc.owner_id
    peering._status.code = state
    peering._status.message = message or {
        "initiating-request": f"Initiating Request to {accepter}",
        "pending-acceptance": f"Pending Acceptance by {accepter}",
        "provisioning": "Provisioning",
        "active": "Active",
        "failed": "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range",
        "rejected": f"Rejected by {accepter}",
        "expired": f"Expired: not accepted by {accepter} within 7 days",
        "deleting": "Deleting",
        "deleted": f"Deleted by {accepter if accepter != peering.ec2_backend.account_id else requester}",
    }[state]


def set_cidrs(peering, own, peer):
    """CIDR blocks as this peering reports them from now on; None leaves a side as it was."""
    ours_is_requester = not isinstance(peering.vpc, PeerVpc)
    kept = dict(getattr(peering, "cidrs", {}))
    if own is not None:
        kept["requester" if ours_is_requester else "accepter"] = list(own)
    if peer is not None:
        kept["accepter" if ours_is_requester else "requester"] = list(peer)
    peering.cidrs = kept


def set_peer_resolves(peering, allowed):
    """What the peer's account sets with ModifyVpcPeeringConnectionOptions. Off until it does."""
    options = peering.accepter_options if isinstance(peering.peer_vpc, PeerVpc) else peering.requester_options
    options["AllowDnsResolutionFromRemoteVpc"] = allowed


def vanish(backend, peering):
    """Takes the peering out of sight, as AWS does hours after its end. Routes through it stay, and are black holes."""
    backend.vpc_pcxs.pop(peering.id, None)
    set_state(peering, "deleted")


def _side(peering, side, vpc, options):
    info = {"OwnerId": vpc.owner_id, "Region": vpc.region, "VpcId": vpc.id}
    state = peering._status.code
    # The accepter's blocks are unknown to the requester until the connection is active.
    if state == "active" or (side == "requester" and state in LIVE):
        cidrs = getattr(peering, "cidrs", {}).get(side)
        if cidrs is None:
            cidrs = vpc.cidrs if isinstance(vpc, PeerVpc) else _associated(vpc, ipv6=False)
        v4 = [cidr for cidr in cidrs if ":" not in cidr]
        v6 = [cidr for cidr in cidrs if ":" in cidr]
        if v4:
            info["CidrBlock"] = v4[0]
            info["CidrBlockSet"] = [{"CidrBlock": cidr} for cidr in v4]
        if v6:
            info["Ipv6CidrBlockSet"] = [{"Ipv6CidrBlock": cidr} for cidr in v6]
        info["PeeringOptions"] = options
    return info


def _associated(vpc, ipv6):
    return [
        block["cidr_block"]
        for block in vpc.get_cidr_block_association_set(ipv6=ipv6)
        if block["cidr_block_state"]["state"] == "associated"
    ]


def _expiration_time(peering):
    if peering._status.code not in ("initiating-request", "pending-acceptance", "expired"):
        return None
    return datetime.fromtimestamp(peering.requested_at + ACCEPTANCE_SECONDS, timezone.utc)


def _filter_values(peering, name):
    sides = {"accepter-vpc-info": peering.accepter_vpc_info, "requester-vpc-info": peering.requester_vpc_info}
    side, _, field = name.partition(".")
    if side in sides and field in ("cidr-block", "owner-id", "vpc-id"):
        info = sides[side]
        if field == "cidr-block":
            return [block["CidrBlock"] for block in info.get("CidrBlockSet", [])]
        return [info["OwnerId" if field == "owner-id" else "VpcId"]]
    tags = {tag["key"]: tag["value"] for tag in peering.get_tags()}
    if name.startswith("tag:"):
        return [tags[name[4:]]] if name[4:] in tags else []
    expires = _expiration_time(peering)
    values = {
        "tag-key": list(tags),
        "status-code": [peering._status.code],
        "status-message": [peering._status.message],
        "vpc-peering-connection-id": [peering.id],
        "expiration-time": [expires.strftime("%Y-%m-%dT%H:%M:%S.000Z")] if expires else [],
    }
    if name not in values:
        raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return values[name]


def _describe(response):
    backend = response.ec2_backend
    ids = response._get_param("VpcPeeringConnectionIds", [])
    asked = response._get_param("MaxResults")
    if asked is not None and not 5 <= int(asked) <= 1000:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Value ( {asked} ) for parameter maxResults is invalid. Expecting a value between 5 and 1000.",
        )
    if asked is not None and ids:
        raise EC2ClientError(
            "InvalidParameterCombination", "The parameter vpcPeeringConnectionIds cannot be used with the parameter maxResults"
        )
    filters = response._filters_from_querystring()
    found = [backend.get_vpc_peering_connection(id) for id in ids] if ids else list(backend.vpc_pcxs.values())
    for name, patterns in filters.items():
        found = [
            peering
            for peering in found
            if any(fnmatch.fnmatchcase(value, pattern) for value in _filter_values(peering, name) for pattern in patterns)
        ]
    refusal = EC2ClientError("InvalidNextToken", "The token is invalid")
    page, token = pages.page("peerings", found, asked, response._get_param("NextToken"), refusal)
    return ActionResult({"VpcPeeringConnections": page, "NextToken": token})


def install():
    """Puts all this in moto's place."""

    def not_found(error, peering_id):
        EC2ClientError.__init__(
            error,
            "InvalidVpcPeeringConnectionID.NotFound",
            f"The vpcPeeringConnection ID '{peering_id}' does not exist",
        )

    exceptions.InvalidVPCPeeringConnectionIdError.__init__ = not_found

    plain_init = VPCPeeringConnection.__init__

    def init(peering, *args, **kwargs):
        peering.requested_at = clock.now()
        plain_init(peering, *args, **kwargs)

    VPCPeeringConnection.__init__ = init
    VPCPeeringConnection.requester_vpc_info = property(
        lambda peering: _side(peering, "requester", peering.vpc, peering.requester_options)
    )
    VPCPeeringConnection.accepter_vpc_info = property(
        lambda peering: _side(peering, "accepter", peering.peer_vpc, peering.accepter_options)
    )
    VPCPeeringConnection.expiration_time = property(_expiration_time)
    VPCPeeringConnections.describe_vpc_peering_connections = _describe
