"""How far inside a network an address lies. Pure, but for `resolved_reach`, which asks the DNS.

A catalog or a redirect may lead outwards or to its equals, never further in than the place it
came from: not from the web to a laboratory's servers, nor from there to the reader's own
machine. The addresses at which clouds hand out credentials are nobody's to name.
"""

import ipaddress
import os
import socket
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from scidata.storage.addresses import split_url


class Reach(IntEnum):
    """From outside to inside."""

    PUBLIC = 0
    PRIVATE = 1
    LOOPBACK = 2
    NEVER = 3
    """Link-local, such as 169.254.169.254, and what is no address of a server at all."""


_METADATA = frozenset({"metadata.google.internal", "100.100.100.200", "fd00:ec2::254"})
_INSIDE = (".internal", ".local", ".lan", ".intranet", ".home.arpa", ".corp")


def reach_of(host: str) -> Reach:
    """Judge a host by its name or address alone.

    Examples
    --------
    >>> [reach_of(host).name for host in ("example.org", "10.0.0.7", "localhost", "2130706433")]
    ['PUBLIC', 'PRIVATE', 'LOOPBACK', 'LOOPBACK']
    >>> reach_of("169.254.169.254").name
    'NEVER'
    """
    name = host.lower().rstrip(".").strip("[]")
    if not name or name in _METADATA:
        return Reach.NEVER
    address = _address(name)
    if address is not None:
        return _reach_of_address(address)
    if name == "localhost" or name.endswith(".localhost"):
        return Reach.LOOPBACK
    return Reach.PRIVATE if name.endswith(_INSIDE) or "." not in name else Reach.PUBLIC


def reach_of_url(
    url: str,
    options: Mapping[str, Any],  # Any: fsspec's own options
    environ: Mapping[str, str] = os.environ,
) -> Reach:
    """Judge where something was read from: a path is the reader's own machine."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme == "file":
        return Reach.LOOPBACK
    if scheme == "s3":
        named = (
            options.get("endpoint_url")
            or _inner(options)
            or environ.get("AWS_ENDPOINT_URL_S3")
            or environ.get("AWS_ENDPOINT_URL")
        )
        url = str(named or "https://amazonaws.com")
    parts = split_url(url)
    return reach_of(parts.hostname or "") if parts else Reach.NEVER


def resolved_reach(host: str) -> Reach:
    """Judge a host by every address that its name stands for."""
    reach = reach_of(host)
    if reach is not Reach.PUBLIC or _address(host.strip("[]")) is not None:
        return reach
    try:
        found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except OSError:
        return reach  # nothing will be reached there
    return max((reach_of(str(item[4][0]).partition("%")[0]) for item in found), default=reach)


def _inner(options: Mapping[str, Any]) -> object:  # Any: fsspec's own options
    inner = options.get("client_kwargs")
    return inner.get("endpoint_url") if isinstance(inner, Mapping) else None


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        pass
    try:  # 2130706433, 0x7f.1 and 017700000001 are addresses, too, to whoever connects
        return ipaddress.IPv4Address(socket.inet_aton(name))
    except (OSError, ValueError):
        return None


def _reach_of_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Reach:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in ipaddress.IPv6Network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _reach_of_address(inner)
    if str(address) in _METADATA or address.is_link_local or address.is_unspecified:
        return Reach.NEVER
    if address.is_loopback:
        return Reach.LOOPBACK
    if address.is_multicast or (address.version == 4 and address.is_reserved):  # noqa: PLR2004
        return Reach.NEVER
    return Reach.PUBLIC if address.is_global else Reach.PRIVATE
