"""The split: every class of the policy, every line of the precedence, and what is a finding."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pillion.image.environ.finding import refusing
from pillion.image.environ.names import Namespaces, near_miss
from pillion.image.environ.split import DEFAULT_PATH, Facts, Identity, Split, fingerprint, split
from pillion.image.pair import PairRecord, ProgramRecord
from pillion.image.refusal import Refusal

# A machine that is busy is no slow test.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PLAIN = PairRecord()
ROOT = Identity(0, "root", "/root")
FACTS = Facts(
    container=ROOT,
    proxy=Identity(65532, "", "/"),
    backend=Identity(1000, "app", "/home/app"),
    own_path=f"/opt/pillion/bin:{DEFAULT_PATH}",
)


def divide(
    environ: dict[str, str], record: PairRecord = PLAIN, files: dict[str, bytes] | None = None
) -> tuple[dict[str, str], dict[str, str], Split]:
    """The proxy's environment, the backend's, and the split itself."""

    def read_file(path: str) -> bytes:
        if path not in (files or {}):
            raise FileNotFoundError(2, "No such file or directory")
        return (files or {})[path]

    found = split(environ, record, FACTS, read_file)
    return found.environ("proxy"), found.environ("backend"), found


def with_image(image: dict[str, str]) -> PairRecord:
    """A record that says these came from the backend's image."""
    hashes = {name: fingerprint(value) for name, value in image.items()}
    return PairRecord(backend=ProgramRecord(image_env=hashes))


def test_an_empty_environment_gives_each_what_is_derived_only() -> None:
    """HOME and PATH from each program's own uid; the proxy learns where the backend is."""
    proxy, backend, found = divide({})
    assert proxy == {
        "PATH": FACTS.own_path,
        "HOME": "/",
        "UPSTREAM": "http://127.0.0.1:8000",
        "DRAIN_TIMEOUT": "4.59",
    }
    assert backend == {"PATH": DEFAULT_PATH, "HOME": "/home/app"}
    assert found.findings == ()


def test_prefixed_names_reach_their_program_only_and_without_prefix() -> None:
    """And the prefixed originals reach neither."""
    proxy, backend, _ = divide({"PROXY__A": "1", "BACKEND__B": "2"})
    assert proxy["A"] == "1" and "B" not in proxy
    assert backend["B"] == "2" and "A" not in backend
    assert not {name for name in (*proxy, *backend) if "__" in name}


def test_an_unprefixed_name_goes_to_the_backend() -> None:
    """So that an existing image keeps working unmodified."""
    proxy, backend, _ = divide({"DATABASE_URL": "x", "Logging__LogLevel": "y"})
    assert backend["DATABASE_URL"] == "x" and backend["Logging__LogLevel"] == "y"
    assert "DATABASE_URL" not in proxy


@pytest.mark.parametrize("name", ["TZ", "LANG", "LC_ALL"])
def test_base_names_go_to_both(name: str) -> None:
    """Time zone and language are usually meant for all."""
    proxy, backend, _ = divide({name: "C"})
    assert proxy[name] == backend[name] == "C"


@pytest.mark.parametrize(
    "name", ["LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "NODE_OPTIONS", "JAVA_TOOL_OPTIONS", "GLIBC_TUNABLES"]
)
def test_loader_and_interpreter_names_go_to_the_backend_only(name: str) -> None:
    """They would break our own start."""
    proxy, backend, _ = divide({name: "x"})
    assert backend[name] == "x" and name not in proxy


def test_a_listed_name_goes_to_both() -> None:
    """`PILLION_SHARED` lists them, and is itself seen by neither."""
    proxy, backend, found = divide({"PILLION_SHARED": "REGION, ZONE", "REGION": "eu", "ZONE": "b"})
    assert proxy["REGION"] == backend["REGION"] == "eu" and proxy["ZONE"] == "b"
    assert "PILLION_SHARED" not in {**proxy, **backend} and "PILLION_SHARED" in found.withheld


def test_the_platforms_port_is_the_proxys() -> None:
    """And the backend gets its own upstream port under the same name: no clash."""
    proxy, backend, found = divide({"PORT": "8080"})
    assert proxy["PORT"] == "8080" and proxy["UPSTREAM"] == "http://127.0.0.1:8000"
    assert backend["PORT"] == "8000"
    assert refusing(found.findings) == []


def test_an_images_own_port_is_the_backends() -> None:
    """An unmodified image with ENV PORT and EXPOSE keeps both; the platform's PORT is one given at run time."""
    record = with_image({"PORT": "3000"})
    record = record._replace(backend=record.backend._replace(port=3000))
    proxy, backend, found = divide({"PORT": "3000"}, record)
    assert backend["PORT"] == "3000" and "PORT" not in proxy and proxy["UPSTREAM"] == "http://127.0.0.1:3000"
    assert refusing(found.findings) == []


def test_the_proxys_drain_fits_into_its_share() -> None:
    """Its delay is taken off, and a value of its own stands."""
    record = PairRecord(deadline_s=10)
    assert divide({}, record)[0]["DRAIN_TIMEOUT"] == "5.4"
    assert divide({"PROXY__DRAIN_DELAY": "5"}, record)[0]["DRAIN_TIMEOUT"] == "0.4"
    assert divide({"PROXY__DRAIN_TIMEOUT": "1"}, record)[0]["DRAIN_TIMEOUT"] == "1"


def test_a_backends_own_supervisor_names_reach_it() -> None:
    """Home Assistant's add-ons live on them; supervisord's own never get into a program's environment."""
    assert divide({"SUPERVISOR_TOKEN": "x"})[1]["SUPERVISOR_TOKEN"] == "x"


@pytest.mark.parametrize(
    ("environ", "declared", "port"),
    [
        ({}, 0, 8000),
        ({}, 5000, 5000),
        ({"BACKEND__PORT": "6000"}, 5000, 6000),
        ({"BACKEND__PORT": "6000", "PROXY__UPSTREAM": "http://127.0.0.1:7000"}, 5000, 7000),
    ],
)
def test_the_upstream_port_has_an_order(environ: dict[str, str], declared: int, port: int) -> None:
    """UPSTREAM > BACKEND__PORT > the one declared port > 8000."""
    record = PairRecord(backend=ProgramRecord(port=declared))
    proxy, backend, _ = divide({"PORT": "8080", **environ}, record)
    assert proxy["UPSTREAM"] == f"http://127.0.0.1:{port}"
    assert backend["PORT"] == environ.get("BACKEND__PORT", str(port))


def test_two_programs_on_one_port_are_refused() -> None:
    """The finding says what to set."""
    _, _, found = divide({"PORT": "5000"}, PairRecord(backend=ProgramRecord(port=5000)))
    (finding,) = refusing(found.findings)
    assert finding.severity == "S1" and "5000" in finding.subject and "PROXY__LISTEN" in finding.mend


def test_service_links_go_to_neither() -> None:
    """They appear only if some Service is older than the pod; one notice for all of them."""
    links = {
        "REDIS_PORT": "tcp://10.0.0.1:6379",
        "REDIS_SERVICE_HOST": "10.0.0.1",
        "REDIS_SERVICE_PORT": "6379",
        "REDIS_SERVICE_PORT_TLS": "6380",
        "REDIS_PORT_6379_TCP": "tcp://10.0.0.1:6379",
        "REDIS_PORT_6379_TCP_ADDR": "10.0.0.1",
        "REDIS_PORT_6379_TCP_PROTO": "tcp",
    }
    proxy, backend, found = divide({**links, "REDIS_URL": "redis://x", "MY_PORT": "7"})
    assert not links.keys() & {**proxy, **backend}.keys()
    assert backend["REDIS_URL"] == "redis://x" and backend["MY_PORT"] == "7"
    assert [finding.severity for finding in found.findings] == ["S3"]


def test_the_api_servers_own_names_stay() -> None:
    """Clients inside the cluster find it by them in every container."""
    _, backend, _ = divide({"KUBERNETES_PORT": "tcp://10.0.0.1:443", "KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    assert backend["KUBERNETES_SERVICE_HOST"] == "10.0.0.1"


def test_the_loopback_hop_is_kept_off_the_egress_proxy() -> None:
    """Both see the egress proxy; NO_PROXY gains the loopback names and loses nothing."""
    proxy, backend, _ = divide({"https_proxy": "http://egress:3128", "no_proxy": "internal,localhost"})
    for environ in (proxy, backend):
        assert environ["https_proxy"] == "http://egress:3128"
        assert environ["no_proxy"] == "internal,localhost,127.0.0.1,::1"
    proxy, _, _ = divide({"HTTP_PROXY": "http://egress:3128"})
    assert proxy["NO_PROXY"] == proxy["no_proxy"] == "localhost,127.0.0.1,::1"
    proxy, _, _ = divide({"NO_PROXY": "x"})
    assert proxy["NO_PROXY"] == "x"


def test_user_and_logname_only_if_present_before() -> None:
    """And then each program's own."""
    proxy, backend, _ = divide({"USER": "root", "HOME": "/root"})
    assert backend["USER"] == "app" and "LOGNAME" not in backend
    assert "USER" not in proxy
    assert backend["HOME"] == "/home/app"


def test_a_home_that_was_chosen_is_no_default() -> None:
    """Only what a runtime sets by itself is computed anew."""
    _, backend, _ = divide({"HOME": "/data"})
    assert backend["HOME"] == "/data"


def test_verbatim_turns_derived_changes_off() -> None:
    """The backend's environment is then the original one."""
    record = PairRecord(verbatim=True)
    given = {"HOME": "/root", "USER": "root", "PATH": "/odd", "HTTP_PROXY": "http://e", "X": ""}
    assert divide(given, record)[1] == given
    assert divide({**given, "PILLION_VERBATIM": "1"})[1] == given
    assert divide({**given, "PILLION_VERBATIM": "0"})[1] != given
    with pytest.raises(Refusal, match="PILLION_VERBATIM is neither 0 nor 1"):
        divide({"PILLION_VERBATIM": "on"})


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("derived", "image"),
        ("image", "shared"),
        ("image", "bare"),
        ("shared", "namespaced"),
        ("bare", "namespaced"),
        ("image", "namespaced"),
        ("derived", "namespaced"),
    ],
)
def test_precedence(lower: str, higher: str) -> None:
    """derived < image ENV < shared < bare < namespaced."""
    name = "PATH" if lower == "derived" else "TZ" if "shared" in (lower, higher) else "MODE"
    environ: dict[str, str] = {}
    record = PairRecord()
    for layer in (lower, higher):
        if layer == "image":
            environ[name] = "image"
            record = with_image({name: "image"})
        elif layer in ("shared", "bare"):
            environ[name] = layer
        elif layer == "namespaced":
            environ[f"BACKEND__{name}"] = "namespaced"
    _, backend, found = divide(environ, record)
    assert backend[name] == higher
    assert found.programs["backend"][name].layer == higher


def test_what_an_image_addresses_is_the_images() -> None:
    """`pillion build` rewrites an image's LD_* so; one given at run time replaces it, with or without the prefix."""
    image = {"BACKEND__LD_PRELOAD": "image"}
    assert divide(image, with_image(image))[1]["LD_PRELOAD"] == "image"
    assert divide({**image, "LD_PRELOAD": "given"}, with_image(image))[1]["LD_PRELOAD"] == "given"
    assert divide({"BACKEND__LD_PRELOAD": "given"}, with_image(image))[1]["LD_PRELOAD"] == "given"


def test_the_origin_tells_the_images_value_from_a_given_one() -> None:
    """By the hash in the pair record: the same name with another value was given at run time."""
    record = with_image({"MODE": "prod"})
    assert divide({"MODE": "prod"}, record)[2].programs["backend"]["MODE"].layer == "image"
    assert divide({"MODE": "test"}, record)[2].programs["backend"]["MODE"].layer == "bare"


def test_a_secret_file_is_read_where_it_is_asked_for() -> None:
    """Only names that `PILLION_FILES` lists, one trailing newline less; `SSL_CERT_FILE` is no secret's file."""
    environ = {
        "PILLION_FILES": "KEY",
        "BACKEND__KEY_FILE": "/run/secrets/key",
        "BACKEND__SSL_CERT_FILE": "/ca.pem",
    }
    _, backend, found = divide(environ, files={"/run/secrets/key": b"k\xff\n\n"})
    assert backend["KEY"] == "k\udcff\n" and backend["SSL_CERT_FILE"] == "/ca.pem"
    assert found.programs["backend"]["KEY"].origin == "BACKEND__KEY_FILE"


def test_a_value_and_its_file_are_an_error() -> None:
    """Both set: nobody can tell which was meant. An unreadable file neither."""
    both = {"PILLION_FILES": "KEY", "BACKEND__KEY_FILE": "/f", "BACKEND__KEY": "x"}
    assert [finding.severity for finding in divide(both, files={"/f": b"y"})[2].findings] == ["S1"]
    absent = {"PILLION_FILES": "KEY", "PROXY__KEY_FILE": "/absent"}
    assert [finding.subject for finding in divide(absent)[2].findings] == ["PROXY__KEY_FILE"]


def test_a_near_miss_is_a_finding_and_still_goes_to_the_backend() -> None:
    """An existing image must not stop starting because of a name that looks like ours."""
    _, backend, found = divide({"PORXY__LISTEN": "secret-value", "PROXY__": "x"})
    assert backend["PORXY__LISTEN"] == "secret-value" and "" not in backend
    assert [finding.severity for finding in found.findings] == ["S2", "S2"]
    assert "PROXY__LISTEN" in str(found.findings[0])
    assert not any("secret-value" in str(finding) for finding in found.findings)


def test_strict_makes_the_default_route_a_finding() -> None:
    """All names at once; not those of a class, of the image, or that runtimes set."""
    environ = {"PILLION_STRICT": "1", "B": "1", "A": "1", "TZ": "UTC", "BACKEND__C": "1", "HOSTNAME": "x", "IMAGE": "1"}
    _, backend, found = divide(environ, with_image({"IMAGE": "1"}))
    assert [(finding.severity, finding.subject) for finding in found.findings] == [("S1", "A"), ("S1", "B")]
    assert found.findings[0].mend == "write BACKEND__A" and backend["A"] == "1"
    assert divide({**environ, "PILLION_STRICT": "0"})[2].findings == ()
    with pytest.raises(Refusal, match="PILLION_STRICT"):
        divide({"PILLION_STRICT": "yes"})


def test_a_finding_is_allowed_by_name_and_with_a_reason() -> None:
    """It is still told, quietly; no reason, no allowance."""
    environ = {"PILLION_STRICT": "1", "A": "1", "B": "1", "PILLION_ALLOW": "A: the image reads it bare; "}
    found = divide(environ)[2].findings
    assert [(each.severity, each.subject) for each in found] == [("S3", "A"), ("S1", "B")]
    assert found[0].mend == "allowed: the image reads it bare"
    for text in ("A", "A:", ": x"):
        with pytest.raises(Refusal, match="PILLION_ALLOW"):
            divide({"PILLION_ALLOW": text})


def test_renamed_namespaces_that_cannot_be_are_refused() -> None:
    """With the variable's name."""
    with pytest.raises(Refusal, match="PILLION_NAMESPACES"):
        divide({"PILLION_NAMESPACES": "nonsense"})


NAME = st.text("ABPROXYCKEND_ez0", min_size=1, max_size=12) | st.sampled_from(
    ["PATH", "HOME", "PORT", "TZ", "LD_PRELOAD", "HTTP_PROXY", "PROXY__A", "BACKEND__A", "A_PORT"]
)
VALUE = st.binary(max_size=20).map(lambda data: data.decode("utf-8", "surrogateescape"))


@UNHURRIED
@given(st.dictionaries(NAME, VALUE, max_size=12))
def test_every_name_is_accounted_for(environ: dict[str, str]) -> None:
    """Each variable reaches a program, is withheld with a reason, was replaced by name, or is a runtime's default."""
    _, _, found = divide(environ)
    origins = {variable.origin for seen in found.programs.values() for variable in seen.values()}
    for name, value in environ.items():
        replaced = f"BACKEND__{name}" in environ or f"PROXY__{name}" in environ
        default = (name, value) in {("HOME", "/root"), ("USER", "root"), ("LOGNAME", "root")}
        assert name in origins or name in found.withheld or replaced or default


@UNHURRIED
@given(st.dictionaries(NAME, VALUE, max_size=12))
def test_no_program_sees_anothers_namespaced_variable(environ: dict[str, str]) -> None:
    """What is addressed to one never reaches the other."""
    _, _, found = divide(environ)
    for program, other in (("proxy", "BACKEND__"), ("backend", "PROXY__")):
        assert not [v.origin for v in found.programs[program].values() if v.origin.startswith(other)]


@UNHURRIED
@given(st.dictionaries(NAME, VALUE, max_size=12), st.dictionaries(NAME, VALUE, max_size=12))
def test_merged_and_split_again_each_has_its_own(proxy: dict[str, str], backend: dict[str, str]) -> None:
    """Two containers' environments in one, each name addressed: none is lost, changed or seen by the other. Left out
    are what the split settles between the two: ports, and the loopback names that NO_PROXY gains."""
    for environ in (proxy, backend):
        for name in ("PORT", "HTTP_PROXY"):
            environ.pop(name, None)
    merged = {f"PROXY__{name}": value for name, value in proxy.items()}
    merged |= {f"BACKEND__{name}": value for name, value in backend.items()}
    seen_by_proxy, seen_by_backend, found = divide(merged)
    assert {**seen_by_proxy, **proxy} == seen_by_proxy and {**seen_by_backend, **backend} == seen_by_backend
    derived = {"PATH", "HOME", "UPSTREAM", "DRAIN_TIMEOUT"}
    assert seen_by_proxy.keys() <= proxy.keys() | derived and seen_by_backend.keys() <= backend.keys() | derived
    assert found.withheld == {}


@UNHURRIED
@given(st.dictionaries(NAME, VALUE, max_size=12))
def test_nothing_is_invented(environ: dict[str, str]) -> None:
    """What a program sees is a value of the environment, derived, or NO_PROXY with the loopback names."""
    _, _, found = divide(environ)
    for seen in found.programs.values():
        for name, variable in seen.items():
            kept = variable.origin in environ and variable.value == environ[variable.origin]
            assert kept or variable.layer == "derived" or name in ("PORT", "NO_PROXY", "no_proxy")


@UNHURRIED
@given(st.text("PROXYBACKENDproxybackend_", max_size=14))
def test_a_good_name_is_never_a_near_miss(name: str) -> None:
    """And a near miss is never addressed, but for a namespace without a name."""
    miss = near_miss(name, Namespaces())
    if name.startswith(("PROXY__", "BACKEND__")):
        assert (miss is None) == (len(name.partition("__")[2]) > 0)
