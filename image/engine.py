"""A container engine's command line, podman's or docker's: found, asked and told, with what it says in our words."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from pillion.image.refusal import Failure, Refusal

PODMAN, DOCKER = "podman", "docker"
ENGINES = (PODMAN, DOCKER)
# The oldest that is known to work: Debian 12's.
OLDEST = {PODMAN: (4, 3), DOCKER: (20, 10)}
_VERSION = {PODMAN: "{{.Client.Version}}", DOCKER: "{{.Server.Version}}"}
ANSWER_S = 120.0
# How long a client may go on when we were told to stop.
FINISH_S = 10.0
# podman's word for a container that is not in the state that it took it to be in. It was seen twice at the start of a
# pod on a busy machine, where nothing had ended, and was gone a moment later. All that `ask` asks may be asked again.
_PASSING, _PASSES_S, _ATTEMPTS = "container state improper", 0.5, 3
_DAEMON = "Error response from daemon:"
# What clients say of an image that is not there, or of a name that none can have.
_ABSENT = ("no such image", "image not known", "invalid reference format", "must be lowercase")


class Engine(NamedTuple):
    """`name` is podman or docker, `executable` where its client is, `version` as it says itself."""

    name: str
    executable: str
    version: str

    def run(
        self,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        timeout_s: float = ANSWER_S,
    ) -> subprocess.CompletedProcess[str]:
        """Run the client, whatever comes of it. `environ` replaces the caller's environment. Raises Failure.

        A Ctrl-C is ours alone: the client has a session of its own, and ends what it began before we go on.
        """
        process = subprocess.Popen(
            [self.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            env=environ,
            start_new_session=True,
        )
        with process:
            try:
                output, errors = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired as error:
                why = f"{self.name} did not answer within {timeout_s:g} s"
                raise Failure(f"run {self.name} {arguments[0]}", why, "look at the engine's own state") from error
            except KeyboardInterrupt:
                # What is half made, or still being made, would not be there yet when it is removed.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=FINISH_S)
                raise
            finally:
                process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def ask(
        self, what: str, *arguments: str, environ: Mapping[str, str] | None = None, timeout_s: float = ANSWER_S
    ) -> str:
        """What the client prints. Raises Failure with the last line of its complaint if it fails."""
        for _ in range(_ATTEMPTS):
            done = self.run(*arguments, environ=environ, timeout_s=timeout_s)
            if not done.returncode or _PASSING not in done.stderr:
                break
            time.sleep(_PASSES_S)
        if done.returncode:
            raise Failure(what, f"{self.name} {arguments[0]}: {complaint(done.stderr)}")
        return done.stdout

    def inspect_image(self, image: str) -> dict[str, Any] | None:
        """What the engine's own store knows of an image; None if it has none of that name. Raises Failure."""
        found = self.inspect_images(image)
        return found[0] if found else None

    def inspect_images(self, *images: str) -> list[dict[str, Any]] | None:
        """The same of several at once; None if one of them is not there. Raises Failure if the engine cannot tell."""
        done = self.run("image", "inspect", "--", *images)
        if done.returncode:
            if any(absent in done.stderr.lower() for absent in _ABSENT):
                return None
            why = f"{self.name} image inspect: {complaint(done.stderr)}"
            raise Failure(f"look for image {', '.join(images)}", why, f"look at {self.name}'s own state")
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found


def find_engine(name: str, what: str, otherwise: str = "choose --engine process") -> Engine:
    """Raises Refusal if the engine is not installed, does not answer, or is older than those that are known to work.
    `otherwise` is what can be done without it."""
    return check_engine(locate_engine(name, what, otherwise), what)


def locate_engine(name: str, what: str, otherwise: str) -> Engine:
    """The client, whether or not it can be used; its version is "". Raises Refusal if it is not installed."""
    executable = shutil.which(name)
    if executable is None:
        raise Refusal(what, f"engine {name} is not installed", f"install {name}, or {otherwise}")
    return Engine(name, executable, "")


def check_engine(engine: Engine, what: str) -> Engine:
    """The same with its version. Raises Refusal if it does not answer or is too old."""
    name = engine.name
    done = engine.run("version", "--format", _VERSION[name], timeout_s=30)
    version = done.stdout.strip()
    if done.returncode or not version:
        raise Refusal(what, f"engine {name} does not answer: {complaint(done.stderr)}", f"start {name}, or its daemon")
    if read_version(version) < OLDEST[name]:
        oldest = ".".join(map(str, OLDEST[name]))
        raise Refusal(what, f"engine {name} is {version}, and before {oldest} it is not known to work", "update it")
    return engine._replace(version=version)


def read_version(text: str) -> tuple[int, ...]:
    """The numbers of a version: (20, 10, 24) for `20.10.24+dfsg1`; () if it has none."""
    numbers = []
    for part in text.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def complaint(stderr: str) -> str:
    """What a client complained of: what its daemon said, else its last line, without the label."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    daemons = [line for line in lines if line.startswith(_DAEMON)]
    last = (daemons or lines or ["it said nothing"])[-1]
    return last.removeprefix("Error:").removeprefix(_DAEMON).strip()
