"""The layer and the sidecar image, FROM scratch."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import requests

from tests.conftest import eventually
from tests.containers.bases import ROOT, builder, context, debian_backend, podman, scratch_backend, sidecar
from tests.containers.conftest import Container, Run

LAYER_SCRIPTS = ROOT / "image" / "layer"
LARGEST = 15_000_000  # bytes, gzip
PORT = ["--publish=127.0.0.1::8080"]
HOSTILE = [
    "--env=LD_PRELOAD=/nonexistent.so",
    "--env=LD_LIBRARY_PATH=/lib:/usr/lib",
    "--env=LD_DEBUG=all",
    "--env=GLIBC_TUNABLES=glibc.malloc.check=3",
    "--env=PYTHONHOME=/garbage",
    "--env=PYTHONPATH=/garbage",
    "--env=PYTHONSTARTUP=/garbage",
    "--env=LC_ALL=xx_XX.ISO-8859-15",
]
HARDENED = ["--read-only", "--user=12345:0", "--cap-drop=all", "--security-opt=no-new-privileges"]


def before(run: Run, *options: str) -> tuple[Container, Container]:
    """A backend and a sidecar that shares its network."""
    backend = run(scratch_backend(), options=PORT)
    proxy = run(sidecar(), options=[f"--network=container:{backend.id}", *options])
    return backend, proxy


@pytest.fixture(scope="module")
def packed(run_for_module: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What packing the image's own tree says, and the layer that it writes."""
    folder = tmp_path_factory.mktemp("packed")
    container = run_for_module(sidecar(), "--help")
    container.wait()
    podman("cp", f"{container.id}:/opt/pillion", folder / "tree")
    mounts = [f"--volume={context()}:/src:ro", f"--volume={folder}:/packed"]
    words = ("python3", "/src/image/layer/archive.py", "/packed/tree", "/packed/layer")
    packing = run_for_module(builder(), *words, options=mounts)
    assert packing.wait() == 0, packing.logs()
    return packing.logs(), folder / "layer"


def test_the_sidecar_serves_alone(run: Run) -> None:
    """In a container of its own, with no operating system in it, as a user that no file names."""
    backend, proxy = before(run)
    assert b"PATH=" in backend.get().content
    assert proxy.inspect()["Config"]["User"] == "65532:65532"


def test_the_sidecar_holds_nothing_but_the_layer(engine: None, tmp_path: Path) -> None:
    """What it has at all is below /opt/pillion."""
    podman("save", "--quiet", "--format=docker-archive", "--output", tmp_path / "image.tar", sidecar())
    with tarfile.open(tmp_path / "image.tar") as image:
        (layer,) = [name for name in image.getnames() if name.endswith(".tar") and "/" not in name]
        file = image.extractfile(layer)
        with tarfile.open(fileobj=file) as archive:
            entries = archive.getmembers()
    assert {entry.name.rstrip("/") for entry in entries if not entry.name.startswith("opt/pillion")} <= {"opt"}
    assert {entry.mode & 0o7777 for entry in entries} == {0o755, 0o644}
    assert all(entry.isfile() or entry.isdir() for entry in entries)


@pytest.mark.parametrize("options", [HOSTILE, HARDENED, [*HOSTILE, *HARDENED]], ids=["hostile", "hardened", "both"])
def test_no_environment_and_no_restriction_stops_it(run: Run, options: list[str]) -> None:
    """Variables meant for a loader or for another Python, a read-only root, a uid from nowhere, no capability."""
    backend, _ = before(run, *options)
    assert backend.get().status_code == 200


def test_it_resolves_names(network: str, run: Run) -> None:
    """By the engine's DNS, with no libc and no nsswitch.conf in the image."""
    run(scratch_backend(), "8000", options=[f"--network={network}", "--name=pillion-test-upstream"])
    options = [f"--network={network}", "--env=UPSTREAM=http://pillion-test-upstream:8000", *PORT]
    assert run(sidecar(), options=options).get().status_code == 200


def test_a_stop_right_at_the_start_is_a_clean_one(run: Run) -> None:
    """Before Python has begun, PID 1 would lose it, and the engine would wait for its grace and kill."""
    for _ in range(3):
        proxy = run(sidecar(), options=["--env=UPSTREAM=http://127.0.0.1:1"])
        proxy.kill()
        assert proxy.wait() == 0


def test_a_wrong_setting_is_one_line_and_exit_code_2(run: Run) -> None:
    """Also where there is no shell to look around with."""
    proxy = run(sidecar(), options=["--env=UPSTREAM=nonsense"])
    assert proxy.wait() == 2
    assert proxy.logs().startswith("pillion: ") and proxy.logs().count("\n") == 1


def test_the_layer_is_the_same_whoever_builds_it(run: Run, packed: tuple[str, Path]) -> None:
    """Another umask, time zone, locale, hash seed and environment than the image's: the same bytes, within the size we
    promise."""
    other = "umask 077; export TZ=Asia/Tokyo LC_ALL=C.UTF-8 LANG=de_DE PYTHONHASHSEED=7 HOME=/tmp ANYTHING=x"
    build = "python3 image/layer/assemble.py --wheels /w --output /tree && python3 image/layer/archive.py /tree /layer"
    wheels = "python3 -m pip wheel -q --no-index --find-links /src/wheels -w /w /copy"
    script = f"cp -r /src /copy && cd /copy; {wheels}; {other}; {build}"
    container = run(builder(), "sh", "-ec", script, options=[f"--volume={context()}:/src:ro"])
    assert container.wait() == 0, container.logs()
    assert container.logs() == packed[0]
    diff_id, digest, size = packed[0].split()
    assert diff_id != digest and int(size) <= LARGEST


def test_every_file_of_the_layer_has_a_purpose(packed: tuple[str, Path]) -> None:
    """The listing knows them all, and none is a test, a header, a source or pip."""
    command = [sys.executable, LAYER_SCRIPTS / "listing.py", "--files", packed[1]]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, [line for line in done.stdout.splitlines() if line.endswith("?")]
    paths = [line.split()[-1] for line in done.stdout.splitlines()[1:]]
    unwanted = ("/tests/", "/test/", ".h", ".c", ".py", "/pip/", "/ensurepip/", "/tkinter/")
    assert [path for path in paths if path.endswith(unwanted) or any(part in path for part in unwanted[:2])] == []
    assert len(paths) > 500


def test_an_exec_probe_runs_on_scratch(run: Run) -> None:
    """A health check has no shell to lean on either: the entry is all it needs."""
    backend, proxy = before(run)
    backend.get()
    assert podman("exec", proxy.id, "/opt/pillion/bin/pillion", "--version").stdout.startswith("pillion ")


def test_its_own_health_sees_a_drain(run: Run) -> None:
    """S23: in a container of its own, which can write to /dev/shm alone: not ready while it still serves, but live."""
    settings = ["--env=ADMIN_LISTEN=unix:/dev/shm/admin.sock", "--env=PROXY__DRAIN_DELAY=60s"]
    backend, proxy = before(run, *HARDENED, *settings)
    backend.get()

    def health(what: str) -> str:
        return proxy.engine("exec", proxy.id, "/opt/pillion/bin/pillion", "health", what, check=False).stdout.strip()

    eventually(lambda: health("ready") == "ready")
    proxy.kill("TERM")
    eventually(lambda: health("ready") == "not ready: be ready: it is being stopped")
    assert health("live") == "live"
    assert backend.get().headers["Connection"] == "close"
    proxy.kill("INT")
    assert proxy.wait() == 0


def test_it_serves_before_a_backend_of_another_c_library(network: str, run: Run) -> None:
    """Layouts differ in who is beside it, never in the layer."""
    run(debian_backend(), options=[f"--network={network}", "--name=pillion-test-debian"])
    options = [f"--network={network}", "--env=UPSTREAM=http://pillion-test-debian:8000", *PORT]
    proxy = run(sidecar(), options=options)
    eventually(lambda: requests.get(proxy.url(), timeout=5).status_code == 200)
