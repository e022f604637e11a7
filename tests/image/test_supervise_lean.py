"""supervisord is started without what it never needs, and has it when somebody does.

That `supervisorctl` is answered all the same: test_supervise_control.
"""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"email", "hashlib", "html.parser", "http.client", "ssl", "supervisor.web", "xmlrpc.client", "zipfile"}
DAEMON = "import pillion.image.supervise.daemon, pillion.image.supervise.plugin"


def run(code: str) -> list[str]:
    """The words that it prints, in a Python of its own."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_the_daemon_loads_nothing_heavy() -> None:
    """A third of its start and memory; what this Python's own start has loaded is not counted."""
    loaded = run(f"import sys; before = set(sys.modules); {DAEMON}; print(*set(sys.modules) - before)")
    assert HEAVY & set(loaded) == set() and "supervisor.rpcinterface" in loaded


def test_everybody_else_gets_the_real_modules() -> None:
    """The stand-ins are supervisor's alone, and become the real thing when asked."""
    check = (
        f"{DAEMON}; import hashlib, http.client, importlib.metadata, html.parser, io, xmlrpc.client; "
        "from supervisor import xmlrpc as protocol; "
        "assert protocol.xmlrpclib.Fault is xmlrpc.client.Fault; "
        "assert 'methodResponse' in protocol.xmlrpc_marshal('answer'); "
        "assert [e.tag for _, e in protocol.iterparse(io.StringIO('<a><b/></a>'))] == ['b', 'a']; "
        "print(hashlib.sha1(b'').hexdigest()[:4], http.client.HTTPConnection('h').host, "
        "importlib.metadata.version('supervisor'))"
    )
    assert run(check) == ["da39", "h", "4.3.0"]
