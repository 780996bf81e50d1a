"""Lambda's Runtime API and Invoke, by `cargo lambda watch --only-lambda-apis`, behind a relay that mends two headers.

cargo-lambda 1.9.2 answers every poll with `lambda-runtime-deadline-ms: 600000`. Lambda means milliseconds since the epoch, so
a function that keeps to its deadline would find itself fifty years late. It also gives no real function ARN.
"""

import ctypes
import hashlib
import http.client
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

log = logging.getLogger("lambda")

PROJECTS = Path(__file__).resolve().parents[2] / "target" / "runtime-api"
START_SECONDS = 20
DEFAULT_TIMEOUT_SECONDS = 60.0
FIRST_POLL_SECONDS = 3.0
# How long cargo-lambda may take to notice that a poll was given up.
FORGET_SECONDS = 5
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
PR_SET_PDEATHSIG = 1
GATEWAY_TAG = "pilothouse:gateway"

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    """Run in a child before its program: it is killed when the thread that started it ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class LambdaApi:
    def __init__(self, region, account, functions, gateways):
        self.region, self.account = region, account
        self.functions = functions + gateways
        # As infra/gateway.yaml tags a gateway; the other functions have no tag that anybody asks for.
        self.tags = {name: {GATEWAY_TAG: name} if name in gateways else {} for name in self.functions}
        self.timeout_seconds = DEFAULT_TIMEOUT_SECONDS
        self._polled = set()
        self._poll = threading.Condition()
        self.callers = Callers()
        self.url = None
        self._child = None

    def reset(self):
        self.timeout_seconds = DEFAULT_TIMEOUT_SECONDS
        with self._poll:
            self._polled.clear()

    def asked(self, path):
        """Takes note of a function's poll."""
        parts = path.split("/")
        if parts[1] == ".rt" and parts[-1] == "next":
            with self._poll:
                self._polled.add(parts[2])
                self._poll.notify_all()

    def has_polled(self, name):
        """Whether there is a function of that name. One that may run under it is given a moment for its first poll."""
        with self._poll:
            return name in self.functions and self._poll.wait_for(lambda: name in self._polled, FIRST_POLL_SECONDS)

    def start(self, output):
        """Starts the child. Call from the main thread: the child dies with the thread that made it."""
        project = _project(self.functions)
        bin_folder = str(Path(sys.executable).parent)
        path = os.pathsep.join([bin_folder, os.environ.get("PATH", ""), str(Path.home() / ".cargo" / "bin")])
        self._port = _free_port()
        command = ["cargo-lambda", "lambda", "watch", "--only-lambda-apis", "--invoke-address", "127.0.0.1"]
        command += ["--invoke-port", str(self._port)]
        self._child = subprocess.Popen(
            [shutil.which(command[0], path=path) or command[0], *command[1:]],
            cwd=project,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    def wait(self):
        """Returns once the child accepts connections and the relay is up."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                break
            except OSError:
                if self._child.poll() is not None:
                    raise RuntimeError(f"cargo-lambda ended with {self._child.returncode}") from None
                if time.monotonic() > deadline:
                    raise RuntimeError("cargo-lambda does not accept connections") from None
                time.sleep(0.02)
        relay = type("BoundRelay", (Relay,), {"api": self, "child_port": self._port})
        server = RelayServer(("127.0.0.1", 0), relay)
        threading.Thread(target=server.serve_forever, name="lambda-relay", daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"

    def stop(self):
        if self._child is not None:
            try:
                # Its graceful end waits for open polls, which may never end.
                os.killpg(self._child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._child.wait()


class Callers:
    """Who is connected, so that no invocation goes to the poll of a function that has ended."""

    def __init__(self):
        self._changed = threading.Condition()
        self._connected = set()

    def came(self, connection):
        with self._changed:
            self._connected.add(connection)

    def went(self, connection):
        with self._changed:
            self._connected.discard(connection)
            self._changed.notify_all()

    def wait_for_the_dead(self):
        """Returns once cargo-lambda has forgotten the poll of each caller that is gone."""
        with self._changed:
            dead = {connection for connection in self._connected if _has_ended(connection)}
            self._changed.wait_for(lambda: not dead & self._connected, FORGET_SECONDS)


class RelayServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        log.info("relay: %s", sys.exc_info()[1])


class Relay(BaseHTTPRequestHandler):
    """One connection to the child for each of ours: cargo-lambda tells instances of a function apart by connection."""

    api = None
    child_port = None
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.api.callers.came(self.connection)
        self.upstream = http.client.HTTPConnection("127.0.0.1", self.child_port)

    def finish(self):
        self.upstream.close()
        self.api.callers.went(self.connection)
        super().finish()

    def _relay(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.send_error(411, "chunked bodies are not relayed")
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        self.api.asked(self.path)
        if self.path.endswith("/invocations"):
            self.api.callers.wait_for_the_dead()
        elif _has_ended(self.connection):
            self.close_connection = True
            return
        self.upstream.request(self.command, self.path, body=body or None, headers=headers)
        if not self._answered():
            # The function ended during its poll. Left open, that poll would swallow the next invocation.
            self._give_up()
            return
        response = self.upstream.getresponse()
        content = response.read()
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, self._mended(name.lower(), value))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        log.info("%s %s %s", self.command, self.path, response.status)

    do_GET = do_POST = do_PUT = do_DELETE = _relay

    def _answered(self):
        watched = [self.connection, self.upstream.sock]
        while True:
            readable, _, _ = select.select(watched, [], [])
            if self.upstream.sock in readable:
                return True
            if not self.connection.recv(1, socket.MSG_PEEK):
                return False
            watched.remove(self.connection)

    def _give_up(self):
        """Ends the upstream connection, and returns when cargo-lambda has noticed."""
        self.close_connection = True
        sock = self.upstream.sock
        sock.settimeout(FORGET_SECONDS)
        try:
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass
        except OSError:
            pass
        self.upstream.close()

    def _mended(self, name, value):
        if name == "lambda-runtime-deadline-ms":
            return str(int((time.time() + self.api.timeout_seconds) * 1000))
        if name == "lambda-runtime-invoked-function-arn":
            parts = self.path.split("/")
            function = parts[2] if parts[1] == ".rt" and len(parts) > 2 else "_"
            return f"arn:aws:lambda:{self.api.region}:{self.api.account}:function:{function}"
        return value

    def log_message(self, format, *args):
        log.info(format, *args)


def _has_ended(connection):
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _project(functions):
    """`cargo lambda watch` insists on a Cargo project and knows no function but its binaries. One without dependencies is read
    at once and needs no registry; nothing is ever built from it. It stays: who is killed cannot clean up, so it is used again.
    """
    project = PROJECTS / hashlib.sha256(" ".join(functions).encode()).hexdigest()[:12]
    if project.exists():
        return project
    PROJECTS.mkdir(parents=True, exist_ok=True)
    # Made aside and moved: servers that start together must not read each other's half.
    made = Path(tempfile.mkdtemp(dir=PROJECTS))
    binaries = made / "src" / "bin"
    binaries.mkdir(parents=True)
    for name in functions:
        (binaries / f"{name}.rs").write_text("fn main() {}\n")
    (made / "Cargo.toml").write_text('[package]\nname = "functions"\nversion = "0.0.0"\n[workspace]\n')
    try:
        made.rename(project)
    except OSError:
        shutil.rmtree(made)
    return project


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
