"""Which kind of request comes when: decided before the run, by the weights and the seed."""

from __future__ import annotations

from random import Random

from pillion.compare.load.job import LoadJob


def kinds(job: LoadJob, count: int) -> bytes:
    """For each of `count` requests the place of its kind in the job's mix."""
    if len(job.mix) == 1:
        return bytes(count)
    # Another stream than that of the send times, which have the same seed.
    chance = Random(None if job.seed is None else f"kinds {job.seed}")
    return bytes(chance.choices(range(len(job.mix)), [target.weight for target in job.mix], k=count))
