"""supervisord in this process, ending with the exit code that the plugin decided on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pillion.image.supervise.lean import leave_out_pages, resolve, without_clients

with without_clients():
    import supervisor.rpcinterface  # noqa: F401 (imports the rest)
    from supervisor.options import ServerOptions
    from supervisor.states import SupervisorStates
    from supervisor.supervisord import go

from pillion.image.launch import DESCRIPTORS_VARIABLE
from pillion.image.orphans import adopt_orphans, end_children
from pillion.image.refusal import Refusal
from pillion.image.run_directory import RUN_DIRECTORY_VARIABLE
from pillion.image.supervise.accounts import Accounts
from pillion.image.supervise.verdict import Verdict
from pillion.image.supervision import SUPERVISION_VARIABLE, Supervision, from_json

CONFIGURATION = Path(__file__).parent.parent / "supervisord.conf"


def supervise(configuration: Path = CONFIGURATION) -> int:
    """Run supervisord until it ends; gives the exit code of the container.

    SIGHUP starts both programs afresh, as it does in supervisord. Raises Refusal if the configuration cannot be read.
    """
    if not {RUN_DIRECTORY_VARIABLE, DESCRIPTORS_VARIABLE, SUPERVISION_VARIABLE} <= os.environ.keys():
        raise Refusal("supervise the pair", "it was not started by `pillion enter`", "use pillion enter -- CMD")
    supervision = from_json(os.environ[SUPERVISION_VARIABLE])
    adopt_orphans()
    leave_out_pages()
    verdict, accounts = Verdict(), Accounts()
    first = True
    try:
        while _once(configuration, supervision, verdict, accounts, first) == SupervisorStates.RESTARTING:
            first = False
    finally:
        end_children()
        # Made by `pillion enter` for us alone.
        shutil.rmtree(os.environ[RUN_DIRECTORY_VARIABLE], ignore_errors=True)
    return verdict.exit_code


def _once(configuration: Path, supervision: Supervision, verdict: Verdict, accounts: Accounts, first: bool) -> int:
    """supervisord from its configuration to its end; the mood that it ended in."""
    options = ServerOptions()
    options.verdict, options.supervision, options.accounts = verdict, supervision, accounts
    options.import_spec = resolve
    options.realize(["-c", str(configuration)])
    options.first, options.test = first, False
    go(options)
    options.close_httpservers()
    options.close_logger()
    options.plugin.finish()
    return int(options.mood)
