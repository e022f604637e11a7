"""A Kubernetes manifest as a pair: a Pod, or anything with a pod template, ConfigMaps and Secrets beside it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pillion.image.pair import Container, Pair
from pillion.image.pairfile.environment import PodFacts, inherited_names, raw_environment, read_environment
from pillion.image.pairfile.field import NOT_RESTARTED, Field
from pillion.image.pairfile.probes import expanded, read_ports, read_probe
from pillion.image.pairfile.roles import choose
from pillion.image.pairfile.signals import signal_name
from pillion.image.pairfile.written import KUBERNETES, Part, Written
from pillion.image.refusal import Refusal

# Where the pod template of a kind is, if not at spec.template.
_TEMPLATES: dict[str, tuple[str, ...]] = {
    "Pod": (),
    "PodTemplate": ("template",),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", *_TEMPLATES)
# https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Container
_CONTAINER_FIELDS = (
    "args", "command", "env", "envFrom", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "name", "ports",
    "readinessProbe", "resizePolicy", "resources", "restartPolicy", "restartPolicyRules", "securityContext",
    "startupProbe", "stdin", "stdinOnce", "terminationMessagePath", "terminationMessagePolicy", "tty", "volumeDevices",
    "volumeMounts", "workingDir",
)  # fmt: skip
_MOST_ID = 2**31 - 1


class _Workload(NamedTuple):
    title: str
    document: Field
    pod: Field
    containers: dict[str, Field]
    outlines: tuple[Container, ...]


def read_kubernetes(
    documents: Sequence[Field], backend: str, proxy: str, *, elsewhere: bool = False
) -> tuple[Pair, Written]:
    """The pair of the one workload among `documents` that holds one, and where that is in them. Raises Refusal.

    `elsewhere`: ConfigMaps and Secrets need not be in the file, and what they give is then left out.
    """
    objects = [each for document in documents for each in _listed(document)]
    workloads = [_workload(each, pod) for each in objects if (pod := _pod_of(each)) is not None]
    source = documents[0].source
    if not workloads:
        raise Refusal(source.what, "it holds no Pod and nothing with a pod template", "add the Pod to the file")
    chosen: list[tuple[_Workload, Container, Container]] = []
    for workload in workloads:
        try:
            chosen.append((workload, *choose(source.what, workload.outlines, backend, proxy)))
        except Refusal:
            if len(workloads) == 1:
                raise
    if len(chosen) != 1:
        how_many = "none of which is a pair" if not chosen else "and more than one is a pair"
        titles = ", ".join(workload.title for workload in workloads)
        raise Refusal(source.what, f"it holds several workloads, {how_many}: {titles}", "keep only the pair's own")
    workload, backend_outline, proxy_outline = chosen[0]
    facts = _facts(workload, objects, elsewhere=elsewhere)
    pair = _pair(workload, facts, backend_outline, proxy_outline)
    parts = []
    for each in (backend_outline, proxy_outline):
        container = workload.containers[each.name]
        names, secret, missing = inherited_names(container, facts)
        parts.append(Part(container.value, names, secret, missing))
    written = [each.value for each in documents]
    return pair, Written(KUBERNETES, written, workload.document.value, workload.pod.value, *parts)


def _listed(document: Field) -> Iterator[Field]:
    """The document itself, or the items of a List."""
    if not document["kind"].text().endswith("List") or not document["items"].given:
        yield document
        return
    for item in document["items"].entries():
        yield from _listed(item)


def _pod_of(document: Field) -> Field | None:
    """The pod or pod template in the document, if it is a workload."""
    kind = document["kind"].text()
    pod = document
    for name in _TEMPLATES.get(kind, ("spec", "template")):
        if kind not in _WORKLOADS and not isinstance(pod.value, dict):
            return None
        pod = pod[name]
    if kind in _WORKLOADS:
        return pod
    # A kind that is not known here (a Rollout, a Knative Service) counts if it looks like a workload.
    spec = pod.value.get("spec") if isinstance(pod.value, dict) else None
    return pod if isinstance(spec, dict) and "containers" in spec else None


def _workload(document: Field, pod: Field) -> _Workload:
    spec = pod["spec"]
    sidecars = [each for each in spec["initContainers"].entries() if each["restartPolicy"].text() == "Always"]
    if not spec["containers"].entries():
        raise spec["containers"].refuse("is missing", "list the backend and the proxy there")
    containers: dict[str, Field] = {}
    outlines = []
    for field in (*spec["containers"].entries(), *sidecars):
        name = field["name"].required()
        if name in containers:
            raise field["name"].refuse(f'is "{name}", as another container\'s is', "give each its own name")
        containers[name] = field
        command, args = field["command"].texts(), field["args"].texts()
        outlines.append(Container(name, field.path, image=field["image"].text(), command=command, args=args))
    title = f"{document['kind'].text()}/{document['metadata']['name'].text() or '?'}"
    return _Workload(title, document, pod, containers, tuple(outlines))


def _facts(workload: _Workload, objects: Sequence[Field], *, elsewhere: bool) -> PodFacts:
    metadata, source = workload.pod["metadata"], workload.pod.source
    return PodFacts(
        name=workload.document["metadata"]["name"].text() or source.path.stem,
        namespace=_namespace(workload.document),
        service_account=workload.pod["spec"]["serviceAccountName"].text("default"),
        labels=_texts(metadata["labels"]),
        annotations=_texts(metadata["annotations"]),
        documents={
            (each["kind"].text(), _namespace(each), each["metadata"]["name"].text()): Field(
                source, f"{each['kind'].text()}/{each['metadata']['name'].text()} ", each.value
            )
            for each in objects
            if each["kind"].text() in ("ConfigMap", "Secret")
        },
        elsewhere=elsewhere,
    )


def _pair(workload: _Workload, facts: PodFacts, backend: Container, proxy: Container) -> Pair:
    spec, source = workload.pod["spec"], workload.pod.source
    for field in spec["initContainers"].entries():
        if field["restartPolicy"].text() != "Always":
            field.notice(f'the init container "{field["name"].text()}" is not run')
    for other, field in workload.containers.items():
        if other not in (backend.name, proxy.name):
            field.notice(f'the container "{other}" stays outside the pair')
    if spec["restartPolicy"].text("Never") != "Never":
        spec["restartPolicy"].notice(NOT_RESTARTED)
    grace_s = spec["terminationGracePeriodSeconds"].integer(0, _MOST_ID)
    # Read before the notices are, which reading adds to.
    containers = [_container(workload.containers[each.name], spec, facts) for each in (backend, proxy)]
    return Pair(
        name=facts.name,
        source=str(source.path),
        directory=source.path.absolute().parent,
        backend=containers[0],
        proxy=containers[1],
        grace_s=30.0 if grace_s is None else float(grace_s),
        annotations=facts.annotations,
        notices=tuple(source.notices),
    )


def _container(field: Field, spec: Field, facts: PodFacts) -> Container:
    _check_names(field)
    env, env_fields = read_environment(field, facts)
    ports, named = read_ports(field)
    written = raw_environment(field)
    if field["volumeMounts"].entries():
        field["volumeMounts"].notice("are not mounted")
    lifecycle = field["lifecycle"]
    for hook in ("postStart", "preStop"):
        if lifecycle[hook].given:
            lifecycle[hook].notice("is not run")
    return Container(
        name=field["name"].text(),
        field=field.path,
        image=field["image"].text(),
        command=expanded(field["command"], env),
        args=expanded(field["args"], env),
        env=env,
        env_fields=env_fields,
        ports=ports,
        working_dir=field["workingDir"].text(),
        run_as_user=_id("runAsUser", field, spec),
        run_as_group=_id("runAsGroup", field, spec),
        stop_signal=signal_name(lifecycle["stopSignal"]),
        readiness=read_probe(field["readinessProbe"], named, written),
        liveness=read_probe(field["livenessProbe"], named, written),
        startup=read_probe(field["startupProbe"], named, written),
    )


def _id(name: str, container: Field, spec: Field) -> int | None:
    """A uid or gid: the container's own, else the pod's."""
    own, pods = (each["securityContext"][name].integer(0, _MOST_ID) for each in (container, spec))
    return pods if own is None else own


def _namespace(document: Field) -> str:
    return document["metadata"]["namespace"].text() or "default"


def _texts(mapping: Field) -> dict[str, str]:
    return {name: field.text() for name, field in mapping.fields().items()}


def _check_names(container: Field) -> None:
    """Refuses a misspelt field; one that is merely unknown may be of a later Kubernetes, and is a notice."""
    for name, field in container.fields().items():
        if name in _CONTAINER_FIELDS:
            continue
        close = difflib.get_close_matches(name, _CONTAINER_FIELDS, n=1, cutoff=0.8)
        if close:
            raise field.refuse("is no field of a container", f"did you mean {close[0]}?")
        field.notice("is not known here and not used")
