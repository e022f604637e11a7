"""The engine without containers: a layout's processes are children of this one, each with its own environment."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path

from pillion.compare.layouts import Plan, Process
from pillion.compare.output import LineSink, Output
from pillion.compare.proc import descendants
from pillion.image.environ.names import encode
from pillion.image.launch import RUN_DIRECTORY_VARIABLE, find_command
from pillion.image.orphans import children, dies_with, end_children
from pillion.image.pair import PROGRAMS
from pillion.image.refusal import Failure, Refusal
from pillion.image.stop_signal import signal_number

NAME = "process"
CANNOT_MEASURE = (
    "image bytes after layer sharing (there is no image)",
    "cgroup memory and its limits (PSS is given instead)",
    "pod overhead: the infra container, its network namespace",
    "isolation between containers, restarts by the platform",
)


class Running:
    """A layout that is up. Use it as a context: at its end no process of it lives and every port is free again."""

    def __init__(self, plan: Plan, sink: LineSink, grace_s: float, cpus: Collection[int]) -> None:
        self.plan = plan
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
            pipes = {
                (name, channel): os.dup(stream.fileno())
                for name, child in self._children.items()
                for channel, stream in (("stdout", child.stdout), ("stderr", child.stderr))
                if stream is not None
            }
            self._output = Output(pipes, sink)
            self._output.start()
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _spawn(self, process: Process) -> subprocess.Popen[bytes]:
        found, code = find_command(process.argv[0], process.environ.get("PATH", ""), str(process.cwd))
        if code:
            raise Failure(f"start the {process.name}", found, "install it, or mend its command")
        environ = dict(process.environ)
        if process.name == "shared":
            self._run_directory = Path(tempfile.mkdtemp(prefix="pillion-"))
            environ[RUN_DIRECTORY_VARIABLE] = str(self._run_directory)
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

    def pids(self) -> set[int]:
        """All living processes of the layout."""
        return descendants([child.pid for child in self._children.values()])

    def lost(self) -> tuple[str, int] | None:
        """The first program that has ended, with its exit code (128 + signal), or None while all live."""
        for name, child in self._children.items():
            code = child.poll()
            if code is not None:
                return name, code if code >= 0 else 128 - code
        return None

    def explain_loss(self, name: str, code: int) -> str:
        """Why a program that has ended did so, for a message."""
        self._output.finish(1.0)
        if name == "shared":
            return f"the pair ended with {code}: {self._output.last_line('pillion')}{self.last_words()}"
        last = self._output.last_line(name)
        return f"the {name} ended with {code}" + (f"; its last line: {last}" if last else " and wrote nothing")

    def last_words(self) -> str:
        """What each program wrote last, to be put behind a message."""
        said = {program: self._output.last_line(program) for program in PROGRAMS}
        return "".join(f"; last line of the {program}: {line}" for program, line in said.items() if line)

    def stop(self) -> None:
        """The proxy first, so that it can drain while its backend still answers, as a native sidecar's platform and
        `shared` do too; then the backend; then whatever is left."""
        deadline = time.monotonic() + self._grace_s
        for process in reversed(self.plan.processes):
            if child := self._children.get(process.name):
                _terminate(child, signal_number(process.stop_signal), deadline)
        end_children(spare=self._strangers)

    def _end(self) -> None:
        self.stop()
        for child in self._children.values():
            for stream in (child.stdout, child.stderr):
                if stream is not None:
                    stream.close()
        self._output.finish(2.0)
        if self._run_directory is not None:
            shutil.rmtree(self._run_directory, ignore_errors=True)


def start(plan: Plan, what: str, sink: LineSink, grace_s: float = 10.0, cpus: Collection[int] = ()) -> Running:
    """Start a layout, on these processors if any are given.

    Raises Refusal if one of its ports is taken, Failure if a program cannot be started.
    """
    for port, field in plan.ports.items():
        if why := _not_free(port):
            raise Refusal(what, f"port {port} of {field} {why}", "change the port in the file, or mend that")
    return Running(plan, sink, grace_s, cpus)


def _not_free(port: int) -> str:
    """Why nobody can listen on a port now, "" if one can."""
    for host in ("127.0.0.1", "0.0.0.0"):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return "is in use on this machine"
                return f"cannot be bound: {error.strerror}"
    return ""


def _in_child(parent: int, cpus: Collection[int]) -> Callable[[], None]:
    """Between fork and exec: be stopped even if we are killed and can stop nothing; run where we may."""
    die_with_parent = dies_with(parent)

    def prepare() -> None:
        die_with_parent()
        if cpus:
            os.sched_setaffinity(0, cpus)

    return prepare


def _terminate(child: subprocess.Popen[bytes], number: int, deadline: float) -> None:
    if child.poll() is None:
        child.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(max(deadline - time.monotonic(), 0.1))
    if child.poll() is None:
        child.kill()
        child.wait()
