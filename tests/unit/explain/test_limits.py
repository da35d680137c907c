"""What is not modelled is refused by name, and what is taken to be so is known: each has a page, and a case here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from pathlib import Path

import pytest

from nvi_operator.explain.limits import Assumption, Limit
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.verdict import Forwarded, NotModelled
from nvi_operator.explain.words import PacketError, parse_packet
from nvi_operator.kinds.egress_guard import EgressGuard
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.nft.ast import Field, Match, Table, Verdict
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import HostState, Object
from nvi_operator.topology.assume import assume_leases, assume_missing
from nvi_operator.topology.facts import Facts
from tests.unit.explain.gateways import EDGE, gateway, link, the_walk, where

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "explain-limits.md"
ONLY_IPV4 = """
interfaces:
  lan0: { networks: 192.168.1.0/24 }
uplinks:
  isp-a: { interface: wan0, addresses: 203.0.113.2, nextHop: 203.0.113.1 }
"""
OUT = "lan0 tcp 192.168.1.5:40000 -> 192.0.2.1:443"


def with_objects(machine: Machine, change: Callable[[Object], Object]) -> Machine:
    return replace(machine, state=HostState.of((ref.kind, change(obj)) for ref, obj in machine.state))


# --------------------------------------------------------------------------- what a walk meets


def foreign_statement() -> Machine:
    rule = (Match(Field("meta cpu"), "==", 0), Verdict("accept"))

    def change(obj: Object) -> Object:
        if not isinstance(obj, Table):
            return obj
        chains = (replace(c, rules=(rule, *c.rules)) if c.name == "srcnat" else c for c in obj.chains)
        return replace(obj, chains=frozenset(chains))

    return with_objects(gateway(EDGE), change)


def foreign_rule() -> Machine:
    edge = gateway(EDGE)
    return replace(edge, rules=(*edge.rules, FibRule(4, 500, "lookup", table=99, other=("tun_id 5",))))


def foreign_program() -> Machine:
    return with_objects(
        gateway(EDGE), lambda obj: replace(obj, stage_mask=None) if isinstance(obj, EgressGuard) else obj
    )


MET: dict[Limit, tuple[Callable[[], Machine], str]] = {
    Limit.FOREIGN_STATEMENT: (foreign_statement, OUT),
    Limit.FOREIGN_FIB_RULE: (foreign_rule, OUT),
    Limit.FOREIGN_PROGRAM: (foreign_program, OUT),
    Limit.LINK_DOWN: (lambda: gateway(EDGE, links={"lan0": link("lan0", 9, "192.168.1.1/24", up=False)}), OUT),
    Limit.PORT: (lambda: gateway(EDGE, links={"lan0": link("lan0", 9, "192.168.1.1/24", master="br0")}), OUT),
    Limit.FORWARDING: (
        lambda: gateway(ONLY_IPV4, links={"lan0": link("lan0", 9, "192.168.1.1/24", "fd00:1::1/64")}),
        "wan0 udp [2001:db8:f::1]:4 -> [fd00:1::5]:443",
    ),
    Limit.MULTICAST: (lambda: gateway(EDGE), "lan0 udp 192.168.1.5:4000 -> 224.0.0.251:5353"),
    Limit.LINK_LOCAL: (lambda: gateway(EDGE), "self udp :: -> [fe80::1]:53"),
}


@pytest.mark.parametrize("limit", Limit)
def test_what_is_not_known_ends_the_walk_by_its_name(limit: Limit) -> None:
    machine, words = MET[limit]
    verdict = the_walk(machine(), words).verdict
    assert isinstance(verdict, NotModelled)
    assert verdict.what is limit


# --------------------------------------------------------------------------- what no walk looks at


def neighbour() -> None:
    """No host is known on the wire, and it is sent there."""
    assert the_walk(gateway(EDGE), "dmz0 tcp 172.16.0.9:4 -> 192.168.1.77:22").verdict == Forwarded("lan0", None)


def inside_router() -> None:
    """10.1.0.0/16 is behind a router of the wire of lan0."""
    edge = EDGE.replace("[192.168.1.0/24,", "[192.168.1.0/24, 10.1.0.0/16,")
    machine = gateway(edge, links={"lan0": link("lan0", 9, "192.168.1.1/24")})
    assert the_walk(machine, "dmz0 tcp 172.16.0.9:4 -> 10.1.0.7:22").verdict == Forwarded("lan0", None)


def only_own_objects() -> None:
    """Of the host's tables and programs a machine has those of the gateway alone."""
    machine = gateway(EDGE)
    tables = [table for table in machine.state.of_kind("nft-table") if isinstance(table, Table)]
    assert [table.key for table in tables] == ["inet nvi"]
    assert {ref.kind for ref, _ in machine.state} >= {"egress-guard", "ingress-guard"}


def ipsec() -> None:
    """With `ipsec` a packet in the clear takes the way that it takes without."""
    words = "wan0 tcp 192.168.50.1:4000 -> 192.168.1.5:22"
    assert where(gateway(EDGE, "dataplane: { ipsec: true }"), words) == where(gateway(EDGE), words)


def helper() -> None:
    """The data connection of an active FTP transfer is one that opens by itself."""
    edge = gateway(EDGE)
    control = the_walk(edge, "lan0 tcp 192.168.1.5:40000 -> 192.0.2.1:21")
    data = "wan0 tcp 192.0.2.1:20 -> 203.0.113.2:40001"
    assert where(edge.knowing(control.entry), data) == "self 192.0.2.1:20 -> 203.0.113.2:40001"


def fragment() -> None:
    """No word makes one; what is too large and may be is forwarded as a whole."""
    with pytest.raises(PacketError):
        parse_packet(["udp 192.168.1.5 to 192.0.2.1:53 fragment 1"], "lan0")
    walk = the_walk(gateway(EDGE), OUT, length=3000, dont_fragment=False)
    assert isinstance(walk.verdict, Forwarded)
    assert walk.packet.length == 3000


def lease() -> None:
    spec = {"interfaces": {"lan0": {"networks": "fd00:1::/64"}}, "uplinks": {"a": {"interface": "wan0"}}}
    loaded = GatewaySpec.model_validate(spec)
    told: list[str] = []
    facts = assume_leases(loaded, assume_missing(loaded, Facts("host")), told.append)
    assert [str(address) for address in facts.links["wan0"].addresses] == ["198.18.1.2/24", "2001:2:0:1::2/64"]
    assert told == ["uplink a: 198.18.1.2, 2001:2:0:1::2 stand for what its lease will say"]


TAKEN: dict[Assumption, Callable[[], None]] = {
    Assumption.NEIGHBOUR: neighbour,
    Assumption.INSIDE_ROUTER: inside_router,
    Assumption.FOREIGN_CHAIN: only_own_objects,
    Assumption.TRAFFIC_CONTROL: only_own_objects,
    Assumption.IPSEC: ipsec,
    Assumption.HELPER: helper,
    Assumption.FRAGMENT: fragment,
    Assumption.LEASE: lease,
}


@pytest.mark.parametrize("assumption", Assumption)
def test_what_no_walk_looks_at_is_as_the_page_says(assumption: Assumption) -> None:
    TAKEN[assumption]()


def test_the_page_has_each_of_them_with_its_sentence_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    every: tuple[type[Enum], ...] = (Limit, Assumption)
    assert rows == [(each.name, each.value) for kind in every for each in kind]
