"""`pillion`: finds the command's module and runs it; the one place where errors become exit codes.

Imports as little as it can: in a container this stands before every start of both programs.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys

from pillion.image.refusal import Refusal

COMMANDS = {
    "compare": "run the pair in every layout, measure, report (the main job)",
    "report": "render a comparison that was written, as a page or as Markdown",
    "run": "keep the pair up in one layout",
    "build": "compose the combined image, no daemon needed",
    "render": "the pair as a Kubernetes, Compose or Containerfile, in either layout",
    "env": "who sees which environment variable, from where and why",
    "proxy": "the sidecar alone in front of any URL",
    "enter": "in the container: both programs under supervisord",
    "exec": "in the container: become one program of the pair",
    "health": "in the container: whether it is live, or ready",
    "ctl": "in the container: supervisorctl",
}
INTERNAL = ("supervise",)
SIGNALLED = 128


def usage() -> str:
    """The overview that `pillion` and `pillion --help` show."""
    rows = "\n".join(f"  {name:9} {what}" for name, what in COMMANDS.items())
    return (
        "A backend and its HTTP sidecar in one container, and the measured difference to two.\n\n"
        f"usage: pillion COMMAND [ARGUMENTS]\n\n{rows}\n\n"
        "example: pillion compare examples/orders/pod.yaml\n"
        "`pillion COMMAND --help` says more."
    )


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives its exit code: 0 done, 1 it ran and failed, 2 bad input, 128 + signal."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        from importlib.metadata import version

        print(f"pillion {version('pillion')}")
        return 0
    command, *rest = arguments
    if command not in COMMANDS and command not in INTERNAL:
        print(f"pillion: cannot run {command!r}: there is no such command; see pillion --help", file=sys.stderr)
        return 2
    try:
        return int(importlib.import_module(f"pillion.cli.{command}").main(rest))
    except Refusal as refusal:
        print(f"pillion: {refusal}", file=sys.stderr)
        return refusal.exit_code
    except KeyboardInterrupt as interrupt:
        number = int(getattr(interrupt, "number", signal.SIGINT))
        print(f"pillion: stopped by {signal.Signals(number).name}", file=sys.stderr)
        return SIGNALLED + number
    except BrokenPipeError:
        # Nobody reads what we print: end as a program does that SIGPIPE ends, without another attempt at the flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SIGNALLED + signal.SIGPIPE
    except OSError as error:
        print(f"pillion: cannot run {command}: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("pillion"):
            raise
        print(
            f"pillion: cannot run {command}: {error.name} is not installed; pip install 'pillion[tools]'",
            file=sys.stderr,
        )
        return 2


if __name__ == "__main__":
    sys.exit(main())
