"""Routes as AWS keeps them: canonical destinations, black holes, pages, and what may not be routed.

Sources: Amazon EC2 API reference (CreateRoute, ReplaceRoute, DeleteRoute, DescribeRouteTables, Route) and the VPC user guide.
"""

import ipaddress

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidDestinationCIDRBlockParameterError
from moto.ec2.models.route_tables import Route, RouteBackend
from moto.ec2.responses.route_tables import RouteTables

import pages


def canonical(cidr):
    """EC2 stores `10.9.1.7/16` as `10.9.0.0/16`."""
    if cidr is None:
        return None
    try:
        return str(ipaddress.ip_network(cidr, strict=False))
    except ValueError:
        raise InvalidDestinationCIDRBlockParameterError(cidr) from None


def _state(route):
    peering = route.vpc_pcx
    return "blackhole" if peering is not None and peering._status.code != "active" else "active"


def _refuse_local(table, cidr):
    """moto would replace the table's local route."""
    asked = ipaddress.ip_network(cidr)
    for route in table._routes.values():
        local = route.destination_cidr_block or route.destination_ipv6_cidr_block
        if not route.local or not local:
            continue
        local = ipaddress.ip_network(local)
        if local.version == asked.version and asked.subnet_of(local):
            raise EC2ClientError(
                "InvalidParameterValue",
                f"The destination CIDR block {cidr} is equal to or more specific than one of this VPC's CIDR blocks. "
                "This route can target only an interface or an instance.",
            )


def _describe(response):
    found = response.ec2_backend.describe_route_tables(
        response._get_param("RouteTableIds", []), response._filters_from_querystring()
    )
    asked = response._get_param("MaxResults")
    if asked is not None and not 5 <= int(asked) <= 100:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Value ( {asked} ) for parameter maxResults is invalid. Expecting a value between 5 and 100.",
        )
    refusal = EC2ClientError("InvalidNextToken", "The token is invalid")
    page, token = pages.page("route_tables", found, asked, response._get_param("NextToken"), refusal)
    return ActionResult({"RouteTables": page, "NextToken": token})


def described(route):
    """A route as the control routes give it: `target` is the id of whatever it leads to, or `local`."""
    found = (
        route.vpc_peering_connection_id
        or route.nat_gateway_id
        or route.instance_id
        or route.network_interface_id
        or route.transit_gateway_id
        or route.gateway_id
    )
    return {
        "destination": route.destination_cidr_block or route.destination_ipv6_cidr_block,
        "target": found,
        "state": route.state,
        "origin": route.origin,
    }


def target(backend, vpc_id, text):
    """`create_route`'s argument for an id, or for the word `internet-gateway` or `network-interface`: one made on the spot."""
    if text == "internet-gateway":
        gateway = backend.create_internet_gateway()
        backend.attach_internet_gateway(gateway.id, vpc_id)
        text = gateway.id
    elif text == "network-interface":
        subnet = backend.describe_subnets(filters={"vpc-id": [vpc_id]})[0]
        text = backend.create_network_interface(subnet, private_ip_address=None).id
    arguments = {
        "pcx": "vpc_peering_connection_id",
        "igw": "gateway_id",
        "vgw": "gateway_id",
        "nat": "nat_gateway_id",
        "i": "instance_id",
        "eni": "interface_id",
        "tgw": "transit_gateway_id",
    }
    kind = text.partition("-")[0]
    if kind not in arguments:
        raise ValueError(f"{text!r} is no target of a route")
    return {arguments[kind]: text}


def install():
    """Puts all this in moto's place."""
    create_route, replace_route, delete_route = (
        RouteBackend.create_route,
        RouteBackend.replace_route,
        RouteBackend.delete_route,
    )

    def create(backend, route_table_id, destination_cidr_block, destination_ipv6_cidr_block=None, *args, **kwargs):
        destination_cidr_block = canonical(destination_cidr_block)
        destination_ipv6_cidr_block = canonical(destination_ipv6_cidr_block)
        cidr = destination_cidr_block or destination_ipv6_cidr_block
        direct = kwargs.get("local") or kwargs.get("interface_id") or kwargs.get("instance_id")
        if cidr and not direct:
            _refuse_local(backend.get_route_table(route_table_id), cidr)
        return create_route(
            backend, route_table_id, destination_cidr_block, destination_ipv6_cidr_block, *args, **kwargs
        )

    def replace(backend, route_table_id, destination_cidr_block, destination_ipv6_cidr_block=None, *args, **kwargs):
        return replace_route(
            backend,
            route_table_id,
            canonical(destination_cidr_block),
            canonical(destination_ipv6_cidr_block),
            *args,
            **kwargs,
        )

    def delete(backend, route_table_id, destination_cidr_block, destination_ipv6_cidr_block=None, *args, **kwargs):
        return delete_route(
            backend,
            route_table_id,
            canonical(destination_cidr_block),
            canonical(destination_ipv6_cidr_block),
            *args,
            **kwargs,
        )

    RouteBackend.create_route = create
    RouteBackend.replace_route = replace
    RouteBackend.delete_route = delete
    Route.state = property(_state)
    RouteTables.describe_route_tables = _describe
