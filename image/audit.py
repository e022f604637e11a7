"""`pillion env audit`, the looking: what the processes of a running pair hold, by /proc, against the launch records.

supervisord looks: it holds the records, so that no value and no hash of one has to leave it. What it may not read (the
proxy, in a container) the asking process tries for itself, which takes a root with CAP_SYS_PTRACE: it finds the records
among supervisord's descriptors.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pillion.image.control import AUDIT_PATH, pair_answer
from pillion.image.environ.audit import Looked, Report, Should, as_given, compare, read_report
from pillion.image.environ.names import decode
from pillion.image.launch import DESCRIPTORS_VARIABLE, SHUT_VARIABLE, LaunchRecord, find_command, read_descriptors, take
from pillion.image.refusal import Failure, Refusal
from pillion.image.run_directory import RUN_DIRECTORY_VARIABLE
from pillion.image.supervise.processes import families, parents
from pillion.image.supervision import SUPERVISION_VARIABLE

SUPERVISORD, INIT, BESIDE = "supervisord", "init", "beside"
# What `pillion enter` leaves to supervisord.
OWN_NAMES = frozenset(("PATH", "LANG", "TMPDIR", RUN_DIRECTORY_VARIABLE, SUPERVISION_VARIABLE, DESCRIPTORS_VARIABLE))
# Whatever is reparented to supervisord is the backend's.
ADOPTED = "backend"
# Before the names that a loader obeys, while our own programs start (image/layer/entry.c).
ASIDE = "PILLION_ASIDE_"
# Those that are looked at: of the pair, by supervisord, which does nothing else meanwhile; beside it.
MOST_PROCESSES, MOST_STRANGERS = 200, 20_000
MOST_BYTES = 4 << 20
PROC = Path("/proc")


class Unread(Exception):
    """Why an environment cannot be told."""


def look(records: Mapping[str, LaunchRecord], pids: Mapping[str, int], own: int) -> Report:
    """In supervisord: every process of the pair. `pids` are the programs' first ones, `own` is ours."""
    family = parents()
    members = families({name: pids.get(name, 0) for name in records}, ADOPTED, family, own)
    told = [(SUPERVISORD, own), *((name, pid) for name in records for pid in sorted(members[name]))]
    if family.get(own) == 1 and any(SHUT_VARIABLE in record.environ for record in records.values()):
        # In a container, so that this is its init and not somebody's own machine's.
        told.insert(0, (INIT, 1))
    originals = next(iter(records.values())).originals if records else ()
    found = [
        _looked(pid, program, pids.get(program, 0) == pid, records, originals) for program, pid in told[:MOST_PROCESSES]
    ]
    return Report(own, tuple(filter(None, found)), tuple(originals), max(len(told) - MOST_PROCESSES, 0))


def ask(run_directory: Path, timeout_s: float) -> Report:
    """supervisord's own report, and what we can read in its place. Raises Failure if it does not answer in time."""
    answer = pair_answer(run_directory, AUDIT_PATH, timeout_s)
    try:
        report = read_report(answer)
    except (ValueError, TypeError, KeyError) as error:
        raise Failure("ask supervisord", "its answer is not what the plugin writes") from error
    if any(each.unread for each in report.processes) and (records := _records_of(report.supervisord)):
        again = (_again(each, records, report.originals) if each.unread else each for each in report.processes)
        report = report._replace(processes=tuple(filter(None, again)))
    return report


def beside(report: Report) -> Iterable[Looked]:
    """Processes that no program of the pair started, as `podman exec` and health checks do, and that hold addressed
    originals; not ourselves and those we come from."""
    family = parents()
    spared, at = {os.getpid()}, os.getpid()
    while at in family:
        at = family[at]
        spared.add(at)
    spared |= {each.pid for each in report.processes}
    for pid in sorted(family.keys() - spared)[:MOST_STRANGERS]:
        try:
            found = as_given(_held(pid), report.originals, fault=False)
        except (Unread, OSError):
            continue
        if found:
            yield Looked(pid, BESIDE, _command(pid), False, len(found), "", found)


def find_supervisord(pid: int) -> Path:
    """The run directory of the supervisord at or below a process of this machine. Raises Refusal, Failure."""
    what = f"audit process {pid}"
    family = parents()
    if pid not in family:
        raise Refusal(what, "there is no such process", "give the pid of `pillion run`")
    if _namespace(pid) != _namespace(os.getpid()):
        raise Refusal(
            what, "it is in a container", "run it there: podman exec CONTAINER /opt/pillion/bin/pillion env audit"
        )
    tree = {pid}
    while grown := {each for each, parent in family.items() if parent in tree and each not in tree}:
        tree |= grown
    for each in sorted(tree):
        if _argv(each)[-1:] != ["supervise"]:
            continue
        try:
            held = _held(each)
        except FileNotFoundError:
            continue
        except Unread as unread:
            raise Failure(what, f"supervisord (pid {each}) {unread}", "run it as the user that started it") from None
        if DESCRIPTORS_VARIABLE in held and RUN_DIRECTORY_VARIABLE in held:
            return Path(held[RUN_DIRECTORY_VARIABLE])
    why = "it is no pair in one container: there is no supervisord of ours below it"
    raise Refusal(what, why, "only layout shared splits an environment")


def _records_of(supervisord: int) -> dict[str, LaunchRecord]:
    """The launch records as supervisord holds them; none if we may not open them."""
    try:
        handed = read_descriptors(_held(supervisord).get(DESCRIPTORS_VARIABLE, ""))
        records = {}
        for name, each in handed.items():
            descriptor = os.open(PROC / str(supervisord) / "fd" / str(each.record), os.O_RDONLY)
            try:
                records[name] = take(descriptor)
            finally:
                os.close(descriptor)
    except (OSError, Refusal, Unread):
        return {}
    return records


def _again(one: Looked, records: Mapping[str, LaunchRecord], originals: Sequence[str]) -> Looked | None:
    """One that supervisord could not read; as it was if we cannot either."""
    return _looked(one.pid, one.program, one.started, records, originals)


def _looked(
    pid: int, program: str, first: bool, records: Mapping[str, LaunchRecord], originals: Sequence[str]
) -> Looked | None:
    """What is found of one process; None if it has gone."""
    record = records.get(program)
    argv, command = _argv(pid), _command(pid)
    started = program == SUPERVISORD or (first and record is not None and _is(argv, record))
    blank = Looked(pid, program, command, started)
    if not command:
        return None
    try:
        held = _held(pid)
        if not held and not argv:
            return None  # a zombie
    except FileNotFoundError:
        return None
    except Unread as unread:
        why = str(unread)
        if record and SHUT_VARIABLE in record.environ:
            why = "lets nobody look into it (PR_SET_DUMPABLE); who has CAP_SYS_PTRACE can: exec --privileged"
        return blank._replace(unread=why)
    if first and DESCRIPTORS_VARIABLE in held:
        return blank._replace(unread="is only being started")
    others = [_should(each) for name, each in records.items() if name != program]
    if program == INIT:
        found = as_given(held, originals, fault=True)
    elif program == SUPERVISORD:
        # Its values are ours; what matters is that it has no name beside them.
        expected = Should(SUPERVISORD, {name: held.get(name, "") for name in OWN_NAMES}, {}, originals)
        found = compare(expected, held, others, started=True)
    elif record is not None:
        if program == "proxy":
            held = {name.removeprefix(ASIDE): value for name, value in held.items()}
        found = compare(_should(record), held, others, started=started)
    else:
        found = ()
    return blank._replace(held=len(held), differences=found)


def _should(record: LaunchRecord) -> Should:
    return Should(record.program, record.environ, record.origins, record.originals)


def _is(argv: Sequence[str], record: LaunchRecord) -> bool:
    """Whether a process still is what was started. A script has its interpreter before its name, so that one that
    became what it is called after (an entry point, a version manager's shim) can be told."""
    file, code = find_command(record.argv[0], record.environ.get("PATH", ""), record.cwd)
    try:
        with Path(file).open("rb") as opened:
            script = not code and opened.read(2) == b"#!"
    except OSError:
        script = False
    if not script:
        return list(argv) == list(record.argv)
    return len(argv) > len(record.argv) and list(argv[-len(record.argv) :]) == [file, *record.argv[1:]]


def _held(pid: int) -> dict[str, str]:
    """What a process was started with. Raises Unread, FileNotFoundError."""
    try:
        block = _block(pid)
    except PermissionError:
        block = _block_as_its_uid(pid)
    except ProcessLookupError:
        raise FileNotFoundError(pid) from None
    environ: dict[bytes, bytes] = {}
    for entry in block.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if entry and not (name and equals):
            raise Unread("has written over it, as programs do that set their title")
        if entry:
            environ.setdefault(name, value)
    if block.strip(b"\0") == b"" and len(block) > 1:
        raise Unread("has written over it, as programs do that set their title")
    return decode(environ)


def _block(pid: int) -> bytes:
    with (PROC / str(pid) / "environ").open("rb") as file:
        return file.read(MOST_BYTES)


def _block_as_its_uid(pid: int) -> bytes:
    """By a child that takes the process's uid, which root may without CAP_SYS_PTRACE. Raises Unread."""
    uid, gid = _ids(pid)
    if uid < 0:
        raise FileNotFoundError(pid)
    own = os.geteuid()
    if own or not uid:
        raise Unread(f"runs as uid {uid}, which uid {own} may not look into")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
            with os.fdopen(writer, "wb") as pipe:
                # A first byte tells an empty environment from one that could not be read.
                pipe.write(b"+" + _block(pid))
        except OSError:
            os._exit(1)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    if not answer:
        raise Unread(f"runs as uid {uid}, which uid {own} may not look into without CAP_SYS_PTRACE")
    return answer[1:]


def _ids(pid: int) -> tuple[int, int]:
    """Effective uid and gid; -1 if it has gone."""
    try:
        text = (PROC / str(pid) / "status").read_text()
    except OSError:
        return -1, -1
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(fields["Uid"].split()[1]), int(fields["Gid"].split()[1])


def _argv(pid: int) -> list[str]:
    try:
        return os.fsdecode((PROC / str(pid) / "cmdline").read_bytes()).split("\0")[:-1]
    except OSError:
        return []


def _command(pid: int) -> str:
    """Not its command line, which may hold a secret."""
    try:
        return os.fsdecode((PROC / str(pid) / "comm").read_bytes()).rstrip("\n") or "?"
    except OSError:
        return ""


def _namespace(pid: int) -> str:
    try:
        return str((PROC / str(pid) / "ns" / "pid").readlink())
    except OSError:
        return ""
