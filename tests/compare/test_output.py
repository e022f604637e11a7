"""What reads the programs' output, when it is interrupted before it has begun."""

from __future__ import annotations

import threading

import pytest

from pillion.compare.output import Output


def test_a_reader_that_never_began_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ctrl-C can come between making the thread and starting it; then stopping everything must go on."""

    def interrupted(_: threading.Thread) -> None:
        raise KeyboardInterrupt

    output = Output({}, None)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            output.start()
    output.finish(0.1)
    assert output.last_lines() == ""
