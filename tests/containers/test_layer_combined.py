"""The combined image that the Containerfile makes: any backend image plus the layer, run by podman."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
import yaml

from tests.conftest import ORDERS, free_port
from tests.containers.bases import (
    REPOSITORY,
    builder,
    combined,
    containerfile_target,
    debian_backend,
    derived,
    musl_backend,
    podman,
    scratch_backend,
)
from tests.containers.conftest import Run
from tests.containers.engines import PODMAN
from tests.containers.test_engine_layouts import is_up, running
from tests.containers.test_layer_sidecar import HARDENED, HOSTILE, PORT

BACKENDS = pytest.mark.parametrize("backend", [scratch_backend, musl_backend, debian_backend])
Backend = Callable[[], str]
# What the engine, or the policy for a derived name, sets by itself.
NOT_THE_IMAGES = {b"HOSTNAME", b"HOME", b"PORT", b"NO_PROXY", b"no_proxy", b"PILLION_COMMAND"}


def seen(answer: bytes) -> dict[bytes, bytes]:
    """The environment that a backend answered with."""
    variables = dict(variable.split(b"=", 1) for variable in answer.split(b"\0") if variable)
    return {name: value for name, value in variables.items() if name not in NOT_THE_IMAGES}


def layers(image: str) -> list[str]:
    """The digests of an image's layers, unpacked."""
    found: list[str] = json.loads(podman("image", "inspect", image).stdout)[0]["RootFS"]["Layers"]
    return found


@BACKENDS
def test_both_programs_serve_on_any_base(run: Run, backend: Backend) -> None:
    """Nothing at all, musl, or Debian below: the proxy answers with what the backend said; exit code 0 when stopped."""
    container = run(combined(backend()), options=PORT)
    assert b"PATH=" in container.get().content
    lines = container.processes()
    assert sum("/answer 8000" in line for line in lines) == 1
    assert any(line.endswith("start.pyc supervise") for line in lines)
    container.kill()
    assert container.wait() == 0


@BACKENDS
def test_the_backends_layers_are_untouched(engine: None, backend: Backend) -> None:
    """The combined image begins with them, and has one more."""
    below, made = layers(backend()), layers(combined(backend()))
    assert made[: len(below)] == below and len(made) == len(below) + 1


@BACKENDS
def test_the_backend_sees_the_environment_it_would_have_had_alone(run: Run, backend: Backend) -> None:
    """Byte for byte, loader variables too, and none of ours; the proxy and supervisord see none of its."""
    odd = ["--env=EQUALS=a=b", "--env=SPACES= a  b ", "--env=PERCENT=%(x)s %%", "--env=LINES=a\nb", "--env=EMPTY="]
    # A preload that is not there would be said on stderr by the backend's own loader, and no more.
    options = [*PORT, *HOSTILE, *odd]
    alone = run(backend(), options=["--publish=127.0.0.1::8000", *HOSTILE, *odd])
    together = run(combined(backend()), options=options)
    expected = seen(alone.get(port=8000).content)
    # The locale is shared by policy.
    assert seen(together.get().content) == expected and b"LD_PRELOAD" in expected
    for ours in ("start.pyc proxy", "start.pyc supervise"):
        names = set(together.environ(ours))
        assert not names & {b"LD_PRELOAD", b"PYTHONHOME", b"GLIBC_TUNABLES", b"EQUALS", b"PILLION_ASIDE_LD_PRELOAD"}


@BACKENDS
def test_it_runs_hardened(run: Run, backend: Backend) -> None:
    """A read-only root, a uid from nowhere in group 0, no capability, no new privileges, no tmpfs of the user's."""
    assert run(combined(backend()), options=[*PORT, *HARDENED, *HOSTILE]).get().status_code == 200


def test_a_preload_of_the_images_own_reaches_its_backend_only(run: Run) -> None:
    """A library for another C library in LD_PRELOAD of the image ends any other dynamic first process with 127."""
    library = "/lib/ld-musl-x86_64.so.1"
    base = derived(musl_backend(), f"ENV LD_PRELOAD={library} LD_LIBRARY_PATH=/lib")
    container = run(combined(base), options=PORT)
    assert seen(container.get().content)[b"LD_PRELOAD"] == library.encode()


def test_a_preload_file_of_the_base_means_nothing_to_the_layer(run: Run) -> None:
    """/etc/ld.so.preload is the base's loader's business; ours has another C library."""
    base = derived(musl_backend(), "USER 0\nRUN mkdir /etc; echo /lib/not-for-us.so > /etc/ld.so.preload\nUSER 1000")
    container = run(combined(base), options=PORT)
    container.get()
    assert "ld.so.preload" not in container.logs()


def test_opt_stays_as_the_base_has_it(run: Run) -> None:
    """Mode and owner; what the base has there stays beside us."""
    base = derived(debian_backend(), "USER 0\nRUN touch /opt/theirs && chmod 0711 /opt && chown 7:7 /opt\nUSER 1000")
    container = run(combined(base), options=PORT)
    container.get()
    assert podman("exec", container.id, "stat", "-c", "%a %u:%g", "/opt").stdout.split() == ["711", "7:7"]
    assert podman("exec", container.id, "stat", "-c", "%s", "/opt/theirs").stdout.strip() == "0"


def test_a_stop_right_at_the_start_is_a_clean_one(run: Run) -> None:
    """The engine's signal finds nobody who could handle it yet, and is not lost. The layer's static entry is the first
    process whatever is below it."""
    for _ in range(3):
        container = run(combined(scratch_backend()))
        container.kill()
        assert container.wait() == 0


def test_arguments_take_the_place_of_the_command(run: Run) -> None:
    """As they do for the backend's own image."""
    container = run(combined(scratch_backend()), "/answer", "8123", options=[*PORT, "--env=BACKEND__PORT=8123"])
    container.get()
    assert any(line.endswith("/answer 8123") for line in container.processes())


@pytest.mark.parametrize(
    ("command", "options", "code", "words"),
    [
        (["/absent"], [], 127, "/absent: no such file"),
        (["/opt/pillion/lib/start.pyc"], [], 126, "is not executable"),
        ([], ["--env=PILLION_COMMAND=/answer"], 2, "PILLION_COMMAND is not a JSON array of strings"),
        ([], ["--env=PILLION_COMMAND="], 2, "there is no backend command"),
        ([], ["--env=PROXY__PORT=8000"], 2, "port 8000"),
    ],
)
def test_what_cannot_start_says_why(run: Run, command: list[str], options: list[str], code: int, words: str) -> None:
    """One line, and the exit code that a shell, or bad input, has."""
    container = run(combined(scratch_backend()), *command, options=options)
    assert container.wait() == code
    assert words in container.logs() and container.logs().count("\n") == 1


@pytest.mark.parametrize("command", ["", "/answer 8000", "[]"])
def test_a_combined_image_without_its_command_is_not_built(engine: None, command: str) -> None:
    """An ENTRYPOINT of ours would silently drop the backend's Cmd."""
    with pytest.raises(AssertionError, match="cannot combine: give --build-arg BACKEND=IMAGE and its Entrypoint"):
        containerfile_target("combined", "none", BACKEND=scratch_backend(), BACKEND_CMD=command)
    assert podman("image", "exists", f"{REPOSITORY}/none:latest", check=False).returncode == 1


def test_the_file_alone_shows_the_sample_pair(run: Run) -> None:
    """`podman build .` and `podman run`: the orders service behind the proxy, under supervisord, in one container."""
    container = run(containerfile_target("", "sample"), options=PORT)
    assert container.get("/orders/1").json()["item"] == "coffee"
    assert "ERROR" not in container.logs()
    lines = container.processes()
    assert any("gunicorn" in line and "orders:create_app()" in line for line in lines)
    assert any(line.endswith("start.pyc proxy") for line in lines)
    assert container.environ("start.pyc proxy").keys().isdisjoint({b"SECRET_KEY", b"GUNICORN_CMD_ARGS"})
    container.kill()
    assert container.wait() == 0


def test_the_sample_embeds_the_concerns(engine: None, tmp_path: Path) -> None:
    """Its image has what layout embedded needs."""
    inner = free_port()
    documents = list(yaml.safe_load_all((ORDERS / "pod.yaml").read_text()))
    backend, proxy = documents[0]["spec"]["containers"]
    backend |= {
        "image": containerfile_target("orders", "orders"),  # a step of the sample that was built before
        "args": ["--bind=0.0.0.0:$(PORT)", "orders:create_app()"],
        "env": [each for each in backend["env"] if each["name"] != "PORT"] + [{"name": "PORT", "value": str(inner)}],
        "ports": [{"name": "api", "containerPort": inner}],
    }
    for entry in proxy["env"]:
        if entry["name"] == "UPSTREAM":
            entry["value"] = f"http://127.0.0.1:{inner}"
    pair = tmp_path / "pod.yaml"
    pair.write_text(yaml.safe_dump_all(documents))
    with running(PODMAN, pair, "--layout", "embedded") as (process, lines):
        is_up(process, lines)
        answer = requests.get(f"http://127.0.0.1:{inner}/echo", timeout=20)
        seen = {name.lower(): value for name, value in answer.json()["headers"]}
        assert answer.headers["X-Request-ID"] == seen["x-request-id"] == seen["traceparent"][3:35]


def test_it_starts_on_the_base_the_layer_was_built_on(run: Run) -> None:
    """Its own Python and ours do not meet."""
    command = '["python3", "-m", "http.server", "--directory", "/opt", "8000"]'
    container = run(combined(builder(), command), options=[*PORT, "--env=PYTHONDONTWRITEBYTECODE=1"])
    assert container.get().status_code == 200
    assert container.environ("http.server")[b"PYTHONDONTWRITEBYTECODE"] == b"1"
