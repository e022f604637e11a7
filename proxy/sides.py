"""The two sides' connections: what is particular about a client, and about the backend."""

from __future__ import annotations

import select
from _socket import MSG_PEEK
from collections.abc import Callable
from math import inf
from time import monotonic

from gevent.monkey import get_original
from greenlet import greenlet

from pillion.proxy.errors import (
    BadRequest,
    ClientLost,
    ClientTimeout,
    ExchangeError,
    UpstreamLost,
    UpstreamMalformed,
    UpstreamReset,
    UpstreamTimeout,
)
from pillion.proxy.stream import Socket, Stream

_GLANCE = 1.0  # seconds between two looks at a client whose next request hides what is behind it
_POLLERR, _POLLHUP, _POLLRDHUP = select.POLLERR, select.POLLHUP, select.POLLRDHUP
_poll = get_original("select", "poll")  # gevent's would go round by the event loop


class ClientStream(Stream):
    """The client's connection. While an exchange is on it, somebody has an eye on whether the client is still there."""

    peer = "client"
    lost = ClientLost
    reset_by_peer = ClientLost
    timed_out = ClientTimeout
    head_size = 8192  # a long upload behind it need not come through our hands, and a short one is read with the next

    __slots__ = ("_half_closed_patience", "_missed_at", "_missed_sent", "_next_is_there", "dismissed", "owner")

    def __init__(self, socket: Socket, patience: float, half_closed_patience: float) -> None:
        super().__init__(socket, patience)
        self._half_closed_patience = half_closed_patience
        self._missed_at = inf  # monotonic: when a client that sends no more and takes nothing counts as gone
        self._missed_sent = 0
        self._next_is_there = False  # bytes of the next request hide the end that may be behind them
        self.dismissed = False  # was told that nothing will be answered any more
        self.owner: greenlet | None = None  # the greenlet of the exchange that is going on

    def too_long(self, past_first_line: bool) -> ExchangeError:
        if past_first_line:
            return BadRequest("the request's head is too long", 431)
        return BadRequest("the request line is too long", 414)

    def malformed(self, why: str) -> ExchangeError:
        return BadRequest(f"malformed request: {why}")

    def dismiss(self, seconds: float) -> None:
        """Say that nothing will be answered any more, to a client that somebody waits for; its own end is awaited."""
        self.dismissed = True
        self.half_close()
        self.hurry(seconds)

    def linger(self, seconds: float) -> None:
        """Say that nothing follows, then take in what the client still sends.

        Closing at once would reset the connection, and the client could lose the answer (RFC 9112 section 9.6).
        """
        deadline = monotonic() + seconds
        self.half_close()
        self.pending = b""
        try:
            while (left := deadline - monotonic()) > 0:
                self.read_patience = left
                if not self.receive():
                    return
        except ExchangeError:
            pass

    def on_unasked(self) -> None:
        """The next request, or the end: a client that has sent all it had may say so, and one that went away says the
        same. Only a reset is clear."""
        try:
            data = self.socket.recv(1, MSG_PEEK)
        except BlockingIOError:
            self._watch()
        except OSError:
            self._gone()
        else:
            self._next_is_there = bool(data)
            if not data and self._state() & _POLLHUP:
                self._gone()  # of a unix socket the kernel says when the other end is closed altogether
            else:
                self._miss(_GLANCE if data else self._half_closed_patience)

    def _miss(self, patience: float) -> None:
        self._missed_sent = self.sent
        self._missed_at = monotonic() + patience
        if self._missed_at < self._alarm_at:
            self._set_alarm(self._missed_at)

    def next_deadline(self, now: float) -> float:
        if self._missed_at > now:
            return self._missed_at
        if self.owner is None:
            self._missed_at = inf  # whoever reads next finds out
        elif self._next_is_there:
            state = self._state()
            if state & (_POLLERR | _POLLHUP):
                self._missed_at = inf
                self._hub.loop.run_callback(self._gone)
            else:
                self._next_is_there = not state & _POLLRDHUP
                self._missed_sent = self.sent
                self._missed_at = now + (_GLANCE if self._next_is_there else self._half_closed_patience)
        elif self.sent == self._missed_sent:
            self._missed_at = inf
            self._hub.loop.run_callback(self._gone)
        else:
            # What was sent since would have been answered by a reset if nobody were there: sending will find out.
            self._missed_sent = self.sent
            self._missed_at = now + self._half_closed_patience
        return self._missed_at

    def _state(self) -> int:
        look = _poll()
        look.register(self.socket.fileno(), _POLLRDHUP)
        return sum(events for _, events in look.poll(0))

    def _gone(self) -> None:
        if self.owner is not None:
            self.owner.throw(ClientLost("the client went away"))


class UpstreamStream(Stream):
    """A connection to the backend."""

    peer = "backend"
    lost = UpstreamLost
    reset_by_peer = UpstreamReset
    timed_out = UpstreamTimeout

    __slots__ = ("idle_since", "on_idle_end", "reused")

    def __init__(self, socket: Socket, patience: float) -> None:
        super().__init__(socket, patience)
        self.reused = False
        self.idle_since = 0.0  # monotonic
        self.on_idle_end: Callable[[UpstreamStream], None] | None = None  # set while in the pool

    def malformed(self, why: str) -> ExchangeError:
        return UpstreamMalformed(f"the backend's answer is malformed: {why}")

    def on_unasked(self) -> None:
        """The backend ends a connection that nobody uses, or sends what nobody asked for."""
        if self.on_idle_end is not None:
            self.on_idle_end(self)
