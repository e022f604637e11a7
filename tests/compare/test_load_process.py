"""The generator's process: one JSON object in, one out, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pillion.compare.load import LoadJob, LoadResult, run_load
from pillion.image.refusal import Failure, Refusal

GENERATOR = [sys.executable, "-m", "pillion.compare.load"]
CALLER = "import sys; from pillion.compare.load import LoadJob, run_load; run_load(LoadJob.from_json(sys.argv[1]))"


class _Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server that says hello."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hello) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def generator_of(pid: int) -> int | None:
    """The process id of the generator that `pid` has started, once it is one."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if b"pillion.compare.load" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
            return int(child)
    return None


@pytest.fixture
def caller(port: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process in the middle of `run_load`, and its generator."""
    job = LoadJob(port=port, rate=20, duration_s=60).to_json()
    with subprocess.Popen([sys.executable, "-c", CALLER, job], stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: generator_of(process.pid))
            generator = generator_of(process.pid)
            assert generator
            yield process, generator
        finally:
            process.kill()


def test_job_runs_in_a_process_of_its_own(port: int) -> None:
    """What the function gives is what the process measured, with the process's own health."""
    result = run_load(LoadJob(port=port, rate=100, duration_s=0.5, warmup_s=0.1))
    assert (result.requests, result.failures, result.latency.count) == (50, 0, 50)
    health = result.generator
    assert health.wall_s >= 0.5
    assert 0 < health.cpu_s < health.wall_s
    assert 0 <= health.late_share <= 1
    assert health.lag_us["p50"] <= health.lag_us["p99"] <= health.lag_us["max"]


@pytest.mark.parametrize("as_argument", [True, False])
def test_command_reads_one_job_and_writes_one_result(port: int, as_argument: bool) -> None:
    """From the argument or from standard input; standard output holds one JSON object and nothing else."""
    job = LoadJob(port=port, rate=50, duration_s=0.2).to_json()
    command = [*GENERATOR, job] if as_argument else GENERATOR
    done = subprocess.run(command, input="" if as_argument else job, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    said = json.loads(done.stdout)
    assert LoadResult.from_json(done.stdout).requests == said["requests"] == 10
    assert set(said) == {
        "latency_us",
        "requests",
        "failed",
        "statuses",
        "rate",
        "queued",
        "unsent",
        "resent",
        "offered_rate",
        "generator",
        "histogram",
    }
    assert set(said["latency_us"]) == {"p50", "p90", "p99", "p99.9", "max"}


@pytest.mark.parametrize(
    "job",
    [
        "",
        "{}",
        '{"port": 1, "rate": 1, "duration_s": 1, "host": "192.0.2.1"}',
        '{"port": 1, "rate": 1, "duration_s": 1, "cpus": [4000]}',
        '{"port": 1, "rate": 1, "duration_s": 1, "cpus": [-1]}',
        '{"port": 1, "rate": 1, "duration_s": 1, "connections": 99999999999}',
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(job: str) -> None:
    """No traceback, nothing on standard output."""
    done = subprocess.run(GENERATOR, input=job, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("cannot ")
    assert done.stderr.count("\n") == 1


def test_processors_that_are_not_there_are_refused() -> None:
    """What only the process can find out reaches the caller as the same refusal."""
    with pytest.raises(Refusal, match=r"^cannot run the load: cpus: \[4000\]: .*; give some of \[") as caught:
        run_load(LoadJob(port=1, rate=1, duration_s=1, cpus=(4000,)))
    assert not isinstance(caught.value, Failure)


def test_processor_is_the_one_asked_for(port: int, caller: tuple[subprocess.Popen[bytes], int]) -> None:
    """Pinned to a processor, and the caller is not."""
    first = min(os.sched_getaffinity(0))
    job = LoadJob(port=port, rate=20, duration_s=30, cpus=(first,)).to_json()
    with subprocess.Popen([*GENERATOR, job], stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: os.sched_getaffinity(process.pid) == {first})
        finally:
            process.kill()
    assert os.sched_getaffinity(caller[1]) == os.sched_getaffinity(0)


def test_killed_caller_takes_its_generator_along(caller: tuple[subprocess.Popen[bytes], int]) -> None:
    """SIGKILL of the caller leaves no load behind."""
    process, generator = caller
    process.kill()
    wait_until(lambda: not alive(generator))


def test_interrupted_caller_kills_its_generator(caller: tuple[subprocess.Popen[bytes], int]) -> None:
    """Ctrl-C reaches the caller alone, and the generator ends with it."""
    process, generator = caller
    assert os.getsid(generator) != os.getsid(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) != 0
    wait_until(lambda: not alive(generator))


def test_orphan_does_not_start(port: int) -> None:
    """A generator whose caller died before it could ask the kernel to be told ends by itself."""
    job = LoadJob(port=port, rate=20, duration_s=60).to_json()
    done = subprocess.run([*GENERATOR, "--parent", "1", job], capture_output=True, timeout=20, check=False)
    assert done.returncode == 1 and done.stdout == b""


def test_generator_sees_nothing_of_the_callers_environment(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of an environment shifts timings, and secrets have no business there."""
    monkeypatch.setenv("SECRET_KEY", "x" * 10_000)
    job = LoadJob(port=port, rate=20, duration_s=60).to_json()
    with subprocess.Popen([sys.executable, "-c", CALLER, job], stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: generator_of(process.pid))
            environment = Path(f"/proc/{generator_of(process.pid)}/environ").read_bytes()
        finally:
            process.kill()
    assert b"SECRET_KEY" not in environment


def test_generator_that_dies_is_a_failure(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed from outside (out of memory, say): told with how it ended."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Failure, match=r"^cannot run the load: the generator ended with 1: no message"):
        run_load(LoadJob(port=port, rate=1, duration_s=1))


def test_module_in_the_working_directory_is_not_taken(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's own `select.py` where the comparison is started must not reach the generator."""
    (tmp_path / "select.py").write_text("raise SystemExit('the wrong select')")
    monkeypatch.chdir(tmp_path)
    assert run_load(LoadJob(port=port, rate=50, duration_s=0.1)).failures == 0
