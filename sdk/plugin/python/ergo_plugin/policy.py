"""What a policy can be asked."""

from __future__ import annotations

from typing import Any, NamedTuple

from . import plugin_pb2 as pb


class Config(NamedTuple):
    """What the manifest says of a use of the policy."""

    policy: str  # its name in the manifest
    options: Any  # the use's configuration, valid by the schema in policy.toml


class KeyVersion(NamedTuple):
    """One version of a key."""

    id: str  # of 1 to 64 letters, digits, - and _
    material: bytes  # in the encoding that the manifest says of the key


METHODS = (
    "on_request", "on_request_body", "stream_request",
    "on_response", "on_response_body", "stream_response",
    "on_failure", "on_trailers", "on_done",
)  # fmt: skip


class Handlers:
    """The methods that a policy has, None for those that it does not."""

    on_request: Any
    on_request_body: Any
    stream_request: Any
    on_response: Any
    on_response_body: Any
    stream_response: Any
    on_failure: Any
    on_trailers: Any
    on_done: Any
    start: Any
    keys: Any

    def __init__(self, policy: object):
        for name in (*METHODS, "start", "keys"):
            setattr(self, name, getattr(policy, name, None))
        if not self._any(*METHODS, "keys"):
            raise TypeError(f"{type(policy).__name__} has none of the methods of a policy: {', '.join(METHODS)}")
        self.contract = pb.Contract(
            request=self._any("on_request", "on_request_body", "stream_request"),
            response=self._any("on_response", "on_response_body", "stream_response"),
            failure=self._any("on_failure"),
            trailers=self._any("on_trailers"),
            done=self._any("on_done"),
            start=self._any("start", "keys"),
            keys=self._any("keys"),
            fields=[name.lower() for name in getattr(policy, "fields", ())],
        )

    def _any(self, *names: str) -> bool:
        return any(getattr(self, name) is not None for name in names)
