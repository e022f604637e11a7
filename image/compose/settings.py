"""What becomes of the backend's settings that the merge leaves alone or changes, each said as a finding (pure)."""

from __future__ import annotations

from collections.abc import Iterator

from pillion.image.compose.environment import MergedEnv
from pillion.image.compose.image import Image
from pillion.image.compose.layer_files import PREFIX
from pillion.image.compose.media_types import DOCKER
from pillion.image.environ.finding import Finding

# moby's container.Config, the superset of config.md.
_KNOWN = frozenset(
    """ArgsEscaped AttachStderr AttachStdin AttachStdout Cmd Domainname Entrypoint Env ExposedPorts Healthcheck Hostname
    Image Labels MacAddress NetworkDisabled OnBuild OpenStdin Shell StdinOnce StopSignal StopTimeout Tty User Volumes
    WorkingDir""".split()  # noqa: SIM905 (a list of words is read more easily so)
)


def judge_settings(base: Image, env: MergedEnv, user: str) -> Iterator[Finding]:
    """Findings in the order of a config's members."""
    settings = base.settings
    if env.moved:
        names = ", ".join(env.moved)
        yield Finding("S3", "ENV", f"{names}: the backend alone sees it, as the loader reads it before everything else")
    yield from _user(str(settings.get("User") or ""), user)
    if (stop_signal := settings.get("StopSignal")) not in (None, "", "SIGTERM", "15", "TERM"):
        yield Finding("S3", "STOPSIGNAL", f"the container stops with SIGTERM, the backend still with {stop_signal}")
    if timeout := settings.get("StopTimeout"):
        yield Finding("S3", "StopTimeout", f"kept; both programs share the {timeout} s")
    yield from _health_check(base, env)
    yield from _volumes(settings.get("Volumes") or {})
    for key in ("OnBuild", "Shell"):
        if settings.get(key):
            yield Finding("S3", key, "kept as it is")
    for key in sorted(set(settings) - _KNOWN):
        yield Finding("S3", f"config.{key}", "not known here; kept as it is")


def _user(name: str, number: str) -> Iterator[Finding]:
    if name != number:
        yield Finding("S3", "USER", f"{name} is written as {number}, which runAsNonRoot can judge")
    if number.partition(":")[0] in ("", "0"):
        yield Finding("S3", "USER", "the backend runs as root and can read the proxy's environment; not the reverse")


def _health_check(base: Image, env: MergedEnv) -> Iterator[Finding]:
    check = base.settings.get("Healthcheck") or {}
    test = check.get("Test") or []
    if not test or test[:1] == ["NONE"]:
        return
    yield Finding("S3", "HEALTHCHECK", "kept: it asks the backend and knows nothing of the proxy")
    if env.moved:
        happens = f"runs without {', '.join(env.moved)}, which the backend alone sees"
        yield Finding("S2", "HEALTHCHECK", happens, "use a check that needs no such variable")
    if base.family is not DOCKER:
        yield Finding("S3", "HEALTHCHECK", "kept, but podman reads it in Docker's format only")


def _volumes(volumes: dict[str, object]) -> Iterator[Finding]:
    for path in volumes:
        covers = path.strip("/")
        if f"{PREFIX}/".startswith(f"{covers}/" if covers else "") or covers.startswith(f"{PREFIX}/"):
            yield Finding("S1", f"VOLUME {path}", "would be mounted over the sidecar's files", "move the volume")
        else:
            yield Finding("S3", f"VOLUME {path}", "kept as it is")
