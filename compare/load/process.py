"""The generator's process, from both sides: `run_load` starts it, `main` is it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence

from pillion.compare.load.closed import ClosedLoop
from pillion.compare.load.generator import Generator
from pillion.compare.load.job import LoadJob
from pillion.compare.load.result import LoadResult, summarise
from pillion.compare.load.schedule import due_times
from pillion.image.orphans import dies_with
from pillion.image.refusal import Failure, Refusal

GRACE_S = 30.0  # for Python to start and for the sums at the end
SPARE_DESCRIPTORS = 32

# How Python finds its libraries and pillion; nothing else of the caller's environment reaches the generator.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH")

_PR_SET_TIMERSLACK = 29  # prctl(2)


def run_load(job: LoadJob) -> LoadResult:
    """Run `job` in a process of its own and wait for it. Raises as `StartedLoad.result` does."""
    with StartedLoad(job) as load:
        return load.result()


class StartedLoad:
    """A run of `job` in a process of its own, which is made in the network that the calling thread is in. Use it as a
    context: at its end the process has ended, or is killed.

    It ends with the calling thread, and has the job's time, its timeout and half a minute more.
    """

    def __init__(self, job: LoadJob) -> None:
        self._seconds = job.warmup_s + job.duration_s + job.timeout_s + GRACE_S
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        command = [sys.executable, "-m", "pillion.compare.load", "--parent", str(os.getpid())]
        # From / because -m puts the working directory first on the path; in a session of its own as Ctrl-C is ours.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
        self._job = job.to_json()

    def __enter__(self) -> StartedLoad:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.__exit__(None, None, None)

    def begin(self) -> None:
        """Hand the job over, and do not wait; what comes of it is in a pipe until `result` asks."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `result` says why
            self._process.stdin.write(self._job)
            self._process.stdin.close()
        self._process.stdin = None

    def result(self) -> LoadResult:
        """Wait for it. Refusal for what this machine cannot do (processors, descriptors), Failure when the process does
        not give a result."""
        process, given = self._process, self._job if self._process.stdin else None
        try:
            output, errors = process.communicate(given, timeout=self._seconds)
        except subprocess.TimeoutExpired:
            raise Failure("run the load", f"the generator did not end within {self._seconds:.0f} s") from None
        finally:
            process.kill()
        said = errors.strip().rpartition("\n")[2]
        if process.returncode == Refusal.exit_code and said.startswith("cannot run the load: "):
            raise Refusal("run the load", said.removeprefix("cannot run the load: "))
        if process.returncode:
            raise Failure("run the load", f"the generator ended with {process.returncode}: {said or 'no message'}")
        try:
            return LoadResult.from_json(output)
        except (ValueError, KeyError, TypeError) as error:
            raise Failure("run the load", f"the generator's result cannot be read: {error!r}") from None


def main(arguments: Sequence[str]) -> int:
    """`python -m pillion.compare.load [JOB]`: the job from the argument or standard input; 0, 1 or 2 for bad input."""
    rest = list(arguments)
    if rest[:1] == ["--parent"]:
        dies_with(int(rest[1]), signal.SIGKILL)()
        del rest[:2]
    try:
        job = LoadJob.from_json(rest[0] if rest else sys.stdin.read())
        result = _run(job)
    except Refusal as refusal:
        sys.stderr.write(f"{refusal}\n")
        return refusal.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    sys.stdout.write(result.to_json() + "\n")
    return 0


def _run(job: LoadJob) -> LoadResult:
    _take_descriptors(job.connections + SPARE_DESCRIPTORS)
    if job.cpus:
        try:
            os.sched_setaffinity(0, job.cpus)
        except (OSError, ValueError, OverflowError) as error:
            allowed = sorted(os.sched_getaffinity(0))
            raise Refusal("run the load", f"cpus: {list(job.cpus)}: {error}", f"give some of {allowed}") from None
    ctypes.CDLL(None).prctl(
        _PR_SET_TIMERSLACK, ctypes.c_ulong(1), 0, 0, 0
    )  # nanosecond: the kernel else lets a sleep last 50 us longer
    try:
        if job.closed_loop:
            generator: Generator = ClosedLoop(job)
        else:
            generator = Generator(job, due_times(job.arrivals, job.rate, job.warmup_s + job.duration_s, job.seed))
    except OSError as error:
        why = f"certificate: {job.certificate}: {str(error.strerror or error).lower()}"
        raise Refusal("run the load", why, "give a PEM file that can be read") from None
    record = generator.run()
    return summarise(job, generator.due, record)


def _take_descriptors(needed: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and needed > hard:
        why = f"connections: {needed} descriptors are more than this process may have ({hard})"
        raise Refusal("run the load", why, "give fewer connections or raise `ulimit -Hn`")
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
