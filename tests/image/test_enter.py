"""`pillion enter`: both programs under one supervisord, each with its own environment, and how it all ends."""

from __future__ import annotations

import array
import fcntl
import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import requests

from pillion.compare.proc import descendants
from pillion.image.environ.split import DEFAULT_PATH
from pillion.image.pair import PairRecord, ProgramRecord
from tests.conftest import BACKEND, ENTRY, argv_of, environ_of, eventually, free_port, listens

pytestmark = pytest.mark.usefixtures("nothing_left")


class Container:
    """What a container would be: `pillion enter` with exactly this environment and nothing else.

    `through` is put before it on the command line, to start it in odd circumstances.
    """

    def __init__(
        self, command: list[str], run_directory: Path, environ: dict[bytes, bytes], through: Sequence[str] = ()
    ) -> None:
        self.front, self.inner = free_port(), free_port()
        self.environ = {
            b"PILLION_RUN_DIR": os.fsencode(run_directory),
            b"PROXY__LISTEN": b"127.0.0.1:%d" % self.front,
            b"BACKEND__PORT": b"%d" % self.inner,
            b"BACKEND__WATCH": b"%d" % self.front,
            **environ,
        }
        self.process = subprocess.Popen(
            [*through, ENTRY, "enter", "--", *command],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def ready(self) -> None:
        """Wait until the backend answers through the proxy."""
        eventually(lambda: requests.get(f"http://127.0.0.1:{self.front}/", timeout=5).status_code == 200)

    def pid(self, *words: str) -> int:
        """The oldest process of ours that has these words in its command line."""
        family = sorted(descendants([self.process.pid]))
        return eventually(lambda: next((pid for pid in family if set(words) <= set(argv_of(pid))), 0))

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; the exit code and everything that was written."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        """The exit code and everything that was written."""
        out, _ = self.process.communicate(timeout=30)
        return self.process.returncode, out.decode("utf-8", "backslashreplace")


Start = Callable[..., Container]


@pytest.fixture
def run_directory() -> Iterator[Path]:
    """A short name: a unix socket's path may not be long."""
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        yield Path(folder)


@pytest.fixture
def start(run_directory: Path) -> Iterator[Start]:
    """Starts containers, and ends those that the test did not."""
    started: list[Container] = []

    def run(*arguments: str, environ: dict[bytes, bytes] | None = None, through: Sequence[str] = ()) -> Container:
        container = Container([sys.executable, str(BACKEND), *arguments], run_directory, environ or {}, through)
        started.append(container)
        return container

    yield run
    for container in started:
        if container.process.poll() is None:
            container.end()


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
    assert supervisord.keys() == {b"PATH", b"LANG", b"TMPDIR", b"PILLION_RUN_DIR", b"PILLION_RECORDS"}
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
    """Through every layer: prefixed to each program, and bare to the backend."""
    prefixed = {prefix + name: value for prefix in (b"PROXY__", b"BACKEND__") for name, value in ODD.items()}
    bare = {b"BARE_" + name: value for name, value in ODD.items()}
    container = start(environ={**prefixed, **bare})
    container.ready()
    for words in (("proxy",), (str(BACKEND),)):
        seen = environ_of(container.pid(*words))
        assert {name: seen.get(name) for name in ODD} == ODD
    seen = environ_of(container.pid(str(BACKEND)))
    assert {name: seen.get(name) for name in bare} == bare


def test_a_clean_stop_drains_the_proxy_first(start: Start) -> None:
    """Exit code 0; when the backend hears SIGTERM nobody accepts on the proxy's port any more; last words are kept."""
    container = start()
    container.ready()
    code, out = container.end()
    assert code == 0
    assert f"backend | stopped by {int(signal.SIGTERM)}, proxy gone" in out.splitlines()
    assert not listens(container.front) and not listens(container.inner)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_ctrl_c_and_quit_stop_as_sigterm_does(start: Start, number: int) -> None:
    """One documented exit code for a clean stop."""
    container = start()
    container.ready()
    assert container.end(number)[0] == 0


def test_the_backends_own_stop_signal_is_used(start: Start) -> None:
    """The one in the pair record."""
    record = PairRecord(backend=ProgramRecord(stop_signal="SIGQUIT"))
    container = start(environ={b"PILLION_PAIR": record.to_json().encode()})
    container.ready()
    assert f"stopped by {int(signal.SIGQUIT)}," in container.end()[1]


def test_a_deaf_backend_is_killed_within_the_deadline(start: Start) -> None:
    """The exit code is still that of a stop that was asked for."""
    record = PairRecord(deadline_s=2)
    container = start("deaf", environ={b"PILLION_PAIR": record.to_json().encode()})
    container.ready()
    code, out = container.end()
    assert code == 0 and "SIGKILL" in out


@pytest.mark.parametrize(
    ("arguments", "code", "says"), [(["exit", "3"], 3, "it exited with 3"), (["kill"], 137, "SIGKILL ended it")]
)
def test_a_lost_backend_ends_the_container_with_its_code(
    start: Start, arguments: list[str], code: int, says: str
) -> None:
    """And the log names the program, how it ended and how often it was started."""
    found, out = start(*arguments).wait()
    assert found == code
    assert re.search(rf"pillion \| the backend is lost: {says} in its last of 4 starts", out)


def test_a_proxy_that_cannot_bind_ends_the_container(start: Start) -> None:
    """With its own code and its own reason in the log."""
    taken = subprocess.Popen(
        [sys.executable, str(BACKEND)], env={"PORT": str(port := free_port())}, stdout=subprocess.DEVNULL
    )
    try:
        eventually(lambda: listens(port))
        code, out = start(environ={b"PROXY__LISTEN": b"127.0.0.1:%d" % port}).wait()
    finally:
        taken.kill()
        taken.wait()
    assert code == 2 and f"127.0.0.1:{port}" in out and "the proxy is lost" in out


def test_orphans_do_not_outlive_the_container(start: Start) -> None:
    """A process in a session of its own is reparented to supervisord and ended with it."""
    container = start("orphan")
    container.ready()
    code, out = container.end()
    pid = int(re.findall(r"orphan (\d+)", out)[0])
    assert code == 0 and argv_of(pid) == []


def test_a_signal_before_anything_is_up_is_not_lost(start: Start) -> None:
    """It is held until there is a handler for it; then nothing is started any more."""
    container = start("late", "60")
    eventually(lambda: signal.SIGTERM in _blocked(container.process.pid))
    code, out = container.end()
    assert code == 0 and "SIGKILL" not in out


def test_a_signal_right_after_the_spawn_is_not_lost(start: Start) -> None:
    """A child between fork and exec dies of it: nobody has to wait for the deadline."""
    container = start("late", "60")
    eventually(lambda: len(descendants([container.process.pid])) > 1)
    code, out = container.end()
    assert code == 0 and "SIGKILL" not in out


def _blocked(pid: int) -> set[int]:
    mask = int(re.findall(r"SigBlk:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())[0], 16)
    return {number for number in range(1, 65) if mask & 1 << (number - 1)}


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ([], 2, "cannot start the pair: there is no backend command"),
        (["no-such-command"], 127, "cannot start the backend: no-such-command: not found in PATH"),
        (["/etc"], 126, "cannot start the backend: /etc is a directory"),
        (["/etc/passwd"], 126, "cannot start the backend: /etc/passwd is not executable"),
    ],
)
def test_a_command_that_cannot_be_ends_at_once(tmp_path: Path, command: list[str], code: int, says: str) -> None:
    """One sentence, a shell's exit code, nothing started; so with a working directory that is not there."""
    container = Container(command, tmp_path, {})
    found, out = container.wait()
    assert found == code and says in out and "Traceback" not in out and len(out.splitlines()) == 1


def test_findings_that_must_not_start_refuse(tmp_path: Path) -> None:
    """Both programs on one port: exit code 2 and what to set."""
    container = Container(["sleep", "60"], tmp_path, {b"PROXY__LISTEN": b":7000", b"BACKEND__PORT": b"7000"})
    code, out = container.wait()
    assert code == 2 and "port 7000" in out and "PROXY__LISTEN" in out and len(out.splitlines()) == 1


def test_a_misspelt_namespace_is_a_warning(start: Start) -> None:
    """With a suggestion, without the value; the pair starts."""
    container = start(environ={b"PORXY__TOKEN": b"the-value"})
    container.ready()
    _, out = container.end()
    assert "did you mean PROXY__TOKEN?" in out and "the-value" not in out


ODD_STARTS = {
    "many descriptors are open": "for n in range(3, 71): os.dup2(0, n)",
    "descriptors up to the first record's are open": "for n in range(3, 64): os.dup2(0, n)",
    "few descriptors are allowed": "resource.setrlimit(resource.RLIMIT_NOFILE, (32, 4096))",
    "standard input is closed": "os.close(0)",
}


@pytest.mark.parametrize("prepare", ODD_STARTS.values(), ids=ODD_STARTS)
def test_it_starts_in_odd_circumstances(start: Start, prepare: str) -> None:
    """Whatever its parent left open, closed or limited."""
    code = f"import os, resource, sys\n{prepare}\nos.execv(sys.argv[1], sys.argv[1:])"
    container = start(through=[sys.executable, "-c", code])
    container.ready()
    assert container.end()[0] == 0


def test_too_few_descriptors_are_refused(run_directory: Path) -> None:
    """With the limit to raise."""
    limit = "resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))"
    code = f"import os, resource, sys; {limit}; os.execv(sys.argv[1], sys.argv[1:])"
    found, out = Container(["sleep", "60"], run_directory, {}, [sys.executable, "-c", code]).wait()
    assert found == 2 and "ulimit -n" in out and len(out.splitlines()) == 1
    assert list(run_directory.iterdir()) == []


def test_an_entry_without_a_name_is_none(start: Start) -> None:
    """A block may hold `=x`; no libc finds it, and Python would refuse to pass it on."""
    code = (
        "import ctypes, os, sys; texts = [os.fsencode(a) for a in sys.argv[1:]]; "
        "block = [b'=x', *(n + b'=' + v for n, v in os.environb.items())]; "
        "array = lambda items: (ctypes.c_char_p * (len(items) + 1))(*items, None); "
        "ctypes.CDLL(None).execve(texts[0], array(texts), array(block))"
    )
    container = start(through=[sys.executable, "-c", code])
    container.ready()
    assert container.end()[0] == 0


def test_a_reader_that_takes_nothing_does_not_hold_up_a_stop(start: Start) -> None:
    """The flooding backend blocks on its own pipe; signals are served, and the last line that was taken is whole."""
    container = start("flood")
    container.ready()
    out = container.process.stdout
    assert out is not None
    eventually(lambda: _unread(out.fileno()) == _unread(out.fileno()) > 30_000)
    container.process.send_signal(signal.SIGTERM)
    assert container.process.wait(timeout=20) == 0
    out.close()


def _unread(descriptor: int) -> int:
    waiting = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, waiting)
    return waiting[0]


def test_nothing_survives_a_killed_supervisord(start: Start) -> None:
    """Outside a container there is no kernel that ends the rest with PID 1."""
    container = start()
    container.ready()
    container.process.kill()
    container.process.communicate(timeout=20)
    eventually(lambda: not listens(container.front) and not listens(container.inner))


def test_without_a_place_to_write_it_says_what_to_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the candidates can be written."""
    from pillion.image import enter
    from pillion.image.refusal import Refusal

    monkeypatch.setattr(enter, "RUN_DIRECTORIES", ("/proc/none", "/proc"))
    with pytest.raises(Refusal, match="mount a tmpfs at /run/pillion"):
        enter.make_run_directory("/proc/asked")
    with pytest.raises(Refusal, match="longer than"):
        enter.make_run_directory(str(tmp_path / ("x" * 100)))


def test_a_backend_that_crashes_again_and_again_is_given_up(start: Start) -> None:
    """Also when it was running for a while each time; with its own code."""
    code, out = start("crash", "1.2", "4").wait()
    assert code == 4 and "the backend is lost: it exited with 4 in its last of 5 starts" in out


def test_a_backend_that_is_done_ends_the_container(start: Start) -> None:
    """It is not run again, however quick it was."""
    code, out = start("exit", "0").wait()
    assert code == 0 and "the backend has ended: it exited with 0; the container ends with 0" in out


def test_what_a_dead_backend_left_is_gone_before_it_is_restarted(start: Start) -> None:
    """An orphan would serve on, or keep the port."""
    container = start("orphan")
    container.ready()
    family = descendants([container.process.pid])
    (orphan,) = (pid for pid in family if argv_of(pid)[:1] == ["sleep"])
    os.kill(container.pid(str(BACKEND)), signal.SIGKILL)
    eventually(lambda: argv_of(orphan) == [])
    container.ready()
    assert len([pid for pid in descendants([container.process.pid]) if argv_of(pid)[:1] == ["sleep"]]) == 1


def test_a_missing_working_directory_ends_at_once(tmp_path: Path) -> None:
    """Said before anything is started."""
    record = PairRecord(backend=ProgramRecord(cwd="/no/such/directory"))
    code, out = Container(["sleep", "60"], tmp_path, {b"PILLION_PAIR": record.to_json().encode()}).wait()
    assert code == 126 and "its working directory /no/such/directory is not there" in out and len(out.splitlines()) == 1


def test_a_user_that_is_no_number_is_refused(tmp_path: Path) -> None:
    """It must not run as somebody else in silence."""
    record = PairRecord(backend=ProgramRecord(user="nobody"))
    code, out = Container(["sleep", "60"], tmp_path, {b"PILLION_PAIR": record.to_json().encode()}).wait()
    assert code == 2 and "'nobody' of the pair record is not UID or UID:GID" in out


def test_what_the_layers_entry_set_aside_reaches_the_backend_under_its_own_name(start: Start) -> None:
    """The entry renames what a loader obeys, so that PID 1 and the proxy are spared; the backend is owed it."""
    container = start(environ={b"PILLION_ASIDE_LD_PRELOAD": b"", b"PILLION_ASIDE_GLIBC_TUNABLES": b"a=%b"})
    container.ready()
    backend = environ_of(container.pid(str(BACKEND)))
    assert backend[b"LD_PRELOAD"] == b"" and backend[b"GLIBC_TUNABLES"] == b"a=%b"
    for pid in (container.process.pid, container.pid("proxy"), container.pid(str(BACKEND))):
        assert not [name for name in environ_of(pid) if name.startswith(b"PILLION_ASIDE")]
    assert b"LD_PRELOAD" not in environ_of(container.pid("proxy"))


def test_the_command_may_come_from_the_image(tmp_path: Path) -> None:
    """Where it has no Cmd for it; a program of the pair never sees the variable."""
    code, out = Container([], tmp_path, {b"PILLION_COMMAND": b'["/bin/echo", "a b", "%s"]'}).wait()
    assert code == 0 and "backend | a b %s" in out


@pytest.mark.parametrize("command", [b"/bin/echo", b'{"a": 1}', b'["a", 1]', b"3"])
def test_a_command_of_the_image_that_is_none_is_refused(command: bytes, tmp_path: Path) -> None:
    """As the exec form of CMD or not at all: nothing here guesses at words."""
    code, out = Container([], tmp_path, {b"PILLION_COMMAND": command}).wait()
    assert code == 2 and "PILLION_COMMAND is not a JSON array of strings" in out
