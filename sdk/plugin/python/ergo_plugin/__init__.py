"""Policies of Ergo that are programs in Python.

A plugin is a program that calls serve. The host starts it for each use of the policy, gives it its configuration, and
shows it what the policy's methods ask for, each of which is optional:

    from ergo_plugin import Config, Exchange, serve

    class Teapot:
        def __init__(self, config: Config):
            self.path = config.options["path"]

        def on_request(self, x: Exchange) -> None:
            if x.request.path == self.path:
                x.answer(418, "short and stout")

    serve(Teapot)

Each method is a function or, where it has to wait, a coroutine (async def). An exception is the policy's failure: it
goes to the host's log, and the policy's failure rule applies.

    on_request(x)             the head of each request; it may change it, or x.answer
    on_request_body(x, body)  what policy.toml asks for of the request's body ("peek" or "buffer"), after the head
    stream_request(x)         returns None, or what turns each piece of the request's body into what takes its place:
                              a function or coroutine of the piece (at most 64 KiB; the last may be empty) and whether
                              it is the last; with mode "stream"
    on_response(x), on_response_body(x, body), stream_response(x)
                              the same of the response
    on_failure(x)             the host's own response to a failure, which it may x.answer instead; a policy without it
                              sees that in on_response
    on_trailers(x)            the response's trailers, as x.trailers
    on_done(x, status, took)  the end: the status that the client got, and after how many seconds
    start(host)               prepares before the first exchange, within process.start; the host can be asked from then
                              on, also later and beside exchanges, by a task of the policy's own
    keys(name)                the versions of a key, the primary first: it makes the policy a source of keys, which
                              [key.NAME.source] of the manifest names. It is asked again and again, and raises KeyError
                              for a key that there is not
    fields                    names of the fields of heads that are to travel; without it all do

When the exchange ends, or the host gives an event up, a coroutine that still runs is cancelled.
"""

from .exchange import Exchange, Host, HostError, Key, Measure, Reason, Reply
from .message import Field, Header, Request, Response
from .policy import Config, KeyVersion
from .server import serve

__all__ = [
    "Config", "Exchange", "Field", "Header", "Host", "HostError", "Key", "KeyVersion", "Measure", "Reason", "Reply", "Request",
    "Response", "serve",
]  # fmt: skip
