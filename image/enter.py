"""`pillion enter -- CMD`: from a container's first process to supervisord with both programs' launch records.

In this order: hold the signals, read what is known of the pair, split the environment, check, choose a directory to
write to, hand the records over, become supervisord.
"""

from __future__ import annotations

import os
import pwd
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from pillion.image.environ.finding import Finding, refusing
from pillion.image.environ.names import decode, encode
from pillion.image.environ.split import DEFAULT_PATH, Facts, Identity, Split, split
from pillion.image.launch import (
    DESCRIPTORS_VARIABLE,
    HELD_SIGNALS,
    RUN_DIRECTORY_VARIABLE,
    LaunchRecord,
    current_limits,
    find_command,
    hand_over,
)
from pillion.image.pair import RECORD_VARIABLE, PairRecord, ProgramRecord, read_record
from pillion.image.refusal import Failure, Refusal

RUN_DIRECTORIES = ("/run/pillion", "/dev/shm", "/tmp")
# The shares of the deadline: the proxy drains first, the backend stops after it; the rest is our own last word.
PROXY_SHARE, BACKEND_SHARE = 0.6, 0.35


class Account(NamedTuple):
    """The numbers a program runs under (-1: those of the caller), and what passwd says of them."""

    uid: int
    gid: int
    identity: Identity


def enter(command: Sequence[str], block: Mapping[bytes, bytes], entry: Path, warn: Callable[[str], None]) -> NoReturn:
    """Become supervisord. `block` is the environment, `entry` the `pillion` executable. Raises Refusal."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
    environ = decode(block)
    record = read_record(environ[RECORD_VARIABLE]) if environ.get(RECORD_VARIABLE) else PairRecord()
    records, findings = prepare(command, environ, record, entry)
    for finding in findings:
        if finding.severity != "S3":
            warn(str(finding))
    if refused := refusing(findings):
        raise Refusal("start the pair", "; ".join(str(finding) for finding in refused))
    run_directory = choose_run_directory(environ.get(RUN_DIRECTORY_VARIABLE, ""))
    supervisor = {
        "PATH": f"{entry.parent}:{DEFAULT_PATH}",
        "LANG": "C.UTF-8",
        "TMPDIR": str(run_directory),
        RUN_DIRECTORY_VARIABLE: str(run_directory),
        DESCRIPTORS_VARIABLE: hand_over(records),
    }
    os.execve(entry, [str(entry), "supervise"], encode(supervisor))


def prepare(
    command: Sequence[str], environ: Mapping[str, str], record: PairRecord, entry: Path
) -> tuple[list[LaunchRecord], tuple[Finding, ...]]:
    """Both programs' launch records and what is to be said of the environment. Raises Refusal."""
    if not command:
        raise Refusal("start the pair", "there is no backend command", "give one: pillion enter -- CMD [ARG...]")
    accounts = {"proxy": account(record.proxy.user), "backend": account(record.backend.user)}
    facts = Facts(
        container=account("").identity,
        proxy=accounts["proxy"].identity,
        backend=accounts["backend"].identity,
        own_path=f"{entry.parent}:{DEFAULT_PATH}",
    )
    divided = split(environ, record, facts, lambda path: Path(path).read_bytes())
    proxy_command = (str(entry), "proxy", *record.proxy.args)
    records = [
        _launch_record("proxy", proxy_command, record.proxy, accounts["proxy"], divided, record),
        _launch_record("backend", tuple(command), record.backend, accounts["backend"], divided, record),
    ]
    _check_command(records[1])
    return records, divided.findings


def _launch_record(
    name: str, argv: tuple[str, ...], program: ProgramRecord, who: Account, divided: Split, record: PairRecord
) -> LaunchRecord:
    share = PROXY_SHARE if name == "proxy" else BACKEND_SHARE
    environ = divided.environ(name)
    if name == "proxy":
        # Its own drain must end before supervisord's patience with it does.
        environ.setdefault("DRAIN_TIMEOUT", f"{record.deadline_s * share * 0.9:g}")
    umask = os.umask(0o022)
    os.umask(umask)
    return LaunchRecord(
        program=name,
        argv=argv,
        environ=environ,
        cwd=program.cwd,
        uid=who.uid,
        gid=who.gid,
        groups=() if who.uid < 0 else (who.gid,),
        umask=umask,
        rlimits=current_limits(),
        stop_signal=_signal_number(program.stop_signal),
        stop_s=record.deadline_s * share,
    )


def _signal_number(name: str) -> int:
    """`SIGTERM`, `TERM` or `15`. Raises Refusal."""
    if name.isdigit() and int(name) in set(signal.Signals):
        return int(name)
    number = getattr(signal, f"SIG{name.upper().removeprefix('SIG')}", None)
    if not isinstance(number, signal.Signals):
        raise Refusal("start the pair", f"the stop signal {name!r} is not known here", "name one, such as SIGTERM")
    return int(number)


def _check_command(record: LaunchRecord) -> None:
    """Refuse a command that cannot be there before anything is started, with a shell's exit code for it."""
    found, code = find_command(record.argv[0], record.environ.get("PATH", ""), record.cwd)
    if code:
        raise Failure("start the backend", found, "mend its command", exit_code=code)


def account(user: str) -> Account:
    """The account for `UID[:GID]`, or for "" the one this process has; nobody but root can take another."""
    own = os.geteuid()
    uid_text, _, gid_text = user.partition(":")
    if not user or own != 0 or not uid_text.isdigit():
        return Account(-1, -1, _identity(own))
    uid = int(uid_text)
    gid = int(gid_text) if gid_text.isdigit() else _primary_group(uid)
    return Account(uid, gid, _identity(uid))


def _identity(uid: int) -> Identity:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Identity(uid)
    return Identity(uid, entry.pw_name, entry.pw_dir)


def _primary_group(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return 0


def choose_run_directory(asked: str) -> Path:
    """A private directory of our own in the first place that can be written. Raises Refusal if none can."""
    places = ([asked] if asked else []) + list(RUN_DIRECTORIES)
    for place in places:
        try:
            if place in (asked, "/run/pillion"):
                Path(place).mkdir(mode=0o700, parents=True, exist_ok=True)
                if os.access(place, os.W_OK):
                    return Path(place)
            else:
                fresh = Path(place, f"pillion-{os.urandom(6).hex()}")
                fresh.mkdir(mode=0o700)
                return fresh
        except OSError:
            continue
    why = "none of " + ", ".join(places) + " can be written"
    raise Refusal("start the pair", why, f"mount a tmpfs at /run/pillion, or set {RUN_DIRECTORY_VARIABLE}")


def started_with() -> dict[bytes, bytes]:
    """The environment this process was given. `os.environb` may hold more: Python adds LC_CTYPE itself (PEP 538)."""
    try:
        block = Path("/proc/self/environ").read_bytes()
    except OSError:
        return dict(os.environb)
    environ: dict[bytes, bytes] = {}
    for entry in block.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if equals:
            environ.setdefault(name, value)
    return environ


def own_entry(argv0: str) -> Path:
    """The `pillion` executable that this process was started through, else the one beside its interpreter."""
    started = Path(argv0)
    if started.name == "pillion" and started.is_file():
        return started.absolute()
    beside = Path(sys.executable).parent / "pillion"
    if beside.is_file():
        return beside
    raise Refusal("start the pair", f"there is no `pillion` command beside {sys.executable}", "install the package")
