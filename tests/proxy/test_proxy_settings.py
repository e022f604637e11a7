"""The settings table: what is read, what is refused, and that nothing is silently something else."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from pillion.proxy.settings import SETTINGS, SettingError, Settings, read_settings, settings_table
from pillion.proxy.values import Address, Upstream


def test_defaults():
    """An empty environment is enough."""
    settings = read_settings({})
    assert settings.listen == (Address("0.0.0.0", 8080),)
    assert settings.upstream == Upstream("127.0.0.1", 8000)
    assert "127.0.0.1" in settings.forwarded_allow_ips
    assert "::1" in settings.forwarded_allow_ips
    assert "10.0.0.1" not in settings.forwarded_allow_ips


def test_listen_wins_over_port():
    """LISTEN > the platform's PORT > 8080."""
    assert read_settings({"PORT": "9000"}).listen == (Address("0.0.0.0", 9000),)
    assert read_settings({"PORT": "9000", "LISTEN": "[::1]:1, :2"}).listen == (Address("::1", 1), Address("0.0.0.0", 2))


def test_both_spellings():
    """X and PROXY__X mean the same; both are an error only if they differ."""
    assert read_settings({"PROXY__POOL_SIZE": "7"}).pool_size == 7
    assert read_settings({"PROXY__POOL_SIZE": "7", "POOL_SIZE": "7"}).pool_size == 7
    with pytest.raises(SettingError, match="POOL_SIZE and PROXY__POOL_SIZE are both set and differ"):
        read_settings({"PROXY__POOL_SIZE": "7", "POOL_SIZE": "8"})


def test_where_to_listen():
    """Plain, with TLS, on a unix socket; its string is what was meant."""
    given = {"LISTEN": "unix:/run/a.sock,https://[::1]:1,http://:2", "LISTEN_CERT": "/a.pem"}
    settings = read_settings(given)
    assert settings.listen == (Address("", 0, "/run/a.sock"), Address("::1", 1, tls=True), Address("0.0.0.0", 2))
    assert read_settings({**given, "LISTEN": ",".join(map(str, settings.listen))}).listen == settings.listen
    assert settings.listen_mode == 0o660
    assert settings.admin_listen == ()


@pytest.mark.parametrize(
    ("given", "name", "why"),
    [
        ({"LISTEN": "https://:1"}, "LISTEN_CERT", "LISTEN has an https:// address"),
        ({"LISTEN": "https://:1", "LISTEN_KEY": "/a.pem"}, "LISTEN_KEY", "set LISTEN_CERT too"),
        ({"LISTEN": ":1", "LISTEN_CERT": "/a.pem"}, "LISTEN_CERT", "nothing listens with TLS"),
    ],
)
def test_certificates_without_what_they_belong_to(given, name, why):
    """Never plain text where TLS was meant."""
    with pytest.raises(SettingError, match=f"^cannot read {name}: .*{why}"):
        read_settings(given)


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5), ("0.5", 0.5), ("500ms", 0.5), ("5s", 5), ("2m", 120), (" 7 ", 7)]
)
def test_durations(text, seconds):
    """Seconds, unless a unit says otherwise."""
    assert read_settings({"CONNECT_TIMEOUT": text}).connect_timeout == seconds


@pytest.mark.parametrize(("text", "size"), [("2048", 2048), ("2KiB", 2048), ("1MiB", 1048576)])
def test_sizes(text, size):
    """Bytes, unless a unit says otherwise."""
    assert read_settings({"MAX_HEAD_BYTES": text}).max_head_bytes == size


@pytest.mark.parametrize(
    ("text", "upstream"),
    [
        ("http://h", Upstream("h", 80)),
        ("http://h:1/", Upstream("h", 1)),
        ("https://h", Upstream("h", 443, tls=True)),
        ("http://[::1]:1", Upstream("::1", 1)),
        ("unix:/a/b", Upstream("", 0, "/a/b")),
    ],
)
def test_upstreams(text, upstream):
    """A URL of host and port, or a unix socket; its string is what was meant."""
    assert read_settings({"UPSTREAM": text}).upstream == upstream
    assert read_settings({"UPSTREAM": str(upstream)}).upstream == upstream


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CONNECT_TIMEOUT", "soon"),
        ("CONNECT_TIMEOUT", "0"),
        ("CONNECT_TIMEOUT", "-1"),
        ("CONNECT_TIMEOUT", "nan"),
        ("CONNECT_TIMEOUT", "1e3"),
        ("CONNECT_TIMEOUT", "5h"),
        ("CONNECT_TIMEOUT", ""),
        ("CONNECT_TIMEOUT", "99999999"),
        ("CONNECT_TIMEOUT", "٣"),
        ("MAX_HEAD_BYTES", "1"),
        ("MAX_HEAD_BYTES", "64kb"),
        ("POOL_SIZE", "0"),
        ("POOL_SIZE", "1.5"),
        ("POOL_SIZE", "1_0"),
        ("WEB_CONCURRENCY", "auto"),
        ("PORT", "tcp://10.0.0.1:80"),
        ("PORT", "65536"),
        ("LISTEN", "8080"),
        ("LISTEN", "::1:80"),
        ("LISTEN", "h:http"),
        ("LISTEN", "ftp://h:1"),
        ("LISTEN", "https://h"),
        ("LISTEN", "unix:relative"),
        ("LISTEN", "unix:/" + "a" * 107),
        ("LISTEN_MODE", "rw"),
        ("LISTEN_MODE", "888"),
        ("ADMIN_LISTEN", "https://127.0.0.1:1"),
        ("ADMIN_LISTEN", "9000"),
        ("MAX_REQUESTS", "-1"),
        ("UPSTREAM", "127.0.0.1:8000"),
        ("UPSTREAM", "ftp://h"),
        ("UPSTREAM", "http://h/path"),
        ("UPSTREAM", "http://h:port"),
        ("UPSTREAM", "http://"),
        ("UPSTREAM", "unix:relative"),
        ("FORWARDED_ALLOW_IPS", "localhost"),
        ("FORWARDED_ALLOW_IPS", "10.0.0.0/99"),
        ("READY_PATH", "health"),
        ("READY_PATH", "/a b"),
        ("READY_PATH", "/a\r\nX: y"),
        ("LOG_LEVEL", "loud"),
        ("ACCESS_LOG", "yes"),
        ("UPSTREAM_CA", "ca.pem"),
        ("UPSTREAM_KEY", "/key.pem"),
        ("UPSTREAM_NAME", "a b"),
        ("UPSTREAM_NAME", "-a"),
        ("MAX_BODY_BYTES", "-1"),
        ("MAX_FIELDS", "0"),
    ],
)
def test_bad_values_are_refused_by_name(name, text):
    """A value that cannot be used is an error that names its setting, never a default."""
    with pytest.raises(SettingError, match=f"^cannot read {name}: ") as caught:
        read_settings({name: text})
    assert caught.value.name == name
    assert "\n" not in str(caught.value)


def test_no_password_in_an_error():
    """A URL with credentials is refused without repeating it."""
    for url in ("http://user:hunter2@h", "http://user:hunter2"):
        with pytest.raises(SettingError) as caught:
            read_settings({"UPSTREAM": url})
        assert "hunter2" not in str(caught.value)


def test_peers():
    """Networks, addresses, everyone."""
    peers = read_settings({"FORWARDED_ALLOW_IPS": "10.1.2.3/8, fd00::/8"}).forwarded_allow_ips
    assert [address in peers for address in ("10.9.9.9", "11.0.0.1", "fd00::7", "::1", "unknown")] == [
        True, False, True, False, False,
    ]  # fmt: skip
    assert "anything" in read_settings({"FORWARDED_ALLOW_IPS": "*"}).forwarded_allow_ips
    assert "127.0.0.1" not in read_settings({"FORWARDED_ALLOW_IPS": "10.0.0.1"}).forwarded_allow_ips


def test_near_miss_is_noticed():
    """A misspelt PROXY__ name is said, others may be meant for libraries."""
    settings = read_settings({"PROXY__UPSTREM": "x", "PROXY__OTEL_SERVICE_NAME": "y", "UPSTREM": "z"})
    assert settings.notices == ("PROXY__UPSTREM is no setting; did you mean PROXY__UPSTREAM?",)


def test_table_is_complete():
    """Every setting has a row with a meaning, and every row a field."""
    table = settings_table()
    assert len({row.name for row in SETTINGS}) == len(SETTINGS)
    derived = {"notices", "given"}
    assert {row.name.lower() for row in SETTINGS} - {"port"} == {field.name for field in fields(Settings)} - derived
    for row in SETTINGS:
        assert row.meaning
        assert f"| `{row.name}` |" in table


def test_docs_hold_the_table():
    """docs/proxy.md ends with the table as the code has it. To renew it: PILLION_RENEW_DOCS=1 and run this test."""
    page = Path(__file__).parents[2] / "docs" / "proxy.md"
    text, mark, table = page.read_text().partition(" says how to renew it -->\n\n")
    if os.environ.get("PILLION_RENEW_DOCS"):
        page.write_text(text.rstrip() + (mark or "\n\n") + settings_table())
    else:
        assert table == settings_table()


def test_reading_settings_imports_no_server():
    """The command line can read the table without paying for gevent and gunicorn."""
    code = "import sys, pillion.proxy.settings as s; s.read_settings({}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"gevent", "gunicorn", "httptools", "ssl", "asyncio"} & set(done.stdout.split())
