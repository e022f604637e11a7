"""`pillion build` from and to the store of podman and docker: the base's layers stay where they are, and the engine
calls the image what we said."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pillion.image.compose import composition
from pillion.image.compose.composition import Request
from pillion.image.compose.reference import read_destination, read_reference
from pillion.image.engine import find_engine
from tests.conftest import ENTRY, eventually
from tests.containers import bases
from tests.containers.conftest import Run, cannot_test
from tests.containers.stores import Store
from tests.images import (
    BASE_LAYER,
    DEFAULT_CONFIG,
    GROUP,
    PASSWD,
    TOP_LAYER,
    Built,
    File,
    Result,
    image,
    index_of,
    sha256,
    sidecar,
    sidecar_layer,
    tar,
    write_layout,
)

FULL_CONFIG = {
    **DEFAULT_CONFIG,
    "User": "app",
    "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5000000000},
    "OnBuild": ["RUN x"],
    "Shell": ["/bin/ash", "-c"],
    "StopTimeout": 7,
    "Volumes": {"/data": {}},
    "Labels": {"a": "b"},
    "Unknown": {"kept": [1, 2]},
}


@pytest.fixture(params=["podman", "docker"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Of each engine."""
    if why := _missing(request.param):
        cannot_test(f"{request.param}: {why}")
    store = Store(request.param, tmp_path)
    yield store
    store.remove()


def _missing(engine: str) -> str:
    if shutil.which(engine) is None:
        return "not installed"
    if os.geteuid() != 0:
        return "needs root"
    asked = subprocess.run([engine, "info"], capture_output=True, text=True, timeout=60, check=False)
    return asked.stderr.strip() if asked.returncode else ""


def small(**options: Any) -> Built:
    """A backend like no other test's."""
    unique = tar(File("srv/unique", os.urandom(8).hex().encode()))
    return image([BASE_LAYER, TOP_LAYER, unique], FULL_CONFIG, **options)


def side(**options: Any) -> Built:
    return sidecar(sidecar_layer(marker=os.urandom(8).hex().encode()), **options)


@pytest.mark.parametrize("docker", [False, True])
def test_the_base_s_layers_stay(store: Store, docker: bool) -> None:
    """Nothing of it is exported; the engine has the image under the id that we said, above the same layers."""
    base, with_sidecar, name = store.add(small(docker=docker)), store.add(side()), store.new()
    said = store.built(store.ref(base), "--sidecar", store.ref(with_sidecar), "-o", store.ref(name))
    saved = [call for call in store.calls if call.startswith("save") and (store.engine == "podman" or base in call)]
    assert saved == []
    found, before = store.inspect(name), store.inspect(base)
    assert found["Id"] == said["images"][0]["id"]
    assert found["RootFS"]["Layers"][:-1] == before["RootFS"]["Layers"]
    assert found["RootFS"]["Layers"][-1:] == store.inspect(with_sidecar)["RootFS"]["Layers"]
    assert found["Config"]["User"] == "1234"
    if store.engine == "podman":
        assert found["Digest"] == said["digest"]
    # Once this sidecar is on this base, nothing is exported at all.
    other = store.new()
    said = store.built(store.ref(base), "--sidecar", store.ref(with_sidecar), "-o", store.ref(other), "--env", "A=1")
    assert store.inspect(other)["Id"] == said["images"][0]["id"]
    assert not any(call.startswith("save") for call in store.calls)


def test_every_member_of_the_config_is_kept(store: Store, tmp_path: Path) -> None:
    """Also what the engine's own `inspect` does not show: it is read as it stands, in any case."""
    base, with_sidecar, name = store.add(small(docker=True)), store.add(side()), store.new()
    store.built(store.ref(base), "--sidecar", store.ref(with_sidecar), "-o", store.ref(name))
    store.built(store.ref(name), "--sidecar", store.ref(with_sidecar), "--rebase", "-o", tmp_path / "out")
    settings = Result(tmp_path / "out").settings
    for key in ("Healthcheck", "OnBuild", "Shell", "StopTimeout", "Volumes", "Unknown"):
        assert settings[key] == FULL_CONFIG[key], key
    assert settings["Labels"]["a"] == "b"


def test_the_sidecar_from_a_file(store: Store, tmp_path: Path) -> None:
    """The base in the store, the sidecar in a layout: its layer is the only one that is carried."""
    base, name = store.add(small()), store.new()
    write_layout(tmp_path / "side", side())
    said = store.built(store.ref(base), "--sidecar", "side", "-o", store.ref(name))
    assert not any(call.startswith("save") for call in store.calls)
    assert store.inspect(name)["Id"] == said["images"][0]["id"]


def test_a_base_from_a_file(store: Store, tmp_path: Path) -> None:
    """All of it goes into the store."""
    with_sidecar, name = store.add(side()), store.new()
    write_layout(tmp_path / "base", small())
    said = store.built("base", "--sidecar", store.ref(with_sidecar), "-o", store.ref(name))
    assert store.inspect(name)["Id"] == said["images"][0]["id"]


@pytest.mark.parametrize("docker", [False, True])
def test_out_to_a_file(store: Store, tmp_path: Path, docker: bool) -> None:
    """Exported then, every digest verified; the config and so the id are the same as in the store."""
    base, with_sidecar, name = store.add(small(docker=docker)), store.add(side()), store.new()
    both = (store.ref(base), "--sidecar", store.ref(with_sidecar))
    inside = store.built(*both, "-o", store.ref(name))
    outside = store.built(*both, "-o", tmp_path / "out")
    assert outside["images"][0]["id"] == inside["images"][0]["id"]
    assert [sha256(Result(tmp_path / "out").blob(each)) for each in Result(tmp_path / "out").manifest["layers"]]
    assert store.built(*both, "-o", tmp_path / "out.tar")["digest"] == outside["digest"]


def test_the_doors_for_run_and_compare(store: Store) -> None:
    """Without saying beforehand where it goes; names as the engine completes them."""
    base, with_sidecar, name = store.add(small()), store.add(side()), store.new()
    short = name.removeprefix("localhost/") if store.engine == "podman" else name

    def silent(what: str, total: int, done: int) -> None:
        """No bar."""

    references = [read_reference(store.ref(each), "test") for each in (base, with_sidecar)]
    composed = composition.compose(Request(references[0], references[1], verify=False), silent)
    composition.write(composed, name, read_destination(store.ref(short), "test"), silent)
    found = find_engine(store.engine, "test").inspect_image(short)
    assert found is not None
    record = composed.composed[0].merged.record
    assert f"PILLION_PAIR={record.to_json()}" in found["Config"]["Env"]
    # And somewhere else after all.
    layout = store.folder / "late"
    composition.write(composed, "", read_destination(f"oci:{layout}", "test"), silent)
    assert Result(layout).manifest["config"]["digest"] == f"sha256:{found['Id'].removeprefix('sha256:')}"
    composed.close()


@pytest.mark.parametrize("store", ["podman"], indirect=True)
@pytest.mark.parametrize("family", ["oci", "docker"])
def test_it_runs(store: Store, run: Run, family: str) -> None:
    """A real backend and the real sidecar, from the store into the store, in either format."""
    name = store.new()
    base, with_sidecar = store.ref(bases.debian_backend()), store.ref(bases.sidecar())
    said = store.built(base, "--sidecar", with_sidecar, "-o", store.ref(name), "--format", family)
    assert store.inspect(name)["Id"] == said["images"][0]["id"]
    assert run(name, options=["--publish=127.0.0.1::8080"]).get().status_code == 200


def test_a_name_that_is_taken(store: Store) -> None:
    """Moves to the new image, as with the engine's own build."""
    base, with_sidecar, name = store.add(small()), store.add(side()), store.new()
    command = (store.ref(base), "--sidecar", store.ref(with_sidecar), "-o", store.ref(name))
    first = store.built(*command)["images"][0]["id"]
    second = store.built(*command, "--env", "A=1")["images"][0]["id"]
    assert first != second == store.inspect(name)["Id"]
    store.run("rmi", first)


def test_rebase(store: Store) -> None:
    """A new sidecar under the old backend, all within the store: equal to a fresh composition."""
    base, old, new, name, again, fresh = (
        store.add(small()),
        store.add(side()),
        store.add(side()),
        *(store.new() for _ in range(3)),
    )
    store.built(store.ref(base), "--sidecar", store.ref(old), "-o", store.ref(name))
    store.calls  # noqa: B018
    rebased = store.built(store.ref(name), "--rebase", "--sidecar", store.ref(new), "-o", store.ref(again))
    assert not any(call.startswith("save") and name in call for call in store.calls)
    store.built(store.ref(base), "--sidecar", store.ref(new), "-o", store.ref(fresh))
    assert store.inspect(again)["Id"] == rebased["images"][0]["id"] == store.inspect(fresh)["Id"]


ODD = [
    [tar("opt/", File("etc/passwd", PASSWD), File("etc/group", GROUP))],
    [tar(File("opt", kind=b"2", link="srv")), tar(File("etc/passwd", PASSWD))],
    [tar(File("opt", b"file"))],
    [tar(File("opt/", mode=0o700)), tar(File("etc/passwd", PASSWD))],
    [tar("opt/", File("opt/pillion/x", b"x")), tar(File("etc/passwd", PASSWD))],
    [tar("opt/", "opt/pillion/", File("opt/pillion/x")), tar(File("opt/.wh.pillion")), tar(File("etc/passwd", PASSWD))],
    [tar("opt/", File("opt/pillion/x")), tar("opt/", File("opt/.wh..wh..opq")), tar(File("etc/passwd", PASSWD))],
    [tar(File("opt", kind=b"2", link="srv")), tar(File(".wh.opt")), tar(File("etc/passwd", PASSWD))],
    [tar(File("etc/passwd", b"app:x:7:7::/:/\n")), tar(File("etc/passwd", PASSWD))],
    [tar(File("etc/passwd", PASSWD)), tar(File("etc/.wh.passwd"))],
    [tar(File("usr/passwd", PASSWD), File("etc/passwd", kind=b"2", link="../usr/passwd"))],
    [tar(File("usr/etc/passwd", PASSWD), File("etc", kind=b"2", link="usr/etc"))],
    [tar(File("etc/passwd", kind=b"2", link="/proc/self/environ"))],
]


@pytest.mark.parametrize("at", range(len(ODD)))
def test_what_is_seen_in_the_store_is_what_the_layers_say(store: Store, tmp_path: Path, at: int) -> None:
    """Whiteouts, opaque directories, links, modes: the same findings, user and refusals as from the layout."""
    built = image(ODD[at], {**DEFAULT_CONFIG, "User": "app"})
    write_layout(tmp_path / "the-layout", built)
    answers = []
    for base in ("the-layout", store.ref(store.add(built))):
        ended = store.pillion(base, "--check", "--json")
        store.check_nothing_left()
        answers.append((ended.returncode, (ended.stdout + ended.stderr).replace(base, "BASE")))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("store", ["docker"], indirect=True)
def test_through_the_daemon(store: Store) -> None:
    """Where docker's files are not ours to read, as with a daemon elsewhere: out of its streams, to the same result."""
    base, with_sidecar, name, other = store.add(small()), store.add(side()), store.new(), store.new()
    command = (store.ref(base), "--sidecar", store.ref(with_sidecar))
    expected = store.built(*command, "-o", store.ref(name))["images"]
    store.tamper(
        'case "$1 $2" in "info "*) exec echo /nowhere;;\n'
        '"image inspect") "$real" "$@" | sed \'s/"overlay2"/"elsewhere"/\'; exit;; esac'
    )
    assert store.built(*command, "-o", store.ref(other))["images"] == expected
    assert any(call.startswith("cp ") for call in store.calls)


@pytest.mark.parametrize("store", ["podman"], indirect=True)
def test_a_store_that_does_not_show_its_files(store: Store) -> None:
    """Is exported: slower, to the same image."""
    base, with_sidecar, name = store.add(small()), store.add(side()), store.new()
    store.tamper('[ "$1 $2" = "image inspect" ] && { "$real" "$@" | sed s/overlay/vfs/; exit; }')
    said = store.built(store.ref(base), "--sidecar", store.ref(with_sidecar), "-o", store.ref(name))
    assert said["images"][0]["id"] == store.inspect(name)["Id"]
    assert store.inspect(name)["RootFS"]["Layers"][:-1] == store.inspect(base)["RootFS"]["Layers"]
    assert sum(call.startswith("save") for call in store.calls) == 2


def test_a_store_that_lacks_what_it_should_have(store: Store, tmp_path: Path) -> None:
    """The light archive is refused by the engine: then all of it is loaded."""
    base, name = store.add(small()), store.new()
    write_layout(tmp_path / "side", side())
    store.tamper(f'[ "$1" = load ] && mkdir {tmp_path}/once 2>/dev/null && echo no >&2 && exit 125')
    said = store.built(store.ref(base), "--sidecar", "side", "-o", store.ref(name))
    calls = store.calls
    assert sum(call.startswith("load") for call in calls) == 2
    assert any(call.startswith("save") for call in calls)
    assert store.inspect(name)["Id"] == said["images"][0]["id"]


def test_refusals(store: Store, tmp_path: Path) -> None:
    """One line each, and nothing is left or loaded."""
    base, with_sidecar, name = store.add(small()), store.add(side()), store.new()
    to = ("--sidecar", store.ref(with_sidecar), "-o", store.ref(name))
    assert f"no image {name}" in store.refused(store.ref(name), *to)
    assert f"no image {name}" in store.refused(store.ref(base), "--sidecar", store.ref(name), "-o", "out")
    assert "no image for linux/arm64" in store.refused(store.ref(base), *to, "--platform", "linux/arm64")
    line = store.refused(store.ref(base), "--sidecar", store.ref(base), "-o", store.ref(name))
    assert "3 layers where a sidecar has one" in line
    arm = store.add(small(architecture="arm64"))
    assert "linux/arm64" in store.refused(store.ref(arm), *to)
    no_command = store.add(image([tar(File("x", os.urandom(8)))], {}))
    assert "neither Entrypoint nor Cmd" in store.refused(store.ref(no_command), *to)
    write_layout(tmp_path / "many", index_of(small(), small(architecture="arm64")))
    write_layout(
        tmp_path / "sides",
        index_of(side(), sidecar(tar(File("opt/pillion/bin/pillion", b"#!", 0o755)), architecture="arm64")),
    )
    line = store.refused("many", "--sidecar", "sides", "-o", store.ref(name))
    assert "--platform" in line
    store.tamper("echo 'cannot connect' >&2; exit 125")
    assert "does not answer: cannot connect" in store.refused(store.ref(base), *to)
    store.tamper('[ "$1" = version ] && exec echo 3.0.1')
    assert "is 3.0.1" in store.refused(store.ref(base), *to)
    store.tamper('[ "$1" = load ] && echo "Error: no space left on device" >&2 && exit 125')
    assert "no space left on device" in store.refused(store.ref(base), *to)
    store.tamper("")
    assert find_engine(store.engine, "test").inspect_image(name) is None


def test_no_room_to_export_to(store: Store) -> None:
    """The engine's own complaint; what it had begun is gone."""
    base, with_sidecar = store.add(image([tar(File("big", os.urandom(1 << 20)))])), store.add(side())
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", store.temporary],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        cannot_test(mounted.stderr)
    try:
        line = store.refused(store.ref(base), "--sidecar", store.ref(with_sidecar), "-o", "out.tar")
        assert "no space left on device" in line.lower()
        assert not (store.folder / "out.tar").exists()
    finally:
        subprocess.run(["umount", store.temporary], check=True)


def test_a_signal_in_the_middle(store: Store) -> None:
    """Lets the client finish, ends it if it does not in time, and leaves nothing."""
    base, with_sidecar = store.add(small()), store.add(side())
    # Ten seconds are waited; once for both engines is enough.
    begun, goes_on_s = store.folder / "begun", 100 if store.engine == "podman" else 1
    store.tamper(f'[ "$1" = save ] && touch {begun} && exec sleep {goes_on_s}')
    environ = {**os.environ, "PATH": f"{store.folder / 'bin'}:{os.environ['PATH']}", "TMPDIR": str(store.temporary)}
    command = [ENTRY, "build", store.ref(base), "--sidecar", store.ref(with_sidecar), "-o", "out"]
    process = subprocess.Popen(command, cwd=store.folder, env=environ, stderr=subprocess.PIPE, text=True)
    eventually(begun.exists)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM, said
    store.check_nothing_left()


def test_from_one_engine_to_the_other(store: Store, tmp_path: Path) -> None:
    """Exported from the one, loaded into the other."""
    there = "docker" if store.engine == "podman" else "podman"
    if shutil.which(there) is None:
        cannot_test(f"{there} is not installed")
    (tmp_path / "other").mkdir()
    other = Store(there, tmp_path / "other")
    try:
        base, with_sidecar, name = store.add(small()), store.add(side()), other.new()
        said = store.built(store.ref(base), "--sidecar", store.ref(with_sidecar), "-o", other.ref(name))
        assert other.inspect(name)["Id"] == said["images"][0]["id"]
    finally:
        other.remove()
