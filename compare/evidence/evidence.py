"""What was gathered, as plain values (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

CLEAN, INCREMENTAL = "clean", "incremental"
PLAIN, HTTP, HTTPS = "plain", "http", "https"


class Edit(NamedTuple):
    """A one-line edit of a program, to the first good answer: `seconds` of the first one, when nothing of it was known
    yet (`clean`), or the median of those that followed (`incremental`), which took `least` to `most`.

    `layout` is `remote` where the backend runs outside, as in an IDE. `bytes` are what is new in the image store, None
    where there are no images.
    """

    layout: str
    program: str
    kind: str
    seconds: float
    bytes: int | None = None
    least: float = 0.0
    most: float = 0.0


class Seen(NamedTuple):
    """What the processes of a program really had of one variable: `own` the value that the file gives it, `other` that
    of the other program. Values themselves are nowhere."""

    layout: str
    program: str
    variable: str
    severity: str
    own: bool
    other: bool


class Base(NamedTuple):
    """What became of the backend's image in the combined one: how many of its layers are at the bottom, unchanged; what
    was added; and the interpreters that are in it by then, the sidecar's own under /opt/pillion included."""

    layers: int
    kept: int
    added_bytes: int
    interpreters: Sequence[str]


class Distance(NamedTuple):
    """Latencies in microseconds with the backend `round_trip_ms` away, the medians of a few runs, whose p50 lie between
    `least_us` and `most_us`: `way` is `plain` (no sidecar), `http` or `https`
    (through the sidecar)."""

    way: str
    round_trip_ms: float
    requests: int
    failed: int
    p50_us: float
    p99_us: float
    least_us: float = 0.0
    most_us: float = 0.0


class Node(NamedTuple):
    """What a node has and costs, by the user; 0: not given. Memory in bytes, prices for an hour."""

    cpu: float = 0.0
    memory: float = 0.0
    price_cpu: float = 0.0
    price_gib: float = 0.0


class Asked(NamedTuple):
    """The resources that a container of the pair asks for in its file, as quantities; None where it asks for none."""

    cpu: float | None = None
    memory: float | None = None
    cpu_limit: float | None = None
    memory_limit: float | None = None


class Evidence(NamedTuple):
    """`why_not` says for a kind (`edits`, `ide`, `distance`, `seen`) why it was asked for and could not be gathered."""

    edits: Sequence[Edit] = ()
    seen: Sequence[Seen] = ()
    base: Base | None = None
    distances: Sequence[Distance] = ()
    node: Node = Node()
    asked: Mapping[str, Asked] = {}
    why_not: Mapping[str, str] = {}

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "edits": [each._asdict() for each in self.edits],
            "seen": [each._asdict() for each in self.seen],
            "base": self.base._asdict() if self.base else None,
            "distances": [each._asdict() for each in self.distances],
            "node": self.node._asdict(),
            "asked": {name: each._asdict() for name, each in self.asked.items()},
            "why_not": dict(self.why_not),
        }
