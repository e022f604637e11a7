"""Every command tells how it is used."""

from __future__ import annotations

import pytest

from pillion.cli import env
from pillion.cli.main import COMMANDS, main


@pytest.mark.parametrize("command", [*([name] for name in COMMANDS), *(["env", name] for name in env.COMMANDS)])
def test_help_is_to_be_had(command: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """With an example, for those that a person types."""
    try:
        code = main([*command, "--help"])
    except SystemExit as ended:
        code = int(ended.code or 0)
    said = capfd.readouterr().out
    assert code == 0 and f"usage: pillion {' '.join(command)}" in said
    assert "example:" in said or command in (["exec"], ["ctl"])  # the one internal, the other all examples
