"""What the text of a setting can mean: durations, sizes, addresses, peers. A ValueError says how to mend it."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

_LONGEST_SOCKET_PATH = 107  # bytes (unix(7))


class Address(NamedTuple):
    """Where to listen: a host and port (0 takes a free one), with TLS or without, or the path of a unix socket."""

    host: str
    port: int
    path: str = ""
    tls: bool = False

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        shown = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        return f"https://{shown}" if self.tls else shown


class Upstream(NamedTuple):
    """Where the backend is: a host and port, with TLS or without, or the path of a unix socket."""

    host: str
    port: int
    path: str = ""
    tls: bool = False

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"{'https' if self.tls else 'http'}://{Address(self.host, self.port)}"

    @property
    def authority(self) -> bytes:
        """The Host of a request that came without one (RFC 9112 section 3.2)."""
        if self.path:
            return b"localhost"
        if self.port == (443 if self.tls else 80):
            return (f"[{self.host}]" if ":" in self.host else self.host).encode("ascii")
        return str(Address(self.host, self.port)).encode("ascii")

    @property
    def literal(self) -> bool:
        """Whether the host is an address and no name."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True


@dataclass(frozen=True)
class Peers:
    """Who may say on whose behalf it speaks: networks, or everyone."""

    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    everyone: bool = False

    def __contains__(self, address: str) -> bool:
        if self.everyone:
            return True
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(ip in network for network in self.networks)


def _number(text: str, units: Mapping[str, float], what: str) -> float:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", text, re.ASCII)
    if match is None or match[2] not in units:
        raise ValueError(f"{text!r} is not {what}; give a number, {', '.join(filter(None, units))} may follow it")
    return float(match[1]) * units[match[2]]


def seconds(least: float, most: float = 86400) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = _number(text, {"": 1, "ms": 0.001, "s": 1, "m": 60}, "a duration in seconds")
        if not least <= value <= most:
            raise ValueError(f"{text!r} is out of range; give {least:g} to {most:g} seconds")
        return value

    return parse


def host_name(text: str) -> str:
    if text and re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.\-]{0,252})", text, re.ASCII) is None:
        raise ValueError(f"{text!r} is not a host name; write it as backend.example")
    return text


def size(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = math.floor(_number(text, {"": 1, "KiB": 1024, "MiB": 1024**2}, "a size in bytes"))
        if not least <= value <= most:
            raise ValueError(f"{text!r} is out of range; give {least} to {most} bytes")
        return value

    return parse


def count(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) is None or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return parse


def rate(text: str) -> float:
    """Requests a second; 0 for no limit."""
    if not text:
        return 0.0
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(?:/\s*([smh]))?", text, re.ASCII)
    if match is None:
        raise ValueError(f"{text!r} is not a rate; write 100 or 100/s, 60/m, 1000/h")
    value = float(match[1]) / {"s": 1, "m": 60, "h": 3600, None: 1}[match[2]]
    if not 1 / 86400 <= value <= 10**6:
        raise ValueError(f"{text!r} is out of range; give one a day (0.042/h) to a million a second")
    return value


def switch(text: str) -> bool:
    if text.lower() not in ("on", "off"):
        raise ValueError(f"{text!r} is neither on nor off")
    return text.lower() == "on"


def one_of(*names: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in names:
            raise ValueError(f"{text!r} is none of {', '.join(names)}")
        return text.lower()

    return parse


def port(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) is None or int(text) > 65535:
        raise ValueError(f"{text!r} is not a port; give a number from 0 to 65535")
    return int(text)


def addresses(text: str) -> tuple[Address, ...]:
    return tuple(_address(item) for item in filter(None, (part.strip() for part in text.split(","))))


def plain_addresses(text: str) -> tuple[Address, ...]:
    found = addresses(text)
    if any(address.tls for address in found):
        raise ValueError("there is no TLS here; write HOST:PORT or unix:/PATH")
    return found


def _address(text: str) -> Address:
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/") or "\0" in path or len(path.encode()) > _LONGEST_SOCKET_PATH:
            raise ValueError(
                f"the path of a unix socket must be absolute and of at most {_LONGEST_SOCKET_PATH} bytes; "
                "write unix:/run/proxy.sock"
            )
        return Address("", 0, path)
    scheme, url, rest = text.rpartition("://")
    host, colon, number = rest.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or (":" in host and not bracketed) or (url and scheme not in ("http", "https")):
        raise ValueError(f"{text!r} is not HOST:PORT, https://HOST:PORT or unix:/PATH; for IPv6 write [HOST]:PORT")
    return Address(host.strip("[]") or "0.0.0.0", port(number), tls=scheme == "https")


def permissions(text: str) -> int:
    if re.fullmatch(r"0?[0-7]{3}", text, re.ASCII) is None:
        raise ValueError(f"{text!r} is no set of permissions; write it as 0660")
    return int(text, 8)


def upstream(text: str) -> Upstream:
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/"):
            raise ValueError("the path of a unix socket must be absolute; write unix:/run/backend.sock")
        return Upstream("", 0, path)
    try:
        url = urlsplit(text)
        number = url.port
    except ValueError:
        raise ValueError("it is not a URL; write http://HOST:PORT or unix:/PATH") from None
    if url.scheme not in ("http", "https") or not url.hostname or not url.netloc.isascii():
        raise ValueError("it is not a URL of a backend; write http://HOST:PORT, https://HOST:PORT or unix:/PATH")
    if url.username is not None or url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError("it must be scheme, host and port only; write http://HOST:PORT")
    tls = url.scheme == "https"
    return Upstream(url.hostname, (443 if tls else 80) if number is None else number, tls=tls)


def peers(text: str) -> Peers:
    items = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return Peers(
            tuple(ipaddress.ip_network(item, strict=False) for item in items if item != "*"), everyone="*" in items
        )
    except ValueError as error:
        raise ValueError(f"{error}; give addresses and networks (10.0.0.0/8) with commas between, or *") from None


def file(text: str) -> str:
    if text and not text.startswith("/"):
        raise ValueError(f"{text!r} is not an absolute path; write it as /etc/ssl/ca.pem")
    return text


def path(text: str) -> str:
    if text and re.fullmatch(r"/[!-~]*", text) is None:
        raise ValueError(f"{text!r} is not a path; write it as /health, with no spaces")
    return text
