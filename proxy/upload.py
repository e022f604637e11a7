"""A request's body on its way to the backend, in a greenlet of its own, so that an early answer is not held up."""

from __future__ import annotations

from time import monotonic

import gevent

from pillion.proxy.errors import ClientLost, ExchangeError, UpstreamLost
from pillion.proxy.framing import BodyReader
from pillion.proxy.stream import ClientStream, UpstreamStream


class Upload:
    """Sends what the client sends. The backend never sees the end of a body that the client did not end."""

    def __init__(self, client: ClientStream, upstream: UpstreamStream, body: BodyReader) -> None:
        self._client = client
        self._upstream = upstream
        self._body = body
        self.done = False  # every byte of the body has been sent, not only read
        self.failure: ExchangeError | None = None
        self.ended_at: float | None = None  # monotonic
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Stop where it is; the body stays incomplete."""
        self._greenlet.kill()

    def _run(self) -> None:
        try:
            while not self._body.complete:
                data = self._client.receive()
                if not data:
                    raise ClientLost("the client closed the connection inside a body")
                out = self._body.feed(data)
                if out:
                    self._upstream.send(out)
            self._client.pending = self._body.surplus
            self.done = True
        except UpstreamLost:
            pass  # it may have answered before it closed: whoever reads the answer finds out
        except ExchangeError as error:
            self.failure = error
            self._upstream.shutdown()
        finally:
            self.ended_at = monotonic()
