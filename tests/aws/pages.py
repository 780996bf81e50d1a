"""Pages of long answers, which moto gives whole."""

import base64

# The most that AWS puts in one page.
MOST = {
    "peerings": 1000,
    "route_tables": 100,
    "target_groups": 400,
    "groups": 100,
    "group_instances": 50,
    "snapshots": 1000,
    "locked_snapshots": 1000,
    "images": 1000,
}

_limits = {}


def limit(limits):
    """Makes pages shorter than asked for, so that few things suffice to need several. AWS may do so as well."""
    unknown = set(limits) - set(MOST)
    if unknown:
        raise ValueError(f"unknown: {sorted(unknown)}; known: {sorted(MOST)}")
    _limits.update(limits)


def reset():
    _limits.clear()


def page(kind, items, asked, token, refusal):
    """One page of `items`, and the token of the next or None. A token that we did not give raises `refusal`."""
    size = min(int(asked or MOST[kind]), _limits.get(kind, MOST[kind]))
    start = 0
    if token:
        try:
            name, _, start = base64.urlsafe_b64decode(token).decode().partition(":")
            start = int(start)
            if name != kind:
                raise ValueError(name)
        except ValueError:
            raise refusal from None
    end = start + size
    following = base64.urlsafe_b64encode(f"{kind}:{end}".encode()).decode() if end < len(items) else None
    return items[start:end], following
