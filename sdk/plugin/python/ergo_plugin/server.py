"""A plugin of the host: hashicorp/go-plugin's handshake and services, and the policy's."""

from __future__ import annotations

import asyncio
import base64
import datetime
import inspect
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from . import plugin_pb2 as pb
from .carry import Link
from .policy import Config, Handlers

COOKIE = ("ERGO_PLUGIN", "ergo.plugin.v1")  # says that each is meant for the other; no secret
MAX_MESSAGE = 16 << 20  # bytes that the host sends at once
WINDOW = 1 << 20  # bytes that may be on their way to the plugin
GRACE = 0.5  # seconds for what is under way at the end
DAY = datetime.timedelta(days=1)


def serve(configure: Callable[[Config], Any]) -> None:
    """Runs the plugin, and returns when the host ends it. configure makes the policy, from what may be a coroutine; its
    exception refuses the configuration. What it returns has at least one of the methods that a policy can have."""
    if os.environ.get(COOKIE[0]) != COOKIE[1]:
        sys.exit('This program is a plugin of Ergo, which starts it: source = "plugin:PATH" in a manifest.')
    sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: it is the host's to end
    asyncio.run(_serve(configure))


async def _serve(configure: Callable[[Config], Any]) -> None:
    service = Service(configure)
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            # A window that is given keeps gRPC from measuring the path, by a ping for each message.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", WINDOW),
        ]
    )
    server.add_generic_rpc_handlers(service.methods())
    certificate, key = _identity()
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    trusted = os.environ["PLUGIN_CLIENT_CERT"].encode()
    address = os.path.join(os.environ["PLUGIN_UNIX_SOCKET_DIR"], "policy")
    server.add_secure_port(
        "unix:" + address,
        grpc.ssl_server_credentials([(key, pem)], root_certificates=trusted, require_client_auth=True),
    )
    await server.start()
    der = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).rstrip(b"=").decode()
    print(f"1|1|unix|{address}|grpc|{der}", flush=True)
    os.dup2(2, 1)  # from here on what is printed is for the host's log
    await service.ended.wait()
    await server.stop(GRACE)


def _identity() -> tuple[x509.Certificate, bytes]:
    """Makes what the plugin is known by to its host, for this one connection."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + 3650 * DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate, pem


class Service:
    """What the host calls. It does without go-plugin's GRPCBroker and GRPCStdio, which the host does not need."""

    def __init__(self, configure: Callable[[Config], Any]):
        self.configure = configure
        self.handlers: Handlers | None = None  # None before the policy is configured
        self.ended = asyncio.Event()

    def methods(self) -> list[grpc.GenericRpcHandler]:
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
        services = {
            "grpc.health.v1.Health": {"Check": unary(self._check)},
            "plugin.GRPCController": {"Shutdown": unary(self._shutdown)},
            "ergo.plugin.v1.Policy": {
                "Configure": unary(self._configure, pb.Configuration.FromString, pb.Contract.SerializeToString),
                "Carry": stream(self._carry, pb.HostBatch.FromString, pb.PolicyBatch.SerializeToString),
            },
        }
        return [grpc.method_handlers_generic_handler(name, methods) for name, methods in services.items()]

    async def _check(self, _request: bytes, _context: grpc.aio.ServicerContext) -> bytes:
        return b"\x08\x01"  # grpc.health.v1.HealthCheckResponse with the status SERVING

    async def _shutdown(self, _request: bytes, _context: grpc.aio.ServicerContext) -> bytes:
        self.ended.set()
        return b""

    async def _configure(self, c: pb.Configuration, context: grpc.aio.ServicerContext) -> pb.Contract:
        try:
            policy = self.configure(Config(c.policy, json.loads(c.config or b"null")))
            if inspect.isawaitable(policy):
                policy = await policy
            self.handlers = Handlers(policy)
        except Exception as e:
            traceback.print_exc()
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "".join(traceback.format_exception_only(e)).strip())
        else:
            return self.handlers.contract

    async def _carry(self, _requests: Any, context: grpc.aio.ServicerContext) -> None:
        if self.handlers is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not configured")
        await Link(self.handlers, context).run()
