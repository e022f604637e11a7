"""The pair that was not made for Pillion: its files are good ones, and so is its database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.conftest import ENTRY, ORDERS

DATASETTE = ORDERS.parent / "datasette"


def test_nothing_of_it_has_to_be_changed_for_one_container() -> None:
    """Nothing collides that the split does not deal with, and every rendering is had."""
    for layout in ("shared", "separate"):
        command = [ENTRY, "render", DATASETTE / "pod.yaml", "--layout", layout, "--to", "kubernetes"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "example-datasette" in done.stdout, done.stderr
        assert "not-a-secret" not in done.stderr


def test_its_database_is_the_same_every_time(tmp_path: Path) -> None:
    """As two images of one recipe should not differ in what they answer."""
    dumps = []
    for name in ("one.db", "other.db"):
        subprocess.run([sys.executable, DATASETTE / "stations.py", tmp_path / name], check=True, timeout=60)
        with closing(sqlite3.connect(tmp_path / name)) as database:
            dumps.append(list(database.iterdump()))
    assert dumps[0] == dumps[1] and len(dumps[0]) > 10_000
