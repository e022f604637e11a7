"""What the text of a setting can mean: durations, sizes, addresses, peers. A ValueError says how to mend it."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit


class Address(NamedTuple):
    """Where to listen. Port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Upstream(NamedTuple):
    """Where the backend is: a host and port, or the path of a unix socket."""

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"http://{Address(self.host, self.port)}"

    @property
    def authority(self) -> bytes:
        """The Host of a request that came without one (RFC 9112 section 3.2)."""
        if self.path:
            return b"localhost"
        return str(Address(self.host, self.port)).encode("ascii") if self.port != 80 else self.host.encode("ascii")


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
    found = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        host, colon, number = item.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if not colon or (":" in host and not bracketed):
            raise ValueError(f"{item!r} is not HOST:PORT; for IPv6 write [HOST]:PORT")
        found.append(Address(host.strip("[]") or "0.0.0.0", port(number)))
    return tuple(found)


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
    if url.scheme == "https":
        raise ValueError("https:// to the backend is not supported yet; use http://HOST:PORT or unix:/PATH")
    if url.scheme != "http" or not url.hostname or not url.netloc.isascii():
        raise ValueError("it is not a URL of a backend; write http://HOST:PORT or unix:/PATH")
    if url.username is not None or url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError("it must be scheme, host and port only; write http://HOST:PORT")
    return Upstream(url.hostname, 80 if number is None else number)


def peers(text: str) -> Peers:
    items = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return Peers(
            tuple(ipaddress.ip_network(item, strict=False) for item in items if item != "*"), everyone="*" in items
        )
    except ValueError as error:
        raise ValueError(f"{error}; give addresses and networks (10.0.0.0/8) with commas between, or *") from None


def path(text: str) -> str:
    if text and re.fullmatch(r"/[!-~]*", text) is None:
        raise ValueError(f"{text!r} is not a path; write it as /health, with no spaces")
    return text
