"""A Kubernetes container's environment, as the kubelet makes it: `envFrom`, then `env` in order, references resolved.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#environment-variables
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from pillion.image.pairfile.expansion import expand
from pillion.image.pairfile.field import Field
from pillion.image.pairfile.quantity import quantity
from pillion.image.pairfile.variable import MAX_STRING_BYTES, fits, is_name

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")
_SOURCES = ("configMapKeyRef", "secretKeyRef", "fieldRef", "resourceFieldRef")


class PodFacts(NamedTuple):
    """What a container's environment may refer to. `documents` are the file's, by kind, namespace and name. With
    `elsewhere`, what others give, or a cluster alone knows, is left out and not refused."""

    name: str
    namespace: str
    service_account: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    documents: Mapping[tuple[str, str, str], Field]
    elsewhere: bool = False


def read_environment(container: Field, pod: PodFacts) -> tuple[dict[str, str], dict[str, str]]:
    """The container's variables, and for each the field that gives it. Raises Refusal."""
    env: dict[str, str] = {}
    fields: dict[str, str] = {}
    for source in container["envFrom"].entries():
        for name, value in _all_keys(source, pod).items():
            env[name], fields[name] = value, source.path
    for entry in container["env"].entries():
        name = entry["name"].required()
        if not is_name(name):
            raise entry["name"].refuse("is no name of a variable", 'use printable ASCII without "="')
        resolved = _value(entry, env, container, pod)
        if resolved is None:
            continue
        env[name], fields[name] = resolved, entry.path
        if not fits(name, resolved):
            raise entry.refuse(f"({name}) is longer than the {MAX_STRING_BYTES} bytes that Linux takes", "shorten it")
    return env, fields


def inherited_names(container: Field, pod: PodFacts) -> tuple[frozenset[str], frozenset[str], bool]:
    """The names that `envFrom` gives, those of them that a Secret gives, and whether some of it is not in the file."""
    names: dict[str, bool] = {}
    missing = False
    for source in container["envFrom"].entries():
        secret = source["secretRef"].given
        names |= dict.fromkeys(_all_keys(source, pod), secret)
        missing |= _document("Secret" if secret else "ConfigMap", _reference(source), pod) is None
    return frozenset(names), frozenset(name for name in names if names[name]), missing


def raw_environment(container: Field) -> dict[str, str]:
    """What `$(VAR)` in a probe's command refers to: the values of `env` as written, "" for those from elsewhere."""
    return {entry["name"].text(): entry["value"].text() for entry in container["env"].entries()}


def _value(entry: Field, env: Mapping[str, str], container: Field, pod: PodFacts) -> str | None:
    """The value of one entry of `env`; None if it is optional and not there."""
    text = entry["value"].text()
    if not entry["valueFrom"].given:
        try:
            return expand(text, env)
        except ValueError as error:
            raise entry["value"].refuse(str(error), "refer to less") from None
    value_from = entry["valueFrom"]
    if text:
        raise value_from.refuse("stands beside a value", "keep one of the two")
    given = [name for name, field in value_from.fields().items() if field.given]
    if len(given) != 1 or given[0] not in _SOURCES:
        raise value_from.refuse(f"must hold exactly one of {', '.join(_SOURCES)}", "or give a value instead")
    reference = value_from[given[0]]
    if given[0] == "fieldRef":
        return _pod_field(reference, pod)
    if given[0] == "resourceFieldRef":
        return _resource(reference, container, pod)
    kind = "Secret" if given[0] == "secretKeyRef" else "ConfigMap"
    document = _document(kind, reference, pod)
    if document is None:
        return None
    key = reference["key"].required()
    data = _data(document, {key})
    if key in data:
        return data[key]
    if reference["optional"].flag():
        return None
    raise reference["key"].refuse(
        f'names "{key}", which is not in {document.path.rstrip()}', "add it or correct the key"
    )


def _all_keys(source: Field, pod: PodFacts) -> dict[str, str]:
    """The variables of one entry of `envFrom`, by their prefixed names."""
    document = _document("Secret" if source["secretRef"].given else "ConfigMap", _reference(source), pod)
    if document is None:
        return {}
    prefix = source["prefix"].text()
    found = {}
    for key, value in _data(document, None).items():
        name = prefix + key
        if not is_name(name):
            source.notice(f'leaves out "{name}", which is no name of a variable')
        elif not fits(name, value):
            raise source.refuse(f"gives {name} more than the {MAX_STRING_BYTES} bytes that Linux takes", "shorten it")
        else:
            found[name] = value
    return found


def _reference(source: Field) -> Field:
    given = [name for name in ("configMapRef", "secretRef") if source[name].given]
    if len(given) != 1:
        raise source.refuse("must hold exactly one of configMapRef, secretRef", "keep one of the two")
    return source[given[0]]


def _document(kind: str, reference: Field, pod: PodFacts) -> Field | None:
    name = reference["name"].required()
    document = pod.documents.get((kind, pod.namespace, name))
    if document is None and not reference["optional"].flag() and not pod.elsewhere:
        mend = f"add the {kind} to the file as a further document, or say optional: true"
        raise reference.refuse(f'names the {kind} "{name}", which the file does not hold', mend)
    return document


def _data(document: Field, keys: set[str] | None) -> dict[str, str]:
    """The entries of a ConfigMap or Secret (only `keys`, if given) as texts; bytes that are not UTF-8 are escaped."""
    secret = document["kind"].value == "Secret"
    found = {}
    for key, field in document["data"].fields().items():
        if keys is None or key in keys:
            found[key] = _decoded(field) if secret else field.text()
    if secret:
        for key, field in document["stringData"].fields().items():
            if keys is None or key in keys:
                found[key] = field.text()
    return found


def _decoded(field: Field) -> str:
    # Go's decoder skips line ends, and nothing else.
    text = field.text().replace("\r", "").replace("\n", "")
    try:
        value = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise field.refuse("is not base64", "encode it, or put it under stringData") from None
    if b"\0" in value:
        raise field.refuse("holds a NUL byte, which no variable can", "remove it")
    return value.decode(errors="surrogateescape")


def _pod_field(reference: Field, pod: PodFacts) -> str | None:
    """A `fieldRef`: what of the pod is known before it runs. A missing label is empty, as in Kubernetes."""
    path = reference["fieldPath"].required()
    known = {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "spec.serviceAccountName": pod.service_account,
    }
    if path in known:
        return known[path]
    if path in ("status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs"):
        reference.notice(f"{path} is 127.0.0.1 here")
        return "127.0.0.1"
    subscript = _SUBSCRIPT.fullmatch(path)
    if subscript is None and pod.elsewhere:
        return None
    if subscript is None:
        why = f'names "{path}", which is known only in a cluster'
        raise reference["fieldPath"].refuse(why, "give the variable a value instead")
    return (pod.labels if subscript[1] == "labels" else pod.annotations).get(subscript[2], "")


def _resource(reference: Field, container: Field, pod: PodFacts) -> str | None:
    """A `resourceFieldRef`: the container's limit or request in whole divisors, rounded up."""
    resource = reference["resource"].required()
    if reference["containerName"].text() not in ("", container["name"].text()):
        raise reference["containerName"].refuse("names another container", "remove it")
    kind, _, name = resource.partition(".")
    if kind not in ("limits", "requests") or not name:
        raise reference["resource"].refuse("is neither limits.NAME nor requests.NAME", 'write "limits.memory", say')
    resources = container["resources"]
    amount = resources[kind][name]
    if not amount.given and kind == "requests":
        amount = resources["limits"][name]  # a request defaults to the limit
    if not amount.given and kind == "limits" and pod.elsewhere:
        return None
    if not amount.given and kind == "limits":
        raise amount.refuse("is missing, and what a node would allow instead is unknown here", "set it")
    value, divisor = _quantity(amount), _quantity(reference["divisor"])
    return str(math.ceil(value / (divisor or 1)))


def _quantity(field: Field) -> Fraction:
    if not field.given:
        return Fraction(0)
    text = str(field.value) if type(field.value) in (int, float) else field.text()
    try:
        return quantity(text)
    except ValueError as error:
        raise field.refuse(str(error), 'write "500m" or "128Mi", say') from None
