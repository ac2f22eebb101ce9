"""One stream of exchanges, and each exchange's events in turn."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import grpc

from . import plugin_pb2 as pb
from .exchange import Exchange, Host
from .message import Header, Request, Response
from .policy import Handlers

MAX_PIECE = 64 << 10  # bytes of a body in one event
# What a batch has when nothing more is added to it. With the last event it fits what gRPC takes.
MAX_BATCH = 32
MAX_BATCH_BYTES = 2 << 20
MAX_ERROR = 4 << 10  # characters of a traceback

# The handling of an event: it yields what methods return, and takes back what came of it if that is to be awaited.
Steps = Generator[Any, Any, None]


class Link:
    """A stream, which the host opens once."""

    def __init__(self, handlers: Handlers, stream: grpc.aio.ServicerContext):
        self.handlers, self.stream = handlers, stream
        # The host bounds what waits here: it has so many exchanges with a process, and of each one event.
        self.ready: deque[pb.PolicyEvent] = deque()
        self.wake = asyncio.Event()
        self.open: dict[int, Visit] = {}
        self.own = Host(0, self.put)
        self.tasks: set[asyncio.Task[None]] = set()  # of no exchange

    async def run(self) -> None:
        """Carries exchanges until the stream ends."""
        self._work(self._send())
        if self.handlers.contract.start:
            self._work(self._start())
        try:
            while (batch := await self.stream.read()) is not grpc.aio.EOF:
                for number in batch.ended:
                    if visit := self.open.pop(number, None):
                        visit.cancel()
                for event in batch.events:
                    self._take(event)
        finally:
            for task in list(self.tasks):
                task.cancel()
            for visit in self.open.values():
                visit.cancel()

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _start(self) -> None:
        """Has the policy prepare, and says when it has."""
        done = pb.Done()
        try:
            prepares = self.handlers.start and self.handlers.start(self.own)
            if inspect.isawaitable(prepares):
                await prepares
        except Exception as e:
            done.error = _describe(e)
        self.put(pb.PolicyEvent(exchange=0, done=done))

    async def _tell(self, query: pb.KeyQuery) -> None:
        """Has a source of keys say what it knows of one. An exception is told without what it says: that may be a key."""
        reply = pb.KeyReply(number=query.number)
        try:
            versions = self.handlers.keys(query.name)
            if inspect.isawaitable(versions):
                versions = await versions
            reply.versions.extend(pb.KeyVersion(id=v.id, material=v.material) for v in versions)
        except KeyError as e:
            reply.error = str(e)
        except Exception as e:
            reply.error = f"exception of type {type(e).__name__}"
        self.put(pb.PolicyEvent(exchange=0, key=reply))

    async def _send(self) -> None:
        """Sends what is ready, as much as there is in one batch."""
        while await self.wake.wait():
            self.wake.clear()
            await asyncio.sleep(0)  # tasks that can run have something to send in a moment
            while self.ready:
                events: list[pb.PolicyEvent] = []
                size = 0
                while self.ready and len(events) < MAX_BATCH and size < MAX_BATCH_BYTES:
                    events.append(self.ready.popleft())
                    size += events[-1].ByteSize()
                await self.stream.write(pb.PolicyBatch(events=events))

    def put(self, event: pb.PolicyEvent) -> None:
        """Has an event sent."""
        self.ready.append(event)
        self.wake.set()

    def _take(self, event: pb.HostEvent) -> None:
        number, kind = event.exchange, event.WhichOneof("event") or "none"
        if kind == "key":
            self._work(self._tell(event.key))
            return
        visit = self.open.get(number)
        if kind == "result":
            if number == 0:
                self.own._receive(event.result)
            elif visit is not None:  # else it is over
                visit.exchange._receive(event.result)
            return
        if visit is None:
            visit = self.open[number] = Visit(self, number)
        if kind == "end":
            del self.open[number]
            visit.cancel()
            if self.handlers.on_done is None:
                return
        visit.take(kind, event)


class Visit:
    """An exchange with its events, which are handled one after the other.

    A method that does not wait runs at once, where the event is read. One that does runs as a task, while others
    go on.
    """

    __slots__ = ("link", "exchange", "handlers", "task", "waiting", "transform", "body")

    def __init__(self, link: Link, number: int):
        self.link, self.handlers = link, link.handlers
        self.exchange = Exchange(number, link.put)
        self.task: asyncio.Task[None] | None = None
        self.waiting: deque[tuple[str, pb.HostEvent]] = deque()
        self.transform: Callable[[bytes, bool], Any] | None = None  # of a body that streams
        self.body = bytearray()  # what has come of one that is held

    def take(self, kind: str, event: pb.HostEvent) -> None:
        """Handles an event, when the one before it is done."""
        if self.task is not None:  # a host that has given up an event may send End while it is handled
            self.waiting.append((kind, event))
            return
        steps = self._end(event.end) if kind == "end" else self._handle(kind, event)
        awaited = _advance(steps, steps.send, None)
        if awaited is not None:
            self.task = asyncio.create_task(self._await(steps, awaited))

    def cancel(self) -> None:
        """Ends what the policy does with the exchange."""
        self.waiting.clear()
        if self.task is not None:
            self.task.cancel()

    async def _await(self, steps: Steps, awaited: Awaitable[Any] | None) -> None:
        try:
            while awaited is not None:
                try:
                    result = await awaited
                except Exception as e:
                    awaited = _advance(steps, steps.throw, e)
                else:
                    awaited = _advance(steps, steps.send, result)
        finally:
            steps.close()
            self.task = None
            if self.waiting:
                self.take(*self.waiting.popleft())

    def _handle(self, kind: str, event: pb.HostEvent) -> Steps:
        """Has the policy handle an event, and says what came of it."""
        done = self.exchange._done = pb.Done()
        try:
            phase = PHASES.get(kind)
            if phase is None:
                raise NotImplementedError(f"an event that this version of the SDK does not know: {kind}")
            yield from phase(self, getattr(event, kind))
        except Exception as e:
            done = pb.Done(error=_describe(e))
        self.link.put(pb.PolicyEvent(exchange=self.exchange._number, done=done))

    def _end(self, end: pb.End) -> Steps:
        try:
            yield self.handlers.on_done(self.exchange, end.status, end.microseconds / 1e6)
        except Exception:
            traceback.print_exc()

    def _request(self, r: pb.Request) -> Steps:
        h, x = self.handlers, self.exchange
        x.request = Request(r)
        if h.on_request is not None:
            yield h.on_request(x)
        self.transform = None
        if h.stream_request is not None and r.body and not x._done.HasField("answer"):
            self.transform = yield h.stream_request(x)
            x._done.stream = self.transform is not None
        x.request._settle(x._done)

    def _response(self, r: pb.Response) -> Steps:
        h, x = self.handlers, self.exchange
        x.response = Response(r)
        method = h.on_failure if r.failure and h.on_failure is not None else h.on_response
        if method is not None:
            yield method(x)
        self.transform = None
        if h.stream_response is not None and r.body and not x._done.HasField("answer"):
            self.transform = yield h.stream_response(x)
            x._done.stream = self.transform is not None
        x.response._settle(x._done)

    def _request_body(self, chunk: pb.Chunk) -> Steps:
        yield from self._body(chunk, self.handlers.on_request_body)
        if chunk.last:
            self.exchange.request._settle(self.exchange._done)

    def _response_body(self, chunk: pb.Chunk) -> Steps:
        yield from self._body(chunk, self.handlers.on_response_body)
        if chunk.last:
            self.exchange.response._settle(self.exchange._done)

    def _body(self, chunk: pb.Chunk, method: Callable[[Exchange, bytes], Any] | None) -> Steps:
        """Has a chunk of a streamed body transformed; puts those of a held one together and shows it when it is whole."""
        if self.transform is not None:
            out = yield self.transform(chunk.data, chunk.last)
            for at in range(0, len(out or b""), MAX_PIECE):
                self.link.put(pb.PolicyEvent(exchange=self.exchange._number, piece=bytes(out[at : at + MAX_PIECE])))
            return
        if method is None:
            return
        self.body += chunk.data
        if chunk.last:
            body, self.body = bytes(self.body), bytearray()
            yield method(self.exchange, body)

    def _trailers(self, packed: bytes) -> Steps:
        x = self.exchange
        x.trailers = Header(packed)
        if self.handlers.on_trailers is not None:
            yield self.handlers.on_trailers(x)
        x.trailers._settle(x._done)


PHASES: dict[str, Callable[[Visit, Any], Steps]] = {
    "request": Visit._request,
    "request_body": Visit._request_body,
    "response": Visit._response,
    "response_body": Visit._response_body,
    "trailers": Visit._trailers,
}


def _advance(steps: Steps, resume: Callable[[Any], Any], argument: Any) -> Awaitable[Any] | None:
    """Goes on with steps, up to what has to be awaited, which it returns; None: they are done."""
    try:
        value = resume(argument)
        while not hasattr(value, "__await__"):
            value = steps.send(value)
        return value
    except StopIteration:
        return None


def _describe(e: Exception) -> str:
    return "".join(traceback.format_exception(e))[-MAX_ERROR:]
