"""Where messages may go: never into a private network that nobody has allowed, by whatever name or redirect.

A name is resolved here, each address is checked, and the connection goes to an address that was checked: a name that
answers otherwise a moment later (DNS rebinding) changes nothing. `socket_to` checks once more as a connection is made,
for a host may be an address in disguise (``①②⑦.0.0.1``) that nobody asks us to resolve.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from ..model.errors import UsageError

_IPV4_WITHIN = tuple(map(IPv6Network, ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")))
"""NAT64, translated and compatible addresses: the last 32 bits are an IPv4 address."""
_PRIVATE = tuple(map(IPv6Network, ("fec0::/10", "64:ff9b:1::/48")))
"""Site-local, and the NAT64 of a network of one's own; the standard library calls them global."""


class RefusedTargetError(UsageError):
    """The address is private, and the configuration does not allow its network."""


class Guard(AbstractResolver):
    """Resolves names to addresses that may be connected to."""

    def __init__(self, allowed: Sequence[str]) -> None:
        """`allowed`: networks such as ``10.0.0.0/8`` that may be reached although they are private."""
        self._allowed = tuple(map(ip_network, allowed))

    def check(self, address: str, host: str) -> str:
        """The address, if it may be connected to; `host` is what it was called."""
        target = ip_address(address.partition("%")[0])
        if not all(map(_is_public, _meanings(target))) and not any(
            one.version == network.version and one in network for one in _meanings(target) for network in self._allowed
        ):
            raise RefusedTargetError(
                f"{host} is the private address {address}; to allow it, list its network in alerts.allowed_networks"
            )
        return address

    def socket_to(self, place: AddrInfoType) -> socket.socket:
        """What aiohttp connects with, each time."""
        family, kind, protocol, _, target = place
        self.check(str(target[0]), str(target[0]))
        return socket.socket(family, kind, protocol)

    async def addresses(self, host: str, port: int, family: int = socket.AF_UNSPEC) -> list[tuple[int, str]]:
        """(family, address) of a name; raises RefusedTargetError where any of them is refused, OSError for none."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        return [(kind, self.check(str(place[0]), host)) for kind, _, _, _, place in found]

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """What aiohttp asks before it connects."""
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=kind, proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, address in await self.addresses(host, port, family)
        ]  # fmt: skip

    async def close(self) -> None:
        """Nothing is kept."""


def _is_public(one: IPv4Address | IPv6Address) -> bool:
    return one.is_global and not one.is_multicast and not any(one in network for network in _PRIVATE)


def _meanings(target: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """An address and what it leads to: IPv6 has several ways to write an IPv4 address."""
    inside: list[IPv4Address | IPv6Address | None] = []
    if isinstance(target, IPv6Address):
        inside = [target.ipv4_mapped, target.sixtofour, *(target.teredo or ())]
        if any(target in network for network in _IPV4_WITHIN):
            inside.append(IPv4Address(int(target) & 0xFFFFFFFF))
        if target.ipv4_mapped is not None:
            return [target.ipv4_mapped]
    return [target, *(one for one in inside if one is not None)]
