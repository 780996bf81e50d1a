"""The emulated AWS: moto's server in one process, with what it lacks. See README.md.

Prints one line of JSON when ready, and ends when its standard input does, so that nothing outlives whoever started it.
"""

import argparse
import functools
import gc
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--with-lambda", action="store_true", help="also serve Lambda's Runtime API and Invoke")
    parser.add_argument("--function", action="append", default=[], help="one more name under which a gateway may run")
    parser.add_argument("--log", help="a file for the log, instead of standard error")
    arguments = parser.parse_args()

    # moto prints here and there; standard output carries the ready line alone.
    ready, sys.stdout = sys.stdout, sys.stderr
    output = open(arguments.log, "a", buffering=1) if arguments.log else sys.stderr
    logging.basicConfig(stream=output, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    threading.Thread(target=_until_stdin_ends, args=(ended,), daemon=True).start()

    lambda_api = end_commands = None
    try:
        if arguments.with_lambda:
            from lambda_api import LambdaApi

            lambda_api = LambdaApi("us-east-1", "123456789012", _functions(), arguments.function)
            lambda_api.start(output)
        address, end_commands = _serve_aws(arguments.port, lambda_api)
        if lambda_api is not None:
            lambda_api.wait()
        print(json.dumps({"aws": address, "lambda": lambda_api and lambda_api.url}), file=ready, flush=True)
        ended.wait()
    finally:
        if end_commands is not None:
            end_commands()
        if lambda_api is not None:
            lambda_api.stop()
    logging.shutdown()
    # Threads may be sleeping in an injected time-out.
    os._exit(0)


def _serve_aws(port, lambda_api):
    # The images and instance types of a whole Region are of no use here and slow to load.
    os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    from moto.core import responses
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

    import auto_scaling
    import commands
    import instances
    import load_balancers
    import peerings
    import routes
    import snapshot_api
    import stacks
    import volumes
    from control import Control
    from journal import Journal
    from wire import Server, Wire, handler_class

    for module in (load_balancers, peerings, routes, stacks, volumes, snapshot_api, instances, auto_scaling, commands):
        module.install()
    control = Control()
    # moto looks through all members of a class for each request.
    responses.method_names_from_class = functools.lru_cache(responses.method_names_from_class)

    class Dispatcher(DomainDispatcherApplication):
        # Otherwise moto lists its own folder and tries some hundred patterns twice for each request: half of its time.
        get_backend_for_host = functools.lru_cache(DomainDispatcherApplication.get_backend_for_host)

    wire = Wire(Dispatcher(create_backend_app), control, Journal(_functions()))
    control.wire = wire
    control.lambda_api = lambda_api
    # What was loaded stays: looking through it for garbage again and again finds none.
    gc.freeze()
    server = Server("127.0.0.1", port, wire, handler_class(MotoRequestHandler))
    threading.Thread(target=server.serve_forever, name="aws", daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}", commands.reset


def _functions():
    return sorted(path.parent.name for path in FUNCTIONS.glob("*/Cargo.toml"))


def _until_stdin_ends(ended):
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass
    ended.set()


if __name__ == "__main__":
    main()
