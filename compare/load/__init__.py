"""HTTP/1.1 load in a process of its own: an open loop at a rate, or a closed one for saturation.

`run_load(job)` is the door: it starts `python -m pillion.compare.load`, which reads one `LoadJob` as JSON on standard
input and writes one `LoadResult` as JSON on standard output.
"""

from pillion.compare.load.job import LoadJob, Target
from pillion.compare.load.process import StartedLoad, run_load
from pillion.compare.load.result import GeneratorHealth, LoadResult

__all__ = ["GeneratorHealth", "LoadJob", "LoadResult", "StartedLoad", "Target", "run_load"]
