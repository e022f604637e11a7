"""`pillion enter`: each process gets the environment that is its own, byte for byte."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from pillion.image.environ.split import DEFAULT_PATH
from pillion.image.supervision import Supervision
from tests.conftest import BACKEND, ENTRY, environ_of
from tests.entered import Start

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_each_process_holds_exactly_what_the_policy_says(start: Start, run_directory: Path) -> None:
    """supervisord a minimum, the proxy its own, the backend its own; no secret where it does not belong."""
    container = start(
        environ={
            b"PROXY__SECRET_KEY": b"proxy-secret",
            b"BACKEND__SECRET_KEY": b"backend-secret",
            b"DATABASE_URL": b"db-secret",
            b"TZ": b"Etc/UTC",
            b"PORT": b"%d" % 9,
            b"PYTHONDONTWRITEBYTECODE": b"1",
            b"USER": b"somebody",
            b"SUPERVISOR_ENABLED": b"1",
        }
    )
    container.ready()
    supervisord = environ_of(container.process.pid)
    path = b"%s:%s" % (os.fsencode(ENTRY.parent), DEFAULT_PATH.encode())
    minimum = {b"PATH", b"LANG", b"TMPDIR", b"PILLION_RUN_DIR", b"PILLION_RECORDS", b"PILLION_SUPERVISION"}
    assert supervisord.keys() == minimum
    assert supervisord[b"PILLION_SUPERVISION"].decode() == Supervision().to_json()
    home = os.fsencode(Path.home())
    assert environ_of(container.pid("proxy")) == {
        b"PATH": path,
        b"HOME": home,
        b"UPSTREAM": b"http://127.0.0.1:%d" % container.inner,
        b"LISTEN": b"127.0.0.1:%d" % container.front,
        b"PORT": b"9",
        b"SECRET_KEY": b"proxy-secret",
        b"TZ": b"Etc/UTC",
        b"USER": pwd.getpwuid(os.getuid()).pw_name.encode(),
        b"DRAIN_TIMEOUT": b"4.59",
        b"PILLION_RUN_DIR": supervisord[b"PILLION_RUN_DIR"],
    }
    assert environ_of(container.pid(str(BACKEND))) == {
        b"PATH": DEFAULT_PATH.encode(),
        b"HOME": home,
        b"USER": b"somebody",
        b"PORT": b"%d" % container.inner,
        b"WATCH": b"%d" % container.front,
        b"SECRET_KEY": b"backend-secret",
        b"DATABASE_URL": b"db-secret",
        b"TZ": b"Etc/UTC",
        b"PYTHONDONTWRITEBYTECODE": b"1",
        b"SUPERVISOR_ENABLED": b"1",
    }
    code, _ = container.end()
    assert code == 0
    # Its own fresh directory is gone, the one that was asked for is not.
    assert run_directory in Path(os.fsdecode(supervisord[b"PILLION_RUN_DIR"])).parents
    assert list(run_directory.iterdir()) == []


ODD = {
    b"PERCENT": b"%(ENV_HOME)s %% %s 100%",
    b"QUOTES": b"\"double\" 'single' `back`",
    b"SHELL_CHARACTERS": b"$HOME; $(id) && \\ \\n ; # not a comment",
    b"NEWLINES": b"one\ntwo\r\n\ttab\n",
    b"NOT_UTF8": bytes(range(1, 256)),
    b"EMPTY": b"",
    b"LARGE": b"x%" * 50_000,
    b"EQUALS": b"a=b=c",
}


def test_odd_values_arrive_byte_for_byte(start: Start) -> None:
    """S10: through every layer, prefixed to each program, and bare to the backend."""
    prefixed = {prefix + name: value for prefix in (b"PROXY__", b"BACKEND__") for name, value in ODD.items()}
    bare = {b"BARE_" + name: value for name, value in ODD.items()}
    container = start(environ={**prefixed, **bare})
    container.ready()
    for words in (("proxy",), (str(BACKEND),)):
        seen = environ_of(container.pid(*words))
        assert {name: seen.get(name) for name in ODD} == ODD
    seen = environ_of(container.pid(str(BACKEND)))
    assert {name: seen.get(name) for name in bare} == bare


def test_a_misspelt_namespace_is_a_warning(start: Start) -> None:
    """With a suggestion, without the value; the pair starts."""
    container = start(environ={b"PORXY__TOKEN": b"the-value"})
    container.ready()
    _, out = container.end()
    assert "did you mean PROXY__TOKEN?" in out and "the-value" not in out


def test_what_the_layers_entry_set_aside_reaches_the_backend_under_its_own_name(start: Start) -> None:
    """The entry renames what a loader obeys, so that PID 1 and the proxy are spared; the backend is owed it."""
    container = start(environ={b"PILLION_ASIDE_LD_PRELOAD": b"", b"PILLION_ASIDE_GLIBC_TUNABLES": b"a=%b"})
    container.ready()
    backend = environ_of(container.pid(str(BACKEND)))
    assert backend[b"LD_PRELOAD"] == b"" and backend[b"GLIBC_TUNABLES"] == b"a=%b"
    for pid in (container.process.pid, container.pid("proxy"), container.pid(str(BACKEND))):
        assert not [name for name in environ_of(pid) if name.startswith(b"PILLION_ASIDE")]
    assert b"LD_PRELOAD" not in environ_of(container.pid("proxy"))
