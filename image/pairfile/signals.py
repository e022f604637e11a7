"""Names of signals as Kubernetes and Compose files write them."""

from __future__ import annotations

import signal

from pillion.image.pairfile.field import Field


def signal_name(field: Field) -> str:
    """The signal as `SIGTERM`, from `SIGTERM`, `TERM`, `sigterm` or `15`; "" if the field is missing."""
    if type(field.value) is int:
        number: int | str = field.value
    else:
        text = field.text().upper()
        if not text:
            return ""
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else f"SIG{text.removeprefix('SIG')}"
    try:
        return signal.Signals(number).name if isinstance(number, int) else signal.Signals[number].name
    except (KeyError, ValueError):
        raise field.refuse("is no signal of this system", 'write "SIGTERM", say') from None
