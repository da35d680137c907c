"""Interfaces with names that nft, ip or /proc could take for something else."""

from __future__ import annotations

import pytest

from tests.lab import GatewayHost, Site
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns

NAMES = {"lan0": "42", "wan0": "1", "wan1": "2"}


def works(site: Site, gateway: GatewayHost, text: str) -> None:
    """Both ways, by the right uplink; the gateway itself is no spoofer; and all is as the spec says."""
    gateway.apply(text)
    site.far.serve(443)
    site.server.serve(443)
    for host, addresses, isp in ((site.client, (A, A6), "isp-a"), (site.server, (B, B6), "isp-b")):
        for far, address in zip((site.far.address, site.far.address6), addresses, strict=True):
            before = site.used()
            with host.connect(far, 443) as flow:
                assert flow.seen == address
                assert site.through(before) == ({isp}, {isp})
    for public in (A, B6):
        with site.far.connect(public, 443) as flow:
            assert flow.by == "server"
    assert site.gateway.pings(A), "its own packets to itself come in by lo"
    assert gateway.counters()["spoofed"] == 0
    assert site.leaks() == 0
    assert gateway.differences(text) == []


def test_numbers_are_names_of_interfaces_and_not_their_indexes(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    addresses = {"lan0": "fd00:1::1/64", "wan0": f"{A6}/64", "wan1": f"{B6}/64"}
    text = spec(dataplane)
    for old, new in NAMES.items():
        site.gateway.ip(f"link set dev {old} down", f"link set dev {old} name {new}", f"link set dev {new} up")
        site.gateway.ip(f"addr add {addresses[old]} dev {new} nodad")
        text = text.replace(old, f"'{new}'")
    works(site, gateway, text)


def test_a_host_may_have_interfaces_that_are_named_as_numbers(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    site.gateway.ip(*(f"link add {number} type veth peer name {number + 1}" for number in range(0, 12, 2)))
    works(site, gateway, spec(dataplane))
