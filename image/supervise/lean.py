"""supervisord without what it imports and a container's daemon never uses: a third of its start and of its memory.

Its modules import the clients of their own protocol (`xmlrpc.client`, and by it HTTP, mail and TLS), a parser of XML, a
library of cryptography, the metadata of installed packages, and the pages of a web interface. Here they get stand-ins
that load the real module when something of it is first needed: answering `supervisorctl` does that, nothing else.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

# The names that are taken from each while supervisor is being imported: base classes of clients, and what nobody calls.
_STAND_INS = {
    "http": (),
    "http.client": ("HTTPConnection",),
    "xmlrpc.client": ("Fault", "Transport"),
    "html.parser": ("HTMLParser",),
    "importlib.metadata": ("EntryPoint",),
    "importlib.resources": ("files",),
    # For passwords of the control socket; it has none, its file's mode decides.
    "hashlib": ("md5", "sha1"),
    "xml.etree.ElementTree": (),
}
# Functions that are taken by name and are called later, if at all.
_LATER = {"xml.etree.ElementTree": "iterparse"}


class StandIn(ModuleType):
    """A module that is loaded when it is asked for something."""

    def __init__(self, name: str, placeholders: tuple[str, ...]) -> None:
        super().__init__(name)
        self._placeholders: dict[str, Any] = {each: type(each, (), {}) for each in placeholders}

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is not self:
            return getattr(importlib.import_module(self.__name__), name)
        if name in self._placeholders:
            return self._placeholders[name]
        if _LATER.get(self.__name__) == name:
            return partial(_call, self.__name__, name)
        raise AttributeError(name)


def _call(module: str, name: str, *arguments: Any) -> Any:
    return getattr(importlib.import_module(module), name)(*arguments)


@contextmanager
def without_clients() -> Iterator[None]:
    """Import supervisor's modules in this context. What is loaded already stays; afterwards nobody else sees it."""
    stand_ins = {name: StandIn(name, names) for name, names in _STAND_INS.items() if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]
        for name in stand_ins:
            parent, _, child = name.rpartition(".")
            if parent and isinstance(vars(sys.modules.get(parent, sys)).get(child), StandIn):
                delattr(sys.modules[parent], child)


class NoPages:
    """In the place of supervisor's web interface, whose templates are not in the layer: it has no page."""

    def __init__(self, supervisord: Any) -> None:
        """As supervisord makes it."""

    def match(self, request: Any) -> bool:
        """Never."""
        return False


def leave_out_pages() -> None:
    """Before supervisord opens its control socket."""
    web = ModuleType("supervisor.web")
    web.supervisor_ui_handler = NoPages  # type: ignore[attr-defined]
    sys.modules.setdefault("supervisor.web", web)


def resolve(spec: str) -> Any:
    """`module:name`, as the configuration names factories."""
    module, _, name = spec.partition(":")
    return getattr(importlib.import_module(module), name)
