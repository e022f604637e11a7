"""The split: from the one environment of a container to an environment for each program, by the policy (pure).

Layers, lowest first; a higher one replaces what a lower one gave under the same name:

1. derived: HOME, USER, LOGNAME and PATH from a program's uid and image, UPSTREAM, READY_PATH, DRAIN_TIMEOUT
2. image: what the backend's image itself has in its ENV, with or without a namespace, by the hashes in the pair record
3. shared: the classes that go to both, and the names that PILLION_SHARED lists
4. bare: any other name without a namespace, by its class
5. namespaced: `<NS>__X`, or the content of the file that `<NS>__X_FILE` names where PILLION_FILES lists X, less one
   newline at its end; if both are there it is an error

Around them: PILLION_STRICT=1 makes each bare name that goes to the backend for want of an address an S1 finding, and
PILLION_ALLOW (`NAME: REASON; NAME: REASON`) takes a finding by name down to S3. PILLION_VERBATIM=1, or `verbatim` in
the record, turns the derived changes off. What the one program is addressed never reaches the other, and nothing
reaches a program that is not in the container's environment, derived, or in a file that it names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from pillion.image.environ.classes import service_links, variable_class
from pillion.image.environ.finding import Finding
from pillion.image.environ.names import Namespaces, address, near_miss, read_namespaces
from pillion.image.environ.overrides import allowances, allowed, is_strict, is_verbatim, unaddressed
from pillion.image.pair import PROGRAMS, PairRecord
from pillion.image.ports import LOOPBACK, backend_port, host_of, is_loopback, listen_ports
from pillion.image.refusal import Refusal

LAYERS = ("derived", "image", "shared", "bare", "namespaced")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DEFAULT_ROUTE = "class other: the backend"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class Identity(NamedTuple):
    """Who a process runs as: its numeric uid, and the name and home that passwd has for it ("" and "/" if none)."""

    uid: int = 0
    name: str = ""
    home: str = "/"


class Facts(NamedTuple):
    """What the split needs to know beside the environment.

    `container` is who PID 1 is, `proxy` and `backend` who each program will be; `own_path` is the PATH of Pillion's own
    programs.
    """

    container: Identity = Identity()
    proxy: Identity = Identity()
    backend: Identity = Identity()
    own_path: str = DEFAULT_PATH


class Variable(NamedTuple):
    """One variable as one program sees it: where it came from (the container's variable, "" if computed), by which
    layer, and why. The value is for the program only and is never printed."""

    value: str
    origin: str
    layer: str
    why: str


class Split(NamedTuple):
    """`programs` maps program to name to variable; `withheld` maps names that neither program sees to the reason;
    `originals` are the names with a namespace, which nobody sees as they are."""

    programs: Mapping[str, Mapping[str, Variable]]
    withheld: Mapping[str, str]
    findings: tuple[Finding, ...]
    originals: tuple[str, ...] = ()

    def environ(self, program: str) -> dict[str, str]:
        """What the program is started with."""
        return {name: variable.value for name, variable in self.programs[program].items()}


class _Layers:
    """Collects variables by program and layer, and flattens them by precedence."""

    def __init__(self) -> None:
        self._by_layer: dict[tuple[str, str], dict[str, Variable]] = {}

    def put(self, program: str, layer: str, name: str, value: str, origin: str, why: str) -> None:
        self._by_layer.setdefault((program, layer), {})[name] = Variable(value, origin, layer, why)

    def see(self, program: str, name: str) -> str | None:
        found = self.flat(program).get(name)
        return found.value if found else None

    def flat(self, program: str) -> dict[str, Variable]:
        flat: dict[str, Variable] = {}
        for layer in LAYERS:
            flat.update(self._by_layer.get((program, layer), {}))
        return flat


def fingerprint(value: str) -> str:
    """The SHA-256 by which the pair record tells an image's own value from one given at run time."""
    import hashlib  # milliseconds that a start without such a record need not spend

    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()


def split(
    environ: Mapping[str, str],
    record: PairRecord,
    facts: Facts,
    read_file: Callable[[str], bytes],
) -> Split:
    """Who sees what. `read_file` gives the bytes of a file that a `<NS>__X_FILE` names (OSError if it cannot).

    Raises Refusal when the settings of the split itself cannot be read; everything else is a finding.
    """
    try:
        namespaces = read_namespaces(environ.get("PILLION_NAMESPACES", ""))
    except ValueError as error:
        raise Refusal("split the environment", f"PILLION_NAMESPACES: {error}", "write proxy=A,backend=B") from error
    reasons, strict = allowances(environ), is_strict(environ)
    record = record._replace(verbatim=record.verbatim or is_verbatim(environ))
    layers, withheld, findings = _Layers(), dict[str, str](), list[Finding]()

    bare: dict[str, str] = {}
    originals: list[str] = []
    for name, value in environ.items():
        if target := address(name, namespaces):
            originals.append(name)
            if target.name:
                # What the image's own ENV addresses is as low as the rest of that ENV: `-e NAME` still replaces it.
                layer = "image" if record.backend.image_env.get(name) == fingerprint(value) else "namespaced"
                layers.put(target.program, layer, target.name, value, name, f"addressed to the {target.program}")
                continue
        else:
            bare[name] = value
        if miss := near_miss(name, namespaces):
            findings.append(_near_miss(name, miss.suggestion, bool(target)))
            if target:
                withheld[name] = "a namespace without a name"

    _route_bare(bare, record, facts, layers, withheld, findings)
    _read_files(environ, namespaces, layers, findings, read_file)
    _derive(bare, record, facts, layers)
    _settle_ports(bare, record, layers, findings)
    if not record.verbatim:
        _spare_loopback(layers)
    programs = {program: layers.flat(program) for program in PROGRAMS}
    if strict:
        by_default = {
            each.origin for each in programs["backend"].values() if each.why == _DEFAULT_ROUTE and each.layer == "bare"
        }
        findings.extend(unaddressed(sorted(by_default), namespaces))
    return Split(programs, withheld, allowed(findings, reasons), tuple(originals))


def _near_miss(name: str, suggestion: str, nameless: bool) -> Finding:
    happens = "names no variable" if nameless else "goes to the backend as it stands: its prefix is no namespace"
    return Finding("S2", name, happens, f"did you mean {suggestion}?")


def _route_bare(
    bare: Mapping[str, str],
    record: PairRecord,
    facts: Facts,
    layers: _Layers,
    withheld: dict[str, str],
    findings: list[Finding],
) -> None:
    """Un-prefixed names, by their class."""
    links = service_links(dict(bare))
    listed = {name.strip() for name in bare.get("PILLION_SHARED", "").split(",")}
    for name, value in bare.items():
        group = variable_class(name)
        layer = "image" if record.backend.image_env.get(name) == fingerprint(value) else "bare"
        if group == "ours":
            withheld[name] = "addressed to Pillion"
        elif name in links:
            withheld[name] = "a service link of the platform"
        elif name in listed or group in ("base", "egress"):
            why = "listed as shared" if name in listed else f"class {group}: both"
            for program in PROGRAMS:
                layers.put(program, "image" if layer == "image" else "shared", name, value, name, why)
        elif group == "port" and layer == "bare":
            layers.put("proxy", "bare", name, value, name, "the platform's port is the proxy's")
        elif group == "derived" and layer == "bare" and value == _runtime_default(name, facts.container):
            continue
        else:
            layers.put("backend", layer, name, value, name, f"class {group}: the backend")
    if links:
        families = len({name.partition("_PORT")[0].partition("_SERVICE")[0] for name in links})
        findings.append(Finding("S3", "service links", f"{len(links)} names of {families} services go to neither"))


def _runtime_default(name: str, container: Identity) -> str | None:
    """What a container runtime, or a login, sets by itself under a derived name."""
    return {"HOME": container.home, "USER": container.name, "LOGNAME": container.name}.get(name)


def _read_files(
    environ: Mapping[str, str],
    namespaces: Namespaces,
    layers: _Layers,
    findings: list[Finding],
    read_file: Callable[[str], bytes],
) -> None:
    """`<NS>__X_FILE` for each X that `PILLION_FILES` lists: opt-in, because `SSL_CERT_FILE` is no secret's file."""
    for listed in filter(None, (name.strip() for name in environ.get("PILLION_FILES", "").split(","))):
        for program, namespace in zip(Namespaces._fields, namespaces, strict=True):
            origin, plain = f"{namespace}__{listed}_FILE", f"{namespace}__{listed}"
            if origin not in environ:
                continue
            if plain in environ:
                findings.append(Finding("S1", plain, f"is set and so is {origin}", "set one of the two"))
                continue
            try:
                value = read_file(environ[origin]).decode("utf-8", "surrogateescape").removesuffix("\n")
            except OSError as error:
                findings.append(Finding("S1", origin, f"its file cannot be read ({error.strerror})", "mend the path"))
                continue
            layers.put(program, "namespaced", listed, value, origin, f"read from the file that {origin} names")


def _derive(bare: Mapping[str, str], record: PairRecord, facts: Facts, layers: _Layers) -> None:
    """HOME, USER, LOGNAME and PATH from each program's own uid and image."""
    for program, identity in (("proxy", facts.proxy), ("backend", facts.backend)):
        if record.verbatim and program == "backend":
            for name in ("HOME", "USER", "LOGNAME", "PATH"):
                if name in bare:
                    layers.put(program, "derived", name, bare[name], name, "passed on verbatim")
            continue
        path = facts.own_path if program == "proxy" else DEFAULT_PATH
        layers.put(program, "derived", "PATH", path, "", "the image's default")
        layers.put(program, "derived", "HOME", identity.home, "", f"the home of uid {identity.uid}")
        for name in ("USER", "LOGNAME"):
            if name in bare and identity.name:
                layers.put(program, "derived", name, identity.name, "", f"the name of uid {identity.uid}")
    # Its own drain must end before supervisord's patience with it does.
    patience = record.stop_s("proxy") * 0.9 - _seconds(layers.see("proxy", "DRAIN_DELAY"))
    layers.put("proxy", "derived", "DRAIN_TIMEOUT", f"{max(patience, 0):.3g}", "", "its share of the stop deadline")


def _seconds(text: str | None) -> float:
    """A plain number of seconds; 0 for anything else, which the proxy itself judges."""
    try:
        return max(float(text or 0), 0.0)
    except ValueError:
        return 0.0


def _settle_ports(bare: Mapping[str, str], record: PairRecord, layers: _Layers, findings: list[Finding]) -> None:
    """Where the backend listens, told to both; a clash with the proxy's own port is a finding."""
    upstream = layers.see("proxy", "UPSTREAM")
    port = backend_port(upstream or "", {"PORT": layers.see("backend", "PORT") or ""}, record.backend.port)
    if upstream is None:
        layers.put("proxy", "derived", "UPSTREAM", f"http://{LOOPBACK}:{port}", "", "where the backend listens")
    if record.backend.ready_path:
        # The proxy gates requests by the same probe that the platform would.
        layers.put("proxy", "derived", "READY_PATH", record.backend.ready_path, "", "the backend's readiness probe")
    if layers.see("proxy", "PORT") is not None and "PORT" in bare:
        layers.put("backend", "bare", "PORT", str(port), "PORT", "its own port, as the platform's is the proxy's")
    proxy = {name: layers.see("proxy", name) or "" for name in ("LISTEN", "PORT")}
    if port in listen_ports(proxy) and (upstream is None or is_loopback(host_of(upstream))):
        mend = "set PROXY__LISTEN or BACKEND__PORT to another port"
        findings.append(Finding("S1", f"port {port}", "the proxy and the backend would both bind it", mend))


def _spare_loopback(layers: _Layers) -> None:
    """Keep the hop between the two off the egress proxy: NO_PROXY gains the loopback names where an egress proxy is."""
    for program in PROGRAMS:
        flat = layers.flat(program)
        if not any(variable_class(name) == "egress" and name.upper() != "NO_PROXY" for name in flat):
            continue
        for name in [name for name in ("NO_PROXY", "no_proxy") if name in flat] or ["NO_PROXY", "no_proxy"]:
            present = [part for part in flat[name].value.split(",") if part] if name in flat else []
            if "*" in present:
                continue
            spared = ",".join([*present, *(extra for extra in LOOPBACK_NAMES if extra not in present)])
            layer = flat[name].layer if name in flat else "shared"
            layers.put(program, layer, name, spared, name if name in flat else "", "gained the loopback names")
