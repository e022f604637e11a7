"""What a client is told: values out of sight, and out of its own way."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillion.compare.containers import Planned
from pillion.compare.engines.creation import client_environment, create_arguments
from pillion.image.engine import DOCKER, PODMAN

# Stands for a client: what `--env` then gives the container, as podman-create(1) and docker's have it.
CLIENT = """
import json, os, sys
found = {}
for word in sys.argv[1:]:
    if word.startswith("--env="):
        name, equals, value = word.removeprefix("--env=").partition("=")
        if equals or name in os.environ:
            found[name] = value if equals else os.environ[name]
print(json.dumps(found))
"""


def arriving(environ: dict[str, str], caller: dict[str, str]) -> dict[str, str]:
    """What a container would be given, through a process of its own."""
    import json

    planned = Planned("backend", "image", environ=environ)
    words = create_arguments(PODMAN, planned, "name", (), [])
    command = [sys.executable, "-c", CLIENT, *words]
    done = subprocess.run(command, env=client_environment(caller, planned), capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_every_value_arrives_and_nothing_of_the_callers() -> None:
    """Whoever obeys the name; an absent or empty value stays what it is."""
    environ = {
        "SECRET_KEY": "a secret",
        "PATH": "/of/the/container",
        "LD_PRELOAD": "",
        "EMPTY": "",
        "LINES": "a\nb=c",
        "HTTP_PROXY": "http://x",
        "ODD": "'\"$% \\",
    }
    caller = {"PATH": "/usr/bin:/bin", "SECRET_KEY": "the caller's", "OTHER": "the caller's", "HTTP_PROXY": "y"}
    assert arriving(environ, caller) == environ


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,12}", fullmatch=True), st.text()))
def test_what_the_client_obeys_is_the_callers_own(environ: dict[str, str]) -> None:
    """Whatever a container is to have: the client finds its configuration, and each value is in one place only."""
    caller = {"PATH": "/usr/bin", "HOME": "/root", "DOCKER_HOST": "unix:///x", "CONTAINERS_CONF": "/c", "TERM": "t"}
    planned = Planned("backend", "image", environ=environ)
    client = client_environment(caller, planned)
    assert {name: client[name] for name in caller} == caller
    words = create_arguments(DOCKER, planned, "name", (), [])
    said = {word.removeprefix("--env=").partition("=")[0] for word in words if word.startswith("--env=")}
    assert said == set(environ)
    assert all((f"--env={name}" in words) == (name in client and name not in caller) for name in environ)


def test_a_secret_is_not_in_the_arguments() -> None:
    """They are everybody's to read in /proc."""
    planned = Planned("proxy", "image", environ={"SECRET_KEY": "hush", "API_TOKEN": "hush", "GOOGLE_API_KEY": "hush"})
    assert not any("hush" in word for word in create_arguments(PODMAN, planned, "name", (), []))


@pytest.mark.parametrize("engine", [PODMAN, DOCKER])
def test_the_command_of_the_file_takes_the_place_of_the_images(engine: str) -> None:
    """The engines' --entrypoint is one word; the rest of it goes before the arguments."""
    planned = Planned("backend", "image:1", ("sh", "-c"), ("serve",), {}, "/srv", "1:2", "SIGQUIT")
    words = create_arguments(engine, planned, "name", (1, 0), ["--pod=p"])
    assert words[words.index("image:1") :] == ["image:1", "-c", "serve"]
    wanted = ["--entrypoint=sh", "--workdir=/srv", "--user=1:2", "--stop-signal=SIGQUIT", "--cpuset-cpus=0,1"]
    assert set(wanted) <= set(words) and {"--pull=never", "--name=name", "--pod=p"} <= set(words)
