"""From a pair and a layout to containers: a pure function."""

from __future__ import annotations

import pytest

from pillion.compare.containers import ENTRY, Combined, Plan, plan
from pillion.image.pair import RECORD_VARIABLE, Pair, PairRecord, ProgramRecord, read_record
from pillion.image.refusal import Refusal
from tests.compare.test_layouts import PAIR, PROXY

RECORD = PairRecord(backend=ProgramRecord(image_env={"A": "hash"}, port=9, user="7:7"), deadline_s=3)
COMBINED = Combined("localhost/both:1", RECORD)


def laid_out(layout: str, pair: Pair = PAIR) -> Plan:
    """The plan of a layout."""
    return plan(pair._replace(backend=pair.backend._replace(image="api:1")), layout, COMBINED)


def test_direct_is_the_backends_image_as_the_file_has_it() -> None:
    """Nothing of ours in it."""
    (backend,) = laid_out("direct").containers
    assert (backend.image, backend.entrypoint, backend.arguments) == ("api:1", ("sh", "-c"), ("serve",))
    assert backend.environ == PAIR.backend.env and backend.stop_signal == "SIGQUIT"


def test_separate_is_both_images() -> None:
    """The sidecar's entrypoint is its image's; an upstream named by service is loopback in a pod, and that is said."""
    found = laid_out("separate")
    backend, proxy = found.containers
    assert [container.name for container in found.containers] == ["backend", "proxy"]
    assert (proxy.image, proxy.entrypoint, proxy.arguments) == ("pillion/sidecar", (), ())
    assert proxy.environ["UPSTREAM"] == "http://127.0.0.1:8000" and proxy.environ["LISTEN"] == "0.0.0.0:8080"
    assert proxy.environ["LOG_LEVEL"] == "debug" and backend == laid_out("direct").containers[0]
    assert found.port == 8080 and len(found.notices) == 1


def test_shared_is_one_container_of_the_combined_image() -> None:
    """Each program's variables in its namespace; what the image's record knows stays but for what the file says."""
    (shared,) = laid_out("shared").containers
    assert shared.image == "localhost/both:1" and shared.stop_signal == ""
    assert (shared.entrypoint, shared.arguments) == ((ENTRY,), ("enter", "--", "sh", "-c", "serve"))
    assert shared.environ["BACKEND__MODE"] == "x" and shared.environ["PROXY__MODE"] == "y"
    record = read_record(shared.environ[RECORD_VARIABLE])
    assert record.backend.image_env == {"A": "hash"} and record.backend.user == "7:7"
    assert record.backend.stop_signal == "SIGQUIT" and record.backend.ready_path == "/ok"
    assert record.backend.port == 8000 and record.deadline_s == 8.5


def test_the_combined_images_own_command_stays_where_the_file_gives_none() -> None:
    """Its Entrypoint holds the backend's; arguments take the place of its Cmd, as the platform has it."""
    bare = PAIR._replace(backend=PAIR.backend._replace(command=(), args=("--debug",)))
    (shared,) = laid_out("shared", bare).containers
    assert (shared.entrypoint, shared.arguments) == ((), ("--debug",))


def test_arguments_of_the_sidecar_go_behind_its_entrypoint() -> None:
    """Those that are settings have become settings."""
    pair = PAIR._replace(proxy=PROXY._replace(args=("--upstream=http://api:8000", "--other")))
    proxy = laid_out("separate", pair).containers[1]
    assert (proxy.entrypoint, proxy.arguments) == ((), ("--other",))
    own = pair._replace(proxy=pair.proxy._replace(command=("/venv/bin/pillion", "proxy")))
    proxy = laid_out("separate", own).containers[1]
    assert (proxy.entrypoint, proxy.arguments) == (("/venv/bin/pillion", "proxy"), ("--other",))


def test_the_uid_of_the_file_is_taken() -> None:
    """As runAsUser and runAsGroup say."""
    one = PAIR._replace(backend=PAIR.backend._replace(run_as_user=1000))
    both = PAIR._replace(backend=PAIR.backend._replace(run_as_user=1000, run_as_group=0))
    assert [laid_out("direct", pair).containers[0].user for pair in (PAIR, one, both)] == ["", "1000", "1000:0"]


def test_a_relative_working_directory_is_the_process_engines() -> None:
    """An absolute one is the container's."""
    places = ["/srv", "app", ""]
    pairs = [PAIR._replace(backend=PAIR.backend._replace(working_dir=place)) for place in places]
    assert [laid_out("direct", pair).containers[0].working_dir for pair in pairs] == ["/srv", "", ""]


@pytest.mark.parametrize(
    ("upstream", "own_network", "listen"),
    [
        ("http://127.0.0.1:8000", False, "127.0.0.1:8080"),
        ("http://api:8000", False, "127.0.0.1:8080"),
        ("", False, "127.0.0.1:8080"),
        ("http://10.0.0.7:8000", True, "0.0.0.0:8080"),
    ],
)
def test_remote_is_where_the_backend_can_be_reached(upstream: str, own_network: bool, listen: str) -> None:
    """One of an IDE listens on this machine's loopback, and is then not shown to other machines by the sidecar."""
    found = laid_out("remote", PAIR._replace(proxy=PROXY._replace(env={"UPSTREAM": upstream} if upstream else {})))
    (proxy,) = found.containers
    assert proxy.image == "pillion/sidecar" and found.host_network != own_network
    assert proxy.environ["LISTEN"] == listen


def test_remote_does_not_wait_for_a_socket_that_no_container_sees() -> None:
    """Nothing of this machine's files is mounted."""
    pair = PAIR._replace(proxy=PROXY._replace(env={"UPSTREAM": "unix:/run/api.sock"}))
    with pytest.raises(Refusal, match=r"unix:/run/api\.sock is a socket of this machine.*--engine process"):
        laid_out("remote", pair)


def test_a_foreign_proxy_is_a_container_of_its_own_only() -> None:
    """It cannot be combined; its image is taken as it is."""
    foreign = PAIR._replace(proxy=PROXY._replace(image="envoyproxy/envoy", env={"A": "b"}))
    proxy = laid_out("separate", foreign).containers[1]
    assert (proxy.image, proxy.environ) == ("envoyproxy/envoy", {"A": "b"})
    for layout in ("shared", "remote"):
        with pytest.raises(Refusal, match=r"is not Pillion's proxy"):
            laid_out(layout, foreign)
