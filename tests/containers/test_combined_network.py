"""On a base with another C library, or none, the proxy finds its upstream by name and verifies TLS (C2): by the
layer's own C library and OpenSSL, and by the container's files."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import eventually
from tests.containers.bases import derived, musl_backend, scratch_backend
from tests.containers.composed import Combine
from tests.containers.conftest import Container, Run, cannot_test, running
from tests.containers.engines import Engine, carry

NAME = f"pillion-test-named-{os.getpid()}"


@pytest.fixture(scope="module")
def upstream(either: Engine) -> Iterator[str]:
    """A network with names, and a backend in it that is called NAME."""
    either("network", "create", NAME)
    try:
        with running() as run:
            options = [f"--network={NAME}", f"--name={NAME}", "--hostname=there"]
            run(carry(scratch_backend(), either), options=options, engine=either)
            yield NAME
    finally:
        either("network", "rm", NAME)


def systemd_backend() -> str:
    """A base whose nsswitch.conf is of a distribution with systemd, and names modules that nobody has here."""
    written = "hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns"
    return derived(
        musl_backend(), f"USER 0:0\nRUN mkdir -p /etc && echo '{written}' > /etc/nsswitch.conf\nUSER 1000:1000"
    )


@pytest.mark.parametrize("backend", [scratch_backend, musl_backend, systemd_backend])
def test_it_resolves_names(
    combine: Combine, run: Run, either: Engine, upstream: str, backend: Callable[[], str]
) -> None:
    """C2: by the engine's DNS (resolv.conf), whatever resolver the base has and whatever it says of one."""
    options = [f"--network={upstream}", "--publish=127.0.0.1::8080"]

    options.append(f"--env=PROXY__UPSTREAM=http://{NAME}:8000")
    answer = run(combine(backend(), either), options=options, engine=either).get().content
    assert b"HOSTNAME=there" in answer.split(b"\0")


def test_a_line_of_etc_hosts_counts(combine: Combine, run: Run, either: Engine) -> None:
    """C2: a name that no DNS knows."""
    options = ["--add-host=written.test:127.0.0.1", "--publish=127.0.0.1::8080", "--env=HERE=yes"]
    options.append("--env=PROXY__UPSTREAM=http://written.test:8000")
    answer = run(combine(systemd_backend(), either), options=options, engine=either).get().content
    assert b"HERE=yes" in answer.split(b"\0")


# A server and a client with each certificate in turn as the one that it trusts.
TLS = """
import socket, ssl, threading
listener = socket.create_server(("127.0.0.1", 0))
served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
served.load_cert_chain("/tls/right.pem", "/tls/right.key")
def serve():
    while True:
        try:
            served.wrap_socket(listener.accept()[0], server_side=True).close()
        except ssl.SSLError:
            pass
threading.Thread(target=serve, daemon=True).start()
for trusted, name in ("right", "localhost"), ("wrong", "localhost"), ("right", "elsewhere"):
    context = ssl.create_default_context(cafile=f"/tls/{trusted}.pem")
    try:
        with socket.create_connection(("localhost", listener.getsockname()[1])) as plain:
            context.wrap_socket(plain, server_hostname=name).close()
        print("verified")
    except ssl.SSLCertVerificationError as error:
        print("refused", error.verify_message)
"""


def certificate(folder: Path, name: str, subject: str, *options: str) -> None:
    """A key and a certificate for a name, signed by itself if no option says otherwise."""
    if shutil.which("openssl") is None:
        cannot_test("not installed: openssl")
    folder.chmod(0o755)
    asked = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -addext subjectAltName=DNS:{subject}"
    command = ["openssl", *asked.split(), "-keyout", f"{name}.key", "-out", f"{name}.pem", *options]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (folder / f"{name}.key").chmod(0o644)


def test_the_layers_python_verifies_tls(combine: Combine, run: Run, either: Engine, tmp_path: Path) -> None:
    """C2: with its own OpenSSL, on musl: a certificate that is trusted, one that is not, and one for another name."""
    for name in ("right", "wrong"):
        certificate(tmp_path, name, "localhost")
    container = run(combine(musl_backend(), either), options=[f"--volume={tmp_path}:/tls:ro"], engine=either)
    said = either("exec", container.id, "/opt/pillion/bin/python3", "-I", "-c", TLS).stdout.splitlines()
    assert said[:2] == ["verified", "refused self-signed certificate"]
    assert said[2].startswith("refused Hostname mismatch")


# A backend elsewhere that speaks TLS and sends no greeting before it.
SERVER = """
import http.server, ssl
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "8")
        self.end_headers()
        self.wfile.write(b"over TLS")
server = http.server.ThreadingHTTPServer(("0.0.0.0", 8443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls/served.pem", "/tls/served.key")
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def tls(combine: Combine, either: Engine, upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In the network of names, a server `secure` behind a certificate that the authority of this folder signed."""
    folder = tmp_path_factory.mktemp("tls")
    certificate(folder, "ca", "ca")
    certificate(folder, "other", "ca")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE")
    certificate(folder, "served", f"secure-{NAME}", *signed)
    python = ["--entrypoint=/opt/pillion/bin/python3", f"--network={upstream}", f"--name=secure-{NAME}"]
    volume = f"--volume={folder}:/tls:ro"
    with running() as run:
        run(combine(musl_backend(), either), "-I", "-c", SERVER, options=[*python, volume], engine=either)
        yield folder


def secured(combine: Combine, run: Run, either: Engine, tls: Path, *settings: str) -> Container:
    """The combined image of a base with musl, whose proxy forwards to the server behind TLS."""
    options = [
        f"--network={NAME}",
        "--publish=127.0.0.1::8080",
        f"--volume={tls}:/tls:ro",
        "--env=LD_PRELOAD=/not/there",
    ]
    options += [f"--env=PROXY__{setting}" for setting in (f"UPSTREAM=https://secure-{NAME}:8443", *settings)]
    return run(combine(musl_backend(), either), options=options, engine=either)


def test_the_proxy_trusts_the_authority_it_is_given(combine: Combine, run: Run, either: Engine, tls: Path) -> None:
    """C2: the name is resolved, the chain and the name are verified; the backend beside it keeps its LD_* to itself."""
    container = secured(combine, run, either, tls, "UPSTREAM_CA=/tls/ca.pem")
    assert container.get().content == b"over TLS"
    assert b"LD_PRELOAD" not in container.environ("start.pyc proxy")
    assert container.environ("/answer 8000")[b"LD_PRELOAD"] == b"/not/there"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (["UPSTREAM_CA=/tls/other.pem"], "unable to get local issuer certificate"),
        (["UPSTREAM_CA=/tls/ca.pem", "UPSTREAM_NAME=elsewhere.test"], "Hostname mismatch"),
    ],
)
def test_it_trusts_nobody_else(
    combine: Combine, run: Run, either: Engine, tls: Path, settings: list[str], why: str
) -> None:
    """C2: another authority, the right one for another name."""
    container = secured(combine, run, either, tls, *settings)
    eventually(lambda: requests.get(container.url(), timeout=5).status_code >= 500)
    eventually(lambda: why in container.logs())
    assert "over TLS" not in requests.get(container.url(), timeout=5).text
