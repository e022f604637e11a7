"""Pillion's proxy and its peers as processes, side by side before one static nginx.

One processor for the proxies, the other for the backend and the load. nginx and HAProxy come from the distribution;
aiohttp, uvloop and requests are installed into a venv of their own.
"""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

PEERS = Path(__file__).resolve().parent / "proxy_peers"
NOTHING: Mapping[str, str] = {}
PROXY_PROCESSOR, LOAD_PROCESSOR = "0", "1"
OURS, LOGGED, UNIX = "pillion", "pillion, access log on", "pillion, unix upstream"
NGINX, NGINX_TUNED = "nginx", "nginx, no buffering"
HAPROXY, HAPROXY_TUNED = "haproxy", "haproxy, large buffers and splicing"
AIOHTTP, REQUESTS, PUMP, NONE = "aiohttp on uvloop", "requests under gunicorn", "gevent byte pump", "no proxy"


class Contender(NamedTuple):
    """A proxy that runs: where it listens, and the process whose tree it is."""

    name: str
    port: int
    pid: int


def start(
    work: Path, stack: ExitStack, wanted: Callable[[str], bool], tree: str | None = None, **settings: str
) -> list[Contender]:
    """The backend and the wanted proxies before it, each stopped at the end by its own process id.

    `tree` is another checkout of this repository, measured beside ours; `settings` are ours.
    """
    backend = free_port()
    socket_path = work / "backend.sock"
    (work / "www").mkdir()
    (work / "www" / "small").write_bytes(b"hello, world\n")
    (work / "www" / "large").write_bytes(os.urandom(1048576))
    for folder in (work, work / "www"):
        folder.chmod(0o755)
    stack.enter_context(running(["nginx", "-c", str(_backend(work, backend, socket_path))], LOAD_PROCESSOR, backend))
    contenders = [Contender(NONE, backend, 0)]
    upstream = f"http://127.0.0.1:{backend}"

    def add(name: str, command: Sequence[str], port: int, **environ: str) -> None:
        if wanted(name):
            contenders.append(
                Contender(name, port, stack.enter_context(running(command, PROXY_PROCESSOR, port, environ)))
            )

    def ours(name: str, upstream: str, import_path: str = "", **more: str) -> None:
        port = free_port()
        add(name, _ours(import_path), port, **_settings(port, upstream), **settings, **more)

    ours(OURS, upstream)
    ours(LOGGED, upstream, ACCESS_LOG="json")
    ours(UNIX, f"unix:{socket_path}")
    if tree is not None:
        (work / "tree" / "pillion").mkdir(parents=True)
        (work / "tree" / "pillion" / "proxy").symlink_to(Path(tree).resolve() / "proxy")
        ours(f"pillion of {tree}", upstream, str(work / "tree"))
    for name, more in (
        (NGINX, ""),
        (NGINX_TUNED, "proxy_buffering off; proxy_request_buffering off; proxy_buffer_size 64k; proxy_buffers 8 64k;"),
    ):
        port = free_port()
        add(name, ["nginx", "-c", str(_nginx_proxy(work, port, backend, more))], port)
    for name, general, defaults in (
        (HAPROXY, "", ""),
        (HAPROXY_TUNED, "tune.bufsize 131072\n tune.maxrewrite 1024\n tune.pipesize 262144", "option splice-auto"),
    ):
        port = free_port()
        add(name, ["haproxy", "-q", "-f", str(_haproxy(work, port, backend, general, defaults))], port)
    if wanted(AIOHTTP) or wanted(REQUESTS):
        python = str(_venv() / "bin" / "python")
        port = free_port()
        add(AIOHTTP, [python, str(PEERS / "on_aiohttp.py"), str(port), upstream], port)
        port = free_port()
        gunicorn = [python, "-m", "gunicorn", "-k", "gevent", "-b", f"127.0.0.1:{port}", "--log-level", "error"]
        add(REQUESTS, [*gunicorn, "--chdir", str(PEERS), "on_requests:application"], port, PEER_UPSTREAM=upstream)
    port = free_port()
    add(PUMP, [sys.executable, str(PEERS / "pump.py"), str(port), str(backend)], port)
    return contenders


def ours_alone(stack: ExitStack, backend: int, **settings: str) -> Contender:
    """Ours before whatever listens on the port `backend`, stopped at the end by its own process id."""
    port = free_port()
    given = _settings(port, f"http://127.0.0.1:{backend}") | settings
    return Contender(OURS, port, stack.enter_context(running(_ours(), PROXY_PROCESSOR, port, given)))


def _ours(import_path: str = "") -> list[str]:
    code = "import os; from pillion.proxy import server, settings; server.serve(settings.read_settings(os.environ))"
    return [sys.executable, "-c", f"import sys; sys.path[:0] = {import_path.split()}; {code}"]


def _settings(port: int, upstream: str) -> dict[str, str]:
    return {"LISTEN": f"127.0.0.1:{port}", "UPSTREAM": upstream, "LOG_LEVEL": "warning"}


def _backend(work: Path, port: int, socket_path: Path) -> Path:
    server = f"listen 127.0.0.1:{port} backlog=4096; listen unix:{socket_path}; root {work}/www;"
    # `return` alone would answer before the body is there; as a proxy, nginx takes it in first.
    inner = f"unix:{work}/inner.sock"
    upload = f'proxy_pass http://{inner}; proxy_pass_request_body off; proxy_set_header Content-Length "";'
    return _nginx(
        work,
        "backend",
        f"server {{ {server} client_body_buffer_size 2m; location /upload {{ {upload} }} }}"
        f" server {{ listen {inner}; return 204; }}",
    )


def _nginx_proxy(work: Path, port: int, backend: int, more: str) -> Path:
    location = f'proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection ""; {more}'
    return _nginx(
        work,
        f"proxy-{port}",
        f"upstream b {{ server 127.0.0.1:{backend}; keepalive 64; keepalive_requests 1000000000; }}"
        f" server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ {location} }} }}",
    )


def _nginx(work: Path, name: str, servers: str) -> Path:
    made = work / f"nginx-{name}.conf"
    folders = " ".join(f"{kind}_temp_path {work}/{name}-{kind};" for kind in ("client_body", "proxy", "fastcgi"))
    folders += "".join(f" {kind}_temp_path {work}/{name}-{kind};" for kind in ("uwsgi", "scgi"))
    made.write_text(
        f"daemon off; worker_processes 1; pid {work}/{name}.pid; error_log {work}/{name}.log;\n"
        "events { worker_connections 16384; }\n"
        f"http {{ access_log off; client_max_body_size 0; keepalive_requests 1000000000; {folders} {servers} }}\n"
    )
    return made


def _haproxy(work: Path, port: int, backend: int, general: str, defaults: str) -> Path:
    made = work / f"haproxy-{port}.cfg"
    made.write_text(
        f"global\n nbthread 1\n maxconn 4000\n {general}\n"
        f"defaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
        f" http-reuse always\n {defaults}\n"
        f"frontend f\n bind 127.0.0.1:{port}\n default_backend b\n"
        f"backend b\n server s 127.0.0.1:{backend}\n"
    )
    return made


def _venv() -> Path:
    """The peers' own, made once."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pillion-bench"
    made = cache / f"venv-{platform.python_version()}"
    if not (made / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", made], check=True, timeout=120)
        wanted = ["aiohttp", "uvloop", "requests", "gunicorn[gevent]", "packaging"]
        subprocess.run([made / "bin" / "pip", "install", "-q", *wanted], check=True, timeout=600)
        (made / "done").touch()
    return made


@contextmanager
def running(command: Sequence[str], processor: str, port: int, environ: Mapping[str, str] = NOTHING) -> Iterator[int]:
    """A process on one processor, once it listens; its id."""
    process = subprocess.Popen(
        ["taskset", "-c", processor, *command],
        env={"PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin", "HOME": str(Path.home()), **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        _until_listening(port, process)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen on {port}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """Of a process and its children, so far."""
    ticks = 0
    for each in processes_of(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def processes_of(pid: int) -> list[int]:
    """A process and its children; none of 0."""
    found, left = [], [pid] if pid else []
    while left:
        found.append(left.pop())
        left += map(int, Path(f"/proc/{found[-1]}/task/{found[-1]}/children").read_text().split())
    return found
