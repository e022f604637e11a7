"""An image's own ENV, however odd: the backend sees it as it would alone, and the proxy starts (C5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import environ_of
from tests.containers.bases import musl_backend, scratch_backend
from tests.containers.composed import Combine
from tests.containers.conftest import Run
from tests.containers.engines import Engine

ODD = {
    "EQUALS": "a=b=",
    "SPACES": " a  b ",
    "PERCENT": "%(ENV_X)s %% %",
    "LINES": "a\nb\n\n",
    "EMPTY": "",
    "QUOTES": "'\"\\ $HOME `id` ;#",
    "UMLAUT": "äöü",
    "LD_PRELOAD": "/nonexistent.so",
    "LD_LIBRARY_PATH": "/lib:/usr/lib",
    "LD_BIND_NOW": "",
    "GLIBC_TUNABLES": "glibc.malloc.check=3",
    "PYTHONHOME": "/garbage",
    "PYTHONPATH": "/garbage",
    "PYTHONSTARTUP": "/garbage",
    "GUNICORN_CMD_ARGS": "--bind=0.0.0.0:9",
    "WEB_CONCURRENCY": "4",
    "GEVENT_LOOP": "none",
    "HOME": "/elsewhere",
    "LANG": "xx_XX.ISO-8859-15",
    "TZ": "Asia/Tokyo",
    "PORT": "8000",
    "PATH": "/odd path:relative:/bin",
    "lower.case-name": "kept",
}
# What the class table adds (design: HTTP_PROXY and family).
EGRESS = {"HTTP_PROXY": "http://egress.invalid:3128", "NO_PROXY": "internal"}
BACKENDS = pytest.mark.parametrize("backend", [scratch_backend, musl_backend])


@BACKENDS
def test_an_odd_environment_of_the_image_is_the_backends_alone(
    combine: Combine, run: Run, either: Engine, backend: Callable[[], str]
) -> None:
    """C5: equal byte for byte but for NO_PROXY, and nothing of it ends the first process, supervisord or the proxy."""

    def change(config: dict[str, Any]) -> None:
        config["config"]["Env"] = [f"{name}={value}" for name, value in {**ODD, **EGRESS}.items()]

    own = combine.edited(backend(), change)
    same = ["--hostname=here"]
    alone = run(
        combine.keep(own.archive, own.name, either), options=[*same, "--publish=127.0.0.1::8000"], engine=either
    )
    image = combine.load(combine.build(own.archive), either)
    together = run(image, options=[*same, "--publish=127.0.0.1::8080"], engine=either)
    together.get()
    expected, found = environ_of(alone.pid()), environ_of(together.process("/answer"))
    assert set(ODD) <= {name.decode() for name in expected}
    assert found.pop(b"NO_PROXY") == b"internal,localhost,127.0.0.1,::1"
    assert expected.pop(b"NO_PROXY") == b"internal"
    assert found == expected
    meant_for_the_backend = {name.encode() for name in ODD} - {b"HOME", b"LANG", b"TZ", b"PATH", b"PORT"}
    for ours in ("start.pyc proxy", "start.pyc supervise"):
        assert not set(together.environ(ours)) & meant_for_the_backend
    assert together.stop() == 0


def test_a_variable_given_at_run_time_replaces_the_images(combine: Combine, run: Run, either: Engine) -> None:
    """C5: also one that travels under another name, as the loader would read it first."""

    def change(config: dict[str, Any]) -> None:
        config["config"]["Env"] = ["LD_LIBRARY_PATH=/image", "GREETING=image", "KEPT=image"]

    own = combine.edited(scratch_backend(), change)
    image = combine.load(combine.build(own.archive), either)
    options = ["--publish=127.0.0.1::8080", "--env=LD_LIBRARY_PATH=/run", "--env=BACKEND__GREETING=run"]
    together = run(image, options=options, engine=either)
    together.get()
    environ = together.environ("/answer")
    assert environ[b"LD_LIBRARY_PATH"] == b"/run" and environ[b"GREETING"] == b"run" and environ[b"KEPT"] == b"image"
