"""Environments of random length, so that no layout owes its figures to how long its own happens to be.

Where the stack begins, and with it the alignment of all that lies there, depends on the bytes of the environment; that
alone moves timings by more than some changes of code do (Mytkowicz et al., "Producing wrong data without doing anything
obviously wrong!", 2009). Padded anew for every start, it is noise that the intervals know of, and not a bias.
"""

from __future__ import annotations

from random import Random

from pillion.image.pair import Pair

VARIABLE = "COMPARE_PADDING"
MOST = 4096  # a page: from there on the alignment comes again


def pad(pair: Pair, chance: Random) -> tuple[Pair, dict[str, int]]:
    """The pair with a variable more in each of its environments, and how many bytes its value has in which."""
    lengths = {"backend": chance.randrange(MOST), "proxy": chance.randrange(MOST)}
    backend, proxy = (
        container._replace(env={**container.env, VARIABLE: "x" * lengths[program]})
        for program, container in (("backend", pair.backend), ("proxy", pair.proxy))
    )
    return pair._replace(backend=backend, proxy=proxy), lengths
