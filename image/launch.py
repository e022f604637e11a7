"""The launch record: everything with which a program is started, handed over in a memfd and never in a file.

`pillion enter` writes one record a program at a descriptor above those that supervisord closes; `pillion exec NAME`
reads its own and becomes the program. If it cannot, it says so on a second descriptor: an exit code alone would not
tell a program that was never started from one that ended with the same.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import resource
import signal
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from pillion.image.division import join
from pillion.image.environ.names import encode
from pillion.image.limits import read_limits
from pillion.image.orphans import dies_with
from pillion.image.refusal import Failure, Refusal
from pillion.image.run_directory import RUN_DIRECTORY_VARIABLE as RUN_DIRECTORY_VARIABLE

# For supervisord's pipes, sockets and files.
SPARE_DESCRIPTORS = 64
# supervisord closes descriptors below its `minfds` (64 in supervisord.conf) in each child.
FIRST_DESCRIPTOR = 64
DESCRIPTORS_VARIABLE = "PILLION_RECORDS"
# In the proxy's environment: let no other process of the same uid look into it.
SHUT_VARIABLE = "PILLION_SHUT"
# In that of `pillion enter`: its parent is no container's runtime, whatever it looks like, and measures what it starts.
OUTSIDE_VARIABLE = "PILLION_OUTSIDE"
# PID 1 loses a signal that comes before there is a handler for it; a blocked one waits.
HELD_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
# What a shell answers for a command that is not there, or is there and cannot be run (POSIX, 2.8.2).
NOT_FOUND, NOT_EXECUTABLE = 127, 126
_LIMITS = ("RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_CORE", "RLIMIT_STACK", "RLIMIT_AS")


class LaunchRecord(NamedTuple):
    """How to start one program.

    `uid` and `gid` are numbers, or -1 to stay who we are; `rlimits` maps RLIMIT names to (soft, hard); `stop_signal` is
    a number; `stop_s` is the program's share of the deadline, in seconds from its stop signal to its SIGKILL.
    `origins` says of each name of `environ` from which of the container's it is ("" if computed) and by which layer of
    the split, `originals` are the container's addressed names: both for `pillion env audit`.
    `limits` are those that a user asked for (image/limits.py), `cgroup` the folder of the program's own control group,
    `unmet` what of its limits cannot be had here, and why.
    """

    program: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    cwd: str = ""
    uid: int = -1
    gid: int = -1
    groups: tuple[int, ...] = ()
    umask: int = 0o022
    rlimits: Mapping[str, tuple[int, int]] = {}
    stop_signal: int = signal.SIGTERM
    stop_s: float = 4.0
    limits: str = ""
    cgroup: str = ""
    unmet: str = ""
    origins: Mapping[str, tuple[str, str]] = {}
    originals: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """JSON in ASCII; bytes that are not UTF-8 travel as escaped lone surrogates."""
        return json.dumps(self._asdict()).encode("ascii")


def from_bytes(data: bytes) -> LaunchRecord:
    """The inverse of `LaunchRecord.to_bytes`."""
    fields = json.loads(data)
    for name in ("argv", "groups", "originals"):
        fields[name] = tuple(fields[name])
    for name in ("rlimits", "origins"):
        fields[name] = {each: tuple(pair) for each, pair in fields[name].items()}
    return LaunchRecord(**fields)


def current_limits() -> dict[str, tuple[int, int]]:
    """The limits to give back to the programs: supervisord raises its own."""
    return {name: resource.getrlimit(getattr(resource, name)) for name in _LIMITS}


class Handed(NamedTuple):
    """The descriptors of one program: its record, and where `pillion exec` says that it could not start it."""

    record: int
    refused: int


def hand_over(records: Sequence[LaunchRecord]) -> str:
    """Put each record into a sealed memfd that survives exec; gives the text that names programs and descriptors."""
    handed = {record.program: Handed(_memfd(record.to_bytes()), _eventfd()) for record in records}
    return ",".join(f"{program}={each.record}/{each.refused}" for program, each in handed.items())


def make_room() -> None:
    """Allow this process the descriptors that it and supervisord need; programs get their limits from their records.

    Raises Refusal if that is more than it may have.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = FIRST_DESCRIPTOR + SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < enough:
        if hard != resource.RLIM_INFINITY and hard < enough:
            why = f"only {hard} descriptors are allowed and {enough} are needed"
            raise Refusal("start the pair", why, "raise `ulimit -n`, or the container's nofile limit")
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))


def _memfd(data: bytes) -> int:
    made = os.memfd_create("pillion-launch", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    with os.fdopen(os.dup(made), "wb") as file:
        file.write(data)
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
    fcntl.fcntl(made, fcntl.F_ADD_SEALS, seals)
    # Whoever may look at our descriptors (/proc/1/fd) still cannot open this one by its name there.
    os.fchmod(made, 0)
    return _high(made)


def _eventfd() -> int:
    return _high(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))


def _high(made: int) -> int:
    """At the lowest free descriptor of those that survive, whatever was open before us; without close-on-exec."""
    kept = fcntl.fcntl(made, fcntl.F_DUPFD, FIRST_DESCRIPTOR)
    os.close(made)
    return kept


def say_refused(descriptor: int) -> None:
    """For `pillion exec`: the program could not be started."""
    os.eventfd_write(descriptor, 1)


def was_refused(descriptor: int) -> bool:
    """Whether that was said since this was last asked."""
    try:
        return os.eventfd_read(descriptor) > 0
    except BlockingIOError:
        return False


def read_descriptors(text: str) -> dict[str, Handed]:
    """The inverse of what `hand_over` gives: program to descriptors. Raises Refusal."""
    try:
        parts = [part.partition("=") for part in text.split(",")]
        return {program: Handed(*map(int, digits.split("/"))) for program, _, digits in parts}
    except (TypeError, ValueError) as error:
        why = f"{DESCRIPTORS_VARIABLE} does not say where the launch records are"
        raise Refusal("start a program", why, "start with pillion enter") from error


def take(descriptor: int) -> LaunchRecord:
    """Read a record. The descriptor's offset is shared with every other reader and so is not used."""
    try:
        return from_bytes(os.pread(descriptor, os.fstat(descriptor).st_size, 0))
    except (OSError, ValueError, TypeError) as error:
        raise Refusal(
            "start a program", f"descriptor {descriptor} holds no launch record", "use pillion enter"
        ) from error


def become(record: LaunchRecord) -> NoReturn:
    """Turn this process into the program, as the engine would have started it. Raises Failure if that cannot be."""
    os.umask(record.umask)
    if record.cgroup:
        _join(record)
    # Python ignores these two, and what is ignored stays so across exec.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    # Made ready before the uid changes: the new one may not be able to read our Python.
    end_with_supervisord = dies_with(os.getppid())
    _limit(record)
    if record.uid >= 0:
        _change_user(record)
    if record.cwd:
        try:
            os.chdir(record.cwd)
        except OSError as error:
            why = f"its working directory {record.cwd}: {error.strerror}"
            raise Failure(f"start the {record.program}", why, "mend workingDir") from error
    # Outside a container nobody else would stop us when supervisord is killed. After the uid: that change clears it.
    end_with_supervisord()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        _exec(record)
    except MemoryError as error:
        raise Failure(f"start the {record.program}", "its limits leave no memory to start it", "raise as=") from error


def _join(record: LaunchRecord) -> None:
    try:
        join(record.cgroup)
    except OSError as error:
        why = f"its control group {record.cgroup} cannot be joined ({error.strerror})"
        raise Failure(f"start the {record.program}", why, "leave its memory without a limit") from error


def _limit(record: LaunchRecord) -> None:
    for name, limits in record.rlimits.items():
        _restore_limit(getattr(resource, name), limits)
    for name, limit in read_limits(record.limits).process.items():
        try:
            resource.setrlimit(getattr(resource, name), (limit, limit))
        except (OSError, ValueError) as error:
            why = f"its limit {name.removeprefix('RLIMIT_').lower()}={limit} cannot be set ({error})"
            raise Failure(f"start the {record.program}", why, "lower it") from error


def _restore_limit(which: int, limits: tuple[int, int]) -> None:
    try:
        resource.setrlimit(which, limits)
    except (OSError, ValueError):
        # A hard limit that was lowered since cannot be raised without a capability: the program keeps the lower one.
        return


def _change_user(record: LaunchRecord) -> None:
    try:
        for descriptor in (1, 2):
            # A program that reopens /dev/stdout must own it; without CAP_CHOWN it cannot be, which few would notice.
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, record.uid, record.gid)
        os.setgroups(record.groups)
        os.setgid(record.gid)
        os.setuid(record.uid)
    except OSError as error:
        why = f"uid {record.uid} cannot be taken ({error.strerror})"
        raise Failure(
            f"start the {record.program}", why, "grant CAP_SETUID and CAP_SETGID, or run as one uid"
        ) from error


def find_command(argv0: str, path: str, cwd: str = "") -> tuple[str, int]:
    """Where exec would find a command: its file and 0, or what to say of it and the exit code for that.

    A name with a slash is taken as it is, relative to `cwd`; any other is looked for along `path`.
    """
    if not argv0:
        return "the command is empty", NOT_FOUND
    if "/" in argv0:
        candidates = [Path(cwd, argv0)]
        absent = f"{argv0}: no such file"
    else:
        candidates = [Path(folder, argv0) for folder in path.split(":")]
        absent = f"{argv0}: not found in PATH ({path})"
    for candidate in candidates:
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):  # noqa: PTH113 (Path raises where we may not look)
            return str(candidate), 0
    for candidate in candidates:
        try:
            mode = candidate.stat().st_mode
        except PermissionError:
            return f"{candidate}: permission denied", NOT_EXECUTABLE
        except OSError:
            continue
        return f"{candidate} is " + ("a directory" if stat.S_ISDIR(mode) else "not executable"), NOT_EXECUTABLE
    return absent, NOT_FOUND


def _exec(record: LaunchRecord) -> NoReturn:
    found, code = find_command(record.argv[0], record.environ.get("PATH", ""), "")
    reason = found
    if not code:
        try:
            os.execve(found, [os.fsencode(part) for part in record.argv], encode(record.environ))
        except OSError as error:
            code = NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE
            # ENOENT for a file that is there: its interpreter (#! or ELF) is not.
            reason = f"{found}: {error.strerror}" + (" (its interpreter)" if error.errno == errno.ENOENT else "")
    raise Failure(f"start the {record.program}", reason, "mend its command", exit_code=code)
