"""`pillion render` as a user runs it."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import ENTRY, ORDERS


def render(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it."""
    command = [ENTRY, "render", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("file", ["pod.yaml", "compose.yaml"])
@pytest.mark.parametrize("layout", ["shared", "separate"])
@pytest.mark.parametrize("target", ["kubernetes", "compose", "containerfile"])
def test_the_sample_pair_in_every_form(file: str, layout: str, target: str) -> None:
    """The file on standard output begins with how it was made; notes are on standard error."""
    done = render(ORDERS / file, "--layout", layout, "--to", target)
    assert done.returncode == 0 and done.stdout.startswith("# orders (")
    assert f"--layout {layout} --to {target}" in done.stdout.splitlines()[1]
    assert all(line.startswith("note: ") for line in done.stderr.splitlines())
    assert ("pillion/example-orders-combined:latest" in done.stdout) == (layout == "shared")
    # The same twice.
    assert render(ORDERS / file, "--layout", layout, "--to", target).stdout == done.stdout


def test_a_file_with_secrets_is_its_owners_alone(tmp_path: Path) -> None:
    """Written beside and renamed; one without secrets has the usual mode."""
    out = tmp_path / "out.yaml"
    out.write_text("before")
    assert render(ORDERS / "pod.yaml", "--to", "kubernetes", "-o", out).stdout == ""
    assert [each["kind"] for each in yaml.safe_load_all(out.read_text())] == ["Pod", "Secret"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    umask = os.umask(0o022)
    os.umask(umask)
    assert render(ORDERS / "pod.yaml", "--to", "containerfile", "-o", tmp_path / "file").returncode == 0
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~umask
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "out.yaml"]


def test_a_pipe_is_written_to() -> None:
    """Standard output, too, by the name that a script gives it."""
    asked = (ORDERS / "pod.yaml", "--to", "containerfile")
    plain, named = render(*asked), render(*asked, "-o", "/dev/stdout")
    assert named.returncode == 0 and named.stdout.splitlines()[2:] == plain.stdout.splitlines()[2:] != []


def test_the_images_name_can_be_given() -> None:
    """The same in every target."""
    assert "image: reg/x:7\n" in render(ORDERS / "pod.yaml", "--to", "kubernetes", "--image", "reg/x:7").stdout
    assert "image: reg/x:7\n" in render(ORDERS / "pod.yaml", "--to", "compose", "--image", "reg/x:7").stdout
    assert "--name reg/x:7" in render(ORDERS / "pod.yaml", "--to", "containerfile", "--image", "reg/x:7").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "helm"], "argument --to: invalid choice: 'helm'"),
        ([], "the following arguments are required: --to"),
        (["--to", "compose", "--layout", "embedded"], "argument --layout: invalid choice"),
        (["--to", "kubernetes", "--native-sidecar"], "--native-sidecar has a meaning for"),
        (["--to", "kubernetes", "--image", "a b"], "argument --image: 'a b' is no name of an image"),
        (["--to", "kubernetes", "-o", "/nowhere/x"], "argument -o/--out: /nowhere/x cannot be written there"),
    ],
)
def test_what_cannot_be_rendered_is_refused(arguments: list[str], words: str) -> None:
    """One line, exit code 2, nothing on standard output."""
    done = render(ORDERS / "pod.yaml", *arguments)
    assert (done.returncode, done.stdout) == (2, "") and words in done.stderr and done.stderr.count("\n") == 1


def test_help_has_an_example() -> None:
    """And says what becomes of secrets."""
    done = render("--help")
    assert done.returncode == 0 and "example: pillion render pod.yaml" in done.stdout and "secret" in done.stdout
