"""How full the ports of an address are: only flows to one destination and port compete for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from nvi_operator.cli.nat import _mark
from nvi_operator.state.translation import FULL, PORTS, FlowTranslation, pool_uses
from nvi_operator.topology.forward_use import ForwardUse, forward_uses
from nvi_operator.view.nat import forwards_text
from nvi_operator.view.segment import unstyled
from tests.unit.topology.gateways import LAN, TWO, topology

FORWARDS = """
  forwards:
    web: { at: isp-a, ports: 443/tcp, to: "192.168.1.80:8443" }
    range: { at: isp-a, ports: 5000-5999/udp, to: 192.168.1.80 }
    balanced: { at: isp-a, ports: 80/tcp, to: [192.168.1.80, 192.168.1.81] }
"""
SERVER = ip_address("192.168.1.80")
FLOW = FlowTranslation(
    protocol="tcp",
    source=ip_address("192.168.1.50"),
    source_port=40000,
    destination=ip_address("192.0.2.80"),
    destination_port=443,
    new_source=ip_address("203.0.113.2"),
    new_source_port=40000,
    new_destination=ip_address("192.0.2.80"),
    new_destination_port=443,
    zone=0,
    mark=0,
    seconds_left=100,
    packets=None,
    bytes=None,
)


def flows(count: int, **more: object) -> Iterator[FlowTranslation]:
    return (replace(FLOW, source_port=number, **more) for number in range(count))  # type: ignore[arg-type]


def test_a_pool_is_as_full_as_its_busiest_destination() -> None:
    almost = int(PORTS * FULL) + 1
    elsewhere = (replace(FLOW, new_destination=ip_address(number)) for number in range(1, 5001))
    one, other = pool_uses([*flows(almost), *elsewhere, *flows(10, protocol="udp")])
    assert (one.protocol, one.flows, one.busiest_flows) == ("tcp", almost + 5000, almost)
    assert one.busiest == (ip_address("192.0.2.80"), 443)
    assert one.is_nearly_full
    assert (other.protocol, other.flows, other.is_nearly_full) == ("udp", 10, False)


def test_what_keeps_its_source_takes_no_port_and_icmp_has_none() -> None:
    assert list(pool_uses(flows(5, new_source=FLOW.source))) == []
    assert list(pool_uses(flows(5, protocol="icmp"))) == []


def test_flows_are_counted_to_the_forward_whose_public_port_they_came_to() -> None:
    public = ip_address("203.0.113.2")
    incoming = replace(
        FLOW, destination=public, new_destination=ip_address("192.168.1.80"), new_destination_port=8443
    )
    seen = [
        *[incoming] * 3,
        replace(incoming, protocol="udp", destination_port=5999),
        replace(incoming, protocol="udp", destination_port=6000),
        replace(incoming, destination_port=80),
        FLOW,
    ]
    uses = {use.name: use for use in forward_uses(topology(LAN + TWO + FORWARDS), seen, {"dnat_balanced": 7})}
    assert uses["web"] == ForwardUse("web", "203.0.113.2 443/tcp", "192.168.1.80:8443", 3)
    assert (uses["range"].flows, uses["range"].public) == (1, "203.0.113.2 5000-5999/udp")
    assert (uses["balanced"].flows, uses["balanced"].new_flows) == (1, 7)


def test_the_table_of_forwards_says_of_how_many_it_shows_the_busiest() -> None:
    use = ForwardUse("web", "203.0.113.2 443/tcp", "192.168.1.80:8443", 3)
    titles = [unstyled(next(iter(forwards_text([use], total, None)))) for total in (1, 2)]
    assert titles == ["1 public port or address", "2 public ports or addresses, the busiest 1"]


@pytest.mark.parametrize(("text", "mark"), [("7", (7, 0xFFFFFFFF)), ("0x100/0xff00", (0x100, 0xFF00))])
def test_a_mark_may_have_a_mask(text: str, mark: tuple[int, int]) -> None:
    assert _mark(text) == mark
