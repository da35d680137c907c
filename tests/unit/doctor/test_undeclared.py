"""What doctor says of bridges that the spec does not name, and whose packets another tool translates."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from nvi_operator.doctor.survey import RouteFact
from tests.unit.doctor.nftjson import ACCEPT, STATE, chain, match, meta, payload, table
from tests.unit.doctor.surveys import found, link, spec, survey

FWD: dict[str, Any] = {"hook": "forward", "prio": 0}
ESTABLISHED = [match(STATE, {"set": ["established", "related"]}, "in"), meta("oifname", "virbr0"), ACCEPT]
REFUSED = [meta("oifname", "virbr0"), {"reject": None}]
FROM_BRIDGE = payload("ip", "saddr", {"prefix": {"addr": "192.168.122.0", "len": 24}})
MASQUERADE: dict[str, Any] = {"masquerade": None}
OF_IPTABLES = {"xt": {"type": "target", "name": "MASQUERADE"}}  # as of iptables, where nft cannot read it


def drops(translation: list[Any], *rules: list[Any]) -> list[str]:
    nat = chain("post", translation, hook="postrouting", prio=100, type_="nat")
    of = survey(
        links=[link("virbr0", "192.168.122.1/24")],
        main_routes=(RouteFact(ip_network("192.168.122.0/24"), "virbr0"),),
        nft_objects=(
            *table(chain("FORWARD", *rules, **FWD), family="ip", name="filter"),
            *table(nat, family="ip", name="nat"),
        ),
    )
    return [
        drop.what.partition("stage 2 (untracked): ")[2].partition(", by")[0]
        for drop in found("forward-drop", of, spec())
    ]


@pytest.mark.parametrize("how", [MASQUERADE, OF_IPTABLES])
def test_a_firewall_that_lets_established_connections_in_drops_no_answers_to_virtual_machines(how: Any) -> None:
    """libvirt's rules: the answer takes one pass, in which conntrack knows it."""
    assert drops([FROM_BRIDGE, how], ESTABLISHED, REFUSED) == []
