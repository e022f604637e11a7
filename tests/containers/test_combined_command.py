"""What the backend's program is started with: as the engine starts it for the backend's own image (C4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pillion.compare.proc import descendants
from tests.conftest import argv_of
from tests.containers.bases import derived, musl_backend, scratch_backend
from tests.containers.composed import Combine, pillion_build
from tests.containers.conftest import Container, Run, cannot_test
from tests.containers.engines import DOCKER, PODMAN, Engine, carry, missing

FORMS = {
    "shell entrypoint": "ENTRYPOINT /answer 8000",
    "shell entrypoint, exec cmd": 'ENTRYPOINT exec /answer 8000\nCMD ["not", "used"]',
    "shell cmd": "ENTRYPOINT []\nCMD true && /answer 8000",
    "exec cmd": 'ENTRYPOINT []\nCMD ["answer", "8000"]\nENV PATH=/bin:/',
    "exec both, odd words": r"""ENTRYPOINT ["/answer"]
CMD ["8000", "a b", "", "$HOME", "%(x)s", "\"ä'\n;"]""",
    "exec entrypoint, shell cmd": 'ENTRYPOINT ["/bin/sh", "-c", "exec /answer 8000", "name"]\nCMD a b',
    "a path from the working directory": 'WORKDIR /srv/deep\nENTRYPOINT ["../../answer"]\nCMD ["8000"]',
}
# What one engine makes of a form, the other does too: one of each kind is enough for the second.
CASES = [(form, PODMAN) for form in FORMS] + [("shell cmd", DOCKER), ("exec both, odd words", DOCKER)]


def commands(container: Container) -> list[list[str]]:
    """The command lines of all its processes but ours."""
    found = [argv_of(pid) for pid in descendants([container.pid()])]
    return sorted(argv for argv in found if argv and not argv[0].startswith("/opt/pillion/"))


def directory(container: Container) -> Path:
    """Where the program that answers stands."""
    return Path(f"/proc/{container.process('answer')}/cwd").readlink()


@pytest.mark.parametrize(("form", "engine_"), CASES, ids=[f"{form}, {engine.name}" for form, engine in CASES])
def test_every_form_starts_what_the_engine_would_have_started(
    combine: Combine, run: Run, form: str, engine_: Engine
) -> None:
    """C4: all processes with their arguments, shells included, and the working directory."""
    if why := missing(engine_):
        cannot_test(why)
    own = derived(musl_backend(), FORMS[form])
    alone = run(carry(own, engine_), options=["--publish=127.0.0.1::8000"], engine=engine_)
    together = run(combine(own, engine_), options=["--publish=127.0.0.1::8080"], engine=engine_)
    alone.get(port=8000)
    together.get()
    assert commands(together) == commands(alone) != []
    assert directory(together) == directory(alone)


def test_arguments_take_the_place_of_cmd(combine: Combine, run: Run, either: Engine) -> None:
    """C4: `docker run IMAGE args` means what it meant before."""
    words = ("8123", "a b", "")
    own = scratch_backend()
    alone = run(carry(own, either), *words, options=["--publish=127.0.0.1::8123"], engine=either)
    options = ["--publish=127.0.0.1::8080", "--env=BACKEND__PORT=8123"]
    together = run(combine(own, either), *words, options=options, engine=either)
    alone.get(port=8123)
    together.get()
    assert commands(together) == commands(alone) == [["/answer", *words]]


def test_an_image_with_nothing_to_start_is_refused(combine: Combine, run: Run, tmp_path: Path) -> None:
    """C4: neither ENTRYPOINT nor CMD; no engine starts it either."""
    none = combine.edited(
        scratch_backend(), lambda config: [config["config"].pop(key) for key in ("Entrypoint", "Cmd")]
    )
    done = pillion_build(none.archive, "--sidecar", combine.sidecar(), "-o", "out.tar", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "has neither Entrypoint nor Cmd" in done.stderr and list(tmp_path.iterdir()) == []
    name = combine.keep(none.archive, none.name, PODMAN)
    with pytest.raises(AssertionError, match="no command or entrypoint"):
        run(name)
