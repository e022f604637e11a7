"""A request's body on its way to the backend, in a greenlet of its own, so that an early answer is not held up."""

from __future__ import annotations

from time import monotonic

import gevent

from pillion.proxy.errors import ClientLost, ClientTimeout, ExchangeError, UpstreamLost
from pillion.proxy.framing import LABORIOUS, BodyReader, ChunkedReader, LengthReader
from pillion.proxy.relay import WORTHWHILE, can_relay, relay
from pillion.proxy.sides import ClientStream, UpstreamStream


class Upload:
    """Sends what the client sends. The backend never sees the end of a body that the client did not end."""

    def __init__(self, client: ClientStream, upstream: UpstreamStream, body: BodyReader, within: float) -> None:
        """`within` seconds."""
        self._client = client
        self._upstream = upstream
        self._body = body
        self._deadline = monotonic() + within
        self._idle = client.read_patience
        self.done = False  # every byte of the body has been sent, not only read
        self.failure: ExchangeError | None = None
        self.ended_at: float | None = None  # monotonic
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Stop where it is; the body stays incomplete."""
        if not self.done:
            self._greenlet.kill()

    def _run(self) -> None:
        client, upstream, body = self._client, self._upstream, self._body
        try:
            if isinstance(body, LengthReader) and body.remaining > WORTHWHILE and can_relay(client, upstream):
                relay(body, client, upstream, self._deadline)
            while not body.complete:
                data = self._receive()
                out = body.feed(data)
                if out:
                    upstream.send(out)
                if len(data) > LABORIOUS and isinstance(body, ChunkedReader):
                    client.let_others_go_first()
            client.pending = body.surplus
            self.done = True
        except UpstreamLost:
            pass  # it may have answered before it closed: whoever reads the answer finds out
        except ExchangeError as error:
            self.failure = error
            upstream.shutdown()
        finally:
            self.ended_at = monotonic()

    def _receive(self) -> bytes:
        client = self._client
        left = self._deadline - monotonic()
        if left < self._idle:
            if left <= 0:
                raise ClientTimeout("the request's body took too long")
            client.read_patience = left
        data = client.receive()
        if not data:
            raise ClientLost("the client closed the connection inside a body")
        return data
