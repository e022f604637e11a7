"""Signals as people write them."""

from __future__ import annotations

import signal


def signal_number(text: str) -> signal.Signals:
    """`SIGTERM`, `TERM`, `sigterm` or `15`. Raises ValueError if this system has no such signal."""
    name = text.strip().upper()
    if name.isascii() and name.isdigit() and len(name) < 4:
        return signal.Signals(int(name))
    try:
        return signal.Signals[f"SIG{name.removeprefix('SIG')}"]
    except KeyError:
        raise ValueError(f"{text!r} is no signal of this system") from None
