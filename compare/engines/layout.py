"""A layout that runs in containers of podman or docker: started, watched, asked and removed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import time
from collections.abc import Collection
from datetime import datetime, timezone
from typing import Any, NamedTuple

from pillion.compare.cgroup import Cgroup, cgroup_of
from pillion.compare.containers import Plan, Planned
from pillion.compare.engines.container_logs import ContainerLogs
from pillion.compare.engines.creation import client_environment, create_arguments
from pillion.compare.engines.ending import Ending, read_ending
from pillion.compare.engines.leftovers import LABEL, owner
from pillion.compare.engines.programs import POD, in_one_container
from pillion.compare.engines.removal import remove
from pillion.compare.engines.running import Usage
from pillion.compare.network import network_of
from pillion.compare.output import LineSink
from pillion.compare.proc import descendants, parents, proportional_set_size
from pillion.image.engine import PODMAN, Engine
from pillion.image.ports import LOOPBACK
from pillion.image.refusal import Failure

_INFRA = "infra"


class Container(NamedTuple):
    """One that was started: its first process, that one's control group, and a descriptor that tells when it ends."""

    name: str
    identity: str
    pid: int
    cgroup: Cgroup | None
    ended: int


class RunningContainers:
    """A layout that is up. Use it as a context: at its end no container, pod or log reader of it is left.

    On podman the containers stand in a pod; docker has none, so there the later ones join the first one's network.
    """

    def __init__(
        self,
        engine: Engine,
        plan: Plan,
        sink: LineSink | None,
        grace_s: float,
        cpus: Collection[int],
        published: bool,
    ) -> None:
        self.plan = plan
        self.layout, self.port, self.ready = plan.layout, plan.port, plan.ready
        self._engine, self._grace_s, self._published = engine, grace_s, published
        self._what = f"start layout {plan.layout} on {engine.name}"
        self._name = f"pillion-{plan.layout}-{os.urandom(4).hex()}"
        self._identities: dict[str, str] = {}
        # The options with which each was created: where it stands, its label, its processors.
        self._options: dict[str, list[str]] = {}
        self._cpus = cpus
        self._pod = ""
        self._containers: list[Container] = []
        self._endings: dict[str, Ending] = {}
        self._stopped = False
        self._logs = ContainerLogs(engine, sink)
        self.started = time.monotonic()
        try:
            self._create()
            self._start()
            for name, identity in self._identities.items():
                self._logs.follow(name, identity)
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> RunningContainers:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def network(self) -> contextlib.AbstractContextManager[None]:
        """The containers' own, where their loopback is; ours where a port is published or the network is the host's."""
        if self._published or self.plan.host_network or not self._containers:
            return contextlib.nullcontext()
        return network_of(self._containers[0].pid)

    def usage(self) -> Usage:
        """The pod's infra container is in it, where there is one."""
        roots = [container.pid for container in self._containers]
        family = descendants(roots)
        above = parents()
        return Usage(
            memory_bytes=proportional_set_size(family),
            processes=len(family),
            cgroup_bytes=sum(each.cgroup.memory_bytes() for each in self._containers if each.cgroup),
            engine_bytes=proportional_set_size({above[pid] for pid in roots if pid in above}),
        )

    def cpu_s(self) -> float:
        """By their control groups."""
        return sum(each.cgroup.cpu_s() for each in self._containers if each.cgroup)

    def programs(self) -> dict[str, Collection[int]]:
        """By which container they are in; what the engine executes in one from outside is none of its programs."""
        found: dict[str, Collection[int]] = {}
        for container in self._containers:
            if container.name == "shared":
                found |= in_one_container(container.pid)
            else:
                found[POD if container.name == _INFRA else container.name] = descendants([container.pid])
        return found

    def lost(self) -> tuple[str, int] | None:
        """The kernel says which first process has ended; the engine is asked for its code only then."""
        for container in self._containers:
            if select.select([container.ended], [], [], 0)[0]:
                return container.name, self._settled(container.name, container.identity).exit_code
        return None

    def explain_loss(self, name: str, code: int) -> str:
        """With what the engine says of it, and the last lines that it kept."""
        self._logs.read(self._identities)
        output = self._logs.output
        ending = self._endings.get(name)
        how = f"ended with {code}" + (ending.also(self._engine.name) if ending else "")
        if name == "shared":
            said = output.last_line("pillion")
            return f"the pair {how}: {said}{output.last_lines(besides=said)}"
        last = output.last_line(name)
        return f"the {name} {how}" + (f"; its last line: {last}" if last else " and wrote nothing")

    def unnamed_lines(self) -> int:
        """As far as they were followed."""
        return self._logs.output.unnamed

    def last_words(self) -> str:
        """The last line of each program, as far as it is known."""
        self._logs.read(self._identities)
        return self._logs.output.last_lines()

    def stop(self) -> None:
        """The proxy first, as a native sidecar's platform does; each has what is left of the grace."""
        self._stopped = True
        deadline = time.monotonic() + self._grace_s
        for name in reversed(list(self._identities)):
            left = max(round(deadline - time.monotonic()), 1)
            self._engine.run("stop", f"--time={left}", self._identities[name], timeout_s=left + 60)

    def endings(self) -> dict[str, Ending]:
        """As the engine tells of each."""
        return {name: self._settled(name, identity) for name, identity in self._identities.items()}

    def cannot_restart(self, name: str) -> str:
        """Docker has no pods, and the network goes with the container that has it."""
        if self._pod or self.plan.host_network or name != next(iter(self._identities)):
            return ""
        return f"{self._engine.name} has no pods: the network is the {name} container's own and ends with it"

    def revive(self, name: str) -> None:
        """As the kubelet does: the same container is started again, the others stay."""
        since = write_time(time.time())
        self._engine.ask(self._what, "start", self._identities[name])
        self._restarted(name, since)

    def replace(self, planned: Planned) -> None:
        """By another one of its name: stopped within the grace, removed, created anew, started."""
        identity = self._identities[planned.name]
        self._engine.run("stop", f"--time={max(round(self._grace_s), 1)}", identity, timeout_s=self._grace_s + 60)
        self._engine.ask(self._what, "rm", "--force", "--volumes", identity)
        since = write_time(time.time())
        self._create_one(planned)
        self._engine.ask(self._what, "start", identity)
        self._restarted(planned.name, since)

    def cgroups(self) -> dict[str, Cgroup]:
        """Of each container but the pod's own."""
        return {each.name: each.cgroup for each in self._containers if each.cgroup and each.name != _INFRA}

    def _restarted(self, name: str, since: str) -> None:
        (inspected,) = self._inspect(self._identities[name])
        at = next(place for place, each in enumerate(self._containers) if each.name == name)
        os.close(self._containers.pop(at).ended)
        self._containers.insert(at, self._running(name, self._identities[name], inspected["State"]))
        self._logs.follow(name, self._identities[name], since)

    def _create(self) -> None:
        label = f"--label={LABEL}={owner()}"
        publish = [f"--publish={LOOPBACK}:{self.port}:{self.port}"] if self._published else []
        if self.plan.host_network:
            place, publish = ["--network=host"], []
        elif self._engine.name == PODMAN:
            self._pod = self._name
            self._engine.ask(self._what, "pod", "create", f"--name={self._pod}", label, *publish)
            place, publish = [f"--pod={self._pod}"], []
        else:
            place = []
        for planned in self.plan.containers:
            self._identities[planned.name] = f"{self._name}-{planned.name}"
            self._options[planned.name] = [label, *place, *publish]
            self._create_one(planned)
            if self._engine.name != PODMAN and not self.plan.host_network:
                place, publish = [f"--network=container:{next(iter(self._identities.values()))}"], []

    def _create_one(self, planned: Planned) -> None:
        name, options = self._identities[planned.name], self._options[planned.name]
        words = create_arguments(self._engine.name, planned, name, self._cpus, options)
        self._engine.ask(self._what, *words, environ=client_environment(os.environ, planned))

    def _start(self) -> None:
        began = time.time()
        if self._pod:
            self._engine.ask(self._what, "pod", "start", self._pod)
            infra = json.loads(self._engine.ask(self._what, "pod", "inspect", self._pod))["InfraContainerID"]
            everything = {_INFRA: infra, **self._identities}
        else:
            everything = dict(self._identities)
            for identity in everything.values():
                self._engine.ask(self._what, "start", identity)
        states = [each["State"] for each in self._inspect(*everything.values())]
        times = [read_time(str(state.get("StartedAt", ""))) for state in states]
        first = min((moment for moment in times if moment), default=began)
        self.started = time.monotonic() - max(time.time() - first, 0.0)
        for (name, identity), state in zip(everything.items(), states, strict=True):
            self._containers.append(self._running(name, identity, state))

    def _running(self, name: str, identity: str, state: dict[str, Any]) -> Container:
        pid = int(state.get("Pid") or 0)
        try:
            ended = os.pidfd_open(pid) if pid else -1
        except ProcessLookupError:
            ended = -1
        if ended < 0:
            code = self._settled(name, identity).exit_code
            raise Failure(self._what, self.explain_loss(name, code), "mend the program, its image or the pair file")
        return Container(name, identity, pid, cgroup_of(pid), ended)

    def _inspect(self, *identities: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self._engine.ask(self._what, "container", "inspect", *identities))
        return found

    def _settled(self, name: str, identity: str) -> Ending:
        """Of a container whose process has ended; the engine may learn of that a moment later."""
        deadline = time.monotonic() + 5
        while True:
            (inspected,) = self._inspect(identity)
            if not inspected["State"].get("Running") or time.monotonic() > deadline:
                self._endings[name] = read_ending(inspected)
                return self._endings[name]
            time.sleep(0.05)

    def _end(self) -> None:
        try:
            self._tidy()
        except BaseException:
            # By a signal, which comes only once, or an engine that did not answer in time.
            self._tidy()
            raise

    def _tidy(self) -> None:
        if self._containers and not self._stopped:
            self.stop()
        while self._containers:
            os.close(self._containers.pop().ended)
        try:
            self._remove()
        finally:
            self._logs.close()

    def _remove(self) -> None:
        """Whatever state they are in. Raises Failure if one stays."""
        containers = [("rm", "--force", "--volumes", identity) for identity in reversed(self._identities.values())]
        remove(self._engine, [*containers, *([("pod", "rm", "--force", self._pod)] if self._pod else [])])


def write_time(moment: float) -> str:
    """Seconds since 1970 as the engines' clients take a time."""
    return datetime.fromtimestamp(moment, timezone.utc).isoformat()


def read_time(text: str) -> float | None:
    """Seconds since 1970 of an RFC 3339 time with nanoseconds; None if it is none, or Go's zero."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)?\s*(Z|[+-]\d\d:?\d\d)(\s.*)?", text)
    if match is None or match[1].startswith("0001"):
        return None
    zone = "+0000" if match[4] == "Z" else match[4].replace(":", "")
    whole = datetime.strptime(f"{match[1]} {match[2]} {zone}", "%Y-%m-%d %H:%M:%S %z").astimezone(timezone.utc)
    return whole.timestamp() + float(match[3] or 0)
