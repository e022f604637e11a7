"""A running container of the shared layout on Debian, looked at with testinfra in both engines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from testinfra.host import Host

from tests.containers import infra
from tests.containers.backends import python_backend
from tests.containers.composed import Combine
from tests.containers.conftest import Container, running
from tests.containers.engines import Engine

UID, GID = 10001, 10001


@pytest.fixture(scope="module")
def container(either: Engine, combine: Combine) -> Iterator[Container]:
    given = [f"--env={name}={value}" for name, value in infra.GIVEN.items()]
    with running() as run:
        found = run(combine(python_backend(), either), options=["--publish=127.0.0.1::8080", *given], engine=either)
        found.get()
        yield found


@pytest.fixture(scope="module")
def host(container: Container) -> Host:
    return infra.inside(container)


def pid_of(host: Host, words: str) -> int:
    return next(each.pid for each in infra.processes(host) if words in each.command)


def test_there_are_the_supervisor_the_proxy_and_the_backend(host: Host) -> None:
    """Nothing else; the first process is the supervisor and the parent of both."""
    found = infra.processes(host)
    first = next(each for each in found if each.pid == 1)
    assert first.command.endswith("start.pyc supervise")
    children = [each for each in found if each.ppid == 1]
    assert sorted(each.command.split()[-1] for each in children) == ["8000", "proxy"]
    master = next(each for each in children if each.command.endswith("proxy"))
    workers = [each for each in found if each.ppid == master.pid]
    assert len(workers) >= 1 and len(found) == 1 + len(children) + len(workers)


def test_all_run_under_the_images_uid(host: Host) -> None:
    """One uid for both, as only root could take two."""
    pids = [each.pid for each in infra.processes(host)]
    lines = host.check_output("grep -hE '^(Uid|Gid|CapEff):' " + " ".join(f"/proc/{pid}/status" for pid in pids))
    assert set(lines.split("\n")) == {
        "Uid:\t" + "\t".join([str(UID)] * 4),
        "Gid:\t" + "\t".join([str(GID)] * 4),
        "CapEff:\t0000000000000000",
    }
    assert host.user("app").uid == UID


def test_the_proxy_and_the_backend_listen_and_nobody_else(host: Host) -> None:
    """And the supervisor's own door is a unix socket for its uid alone."""
    assert host.socket("tcp://0.0.0.0:8080").is_listening
    assert host.socket("tcp://0.0.0.0:8000").is_listening
    listening = [line for line in host.socket.get_listening_sockets() if not line.startswith("unix://")]
    assert sorted(listening) == ["tcp://0.0.0.0:8000", "tcp://0.0.0.0:8080"]
    door = host.file(supervisor_socket(host))
    assert door.is_socket and door.mode == 0o700 and door.user == "app"


def supervisor_socket(host: Host) -> str:
    """In the first place that the uid may write. `ss` knows the name it was bound with, not the one it was given."""
    return str(host.check_output("find /run /dev/shm /tmp -name supervisor.sock 2>/dev/null; true").strip())


def test_each_process_sees_its_own_environment(host: Host, container: Container) -> None:
    """What is addressed to one does not reach the other; of the proxy no process of its uid sees anything."""
    backend = infra.environ(host, pid_of(host, "answer.py 8000"))
    assert backend["LOG_LEVEL"] == "loud" and backend["SECRET_KEY"] == "not-a-secret"
    assert backend["GREETING"] == "hello  world"
    assert host.run(f"cat /proc/{pid_of(host, 'start.pyc proxy')}/environ").rc != 0
    # By the root of this machine.
    proxy = {name.decode(): value.decode() for name, value in container.environ("start.pyc proxy").items()}
    assert proxy["LOG_LEVEL"] == "debug" and proxy["RETRY_AFTER"] == "7"
    assert not {"SECRET_KEY", "GREETING"} & set(proxy) and "RETRY_AFTER" not in backend
    supervisor = infra.environ(host, 1)
    assert not {"LOG_LEVEL", "SECRET_KEY", "GREETING", "RETRY_AFTER"} & set(supervisor)
    for each in (backend, proxy, supervisor):
        assert not [name for name in each if "__" in name or name == "PILLION_PAIR"]


def test_our_files_are_roots_and_only_to_be_read(host: Host) -> None:
    """Under one directory, which no program of the container may write in."""
    top, entry = host.file("/opt/pillion"), host.file("/opt/pillion/bin/pillion")
    assert top.is_directory and (top.user, top.group, top.mode) == ("root", "root", 0o755)
    assert entry.is_file and (entry.user, entry.group, entry.mode) == ("root", "root", 0o755)
    assert host.check_output("find /opt/pillion ! -user root -o ! -group root -o -perm /6022") == ""
    assert host.check_output("find /opt -mindepth 1 -maxdepth 1") == "/opt/pillion"


def test_nothing_of_the_image_has_changed(container: Container) -> None:
    """The programs write in the directory for what a run needs, and nowhere else."""
    assert [path for path in infra.changed(container) if not path.startswith(infra.ENGINES_OWN)] == []


def test_the_supervisor_says_that_both_run(host: Host) -> None:
    """By its own socket, and with the pids that are there."""
    found = {name: (state, pid) for name, state, pid in infra.status(host, supervisor_socket(host))}
    backend, proxy = pid_of(host, "answer.py 8000"), found["proxy"][1]
    assert found == {"backend": ("RUNNING", backend), "proxy": ("RUNNING", proxy)}
    assert host.process.get(pid=proxy).args.endswith("start.pyc proxy")


def test_a_probe_through_the_proxy_is_answered(host: Host, container: Container) -> None:
    """From within and from the host."""
    assert infra.answers(host, "http://127.0.0.1:8080/") == 200
    assert container.get().status_code == 200


def test_it_tells_its_health_and_restarts_one_program_alone(host: Host, container: Container) -> None:
    """By the image's one entry, as a health check and a person would; the proxy does not notice."""
    entry = "/opt/pillion/bin/pillion"
    assert [host.run(f"{entry} health {question}").rc for question in ("live", "ready")] == [0, 0]
    backend, proxy = pid_of(host, "answer.py 8000"), pid_of(host, "start.pyc proxy")
    assert "backend: started" in host.check_output(f"{entry} ctl restart backend")
    assert pid_of(host, "answer.py 8000") != backend and pid_of(host, "start.pyc proxy") == proxy
    assert container.get().status_code == 200
