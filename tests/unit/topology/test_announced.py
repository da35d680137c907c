"""Which addresses a gateway answers for on an uplink's wire."""

from __future__ import annotations

from ipaddress import ip_interface

import pytest

from nvi_operator.language.model.interfaces import UplinkSpec
from nvi_operator.topology.announced import announced
from nvi_operator.topology.facts import LinkFact

WIRE = ("203.0.113.2/29", "2001:db8:a::2/64")
NONE = "uplink a: announce: nothing of routed is in a network of wan0 now"
MANY = (
    "uplink a: announce: 65536 addresses of routed are in networks of wan0: none is announced, because at most 1024"
)


@pytest.mark.parametrize(
    ("routed", "announce", "mac", "found", "note"),
    [
        (["203.0.113.4/31", "198.51.100.0/30"], True, True, ["203.0.113.4", "203.0.113.5"], ""),
        (["203.0.113.0/29"], True, True, ["203.0.113.3", "203.0.113.4", "203.0.113.5", "203.0.113.6"], ""),
        (["198.51.100.0/30"], ["198.51.100.1"], True, ["198.51.100.1"], ""),
        (["2001:db8:a::40/127"], True, True, ["2001:db8:a::40", "2001:db8:a::41"], ""),
        (["198.51.100.0/30"], True, True, [], NONE),
        (["2001:db8:a::/112"], True, True, [], MANY),
        (["203.0.113.4"], True, False, [], "uplink a: announce: wan0 has no hardware addresses"),
        (["203.0.113.4"], False, True, [], ""),
    ],
)
def test_the_gateway_answers_for_routed_addresses_on_the_wire_of_the_uplink(
    routed: list[str], announce: object, mac: bool, found: list[str], note: str
) -> None:
    uplink = UplinkSpec.model_validate({"interface": "wan0", "routed": routed, "announce": announce})
    fact = LinkFact("wan0", 3, "02:00:00:00:00:03" if mac else None, addresses=tuple(map(ip_interface, WIRE)))
    notes: list[str] = []
    assert list(map(str, announced("a", uplink, fact, {4: "203.0.113.1"}, notes.append))) == found
    assert "".join(notes).startswith(note) if note else not notes
