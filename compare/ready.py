"""Waiting until a layout answers, from outside and in the same way for every layout."""

from __future__ import annotations

import http.client
import socket
import time

from pillion.compare.door import Door
from pillion.compare.engines.running import Running
from pillion.compare.load.tls import trusting
from pillion.image.ports import LOOPBACK
from pillion.image.refusal import Failure

POLL_S = 0.01
ATTEMPT_S = 1.0
# What a proxy answers in place of a backend that is away (RFC 9110 section 15.6).
GATEWAY_STATUSES = (502, 503, 504)


def wait_ready(running: Running, what: str, timeout_s: float, door: Door | None = None) -> float:
    """Seconds from the start of the layout to its first good answer: 200 to 399 for the backend's readiness probe, or,
    where the pair declares none that can be asked from outside, any answer that is not a proxy's for a backend away.

    It is asked at `door`, by default its port of loopback. Raises Failure if a program ends first or the time is up,
    saying what was seen last.
    """
    door = door or Door(running.port)
    deadline = running.started + timeout_s
    path = running.ready.path if running.ready else "/"
    last = "nothing answered"
    while True:
        try:
            status = _ask(running, door, path, min(ATTEMPT_S, max(deadline - time.monotonic(), POLL_S)))
            if _means_ready(running, status):
                return time.monotonic() - running.started
            last = f"the last answer was {status}"
        except (OSError, http.client.HTTPException) as error:
            last = f"the last attempt: {error or type(error).__name__}"
        except Failure:
            # The containers' network goes with them.
            if not running.lost():
                raise
        if lost := running.lost():
            why = f"layout {running.layout} did not get ready: {running.explain_loss(*lost)}"
            raise Failure(what, why, "mend the program or the pair file")
        if time.monotonic() > deadline:
            why = (
                f"layout {running.layout} was not ready within {timeout_s:g} s: "
                f"GET {door.url}{path}: {last}{running.last_words()}"
            )
            raise Failure(what, why, "mend the readiness probe, or allow more with --ready-timeout")
        time.sleep(POLL_S)


def first_good_answer(port: int, path: str, timeout_s: float) -> None:
    """Wait until something on loopback answers with 200 to 399. Raises Failure if it does not in time."""
    deadline, last = time.monotonic() + timeout_s, "nothing"
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=ATTEMPT_S)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            status = connection.getresponse().status
            if 200 <= status < 400:
                return
            last = str(status)
        except (OSError, http.client.HTTPException) as error:
            last = str(error) or type(error).__name__
        finally:
            connection.close()
        time.sleep(POLL_S)
    raise Failure("wait for an answer", f"GET http://{LOOPBACK}:{port}{path}: {last} within {timeout_s:g} s")


def _means_ready(running: Running, status: int) -> bool:
    if running.layout == "remote":
        return True  # its backend is somebody else's, and may come later
    if running.ready:
        return 200 <= status < 400
    return running.layout in ("direct", "embedded") or status not in GATEWAY_STATUSES


def _ask(running: Running, door: Door, path: str, timeout_s: float) -> int:
    connection = _connection(door, timeout_s)
    try:
        with running.network():
            connection.connect()
        own = dict(running.ready.headers) if running.ready else {}
        connection.request("GET", path, headers={"Connection": "close", **own})
        return connection.getresponse().status
    finally:
        connection.close()


def _connection(door: Door, timeout_s: float) -> http.client.HTTPConnection:
    if door.path:
        return _UnixConnection(door.path, timeout_s)
    if door.certificate:
        context = trusting(door.certificate)
        return http.client.HTTPSConnection(LOOPBACK, door.port, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(LOOPBACK, door.port, timeout=timeout_s)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
