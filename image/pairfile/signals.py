"""Names of signals as Kubernetes and Compose files write them."""

from __future__ import annotations

from pillion.image.pairfile.field import Field
from pillion.image.stop_signal import signal_number


def signal_name(field: Field) -> str:
    """The signal as `SIGTERM`, from `SIGTERM`, `TERM`, `sigterm` or `15`; "" if the field is missing."""
    text = str(field.value) if type(field.value) is int else field.text()
    try:
        return signal_number(text).name if text else ""
    except ValueError:
        raise field.refuse("is no signal of this system", 'write "SIGTERM", say') from None
