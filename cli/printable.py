"""Text that came from files and processes, for a terminal."""

from __future__ import annotations

import sys


def printable(text: str) -> str:
    """As it can be shown: nothing of it speaks to the terminal, and it is of its encoding."""
    text = "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)
    encoding = sys.stdout.encoding
    return text.encode(encoding, "backslashreplace").decode(encoding)
