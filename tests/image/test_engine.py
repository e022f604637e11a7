"""Finding an engine: what is missing, silent or too old is bad input, in one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pillion.image.engine import DOCKER, ENGINES, PODMAN, Engine, complaint, find_engine, read_version
from pillion.image.refusal import Failure, Refusal
from tests.conftest import eventually


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> None:
    """A client of that name that does what the shell script says, and nobody else on PATH."""
    client = folder / name
    client.write_text(f"#!/bin/sh\n{script}\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It is named, and the one that needs none is offered."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refusal, match=f"engine {name} is not installed; install {name}, or choose --engine process"):
        find_engine(name, "run x")


@pytest.mark.parametrize(
    ("name", "script", "words"),
    [
        (DOCKER, "echo 'Cannot connect to the Docker daemon' >&2; exit 1", "does not answer: Cannot connect to the Do"),
        (DOCKER, "echo", "does not answer: it said nothing"),
        (DOCKER, "echo 19.03.5", "engine docker is 19.03.5, and before 20.10 it is not known to work"),
        (PODMAN, "echo 3.0.1", "engine podman is 3.0.1, and before 4.3"),
        (PODMAN, "echo nonsense", "engine podman is nonsense"),
    ],
)
def test_an_engine_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str, words: str
) -> None:
    """Its own word is in ours."""
    stand_in(tmp_path, monkeypatch, name, script)
    with pytest.raises(Refusal, match=words) as refused:
        find_engine(name, "run x")
    assert refused.value.exit_code == 2


def test_one_that_answers_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its version as it says it."""
    stand_in(tmp_path, monkeypatch, DOCKER, "echo 20.10.24+dfsg1")
    assert find_engine(DOCKER, "run x") == Engine(DOCKER, str(tmp_path / DOCKER), "20.10.24+dfsg1")


def test_a_complaint_that_passes_is_not_the_last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """podman is asked again; what does not pass is said all the same."""
    complains = "echo 'Error: is in state stopping: container state improper' >&2; exit 125"
    stand_in(
        tmp_path,
        monkeypatch,
        PODMAN,
        f"[ -e {tmp_path}/again ] && echo done && exit\n: > {tmp_path}/again\n{complains}",
    )
    engine = Engine(PODMAN, str(tmp_path / PODMAN), "4.3.1")
    assert engine.ask("run x", "pod", "start", "y") == "done\n"
    stand_in(tmp_path, monkeypatch, PODMAN, complains)
    with pytest.raises(Failure, match="podman pod: is in state stopping: container state improper"):
        engine.ask("run x", "pod", "start", "y")


def test_what_a_client_complains_of_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line of it; one that never ends is given up."""
    stand_in(tmp_path, monkeypatch, PODMAN, "echo a warning >&2; echo 'Error: no such pod p' >&2; exit 125")
    engine = Engine(PODMAN, str(tmp_path / PODMAN), "4.3.1")
    with pytest.raises(Failure, match=r"^cannot stop it: podman pod: no such pod p$"):
        engine.ask("stop it", "pod", "stop")
    stand_in(tmp_path, monkeypatch, PODMAN, "while :; do :; done")
    with pytest.raises(Failure, match=r"podman did not answer within 0\.2 s"):
        engine.ask("stop it", "pod", "stop", timeout_s=0.2)


@pytest.mark.parametrize(
    "said",
    [
        "Error: inspecting object: x: image not known",
        "Error response from daemon: no such image: x: No such image: x:latest",
        "Error: inspecting object: repository name must be lowercase",
        "Error response from daemon: no such image: --help: invalid reference format",
    ],
)
def test_an_image_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """As podman and docker say it, of names that no image can have too."""
    stand_in(tmp_path, monkeypatch, PODMAN, f"echo []; echo '{said}' >&2; exit 125")
    assert Engine(PODMAN, str(tmp_path / PODMAN), "4.3.1").inspect_image("x") is None


@pytest.mark.parametrize("said", ["Cannot connect to the Docker daemon", "Error: layer not known", "no space left"])
def test_an_engine_that_cannot_tell_is_no_missing_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """It is said what ails it, and nobody is sent to look for an image that may be there."""
    stand_in(tmp_path, monkeypatch, DOCKER, f"echo '{said}' >&2; exit 1")
    words = f"cannot look for image x, y: docker image inspect: .*{said.removeprefix('Error: ')}"
    with pytest.raises(Failure, match=words) as failed:
        Engine(DOCKER, str(tmp_path / DOCKER), "20.10").inspect_images("x", "y")
    assert failed.value.exit_code == 1


def test_a_client_ends_what_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ctrl-C at the terminal is not for it, and is heard when it is through."""
    began, done = tmp_path / "began", tmp_path / "done"
    stand_in(tmp_path, monkeypatch, PODMAN, f": > {began}; /bin/sleep 0.5; : > {done}")
    program = "import sys; from pillion.image.engine import Engine; Engine('podman', sys.argv[1], '4.3').run('rm')"
    command = [sys.executable, "-c", program, tmp_path / PODMAN]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        eventually(began.exists)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert done.exists() and process.returncode and "KeyboardInterrupt" in errors


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("4.3.1", (4, 3, 1)), ("20.10.24+dfsg1", (20, 10, 24)), ("5.0.0-dev", (5, 0, 0)), ("v1", ()), ("", ())],
)
def test_versions(text: str, numbers: tuple[int, ...]) -> None:
    """Compared as numbers, not as text."""
    assert read_version(text) == numbers


def test_a_complaint_is_the_daemons_or_the_last_line() -> None:
    """Without labels."""
    assert complaint("Warning: x\nError response from daemon: no /x\nError: failed to start: c\n\n") == "no /x"
    assert complaint("Warning: x\nError: no such pod\n") == "no such pod"
