"""The exchange as a policy sees it, and what it may ask of the host."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import plugin_pb2 as pb
from .message import Field, Header, Request, Response, pack


MAX_CALLS = 8  # that wait at once; the host makes those of an exchange one after the other


class Reason(enum.IntEnum):
    """Why the host does not do what a policy asks for, where a policy may want to know."""

    OTHER = pb.OTHER
    NOT_GRANTED = pb.NOT_GRANTED  # the manifest does not grant it, or not for this use
    UNKNOWN = pb.UNKNOWN  # the key has no such version
    MALFORMED = pb.MALFORMED  # or too much
    MISMATCH = pb.MISMATCH  # a tag or a signature is wrong
    TOO_LARGE = pb.TOO_LARGE
    BUSY = pb.BUSY  # too much is under way
    LATE = pb.LATE  # there was no time left


class HostError(Exception):
    """The host did not do what a policy asked for. It says why in words, for the log, and as a reason."""

    def __init__(self, words: str, reason: int = Reason.OTHER):
        super().__init__(words)
        self.reason = reason  # one of Reason


class Key(NamedTuple):
    """What a policy may know of a key."""

    id: str  # of the primary version, which seals and signs
    algorithm: str


@dataclass(frozen=True, slots=True)
class Measure:
    """A change of one of the policy's own metrics. A name is that of one kind, and a policy has at most 256 of them,
    which take the grant ergo_metric."""

    kind: int
    name: str
    value: int

    @classmethod
    def count(cls, name: str, n: int = 1) -> Measure:
        """Has a counter go up by n, of 1 or more."""
        return cls(pb.Measure.COUNTER, name, n)

    @classmethod
    def change(cls, name: str, delta: int) -> Measure:
        """Has a gauge go up or down."""
        return cls(pb.Measure.GAUGE, name, delta)

    @classmethod
    def level(cls, name: str, value: int) -> Measure:
        """Says what a gauge is now."""
        return cls(pb.Measure.LEVEL, name, value)

    @classmethod
    def observe(cls, name: str, value: int) -> Measure:
        """Has a histogram, by powers of two up to 2^36, count a value, of 0 or more."""
        return cls(pb.Measure.HISTOGRAM, name, value)

    def _message(self) -> pb.Measure:
        return pb.Measure(kind=self.kind, name=self.name, value=self.value)


class Reply(NamedTuple):
    """The response to a fetch, whatever its status."""

    status: int
    header: Header
    body: bytes


class Host:
    """What the manifest grants: for an Exchange, or for the policy itself, as its method start is given it."""

    __slots__ = ("_number", "_put", "_calls", "_last", "_room")

    def __init__(self, number: int, put: Callable[[pb.PolicyEvent], None]):
        self._number, self._put = number, put  # 0: of no exchange
        self._calls: dict[int, asyncio.Future[pb.Result]] = {}
        self._last = 0  # number of a call
        self._room = asyncio.Semaphore(MAX_CALLS)

    async def fetch(
        self, method: str, url: str, header: Iterable[Field] = (), body: bytes = b"", timeout: float = 0
    ) -> Reply:
        """Makes a call that [policy.NAME.http] allows, to "https://host/path" or "upstream://name/path". A timeout
        of 0, or more than the manifest's, is the manifest's; it is in seconds. It takes the grant ergo_http."""
        call = pb.Fetch(method=method, url=url, fields=pack(header), body=body, timeout_ms=_millis(timeout))
        r = await self._ask(fetch=call)
        return Reply(r.status, Header(r.fields), r.value)

    async def secret(self, name: str) -> bytes | None:
        """Returns the secret that the manifest calls name; None if there is none. It takes the grant ergo_secret."""
        return _found(await self._ask(secret=name))

    async def get(self, key: str) -> bytes | None:
        """Returns what the policy remembers under key; None if there is nothing. It takes the grant ergo_kv, as set
        and add do."""
        return _found(await self._ask(get=key))

    async def set(self, key: str, value: bytes, ttl: float = 0) -> None:
        """Remembers value under key for ttl seconds; 0 is for ever."""
        await self._ask(set=pb.Set(key=key, value=value, ttl_ms=_millis(ttl)))

    async def add(self, key: str, delta: int, ttl: float = 0) -> int:
        """Adds to the counter under key, which begins at 0 and ends ttl seconds after its first add, and returns
        what it comes to. It is atomic among all that share the store."""
        return (await self._ask(add=pb.Add(key=key, delta=delta, ttl_ms=_millis(ttl)))).count

    async def key(self, name: str) -> Key:
        """Says what the host has by the name of a key. Like seal, open, sign and verify it takes the grant
        ergo_crypto; which keys there are, by which names and for which uses, says [policy.NAME.keys]. No key ever
        comes to the process."""
        r = await self._ask(key=name)
        return Key(r.id, r.algorithm)

    async def seal(self, key: str, plaintext: bytes, associated: bytes = b"") -> bytes:
        """Encrypts and authenticates at most 4 MiB. The associated data, of at most 64 KiB, is authenticated alone,
        and is needed again to open."""
        return (await self._ask(seal=pb.Sealing(key=key, data=plaintext, associated=associated))).value

    async def open(self, key: str, sealed: bytes, associated: bytes = b"") -> bytes:
        """Returns what seal was given. HostError has the reason UNKNOWN, MALFORMED or MISMATCH if it is not."""
        return (await self._ask(open=pb.Sealing(key=key, data=sealed, associated=associated))).value

    async def sign(self, key: str, data: bytes) -> bytes:
        """Makes a signature, or HMAC, of at most 4 MiB with the primary version. Those of ECDSA are r and s, as
        JOSE has them."""
        return (await self._ask(sign=pb.Signing(key=key, data=data))).value

    async def verify(self, key: str, data: bytes, signature: bytes, id: str = "") -> bool:
        """Reports whether a signature, or HMAC, is by the version of that id or, with "", by any."""
        try:
            await self._ask(verify=pb.Signing(key=key, id=id, data=data, signature=signature))
        except HostError as e:
            if e.reason == Reason.MISMATCH:
                return False
            raise
        return True

    async def measure_now(self, *changes: Measure) -> None:
        """Makes changes of metrics beside exchanges."""
        await self._ask(measures=pb.Measures(measures=[m._message() for m in changes]))

    async def _ask(self, **call: Any) -> pb.Result:
        """Has the host do one thing. Of a call that is given up the result is dropped when it comes."""
        async with self._room:
            self._last += 1
            number = self._last
            result = self._calls[number] = asyncio.get_running_loop().create_future()
            self._put(pb.PolicyEvent(exchange=self._number, call=pb.Call(number=number, **call)))
            try:
                r = await result
            finally:
                del self._calls[number]
        if r.error:
            raise HostError(r.error, r.reason)
        return r

    def _receive(self, r: pb.Result) -> None:
        waiting = self._calls.get(r.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(r)


class Exchange(Host):
    """One request and its response. At any time one method of the policy has it."""

    __slots__ = ("request", "response", "trailers", "value", "_done")

    def __init__(self, number: int, put: Callable[[pb.PolicyEvent], None]):
        super().__init__(number, put)
        self.request: Request
        self.response: Response  # from the response phase on
        self.trailers: Header  # in on_trailers
        self.value: Any = None  # the policy's own
        self._done: pb.Done

    def answer(self, status: int, body: bytes | str = b"", header: Iterable[Field] = ()) -> None:
        """Makes a response in place of what would come, at the end of the method at hand. The status is from 200 to 599."""
        body = body.encode() if isinstance(body, str) else body
        self._done.answer.CopyFrom(pb.Answer(status=status, fields=pack(header), body=body))

    def replace_body(self, body: bytes) -> None:
        """Puts another body in the place of the one at hand, in a method that sees it whole."""
        self._done.body = body

    def route(self, upstream: str = "", hash_key: str = "") -> None:
        """Sends the request to an upstream of the manifest, and gives a hashing balancer what to hash; "" leaves
        either to others. It takes the grant ergo_route."""
        self._done.route.CopyFrom(pb.Route(upstream=upstream, hash_key=hash_key))

    def identify(self, subject: str, method: str = "", attributes: Mapping[str, str] | None = None) -> None:
        """Establishes who the client is, for later policies and the log. It takes the grant ergo_identify."""
        notes = [pb.Note(name=name, value=value) for name, value in (attributes or {}).items()]
        self._done.identity.CopyFrom(pb.Identity(subject=subject, method=method, attributes=notes))

    def hold(self, bytes: int) -> None:
        """Bounds what is held and shown of the body that follows the head at hand, below what policy.toml asks for:
        with 0 nothing is, and on_request_body or on_response_body is not called."""
        self._done.hold = bytes

    def measure(self, *changes: Measure) -> None:
        """Notes changes of metrics. They travel with what the policy says to the event at hand, and are counted if
        that is taken: not in on_done, to which nothing is said."""
        self._done.measures.extend(m._message() for m in changes)

    def annotate(self, name: str, value: str) -> None:
        """Adds a field to the exchange's line in the access log. It takes the grant ergo_log."""
        self._done.notes.add(name=name, value=value)


def _millis(seconds: float) -> int:
    return round(seconds * 1000)


def _found(r: pb.Result) -> bytes | None:
    return r.value if r.found else None
