"""The guard's constants, which spare most packets a look at the map, say what the map says."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network, ip_network
from random import Random

import pytest

from nvi_operator.kernel.bpf import egress, objects, syscall
from nvi_operator.kernel.bpf.egress import EGRESS
from nvi_operator.kinds.egress_guard import GuardEntry, PrefixRole
from nvi_operator.language.model.values import FAMILIES, Family, Network
from tests.dataplane.run import run

pytestmark = pytest.mark.netns

STAGE = 1 << 31
ROUNDS = 40
WITHOUT = {"own": 0, "own_networks": 0, "rest_is_free4": 0, "rest_is_free6": 0}
BASE: dict[Family, int] = {4: int(ip_network("203.0.113.0/24")[0]), 6: int(ip_network("2001:db8::/64")[0])}


@contextmanager
def guards(entries: frozenset[GuardEntry]) -> Iterator[tuple[int, int]]:
    """The program as the operator loads it, and one that asks the map of every packet."""
    constants = EGRESS.constants(STAGE, entries)
    with (
        objects.load(EGRESS.object, constants=constants) as quick,
        objects.load(
            EGRESS.object, constants=constants | WITHOUT, reuse={egress.PREFIXES: quick.maps[egress.PREFIXES]}
        ) as slow,
    ):
        for entry in entries:
            syscall.update(quick.maps[egress.PREFIXES], *EGRESS.as_element(entry))
        yield quick.programs[EGRESS.program], slow.programs[EGRESS.program]


def network(random: Random, family: Family) -> Network:
    """One of few, so that many lie within others."""
    bits = random.randint(0, 8)
    first = BASE[family] + random.randrange(256)
    length = (32 if family == 4 else 128) - bits
    return ip_network((first, length), strict=False)


def entries(random: Random) -> frozenset[GuardEntry]:
    found = {}
    for family in FAMILIES:
        for _ in range(random.randint(0, 12)):
            where = str(network(random, family))
            found[where] = GuardEntry("source", where, random.choice([PrefixRole.OWN, PrefixRole.OWN, *PrefixRole]))
        if random.random() < 0.5:  # as at an inside interface
            found = {name: each for name, each in found.items() if each.standing == PrefixRole.OWN}
            everything = "0.0.0.0/0" if family == 4 else "::/0"
            found[everything] = GuardEntry("source", everything, PrefixRole.FREE)
    return frozenset(found.values())


def frame(source: int, family: Family) -> bytes:
    """ICMP destination unreachable, which the gateway itself sends with few sources."""
    if family == 4:
        header = struct.pack("!BBHHHBBH4s", 0x45, 0, 40, 0, 0, 64, 1, 0, source.to_bytes(4, "big"))
        return bytes(12) + b"\x08\x00" + header + bytes(4) + b"\x03" + bytes(19)
    header = struct.pack("!IHBB16s", 6 << 28, 8, 58, 64, source.to_bytes(16, "big"))
    return bytes(12) + b"\x86\xdd" + header + bytes(16) + b"\x01" + bytes(7)


@pytest.mark.parametrize("seed", range(4))
def test_a_source_is_judged_as_the_map_says(seed: int) -> None:
    random = Random(seed)
    for _ in range(ROUNDS // 4):
        made = entries(random)
        with guards(made) as (quick, slow):
            for family in FAMILIES:
                for source in range(BASE[family] - 2, BASE[family] + 258):
                    packet = frame(source, family)
                    for ingress_ifindex in (0, 2):  # the gateway's own, and a forwarded one
                        results = [run(each, packet, ingress_ifindex=ingress_ifindex) for each in (quick, slow)]
                        assert results[0] == results[1], (source, ingress_ifindex, made)


def test_most_packets_need_no_map() -> None:
    """At an uplink and at an inside interface, by an empty map."""
    own = GuardEntry("source", "203.0.113.2/32", PrefixRole.OWN)
    rest = GuardEntry("source", "0.0.0.0/0", PrefixRole.FREE)
    for found, source in (({own}, "203.0.113.2/32"), ({own, rest}, "192.0.2.1/32")):
        with objects.load(EGRESS.object, constants=EGRESS.constants(STAGE, found)) as loaded:
            packet = frame(int(IPv4Network(source)[0]), 4)
            assert run(loaded.programs[EGRESS.program], packet, ingress_ifindex=2) == -1
