"""supervisord alone, the same version that Pillion stands on, as its documents put it into a container.

Chosen: in the foreground, its own log on stdout (loglevel as it is by default); the programs' logs on /dev/stdout and
/dev/stderr without rotation; the proxy stopped first (priority); groups of processes killed (killasgroup); half of the
platform's grace for each program, less what its polls take, because they are stopped one after the other; variables by
%(ENV_X)s, as documented; a control socket, so that supervisorctl works. No event listener, no TMPDIR.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Sequence
from importlib.metadata import version as installed

from benchmarks.scoreboard.pair import Command, Pair

NAME, DEPTH = "supervisor", 1
# It looks for signals, ends and time limits once a second.
POLLS_S = 3.0
CONFIGURATION = """[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile={folder}/supervisord.pid

[unix_http_server]
file={folder}/supervisor.sock

[supervisorctl]
serverurl=unix://{folder}/supervisor.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
PROGRAM = """
[program:{name}]
command={command}
environment={environment}
priority={priority}
autorestart={autorestart}
startretries={restarts}
stopwaitsecs={stop_s}
killasgroup=true
stdout_logfile=/dev/stdout
stdout_logfile_maxbytes=0
stderr_logfile=/dev/stderr
stderr_logfile_maxbytes=0
"""


def missing() -> str:
    """Never: Pillion needs it."""
    return ""


def version() -> str:
    """The installed one."""
    return installed("supervisor")


def command(pair: Pair) -> Command:
    """Python without `site`, as for Pillion."""
    text = CONFIGURATION.format(folder=pair.folder)
    for priority, (name, words) in enumerate(pair.programs.items(), 1):
        variables = pair.settings.get(name, {})
        text += PROGRAM.format(
            name=name,
            command=" ".join(map(_quoted, words)),
            environment=",".join(f'{each}="%(ENV_{name.upper()}__{each})s"' for each in variables),
            priority=priority,
            autorestart="unexpected" if pair.restarts else "false",
            restarts=pair.restarts,
            stop_s=max(int((pair.grace_s - POLLS_S) / 2), 1),
        )
    (pair.folder / "supervisord.conf").write_text(text)
    return _python(pair, "supervisord"), pair.environ


def control(pair: Pair, verb: str, program: str) -> Sequence[str]:
    """supervisorctl."""
    words = {"restart": ("restart", program), "reload": ("signal", "HUP", program)}[verb]
    return (*_python(pair, "supervisorctl"), *words)


def health(pair: Pair, what: str) -> Sequence[str]:
    """`supervisorctl status` tells whether programs run; not whether anything answers."""
    del pair, what
    return ()


def _python(pair: Pair, module: str) -> Sequence[str]:
    code = (
        f"import sys; sys.path.append({sysconfig.get_path('purelib')!r}); "
        f"from supervisor.{module} import main; main(['-c', {str(pair.folder / 'supervisord.conf')!r}, *sys.argv[1:]])"
    )
    return sys.executable, "-I", "-S", "-X", "utf8", "-c", code


def _quoted(word: str) -> str:
    """For shlex in an INI file that expands `%`."""
    return "'" + word.replace("%", "%%").replace("'", "'\"'\"'") + "'"
