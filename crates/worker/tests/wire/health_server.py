"""A health server for tests: the C core of gRPC, which most of its languages share, on 127.0.0.1.

health_server.py PORT [CERTIFICATE KEY]
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

SERVING, NOT_SERVING = 1, 2
STATES = {"": SERVING, "good": SERVING, "bad": NOT_SERVING}


def check(asked, context):
    # One field, the first, a text shorter than 128 bytes; an empty one is left out.
    service = asked[2:].decode()
    if service not in STATES:
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    return bytes([8, STATES[service]])


def main(port, certificate=None, key=None):
    server = grpc.server(ThreadPoolExecutor(2))
    answers = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    health = grpc.method_handlers_generic_handler("grpc.health.v1.Health", answers)
    server.add_generic_rpc_handlers((health,))
    address = f"127.0.0.1:{port}"
    if certificate:
        with open(key, "rb") as key_file, open(certificate, "rb") as certificate_file:
            shown = [(key_file.read(), certificate_file.read())]
        bound = server.add_secure_port(address, grpc.ssl_server_credentials(shown))
    else:
        bound = server.add_insecure_port(address)
    if not bound:
        sys.exit(1)
    server.start()
    server.wait_for_termination()


main(*sys.argv[1:])
