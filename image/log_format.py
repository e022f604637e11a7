"""How a line of the container's log looks (pure). Text: `backend | LINE`. JSON: one object a line.

A line that is a JSON object already stays byte for byte as it is, but for the members `ts`, `program` and `stream`,
which are put before its own where it has none of that name.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import NoReturn

# program, stream, lines without their newlines -> what is written, with them
Format = Callable[[str, str, Sequence[bytes]], bytes]


def text_lines(program: str, stream: str, lines: Sequence[bytes]) -> bytes:
    """Each line behind its program's name; what its bytes mean is not asked."""
    del stream
    name = b"%-7s | " % program.encode()
    return name + (b"\n" + name).join(lines) + b"\n" if lines else b""


def json_lines(program: str, stream: str, lines: Sequence[bytes]) -> bytes:
    """An object a line: `ts` (RFC 3339, when it came), `program`, `stream` and `line`, or the line's own object."""
    members = {"ts": _now(), "program": program, "stream": stream}
    head = json.dumps(members)[:-1] + ', "line": '
    written = []
    for line in lines:
        own = _own_object(line)
        if own is None:
            # Bytes that are no UTF-8 would be no JSON: they are shown as \xff.
            text = line.decode("utf-8", "backslashreplace")
            written.append(f"{head}{encode_basestring_ascii(text)}}}\n".encode("ascii"))
        else:
            written.append(_completed(line, own, members))
    return b"".join(written)


FORMATS: dict[str, Format] = {"text": text_lines, "json": json_lines}


def _completed(line: bytes, own: Mapping[str, object], members: Mapping[str, str]) -> bytes:
    """The object as it was written, behind those of our members that it has not."""
    body = line.strip()[1:].lstrip()
    missing = {name: value for name, value in members.items() if name not in own}
    if not missing:
        return b"{" + body + b"\n"
    return json.dumps(missing).encode("ascii")[:-1] + (b", " if own else b"") + body + b"\n"


def _now() -> str:
    seconds, fraction = divmod(time.time(), 1)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(fraction * 1000):03d}Z"


def _own_object(line: bytes) -> dict[str, object] | None:
    """The line's object if it is one and nothing else, None otherwise."""
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        found = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _no_constant(name: str) -> NoReturn:
    """NaN and Infinity: Python takes them, JSON has none."""
    raise ValueError(name)
