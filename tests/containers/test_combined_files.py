"""What of the backend's files is as it was, and the bases that cannot hold ours (C6, C7)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.containers.backends import python_backend, saved
from tests.containers.bases import derived, musl_backend, podman
from tests.containers.composed import Combine, pillion_build
from tests.containers.conftest import Run
from tests.containers.engines import Engine, carry

MUSL_TREE = "USER 0\nRUN {}\nUSER 1000"


def refusal(combine: Combine, folder: Path, image: str) -> str:
    """Nothing is written where it is refused."""
    done = pillion_build(saved(image), "--sidecar", combine.sidecar(), "-o", "out.tar", cwd=folder)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert list(folder.iterdir()) == []
    return done.stderr


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("mkdir -p /var/opt && ln -s var/opt /opt", "/opt: is a symbolic link to var/opt"),
        ("touch /opt", "/opt: is a file"),
        ("mkdir -m 0700 /opt", "/opt: has mode 0700"),
        ("mkdir -p /opt/pillion/x", "/opt/pillion: is there already"),
    ],
)
def test_a_base_that_cannot_hold_us_is_refused(combine: Combine, tmp_path: Path, command: str, says: str) -> None:
    """C6: before anything is written."""
    assert says in refusal(combine, tmp_path, derived(musl_backend(), MUSL_TREE.format(command)))


def test_what_was_taken_away_again_is_no_hindrance(combine: Combine, run: Run, either: Engine) -> None:
    """C6, C7: a link and a file of lower layers, gone by whiteouts."""
    lines = MUSL_TREE.format("ln -s var /opt").replace("USER 1000", "RUN rm /opt && mkdir /opt\nUSER 1000")
    own = derived(musl_backend(), lines)
    container = run(combine(own, either), options=["--publish=127.0.0.1::8080"], engine=either)
    container.get()


@contextmanager
def mounted(image: str) -> Iterator[Path]:
    """An image's files as they are."""
    where = podman("image", "mount", image).stdout.strip()
    try:
        yield Path(where)
    finally:
        podman("image", "unmount", image)


def tree(root: Path) -> dict[str, tuple[object, ...]]:
    """All about every file but its content, which its layer's digest tells; hard links by the first of their paths."""
    found: dict[str, tuple[object, ...]] = {}
    first: dict[int, str] = {}
    for path in sorted(root.rglob("*")):
        name, status = f"/{path.relative_to(root)}", path.lstat()
        folder, link = stat.S_ISDIR(status.st_mode), str(path.readlink()) if path.is_symlink() else ""
        same = "" if folder else first.setdefault(status.st_ino, name)
        size = 0 if folder else status.st_size
        extra = {
            each: os.getxattr(path, each, follow_symlinks=False) for each in os.listxattr(path, follow_symlinks=False)
        }
        found[name] = (status.st_mode, status.st_uid, status.st_gid, size, status.st_mtime_ns, link, extra, same)
    return found


@pytest.mark.parametrize("usr_merged", [True, False], ids=["usr-merged", "not merged"])
def test_nothing_outside_our_prefix_changes(combine: Combine, usr_merged: bool) -> None:
    """C6: every file of a usr-merged Debian, and of a base that is not: modes, owners, times, links, attributes."""
    own = python_backend() if usr_merged else derived(musl_backend(), MUSL_TREE.format("mkdir /opt"))
    with mounted(own) as before, mounted(combine(own)) as after:
        assert (before / "bin").is_symlink() == usr_merged
        were, are = tree(before), tree(after)
    ours = {path for path in are if path == "/opt/pillion" or path.startswith("/opt/pillion/")}
    assert len(ours) > 500 and len(were) > 3
    # The layer brings the directory that ours stands in: its time is the layer's, all else must be as it was.
    opt = are.pop("/opt"), were.pop("/opt")
    assert opt[0][:4] == opt[1][:4]
    assert {path: each for path, each in are.items() if path not in ours} == were


AWKWARD = """USER 0
RUN mkdir -p /data/opaque/deep && echo one > /data/gone && echo two > /data/opaque/deep/gone && echo three > /data/first
RUN rm /data/gone && rm -r /data/opaque && mkdir /data/opaque && echo new > /data/opaque/new && \\
    ln /data/first /data/second && ln -s first /data/link && chmod 4711 /data/second
RUN cp /usr/bin/python3.11 /data/capable && python3 -c 'import os; \\
    os.setxattr("/data/capable", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))'
RUN true
RUN true
USER app"""


def test_whiteouts_links_and_capabilities_are_as_in_the_base(combine: Combine, run: Run, either: Engine) -> None:
    """C7: in the running container, from layers whose bytes are the base's, also where two layers are the same."""
    own = derived(python_backend(), AWKWARD)
    look = (
        "import os; s = os.stat; d = '/data/'; "
        "print(sorted(os.listdir(d)), os.listdir(d + 'opaque'), s(d + 'first').st_nlink, "
        "s(d + 'first').st_ino == s(d + 'second').st_ino, oct(s(d + 'first').st_mode), os.readlink(d + 'link'), "
        "os.getxattr(d + 'capable', 'security.capability').hex())"
    )
    alone = run(carry(own, either), engine=either)
    together = run(combine(own, either), options=["--publish=127.0.0.1::8080"], engine=either)
    together.get()
    seen = [either("exec", each.id, "python3", "-c", look).stdout for each in (alone, together)]
    assert seen[0] == seen[1]
    assert "['capable', 'first', 'link', 'opaque', 'second'] ['new'] 2 True 0o104711 first 0100000200040000" in seen[0]
    below, made = (either.image(image)["RootFS"]["Layers"] for image in (own, combine(own, either)))
    assert made[:-1] == below
