"""From a planned container to what podman or docker is told to create (pure).

Values travel in the client's environment, where `--env NAME` takes them from, and not in its arguments, which everybody
on the machine can read. Those that the client itself would obey go in the arguments all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pillion.compare.containers import Planned
from pillion.image.engine import PODMAN

# What a client, its libraries or its language read for themselves.
_OBEYED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "TZ", "HOSTALIASES", "NO_COLOR")
_GO = ("GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GORACE", "GOTRACEBACK")
_OBEYED_PREFIXES = (
    *("LD_", "LC_", "GLIBC_", "MALLOC_", "XDG_", "SSL_", "SSH_", "NOTIFY_", "LISTEN_", "TMP", "TEMP"),
    *(
        "DOCKER_",
        "BUILDKIT_",
        "COMPOSE_",
        "CONTAINER",
        "PODMAN_",
        "BUILDAH_",
        "STORAGE_",
        "REGISTRY_",
        "CNI_",
        "NETAVARK_",
    ),
)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "FTP_PROXY")


def is_obeyed(name: str) -> bool:
    """Whether the client would take the variable for its own."""
    return name in (*_OBEYED, *_GO) or name.startswith(_OBEYED_PREFIXES) or name.upper() in _PROXIES or "*" in name


def create_arguments(
    engine: str, planned: Planned, name: str, cpus: Collection[int], options: Collection[str]
) -> list[str]:
    """The words after `podman` or `docker`; nothing is pulled, for nobody asked for what a registry has."""
    words = ["create", "--pull=never", f"--name={name}", *options]
    if cpus:
        words.append(f"--cpuset-cpus={','.join(map(str, sorted(cpus)))}")
    if engine == PODMAN:
        words += ["--log-driver=k8s-file", "--http-proxy=false"]  # by default podman hands on the caller's proxies
    for variable, value in planned.environ.items():
        words.append(f"--env={variable}={value}" if is_obeyed(variable) else f"--env={variable}")
    words += [f"--tmpfs={each}" for each in planned.tmpfs]
    if planned.working_dir:
        words.append(f"--workdir={planned.working_dir}")
    if planned.user:
        words.append(f"--user={planned.user}")
    if planned.stop_signal:
        words.append(f"--stop-signal={planned.stop_signal}")
    if planned.entrypoint:
        words.append(f"--entrypoint={planned.entrypoint[0]}")
    return [*words, "--", planned.image, *planned.entrypoint[1:], *planned.arguments]


def client_environment(caller: Mapping[str, str], planned: Planned) -> dict[str, str]:
    """The client's own environment and what it is to hand on. Of the caller's only what a client obeys stays, so that
    nothing of it can be taken for the container's."""
    own = {name: value for name, value in caller.items() if is_obeyed(name)}
    return {**own, **{name: value for name, value in planned.environ.items() if not is_obeyed(name)}}
