"""What a comparison is made of, as plain values: how it was run, and what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pillion.compare.engines.ending import Ending
from pillion.compare.evidence.evidence import Evidence
from pillion.compare.experiments.outcome import Outcome
from pillion.compare.host import Host
from pillion.compare.load import LoadResult, Target
from pillion.compare.machine import Conditions
from pillion.image.environ.conflicts import Conflict
from pillion.image.pair import Pair

MIB = 2**20
# Of one run: no round's seed is one of another run's, and the exact tables of an interval take less than a second.
MOST_ROUNDS = 300


class Schedule(NamedTuple):
    """How much is measured: `rounds` times each layout, `duration_s` at `rate` requests a second after `warmup_s`.

    The rest is as in LoadJob; of every layout in a round the arrivals and the mix are the same.
    """

    rounds: int = 30
    rate: float = 200.0
    warmup_s: float = 0.5
    duration_s: float = 1.5
    ready_timeout_s: float = 30.0
    connections: int = 64
    method: str = "GET"
    path: str = "/"
    seed: int = 0
    arrivals: str = "constant"
    closed_loop: bool = False
    keep_alive: bool = True
    targets: tuple[Target, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


class Processors(NamedTuple):
    """Who may run where: the load generator and the programs kept apart, empty for "anywhere".

    Whether client and server share a processor moves the median by more than a sidecar does, and left alone the
    scheduler decides it anew for every run.
    """

    programs: tuple[int, ...] = ()
    generator: tuple[int, ...] = ()


class Program(NamedTuple):
    """One program of a layout under the load: PSS in bytes right after it, processor seconds per 1,000 requests."""

    memory_bytes: int
    cpu_s_per_1000: float
    processes: int


class Layer(NamedTuple):
    """One layer of an image: its bytes unpacked, and whose it is (`backend`, `proxy`)."""

    digest: str
    size: int
    program: str


class Image(NamedTuple):
    """An image of a layout, its layers from the base up; () where the engine does not tell their sizes."""

    name: str
    program: str
    size: int
    layers: tuple[Layer, ...] = ()


class Sample(NamedTuple):
    """One layout in one round. Memory is PSS in bytes right after the load; `cpu_s_per_1000` is per 1,000 requests.

    `cgroup_bytes` and `engine_bytes` are None where there are no containers (see engines.running.Usage). `conditions`
    are those under the load; `padding` is by how many bytes each program's environment was longer; `endings` tell how
    each program or container ended when it was stopped. `programs` are those of the layout by themselves; together they
    can miss what began and ended within the round. `clock_jump_s` is by how much the time of day moved meanwhile,
    against a clock that nobody sets. `memory_before_bytes` is the PSS when it was ready, before the load.
    """

    load: LoadResult
    memory_bytes: int
    cpu_s_per_1000: float
    processes: int
    ready_s: float
    stop_s: float
    cgroup_bytes: int | None = None
    engine_bytes: int | None = None
    conditions: Conditions | None = None
    padding: Mapping[str, int] = {}
    endings: Mapping[str, Ending] = {}
    programs: Mapping[str, Program] = {}
    clock_jump_s: float = 0.0
    memory_before_bytes: int | None = None


class Margins(NamedTuple):
    """Up to which difference two layouts count as the same.

    Latency has an absolute margin in microseconds and a share (0 to 1) of the smaller of the two medians; the larger of
    the two counts: 100 us matter to nobody who waits for 20 ms, and 10 % of 0.3 ms to nobody at all. Memory has only
    the absolute margin, in bytes, CPU time only the share; the start has both, as latency has.
    """

    latency_us: float = 100.0
    latency_share: float = 0.10
    memory_bytes: float = 5.0 * MIB
    cpu_share: float = 0.10
    start_s: float = 0.1
    start_share: float = 0.10


class Comparison(NamedTuple):
    """Everything that a report can be made from. `notices` are what the plans and the pair file gave to know, `facts`
    what the engine says of itself, `image_bytes` what each layout's images take unpacked, `images` what they are,
    `margins` what counts as the same; `experiments` are those that were asked for, and `evidence` is what else the
    claims rest on.

    `began` is in seconds since 1970 and `took_s` how long it went on; `command` is how it was asked for, without
    values of headers; `partial` is why it ended before all rounds were measured, "" if they were. A layout without a
    whole round is in no `samples`.
    """

    pair: Pair
    engine: str
    schedule: Schedule
    processors: Processors
    samples: Mapping[str, Sequence[Sample]]
    conflicts: Sequence[Conflict]
    not_measured: Sequence[str]
    notices: Sequence[str] = ()
    facts: Mapping[str, str] = {}
    image_bytes: Mapping[str, int] = {}
    margins: Margins = Margins()
    images: Mapping[str, Sequence[Image]] = {}
    host: Host | None = None
    began: float = 0.0
    took_s: float = 0.0
    command: Sequence[str] = ()
    partial: str = ""
    experiments: Sequence[Outcome] = ()
    evidence: Evidence = Evidence()
