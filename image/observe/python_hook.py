"""Which names a Python program reads of its environment. In a trial run a copy of this stands before all else on the
program's path, as `sitecustomize`, which Python imports by itself; another one of that name is imported behind it.

Runs in a stranger's Python, whatever its version, so it needs little and lets nothing through to the program. It
writes a line of JSON for each name that is new: the name, where it was read and whose code that is; never a value.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

LOG_VARIABLE = "PILLION_OBSERVE"
_OWN_FILES = (os.__file__, "<frozen os>", "_collections_abc", __file__)


class _Watch:
    """`seen` are the names that are written already; `due` those that are read because the whole is."""

    def __init__(self, log: str) -> None:
        self.log = log
        self.seen: set[str] = set()
        self.due: list[str] = []
        self.libraries = sysconfig.get_paths()["stdlib"]

    def name(self, key: object) -> None:
        name = os.fsdecode(key) if isinstance(key, (str, bytes)) else ""
        if self.due and self.due[0] == name:
            del self.due[0]
            return
        self.due = []
        if name and name != LOG_VARIABLE and name not in self.seen:
            self.seen.add(name)
            self.write(name)

    def whole(self, keys: list[str]) -> None:
        self.due = keys
        at, _ = self.caller()
        if ("*" + at) not in self.seen:
            self.seen.add("*" + at)
            self.write("*")

    def caller(self) -> tuple[str, str]:
        """The place outside of `os` that reads, and whether it is the runtime's, a library's or the application's."""
        frame = sys._getframe(2)
        while frame.f_back is not None and any(part in frame.f_code.co_filename for part in _OWN_FILES):
            frame = frame.f_back
        file = frame.f_code.co_filename
        if "site-packages" in file or "dist-packages" in file:
            by = "library"
        elif file.startswith((self.libraries, "<frozen")):
            by = "runtime"
        else:
            by = "application"
        return "%s:%d" % (file, frame.f_lineno), by  # noqa: UP031 (in a stranger's Python)

    def write(self, name: str) -> None:
        at, by = self.caller() if name else ("", "")
        line = json.dumps({"runtime": "python", "name": name, "at": at, "by": by}) + "\n"
        try:
            # Opened each time: programs close what they do not know.
            descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND)
        except OSError:
            return
        try:
            os.write(descriptor, line.encode("ascii"))
        except OSError:
            pass
        finally:
            os.close(descriptor)


def watch() -> None:
    """From here on every read is written down."""
    log = os.environ.get(LOG_VARIABLE)
    if not log:
        return
    watched = _Watch(log)
    environ = type(os.environ)
    get, iterate = environ.__getitem__, environ.__iter__

    def getitem(self, key):  # type: ignore[no-untyped-def]
        watched.name(key)
        return get(self, key)

    def iterated(self):  # type: ignore[no-untyped-def]
        keys = list(iterate(self))
        watched.whole([os.fsdecode(key) for key in keys])
        return iter(keys)

    watched.write("")
    environ.__getitem__ = getitem  # type: ignore[method-assign]
    environ.__iter__ = iterated  # type: ignore[method-assign]


def _next_of_our_name() -> None:
    own = os.path.dirname(__file__)  # noqa: PTH120 (imports less)
    spec = PathFinder.find_spec("sitecustomize", [path for path in sys.path if path != own])
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


if __name__ == "sitecustomize":
    watch()
    _next_of_our_name()
