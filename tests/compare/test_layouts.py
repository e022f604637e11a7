"""From a pair and a layout to processes: a pure function."""

from __future__ import annotations

from pathlib import Path

import pytest

from pillion.compare.containers import plan as containers_plan
from pillion.compare.embedding import ANNOTATION, SETTINGS, SWITCH
from pillion.compare.layouts import COMPARED, LAYOUTS, Place, Plan, comparable, plan
from pillion.image.enter import prepare
from pillion.image.pair import RECORD_VARIABLE, Container, Pair, Probe, read_record
from pillion.image.refusal import Refusal
from pillion.proxy.concerns import wsgi
from pillion.proxy.concerns.settings import CONCERN_SETTINGS
from tests.conftest import ENTRY

PLACE = Place(Path("/venv/bin/pillion"), "/venv/bin:/usr/bin:/bin", "/home/me")
BACKEND = Container(
    name="api",
    field="spec.containers[0]",
    command=("sh", "-c"),
    args=("serve",),
    env={"PORT": "8000", "MODE": "x"},
    ports=(8000,),
    stop_signal="SIGQUIT",
    readiness=Probe("http", 8000, "/ok"),
)
PROXY = Container(
    name="proxy",
    field="spec.containers[1]",
    image="pillion/sidecar",
    env={"UPSTREAM": "http://api:8000", "PROXY__LOG_LEVEL": "debug", "MODE": "y"},
    ports=(8080,),
)
PAIR = Pair("orders", "compose.yaml", Path("/"), BACKEND, PROXY, grace_s=10)


def laid_out(layout: str, pair: Pair = PAIR) -> Plan:
    """The plan of a layout."""
    return plan(pair, layout, PLACE)


def test_direct_is_the_backend_alone() -> None:
    """Clients come in at its own port."""
    found = laid_out("direct")
    (backend,) = found.processes
    assert backend.argv == ("sh", "-c", "serve") and found.port == 8000 and found.ready == BACKEND.readiness
    assert backend.environ == {"PATH": PLACE.path, "HOME": "/home/me", "PORT": "8000", "MODE": "x"}


def test_separate_gives_each_its_own() -> None:
    """An upstream named by service is loopback here, and that is reported."""
    found = laid_out("separate")
    backend, proxy = found.processes
    assert proxy.argv == ("/venv/bin/pillion", "proxy") and found.port == 8080
    assert [process.stop_signal for process in found.processes] == ["SIGQUIT", "SIGTERM"]
    assert proxy.environ["UPSTREAM"] == "http://127.0.0.1:8000" and proxy.environ["MODE"] == "y"
    assert backend.environ["MODE"] == "x" and found.ports.keys() == {8000, 8080}
    assert len(found.notices) == 1 and "api" in found.notices[0]


def test_shared_tells_the_two_apart_by_namespaces() -> None:
    """One process, one environment, the pair record in it; what a program has alone is there with its prefix."""
    (shared,) = laid_out("shared").processes
    assert shared.argv == ("/venv/bin/pillion", "enter", "--", "sh", "-c", "serve")
    assert shared.environ["BACKEND__MODE"] == "x" and shared.environ["PROXY__MODE"] == "y"
    assert shared.environ["PROXY__LOG_LEVEL"] == "debug"
    record = read_record(shared.environ[RECORD_VARIABLE])
    assert record.backend.stop_signal == "SIGQUIT" and record.backend.ready_path == "/ok"
    assert record.deadline_s == 8.5


def test_what_shared_hands_over_is_what_separate_starts_with() -> None:
    """The same argv, environment and directory for the backend, through the split."""
    here = PLACE._replace(entry=ENTRY)
    backend, proxy = plan(PAIR, "separate", here).processes
    (shared,) = plan(PAIR, "shared", here).processes
    records, findings = prepare(shared.argv[3:], shared.environ, read_record(shared.environ[RECORD_VARIABLE]), ENTRY)
    by_name = {record.program: record for record in records}
    assert findings == ()
    for process in (backend, proxy):
        record = by_name[process.name]
        # PATH and HOME are computed from the test's own account.
        given = {n: v for n, v in process.environ.items() if n not in ("PATH", "HOME")}
        assert record.argv == process.argv and record.cwd == str(process.cwd)
        assert given.items() <= record.environ.items()


@pytest.mark.parametrize("layout", ["beside", ""])
def test_a_layout_that_there_is_not_is_refused(layout: str) -> None:
    """With those that there are."""
    with pytest.raises(Refusal, match=", ".join(LAYOUTS)):
        laid_out(layout)


def test_embedded_is_the_backend_with_the_proxys_concerns() -> None:
    """Its own variables as they are, the switch, and of the proxy's settings those of its concerns and no others."""
    env = {**PROXY.env, "RATE_LIMIT": "9/s", "PROXY__REQUEST_ID": "on", "SECRET_KEY": "proxy's", "UPSTREAM_KEY": "/k"}
    pair = PAIR._replace(proxy=PROXY._replace(env=env), annotations={ANNOTATION: "true"})
    found = laid_out("embedded", pair)
    (backend,) = found.processes
    direct = laid_out("direct", pair)
    assert found._replace(layout="direct", processes=direct.processes) == direct
    assert backend._replace(environ=direct.processes[0].environ) == direct.processes[0]
    assert dict(backend.environ.items() - direct.processes[0].environ.items()) == {
        "PILLION_EMBED": "1",
        "PROXY__RATE_LIMIT": "9/s",
        "PROXY__REQUEST_ID": "on",
        "PROXY__READY_PATH": "/ok",
    }
    (container,) = containers_plan(pair, "embedded").containers
    assert container.environ.items() - direct.processes[0].environ.items() == (
        backend.environ.items() - direct.processes[0].environ.items()
    )


def test_what_is_compared_if_nobody_says() -> None:
    """All that the pair can be laid out in; what is missing is said."""
    assert comparable(PAIR._replace(annotations={ANNOTATION: "true"})) == (list(COMPARED), ())
    layouts, (notice,) = comparable(PAIR)
    assert layouts == ["direct", "shared", "separate"] and notice.startswith("without layout embedded: ")


def test_embedding_knows_the_names_of_the_proxys_concerns() -> None:
    """This room does not import the proxy; the two lists are one."""
    assert set(SETTINGS) == {row.name for row in CONCERN_SETTINGS} and list(SETTINGS) == sorted(SETTINGS)
    assert SWITCH == wsgi.SWITCH


@pytest.mark.parametrize(
    ("pair", "why"),
    [
        (PAIR, "annotation pillion.dev/embeddable"),
        (PAIR._replace(annotations={ANNOTATION: "false"}), "annotation pillion.dev/embeddable"),
        (
            PAIR._replace(annotations={ANNOTATION: "true"}, proxy=PROXY._replace(image="envoy", command=("envoy",))),
            "is not Pillion's proxy",
        ),
    ],
)
def test_a_pair_that_cannot_be_embedded_is_refused(pair: Pair, why: str) -> None:
    """With the reason."""
    for refused in (laid_out, lambda layout, pair: containers_plan(pair, layout)):
        with pytest.raises(Refusal, match=why):
            refused("embedded", pair)


def test_remote_is_the_sidecar_alone() -> None:
    """Before a backend that somebody else runs; its port is not ours to bind."""
    found = laid_out("remote")
    (proxy,) = found.processes
    assert proxy.name == "proxy" and proxy.environ["UPSTREAM"] == "http://127.0.0.1:8000"
    assert found.port == 8080 and found.ports.keys() == {8080}


def test_a_foreign_proxy_runs_separately_only() -> None:
    """It is started with its own command; without one this engine has nothing to start."""
    foreign = PAIR._replace(proxy=PROXY._replace(image="envoyproxy/envoy", command=("envoy",), args=("-c", "x")))
    assert laid_out("separate", foreign).processes[1].argv == ("envoy", "-c", "x")
    with pytest.raises(Refusal, match=r"is not Pillion's proxy"):
        laid_out("shared", foreign)
    with pytest.raises(Refusal, match=r"spec.containers\[1\]"):
        laid_out("separate", foreign._replace(proxy=foreign.proxy._replace(command=())))


def test_a_short_grace_shortens_the_deadline() -> None:
    """Our own last word comes before the platform's."""
    (shared,) = laid_out("shared", PAIR._replace(grace_s=4)).processes
    assert read_record(shared.environ[RECORD_VARIABLE]).deadline_s == 2.5


def test_the_proxys_options_are_settings() -> None:
    """`--listen` and `--upstream` in its arguments are seen like LISTEN and UPSTREAM; the others are passed on."""
    arguments = ("proxy", "--listen=127.0.0.1:9090", "--upstream", "http://api:8000", "--other")
    pair = PAIR._replace(proxy=PROXY._replace(env={}, args=arguments))
    found = laid_out("separate", pair)
    proxy = found.processes[1]
    assert found.port == 9090 and proxy.argv[2:] == ("--other",)
    assert proxy.environ["LISTEN"] == "127.0.0.1:9090" and proxy.environ["UPSTREAM"] == "http://127.0.0.1:8000"
    (shared,) = laid_out("shared", pair).processes
    assert shared.environ["PROXY__LISTEN"] == "127.0.0.1:9090"


def test_a_listen_with_its_prefix_stands() -> None:
    """Nothing is added beside it."""
    pair = PAIR._replace(proxy=PROXY._replace(env={"PROXY__LISTEN": "127.0.0.1:9090"}))
    assert laid_out("separate", pair).processes[1].environ["LISTEN"] == "127.0.0.1:9090"


@pytest.mark.parametrize(
    ("probe", "used", "noticed"),
    [
        (Probe("http", 8000, "/ok"), True, False),
        (Probe("http", 9000, "/ok"), False, True),
        (Probe("http", 8000, "/ok", scheme="HTTPS"), False, True),
        (Probe("exec", command=("true",)), False, True),
        (Probe("tcp", 8000), False, False),
        (None, False, False),
    ],
)
def test_a_probe_that_cannot_be_asked_from_outside_is_not_used(probe: Probe | None, used: bool, noticed: bool) -> None:
    """Another port, TLS or a command: any answer of the backend then means ready, and that is said."""
    found = laid_out("direct", PAIR._replace(backend=BACKEND._replace(readiness=probe)))
    assert (found.ready is not None) == used and bool(found.notices) == noticed


def test_a_uid_that_this_engine_cannot_give_is_said() -> None:
    """Not taken in silence."""
    found = laid_out("direct", PAIR._replace(backend=BACKEND._replace(run_as_user=1000)))
    assert any("runAsUser 1000" in notice for notice in found.notices)
