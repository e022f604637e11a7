"""The engine without containers: a layout's processes are children of this one, each with its own environment."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from pillion.compare.engines.ending import Ending
from pillion.compare.engines.free import check_free
from pillion.compare.engines.programs import in_one_container
from pillion.compare.engines.running import Running, Usage
from pillion.compare.layouts import Place, Plan, Process, plan
from pillion.compare.output import LineSink, Output
from pillion.compare.proc import cpu_seconds, descendants, proportional_set_size
from pillion.compare.result import Image
from pillion.image.environ.names import encode
from pillion.image.launch import OUTSIDE_VARIABLE, RUN_DIRECTORY_VARIABLE, find_command
from pillion.image.orphans import children, dies_with, end_children
from pillion.image.pair import Pair
from pillion.image.refusal import Failure
from pillion.image.stop_signal import signal_number

NAME = "process"
CANNOT_MEASURE = (
    "image bytes after layer sharing (there is no image)",
    "cgroup memory and its limits (PSS is given instead)",
    "pod overhead: the infra container, its network namespace",
    "isolation between containers, restarts by the platform",
)


class ProcessEngine:
    """Runs pairs here, at `place`."""

    name = NAME
    facts: Mapping[str, str] = {}
    cannot_measure = CANNOT_MEASURE

    def __init__(self, place: Place) -> None:
        self._place = place

    def __enter__(self) -> ProcessEngine:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left: every layout ended its own processes."""

    def prepare(self, pair: Pair, layout: str) -> PreparedProcesses:
        """Raises Refusal if the pair cannot be laid out so without containers."""
        return PreparedProcesses(plan(pair, layout, self._place), pair.grace_s)


class PreparedProcesses:
    """A plan, and how long it may take to stop."""

    image_bytes = None

    def __init__(self, plan: Plan, grace_s: float) -> None:
        self.plan, self._grace_s = plan, grace_s
        self.layout, self.port, self.notices = plan.layout, plan.port, plan.notices

    def images(self) -> tuple[Image, ...]:
        """There are none."""
        return ()

    def replace(self, running: Running, name: str) -> None:
        """Its process of this name instead of that one's."""
        assert isinstance(running, RunningProcesses)
        running.replace(next(each for each in self.plan.processes if each.name == name))

    def start(self, what: str, sink: LineSink | None, cpus: Collection[int] = ()) -> RunningProcesses:
        """Raises Refusal if one of its ports is taken, Failure if a program cannot be started."""
        check_free(self.plan.ports, what)
        return RunningProcesses(self.plan, sink, self._grace_s, cpus)


class RunningProcesses:
    """A layout that is up. Use it as a context: at its end no process of it lives and every port is free again."""

    def __init__(self, plan: Plan, sink: LineSink | None, grace_s: float, cpus: Collection[int]) -> None:
        self.plan = plan
        self.layout, self.port, self.ready = plan.layout, plan.port, plan.ready
        self._grace_s = grace_s
        self._cpus = cpus
        self._run_directory: Path | None = None
        self._strangers = children()
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._output = Output({}, sink)
        self.started = time.monotonic()
        try:
            for process in plan.processes:
                self._children[process.name] = self._spawn(process)
            pipes = [_pipes(name, child) for name, child in self._children.items()]
            self._output = Output({key: pipe for each in pipes for key, pipe in each.items()}, sink)
            self._output.start()
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> RunningProcesses:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _spawn(self, process: Process) -> subprocess.Popen[bytes]:
        found, code = find_command(process.argv[0], process.environ.get("PATH", ""), str(process.cwd))
        if code:
            raise Failure(f"start the {process.name}", found, "install it, or mend its command")
        environ = dict(process.environ)
        if process.name == "shared":
            self._run_directory = self._run_directory or Path(tempfile.mkdtemp(prefix="pillion-"))
            environ |= {RUN_DIRECTORY_VARIABLE: str(self._run_directory), OUTSIDE_VARIABLE: "1"}
        try:
            return subprocess.Popen(
                process.argv,
                executable=str(Path(found).absolute()),
                env=encode(environ),
                cwd=process.cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=_in_child(os.getpid(), self._cpus),  # noqa: PLW1509 (no thread of ours runs yet)
            )
        except OSError as error:
            raise Failure(f"start the {process.name}", f"{found}: {error.strerror}", "mend its command") from error

    def network(self) -> contextlib.AbstractContextManager[None]:
        """Ours: there is no other."""
        return contextlib.nullcontext()

    def usage(self) -> Usage:
        """By process: there is no control group of the layout's own."""
        family = self._pids()
        return Usage(proportional_set_size(family), len(family))

    def cpu_s(self) -> float:
        """Of the living and of those they have reaped."""
        return cpu_seconds(self._pids())

    def _pids(self) -> set[int]:
        return descendants([child.pid for child in self._children.values()])

    def programs(self) -> dict[str, Collection[int]]:
        """By which child they descend from."""
        if shared := self._children.get("shared"):
            return in_one_container(shared.pid)
        return {name: descendants([child.pid]) for name, child in self._children.items()}

    def lost(self) -> tuple[str, int] | None:
        """The first program that has ended, with its exit code (128 + signal), or None while all live."""
        for name, child in self._children.items():
            if child.poll() is not None:
                return name, _exit_code(child)
        return None

    def cannot_restart(self, name: str) -> str:
        """Every process can be."""
        return ""

    def revive(self, name: str) -> None:
        """What is left of it, as of a container that has ended, goes first."""
        self._restart(next(each for each in self.plan.processes if each.name == name))

    def replace(self, planned: Process) -> None:
        """By another one of its name, stopped first within the grace."""
        stopping = next(each for each in self.plan.processes if each.name == planned.name)
        deadline = time.monotonic() + self._grace_s
        _terminate(self._children[planned.name], signal_number(stopping.stop_signal), deadline)
        self._restart(planned)

    def _restart(self, process: Process) -> None:
        old = self._children[process.name]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(old.pid, signal.SIGKILL)
        old.wait()
        self._close(old)
        # A thread of ours reads by now; what the child does before exec takes none of the locks that one may hold.
        child = self._children[process.name] = self._spawn(process)
        self._output.also(_pipes(process.name, child))

    @staticmethod
    def _close(child: subprocess.Popen[bytes]) -> None:
        for stream in (child.stdout, child.stderr):
            if stream is not None:
                stream.close()

    def explain_loss(self, name: str, code: int) -> str:
        """Why a program that has ended did so, for a message."""
        self._output.finish(1.0)
        if name == "shared":
            said = self._output.last_line("pillion")
            return f"the pair ended with {code}: {said}{self._output.last_lines(besides=said)}"
        last = self._output.last_line(name)
        return f"the {name} ended with {code}" + (f"; its last line: {last}" if last else " and wrote nothing")

    def unnamed_lines(self) -> int:
        """As far as they were read."""
        return self._output.unnamed

    def last_words(self) -> str:
        """What each program wrote last, to be put behind a message."""
        return self._output.last_lines()

    def stop(self) -> None:
        """The proxy first, so that it can drain while its backend still answers, as a native sidecar's platform and
        `shared` do too; then the backend; then whatever is left."""
        deadline = time.monotonic() + self._grace_s
        for process in reversed(self.plan.processes):
            if child := self._children.get(process.name):
                _terminate(child, signal_number(process.stop_signal), deadline)
        end_children(spare=self._strangers)

    def endings(self) -> dict[str, Ending]:
        """By the codes alone: nobody else tells of them, and nobody starts them again."""
        return {name: Ending(_exit_code(child)) for name, child in self._children.items() if child.poll() is not None}

    def _end(self) -> None:
        self.stop()
        for child in self._children.values():
            self._close(child)
        self._output.finish(2.0)
        if self._run_directory is not None:
            shutil.rmtree(self._run_directory, ignore_errors=True)


def _pipes(name: str, child: subprocess.Popen[bytes]) -> dict[tuple[str, str], int]:
    channels = (("stdout", child.stdout), ("stderr", child.stderr))
    return {(name, channel): os.dup(stream.fileno()) for channel, stream in channels if stream is not None}


def _in_child(parent: int, cpus: Collection[int]) -> Callable[[], None]:
    """Between fork and exec: be stopped even if we are killed and can stop nothing; run where we may."""
    die_with_parent = dies_with(parent)

    def prepare() -> None:
        die_with_parent()
        if cpus:
            os.sched_setaffinity(0, cpus)

    return prepare


def _exit_code(child: subprocess.Popen[bytes]) -> int:
    """Of one that has ended: 128 + signal if it was by one."""
    code: int = child.returncode
    return code if code >= 0 else 128 - code


def _terminate(child: subprocess.Popen[bytes], number: int, deadline: float) -> None:
    if child.poll() is None:
        child.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(max(deadline - time.monotonic(), 0.1))
    if child.poll() is None:
        child.kill()
        child.wait()
