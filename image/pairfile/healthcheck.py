"""A Compose service's health check as a probe.

https://docs.docker.com/reference/compose-file/services/#healthcheck
"""

from __future__ import annotations

import re

from pillion.image.pair import Probe
from pillion.image.pairfile.field import Field

_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})(ns|us|µs|ms|s|m|h)", re.ASCII)


def read_healthcheck(healthcheck: Field) -> Probe | None:
    """The health check as an `exec` probe, `start_period` as its delay; None if there is none or it is disabled."""
    test = healthcheck["test"]
    if healthcheck["disable"].flag() or not test.given:
        return None
    if isinstance(test.value, str):
        command = _in_shell(test.text())
    else:
        kind, *words = test.texts() or ("",)
        if kind == "NONE":
            return None
        if kind not in ("CMD", "CMD-SHELL") or not words:
            raise test.refuse("is no health check", 'begin it with CMD or CMD-SHELL, as in [CMD, curl, "-f", URL]')
        command = tuple(words) if kind == "CMD" else _in_shell(words[0])
    return Probe(
        kind="exec",
        command=command,
        initial_delay_s=seconds(healthcheck["start_period"], 0.0),
        period_s=seconds(healthcheck["interval"], 30.0) or 30.0,
        timeout_s=seconds(healthcheck["timeout"], 30.0) or 30.0,
        failure_threshold=_retries(healthcheck["retries"]),
    )


def seconds(field: Field, default: float) -> float:
    """A duration such as `1m30s` in seconds; `default` if it is missing."""
    if not field.given:
        return default
    if isinstance(field.value, int | float):
        raise field.mistyped("a duration", 'give its unit, as in "10s"')
    text = field.text()
    if text == "0":
        return 0.0
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise field.refuse("is no duration", 'write "1m30s", say')
    return sum(float(number) * _UNIT_S[unit] for number, unit in parts)


def _in_shell(script: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script)


def _retries(field: Field) -> int:
    # An interpolated number arrives as text.
    if isinstance(field.value, str) and re.fullmatch(r"\d{1,9}", field.value, re.ASCII):
        field = field.holding(int(field.value))
    return field.integer(0, 2**31 - 1) or 3
