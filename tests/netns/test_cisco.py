"""The cases of Cisco's NVI documents (`ip nat enable`): static, and a pool with and without overload."""

from __future__ import annotations

import pytest

from tests.lab import GatewayHost, Host, Lab, Site
from tests.lab.topologies import dual_wan

pytestmark = pytest.mark.netns

SPEC = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata:
  name: cisco
spec:
  dataplane: {dataplane}
  interfaces:
    eth0:
      networks: 172.16.0.0/28
  uplinks:
    serial:
      interface: wan0
      nextHop: 203.0.113.1
      addresses: 203.0.113.2
      routed: 203.0.113.16/28
{nat}"""


def pool(from_: str, as_: str) -> str:
    return f"  sourceNat:\n    - name: pool\n      from: {from_}\n      as: {as_}\n"


@pytest.fixture
def hosts(lab: Lab) -> tuple[Site, list[Host]]:
    """Hosts 172.16.0.2, .3 ... .6 behind eth0; the ISP routes what was 10.16.0.0/29 there: 203.0.113.16/29."""
    site = dual_wan(lab)
    switch = lab.host("sw")
    switch.ip("link add name br0 type bridge", "link set dev br0 up")
    lab.link(site.gateway, "eth0", switch, "p0")
    switch.ip("link set dev p0 master br0")
    site.gateway.ip("addr add 172.16.0.1/28 dev eth0")
    hosts = []
    for last in range(2, 7):
        host = lab.host(f"h{last}")
        lab.link(host, "eth0", switch, f"p{last}")
        switch.ip(f"link set dev p{last} master br0")
        host.address = f"172.16.0.{last}"
        host.ip(f"addr add {host.address}/28 dev eth0", "route add default via 172.16.0.1")
        hosts.append(host)
    site.far.serve(443)
    site.far.serve(53, protocol="udp")
    return site, hosts


def apply(site: Site, dataplane: str, nat: str) -> GatewayHost:
    gateway = GatewayHost(site.gateway)
    gateway.apply(SPEC.format(dataplane=dataplane, nat=nat))
    return gateway


def test_static_translation_works_in_both_directions(hosts: tuple[Site, list[Host]], dataplane: str) -> None:
    """`ip nat source static 172.16.0.6 10.16.0.5`"""
    site, (*_, sixth) = hosts
    apply(site, dataplane, "  static:\n    host: { address: 172.16.0.6, as: 203.0.113.21 }\n")
    sixth.serve(80)
    assert sixth.connect(site.far.address, 443).seen == "203.0.113.21"
    assert site.far.connect("203.0.113.21", 80).by == "h6"
    assert site.far.pings("203.0.113.21")
    assert not hosts[1][0].reaches(site.far.address, 443), "nothing else is translated"
    assert site.leaks() == 0


def test_a_pool_with_overload_serves_more_hosts_than_it_has_addresses(
    hosts: tuple[Site, list[Host]], dataplane: str
) -> None:
    """`ip nat source list 1 pool 172.16.0.0/28 -> 10.16.0.0/29 overload`"""
    site, all_hosts = hosts
    apply(site, dataplane, pool("172.16.0.0/28", "{ pool: 203.0.113.16/30, persistent: true }"))
    addresses = {f"203.0.113.{last}" for last in range(16, 20)}
    flows = [host.connect(site.far.address, 53, protocol="udp", source_port=5353) for host in all_hosts]
    assert {flow.seen for flow in flows} <= addresses
    assert len({(flow.seen, flow.seen_port) for flow in flows}) == len(all_hosts), "five hosts, four addresses"
    assert all(host.connect(site.far.address, 443).seen == f.seen for host, f in zip(all_hosts, flows, strict=True))
    assert site.leaks() == 0


def test_a_pool_without_overload_gives_each_host_an_address_of_its_own(
    hosts: tuple[Site, list[Host]], dataplane: str
) -> None:
    site, all_hosts = hosts
    apply(site, dataplane, pool("172.16.0.0/29", "{ pool: 203.0.113.16/29, overload: false }"))
    for host in all_hosts:
        with host.connect(site.far.address, 443, source_port=40000) as flow:
            last = host.address.rpartition(".")[2]
            assert (flow.seen, flow.seen_port) == (f"203.0.113.{16 + int(last)}", 40000)
    assert site.leaks() == 0


def test_a_pool_without_overload_that_is_too_small_is_refused(hosts: tuple[Site, list[Host]], dataplane: str) -> None:
    """Where Cisco runs out of addresses at the ninth host, this says so beforehand."""
    site, _ = hosts
    gateway = GatewayHost(site.gateway)
    nat = pool("172.16.0.0/28", "{ pool: 203.0.113.16/29, overload: false }")
    failed = gateway.nvictl("apply", gateway.spec(SPEC.format(dataplane=dataplane, nat=nat)), check=False)
    assert failed.returncode == 1
    assert "pool is too small: 16 sources, 8 addresses" in failed.stderr
    assert gateway.owned() == []
