"""The table's items as plain JSON, and by hand, so that a test can read, lose or corrupt state."""

import base64
from decimal import Decimal

TYPES = {"S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"}


def plain(value):
    """A DynamoDB attribute value as JSON. Binary stays base64 text."""
    ((kind, inner),) = value.items()
    if kind == "N":
        return _number(inner)
    if kind == "NS":
        return [_number(one) for one in inner]
    if kind == "NULL":
        return None
    if kind == "M":
        return {name: plain(one) for name, one in inner.items()}
    if kind == "L":
        return [plain(one) for one in inner]
    if isinstance(inner, bytes):
        return base64.b64encode(inner).decode()
    return inner


def typed(value):
    """JSON as an attribute value. What has the form of one already (`{"S": "text"}`) is left as it is."""
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)) in TYPES:
            return value
        return {"M": {name: typed(one) for name, one in value.items()}}
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, (int, float)):
        return {"N": str(value)}
    if isinstance(value, list):
        return {"L": [typed(one) for one in value]}
    return {"S": str(value)}


def _number(text):
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else float(number)


def all_items(backend, table):
    items = backend.get_table(table).all_items()
    return [{name: plain(value) for name, value in item.to_json()["Attributes"].items()} for item in items]


def put(backend, table, item):
    backend.put_item(table, {name: typed(value) for name, value in item.items()}, overwrite=True)


def delete(backend, table, key):
    backend.delete_item(table, {name: typed(value) for name, value in key.items()})
