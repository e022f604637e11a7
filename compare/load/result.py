"""What came of a run, and how far the generator itself can be trusted in it."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pillion.compare.histogram import Histogram
from pillion.compare.load.generator import FAILURES, NS, OK, STATUS, TIMEOUT, Record
from pillion.compare.load.job import LoadJob

LATE_NS = 100_000  # the order of what a sidecar adds
# From where on the rate was not kept: answered in time, without a free connection, late for the generator's sake.
KEPT_SHARE, QUEUED_IS_MUCH, LATE_IS_MUCH = 0.95, 0.01, 0.02


@dataclass(frozen=True)
class GeneratorHealth:
    """The generator's own part in what was measured.

    `late_share` (0 to 1) of the requests were not looked at until more than 100 us after they were due; `lag_us` says
    how much (p50, p99, max). Both hold the generator's lateness only, not the wait for a free connection. A run with
    more than a few percent of late requests says more about the generator, or a machine with too few processors, than
    about the server. `cpu_s` of `wall_s` seconds is what it took of a processor, warm-up included.
    """

    late_share: float
    lag_us: Mapping[str, float]
    cpu_s: float
    wall_s: float
    peak_connections: int


@dataclass(frozen=True)
class LoadResult:
    """The requests that were due after the warm-up.

    `latency` (microseconds) runs from the intended send time to the last byte of the answer, the wait for a free
    connection included, so a server that stalls is charged for every request it kept waiting (no coordinated omission).
    It holds every good answer, and each timeout as the timeout: leaving those out would flatter a server that hangs.
    The other failures are only counted, because a fast refusal would flatter too. So
    `requests == latency.count + failures - failed["timeout"]`, and percentiles are to be read beside `failed`.

    `failed` counts by kind: `connect`, `timeout` (no whole answer in time, sent or not), `reset` (the connection ended
    before the answer did), `status` (400 and above, or not the expected) and `malformed`. `statuses` counts the answers
    by code. `rate` is the good answers per second that arrived within the measured time, whenever they were due.
    `queued` requests found every connection busy, and `unsent` of them timed out there. `resent` is how often a request
    was sent again because its reused connection had closed before the first byte of an answer (idempotent methods
    only): no failures. `offered_rate` is what was due per second, 0 in a closed loop. `each`, if it was asked for, has
    of every request when it was due in seconds from `began_s` (on the machine's monotonic clock), its outcome (`ok` or
    the kind of failure) and the microseconds to its last byte.
    """

    latency: Histogram
    requests: int
    failed: Mapping[str, int]
    statuses: Mapping[str, int]
    rate: float
    queued: int
    unsent: int
    resent: int
    generator: GeneratorHealth
    offered_rate: float = 0.0
    began_s: float = 0.0
    each: Sequence[tuple[float, str, int]] = ()

    @property
    def shortfall(self) -> str:
        """Why the rate that was asked for was not kept, "" if it was; of a closed loop nothing was asked."""
        if not self.offered_rate or not self.requests:
            return ""
        share, said = self.requests / self.offered_rate, []
        answered = self.rate + self.failures / share
        if answered < KEPT_SHARE * self.offered_rate:
            said.append(f"{answered:.1f} of {self.offered_rate:.1f} requests a second were answered in time")
        if self.queued > QUEUED_IS_MUCH * self.requests:
            said.append(f"{self.queued / self.requests:.0%} found no connection free")
        if self.generator.late_share > LATE_IS_MUCH:
            said.append(f"the generator itself was late with {self.generator.late_share:.0%}")
        return "; ".join(said)

    @property
    def failures(self) -> int:
        """How many requests failed, of every kind."""
        return sum(self.failed.values())

    def to_json(self) -> str:
        """One line of JSON: every field, `latency_us` for people, `histogram` to get it all back."""
        fields: dict[str, Any] = {**vars(self), "generator": vars(self.generator)}
        del fields["latency"]
        if not self.each:
            del fields["each"], fields["began_s"]
        latency_us = {**self.latency.percentiles(), "max": self.latency.max}
        return json.dumps({"latency_us": latency_us, **fields, "histogram": self.latency.encode()})

    @classmethod
    def from_json(cls, text: str) -> LoadResult:
        """The result that `to_json` wrote; ValueError, KeyError or TypeError for anything else."""
        fields = json.loads(text)
        del fields["latency_us"]
        latency = Histogram.decode(fields.pop("histogram"))
        generator = GeneratorHealth(**fields.pop("generator"))
        each = tuple((float(due), str(outcome), int(us)) for due, outcome, us in fields.pop("each", ()))
        return cls(latency=latency, generator=generator, each=each, **fields)


def summarise(job: LoadJob, due: array[int], record: Record) -> LoadResult:
    """The result of what `record` says of the requests due at `due` (nanoseconds)."""
    begin, end = int(job.warmup_s * NS), int((job.warmup_s + job.duration_s) * NS)
    measured = [number for number, at in enumerate(due) if at >= begin]
    outcomes = Counter(record.outcome[number] for number in measured)
    latency = Histogram.of(
        (record.latency[number] + 500) // 1000 for number in measured if record.outcome[number] == OK
    )
    latency.record(round(job.timeout_s * 1e6), outcomes[TIMEOUT])
    answered = (OK, STATUS)
    statuses = Counter(record.status[number] for number in measured if record.outcome[number] in answered)
    good = (at + record.latency[number] for number, at in enumerate(due) if record.outcome[number] == OK)
    arrived = sum(1 for at in good if begin <= at < end)
    return LoadResult(
        latency=latency,
        requests=len(measured),
        failed={name: outcomes[code] for code, name in FAILURES.items()},
        statuses={str(status): statuses[status] for status in sorted(statuses)},
        rate=arrived / job.duration_s,
        queued=sum(record.queued[number] for number in measured),
        unsent=sum(1 for number in measured if not record.sends[number]),
        resent=sum(record.sends[number] - 1 for number in measured if record.sends[number]),
        offered_rate=0.0 if job.closed_loop else len(measured) / job.duration_s,
        began_s=record.start_ns / NS if job.keep_each else 0.0,
        each=_each(due, record) if job.keep_each else (),
        generator=_health(record, sorted(record.lag[number] for number in measured)),
    )


def _each(due: array[int], record: Record) -> tuple[tuple[float, str, int], ...]:
    names = {OK: "ok", **FAILURES}
    return tuple(
        (at / NS, names[record.outcome[number]], record.latency[number] // 1000) for number, at in enumerate(due)
    )


def _health(record: Record, lags: list[int]) -> GeneratorHealth:
    count = len(lags)
    at = {"p50": count // 2, "p99": count * 99 // 100, "max": count - 1}
    return GeneratorHealth(
        late_share=sum(1 for lag in lags if lag > LATE_NS) / count if count else 0.0,
        lag_us={name: lags[index] / 1000 if count else 0.0 for name, index in at.items()},
        cpu_s=record.cpu_s,
        wall_s=record.wall_s,
        peak_connections=record.peak_connections,
    )
