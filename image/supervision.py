"""What a user can set of the supervision: one table, read and checked by `pillion enter` (pure).

Every duration is in seconds (`0.5`; `500ms`, `5s`, `2m` also work).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pillion.image.limits import checked
from pillion.image.refusal import Refusal
from pillion.image.stop_signal import signal_number

DEADLINE_VARIABLE, STOP_SIGNAL_VARIABLE = "PILLION_DEADLINE", "PILLION_STOP_SIGNAL"
# The reserve by which our own deadline ends before the platform's.
RESERVE_S = 1.5
# How `enter` hands the values over to supervisord's process: resolved, as JSON.
SUPERVISION_VARIABLE = "PILLION_SUPERVISION"
LOG_FORMATS = ("text", "json")


class Supervision(NamedTuple):
    """The table's values. Durations in seconds; `stop_signal` is the backend's, "" for the pair record's."""

    deadline_s: float = 8.5
    stop_signal: str = ""
    restarts: int = 5
    restart_window_s: float = 120.0
    backoff_s: float = 0.5
    backoff_max_s: float = 10.0
    log_format: str = "text"
    require_uids: bool = False
    limits_proxy: str = ""
    limits_backend: str = ""

    def delay_s(self, nth: int) -> float:
        """The longest pause before the `nth` restart within the window, counted from 1."""
        return float(min(self.backoff_s * 2.0 ** min(nth - 1, 64), self.backoff_max_s))

    def to_json(self) -> str:
        """The inverse of `from_json`."""
        return json.dumps(self._asdict(), separators=(",", ":"))


class Setting(NamedTuple):
    """One row: the variable, the field of Supervision it sets, what it means, its unit, and how its text is read."""

    name: str
    field: str
    meaning: str
    unit: str
    parse: Callable[[str], Any]


def seconds(least: float) -> Callable[[str], float]:
    """A duration from `least` to a day."""

    def parse(text: str) -> float:
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|)", text, re.ASCII)
        value = float(match[1]) * {"ms": 0.001, "m": 60.0}.get(match[2], 1.0) if match else -1.0
        if not least <= value <= 86400:
            raise ValueError(f"{text!r} is no duration from {least:g} to 86400 seconds")
        return value

    return parse


def count(most: int) -> Callable[[str], int]:
    """A whole number from 0."""

    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) is None or int(text) > most:
            raise ValueError(f"{text!r} is no whole number from 0 to {most}")
        return int(text)

    return parse


def signal_name(text: str) -> str:
    """The name or the number of a signal."""
    signal_number(text)
    return text


def one_of(values: Mapping[str, Any]) -> Callable[[str], Any]:
    """One of these words."""

    def parse(text: str) -> Any:
        if text.lower() not in values:
            raise ValueError(f"{text!r} is none of {', '.join(values)}")
        return values[text.lower()]

    return parse


SETTINGS = (
    Setting(DEADLINE_VARIABLE, "deadline_s", "everything is stopped within this after the signal", "s", seconds(0.1)),
    Setting(STOP_SIGNAL_VARIABLE, "stop_signal", "what stops the backend, in place of its image's", "", signal_name),
    Setting(
        "PILLION_RESTARTS",
        "restarts",
        "restarts of a program within the window; one end more, and the container ends; 0: none",
        "count",
        count(1000),
    ),
    Setting("PILLION_RESTART_WINDOW", "restart_window_s", "how long a restart counts", "s", seconds(0.1)),
    Setting("PILLION_BACKOFF", "backoff_s", "the pause before a first restart; doubles each time", "s", seconds(0.01)),
    Setting("PILLION_BACKOFF_MAX", "backoff_max_s", "the longest pause before a restart", "s", seconds(0.01)),
    Setting(
        "PILLION_LOG_FORMAT",
        "log_format",
        "`text` (`NAME | LINE`) or `json` (one object a line)",
        "",
        one_of({name: name for name in LOG_FORMATS}),
    ),
    Setting(
        "PILLION_REQUIRE_UIDS",
        "require_uids",
        "1: refuse to run both programs under one uid",
        "0 or 1",
        one_of({"0": False, "1": True}),
    ),
    Setting(
        "PILLION_LIMITS_PROXY", "limits_proxy", "limits of the proxy: `nofile=1024 core=0 memory=256M`", "", checked
    ),
    Setting("PILLION_LIMITS_BACKEND", "limits_backend", "limits of the backend: `core=0 memory=512M`", "", checked),
)


def read_supervision(environ: Mapping[str, str], deadline_s: float) -> Supervision:
    """The settings in `environ`; `deadline_s` is the pair record's. Raises Refusal for a value that cannot be used."""
    found: dict[str, Any] = {"deadline_s": deadline_s}
    for setting in SETTINGS:
        if text := environ.get(setting.name):
            try:
                found[setting.field] = setting.parse(text.strip())
            except ValueError as error:
                raise Refusal("start the pair", f"{setting.name}={error}", f"it is: {setting.meaning}") from error
    supervision = Supervision(**found)
    slowest = sum(supervision.delay_s(nth) for nth in range(1, supervision.restarts + 1))
    if supervision.restarts and slowest >= supervision.restart_window_s:
        why = (
            f"{supervision.restarts} restarts with their pauses take up to {slowest:g} s and would never be spent "
            f"within PILLION_RESTART_WINDOW ({supervision.restart_window_s:g} s)"
        )
        raise Refusal("start the pair", why, "lengthen it, or lower PILLION_RESTARTS or PILLION_BACKOFF_MAX")
    return supervision


def from_json(text: str) -> Supervision:
    """What `enter` handed over. Raises Refusal."""
    try:
        return Supervision(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise Refusal(
            "supervise the pair", f"{SUPERVISION_VARIABLE} is not what enter writes", "use pillion enter"
        ) from error


def deadline_for(grace_s: float) -> float:
    """The deadline, in seconds, for a platform that kills after `grace_s` seconds."""
    return max(grace_s - RESERVE_S, 1.0)


def settings_table() -> str:
    """The table in Markdown."""
    lines = ["| variable | meaning | unit | default |", "|---|---|---|---|"]
    for row in SETTINGS:
        default = getattr(Supervision(), row.field)
        shown = f"{default:g}" if isinstance(default, (int, float)) else default
        meaning = row.meaning.replace("|", "\\|")
        lines.append(f"| `{row.name}` | {meaning} | {row.unit} | {f'`{shown}`' if shown else '-'} |")
    return "\n".join(lines) + "\n"
