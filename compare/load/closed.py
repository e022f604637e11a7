"""The closed loop: each connection sends its next request when it has the last one's answer. For saturation only."""

from __future__ import annotations

from array import array

from pillion.compare.load.generator import NS, Generator, clock
from pillion.compare.load.job import MAX_REQUESTS, LoadJob

MOST_PER_S = 50_000  # more than this loop can send in a second: the room for its records


class ClosedLoop(Generator):
    """One run of `job` with as many requests under way as it has connections, each due when it was sent."""

    def __init__(self, job: LoadJob) -> None:
        self._until = int((job.warmup_s + job.duration_s) * NS)
        room = min(MAX_REQUESTS, int(MOST_PER_S * (job.warmup_s + job.duration_s)) + job.connections)
        super().__init__(job, array("q", bytes(8 * room)))
        self._sent = 0

    @property
    def due(self) -> array[int]:
        """When each request was sent."""
        return self._due[: self._sent]

    def _loop(self) -> None:
        due, outcome, timeout = self._due, self._record.outcome, int(self._job.timeout_s * NS)
        oldest = 0
        self._start = clock()  # nothing is due before it is sent
        while True:
            now = clock() - self._start
            while now < self._until and self._sent - self._finished < self._job.connections and self._sent < len(due):
                due[self._sent] = now
                self._sent += 1
                self._dispatch(self._sent - 1)
                now = clock() - self._start
            while oldest < self._sent and (outcome[oldest] or due[oldest] + timeout <= now):
                if not outcome[oldest]:
                    self._give_up(oldest)
                oldest += 1
            if self._finished < self._sent:
                # What is under way is waited for; a connection that is free sends at the next turn.
                self._wait(due[oldest] + timeout)
            elif now >= self._until or self._sent == len(due):
                return
