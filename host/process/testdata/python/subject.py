"""The plugin of the tests of the Python SDK: what testdata/subject is, in Python."""

import asyncio
import os
import signal
import sys
import time

from ergo_plugin import Config, Exchange, Host, HostError, KeyVersion, Measure, Reason, serve


class Subject:
    def __init__(self, config: Config):
        self.do = config.options.get("do", "")
        self.fields = config.options.get("fields", [])

    def on_request(self, x: Exchange):
        x.value = x.request.target
        deed = DEEDS.get(x.request.header.get("x-do", self.do))
        return deed(x) if deed else None

    def on_response(self, x: Exchange):
        x.response.header.set("x-request", x.value)
        if "X-Teapot" in x.response.header:
            x.response.status = 418


def see(x: Exchange):
    x.request.header.set("x-seen", x.request.method + " " + x.request.target)


async def see_later(x: Exchange):
    await asyncio.sleep(0)
    see(x)


def change(x: Exchange):
    r = x.request
    r.method, r.target, r.authority = "POST", "/changed?b", "changed.example"
    r.header.remove("X-Gone")
    r.header.add("x-many", "1")
    r.header.add("x-many", "2")


def show(x: Exchange):
    r, h = x.request, x.request.header
    x.answer(
        200, f"{r.path} {r.query} {r.scheme} {r.client} {r.id} {r.protocol} {r.has_body} {r.traceparent} {h.all('x-y')}"
    )


def fail(_: Exchange):
    raise ValueError("it did not like it")


def stop(_: Exchange):
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)


async def sleep(_: Exchange):
    await asyncio.sleep(600)


def route(x: Exchange):
    x.route("blue", "key")
    x.identify("somebody", "test", {"role": "cook"})
    x.annotate("note", "taken")


async def secret(x: Exchange):
    both = [await x.secret("token"), await x.secret("other")]
    x.answer(200, repr(both))


async def count(x: Exchange):
    nothing = await x.get("nothing")
    await x.set("last", x.request.target.encode(), ttl=60)
    last, hits = await asyncio.gather(x.get("last"), x.add("hits", 1, ttl=60))
    x.answer(200, f"{nothing} {last} {hits}")


async def fetch(x: Exchange):
    try:
        r = await x.fetch("POST", x.request.header.get("x-url"), [("x-from", "python")], b"tea?", timeout=5)
    except HostError as e:
        x.answer(200, str(e))
    else:
        x.answer(r.status, r.body, r.header)


async def seal(x: Exchange):
    sealed = await x.seal("data", b"text", b"with")
    opened = await x.open("data", sealed, b"with")
    mac = await x.sign("mac", b"text")
    verified = [await x.verify("mac", b"text", mac), await x.verify("mac", b"other", mac)]
    try:
        await x.open("data", sealed, b"without")
    except HostError as e:
        x.answer(200, f"{opened} {verified} {tuple(await x.key('data'))} {Reason(e.reason).name}")


async def measure(x: Exchange):
    x.measure(Measure.count("seen"), Measure.change("open", 2), Measure.observe("size", 5))
    await x.measure_now(Measure.level("level", 5))


def flood(_: Exchange):
    for _n in range(20_000):
        print("flood " * 20)
        print("flood " * 20, file=sys.stderr)


def bomb(_: Exchange):
    held = []
    while True:
        held.append(bytes(16 << 20))


DEEDS = {
    "": see,
    "later": see_later,
    "change": change,
    "answer": lambda x: x.answer(418, "short and stout", [("x-pot", "tea")]),
    "list": lambda x: x.answer(200, ",".join(name for name, _ in x.request.header)),
    "show": show,
    "who": lambda x: x.answer(200, f"{x.request.subject} {x.request.identified_by} {x.request.attributes}"),
    "error": fail,
    "exit": lambda _: sys.exit(4),
    "crash": lambda _: os.abort(),
    "stop": stop,
    "sleep": sleep,
    "bytes": lambda x: x.request.header.set("x-copy", x.request.header.get("x-bytes")),
    "bad": lambda x: x.request.header.set("x-bad", "a\r\nb: c"),
    "frame": lambda x: x.request.header.set("transfer-encoding", "chunked"),
    "route": route,
    "secret": secret,
    "count": count,
    "fetch": fetch,
    "seal": seal,
    "reasons": lambda x: x.answer(200, " ".join(f"{r.value} {r.name}" for r in sorted(Reason))),
    "measure": measure,
    "flood": flood,
    "bomb": bomb,
    "pid": lambda x: x.answer(200, str(os.getpid())),
    "environment": lambda x: x.answer(200, "\n".join(f"{k}={v}" for k, v in os.environ.items()) + "\n" + status()),
}


def status() -> str:
    with open("/proc/self/status") as file:
        return file.read()


class Holder(Subject):
    """Sees bodies whole, and writes them in upper case."""

    def on_request(self, x: Exchange):
        if "x-hold" in x.request.header:
            x.hold(int(x.request.header.get("x-hold")))
        super().on_request(x)

    def on_request_body(self, x: Exchange, body: bytes):
        if body == b"refuse":
            x.answer(422)
            return
        x.request.header.set("x-length", str(len(body)))
        x.replace_body(body.upper())

    async def on_response_body(self, x: Exchange, body: bytes):
        await asyncio.sleep(0)
        x.replace_body(body.upper())


class Streamer(Subject):
    """Writes bodies in upper case as they pass, and twice."""

    def stream_request(self, _: Exchange):
        return twice

    async def stream_response(self, _: Exchange):
        return twice_later


def twice(piece: bytes, last: bool) -> bytes:
    if b"poison" in piece:
        raise ValueError("poisoned")
    return (piece + piece).upper() + b"!" * last


async def twice_later(piece: bytes, last: bool) -> bytes:
    await asyncio.sleep(0)
    return twice(piece, last)


class Rescuer(Subject):
    """Answers failures, changes trailers, and says how it ended."""

    def on_failure(self, x: Exchange):
        x.answer(203, f"rescued from {x.response.status}")

    def on_trailers(self, x: Exchange):
        x.trailers.add("x-trailer", "added")

    def on_done(self, x: Exchange, status: int, took: float):
        print(f"{x.request.target} ended with {status} in time: {took < 60}")


class Sleeper(Subject):
    """Waits, and says what becomes of it."""

    async def on_request(self, x: Exchange):
        if x.request.header.get("x-do") == "pass":
            return
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            print("it was cancelled")
            raise


class Owner(Subject):
    """Asks the host before the first exchange, and goes on beside exchanges."""

    async def start(self, host: Host):
        self.token = await host.secret("token")
        self.adding = asyncio.create_task(self.add(host))
        self.added = []

    async def add(self, host: Host):
        self.added = await asyncio.gather(*(host.add("own", 1) for _ in range(20)))

    def on_request(self, x: Exchange):
        if x.request.header.get("x-do") == "twenty":
            x.answer(200, str(max(self.added, default=0)))
        else:
            x.answer(200, self.token)


class Keys:
    """Is a source of keys, and nothing else."""

    async def keys(self, name: str):
        if name == "broken":
            raise ValueError("k3y")
        return [KeyVersion("v2", name.encode()), KeyVersion("v1", {"orders": b"one"}[name])]


async def configure(config: Config):
    if refusal := config.options.get("refuse"):
        raise ValueError(refusal)
    kinds = {
        "body": Holder,
        "stream": Streamer,
        "failure": Rescuer,
        "wait": Sleeper,
        "own": Owner,
        "none": lambda _: object(),
        "keys": lambda _: Keys(),
    }
    return kinds.get(config.options.get("do"), Subject)(config)


serve(configure)
