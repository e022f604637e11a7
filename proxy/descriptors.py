"""File descriptors and memory of the kernel: what the settings ask for, and what to do when there is no more of it."""

from __future__ import annotations

import errno
import resource
from dataclasses import replace
from logging import Logger
from time import monotonic

from pillion.proxy.settings import SettingError, Settings

# accept(2), connect(2), socket(2): nothing is wrong with the connection, there is only no room for it now.
EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
# Besides connections a worker has: gunicorn's and the event loop's, the listeners, the admin's clients, pipes that wait
# for the next long body. (A long body that finds no descriptors for a pipe is copied.)
RESERVED = 96
_LEAST = 16  # connections of either kind: what serves fewer serves nobody
_TELL_EVERY = 10.0  # seconds


def raise_limit() -> int:
    """Take as many descriptors as this process may have, and say how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # more than the kernel's own limit, fs.nr_open
            hard = soft
    return 2**31 if hard == resource.RLIM_INFINITY else hard


def fitted(settings: Settings, limit: int) -> Settings:
    """The settings with as many connections as `limit` descriptors carry: each client needs one, and while it is served
    a second one for the backend.

    What nobody asked for is made smaller, with a notice. Raises SettingError where that does not help: a number that
    somebody wrote down is meant.
    """
    room = limit - RESERVED
    half = room // 2
    clients, pool = settings.max_connections, min(settings.pool_size, settings.max_connections)
    if clients + pool <= room:
        return settings
    if half < _LEAST:
        raise SettingError(
            "MAX_CONNECTIONS", _too_many(limit, f"none: {_LEAST} clients already need {2 * _LEAST + RESERVED}")
        )
    asked = {"MAX_CONNECTIONS", "POOL_SIZE"} & settings.given
    if asked == {"POOL_SIZE"}:
        clients = room - pool
        if pool > half:
            raise SettingError("POOL_SIZE", _too_many(limit, f"give at most {half}"))
    elif asked:
        if clients > room - _LEAST or "POOL_SIZE" in asked:
            mend = f"give at most {half}, or more and a smaller POOL_SIZE: {room} together"
            raise SettingError("MAX_CONNECTIONS", _too_many(limit, mend))
        pool = room - clients
    else:
        clients = pool = half
    notice = (
        f"MAX_CONNECTIONS is {clients} and POOL_SIZE {pool}: only {limit} files may be open (ulimit -Hn); raise that"
        " for more"
    )
    return replace(settings, max_connections=clients, pool_size=pool, notices=(*settings.notices, notice))


def _too_many(limit: int, mend: str) -> str:
    return (
        f"a worker may open {limit} files (ulimit -Hn), of which each client needs one, each connection to the backend "
        f"one and the worker itself {RESERVED}; raise the limit, or {mend}"
    )


class Shortage:
    """Says that there are no descriptors, or no buffers, and not more often than somebody reads."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._next = 0.0  # monotonic
        self._untold = 0

    def tell(self, what: str) -> None:
        now = monotonic()
        if now < self._next:
            self._untold += 1
            return
        more = f" ({self._untold} more since the last time)" if self._untold else ""
        self._log.error("%s%s", what, more)
        self._next, self._untold = now + _TELL_EVERY, 0
