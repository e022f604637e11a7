"""A worker's post: what it and the master tell each other, in memory that they share.

A signal only says that there is news; what it means stands here. So nothing is lost when signals come at once, and a
SIGTERM that a stranger sends to a worker is told apart from the master's.
"""

from __future__ import annotations

import mmap
from enum import IntEnum


class Word(IntEnum):
    """The worker's word on how it is."""

    STARTING = 0
    SERVING = 1
    TIRED = 2  # it serves, but wants to be replaced


class Order(IntEnum):
    """The master's order."""

    STAY = 0
    AWAIT_RELIEF = 1  # serve until somebody else does
    LEAVE = 2  # finish what has begun: others serve in your place
    STOP = 3  # all are to stop, and there is a deadline


class Post:
    """Made before the worker is."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, 2)

    @property
    def word(self) -> Word:
        return Word(self._page[0])

    @word.setter
    def word(self, word: Word) -> None:
        self._page[0] = word

    @property
    def order(self) -> Order:
        return Order(self._page[1])

    @order.setter
    def order(self, order: Order) -> None:
        self._page[1] = order
