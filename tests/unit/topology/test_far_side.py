"""Which uplinks lead to a site, whose hosts get untranslated answers, and which to the Internet."""

from __future__ import annotations

from ipaddress import ip_interface
from types import MappingProxyType

import pytest

from nvi_operator.errors import SpecError
from nvi_operator.language.load.loader import load_texts
from nvi_operator.topology.facts import Facts, LinkFact
from nvi_operator.topology.model import Topology
from nvi_operator.topology.resolve import resolve

LINE = "    - {name: site, to: [10.50.0.0/24, 'fd50::/64'], as: site}\n"
UPLINK = "    site: {interface: vpn0, nextHop: [10.99.0.1, 'fd99::1'], addresses: [10.99.0.2, 'fd99::2']}\n"
SPEC = f"""\
apiVersion: nvi-operator/v1
kind: Gateway
metadata: {{name: edge}}
spec:
  interfaces: {{lan0: {{networks: [192.168.1.0/24, "fd00:1::/64"]}}}}
  uplinks:
    isp: {{interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, default: true}}
{UPLINK}  sourceNat:
{LINE}    - {{name: all, as: isp}}
"""
NAMED = {"10.50.0.0/24", "fd50::/64"}
LINK = {"10.99.0.0/30", "fd99::/64"}


def topology(text: str, *, hops: tuple[tuple[int, str], ...] = ()) -> Topology:
    vpn0 = LinkFact(
        "vpn0", 3, addresses=(ip_interface("10.99.0.2/30"), ip_interface("fd99::2/64")), next_hops=hops  # type: ignore[arg-type]
    )  # fmt: skip
    links = {"lan0": LinkFact("lan0", 1), "wan0": LinkFact("wan0", 2), "vpn0": vpn0}
    return resolve("edge", load_texts({"edge.yaml": text}).spec, Facts("host", MappingProxyType(links)))


def far(text: str, **facts: tuple[tuple[int, str], ...]) -> set[str]:
    return {str(network) for network in topology(text, **facts).uplink("site").far}


def test_what_rules_lead_to_a_private_uplink_is_behind_it_and_so_is_the_link_itself() -> None:
    assert far(SPEC) == NAMED | LINK
    assert any(note.startswith("uplink site: networks auto: hosts of 10.50.0.0/24") for note in topology(SPEC).notes)


def test_a_site_that_is_all_that_is_private_is_one_short_note() -> None:
    every = "to: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 'fc00::/7']"
    notes = topology(SPEC.replace("to: [10.50.0.0/24, 'fd50::/64']", every)).notes
    (note,) = (note for note in notes if "networks auto" in note)
    assert "hosts of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 and 1 more may open connections" in note


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("as: site}", "as: 10.99.0.2}"),
        ("as: site}", "as: {uplinks: {site: 2}}}"),
        (", addresses: [10.99.0.2, 'fd99::2']", ""),
        (", nextHop: [10.99.0.1, 'fd99::1']", ""),
        (", nextHop: [10.99.0.1, 'fd99::1']", ", nextHop: auto"),
    ],
)
def test_however_the_uplink_is_written(old: str, new: str) -> None:
    text = SPEC.replace(old, new, 1)
    assert text != SPEC
    assert far(text) >= {"10.50.0.0/24"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (LINE, ""),
        (LINE, LINE.replace("10.50.0.0/24", "10.50.0.0/24, 192.0.2.0/24")),
        (LINE, LINE + "    - {name: mail, ports: 25/tcp, as: site}\n"),
        (LINE, LINE + "    - {name: both, from: 192.168.1.9, as: [isp, site]}\n"),
        (UPLINK, UPLINK.replace("'fd99::2']", "'fd99::2'], routed: 198.51.100.0/28")),
        (UPLINK, UPLINK.replace("10.99.0", "198.51.100")),
        (UPLINK, UPLINK.replace("vpn0", "wan0")),
        (UPLINK, UPLINK.replace("}", ", networks: none}")),
    ],
)
def test_an_uplink_of_which_anything_is_public_leads_to_no_site(old: str, new: str) -> None:
    text = SPEC.replace(old, new, 1)
    assert text != SPEC
    assert far(text) == set()
    assert not any("networks auto" in note for note in topology(text).notes)


def test_an_uplink_with_a_default_route_of_main_leads_to_no_site() -> None:
    text = SPEC.replace("nextHop: [10.99.0.1, 'fd99::1']", "nextHop: auto")
    assert far(text, hops=((4, "10.99.0.1"),)) == set()


def test_networks_that_are_written_are_behind_it_whatever_else_the_uplink_is_used_for() -> None:
    text = SPEC.replace(UPLINK, UPLINK.replace("}", ", networks: [198.51.100.0/24]}")).replace(LINE, "")
    assert far(text) == {"198.51.100.0/24"}


@pytest.mark.parametrize(
    ("networks", "message"),
    [("192.168.1.128/25", "overlaps the networks of interface 'lan0'"), ("0.0.0.0/0", "this is every IPv4 address")],
)
def test_networks_that_are_inside_or_everything_are_refused(networks: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load_texts({"edge.yaml": SPEC.replace(UPLINK, UPLINK.replace("}", f", networks: [{networks}]}}"))})
