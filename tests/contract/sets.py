"""Hypothesis strategies: values, sets and maps of the vocabulary in which the gateway's ruleset is written."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from hypothesis import strategies as st

from nvi_operator.nft.ast import (
    Element,
    Field,
    Interval,
    NamedSet,
    Value,
    Verdict,
)
from nvi_operator.nft.values import merged, network_value, range_value

Op = Any
IP = {4: "ip", 6: "ip6"}
TYPE = {4: "ipv4_addr", 6: "ipv6_addr"}
PORT_FIELDS = tuple(Field(f"{p} dport") for p in ("tcp", "udp", "sctp", "dccp", "udplite"))
PROTOCOLS = ("tcp", "udp", "icmp", "icmpv6", "gre", "esp", "ah", "sctp", "dccp", "udplite")
COUNTERS = ("stage_1", "snat_everyone", "x9")
MARK = st.integers(0, 0xFFFFFFFF)
FAMILY = st.sampled_from((4, 6))
PORT = st.integers(0, 65535)


def address(family: int) -> st.SearchStrategy[str]:
    # Low numbers only now and then: the kernel minds none of them, nft's spelling of IPv6 might.
    number = st.integers(1, 2**32 - 2) if family == 4 else st.integers(1, 2**128 - 2)
    return number.map(lambda n: str(IPv4Address(n) if family == 4 else IPv6Address(n)))


@st.composite
def network(draw: st.DrawFn, family: int) -> str:
    length = draw(st.integers(1, 32 if family == 4 else 128))
    text = f"{draw(address(family))}/{length}"
    return network_value(IPv4Network(text, strict=False) if family == 4 else IPv6Network(text, strict=False))


@st.composite
def span(draw: st.DrawFn, family: int) -> Value:
    make: Any = IPv4Address if family == 4 else IPv6Address
    first, last = sorted((make(draw(address(family))), make(draw(address(family)))))
    return range_value(first, last)


@st.composite
def ports(draw: st.DrawFn) -> int | Interval:
    first, last = sorted((draw(PORT), draw(PORT)))
    return first if first == last else Interval(first, last)


def several(values: Iterable[Value]) -> Value | frozenset[Value]:
    members = merged(tuple(dict.fromkeys(values)))
    return members[0] if len(members) == 1 else frozenset(members)


# --------------------------------------------------------------------------- sets and maps


@st.composite
def prefix_set(draw: st.DrawFn, name: str, family: int) -> NamedSet:
    networks = draw(st.lists(network(family), max_size=6, unique=True))
    lone = [((n,), None) for n in networks if "/" in n]
    return NamedSet(name, (TYPE[family],), _spaced(lone), interval=True)


def _spaced(elements: list[Any]) -> frozenset[Element]:
    """Prefixes that neither overlap nor touch."""
    kept: list[Any] = []
    for element in elements:
        values = [e[0][0] for e in (*kept, element)]
        if _apart(values):
            kept.append(element)
    return frozenset(kept)


def _apart(values: list[str]) -> bool:
    make: Any = IPv6Network if ":" in values[0] else IPv4Network
    spans = sorted((int(n[0]), int(n[-1])) for n in map(make, values))
    return all(last + 1 < first for (_, last), (first, _) in itertools.pairwise(spans))


@st.composite
def prefix_map(draw: st.DrawFn, name: str, family: int, *, to: str) -> NamedSet:
    keys = draw(st.lists(network(family), max_size=5, unique=True))
    value: dict[str, st.SearchStrategy[Any]] = {
        "mark": MARK.map(lambda n: (n,)),
        "verdict": st.sampled_from([Verdict("jump", "aside"), Verdict("accept"), Verdict("drop"), Verdict("return")]),
    }
    elements = [((key,), draw(value[to])) for key in keys if "/" in key]
    return NamedSet(name, (TYPE[family],), _spaced(elements), (to,), interval=True)


@st.composite
def port_map(draw: st.DrawFn, name: str, family: int) -> NamedSet:
    keys = draw(st.lists(st.tuples(address(family), st.sampled_from(PROTOCOLS), PORT), max_size=8, unique=True))
    elements: frozenset[Element] = frozenset((key, (draw(address(family)), draw(PORT))) for key in keys)
    key_type = (TYPE[family], "inet_proto", "inet_service")
    return NamedSet(
        name, key_type, elements, (TYPE[family], "inet_service"), size=draw(st.sampled_from([None, 1024]))
    )


@st.composite
def range_map(draw: st.DrawFn, name: str, family: int) -> NamedSet:
    """One range for each address and protocol, so that none overlap."""
    keys = draw(st.lists(st.tuples(address(family), st.sampled_from(PROTOCOLS)), max_size=5, unique=True))
    elements: frozenset[Element] = frozenset(((*key, draw(ports())), (draw(address(family)),)) for key in keys)
    return NamedSet(name, (TYPE[family], "inet_proto", "inet_service"), elements, (TYPE[family],), interval=True)


@st.composite
def netmap(draw: st.DrawFn, name: str, family: int) -> NamedSet:
    length = draw(st.integers(8, 24 if family == 4 else 64))
    make: Any = IPv4Network if family == 4 else IPv6Network

    def same(text: str) -> str:
        return str(make(f"{text}/{length}", strict=False))

    keys = draw(st.lists(address(family).map(same), max_size=4, unique=True))
    elements = [((key,), (same(draw(address(family))),)) for key in keys]
    return NamedSet(name, (TYPE[family],), _spaced(elements), (TYPE[family],), interval=True, prefix_values=True)


@st.composite
def ifindex_map(draw: st.DrawFn, name: str) -> NamedSet:
    keys = draw(st.lists(st.integers(1000, 2**31 - 1), max_size=6, unique=True))
    elements: frozenset[Element] = frozenset(((key,), (draw(MARK),)) for key in [0, *keys])
    return NamedSet(name, ("iface_index",), elements, ("mark",))


def named_sets() -> st.SearchStrategy[frozenset[NamedSet]]:
    parts = [ifindex_map("ifindex_mark")]
    for family in (4, 6):
        parts += [
            prefix_set(f"inside_{family}", family),
            prefix_map(f"uplink_of_{family}", family, to="mark"),
            prefix_map(f"tenant_of_{family}", family, to="verdict"),
            port_map(f"dnat_port_{family}", family),
            range_map(f"dnat_range_{family}", family),
            netmap(f"dnat_prefix_{family}", family),
        ]
    return st.tuples(*parts).map(frozenset)
