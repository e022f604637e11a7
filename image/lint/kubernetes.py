"""Kubernetes manifests as programs: the containers of a pod would share one container.

Reads on where `image/pairfile` refuses: the linter says what it can of a manifest that is not complete, and of many.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping

from pillion.image.environ.lint.program import Declaration, Group, Place, Port, Program, Reading, Remark
from pillion.image.lint.envfile import twice
from pillion.image.lint.tree import Value
from pillion.image.lint.variable import Growth, check
from pillion.image.pairfile.expansion import expand
from pillion.image.pairfile.variable import is_name

# Where the pod template of a kind is, if not at spec.template.
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "Pod": (),
    "PodTemplate": ("template",),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
_REFERENCES = {"configMapKeyRef": "ConfigMap", "secretKeyRef": "Secret"}
_REFERRED = re.compile(r"\$\(([^)]*)\)")
_SOURCES = {"configMapRef": "ConfigMap", "secretRef": "Secret"}


def is_kubernetes(document: Value) -> bool:
    """Whether a document is a Kubernetes object."""
    return bool(document["kind"].text() and document["apiVersion"].text())


class Objects:
    """The ConfigMaps, Secrets and Services of all the files: a pod refers to them by name within its namespace."""

    def __init__(self, documents: Iterable[Value]) -> None:
        self.growth = Growth()
        self.every = [each for document in documents for each in _listed(document, 0)]
        self._named: dict[tuple[str, str, str, str], Value] = {}
        for each in self.every:
            kind = each["kind"].text()
            if kind in ("ConfigMap", "Secret", "Service"):
                name = each["metadata"]["name"].text()
                for file in (each.place.file, ""):  # a pod's own file comes first
                    self._named.setdefault((file, kind, _namespace(each), name), each)

    def find(self, file: str, kind: str, namespace: str, name: str) -> Value | None:
        """The object, the one of the same file if several have the name."""
        key = (kind, namespace, name)
        return self._named.get((file, *key)) or self._named.get(("", *key))

    def services(self, namespace: str) -> dict[str, Place]:
        """The upper-case names of the namespace's Services that have an address, as the kubelet writes them."""
        return {
            name.upper().replace("-", "_"): each["metadata"]["name"].place
            for (file, kind, space, name), each in self._named.items()
            if not file and kind == "Service" and space == namespace and _has_address(each)
        }


def _has_address(service: Value) -> bool:
    return service["spec"]["clusterIP"].text() != "None" and service["spec"]["type"].text() != "ExternalName"


def read_kubernetes(objects: Objects) -> Reading:
    """Every workload among the objects as one group of its containers."""
    groups: list[Group] = []
    remarks: list[Remark] = []
    for document in objects.every:
        pod = _pod(document)
        if pod is None:
            continue
        namespace = _namespace(document)
        containers = [each for each in pod["spec"]["containers"].entries() if isinstance(each.content, dict)]
        sidecars = [
            each for each in pod["spec"]["initContainers"].entries() if each["restartPolicy"].text() == "Always"
        ]
        programs = []
        for container in (*containers, *sidecars):
            program, found = _program(container, namespace, objects)
            programs.append(program)
            remarks.extend(found)
        title = f"{document['kind'].text()}/{document['metadata']['name'].text() or '?'}"
        links = objects.services(namespace) if pod["spec"]["enableServiceLinks"].text().lower() != "false" else {}
        groups.append(Group(title, document.place, tuple(programs), links=links, network=True))
    return Reading(tuple(groups), tuple(remarks))


def _listed(document: Value, depth: int) -> Iterator[Value]:
    """The document itself, or the items of a List."""
    if document["kind"].text().endswith("List") and isinstance(document["items"].content, list) and depth < 4:
        for item in document["items"].entries():
            yield from _listed(item, depth + 1)
    else:
        yield document


def _pod(document: Value) -> Value | None:
    """The pod or pod template in the document, if it has one, whatever its kind (a Rollout, a Knative Service)."""
    pod = document
    for name in _TEMPLATES.get(document["kind"].text(), ("spec", "template")):
        pod = pod[name]
    return pod if isinstance(pod["spec"]["containers"].content, list) else None


def _namespace(document: Value) -> str:
    return document["metadata"]["namespace"].text() or "default"


def _program(container: Value, namespace: str, objects: Objects) -> tuple[Program, list[Remark]]:
    declared: dict[str, Declaration] = {}
    remarks: list[Remark] = []
    for source in container["envFrom"].entries():
        declared.update(_env_from(source, namespace, objects, remarks))
    own: set[str] = set()
    for entry in container["env"].entries():
        declaration = _declaration(entry, namespace, objects, declared, remarks)
        if declaration is None:
            continue
        if declaration.name in own:
            remarks.append(twice(declaration.name, declaration.place))
        own.add(declaration.name)
        declared[declaration.name] = declaration
    for declaration in declared.values():
        remarks.extend(check(declaration))
    ports = tuple(
        Port(int(number), port["containerPort"].place)
        for port in container["ports"].entries()
        if (number := port["containerPort"].text()).isdigit()
        and len(number) < 6
        and (port["protocol"].text() or "TCP") == "TCP"
    )
    words = tuple(word.text() for part in ("command", "args") for word in container[part].entries())
    mounts = container["volumeMounts"].given
    place = container["name"].place if container["name"].given else container.place
    name = container["name"].text() or "?"
    return Program(name, place, container["image"].text(), words, declared, ports, mounts), remarks


def _env_from(source: Value, namespace: str, objects: Objects, remarks: list[Remark]) -> dict[str, Declaration]:
    for field, kind in _SOURCES.items():
        reference = source[field]
        name = reference["name"].text()
        if not name:
            continue
        found = objects.find(source.place.file, kind, namespace, name)
        if found is None:
            what = f"{kind} {name}"
            remarks.append(elsewhere(what, reference["name"].place))
            return {}
        prefix = source["prefix"].text()
        return {
            prefix + key: Declaration(prefix + key, value, place, f"{kind} {name}", kind == "Secret")
            for key, value, place in _data(found)
        }
    return {}


def elsewhere(what: str, place: Place) -> Remark:
    """Something that none of the files holds is referred to."""
    return Remark("elsewhere", "S3", what, place, "is in none of the files: the variables that it gives are not seen")


def _data(document: Value) -> Iterator[tuple[str, str | None, Place]]:
    """Key, value and place of a ConfigMap's or Secret's entries; a value that is no base64 is None."""
    secret = document["kind"].text() == "Secret"
    for key, value, place in document["data"].fields():
        yield key, _decoded(value.text()) if secret else value.text(), place
    if secret:
        for key, value, place in document["stringData"].fields():
            yield key, value.text(), place


def _decoded(text: str) -> str | None:
    try:
        data = base64.b64decode("".join(text.split()).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return data.decode(errors="surrogateescape")


def _declaration(
    entry: Value, namespace: str, objects: Objects, declared: Mapping[str, Declaration], remarks: list[Remark]
) -> Declaration | None:
    name, place = entry["name"].text(), entry["name"].place
    if not name:
        return None
    if not is_name(name):
        happens = 'is no name of a variable: Kubernetes refuses it; use printable ASCII without "="'
        remarks.append(Remark("name", "S1", "env", place, happens))
        return None
    value_from = entry["valueFrom"]
    if not value_from.given:
        if entry["value"].number():
            happens = "is a number or a truth value, and Kubernetes takes only text"
            remarks.append(Remark("type", "S1", name, entry["value"].place, happens, "quote it"))
        text = entry["value"].text()
        if "$" not in text:
            return Declaration(name, text, place)
        known = {
            each: value
            for each in set(_REFERRED.findall(text))
            if each in declared and (value := declared[each].value) is not None
        }
        try:
            expanded = expand(text, known)
            return Declaration(name, expanded if objects.growth.allows(expanded) else None, place)
        except ValueError as error:
            remarks.append(Remark("size", "S1", name, place, str(error), "refer to less"))
            return None
    for field, kind in _REFERENCES.items():
        reference = value_from[field]
        if reference.given:
            return _referred(name, place, reference, kind, namespace, objects)
    if (path := value_from["fieldRef"]["fieldPath"].text()) or value_from["resourceFieldRef"].given:
        # The pod's own, and so the same for all of its containers; a container's own resources are not.
        return Declaration(name, None, place, path or "its resources", reference=f"field {path}" if path else "")
    return Declaration(name, None, place)


def _referred(
    name: str, place: Place, reference: Value, kind: str, namespace: str, objects: Objects
) -> Declaration | None:
    what, key = f"{kind} {reference['name'].text()}", reference["key"].text()
    found = objects.find(place.file, kind, namespace, reference["name"].text())
    values = {each: value for each, value, _ in _data(found)} if found else {}
    if found and key not in values and reference["optional"].text().lower() == "true":
        return None
    return Declaration(name, values.get(key), place, what, kind == "Secret", f"{namespace}/{what}/{key}")
