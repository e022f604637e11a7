"""Connections to the backend, kept alive in a pool and checked before they are used again."""

from __future__ import annotations

from collections import deque
from time import monotonic

from gevent.event import AsyncResult

from pillion.proxy.connect import Connector
from pillion.proxy.errors import PoolFull
from pillion.proxy.sides import UpstreamStream


class Pool:
    """At most `size` connections at work; the one used last is used next, so that the others can grow old and go."""

    def __init__(self, connector: Connector, *, size: int, wait: float, idle_timeout: float) -> None:
        """`wait` and `idle_timeout` in seconds."""
        self._connector = connector
        self._wait = wait
        self._idle_timeout = idle_timeout
        self._idle: deque[UpstreamStream] = deque()
        self.size = size
        self._free = size
        self._waiters: deque[AsyncResult[None]] = deque()

    @property
    def idle(self) -> int:
        """Connections that wait for work."""
        return len(self._idle)

    @property
    def in_use(self) -> int:
        """Connections at work, those that are being made included."""
        return self.size - self._free

    @property
    def waiting(self) -> int:
        """Requests that wait for a connection of a full pool."""
        return len(self._waiters)

    def acquire(self, *, fresh: bool = False) -> UpstreamStream:
        """A connection that was alive a moment ago; `fresh` asks for a new one.

        Raises PoolFull after POOL_WAIT, and what `connect` raises. Every connection must come back by `release`.
        """
        if self._free > 0:
            self._free -= 1
        else:
            self._wait_for_permit()
        try:
            if fresh:
                self.close_idle()  # one of them has just proved stale
            while self._idle:
                stream = self._idle.pop()
                stream.on_idle_end = None
                if stream.idle_since >= monotonic() - self._idle_timeout and stream.quiet():
                    stream.reused = True
                    return stream
                stream.close()
            return self._connector.connect()
        except BaseException:
            self._give_permit()
            raise

    def release(self, stream: UpstreamStream, *, reusable: bool) -> None:
        """Give a connection back, to be used again or not."""
        if reusable and not stream.pending:
            stream.idle_since = monotonic()
            stream.on_idle_end = self._drop
            self._idle.append(stream)
        else:
            stream.close()
        self._give_permit()

    def close_old(self) -> None:
        """Close the connections that have been idle for too long."""
        stale_before = monotonic() - self._idle_timeout
        while self._idle and self._idle[0].idle_since < stale_before:
            self._idle.popleft().close()

    def close_idle(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.popleft().close()

    def _drop(self, stream: UpstreamStream) -> None:
        self._idle.remove(stream)
        stream.close()

    def _wait_for_permit(self) -> None:
        turn: AsyncResult[None] = AsyncResult()
        self._waiters.append(turn)
        try:
            if turn.wait(self._wait) is None and not turn.ready():
                raise PoolFull("all connections to the backend are in use")
        except BaseException:
            if turn.ready():
                self._give_permit()  # it came, and nobody is left to use it
            else:
                self._waiters.remove(turn)
            raise

    def _give_permit(self) -> None:
        if self._waiters:
            self._waiters.popleft().set(None)
        else:
            self._free += 1
