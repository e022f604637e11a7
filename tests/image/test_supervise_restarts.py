"""When a program is started again, when it is given up, and what the container then ends with."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pillion.compare.proc import descendants
from pillion.image.supervise.restarts import JITTER, Restarts
from pillion.image.supervision import Supervision
from tests.conftest import BACKEND, argv_of, eventually, free_port, listens
from tests.entered import Start

pytestmark = pytest.mark.usefixtures("nothing_left")
QUICK = {b"PILLION_RESTARTS": b"3", b"PILLION_BACKOFF": b"20ms", b"PILLION_BACKOFF_MAX": b"40ms"}
NEVER = {b"PILLION_RESTARTS": b"0"}


@pytest.mark.parametrize(
    ("arguments", "code", "says"), [(["exit", "3"], 3, "it exited with 3"), (["kill"], 137, "SIGKILL ended it")]
)
def test_a_lost_backend_ends_the_container_with_its_code(
    start: Start, arguments: list[str], code: int, says: str
) -> None:
    """S3: and the last line of the log names the program, how it ended and how often it was started."""
    found, out = start(*arguments, environ=QUICK).wait()
    assert found == code
    last = out.splitlines()[-1]
    assert last.startswith(
        f"pillion | the backend is lost: {says} in its last of 4 starts; the container ends with {code}"
    )


def test_what_it_said_last_is_said_again_at_the_end(start: Start) -> None:
    """Where a reader looks first, even without a newline and whatever the proxy wrote while it drained."""
    program = "echo starting; printf 'no database' >&2; exit 78"
    code, out = start(command=["/bin/sh", "-c", program], environ=NEVER).wait()
    assert code == 78 and out.splitlines()[-1].endswith("MiB; its last line: no database")


def test_a_killed_program_without_restarts_ends_the_container(start: Start) -> None:
    """S4: its code is a shell's, 128 + 9, whoever killed it."""
    container = start(environ=NEVER)
    container.ready()
    subprocess.run(["kill", "-9", str(container.pid(str(BACKEND)))], check=True)
    code, out = container.wait()
    assert code == 137 and "the backend is lost: SIGKILL ended it; the container ends with 137" in out


def test_a_killed_proxy_ends_the_container_too(start: Start) -> None:
    """Without it nothing is served, however well the backend is."""
    container = start(environ=NEVER)
    container.ready()
    subprocess.run(["kill", "-9", str(container.pid("proxy"))], check=True)
    code, out = container.wait()
    assert code == 137 and "the proxy is lost: SIGKILL ended it" in out


def test_a_backend_that_crashes_after_it_was_running_is_given_up(start: Start) -> None:
    """S19: the same budget and the same pauses as for one that never came up; with its own code."""
    environ = {**QUICK, b"PILLION_RESTARTS": b"2"}
    code, out = start("crash", "1.2", "4", environ=environ).wait()
    assert code == 4 and "the backend is lost: it exited with 4 in its last of 3 starts" in out
    assert re.findall(r"restart \d of 2 within 120 s follows in [\d.]+ s", out)


def test_a_proxy_that_cannot_bind_ends_the_container(start: Start) -> None:
    """S12: with its own code and its own reason in the log."""
    taken = subprocess.Popen(
        [sys.executable, str(BACKEND)], env={"PORT": str(port := free_port())}, stdout=subprocess.DEVNULL
    )
    try:
        eventually(lambda: listens(port))
        code, out = start(environ={**QUICK, b"PROXY__LISTEN": b"127.0.0.1:%d" % port}).wait()
    finally:
        taken.kill()
        taken.wait()
    assert code == 2 and f"127.0.0.1:{port}" in out
    assert "the proxy is lost: it exited with 2; the container ends with 2" in out


@pytest.mark.parametrize("setting", [b"PROXY__RETRY_AFTER", b"PROXY__NO_SUCH_SETTING"])
def test_a_proxy_that_is_set_up_wrongly_ends_the_container_at_once(start: Start, setting: bytes) -> None:
    """Trying again would not help, and the budget of restarts would only hide the sentence that says so."""
    if setting.endswith(b"SETTING"):
        environ = {b"PROXY__UPSTREAM_CA": b"/no/such/file", b"PROXY__UPSTREAM": b"https://127.0.0.1:1"}
    else:
        environ = {setting: b"soon"}
    code, out = start(environ=environ).wait()
    assert code == 2 and "it would do so again: it is given up" in out and "restart 1 of" not in out
    assert "the proxy is lost: it exited with 2; the container ends with 2" in out


@pytest.mark.parametrize(
    ("first_line", "code", "says"),
    [("#!/no/such/interpreter", 127, "(its interpreter)"), ("\x7fELF", 126, "Exec format")],
)
def test_a_backend_that_cannot_be_started_ends_the_container_at_once(
    start: Start, tmp_path: Path, first_line: str, code: int, says: str
) -> None:
    """It is there and executable, and only the kernel knows better; told from a program that ends with this code."""
    program = tmp_path / "program"
    program.write_text(first_line)
    program.chmod(0o755)
    found, out = start(command=[str(program)]).wait()
    assert found == code and says in out and "restart 1 of" not in out
    found, out = start("exit", str(code), environ={**QUICK, b"PILLION_RESTARTS": b"1"}).wait()
    assert found == code and "in its last of 2 starts" in out


def test_workers_of_a_killed_proxy_do_not_keep_its_successor_out(start: Start) -> None:
    """Who was killed could not stop them; they have its port."""
    container = start()
    container.ready()
    master = container.pid("proxy")
    workers = descendants([master]) - {master}
    # They would go by themselves when they see that they are alone; these do not see it.
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    os.kill(master, signal.SIGKILL)
    container.says("the proxy: SIGKILL ended it; restart 1 of 5")
    container.ready()
    assert workers and not any(argv_of(pid) for pid in workers)
    code, out = container.end()
    assert code == 0 and "cannot listen" not in out


def test_a_backend_that_is_done_ends_the_container(start: Start) -> None:
    """It is not run again, however quick it was."""
    code, out = start("exit", "0").wait()
    assert code == 0 and "the backend has ended: it exited with 0; the container ends with 0" in out


def test_pauses_double_up_to_a_cap_until_the_budget_is_spent() -> None:
    """Each shortened by chance, so that many containers do not come back in step; never lengthened."""
    asked = Supervision(restarts=6, restart_window_s=100, backoff_s=1, backoff_max_s=5)
    restarts = Restarts(asked, chance=lambda: 0.0)
    assert [restarts.after_end("backend", now) for now in range(7)] == [1, 2, 4, 5, 5, 5, None]
    assert Restarts(asked, chance=lambda: 1.0).after_end("backend", 0) == 1 - JITTER


def test_what_lies_before_the_window_is_forgotten() -> None:
    """A crash an hour is a nuisance, not a loss; and each program has a budget of its own."""
    restarts = Restarts(Supervision(restarts=1, restart_window_s=100), chance=lambda: 0.0)
    assert restarts.after_end("backend", 0) is not None
    assert restarts.after_end("backend", 99) is None
    assert restarts.after_end("proxy", 99) is not None
    assert restarts.after_end("backend", 200) is not None
