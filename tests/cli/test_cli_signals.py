"""Being told to stop: once, and never lost."""

from __future__ import annotations

import os
import signal

import pytest

from pillion.cli.signals import Stopped, stop_on_signals


class Swallows:
    """A destructor in which a signal comes: Python prints what is raised there and goes on."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.getsignal(signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stop_that_was_swallowed_is_found_by_asking() -> None:
    """The exception of the handler is lost; the command still knows."""
    with pytest.raises(Stopped, match="SIGTERM"), stop_on_signals() as stopping:
        swallows = Swallows()
        del swallows
        stopping.check()


def test_a_second_signal_does_not_disturb_the_stopping() -> None:
    """It is taken and nothing is raised; the handlers of before are back at the end."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped, match="SIGINT"), stop_on_signals():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
