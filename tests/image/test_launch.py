"""Launch records: what is handed over arrives, and the program becomes exactly what the record says."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillion.image.launch import Handed, LaunchRecord, find_command, from_bytes, read_descriptors
from pillion.image.refusal import Refusal

TEXT = st.binary(max_size=40).map(lambda data: data.decode("utf-8", "surrogateescape"))
BECOME = "import sys; from pillion.image import launch; launch.become(launch.from_bytes(sys.stdin.buffer.read()))"
REPORT = """
import json, os, resource, signal, sys
umask = os.umask(0)
print(json.dumps({
    "argv": sys.argv[1:], "cwd": os.getcwd(), "umask": umask, "environ": sorted(os.environ),
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE), "uid": os.getuid(), "groups": os.getgroups(),
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "ignored": [int(line.split()[1], 16) for line in open("/proc/self/status") if line.startswith("SigIgn")],
}))
"""


def become(record: LaunchRecord) -> subprocess.CompletedProcess[bytes]:
    """A process that turns into the record's program."""
    return subprocess.run(
        [sys.executable, "-c", BECOME],
        input=record.to_bytes(),
        capture_output=True,
        timeout=30,
        check=False,
        # As under supervisord: the signals that enter holds are still blocked.
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP}),  # type: ignore[arg-type,return-value]
    )


@given(st.lists(TEXT, min_size=1), st.dictionaries(TEXT, TEXT), st.integers(-1, 70000))
def test_a_record_survives_its_travel(argv: list[str], environ: dict[str, str], uid: int) -> None:
    """Whatever bytes the arguments and the environment hold."""
    record = LaunchRecord("backend", tuple(argv), environ, uid=uid, groups=(1, 2), rlimits={"RLIMIT_CORE": (0, 1)})
    assert from_bytes(record.to_bytes()) == record


def test_the_program_is_what_the_record_says(tmp_path: Path) -> None:
    """argv, environment, directory, umask, limits; no blocked and no ignored signal is inherited."""
    soft = 100
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    record = LaunchRecord(
        "backend",
        (sys.executable, "-c", REPORT, "a b", "%x"),
        {"ONLY": "this"},
        cwd=str(tmp_path),
        umask=0o027,
        rlimits={"RLIMIT_NOFILE": (soft, hard)},
    )
    found = json.loads(become(record).stdout)
    assert found["argv"] == ["a b", "%x"] and found["cwd"] == str(tmp_path) and found["umask"] == 0o027
    assert set(found["environ"]) <= {"ONLY", "LC_CTYPE"}  # Python sets the second by itself
    assert found["nofile"] == [soft, hard] and found["blocked"] == []
    assert not found["ignored"][0] & (1 << (signal.SIGHUP - 1) | 1 << (signal.SIGTERM - 1))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take another uid")
def test_root_takes_the_programs_uid() -> None:
    """With its groups; by numbers, without an entry in passwd."""
    record = LaunchRecord(
        "backend", ("/bin/sh", "-c", "id -u; id -G"), {"PATH": "/bin:/usr/bin"}, "/", 65532, 65533, (65533,)
    )
    assert become(record).stdout.split() == [b"65532", b"65533"]


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("no-such-command", 127, "not found in PATH"),
        ("/no/such/file", 127, "no such file"),
        ("/etc", 126, "is a directory"),
        ("/etc/passwd", 126, "is not executable"),
        ("", 127, "empty"),
    ],
)
def test_a_command_that_cannot_be_is_told_from_one_that_is_missing(command: str, code: int, says: str) -> None:
    """With a shell's exit codes, 127 and 126."""
    found, found_code = find_command(command, "/usr/bin:/bin")
    assert found_code == code and says in found


@pytest.mark.skipif(os.geteuid() != 0, reason="root may look everywhere, and only root can become another")
def test_a_directory_that_may_not_be_searched_is_passed_over(tmp_path: Path) -> None:
    """As execvp does it; if nothing else is found, that is the reason."""
    with tempfile.TemporaryDirectory(prefix="path-") as folder:
        Path(folder, "there").touch()
        code = (
            "import os, sys; os.setuid(65534); from pillion.image.launch import find_command; "
            "print(find_command('sh', sys.argv[1] + ':/bin'), find_command('there', sys.argv[1]))"
        )
        preloaded = f"import pillion.image.launch; exec({code!r})"
        done = subprocess.run([sys.executable, "-c", preloaded, folder], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("('/bin/sh', 0)") and "permission denied', 126)" in done.stdout


def test_a_command_is_found_as_exec_would(tmp_path: Path) -> None:
    """Along PATH without a slash, relative to the directory with one."""
    script = tmp_path / "here.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert find_command("sh", "/no:/bin") == ("/bin/sh", 0)
    assert find_command("./here.sh", "", str(tmp_path)) == (str(script), 0)


def test_descriptors_that_are_none_are_refused() -> None:
    """`pillion exec` outside a container says what is missing."""
    assert read_descriptors("proxy=64/65,backend=66/67") == {"proxy": Handed(64, 65), "backend": Handed(66, 67)}
    with pytest.raises(Refusal, match="PILLION_RECORDS"):
        read_descriptors("")
