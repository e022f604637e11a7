"""One request and its response, from the client to the backend and back, both streamed at once."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from pillion.proxy.answers import own_answer
from pillion.proxy.errors import (
    ClientLost,
    ExchangeError,
    UpstreamLost,
    UpstreamMalformed,
    UpstreamRefused,
    UpstreamTimeout,
)
from pillion.proxy.fields import Origin, request_fields, response_fields
from pillion.proxy.framing import (
    NO_BODY,
    BodyReader,
    Kind,
    MalformedBody,
    request_framing,
    request_reader,
    response_framing,
    response_reader,
)
from pillion.proxy.head import RequestHead, ResponseHead, parse_response_head, serialise
from pillion.proxy.stream import ClientStream, UpstreamStream
from pillion.proxy.upload import Upload

if TYPE_CHECKING:
    from pillion.proxy.gateway import Gateway

LINGER = 2.0  # seconds
IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"))  # RFC 9110 section 9.2.2


class Exchange:
    """One exchange. `run` does it; the rest of the attributes say afterwards how it went."""

    def __init__(self, gateway: Gateway, client: ClientStream, head: RequestHead, origin: Origin) -> None:
        """Raises BadRequest if the request's framing is ambiguous."""
        self._gateway = gateway
        self._client = client
        self._head = head
        self._origin = origin
        self._framing = request_framing(head)
        self._body: BodyReader = request_reader(self._framing)
        self._upload: Upload | None = None
        self._upstream: UpstreamStream | None = None
        self._ends_by_close = False
        self.status = 0  # of the response whose head was sent, ours or the backend's
        self.retried = False
        self.failure: ExchangeError | None = None

    def run(self) -> bool:
        """Serve the request; whether the client's connection can carry another one."""
        try:
            payload = self._body_at_hand()
            response = self._request(payload)
            return self._respond(response)
        except ExchangeError as error:
            return self._fail(error)
        except BaseException:
            # Cut off by the end of a drain: what ends by close must not look as if it had ended.
            if self.status and self._ends_by_close:
                self._client.reset()
            raise
        finally:
            if self._upload is not None:
                self._upload.stop()
            self._release(reusable=False)

    # The request

    def _body_at_hand(self) -> bytes:
        """What of the body has come with the head: often all of it, and then no second greenlet is needed."""
        client = self._client
        client.socket.settimeout(self._gateway.settings.body_idle_timeout)
        if self._body.complete or not client.pending:
            return b""
        data = self._body.feed(client.receive())
        client.pending = self._body.surplus
        return data

    def _request(self, payload: bytes) -> ResponseHead:
        """Send the request and return the head of the final response.

        On a pooled connection that turns out to be dead, an idempotent request without a body is sent once more on a
        new one (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1).
        """
        head = self._head
        fields = request_fields(head, self._framing, self._origin, self._gateway.authority)
        message = serialise(b"%b %b HTTP/1.1" % (head.method, head.target), fields) + payload
        while True:
            upstream = self._acquire()
            before = upstream.received
            try:
                self._start(upstream, message)
                return self._final_head(upstream)
            except UpstreamLost:
                silent = upstream.received == before
                repeatable = head.method in IDEMPOTENT and self._framing is NO_BODY
                if not (upstream.reused and silent and repeatable) or self.retried:
                    raise
                self.retried = True
                self._release(reusable=False)

    def _acquire(self) -> UpstreamStream:
        """A connection to the backend, once it is ready. Nothing of the request has been sent, so waiting is safe."""
        gateway = self._gateway
        deadline = monotonic() + gateway.settings.ready_hold
        while True:
            gateway.gate.wait(deadline)
            try:
                self._upstream = gateway.pool.acquire(fresh=self.retried)
            except UpstreamRefused as error:
                gateway.gate.shut(str(error))
            else:
                return self._upstream

    def _start(self, upstream: UpstreamStream, message: bytes) -> None:
        upstream.socket.settimeout(self._gateway.settings.response_timeout)
        try:
            upstream.send(message)
        except UpstreamLost:
            return  # it may have answered before it closed: reading finds out
        if not self._body.complete:
            self._upload = Upload(self._client, upstream, self._body)

    # The response

    def _final_head(self, upstream: UpstreamStream) -> ResponseHead:
        """The final response's head; interim ones are passed on, any number (RFC 9110 section 15.2)."""
        while True:
            response = parse_response_head(self._next_head(upstream))
            if response.status >= 200:
                return response
            if response.status == 101:
                # Upgrade is hop-by-hop and was not sent on. A tunnel would begin here.
                raise UpstreamMalformed("the backend switched protocols without being asked")
            if self._head.minor == 1:
                fields = response_fields(response, NO_BODY, 1, close=False)
                self._client.send(serialise(b"HTTP/1.1 %d %b" % (response.status, response.reason), fields))

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
        if self._upload is None:
            return 0
        now = monotonic()
        return (self._upload.ended_at or now) + self._gateway.settings.response_timeout - now

    def _respond(self, response: ResponseHead) -> bool:
        """Pass the final response on; whether the client's connection can carry another request."""
        upstream, client, minor = self._upstream, self._client, self._head.minor
        assert upstream is not None
        framing = response_framing(response, self._head.method)
        body = response_reader(framing, minor)
        self._ends_by_close = minor == 0 and framing.kind in (Kind.CHUNKED, Kind.UNTIL_CLOSE)
        # A client that is still sending is answered early, and the rest of its body is not wanted.
        close = self._ends_by_close or not self._request_sent or not self._persistent
        fields = response_fields(response, framing, minor, close=close)
        message = serialise(b"HTTP/1.1 %d %b" % (response.status, response.reason), fields)
        if upstream.pending and not body.complete:
            message += self._feed(body, upstream.receive())
        self.status = response.status
        client.send(message)
        if not body.complete:
            upstream.socket.settimeout(self._gateway.settings.response_idle_timeout)
            while not body.complete:
                data = self._feed(body, upstream.receive())
                if data:
                    client.send(data)
        complete = self._request_sent
        surplus = body.surplus or upstream.pending
        self._release(
            reusable=complete
            and response.persistent
            and framing.kind is not Kind.UNTIL_CLOSE
            and not surplus
            and not _may_send_more(response)
        )
        if not complete:
            self._turn_away()
        return complete and not close

    def _feed(self, body: BodyReader, data: bytes) -> bytes:
        try:
            if data:
                return body.feed(data)
            if self._upload is not None and self._upload.failure is not None:
                raise self._upload.failure  # it was us who ended the connection
            return body.end()
        except MalformedBody as error:
            cause = UpstreamMalformed if data else UpstreamLost
            raise cause(f"the backend's answer: {error}") from None

    # The end

    @property
    def _persistent(self) -> bool:
        return self._head.persistent and not self._gateway.draining

    @property
    def _request_sent(self) -> bool:
        """Whether the request has left whole. A connection with half a request on it must never carry another."""
        return self._upload.done if self._upload is not None else self._body.complete

    def _fail(self, error: ExchangeError) -> bool:
        """Answer for the backend if the response has not begun, cut it off if it has."""
        if self._upload is not None:
            self._upload.stop()
            error = self._upload.failure or error
        self.failure = error
        if self.status:
            if self._ends_by_close:
                self._client.reset()  # a plain end would look like the end of the body
            return False
        if isinstance(error, ClientLost):
            return False
        keep = self._request_sent and self._persistent
        self._release(reusable=False)
        self.status = error.status
        try:
            self._client.send(
                own_answer(
                    error,
                    method=self._head.method,
                    minor=self._head.minor,
                    close=not keep,
                    retry_after=self._gateway.settings.retry_after,
                )
            )
        except ExchangeError:
            return False
        if not self._request_sent:
            self._turn_away()
        return keep

    def _turn_away(self) -> None:
        """Stop taking the body that nobody wants, without losing the answer that the client has not read yet."""
        if self._upload is not None:
            self._upload.stop()
        self._release(reusable=False)
        self._client.linger(LINGER)

    def _release(self, *, reusable: bool) -> None:
        if self._upstream is not None:
            upstream, self._upstream = self._upstream, None
            self._gateway.pool.release(upstream, reusable=reusable)


def _may_send_more(response: ResponseHead) -> bool:
    """Whether a 204 announces content that it must not have (RFC 9110 section 8.6) and may send all the same."""
    lengths = response.control.get(b"content-length", [])
    return response.status == 204 and (b"transfer-encoding" in response.control or any(int(n) for n in lengths))
