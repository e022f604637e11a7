"""The rules: from groups of programs to findings, worst first (pure).

Two situations differ. Programs that share a container today all have what it is given: a name that two of them read is
a conflict whoever sets it (`sharing.py`). Programs that each have a container would lose their own values in a naive
merge: a name that both are given, unlike, or that the one is given and the other reads (`merging.py`). What is here
holds for both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pillion.image.environ.catalogue import Catalogue
from pillion.image.environ.lint.defaults import assumed_ports, default_of, is_by_file
from pillion.image.environ.lint.finding import LintFinding, Named
from pillion.image.environ.lint.merging import merged, unset
from pillion.image.environ.lint.program import Declaration, Group, Place, Program, Reading
from pillion.image.environ.lint.sharing import alone, homes, inherited
from pillion.image.environ.lint.sight import Sight, listed, names_of

# Options that make every process of a runtime that is given them listen on the port that they name.
_JVM_LISTENS = re.compile(r"jmxremote(\.rmi)?\.port=\d|jdwp=\S*address=|-Xrunjdwp|-javaagent:\S*=(\S*:)?\d{2,5}\b")
_NODE_LISTENS = re.compile(r"--inspect(-brk)?\b(?!-)")
_OPTIONS = re.compile(r".*(OPTS|OPTIONS)|.*_ARGS")
# Names for a port that the program itself binds; `REDIS_PORT` may be another's.
_OWN_PORT = re.compile(r"(.*_)?(LISTEN|HTTP|SERVER|METRICS|HEALTH|ADMIN|BIND|MANAGEMENT|PROBE)_PORT|PORT")
_EGRESS = ("http_proxy", "https_proxy", "all_proxy")
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "127.0.0.0/8", "*"))
# No container has more; each is compared with each.
MOST_PROGRAMS = 200
_TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


def judge(reading: Reading, catalogue: Catalogue) -> list[LintFinding]:
    """Every finding of what was read: by severity, then by place."""
    found = [LintFinding(*remark) for remark in reading.remarks]
    for whole in reading.groups:
        group = whole
        if len(whole.programs) > MOST_PROGRAMS:
            happens = f"has {len(whole.programs)} programs, of which the first {MOST_PROGRAMS} are looked at"
            found.append(LintFinding("size", "S2", whole.title, whole.place, happens, "lint fewer at once"))
            group = whole._replace(programs=whole.programs[:MOST_PROGRAMS])
        sight = Sight(group, catalogue)
        for rule in (*_EVERYWHERE, *((inherited, homes) if group.shared else (merged,))):
            found.extend(rule(sight))
    return sorted(set(found), key=lambda finding: (finding.severity, finding.place, finding.subject, finding.rule))


def _ports(sight: Sight) -> Iterator[LintFinding]:
    """Two programs that listen on one port: declared, by a variable that names a program's own port, or by default."""
    first: dict[int, _Listens] = {}
    for program in sight.group.programs:
        for one in _listens(program, sight.group):
            other = first.setdefault(one.number, one)
            if other.program is program:
                continue
            certain = sight.group.network and not (one.perhaps or other.perhaps)
            severity = "S1" if certain or (one.declared and other.declared) else "S2"
            happens = f"{other.program.name} and {program.name} both bind it"
            if by_default := [each.why for each in (other, one) if each.why]:
                happens += f", {' and '.join(by_default)}"
            also = [Named(other.place, f"{other.program.name}'s own")]
            mend = "give one of them another port"
            names = [other.program.name, program.name]
            yield sight.finding("port", severity, (f"{one.number}/tcp", one.place), happens, mend, names, also=also)


class _Listens(NamedTuple):
    """A program on a port. Not `declared`: by default, of which `why` tells; `perhaps`: if its image is what it may
    be."""

    number: int
    program: Program
    place: Place
    declared: bool = True
    perhaps: bool = False
    why: str = ""


def _listens(program: Program, group: Group) -> Iterator[_Listens]:
    bound = _bound(program)
    yield from (_Listens(number, program, place) for number, place in bound.items())
    built = group.built if default_of(program.image) is None else None
    for number, moved in assumed_ports(program, built).items():
        if number not in bound:
            perhaps = f" if it is built from {built.place.file}" if built else ""
            why = f"{program.name} by its image's default{perhaps}" if moved is None else ""
            place = moved.place if moved else program.place
            unsure = built is not None or is_by_file(program)
            yield _Listens(number, program, place, moved is not None and not unsure, unsure, why)


def _bound(program: Program) -> dict[int, Place]:
    found = {port.number: port.place for port in program.ports}
    for name, declaration in program.declared.items():
        value = declaration.value or ""
        if _OWN_PORT.fullmatch(name) and value.isascii() and value.isdigit() and 0 < int(value[:6]) < 65536:
            found.setdefault(int(value), declaration.place)
    return found


def _overwritten(sight: Sight) -> Iterator[LintFinding]:
    """Thruster sets PORT anew for the server that it starts, and listens elsewhere itself."""
    for program in sight.group.programs:
        given = program.declared.get("PORT") or sight.group.inherited.get("PORT")
        if "thruster" in sight.kinds(program) and given is not None:
            happens = "reaches nobody: thrust does not read it, and sets it to TARGET_PORT (3000) for what it starts"
            mend = "set HTTP_PORT for thrust, TARGET_PORT for the server behind it"
            also = [Named(program.place, "started here")]
            yield sight.finding("variable", "S2", given, happens, mend, [program.name], "rails#53462", also)


def _links(sight: Sight) -> Iterator[LintFinding]:
    """Names that the platform sets because a Service is older than the pod, and that a program reads as its own."""
    group = sight.group
    mend, seen_in = "set enableServiceLinks: false, or rename the Service", "Spoolman#961, docker-logstash#59"
    for service, place in sorted(group.links.items()):
        name = f"{service}_PORT"
        if name in group.inherited or any(name in program.declared for program in group.programs):
            continue  # what a manifest gives outranks a link
        happens = f"each later pod gets {name}=tcp://ADDRESS:PORT from the Service of that name"
        entry = sight.catalogue.look_up(name)
        readers = {source.file: source.reads[name] for source in group.sources if name in source.reads}
        for program in group.programs:
            if sight.names(program, name) or (entry.readers and sight.reads(program, name, entry)):
                readers[program.name] = program.place
        if readers:
            also = [Named(where, "read here") for where in readers.values()]
            happens = f"{happens}, and {listed(readers)} reads it as its own"
            yield sight.finding("service-link", "S1", (name, place), happens, mend, readers, seen_in, also)
        elif namesakes := [program for program in group.programs if _is_named(program, service)]:
            also = [Named(namesakes[0].place, "of the Service's name")]
            happens = f"{happens}, which {names_of(namesakes)} may read as its own"
            yield sight.finding("service-link", "S3", (name, place), happens, mend, (), seen_in, also)


def _is_named(program: Program, service: str) -> bool:
    image = program.image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return service in (program.name.upper().replace("-", "_"), image.upper().replace("-", "_"))


def _environments(sight: Sight) -> Iterator[tuple[Program | None, Mapping[str, Declaration]]]:
    """What all have, and what each has beside it."""
    if sight.group.inherited:
        yield None, sight.group.inherited
    for program in sight.group.programs:
        yield program, program.declared


def _listening(sight: Sight) -> Iterator[LintFinding]:
    """Options for every process of a runtime that make each of them listen on one port."""
    for program, environ in _environments(sight):
        for declaration in environ.values():
            name, value = declaration.name, declaration.value or ""
            jvm = _OPTIONS.fullmatch(name) and _JVM_LISTENS.search(value)
            if not jvm and not (name == "NODE_OPTIONS" and _NODE_LISTENS.search(value)):
                continue
            runtime = "jvm" if jvm else "node"
            happens = f"names a port to listen on, which every {runtime} process that inherits it binds"
            mend = "give the option on the command line of the one program"
            names = [program.name] if program else ()
            seen_in = "jenkinsci/docker#822, kafka-docker#390" if jvm else ""
            yield sight.finding("port", "S1", declaration, happens, mend, names, seen_in)


def _egress(sight: Sight) -> Iterator[LintFinding]:
    """An egress proxy without the loopback names among what is spared: the hop between two programs goes there too."""
    if len(sight.workers) < 2:
        return
    for program, environ in _environments(sight):
        proxies = [declaration for name, declaration in environ.items() if name.lower() in _EGRESS]
        spared = [declaration for name, declaration in environ.items() if name.lower() == "no_proxy"]
        if not proxies or any(each.value is None or _spares_loopback(each.value) for each in spared):
            continue
        happens = "the loopback is not spared from the egress proxy: the hop between two programs goes there"
        mend = "add localhost,127.0.0.1,::1 to NO_PROXY and no_proxy"
        plain = sorted(proxies, key=lambda each: (each.name.lower() != "http_proxy", not each.name.islower()))
        names = [program.name] if program else [each.name for each in sight.workers]
        severity = "S1" if program is None else "S2"
        subject = (spared or plain)[0]
        yield sight.finding("variable", severity, subject, happens, mend, names, "appsmith#21900, lens-sandbox#367")


def _spares_loopback(value: str) -> bool:
    return not _LOOPBACK.isdisjoint(part.strip().lower() for part in value.split(","))


def _trust(sight: Sight) -> Iterator[LintFinding]:
    """A trust store that is set to nothing: a no-op to one client, and to another the end of all checks."""
    for program, environ in _environments(sight):
        for name in _TRUST:
            if name in environ and environ[name].value == "":
                happens = "is empty, which turns the checks of some clients off and means nothing to others"
                names = [program.name] if program else ()
                mend = "leave it out"
                yield sight.finding(
                    "variable", "S0", environ[name], happens, mend, names, "requests#6071, requests#6074"
                )


_EVERYWHERE = (_ports, _overwritten, _links, _listening, _egress, _trust, alone, unset)
