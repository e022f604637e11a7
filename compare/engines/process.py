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
from pillion.image.refusal import Failure, Refusal

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
        self._run_directory = Path(tempfile.mkdtemp(prefix="pillion-"))
        self._strangers = children()
        self._children: dict[str, subprocess.Popen[bytes]] = {}
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
            self.output = Output(pipes, sink)
            self.output.start()
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
            environ[RUN_DIRECTORY_VARIABLE] = str(self._run_directory)
        try:
            return subprocess.Popen(
                process.argv,
                executable=str(Path(found).absolute()) if "/" not in process.argv[0] else found,
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
        self.output.finish(1.0)
        last = self.output.last_lines()
        who = "the pair" if name == "shared" else f"the {name}"
        return f"{who} ended with {code}" + (f"; its last line: {last[0]}" if last else " and wrote nothing")

    def stop(self) -> None:
        """The proxy first, then the backend, as both layouts do; then whatever is left."""
        deadline = time.monotonic() + self._grace_s
        for name in ("proxy", "shared", "backend"):
            if child := self._children.get(name):
                _terminate(child, deadline)
        end_children(spare=self._strangers)

    def _end(self) -> None:
        self.stop()
        for child in self._children.values():
            for stream in (child.stdout, child.stderr):
                if stream is not None:
                    stream.close()
        if hasattr(self, "output"):
            self.output.finish(2.0)
        shutil.rmtree(self._run_directory, ignore_errors=True)


def start(plan: Plan, what: str, sink: LineSink, grace_s: float = 10.0, cpus: Collection[int] = ()) -> Running:
    """Start a layout, on these processors if any are given.

    Raises Refusal if one of its ports is taken, Failure if a program cannot be started.
    """
    for port, field in plan.ports.items():
        if not _is_free(port):
            mend = "stop what listens there, or change the port in the file"
            raise Refusal(what, f"port {port} of {field} is in use on this machine", mend)
    return Running(plan, sink, grace_s, cpus)


def _is_free(port: int) -> bool:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0")):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    return False
                raise
    return True


def _in_child(parent: int, cpus: Collection[int]) -> Callable[[], None]:
    """Between fork and exec: be stopped even if we are killed and can stop nothing; run where we may."""
    die_with_parent = dies_with(parent)

    def prepare() -> None:
        die_with_parent()
        if cpus:
            os.sched_setaffinity(0, cpus)

    return prepare


def _terminate(child: subprocess.Popen[bytes], deadline: float) -> None:
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(max(deadline - time.monotonic(), 0.1))
    if child.poll() is None:
        child.kill()
        child.wait()
