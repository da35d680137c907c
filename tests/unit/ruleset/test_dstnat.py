"""Forwards that choose among the same servers in the same way share one choice: a hash by slots is large."""

from __future__ import annotations

from nvi_operator.nft.ast import Chain, Lookup, Nat, SetRef, Table, Verdict
from nvi_operator.ruleset.table import table
from tests.unit.topology.test_resolve import LAN, TWO, topology

FARM = "to: { 192.168.1.80: 3, 192.168.1.81: 1 }"


def chains(forwards: str) -> dict[str, Chain]:
    found: Table = table(topology(f"{LAN}{TWO}  forwards:\n{forwards}"))
    return {chain.name: chain for chain in found.chains}


def choices(all_: dict[str, Chain]) -> int:
    return sum(
        isinstance(statement, Nat)
        and isinstance(statement.address, Lookup)
        and not isinstance(statement.address.map, SetRef)
        for name, chain in all_.items()
        if name == "dstnat" or name.startswith("servers_")
        for rule in chain.rules
        for statement in rule
    )


def test_ports_and_forwards_to_the_same_servers_share_one_choice() -> None:
    found = chains(
        f"    web: {{ ports: [80/tcp, 443/tcp, 443/udp], {FARM} }}\n"
        f"    more: {{ at: isp-a, ports: 8080/tcp, {FARM} }}\n"
    )
    (shared,) = [chain for name, chain in found.items() if name.startswith("servers_")]
    jumps = [rule[-1] for rule in found["dstnat"].rules]
    assert jumps == [Verdict("jump", shared.name)] * 7
    assert choices(found) == 1


def test_what_differs_in_servers_ports_or_pick_has_its_own() -> None:
    found = chains(
        f"    web: {{ at: isp-a, ports: [80/tcp], {FARM} }}\n"
        "    other: { at: isp-a, ports: 81/tcp, to: { 192.168.1.80: 1, 192.168.1.81: 1 } }\n"
        "    moved: { at: isp-a, ports: 82/tcp, to: { '192.168.1.80:80': 3, '192.168.1.81:80': 1 } }\n"
        f"    port: {{ at: isp-a, ports: [83/tcp], pick: client-port, {FARM} }}\n"
    )
    assert not [name for name in found if name.startswith("servers_")]
    assert choices(found) == 4


def test_forwards_in_turn_count_each_for_itself() -> None:
    found = chains(f"    web: {{ at: isp-a, pick: round-robin, ports: [80/tcp, 443/tcp], {FARM} }}\n")
    assert not [name for name in found if name.startswith("servers_")]
    assert choices(found) == 2
