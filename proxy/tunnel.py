"""Two connections that have become one: after a 101 the bytes are nobody's business (RFC 9110 section 7.8)."""

from __future__ import annotations

from time import monotonic

import gevent

from pillion.proxy.errors import ExchangeError
from pillion.proxy.sides import ClientStream, UpstreamStream
from pillion.proxy.stream import Stream


class Tunnel:
    """Carries bytes both ways until both sides have ended, one is lost, or neither has spoken for `idle` seconds."""

    def __init__(self, client: ClientStream, upstream: UpstreamStream, idle: float) -> None:
        self._client = client
        self._upstream = upstream
        self._idle = idle
        self._last = monotonic()

    def run(self) -> None:
        """Returns at the end of the tunnel; who called closes both connections."""
        self._client.write_patience = self._upstream.write_patience = self._idle
        uphill = gevent.spawn(self._carry, self._client, self._upstream)
        try:
            self._carry(self._upstream, self._client)
            uphill.join()
        finally:
            uphill.kill()

    def _carry(self, source: Stream, sink: Stream) -> None:
        """One way. An end is passed on, the other way goes on; whatever else ends it ends both."""
        try:
            while data := self._receive(source):
                sink.send(data)
                self._last = monotonic()
        except ExchangeError:
            self._client.shutdown()
            self._upstream.shutdown()
        else:
            sink.half_close()

    def _receive(self, source: Stream) -> bytes:
        while True:
            left = self._last + self._idle - monotonic()
            if left <= 0:
                raise source.timed_out("nothing went through the tunnel for too long")
            source.read_patience = left
            try:
                data = source.receive()
            except source.timed_out:
                continue  # the other way may have been in use
            self._last = monotonic()
            return data
