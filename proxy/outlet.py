"""Standard output and standard error, written to without ever waiting for whoever reads there."""

from __future__ import annotations

import os
import select
import stat
from _socket import MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_STREAM, socket
from collections.abc import Callable

# Read before gevent puts its own there, which would go round by the event loop.
_poll = select.poll
_PIPE_BUF = 4096  # bytes: so many go whole or not at all, whoever else writes to the pipe
_TO_A_FILE = 65536  # bytes


class Outlet:
    """A descriptor that other processes may share. `at_once`: the most bytes that go whole or not at all."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        mode = os.fstat(descriptor).st_mode
        self.at_once = _TO_A_FILE if stat.S_ISREG(mode) else _PIPE_BUF
        self._write = self._way(mode)

    def write(self, data: bytes) -> int:
        """How many bytes of `data` have gone. Raises OSError when nobody will ever read them."""
        try:
            return self._write(data)
        except BlockingIOError:
            return 0

    def _way(self, mode: int) -> Callable[[bytes], int]:
        descriptor = self._descriptor
        if stat.S_ISREG(mode):
            return lambda data: os.write(descriptor, data)
        if stat.S_ISSOCK(mode):
            # Not O_NONBLOCK: it would be everybody's who shares the socket.
            sock = socket(-1, SOCK_STREAM, -1, os.dup(descriptor))
            return lambda data: sock.send(data, MSG_DONTWAIT | MSG_NOSIGNAL)
        try:
            # Opened anew it is ours alone, and so is its O_NONBLOCK.
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            return self._write_if_ready
        return lambda data: os.write(own, data)

    def _write_if_ready(self, data: bytes) -> int:
        """What may not be opened, another user's: a pipe that takes anything takes PIPE_BUF. Between the look and the
        write another process can fill it."""
        ready = _poll()
        ready.register(self._descriptor, select.POLLOUT)
        return os.write(self._descriptor, data[:_PIPE_BUF]) if ready.poll(0) else 0
