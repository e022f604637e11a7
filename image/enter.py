"""`pillion enter -- CMD`: from a container's first process to supervisord with both programs' launch records.

In this order: hold the signals, read what is known of the pair, split the environment, check, choose a directory to
write to, hand the records over, become supervisord.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from pillion.image.account import Account, account, own_identity
from pillion.image.boundary import boundary, contained, kept_by_init
from pillion.image.environ.finding import REFUSING, Finding
from pillion.image.environ.names import decode, encode
from pillion.image.environ.overrides import VERBATIM
from pillion.image.environ.split import DEFAULT_PATH, Facts, Split, split
from pillion.image.launch import (
    DESCRIPTORS_VARIABLE,
    HELD_SIGNALS,
    NOT_EXECUTABLE,
    SHUT_VARIABLE,
    LaunchRecord,
    current_limits,
    find_command,
    hand_over,
    make_room,
)
from pillion.image.limiting import limited
from pillion.image.pair import PROGRAMS, RECORD_VARIABLE, PairRecord, ProgramRecord, read_record
from pillion.image.refusal import Failure, Refusal
from pillion.image.run_directory import OWN_DIRECTORY, RUN_DIRECTORY_VARIABLE, make_run_directory
from pillion.image.stop_signal import signal_number
from pillion.image.supervision import SUPERVISION_VARIABLE, read_supervision

# What the layer's static entry puts before the names that a dynamic loader obeys (image/layer/entry.c).
ASIDE = b"PILLION_ASIDE_"
# The backend's command where the image could not say it as its Cmd: a JSON array; the container's arguments go first.
COMMAND_VARIABLE = "PILLION_COMMAND"


def enter(
    command: Sequence[str],
    block: Mapping[bytes, bytes],
    entry: Path,
    warn: Callable[[str, str], None],
) -> NoReturn:
    """Become supervisord. `block` is the environment, `entry` the `pillion` executable; `warn` is told a line and the
    log's format. Raises Refusal."""
    _open_standard_descriptors()
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
    environ = decode(block)
    record = read_record(environ[RECORD_VARIABLE]) if environ.get(RECORD_VARIABLE) else PairRecord()
    supervision = read_supervision(environ, record.deadline_s)
    stop_signal = supervision.stop_signal or record.backend.stop_signal
    backend = record.backend._replace(stop_signal=stop_signal)
    record = record._replace(backend=backend, deadline_s=supervision.deadline_s)
    records, findings = prepare(command or image_command(environ), environ, record, entry)
    inside = contained(environ)
    findings = (*findings, *boundary(records, supervision.require_uids, inside))
    if inside:
        findings = (*findings, *kept_by_init(environ, records))
    refuse(findings)
    records, unmet = limited(records, {"proxy": supervision.limits_proxy, "backend": supervision.limits_backend})
    findings = (*findings, *unmet)
    make_room()
    run_directory = make_run_directory(environ.get(RUN_DIRECTORY_VARIABLE, ""))
    # Behind what can refuse: whoever cannot start has one thing to say.
    for finding in findings:
        if finding.severity == "S2":
            warn(str(finding), supervision.log_format)
    supervisor = {
        "PATH": own_path(entry),
        "LANG": "C.UTF-8",
        "TMPDIR": str(run_directory),
        RUN_DIRECTORY_VARIABLE: str(run_directory),
        SUPERVISION_VARIABLE: supervision.to_json(),
        DESCRIPTORS_VARIABLE: hand_over([_with_own_variables(each, run_directory, inside) for each in records]),
    }
    os.execve(entry, [str(entry), "supervise"], encode(supervisor))


def refuse(findings: Iterable[Finding], severities: Collection[str] = REFUSING) -> None:
    """Raise Refusal if there is a finding of one of the severities."""
    if stopping := [finding for finding in findings if finding.severity in severities]:
        raise Refusal("start the pair", "; ".join(map(str, stopping)))


def _open_standard_descriptors() -> None:
    """What is closed would be given to the next file opened, and log lines be written into that."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor: this one


def prepare(
    command: Sequence[str], environ: Mapping[str, str], record: PairRecord, entry: Path
) -> tuple[list[LaunchRecord], tuple[Finding, ...]]:
    """Both programs' launch records and what is to be said of the environment. Raises Refusal."""
    if not command:
        raise Refusal("start the pair", "there is no backend command", "give one: pillion enter -- CMD [ARG...]")
    commands = {"proxy": (str(entry), "proxy", *record.proxy.args), "backend": tuple(command)}
    accounts = {"proxy": account(record.proxy.user), "backend": account(record.backend.user)}
    facts = Facts(
        container=own_identity(),
        proxy=accounts["proxy"].identity,
        backend=accounts["backend"].identity,
        own_path=own_path(entry),
    )
    divided = split(environ, record, facts, lambda path: Path(path).read_bytes())
    records = [
        _launch_record(name, commands[name], getattr(record, name), accounts[name], divided, record.stop_s(name))
        for name in PROGRAMS
    ]
    for each in records:
        _check(each)
    others = [_one_uid(name, who) for name, who in accounts.items() if who.refused is not None]
    return records, (*divided.findings, *others)


def image_command(environ: Mapping[str, str]) -> list[str]:
    """The command that `PILLION_COMMAND` holds, [] if there is none. Raises Refusal if it is no array of strings."""
    text = environ.get(COMMAND_VARIABLE, "")
    if not text:
        return []
    try:
        command = json.loads(text)
    except ValueError:
        command = None
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        mend = """write it as the exec form of CMD: ["gunicorn", "app:app"]"""
        raise Refusal("start the pair", f"{COMMAND_VARIABLE} is not a JSON array of strings", mend)
    return command


def _launch_record(
    name: str, argv: tuple[str, ...], program: ProgramRecord, who: Account, divided: Split, stop_s: float
) -> LaunchRecord:
    umask = os.umask(0o022)
    os.umask(umask)
    try:
        stop_signal = signal_number(program.stop_signal)
    except ValueError as error:
        raise Refusal("start the pair", f"the {name}'s stop signal: {error}", "name one, such as SIGTERM") from error
    return LaunchRecord(
        program=name,
        argv=argv,
        environ=divided.environ(name),
        cwd=program.cwd,
        uid=who.uid,
        gid=who.gid,
        groups=() if who.uid < 0 else (who.gid,),
        umask=umask,
        rlimits=current_limits(),
        stop_signal=stop_signal,
        stop_s=stop_s,
        origins={each: (known.origin, known.layer) for each, known in divided.programs[name].items()},
        originals=divided.originals,
    )


def _one_uid(name: str, who: Account) -> Finding:
    needed = "without root, CAP_SETUID, CAP_SETGID and CAP_KILL"
    happens = f"uid {who.refused} cannot be taken {needed}: it runs as uid {who.identity.uid}"
    return Finding("S2", name, happens, "the split is then hygiene, not a boundary")


def _with_own_variables(record: LaunchRecord, folder: Path, contained: bool) -> LaunchRecord:
    """The proxy keeps its worker files in the directory that was found writable; under a uid of its own, in one of its
    own there. In a container, where nobody but root measures it, it can be looked into by nobody else."""
    if record.program != "proxy":
        return record
    if record.uid not in (-1, os.geteuid()):
        # It must be able to pass, whatever the umask was.
        folder.chmod(0o711)
        if str(folder.parent) == OWN_DIRECTORY:
            folder.parent.chmod(0o755)
        folder /= record.program
        folder.mkdir(mode=0o700)
        try:
            os.chown(folder, record.uid, record.gid)
        except OSError:
            folder.chmod(0o1777)  # without CAP_CHOWN
    own = {RUN_DIRECTORY_VARIABLE: str(folder)} | ({SHUT_VARIABLE: "1"} if contained else {})
    return record._replace(environ={**record.environ, **own})


def _check(record: LaunchRecord) -> None:
    """Refuse what cannot be there before anything is started, with a shell's exit code for a missing command."""
    if record.cwd and not Path(record.cwd).is_dir():
        why = f"its working directory {record.cwd} is not there"
        raise Failure(f"start the {record.program}", why, "make it, or mend workingDir", exit_code=NOT_EXECUTABLE)
    found, code = find_command(record.argv[0], record.environ.get("PATH", ""), record.cwd)
    if code:
        raise Failure(f"start the {record.program}", found, "mend its command", exit_code=code)


def own_path(entry: Path) -> str:
    """The PATH of Pillion's own programs: what is installed beside it, then the usual places."""
    return f"{entry.parent}:{DEFAULT_PATH}"


def started_with() -> dict[bytes, bytes]:
    """The environment this process was given, under the names it was given. `os.environb` may hold more: Python adds
    LC_CTYPE itself (PEP 538)."""
    try:
        entries = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        entries = [b"%s=%s" % item for item in os.environb.items()]
    environ: dict[bytes, bytes] = {}
    for entry in entries:
        name, equals, value = entry.partition(b"=")
        if name and equals:  # an entry without a name is none to any libc
            environ.setdefault(name.removeprefix(ASIDE), value)
    return environ


def command_environment(options: Iterable[str] = ()) -> dict[bytes, bytes]:
    """What `pillion run -- CMD` takes for the container's: ours, and prints of a Python backend seen at once. `options`
    are switches that the command line sets."""
    environ = {**started_with(), **{name.encode(): b"1" for name in options}}
    return environ if environ.get(VERBATIM.encode()) == b"1" else {b"PYTHONUNBUFFERED": b"1", **environ}


def own_entry(argv0: str) -> Path:
    """The `pillion` executable that this process was started through, else the one beside its interpreter."""
    started = Path(argv0)
    if started.name == "pillion" and started.is_file():
        return started.absolute()
    beside = Path(sys.executable).parent / "pillion"
    if beside.is_file():
        return beside
    raise Refusal("start the pair", f"there is no `pillion` command beside {sys.executable}", "install the package")
