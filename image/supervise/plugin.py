"""The plugin: what supervisord lacks as a container's first process, through its own rpcinterface door.

supervisord calls the factory once its logger and its processes are there, before it handles signals or spawns.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from supervisor import events
from supervisor.loggers import Handler, LevelsByName
from supervisor.states import SupervisorStates

from pillion.image.launch import DESCRIPTORS_VARIABLE, HELD_SIGNALS, read_descriptors, take
from pillion.image.orphans import end_children
from pillion.image.supervise.lines import Lines
from pillion.image.supervise.logs import LogStream
from pillion.image.supervise.verdict import Verdict

STDOUT, STDERR = 1, 2


def make_plugin(supervisord: Any, **_: Any) -> Plugin:
    """The factory named in supervisord.conf."""
    plugin = Plugin(supervisord)
    plugin.subscribe()
    supervisord.options.plugin = plugin
    return plugin


class Plugin:
    """One of it lives in the daemon. Public methods would be reachable by XML-RPC; there is nothing to call yet."""

    def __init__(self, supervisord: Any) -> None:
        self._supervisord = supervisord
        self._options = supervisord.options
        self._verdict: Verdict = self._options.verdict
        self._lines: dict[tuple[str, str], Lines] = {}
        self._streams = {"stdout": LogStream(STDOUT), "stderr": LogStream(STDERR)}

    def subscribe(self) -> None:
        """Register for the daemon's own events and take over where it has no event."""
        events.subscribe(events.SupervisorRunningEvent, self._running)
        events.subscribe(events.ProcessLogEvent, self._output)
        events.subscribe(events.ProcessStateStartingEvent, self._starting)
        events.subscribe(events.ProcessStateFatalEvent, self._fatal)
        events.subscribe(events.ProcessStateExitedEvent, self._exited)
        events.subscribe(events.ProcessStateBackoffEvent, self._backoff)
        events.subscribe(events.ProcessStateEvent, self._flush_when_over)
        self._observe_wait_statuses()
        self._fork_without_losing_signals()
        self._stop_reading_when_congested()
        self._apply_launch_records()

    def _running(self, _: Any) -> None:
        """The main loop is about to start and the handlers are set: wake it at once, and let the held signals in."""
        self._options.logger.addHandler(_Says(self._say))
        self._options.get_socket_map().update({stream.descriptor: stream for stream in self._streams.values()})
        _wake_on_signals(self._options.get_socket_map())
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        # One that came before there was anything to stop: start nothing.
        self._supervisord.handle_signal()

    def _apply_launch_records(self) -> None:
        """Each program's own stop signal and share of the deadline; the configuration file is the same for all."""
        descriptors = read_descriptors(os.environ[DESCRIPTORS_VARIABLE])
        for name, group in self._supervisord.process_groups.items():
            if name in descriptors:
                record = take(descriptors[name])
                for process in group.processes.values():
                    process.config.stopsignal = record.stop_signal
                    process.config.stopwaitsecs = record.stop_s

    def _observe_wait_statuses(self) -> None:
        """supervisord forgets which signal ended a process; remember it on the way."""
        wait: Callable[[], tuple[int | None, int | None]] = self._options.waitpid

        def observed() -> tuple[int | None, int | None]:
            pid, status = wait()
            process = self._options.pidhistory.get(pid)
            if process is not None and status is not None:
                self._verdict.ended(process.config.name, status)
            return pid, status

        self._options.waitpid = observed

    def _fork_without_losing_signals(self) -> None:
        """Between fork and exec a child still has supervisord's handlers, which would swallow its stop signal."""
        fork: Callable[[], int] = self._options.fork

        def forked() -> int:
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
            pid = fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for number in HELD_SIGNALS:
                    signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            return pid

        self._options.fork = forked

    def _starting(self, event: Any) -> None:
        name = event.process.config.name
        if name == "backend":
            # The proxy never daemonises, so whoever was reparented to us is an earlier backend's.
            end_children(spare=self._options.pidhistory)
        self._verdict.starts[name] = self._verdict.starts.get(name, 0) + 1

    def _fatal(self, event: Any) -> None:
        self._end(event.process.config.name)

    def _exited(self, event: Any) -> None:
        name = event.process.config.name
        if event.expected or self._verdict.crashed(name, time.monotonic()):
            self._end(name)

    def _backoff(self, event: Any) -> None:
        """It ended before it counted as running. To supervisord that is never expected; an exit code of 0 is."""
        name = event.process.config.name
        if self._verdict.statuses.get(name) == 0:
            self._end(name)

    def _end(self, program: str) -> None:
        """A program is lost for good: so is the container."""
        if self._options.mood > SupervisorStates.SHUTDOWN and self._verdict.lost(program):
            self._say(self._verdict.describe())
            self._options.mood = SupervisorStates.SHUTDOWN

    def _output(self, event: Any) -> None:
        program = event.process.config.name
        lines = self._lines.setdefault((program, event.channel), Lines())
        self._streams[event.channel].put(program, lines.feed(event.data))

    def _flush_when_over(self, event: Any) -> None:
        """The last words of a process need no newline. supervisord has read its pipes empty before it says this."""
        if event.process.pid and isinstance(
            event, (events.ProcessStateExitedEvent, events.ProcessStateStoppedEvent, events.ProcessStateBackoffEvent)
        ):
            program = event.process.config.name
            for channel in ("stdout", "stderr"):
                if lines := self._lines.get((program, channel)):
                    self._streams[channel].put(program, lines.last())

    def _say(self, message: str) -> None:
        self._streams["stderr"].put("pillion", [message.encode("utf-8", "surrogateescape")])

    def _stop_reading_when_congested(self) -> None:
        """While nobody reads our output the programs' pipes are left alone; signals are served all the same."""
        process_map: Callable[[], dict[int, Any]] = self._supervisord.get_process_map

        def uncongested() -> dict[int, Any]:
            return {} if any(stream.congested for stream in self._streams.values()) else process_map()

        self._supervisord.get_process_map = uncongested

    def finish(self) -> None:
        """The daemon has ended: what is still to be said."""
        for stream in self._streams.values():
            stream.finish()


class _Says(Handler):  # type: ignore[misc]
    """A handler of supervisord's logger that passes warnings and worse to the plugin."""

    level = LevelsByName.WARN

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: Any) -> None:
        self._say(record.asdict()["message"])

    def close(self) -> None:
        """Descriptors 1 and 2 stay open."""


def _wake_on_signals(socket_map: dict[int, Any]) -> None:
    """Let a signal end supervisord's poll at once, where it would look for signals only once a second."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    socket_map[reader] = _WakeUp(reader)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    # The first byte makes the first turn of the loop, which spawns, come without its second of waiting.
    os.write(writer, b"\0")


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
