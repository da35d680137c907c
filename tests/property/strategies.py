"""Hypothesis strategies: whole gateway specs that are valid by construction."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

from hypothesis import strategies as st

from nvi_operator.language.model.gateway import GatewaySpec

_UPLINKS = ("isp-a", "isp-b", "partner")


def _uplink(number: int, families: tuple[int, ...], routed: bool, weight: int) -> dict[str, Any]:
    addresses = [f"203.0.{number}.2"] if 4 in families else []
    next_hops = [f"203.0.{number}.1"] if 4 in families else []
    if 6 in families:
        addresses.append(f"2001:db8:{number}::2")
        next_hops.append(f"2001:db8:{number}::1")
    extra = {"routed": [f"198.18.{number}.0/28"]} if routed and 4 in families else {}
    if routed and 4 in families and weight % 2:
        extra["translateTo"] = [f"198.18.{number}.1"]
    return {"interface": f"wan{number}", "addresses": addresses, "nextHop": next_hops, "weight": weight, **extra}


@st.composite
def specs(draw: st.DrawFn) -> GatewaySpec:
    """A gateway with one to three uplinks, some inside networks, and NAT of every sort."""
    families = draw(st.sampled_from([(4,), (6,), (4, 6)]))
    count = draw(st.integers(1, 3))
    names = _UPLINKS[:count]
    uplinks = {
        name: _uplink(number, families, draw(st.booleans()), draw(st.integers(1, 5)))
        for number, name in enumerate(names, start=1)
    }
    default = draw(st.sampled_from(names))
    uplinks[default]["default"] = True
    interfaces: dict[str, Any] = {}
    for number in range(draw(st.integers(1, 3))):
        networks = [f"10.{number}.0.0/16"] if 4 in families else []
        networks += [f"fd00:{number + 1}::/64"] if 6 in families else []
        interfaces[f"lan{number}"] = {"networks": networks}
    return GatewaySpec.model_validate(
        {
            "interfaces": interfaces,
            "uplinks": uplinks,
            "sourceNat": draw(_source_nat(names)),
            "forwards": draw(_forwards(families)),
            "dataplane": {
                "type": draw(st.sampled_from(["auto", "bpf", "kmod"])),
                "hideHop": draw(st.booleans()),
                "inInterface": draw(st.sampled_from(["auto", "mark", "skb_iif"])),
            },
            "guards": {"antiSpoof": draw(st.sampled_from(["local", "strict", "off"]))},
        }
    )


WORDS: list[dict[str, Any]] = [
    {"dscp": ["ef", 5]},
    {"mark": "0x10/0xff"},
    {"in": ["self"]},
    {"except": {"to": ["192.0.0.7", "198.18.0.0/15"], "ports": ["22/tcp"], "from": "10.0.0.9"}},
]


@st.composite
def _source_nat(draw: st.DrawFn, names: tuple[str, ...]) -> list[dict[str, Any]]:
    outcomes = st.one_of(
        st.sampled_from(names),
        st.just("unchanged"),
        st.fixed_dictionaries(
            {
                "uplinks": st.just({name: number for number, name in enumerate(names, start=1)}),
                "pick": st.sampled_from(["hash", "random", "round-robin"]),
            }
        ),
    )
    lines = []
    for number in range(draw(st.integers(0, 4))):
        line: dict[str, Any] = {"name": f"line-{number}", "as": draw(outcomes)}
        if draw(st.booleans()):
            line["to"] = [f"192.0.{number}.0/24", f"2001:db8:f{number}::/48"]
        if draw(st.booleans()):
            line["ports"] = [f"{draw(st.integers(1, 65535))}/tcp", "53/udp"]
        if draw(st.booleans()):
            line |= draw(st.sampled_from(WORDS))
        lines.append(line)
    return lines


@st.composite
def _forwards(draw: st.DrawFn, families: tuple[int, ...]) -> dict[str, Any]:
    forwards: dict[str, Any] = {}
    for port in draw(st.lists(st.integers(1, 60000), max_size=6, unique=True)):
        servers = [str(IPv4Address(0x0A000010 + port))] if 4 in families else []
        if 6 in families:
            servers.append(str(IPv6Address("fd00:1::") + port))
        forwards[f"f-{port}"] = {
            "ports": f"{port}/tcp",
            "to": servers,
            "hairpin": draw(st.booleans()),
        }
        if draw(st.integers(0, 3)) == 0:
            forwards[f"f-{port}"]["health"] = draw(st.sampled_from(["tcp", "ping", {"by": "http", "interval": 2}]))
        if draw(st.integers(0, 3)) == 0:
            forwards[f"f-{port}"] |= draw(st.sampled_from([{"dscp": 46}, {"mark": 7}, {"except": "192.0.2.0/25"}]))
        if draw(st.booleans()):
            forwards[f"f-{port}"]["fromPorts"] = f"{draw(st.integers(1, 65535))}/tcp"
    for number, protocol in enumerate(draw(st.lists(st.sampled_from(["gre", "esp", 41]), max_size=2, unique=True))):
        servers = [f"10.0.0.{number + 2}"] * (4 in families) + [f"fd00:1::{number + 2}"] * (6 in families)
        forwards[f"p-{number}"] = {"protocol": protocol, "to": servers, "hairpin": draw(st.booleans())}
    return forwards
