"""One alias for several sites: which host it stands for depends on the interface that a packet came in by."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.lab import GatewayHost, Lab, Site
from tests.lab.dataplanes import dataplanes
from tests.lab.segments import add_lan
from tests.lab.topologies import tenants
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

TENANTS = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: merger }
spec:
  dataplane: { type: DATAPLANE }
  interfaces:
INTERFACES
  static:
"""
NUMBERS = "[192.168.1.0/24, fd00:1::/64]"
ALIAS = "[10.9.0.0/24, fd00:a9::/64]"  # of every site but one's own
OTHER = "[10.8.0.0/24, fd00:a8::/64]"

PORT = 7
ADDRESSES = (("10.9.0.80", "10.9.0.10"), ("fd00:a9::80", "fd00:a9::10"))  # of a server, and of a client


def sites(dataplane: str, names: tuple[str, ...], *entries: str) -> str:
    interfaces = [
        f"    {name}0: {{ tenant: {name}, networks: {NUMBERS}, knownAs: {aliases} }}"
        for name, aliases in zip(names, (ALIAS, ALIAS, OTHER), strict=False)
    ]
    text = TENANTS.replace("DATAPLANE", dataplane).replace("INTERFACES", "\n".join(interfaces))
    return text + "".join(f"    {entry}\n" for entry in entries)


def entry(name: str, asker: str, alias: str = ALIAS) -> str:
    return f"{name}-for-{asker}: {{ tenant: {name}, address: {NUMBERS}, as: {alias}, in: {asker}0 }}"


@pytest.mark.parametrize("dataplane", dataplanes())
@pytest.mark.parametrize("protocol", ["tcp", "udp", "icmp"])
def test_two_sites_with_equal_addresses_know_each_other_by_one_alias(
    tenant_site: Site, dataplane: str, protocol: str
) -> None:
    gateway = GatewayHost(tenant_site.gateway)
    gateway.apply(sites(dataplane, ("red", "blue"), entry("red", "blue"), entry("blue", "red")))
    if protocol != "icmp":
        for name in ("red", "blue"):
            tenant_site[f"{name}-server"].serve(PORT, protocol=protocol)
    for server, client in ADDRESSES:
        for name, other in (("red", "blue"), ("blue", "red")):
            if protocol == "icmp":
                assert tenant_site[f"{name}-client"].pings(server)
                continue
            with tenant_site[f"{name}-client"].connect(server, PORT, protocol=protocol) as flow:
                assert (flow.by, flow.seen) == (f"{other}-server", client)
    assert tenant_site.leaks() == 0


@pytest.mark.parametrize("dataplane", dataplanes())
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_equal_flows_of_both_sites_at_once_reach_each_its_own_server(
    tenant_site: Site, dataplane: str, protocol: str
) -> None:
    """Conntrack gives one of them another port, because what both are answered by would be the same."""
    gateway = GatewayHost(tenant_site.gateway)
    gateway.apply(sites(dataplane, ("red", "blue"), entry("red", "blue"), entry("blue", "red")))
    for name in ("red", "blue"):
        tenant_site[f"{name}-server"].serve(PORT, protocol=protocol)
    for server, _ in ADDRESSES:
        with ExitStack() as flows:
            talks = [
                flows.enter_context(
                    tenant_site[f"{name}-client"].connect(server, PORT, protocol=protocol, source_port=40000)
                )
                for name in ("red", "blue")
            ]
            assert [flow.by for flow in talks] == ["blue-server", "red-server"]
            for flow in talks:
                flow.again()


def test_a_third_site_knows_each_by_the_alias_that_is_meant_for_it(lab: Lab) -> None:
    """To red 10.9 is blue, to blue it is red, to green 10.9 is red and 10.8 is blue, who know green as 10.8."""
    site = tenants(lab, names=("red", "blue", "green"))
    entries = [entry("red", "blue"), entry("blue", "red"), entry("red", "green"), entry("blue", "green", OTHER)]
    entries += [f"green: {{ tenant: green, address: {NUMBERS}, as: {OTHER}, in: [red0, blue0] }}"]
    GatewayHost(site.gateway).apply(sites("bpf", ("red", "blue", "green"), *entries))
    for name in ("red", "blue", "green"):
        site[f"{name}-server"].serve(PORT, protocol="udp")
    known = {
        "red": {"10.9.0.80": "blue", "10.8.0.80": "green"},
        "blue": {"10.9.0.80": "red", "10.8.0.80": "green"},
        "green": {"10.9.0.80": "red", "10.8.0.80": "blue"},
    }
    for name, others in known.items():
        for address, other in others.items():
            with site[f"{name}-client"].connect(address, PORT, protocol="udp") as flow:
                asker = next(alias for alias, who in known[other].items() if who == name)
                assert (flow.by, flow.seen) == (f"{other}-server", asker.replace(".80", ".10"))
    assert site.leaks() == 0


def test_a_source_that_is_not_named_reaches_nothing_by_it(lab: Lab) -> None:
    site = tenants(lab, names=("red", "blue", "green"))
    GatewayHost(site.gateway).apply(
        sites("bpf", ("red", "blue", "green"), entry("red", "blue"), entry("blue", "red"))
    )
    for name in ("red", "blue"):
        site[f"{name}-server"].serve(PORT, protocol="udp")
    for server, _ in ADDRESSES:
        assert not site["green-client"].reaches(server, PORT, protocol="udp")
    assert site.leaks() == 0


def test_without_tenants_an_alias_stands_for_another_network_at_each_interface(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    add_lan(site.lab, site.gateway, "dmz0", {"guest": 10, "shop": 80}, network="192.168.2", network6="fd00:2:")
    interfaces = (
        f"      knownAs: {ALIAS}\n"
        f"    dmz0:\n      networks: [192.168.2.0/24, fd00:2::/64]\n      knownAs: {ALIAS}\n  uplinks:\n"
    )
    static = (
        "  static:\n"
        f"    lan: {{ address: {NUMBERS}, as: {ALIAS}, in: dmz0 }}\n"
        f"    dmz: {{ address: [192.168.2.0/24, 'fd00:2::/64'], as: {ALIAS}, in: lan0 }}\n"
    )
    gateway.apply(spec(dataplane, static).replace("  uplinks:\n", interfaces))
    for host in (site.server, site["shop"]):
        host.serve(PORT, protocol="udp")
    site.far.serve(PORT, protocol="udp")
    for server, client in ADDRESSES:
        for asker, other in ((site.client, "shop"), (site["guest"], "server")):
            with asker.connect(server, PORT, protocol="udp") as flow:
                assert (flow.by, flow.seen) == (other, client)
            assert asker.pings(server)
    with site.client.connect(site.far.address, PORT, protocol="udp") as flow:
        assert flow.seen == "203.0.113.2", "what goes elsewhere is translated as before"
    assert site.leaks() == 0
