"""What a program's environment can hold at all."""

from __future__ import annotations

import re

# What Linux takes as one string of an environment or command line (MAX_ARG_STRLEN, 32 pages), less its final NUL.
MAX_STRING_BYTES = 32 * 4096 - 1

_NAME = re.compile(r"[ -<>-~]+")  # printable ASCII without "=", as Kubernetes has it


def is_name(text: str) -> bool:
    """Whether `text` can name a variable."""
    return _NAME.fullmatch(text) is not None


def fits(name: str, value: str) -> bool:
    """Whether Linux takes `name=value` as one string of an environment."""
    return len(f"{name}={value}".encode(errors="surrogateescape")) <= MAX_STRING_BYTES
