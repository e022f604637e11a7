"""What is sent in a comparison and how often, as words of the command line."""

from __future__ import annotations

import argparse

from pillion.compare.load import Target
from pillion.compare.result import MOST_ROUNDS


def weighted_request(text: str) -> Target:
    """`3 GET /orders/1` or `1 POST /orders {"sku": 1}`, for argparse; the load job says what each may be."""
    words = text.split(maxsplit=3)
    if len(words) < 3:
        raise argparse.ArgumentTypeError(f"{text!r} is not WEIGHT METHOD PATH [BODY]")
    try:
        weight = float(words[0])
    except ValueError:
        raise argparse.ArgumentTypeError(f"{words[0]!r} in {text!r} is not a weight") from None
    return Target(weight, words[1].upper(), words[2], words[3].encode() if len(words) > 3 else b"")


def header(text: str) -> tuple[str, str]:
    """`Accept: text/plain`, for argparse."""
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:VALUE")
    return name.strip(), value.strip()


def whole(text: str) -> int:
    """A number of connections, for argparse."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to 10000")
    return int(text)


def rounds(text: str) -> int:
    """How often each layout is measured, for argparse."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_ROUNDS:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 to {MOST_ROUNDS}")
    return int(text)
