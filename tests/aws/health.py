"""The emulator's idea of time, and whether an address inside a VPC can be reached.

A VPC's addresses do not exist on this machine, so a map says which local listener stands for `address:port`. Health is what
a real TCP connect to that listener finds; an address without an entry cannot be reached.
"""

import socket
import threading
import time

CONNECT_TIMEOUT_SECONDS = 0.3


class Clock:
    """Seconds since the epoch, moved forward at will. Draining, `initial` and stale answers follow it."""

    def __init__(self):
        self.offset = 0.0

    def now(self):
        return time.time() + self.offset

    def advance(self, seconds):
        self.offset += seconds

    def reset(self):
        self.offset = 0.0


class Addresses:
    """`"10.9.0.5:5432"` -> `"127.0.0.1:40001"`."""

    def __init__(self):
        self._lock = threading.Lock()
        self._map = {}

    def replace(self, entries):
        parsed = {key: _host_and_port(value) for key, value in entries.items()}
        with self._lock:
            self._map = parsed

    def entries(self):
        with self._lock:
            return {key: f"{host}:{port}" for key, (host, port) in self._map.items()}

    def reachable(self, address, port):
        with self._lock:
            local = self._map.get(f"{address}:{port}")
        if local is None:
            return False
        try:
            with socket.create_connection(local, timeout=CONNECT_TIMEOUT_SECONDS):
                return True
        except OSError:
            return False

    def reset(self):
        self.replace({})


def _host_and_port(text):
    host, _, port = str(text).rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"{text!r} is not host:port")
    return host.strip("[]"), int(port)


clock = Clock()
addresses = Addresses()
