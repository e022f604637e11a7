"""The readiness gate: closed until the backend answers, and again when nobody listens there any more.

While it is closed, requests are held for READY_HOLD and then get 503 with Retry-After: a backend that starts, or
restarts, is not a bad gateway. A refused connection closes it because no byte of the request has left by then, so that
any request, whatever its method, can be held and sent later. Each worker has its own gate.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from logging import Logger
from time import monotonic

import gevent
from gevent.event import Event

from pillion.proxy.connect import REFUSED, Connector
from pillion.proxy.errors import ExchangeError, NotReady
from pillion.proxy.head import parse_response_head, serialise
from pillion.proxy.sides import UpstreamStream
from pillion.proxy.values import Upstream

# Seconds between probes: quick while a start is likely to end, slower when it is not.
_QUICK, _SLOW, _QUICK_FOR = 0.05, 0.25, 30.0
_MAX_HEAD = 65536  # bytes


class Gate:
    """Whether the backend takes requests."""

    def __init__(self, probe: Callable[[], str], log: Logger) -> None:
        """`probe` returns why the backend is not ready, or an empty string."""
        self._probe = probe
        self._log = log
        self._open = Event()
        self._shut = Event()
        self._shut.set()
        self.probed = Event()

    @property
    def is_open(self) -> bool:
        return self._open.is_set()

    def shut(self, why: str) -> None:
        """Somebody found the backend gone."""
        if self._open.is_set():
            self._log.warning("backend not ready: %s", why)
            self._open.clear()
            self._shut.set()

    def wait(self, deadline: float) -> None:
        """Return once the gate is open; raises NotReady at `deadline` (monotonic)."""
        if not self._open.is_set() and not self._open.wait(max(0.0, deadline - monotonic())):
            raise NotReady("the backend is not ready")

    def ask(self) -> str:
        """Why the backend is not ready at this moment, or an empty string: asks it anew."""
        return self._probe()

    def watch(self) -> None:
        """Open the gate whenever the backend answers. Runs for ever, in a greenlet of its own."""
        while True:
            self._shut.wait()
            since = monotonic()
            said = ""
            while why := self._probe():
                self.probed.set()
                if why != said:
                    # A backend that is not up yet is nothing to speak of; whatever else it is, someone may wonder.
                    level = logging.DEBUG if why == REFUSED else logging.INFO
                    self._log.log(level, "backend not ready: %s", why)
                    said = why
                gevent.sleep(_QUICK if monotonic() - since < _QUICK_FOR else _SLOW)
            self._shut.clear()
            self._open.set()
            self.probed.set()
            self._log.info("backend ready after %.3f s", monotonic() - since)


def probe(connector: Connector, path: str, timeout: float) -> str:
    """Why the backend is not ready, or an empty string.

    With a `path`, ready is a status of 200 to 399 for a GET of it, otherwise an accepted connection. Seconds.
    """
    try:
        stream = connector.connect()
    except ExchangeError as error:
        return str(error)
    try:
        return _ask(stream, connector.upstream, path, timeout) if path else ""
    except ExchangeError as error:
        return str(error)
    finally:
        stream.close()


def _ask(stream: UpstreamStream, upstream: Upstream, path: str, timeout: float) -> str:
    fields = [(b"Host", upstream.authority), (b"User-Agent", b"pillion-readiness"), (b"Connection", b"close")]
    stream.send(serialise(b"GET %b HTTP/1.1" % path.encode("ascii"), fields))
    status = 100
    while status < 200:
        data = stream.read_head(_MAX_HEAD, timeout, timeout)
        if data is None:
            return f"no answer for {path}"
        status = parse_response_head(data).status
        if status == 101:
            break
    return "" if 200 <= status < 400 else f"{status} for {path}"
