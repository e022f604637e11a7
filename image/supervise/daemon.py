"""supervisord in this process, ending with the exit code that the plugin decided on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from supervisor.options import ServerOptions
from supervisor.states import SupervisorStates
from supervisor.supervisord import go

from pillion.image.launch import DESCRIPTORS_VARIABLE, RUN_DIRECTORY_VARIABLE
from pillion.image.orphans import adopt_orphans, end_children
from pillion.image.refusal import Refusal
from pillion.image.supervise.verdict import Verdict

CONFIGURATION = Path(__file__).parent.parent / "supervisord.conf"


def supervise(configuration: Path = CONFIGURATION) -> int:
    """Run supervisord until it ends; gives the exit code of the container.

    SIGHUP starts both programs afresh, as it does in supervisord. Raises Refusal if the configuration cannot be read.
    """
    if not {RUN_DIRECTORY_VARIABLE, DESCRIPTORS_VARIABLE} <= os.environ.keys():
        raise Refusal("supervise the pair", "it was not started by `pillion enter`", "use pillion enter -- CMD")
    adopt_orphans()
    verdict = Verdict()
    try:
        while _once(configuration, verdict) == SupervisorStates.RESTARTING:
            verdict.restarted = True
    finally:
        end_children()
        # Made by `pillion enter` for us alone.
        shutil.rmtree(os.environ[RUN_DIRECTORY_VARIABLE], ignore_errors=True)
    return verdict.exit_code


def _once(configuration: Path, verdict: Verdict) -> int:
    """supervisord from its configuration to its end; the mood that it ended in."""
    options = ServerOptions()
    options.verdict = verdict
    options.realize(["-c", str(configuration)])
    options.first, options.test = not verdict.restarted, False
    go(options)
    options.close_httpservers()
    options.close_logger()
    options.plugin.finish()
    return int(options.mood)
