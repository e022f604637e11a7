"""Pillion's proxy, changed by so much that a comparison must notice: as `pillion proxy`, but each request takes some
microseconds more and the process holds some MiB more.

    python benchmarks/proxy_peers/changed_proxy.py MICROSECONDS MIB
"""

from __future__ import annotations

import sys
import time

from pillion.cli.main import main
from pillion.proxy.exchange import Exchange


def slow_down(seconds: float) -> None:
    """On the processor: an event loop's own timers are too coarse for it."""
    forward = Exchange.run

    def later(exchange: Exchange) -> bool:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            pass
        return forward(exchange)

    Exchange.run = later  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    microseconds, mib = map(int, sys.argv[1:])
    if microseconds:
        slow_down(microseconds / 1e6)
    held = bytearray(b"x") * (mib << 20)  # written, so that it counts
    sys.argv[1:] = ["proxy"]
    sys.exit(main())
