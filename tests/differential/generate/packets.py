"""Packets that a spec has something to say about, and some that it has not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from random import Random
from typing import Any

from tests.differential.case import SELF, Sent, Surroundings, Talk
from tests.differential.datagram import ECHO, GRE, ICMP, ICMP6, TCP, UDP, Address, Datagram
from tests.differential.generate.gateway import FAR_SITES
from tests.differential.generate.networks import FAR, MARKS, Networks
from tests.differential.generate.pieces import PORTS

_PROTOCOLS = (TCP, UDP, ICMP, GRE, 50)
_DSCP = (0, 0, 0, 46, 34, 8, 5)
_FLAGS = (("syn",), ("syn",), ("syn",), ("ack",), ("rst",), ("syn", "ack"), ("fin", "ack"))
_THEN: tuple[tuple[str, ...], ...] = (
    (),
    ("reply",),
    ("reply", "again"),
    ("again",),
    ("error",),
    ("reply", "error"),
    ("inner-error",),
    ("reply", "inner-error"),
    ("clash",),
    ("clash", "reply"),
)


def draw_talks(
    random: Random, networks: Networks, host: Surroundings, spec: dict[str, Any], count: int
) -> tuple[Talk, ...]:
    packets = Packets(random, networks, host, spec)
    return tuple(Talk(packets.draw(), random.choice(_THEN)) for _ in range(count))


class Packets:
    def __init__(self, random: Random, networks: Networks, host: Surroundings, spec: dict[str, Any]) -> None:
        self.random, self.networks, self.host = random, networks, host
        self.named = {4: list(FAR[4]), 6: list(FAR[6])}
        for address in _addresses(random, spec):
            self.named[address.version].append(str(address))
        self.ports = sorted({*PORTS, *_ports(spec)})
        self.publics = {family: [a for a in self.named[family] if _is_public(a)] for family in (4, 6)}

    def draw(self) -> Sent:
        while True:
            family = self.random.choice(self.networks.families)
            kind = self.random.choices(["out", "in", "across", "any", "own"], [6, 5, 2, 2, 2])[0]
            drawn = getattr(self, f"_{kind}")(family)
            if drawn is None:
                continue
            interface, source, destination = drawn
            return self._packet(interface, ip_address(source), ip_address(destination))

    # ---------------------------------------------------------------- ends

    def _inside(self, family: int) -> tuple[str, str] | None:
        """An interface, and a host behind it."""
        lan = self.random.choice(self.networks.lans)
        networks = [ip_network(n) for n in lan.everything if ip_network(n).version == family]
        if not networks:
            return None
        network = self.random.choice(networks)
        if self.random.random() < 0.3:
            named = [a for a in self.named[family] if ip_address(a) in network]
            if named:
                return lan.ifname, self.random.choice(named)
        return lan.ifname, str(network[self.random.choice([10, 20, 80, 81, 64, 70, 99])])

    def _own_address(self, family: int) -> tuple[str, str] | None:
        found = [
            (ifname, str(ip_interface(each).ip))
            for ifname, addresses in self.host.links.items()
            for each in addresses
            if ip_interface(each).version == family and ifname not in self.host.down
        ]
        return self.random.choice(found) if found else None

    def _out(self, family: int) -> tuple[str, str, str] | None:
        inside = self._inside(family)
        if inside is None:
            return None
        beyond = ("100.64.7.9", "10.90.1.1") if family == 4 else ("fd00:64::9", "fd00:90::1")
        pools = [FAR[family], self.named[family], self.publics[family] or FAR[family], beyond]
        pool = self.random.choices(pools, [6, 6, 6, 1])[0]
        return *inside, self.random.choice(pool)

    def _in(self, family: int) -> tuple[str, str, str] | None:
        working = [each for each in self.networks.providers if each.ifname not in self.host.down]
        if not working:
            return None
        provider = self.random.choice(working)
        if self.random.random() < 0.1:
            inside = self._inside(family)
            sites = [str(ip_network(network)[9]) for network in FAR_SITES if ip_network(network).version == family]
            return (provider.ifname, sites[0], inside[1]) if inside else None
        source = self.random.choice(FAR[family] if self.random.random() < 0.8 else self.named[family])
        if self.random.random() < 0.75 and self.publics[family]:
            return provider.ifname, source, self.random.choice(self.publics[family])
        return provider.ifname, source, self.random.choice(self.named[family])

    def _across(self, family: int) -> tuple[str, str, str] | None:
        inside, other = self._inside(family), self._inside(family)
        own = self._own_address(family)
        if inside is None or other is None or own is None:
            return None
        return *inside, other[1] if self.random.random() < 0.6 else own[1]

    def _any(self, family: int) -> tuple[str, str, str] | None:
        """Any source by any interface: most are spoofed."""
        ifname = self.random.choice([ifname for ifname in self.host.links if ifname not in self.host.down])
        own = self._own_address(family)
        source = own[1] if own and self.random.random() < 0.2 else self.random.choice(self.named[family])
        return ifname, source, self.random.choice(self.named[family])

    def _own(self, family: int) -> tuple[str, str, str] | None:
        own = self._own_address(family)
        unbound = "0.0.0.0" if family == 4 else "::"
        source = own[1] if own and self.random.random() < 0.4 else unbound
        return SELF, source, self.random.choice(self.named[family])

    # ---------------------------------------------------------------- the rest

    def _packet(self, interface: str, source: Address, destination: Address) -> Sent:
        random, version = self.random, source.version
        protocol = random.choices(_PROTOCOLS, [6, 6, 3, 1, 1])[0]
        own = interface == SELF
        marking = bool(self.host.nft) and not own
        ttl = random.choice([64, *MARKS]) if marking else random.choices([64, 1, 2, 3], [20, 1, 1, 1])[0]
        common: dict[str, Any] = {"ttl": 64 if own else ttl, "dscp": random.choice(_DSCP)}
        mark = random.choice([0, 0, *MARKS.values()]) if own else 0
        bound = ""
        if own and random.random() < 0.1:
            bound = random.choice([ifname for ifname in self.host.links if ifname not in self.host.down])
        if protocol == ICMP:
            kind = ECHO[version][0 if own or random.random() < 0.9 else 1]
            number = ICMP if version == 4 else ICMP6
            packet = Datagram(source, destination, number, random.randint(1, 65535), None, (kind, 0), **common)
        elif protocol in (TCP, UDP):
            flags = frozenset(("syn",) if own else random.choice(_FLAGS)) if protocol == TCP else frozenset()
            ports = self._port(client=True), self._port()
            packet = Datagram(source, destination, protocol, *ports, None, flags, **common)
            if not own and protocol == UDP and interface not in self.host.mtu and random.random() < 0.05:
                packet = Datagram(source, destination, protocol, *ports, size=1450, keep_whole=True, **common)
        else:
            packet = Datagram(source, destination, protocol, **common)
        return Sent(interface, packet, mark, bound)

    def _port(self, *, client: bool = False) -> int:
        if self.random.random() < (0.2 if client else 0.8):
            return self.random.choice(self.ports)
        return self.random.randint(1024, 65535) if client else self.random.randint(1, 65535)


def _is_public(address: str) -> bool:
    return not ip_address(address).is_private or address.startswith(
        ("203.0.113.", "198.51.100.", "198.19.3.", "10.200.0.", "2001:db8:")
    )


_WORD = re.compile(r"[0-9a-fA-F:.]+(?:/\d+)?")


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _words(key)
            yield from _words(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _words(each)
    elif value is not None:
        yield str(value)


def _addresses(random: Random, spec: dict[str, Any]) -> Iterator[IPv4Address | IPv6Address]:
    """Those that the spec names, and of prefixes the ends, one between, and those just outside."""
    for text in sorted(
        {found for word in _words(spec) for found in _WORD.findall(word.replace("[", "").replace("]:", " "))}
    ):
        if text.count(".") != 3 and text.count(":") < 2:
            continue
        for candidate in (text, text.rpartition(":")[0]):
            try:
                network = ip_network(candidate, strict=False)
            except ValueError:
                continue
            size = network.num_addresses
            for at in {0, size - 1, random.randrange(size)} if size > 1 else {0}:
                yield network[at]
            if size > 1 and random.random() < 0.3:
                yield network[-1] + 1
            break


def _ports(spec: dict[str, Any]) -> Iterator[int]:
    for word in _words(spec):
        for text in re.findall(r"\d+", word) if "/" in word or ":" in word else ():
            if len(text) < 6 and 0 < int(text) < 65535:
                yield from (int(text), int(text) + 1)
