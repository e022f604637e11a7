"""supervisord's main loop, woken by what happens and not by the clock.

Stock supervisord looks for signals, timers and the dead once a second. Here a signal ends its poll at once, a poll
waits exactly until the next timer, and all that are dead are reaped in one go.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from supervisor.states import ProcessStates, SupervisorStates

from pillion.image.launch import HELD_SIGNALS

# Between two looks at a client of the control socket that waits for something (supervisord asks it, nothing tells).
CLIENT_S = 0.05
# Nothing is known to need it; should a wake-up be lost, this is how long it stays so.
LONGEST_S = 30.0
# The most orphans reaped before the loop looks at anything else.
MOST_AT_ONCE = 1000


class Loop:
    """Takes the place of the poll, the wait and the fork of one supervisord."""

    def __init__(
        self, supervisord: Any, ended: Callable[[str, int, Any], None], adopted_ended: Callable[[Any], None]
    ) -> None:
        """`ended` is told the program, the wait status and the resources (struct_rusage) of each of ours that ended,
        `adopted_ended` the resources of each orphan."""
        self._supervisord = supervisord
        self._options = supervisord.options
        self._ended = ended
        self._adopted_ended = adopted_ended
        self._more_to_reap = False
        self._quiet = 0
        self._pipe: tuple[int, int] | None = None

    def install(self) -> None:
        """Before anything is spawned."""
        self._options.waitpid = self._reap
        self._options.fork = _without_losing_signals(self._options.fork)
        poll = self._options.poller.poll
        self._options.poller.poll = lambda _: poll(self._wait_s(time.time()))

    def start(self) -> None:
        """The handlers are set: from now on a signal wakes the loop."""
        socket_map = self._options.get_socket_map()
        self._pipe = reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        socket_map[reader] = _WakeUp(reader)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        # The first byte makes the first turn of the loop, which spawns, come without waiting.
        os.write(writer, b"\0")
        self._quiet = len(socket_map)

    def stop(self) -> None:
        """The loop has ended; another one may be started in this process, and its map of sockets is this one's."""
        signal.set_wakeup_fd(-1)
        if self._pipe:
            self._options.get_socket_map().pop(self._pipe[0], None)
            for descriptor in self._pipe:
                os.close(descriptor)
            self._pipe = None

    def _reap(self) -> tuple[int | None, int | None]:
        """The next of our programs that has ended; orphans are reaped on the way, without a word."""
        self._more_to_reap = False
        for _ in range(MOST_AT_ONCE):
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return None, None
            if not pid:
                return None, None
            process = self._options.pidhistory.get(pid)
            if process is not None:
                self._ended(process.config.name, status, usage)
                return pid, status
            self._adopted_ended(usage)
        self._more_to_reap = True
        return None, None

    def _wait_s(self, now: float) -> float:
        """Until something is due (`now` by supervisord's clock, the wall's)."""
        if self._more_to_reap or self._options.signal_receiver._signals_recvd or self._next_group_is_due():
            return 0.0
        waits = [LONGEST_S]
        if len(self._options.get_socket_map()) > self._quiet:
            waits.append(CLIENT_S)
        for group in self._supervisord.process_groups.values():
            for process in group.processes.values():
                if process.state == ProcessStates.STARTING:
                    waits.append(process.laststart + process.config.startsecs - now)
                elif process.state in (ProcessStates.STOPPING, ProcessStates.BACKOFF):
                    waits.append(process.delay - now)
        # supervisord acts when the time is past, not when it is there.
        return max(min(waits) + 0.001, 0.0)

    def _next_group_is_due(self) -> bool:
        """While all is being stopped: the last group has nothing left to stop, so that it is the next one's turn."""
        groups = self._supervisord.stop_groups
        return bool(
            self._options.mood < SupervisorStates.RUNNING and groups and not groups[-1].get_unstopped_processes()
        )


def _without_losing_signals(fork: Callable[[], int]) -> Callable[[], int]:
    """Between fork and exec a child still has supervisord's handlers, which would swallow its stop signal."""

    def forked() -> int:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
        pid = fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for number in HELD_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return pid

    return forked


class _WakeUp:
    """A dispatcher as supervisord's main loop wants them."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def readable(self) -> bool:
        """Always of interest."""
        return True

    def writable(self) -> bool:
        """Never."""
        return False

    def handle_read_event(self) -> None:
        """Empty the pipe; the loop looks at the signals by itself."""
        try:
            os.read(self._descriptor, 4096)
        except BlockingIOError:
            return

    def handle_error(self) -> None:
        """Nothing to close: the pipe lives as long as the daemon."""
