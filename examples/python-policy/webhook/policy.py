"""Lets signed webhooks pass, as https://www.standardwebhooks.com has them, and none of them twice."""

import hmac
import time
from base64 import b64encode

from ergo_plugin import Config, Exchange, Host, serve


class Webhook:
    fields = ("webhook-id", "webhook-timestamp", "webhook-signature")

    def __init__(self, config: Config):
        self.tolerance = config.options["tolerance_seconds"]

    async def start(self, host: Host) -> None:
        self.secret = await host.secret("webhook")
        if not self.secret:
            raise ValueError("there is no secret named webhook")

    async def on_request_body(self, x: Exchange, body: bytes) -> None:
        message, sent, given = (x.request.header.get(name).encode(errors="surrogateescape") for name in self.fields)
        signature = b"v1," + b64encode(hmac.digest(self.secret, b"%b.%b.%b" % (message, sent, body), "sha256"))
        if not any([hmac.compare_digest(signature, one) for one in given.split()]):
            x.answer(401, "the signature does not match\n")
        elif abs(time.time() - int(sent)) > self.tolerance:
            x.answer(401, "it was sent at another time\n")
        elif await x.add(f"seen {message.hex()}", 1, ttl=2 * self.tolerance) > 1:
            x.answer(200, "it has come already\n")
        else:
            x.identify("webhook", attributes={"message": message.decode()})


serve(Webhook)
