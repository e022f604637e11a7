"""The plugin: what supervisord lacks as a container's first process, through its own rpcinterface door.

supervisord calls the factory once its logger and its processes are there, before it handles signals or spawns.
"""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from supervisor import events
from supervisor.loggers import Handler, LevelsByName
from supervisor.states import ProcessStates, SupervisorStates, getProcessStateDescription

from pillion.image.control import AUDIT_PATH, STATE_PATH
from pillion.image.launch import DESCRIPTORS_VARIABLE, LaunchRecord, read_descriptors, take, was_refused
from pillion.image.log_format import FORMATS
from pillion.image.orphans import end_children, end_group
from pillion.image.ports import listen_ports
from pillion.image.refusal import Refusal
from pillion.image.supervise.accounts import Accounts
from pillion.image.supervise.loop import Loop
from pillion.image.supervise.output import Output
from pillion.image.supervise.restarts import Restarts
from pillion.image.supervise.stopping import Stopping
from pillion.image.supervise.verdict import End, Verdict, exit_code
from pillion.image.supervision import Supervision
from pillion.image.usage import USAGE_PATH, Usage

BAD_INPUT = Refusal.exit_code


def make_plugin(supervisord: Any, **_: Any) -> object:
    """The factory named in supervisord.conf. What it gives is open to XML-RPC, so it gives nothing."""
    plugin = Plugin(supervisord)
    plugin.subscribe()
    supervisord.options.plugin = plugin
    return object()


class Plugin:
    """One of it lives in the daemon; a restart by SIGHUP makes a new one."""

    def __init__(self, supervisord: Any) -> None:
        self._supervisord = supervisord
        self._options = supervisord.options
        self._verdict: Verdict = self._options.verdict
        self._accounts: Accounts = self._options.accounts
        supervision: Supervision = self._options.supervision
        self._output = Output(FORMATS[supervision.log_format])
        self._restarts = Restarts(supervision)
        self._handed = read_descriptors(os.environ[DESCRIPTORS_VARIABLE])
        self._records = self._launch_records()
        # The proxy's last process that ended: the leader of a group in which its workers are.
        self._last_proxy = 0
        # supervisord stops what it started last first.
        names = [group.config.name for group in sorted(supervisord.process_groups.values(), reverse=True)]
        shares = {name: self._records[name].stop_s for name in names if name in self._records}
        self._stopping = Stopping(supervision.deadline_s, shares)
        self._loop = Loop(supervisord, self._ended, self._accounts.adopted_ended)

    def subscribe(self) -> None:
        """Register for the daemon's own events and take over where it has no event."""
        events.subscribe(events.SupervisorRunningEvent, self._running)
        events.subscribe(events.SupervisorStoppingEvent, self._stop_all)
        events.subscribe(events.ProcessLogEvent, self._written)
        events.subscribe(events.ProcessStateStartingEvent, self._starting)
        events.subscribe(events.ProcessStateStoppingEvent, self._stopping_one)
        # The last words before what is said of the end.
        events.subscribe(events.ProcessStateEvent, self._flush_when_over)
        events.subscribe(events.ProcessStateExitedEvent, self._exited)
        events.subscribe(events.ProcessStateBackoffEvent, self._backoff)
        self._loop.install()
        self._stop_reading_when_congested()
        for process in self._processes():
            if record := self._records.get(process.config.name):
                # Each program's own; the configuration file is the same for all.
                process.config.stopsignal = record.stop_signal
                process.config.stopwaitsecs = record.stop_s

    def state(self) -> str:
        """JSON: whether the pair is meant to be up, each program's state, where the proxy listens, how it is asked."""
        proxy = self._records.get("proxy")
        environ = proxy.environ if proxy else {}
        return json.dumps(
            {
                "serving": self._in_service,
                "programs": {
                    process.config.name: getProcessStateDescription(process.state) for process in self._processes()
                },
                "listen": environ.get("LISTEN", "").split(",")[0].strip() or f":{listen_ports(environ)[0]}",
                "upstream": environ.get("UPSTREAM", ""),
                "ready_path": environ.get("READY_PATH", ""),
            }
        )

    def usage(self) -> str:
        """JSON: what each program has used (image/usage.py)."""
        return self._report().to_json()

    def audit(self) -> str:
        """JSON: what every process holds against what it should (image/audit.py). The records are read for this alone:
        they hold the values."""
        from pillion.image.audit import look  # few ask

        records = {name: take(each.record) for name, each in self._handed.items()}
        return look(records, self._pids(), os.getpid()).to_json()

    def finish(self) -> None:
        """The daemon has ended: what is still to be said, and the reason last."""
        self._loop.stop()
        if self._output.dropped:
            self._output.say(f"{self._output.dropped} lines were dropped during the stop, as nobody read them")
        if self._options.mood != SupervisorStates.RESTARTING:
            for line in self._report().lines():
                self._output.say(line)
        if forced := self._stopping.describe():
            self._output.say(forced)
        if self._verdict.program:
            self._output.say(self._verdict.describe(self._output.last_line(self._verdict.program)))
        self._output.finish(self._stopping.left_s())

    @property
    def _in_service(self) -> bool:
        return bool(self._options.mood == SupervisorStates.RUNNING)

    def _processes(self) -> list[Any]:
        return [each for group in self._supervisord.process_groups.values() for each in group.processes.values()]

    def _pids(self) -> dict[str, int]:
        return {process.config.name: process.pid for process in self._processes() if process.pid}

    def _report(self) -> Usage:
        return self._accounts.report(self._records, self._verdict.starts, self._pids())

    def _launch_records(self) -> dict[str, LaunchRecord]:
        """What is needed of them here; the environments are the programs' own."""
        records = {}
        for name, handed in self._handed.items():
            record = take(handed.record)
            asked = ("LISTEN", "PORT", "UPSTREAM", "READY_PATH") if name == "proxy" else ()
            kept = {variable: record.environ[variable] for variable in asked if variable in record.environ}
            records[name] = record._replace(environ=kept, origins={}, originals=())
        return records

    def _running(self, _: Any) -> None:
        """The main loop is about to start and the handlers are set: let the held signals in."""
        self._options.logger.addHandler(_Says(self._output.say))
        self._options.get_socket_map().update(self._output.dispatchers())
        for _, server in self._options.httpservers:
            server.install_handler(_Told(STATE_PATH, self.state))
            server.install_handler(_Told(USAGE_PATH, self.usage))
            server.install_handler(_Told(AUDIT_PATH, self.audit))
        self._loop.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        # One that came before there was anything to stop: start nothing.
        self._supervisord.handle_signal()

    def _stop_all(self, _: Any) -> None:
        self._output.drops = True
        self._stopping.begin(self._processes())

    def _stopping_one(self, event: Any) -> None:
        self._stopping.limit(event.process)

    def _starting(self, event: Any) -> None:
        name = event.process.config.name
        if name == "backend":
            # The proxy never daemonises, so whoever was reparented to us is an earlier backend's.
            end_children(spare=self._options.pidhistory)
        elif self._last_proxy:
            # But if it was killed, its workers may still have its port.
            end_group(self._last_proxy)
            self._last_proxy = 0
        was_refused(self._handed[name].refused)  # of an earlier start: no more
        self._verdict.started(name)

    def _ended(self, program: str, status: int, usage: Any) -> None:
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        ours = any(each.config.name == program and each.killing for each in self._processes())
        if killed and ours:
            self._stopping.had_to_kill(program)
        cgroup = self._records[program].cgroup if program in self._records else ""
        oom = killed and self._accounts.out_of_memory(program, cgroup, not ours)
        self._accounts.ended(program, usage)
        self._verdict.ended(program, End(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, oom))

    def _exited(self, event: Any) -> None:
        """It was running and has ended unasked."""
        if not self._in_service:
            return
        if event.expected:
            self._lose(event.process.config.name)
        else:
            # supervisord would start it again at once and for ever; from here on it is as if it had not come up.
            event.process.change_state(ProcessStates.BACKOFF)

    def _backoff(self, event: Any) -> None:
        """It is to be started again. To supervisord no end so early is expected; an exit code of 0 is."""
        process, name = event.process, event.process.config.name
        if not self._in_service:
            return
        end = self._verdict.end_of(name)
        if end and end.status == 0:
            self._lose(name)
            return
        how = f"the {name}: {end}" if end else f"the {name} could not be started ({process.spawnerr})"
        if self._refused(name, end):
            self._output.say(f"{how}; it would do so again: it is given up")
            self._lose(name)
            return
        pause = self._restarts.after_end(name, time.monotonic())
        if pause is None:
            self._output.say(f"{how}; it is given up")
            self._lose(name)
            return
        process.delay = time.time() + pause
        # supervisord takes this for the pause in seconds when it looks whether the clock was set back.
        process.backoff = max(math.ceil(pause), 1)
        self._output.say(f"{how}; {self._restarts.describe(name)} follows in {pause:.1f} s")

    def _refused(self, program: str, end: End | None) -> bool:
        """Whether it ended for a reason that stays: `pillion exec` could not start it, or our own proxy was set up
        wrongly, or its port was taken."""
        unusable = program == "proxy" and end is not None and exit_code(end.status) == BAD_INPUT
        return was_refused(self._handed[program].refused) or unusable

    def _lose(self, program: str) -> None:
        """A program is lost for good: so is the container."""
        if self._verdict.lost(program):
            self._options.mood = SupervisorStates.SHUTDOWN

    def _written(self, event: Any) -> None:
        self._output.take(event.process.config.name, event.channel, event.data)

    def _flush_when_over(self, event: Any) -> None:
        """supervisord has read a process's pipes empty before it says that the process is over."""
        if event.process.pid and isinstance(
            event, (events.ProcessStateExitedEvent, events.ProcessStateStoppedEvent, events.ProcessStateBackoffEvent)
        ):
            name = event.process.config.name
            self._output.flush(name)
            if name == "proxy":
                self._last_proxy = event.process.pid

    def _stop_reading_when_congested(self) -> None:
        """While nobody reads our output the programs' pipes are left alone; signals are served all the same, and once
        all is to be stopped a program's last words must not keep it."""
        process_map: Callable[[], dict[int, Any]] = self._supervisord.get_process_map
        self._supervisord.get_process_map = lambda: {} if self._output.congested else process_map()


class _Says(Handler):  # type: ignore[misc]
    """A handler of supervisord's logger that passes warnings and worse on; ends of programs are said by the plugin."""

    level = LevelsByName.WARN

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: Any) -> None:
        message = record.asdict()["message"]
        if not message.startswith("exited: "):
            self._say(message)

    def close(self) -> None:
        """Descriptors 1 and 2 stay open."""


class _Told:
    """A handler of supervisord's control socket: JSON for a plain GET, which takes no XML and no client library."""

    IDENT = "pillion"

    def __init__(self, path: str, tell: Callable[[], str]) -> None:
        self._path, self._tell = path, tell

    def match(self, request: Any) -> bool:
        """Whether the request is for us."""
        return bool(request.uri == self._path)

    def handle_request(self, request: Any) -> None:
        """Answer it."""
        body = self._tell().encode("ascii")
        request["Content-Type"] = "application/json"
        request["Content-Length"] = str(len(body))
        request.push(body)
        request.done()
