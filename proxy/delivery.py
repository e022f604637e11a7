"""A request on its way to the backend, until the head of the final response is there."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from pillion.proxy.errors import UpstreamLost, UpstreamMalformed, UpstreamRefused, UpstreamReset, UpstreamTimeout
from pillion.proxy.fields import response_head
from pillion.proxy.framing import BODYLESS, NO_BODY, BodyReader, Framing, Kind, LengthReader, request_reader
from pillion.proxy.head import RequestHead, ResponseHead, list_members, parse_response_head
from pillion.proxy.relay import WORTHWHILE
from pillion.proxy.sides import ClientStream, UpstreamStream
from pillion.proxy.upload import Upload

if TYPE_CHECKING:
    from pillion.proxy.gateway import Gateway

IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"))  # RFC 9110 section 9.2.2


class Delivery:
    """One request, its body included. Who made it calls `stop` and `release` at the end, whatever the end is.

    `upstream` is the connection it is on, `upload` what still brings its body; `retried`: it was sent twice.
    """

    __slots__ = ("_client", "_gateway", "_head", "_send_failed", "_upgrade", "body", "retried", "upload", "upstream")

    def __init__(
        self, gateway: Gateway, client: ClientStream, head: RequestHead, framing: Framing, upgrade: bytes | None
    ) -> None:
        """`upgrade`: the protocols that are offered to the backend."""
        self._gateway = gateway
        self._client = client
        self._head = head
        self._upgrade = upgrade
        self._send_failed = False
        self.body: BodyReader = BODYLESS
        if framing is not NO_BODY:
            self.body = request_reader(framing, gateway.settings.max_body_bytes)
        self.upload: Upload | None = None
        self.upstream: UpstreamStream | None = None
        self.retried = False

    @property
    def sent(self) -> bool:
        """Whether the request has left whole. A connection with half a request on it must never carry another."""
        return self.body.complete if self.upload is None else self.upload.done

    def body_at_hand(self) -> bytes:
        """What of the body has come with the head: often all of it, and then no second greenlet is needed."""
        client = self._client
        client.read_patience = self._gateway.settings.body_idle_timeout
        if not client.pending:
            return b""
        body = self.body
        data = body.feed(client.receive())
        if not body.complete and not (isinstance(body, LengthReader) and body.remaining > WORTHWHILE):
            data += body.feed(client.at_once())
        client.pending = body.surplus
        return data

    def run(self, message: bytes) -> ResponseHead:
        """Send the request and return the head of the final response; `message` is its head and the body at hand.

        An idempotent request without a body is sent once more on a new connection if no byte of an answer has come
        (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1) and the connection was a pooled one that proved dead, or was
        reset: then the backend has not read the request whole.
        """
        while True:
            upstream = self.upstream = self._acquire()
            before = upstream.received
            try:
                self._start(upstream, message)
                return self._final_head(upstream)
            except UpstreamLost as error:
                stale = upstream.reused or self._send_failed or isinstance(error, UpstreamReset)
                silent = upstream.received == before
                repeatable = self._head.method in IDEMPOTENT and self.body is BODYLESS
                if not (stale and silent and repeatable) or self.retried:
                    raise
                self.retried = True
                self.release(reusable=False)

    def stop(self) -> None:
        """Take no more of the body; what has been sent of it stays incomplete."""
        if self.upload is not None:
            self.upload.stop()

    def release(self, *, reusable: bool) -> None:
        """Give the connection back, if there is one."""
        if self.upstream is not None:
            upstream, self.upstream = self.upstream, None
            self._gateway.pool.release(upstream, reusable=reusable)

    def _acquire(self) -> UpstreamStream:
        """A connection to the backend, once it is ready. Nothing of the request has been sent, so waiting is safe."""
        gateway = self._gateway
        if gateway.gate.is_open:
            try:
                return gateway.pool.acquire(fresh=self.retried)
            except UpstreamRefused as error:
                gateway.gate.shut(str(error))
        deadline = monotonic() + gateway.settings.ready_hold
        while True:
            gateway.gate.wait(deadline)
            try:
                return gateway.pool.acquire(fresh=self.retried)
            except UpstreamRefused as error:
                gateway.gate.shut(str(error))

    def _start(self, upstream: UpstreamStream, message: bytes) -> None:
        self._send_failed = False
        upstream.write_patience = self._gateway.settings.response_timeout
        try:
            upstream.send(message)
        except UpstreamLost:
            self._send_failed = True
            return  # it may have answered before it closed: reading finds out
        if not self.body.complete:
            self.upload = Upload(self._client, upstream, self.body, self._gateway.settings.body_timeout)

    def _final_head(self, upstream: UpstreamStream) -> ResponseHead:
        """The final response's head, or that of a switch of protocols; other interim ones are passed on, any number
        (RFC 9110 section 15.2)."""
        while True:
            response = parse_response_head(self._next_head(upstream))
            if response.status >= 200:
                return response
            if response.status == 101:
                if response.minor == 0 or not self._offered(response.control.get(b"upgrade", [])):
                    raise UpstreamMalformed("the backend switched protocols without being asked")
                return response
            if self._head.minor == 1:
                self._client.send(response_head(response, Kind.NONE, 1, close=False))

    def _offered(self, chosen: list[bytes]) -> bool:
        """Whether the backend switches to something, and only to what was offered to it (RFC 9110 section 7.8)."""
        found = list_members(chosen)
        return bool(found) and self._upgrade is not None and set(found) <= set(list_members([self._upgrade]))

    def _next_head(self, upstream: UpstreamStream) -> bytes:
        settings = self._gateway.settings
        timeout = settings.response_timeout
        while True:
            try:
                head = upstream.read_head(settings.max_head_bytes, timeout, timeout)
            except UpstreamTimeout:
                timeout = self._response_time_left()
                if timeout <= 0:
                    raise UpstreamTimeout("the backend did not answer in time") from None
            else:
                if head is None:
                    raise UpstreamLost("the backend closed the connection without an answer")
                return head

    def _response_time_left(self) -> float:
        """Seconds until the response is overdue: its clock starts when the request has been sent whole."""
        if self.upload is None:
            return 0
        now = monotonic()
        return (self.upload.ended_at or now) + self._gateway.settings.response_timeout - now
