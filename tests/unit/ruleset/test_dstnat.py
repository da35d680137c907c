"""Forwards that choose among the same servers in the same way share one choice: a hash by slots is large."""

from __future__ import annotations

from nvi_operator.nft.ast import Chain, Lookup, Match, Nat, SetRef, Table, Verdict
from nvi_operator.ruleset.table import table
from tests.unit.topology.gateways import LAN, TWO, topology

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
    assert [verdict for verdict in jumps if verdict.kind == "jump"] == [Verdict("jump", shared.name)] * 7
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


def test_a_shared_choice_of_ports_says_that_there_are_ports() -> None:
    """nft refuses ports without it, as in `dnat ip to ... map { 0 : 192.168.1.80 . 443 }`."""
    found = chains("    web: { ports: 9001/tcp, to: { '192.168.1.80:443': 1, '192.168.1.81:444': 1 } }\n")
    (shared,) = [chain for name, chain in found.items() if name.startswith("servers_")]
    ((match, nat),) = shared.rules
    assert isinstance(match, Match)
    assert isinstance(nat, Nat)


def test_the_gateway_reaches_what_inside_hosts_reach() -> None:
    found = chains(
        f"    web: {{ ports: 80/tcp, {FARM} }}\n    out: {{ ports: 81/tcp, hairpin: false, {FARM} }}\n"
        "    one: { ports: 82/tcp, to: 192.168.1.80 }\n"
        "    outer: { ports: 83/tcp, hairpin: false, to: 192.168.1.80 }\n"
    )
    own = found["own_dstnat"].rules
    asked = {rule[0].address.map for rule in own if isinstance(rule[0], Nat) and isinstance(rule[0].address, Lookup)}
    assert asked == {SetRef("dnat_port_4")}
    assert len(own) == 3, "two public addresses of web, and the map"


def test_a_protocol_without_ports_is_spread_by_client_alone() -> None:
    found = chains(f"    tunnel: {{ at: isp-a, protocol: gre, pick: client-port, {FARM} }}\n")
    assert choices(found) == 1
    assert "th sport" not in str(found)


def test_sources_of_a_protocol_without_ports_are_spread_by_client_alone() -> None:
    def rules(protocols: str) -> str:
        outcome = "{ uplinks: [isp-a, isp-b], pick: client-port }"
        lines = f"  sourceNat:\n    - {{ name: all, protocol: {protocols}, as: {outcome} }}\n"
        return str(table(topology(f"{LAN}{TWO}{lines}")))

    assert "th sport" not in rules("gre")
    assert "th sport" in rules("[gre, tcp]")


def test_forwards_in_turn_count_each_for_itself() -> None:
    found = chains(f"    web: {{ at: isp-a, pick: round-robin, ports: [80/tcp, 443/tcp], {FARM} }}\n")
    assert not [name for name in found if name.startswith("servers_")]
    assert choices(found) == 2
