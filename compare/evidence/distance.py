"""The same requests to a backend that is a round trip away: without a sidecar, through it, and through it over TLS.

Backend and sidecar are processes of this machine whatever the engine, and a relay stands between them that delays every
byte: what a network does beside that (loss, jitter, less than loopback's bandwidth) is not in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from pillion.compare.door import check_plain
from pillion.compare.engines.process import ProcessEngine
from pillion.compare.evidence.evidence import HTTP, HTTPS, PLAIN, Distance
from pillion.compare.layouts import Place
from pillion.compare.load import LoadJob, run_load
from pillion.compare.ready import wait_ready
from pillion.compare.result import Processors, Schedule
from pillion.image.pair import Pair
from pillion.image.ports import LOOPBACK
from pillion.image.refusal import Failure, Refusal
from pillion.image.sidecar import with_setting

ROUND_TRIP_S = 0.02
RATE, SECONDS, RUNS = 50.0, 2.5, 3
_WHAT = "measure a backend that is far away"


def distances(
    place: Place,
    pair: Pair,
    schedule: Schedule,
    processors: Processors,
    check: Callable[[str], None],
) -> list[Distance]:
    """Raises Refusal where the backend cannot be run here, or no certificate be made; Failure."""
    check_plain(pair, "remote", _WHAT)
    engine, found = ProcessEngine(place), []
    with tempfile.TemporaryDirectory(prefix="pillion-tls-") as folder:
        pem = certificate(Path(folder))
        alone = engine.prepare(pair, "direct")
        with alone.start(_WHAT, None, processors.programs) as backend:
            wait_ready(backend, _WHAT, schedule.ready_timeout_s)
            with relay(alone.port) as plain, relay(alone.port, pem) as secure:
                check("a backend far away, without a sidecar")
                found.append(_measured(PLAIN, plain, schedule, processors))
                for way, port in ((HTTP, plain), (HTTPS, secure)):
                    check(f"a backend far away, through the sidecar over {way}")
                    proxy = with_setting(pair.proxy, "UPSTREAM", f"{way}://{LOOPBACK}:{port}")
                    if way == HTTPS:
                        proxy = with_setting(proxy, "UPSTREAM_CA", str(pem[0]))
                    prepared = engine.prepare(pair._replace(proxy=proxy), "remote")
                    with prepared.start(_WHAT, None, processors.programs) as sidecar:
                        wait_ready(sidecar, _WHAT, schedule.ready_timeout_s)
                        found.append(_measured(way, prepared.port, schedule, processors))
    return found


def _measured(way: str, port: int, schedule: Schedule, processors: Processors) -> Distance:
    job = LoadJob(
        port=port,
        method=schedule.method,
        path=schedule.path,
        rate=RATE,
        warmup_s=0.5,
        duration_s=SECONDS,
        cpus=processors.generator,
        headers=schedule.headers,
        targets=schedule.targets,
        seed=schedule.seed,
    )
    results = [run_load(replace(job, seed=schedule.seed + run)) for run in range(RUNS)]
    p50, p99 = (
        [result.latency.percentile(at) if result.latency.count else 0.0 for result in results] for at in (50, 99)
    )
    return Distance(
        way,
        ROUND_TRIP_S * 1000,
        sum(result.requests for result in results),
        sum(result.failures for result in results),
        median(p50),
        median(p99),
        min(p50),
        max(p50),
    )


@contextmanager
def relay(port: int, pem: tuple[Path, Path] | tuple[()] = ()) -> Iterator[int]:
    """Where it listens."""
    words = [str(os.getpid()), str(port), str(ROUND_TRIP_S / 2), *map(str, pem)]
    kept = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH")
    process = subprocess.Popen(
        [sys.executable, "-m", "pillion.compare.evidence.relay", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in kept if name in os.environ},
        cwd="/",
        start_new_session=True,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            told = process.stdout.readline().strip()
            if not told.isdigit():
                raise Failure(_WHAT, "the relay on loopback did not start")
            yield int(told)
        finally:
            process.kill()


def certificate(folder: Path) -> tuple[Path, Path]:
    """One that vouches for itself, for loopback, and its key. Raises Refusal where openssl is not installed."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise Refusal(_WHAT, "openssl is not installed, and a certificate cannot be made", "install openssl")
    pem, key = folder / "certificate.pem", folder / "key.pem"
    subject = ["-subj", "/CN=pillion", "-addext", f"subjectAltName=IP:{LOOPBACK}"]
    words = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    done = subprocess.run(
        [*words, "-keyout", str(key), "-out", str(pem)], capture_output=True, timeout=60, check=False, text=True
    )
    if done.returncode:
        raise Failure(_WHAT, f"openssl: {done.stderr.strip().splitlines()[-1:]}")
    return pem, key
