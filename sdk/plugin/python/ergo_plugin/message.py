"""The parts of an exchange: the request, the response, and their fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from . import plugin_pb2 as pb

Field = tuple[str, str]


def pack(fields: Iterable[Field]) -> bytes:
    """Writes fields as they travel."""
    return "".join(f"{name}\0{value}\0" for name, value in fields).encode("utf-8", "surrogateescape")


def unpack(packed: bytes) -> list[Field]:
    """Reads fields as they travel. A byte that is not UTF-8 stays what it is, as PEP 383 has it."""
    parts = packed.decode("utf-8", "surrogateescape").split("\0")
    return list(zip(parts[0:-1:2], parts[1::2]))


class Header:
    """An ordered list of fields, with what the policy changes. Names are compared without regard to case."""

    __slots__ = ("_packed", "_list", "_added", "_removed")

    def __init__(self, packed: bytes = b""):
        self._packed = packed
        self._list: list[Field] | None = None  # unpacked when somebody looks
        self._added: list[Field] = []
        self._removed: list[str] = []  # before what was added

    @property
    def _fields(self) -> list[Field]:
        if self._list is None:
            self._list = unpack(self._packed)
        return self._list

    def get(self, name: str, default: str = "") -> str:
        """Returns the first value of a name."""
        name = name.lower()
        return next((value for key, value in self._fields if key.lower() == name), default)

    def all(self, name: str) -> list[str]:
        """Returns all values of a name, in order."""
        name = name.lower()
        return [value for key, value in self._fields if key.lower() == name]

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    def __iter__(self) -> Iterator[Field]:
        return iter(self._fields)

    def set(self, name: str, value: str) -> None:
        """Makes value the only one of name."""
        self.remove(name)
        self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """Adds a field at the end."""
        self._fields.append((name, value))
        self._added.append((name, value))

    def remove(self, name: str) -> None:
        """Removes all fields of a name."""
        lower = name.lower()
        self._list = [f for f in self._fields if f[0].lower() != lower]
        self._added = [f for f in self._added if f[0].lower() != lower]
        self._removed.append(name)

    def _settle(self, done: pb.Done) -> None:
        """Notes what the policy has changed since it was noted last."""
        if self._removed:
            done.remove.extend(self._removed)
            self._removed = []
        if self._added:
            done.add = pack(self._added)
            self._added = []


class Request:
    """The message from the client. What is set of method, authority, target and header is sent on."""

    __slots__ = (
        "method", "scheme", "authority", "target", "header", "id", "client", "subject", "identified_by", "attributes",
        "traceparent", "protocol", "has_body", "_sent",
    )  # fmt: skip

    def __init__(self, r: pb.Request):
        self.method, self.scheme, self.authority = r.method, r.scheme, r.authority
        self.target = r.target  # path and query
        self.header = Header(r.fields)
        self.id = r.id  # of the exchange in logs
        self.client = r.client  # address, without port
        # Who the client is, as an earlier policy established it; "" if none did. It takes the grant ergo_identity.
        self.subject = r.subject
        self.identified_by = r.identified_by  # that policy
        self.attributes = {note.name: note.value for note in r.attributes}  # what else is known of the subject
        self.traceparent = r.traceparent  # W3C Trace Context; "" if the exchange is not sampled
        self.protocol = r.protocol  # of the client's message, such as "HTTP/1.1"
        self.has_body = r.body  # one follows, of which policy.toml asks for some
        self._sent = (self.method, self.authority, self.target)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target's query, without its question mark."""
        return self.target.partition("?")[2]

    def _settle(self, done: pb.Done) -> None:
        now = (self.method, self.authority, self.target)
        if now != self._sent:
            for name, value, sent in zip(("method", "authority", "target"), now, self._sent):
                if value != sent:
                    setattr(done, name, value)
            self._sent = now
        self.header._settle(done)


class Response:
    """The message to the client. What is set of it is sent on."""

    __slots__ = ("status", "header", "has_body", "_sent")

    def __init__(self, r: pb.Response):
        self.status, self.header, self._sent = r.status, Header(r.fields), r.status
        # A body follows of which policy.toml asks for some. One that is to be held and may have no end, such as an event
        # stream, is none.
        self.has_body = r.body

    def _settle(self, done: pb.Done) -> None:
        if self.status != self._sent:
            done.status = self._sent = self.status
        self.header._settle(done)
