"""The combined image's config and manifest, from the backend's and the sidecar's layer (pure).

Documents are edited, never rebuilt, so that every key that is not named here stays as it is.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, NamedTuple

from pillion.image.compose import marks
from pillion.image.compose.document import digest_of, write_document
from pillion.image.compose.environment import MergedEnv, merge_env, read_env
from pillion.image.compose.image import Document, Image, Sidecar
from pillion.image.compose.layer_files import ENTRY, Files
from pillion.image.compose.media_types import DOCKER, compression_of
from pillion.image.compose.settings import judge_settings
from pillion.image.compose.user import Nobody, numeric_user
from pillion.image.environ.finding import Finding
from pillion.image.environ.split import Facts, Split, split
from pillion.image.pair import RECORD_VARIABLE, PairRecord, ProgramRecord
from pillion.image.ports import listen_ports
from pillion.image.refusal import Refusal
from pillion.image.stop_signal import signal_number
from pillion.image.supervision import RESERVE_S, deadline_for

PROXY_USER = "65532:65532"
STOP_SIGNAL = "SIGTERM"
_WHAT = "build the combined image"


class Options(NamedTuple):
    """`created` replaces the backend's own time of creation (RFC 3339); `env` is added to the image's."""

    created: str = ""
    env: Mapping[str, str] = {}


class Merged(NamedTuple):
    """`config` and `manifest` as they will be written, `record` as `enter` will read it, `divided` what it will make of
    the image's own environment, and `added` the names of it that the backend's image does not give."""

    config: Document
    manifest: Document
    record: PairRecord
    divided: Split
    added: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def config_bytes(self) -> bytes:
        """What the image's id is the digest of."""
        return write_document(self.config)

    @property
    def manifest_bytes(self) -> bytes:
        """What a registry knows the image by."""
        return write_document(self.manifest)


def merge(base: Image, sidecar: Sidecar, files: Files, options: Options) -> Merged:
    """Put the sidecar's layer on the backend's image. `files` resolves the names of USER. Raises Refusal."""
    settings = dict(base.settings)
    if marks.read_marks(base) or RECORD_VARIABLE in read_env(settings.get("Env") or []):
        raise Refusal(_WHAT, f"{base.source} is a combined image already", "replace its sidecar with --rebase")
    command = _command(settings, base.source)
    env = _env(settings, options, base.source)
    user = _user(str(settings.get("User") or ""), files, base.source)
    record = _record(settings, env, user, base.source)
    divided = split(env.values, record, Facts(), lambda path: b"")
    port = listen_ports(divided.environ("proxy"))[0]

    changed: Document = {
        **settings,
        "Entrypoint": [f"/{ENTRY}", "enter", "--", *command],
        "Env": [*env.entries, f"{RECORD_VARIABLE}={record.to_json()}"],
        "ExposedPorts": {**(settings.get("ExposedPorts") or {}), f"{port}/tcp": {}},
        "StopSignal": STOP_SIGNAL,
    }
    if user != str(settings.get("User") or ""):
        changed["User"] = user
    written = marks.write_marks(base, sidecar, settings, env)
    annotations = base.family is not DOCKER
    if not annotations:
        changed["Labels"] = {**(settings.get("Labels") or {}), **written}
    config = _config(base, sidecar, changed, options.created)
    manifest = _manifest(base, sidecar, write_document(config), written if annotations else {})
    findings = (*divided.findings, *judge_settings(base, env, user))
    return Merged(config, manifest, record, divided, env.added, findings)


def command_of(value: Any) -> list[str]:
    """Entrypoint or Cmd as the engines take it: text is one word, and one empty word is none (moby's `strslice`)."""
    words = [value] if isinstance(value, str) else list(value or [])
    return [] if words == [""] else words


def _command(settings: Document, source: str) -> list[str]:
    """The backend's Entrypoint; its Cmd stays where it is, so that arguments replace it as they did before."""
    entrypoint = command_of(settings.get("Entrypoint"))
    if not entrypoint and not command_of(settings.get("Cmd")):
        why = f"{source} has neither Entrypoint nor Cmd, so there is nothing to start"
        raise Refusal(_WHAT, why, "give its Containerfile a CMD")
    return entrypoint


def _env(settings: Document, options: Options, source: str) -> MergedEnv:
    try:
        return merge_env(settings.get("Env") or [], options.env)
    except ValueError as error:
        raise Refusal(_WHAT, f"{source}: PILLION_NAMESPACES: {error}", "write proxy=A,backend=B") from error


def _user(user: str, files: Files, source: str) -> str:
    try:
        return numeric_user(user, files)
    except Nobody as error:
        why = f"{source}: USER {user} is nobody there: {error}"
        raise Refusal(_WHAT, why, "give its Containerfile a USER with numbers, such as USER 1000") from error


def _record(settings: Document, env: MergedEnv, user: str, source: str) -> PairRecord:
    stop_signal = str(settings.get("StopSignal") or STOP_SIGNAL)
    try:
        signal_number(stop_signal)
    except ValueError as error:
        raise Refusal(_WHAT, f"{source}: STOPSIGNAL {error}", "give it one such as SIGTERM") from error
    timeout = settings.get("StopTimeout")
    default = PairRecord().deadline_s
    grace = float(timeout) if isinstance(timeout, int) and not isinstance(timeout, bool) else default + RESERVE_S
    return PairRecord(
        backend=ProgramRecord(
            image_env=env.fingerprints,
            port=_only_port(settings),
            stop_signal=stop_signal,
            user=user,
        ),
        proxy=ProgramRecord(user=PROXY_USER),
        deadline_s=deadline_for(grace),
    )


def _only_port(settings: Document) -> int:
    """The one TCP port of EXPOSE, 0 if there is none or a choice."""
    exposed = [port.partition("/") for port in settings.get("ExposedPorts") or {}]
    numbers = [number for number, _, protocol in exposed if protocol in ("", "tcp")]
    if len(numbers) == 1 and numbers[0].isascii() and numbers[0].isdigit() and 0 < int(numbers[0]) < 65536:
        return int(numbers[0])
    return 0


def _config(base: Image, sidecar: Sidecar, settings: Document, created: str) -> Document:
    created = created or str(base.config.get("created") or _rfc3339(0))
    rootfs = base.config.get("rootfs") or {}
    entry = {"created": created, "created_by": f"pillion build: sidecar layer {sidecar.layer.known_as}"}
    history = base.config.get("history") or []
    # buildah refuses an image whose history names fewer layers than there are.
    told = sum(not (isinstance(each, dict) and each.get("empty_layer")) for each in history)
    untold = [{"created": created, "comment": "a layer of the base, whose history does not tell of it"}]
    return {
        **base.config,
        "config": settings,
        "created": created,
        "rootfs": {
            "type": "layers",
            **rootfs,
            "diff_ids": [*(layer.diff_id for layer in base.layers), sidecar.layer.diff_id],
        },
        "history": [*history, *untold * (len(base.layers) - told), entry],
    }


def _manifest(base: Image, sidecar: Sidecar, config: bytes, annotations: Mapping[str, str]) -> Document:
    old = base.manifest["config"]
    kept = {key: value for key, value in old.items() if key not in ("data", "urls")}
    family = base.family
    layers = [
        {**layer.descriptor, "mediaType": _media_type(base, layer.descriptor["mediaType"], layer.digest)}
        for layer in base.layers
    ]
    own = {
        "mediaType": _media_type(base, sidecar.layer.descriptor["mediaType"], sidecar.layer.digest),
        "digest": sidecar.layer.digest,
        "size": sidecar.layer.descriptor["size"],
    }
    manifest = {
        **base.manifest,
        "schemaVersion": 2,
        "mediaType": family.manifest,
        "config": {**kept, "mediaType": family.config, "digest": digest_of(config), "size": len(config)},
        "layers": [*layers, own],
    }
    if annotations:
        manifest["annotations"] = {**(base.manifest.get("annotations") or {}), **annotations}
    return manifest


def _media_type(base: Image, media_type: str, digest: str) -> str:
    """The same compression in the base's family: a manifest that mixes the two fails in podman."""
    compression = compression_of(media_type) or ""
    if compression not in base.family.layers:
        why = f"layer {digest} is {compression}, which {base.family.name}'s format of {base.source} does not know"
        raise Refusal(_WHAT, why, "build it with --format oci")
    return base.family.layers[compression]


def _rfc3339(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def created_at(epoch: str) -> str:
    """SOURCE_DATE_EPOCH (reproducible-builds.org) as a config has it, "" for "". Raises Refusal."""
    if not epoch:
        return ""
    if not epoch.isascii() or not epoch.isdigit() or int(epoch) >= 1 << 37:
        raise Refusal(_WHAT, f"SOURCE_DATE_EPOCH={epoch:.40} is no number of seconds", "unset it, or mend it")
    return _rfc3339(int(epoch))
