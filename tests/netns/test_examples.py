"""Each example, applied to the network that its README draws: what it promises is what packets do."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.lab import GatewayHost, Host, Lab, Site, dual_wan, partner_link, tenants, traffic
from tests.lab.command import ROOT
from tests.lab.net import until

pytestmark = pytest.mark.netns

A, B = "203.0.113", "198.51.100"
CACHED = frozenset({"dual-wan", "hairpin", "overlapping-sites", "nptv6"})  # --flow-cache half: with the cache as well
FLOW_CACHE = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: NAME }
spec: { dataplane: { flowCache: auto } }
"""
Test = TypeVar("Test", bound=Callable[..., None])


class Case:
    """A site under an example; checks at the end that no ISP saw what it should not."""

    def __init__(self, site: Site, example: Path) -> None:
        self.site = site
        self.gateway = GatewayHost(site.gateway)
        self.example = example
        self.before = self.gateway.foreign()
        self.gateway.apply(self.example)
        site.far.serve(443)
        site.far.serve(22)
        site.far.serve(25)
        site.far.serve(5060, protocol="udp")
        site.far.serve(53, protocol="udp")

    def finish(self) -> None:
        assert self.gateway.differences(self.example) == []
        assert self.site.leaks() == 0
        self.gateway.down()
        assert self.gateway.owned() == []
        assert self.gateway.foreign() == self.before


@pytest.fixture
def case(request: pytest.FixtureRequest, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    build, name, cached = request.param
    directory = ROOT / "examples" / name
    if cached:
        directory = shutil.copytree(directory, tmp_path / name)
        named = re.search(r"^metadata:\n  name: (.*)$", (directory / "gateway.yaml").read_text(), re.M)
        assert named is not None
        (directory / "flow-cache.yaml").write_text(FLOW_CACHE.replace("NAME", named[1]))
        monkeypatch.setattr(traffic, "warm_up", 8)
    made = Case(build(lab), directory)
    yield made
    made.finish()


def example(name: str, build: Callable[[Lab], Site] = dual_wan) -> Callable[[Test], Test]:
    """A test of this example, in this laboratory; with and without flow cache."""

    def decorate(test: Test) -> Test:
        test.__dict__["example"] = (build, name)
        return test

    return decorate


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        build, name = metafunc.function.example
        both = metafunc.config.getoption("--flow-cache") == "both" or name in CACHED
        params = [
            pytest.param((build, name, cached), id=name + "-cache" * cached) for cached in (False, True)[: 1 + both]
        ]
        metafunc.parametrize("case", params, indirect=True)


def seen(host: Host, address: str, port: int = 443, protocol: str = "tcp") -> str:
    with host.connect(address, port, protocol=protocol) as flow:
        return flow.seen


@example("dual-wan")
def test_dual_wan(case: Case) -> None:
    site = case.site
    site.server.serve(8443)
    site.server.serve(53, protocol="udp")
    assert seen(site.client, site.far.address) == f"{A}.2"
    assert seen(site.client, site.far.address6) == "2001:db8:a::2"
    assert seen(site.server, site.far.address) == f"{B}.2"
    assert seen(site.server, site.far.address6) == "2001:db8:b::2"
    for public, isp in (
        (f"{A}.2", "isp-a"),
        ("2001:db8:a::2", "isp-a"),
        (f"{B}.2", "isp-b"),
        ("2001:db8:b::2", "isp-b"),
    ):
        before = site.used()
        with site.far.connect(public, 443) as flow:
            assert flow.by == "server"
            assert site.through(before) == ({isp}, {isp})
    with site.far.connect(f"{B}.2", 53, protocol="udp") as flow:
        assert flow.by == "server"
    assert not site.far.reaches(f"{A}.2", 53, protocol="udp")


@example("port-forwards")
def test_port_forwards(case: Case) -> None:
    site = case.site
    for port in (443, 22, 80, 5432):
        site.server.serve(port)
    for port in (27000, 27050, 7000, 7009):
        site.server.serve(port, protocol="udp")
    site.client.serve(80)
    site.client.serve(25)
    far = site.far
    assert far.connect(f"{A}.2", 443).by == "server"
    assert far.connect(f"{B}.2", 443).by == "server"
    assert far.connect(f"{A}.2", 2222).by == "server"
    assert not far.reaches(f"{B}.2", 2222)
    for port in (27000, 27050):
        assert far.connect(f"{B}.2", port, protocol="udp").by == "server"
    assert not far.reaches(f"{B}.2", 27051, protocol="udp")
    for port in (6000, 6009):  # 6000 -> 7000, 6009 -> 7009
        assert far.connect(f"{A}.2", port, protocol="udp").by == "server"
    assert not far.reaches(f"{A}.2", 6010, protocol="udp")
    # The clients of the office forward are 192.0.2.0/24; the far server has another address as well.
    assert far.connect(f"{A}.2", 5432, source="192.0.2.80").by == "server"
    assert not far.reaches(f"{A}.2", 5432, source="172.31.1.2")
    assert far.connect(f"{A}.2", 9443).by == "server"
    assert not site.client.reaches(f"{A}.2", 9443), "hairpin is off"
    assert far.connect(f"{A}.17", 25).by == "client", "a port before everything else"
    assert far.connect(f"{A}.17", 22).by == "server", "everything else"
    by = {far.connect(f"{A}.2", 80, source="192.0.2.80").by for _ in range(5)}
    assert len(by) == 1, "a client stays with its server"


@example("entries-from-files")
def test_entries_from_files(case: Case) -> None:
    site, far = case.site, case.site.far
    for port in (443, 22, 5432):
        site.server.serve(port)
    for port in (25, 587, 8080):
        site.client.serve(port)
    assert far.connect(f"{B}.2", 443).by == "server", "gateway.yaml"
    assert far.connect(f"{A}.2", 2222).by == "server", "forwards.csv"
    for port in (25, 587):
        assert far.connect(f"{B}.2", port).by == "client", "two values in one cell"
    assert far.connect(f"{A}.2", 5432, source="192.0.2.80").by == "server"
    assert not far.reaches(f"{A}.2", 5432, source="172.31.1.2"), "an empty cell is no value"
    assert not site.client.reaches(f"{A}.2", 9443), "hairpin is false"
    site.server.serve(27050, protocol="udp")
    assert far.connect(f"{A}.2", 27050, protocol="udp").by == "server", "farms.jsonl"
    assert far.connect(f"{A}.17", 8080).by == "client", "static.csv"


@example("hairpin")
def test_hairpin(case: Case) -> None:
    site = case.site
    site.server.serve(443)
    for public in (f"{A}.2", "2001:db8:a::2"):
        before = site.used()
        with site.client.connect(public, 443) as flow:
            assert flow.by == "server"
            assert flow.seen == public, "the server answers through the gateway"
        with site.server.connect(public, 443) as flow:
            assert flow.by == "server", "a server reaches itself by its public name"
        assert site.through(before) == (set(), set())
        assert site.far.connect(public, 9443).by == "server"
        assert not site.client.reaches(public, 9443)


@example("overlapping-sites", tenants)
def test_overlapping_sites(case: Case) -> None:
    site = case.site
    for name in ("red", "blue"):
        site[f"{name}-server"].serve(443)
        site[f"{name}-server"].serve(53, protocol="udp")
    for protocol, port in (("tcp", 443), ("udp", 53)):
        with site["red-client"].connect("10.2.0.80", port, protocol=protocol) as flow:
            assert (flow.by, flow.seen) == ("blue-server", "10.1.0.10")
        with site["blue-client"].connect("10.1.0.80", port, protocol=protocol) as flow:
            assert (flow.by, flow.seen) == ("red-server", "10.2.0.10")
        with site["red-client"].connect("fd00:a2::80", port, protocol=protocol) as flow:
            assert (flow.by, flow.seen) == ("blue-server", "fd00:a1::10")
        with site["blue-client"].connect("fd00:a1::80", port, protocol=protocol) as flow:
            assert (flow.by, flow.seen) == ("red-server", "fd00:a2::10")
    assert site["red-server"].pings("10.2.0.80"), "equal addresses on both sides"
    assert site["red-server"].pings("fd00:a2::80")


@example("nptv6-two-isps")
def test_nptv6_two_isps(case: Case) -> None:
    site = case.site
    site.server.serve(80)
    with site.client.connect(site.far.address6, 443) as flow:
        assert flow.seen == "2001:db8:a:1::10"
    for public, isp in (("2001:db8:a:1::80", "isp-a"), ("2001:db8:b:1::80", "isp-b")):
        before = site.used()
        with site.far.connect(public, 80) as flow:
            assert flow.by == "server"
            assert site.through(before) == ({isp}, {isp})


@example("redirects")
def test_redirects(case: Case) -> None:
    site = case.site
    site.gateway.address, site.gateway.address6 = "192.168.1.1", "fd00:1::1"
    for protocol in ("udp", "tcp"):
        site.server.serve(53, protocol=protocol)
    site.gateway.serve(123, protocol="udp")
    site.far.serve(53, protocol="udp", address="192.0.2.200")
    for asked, own in ((site.far.address, "192.168.1.1"), (site.far.address6, "fd00:1::1")):
        for protocol in ("udp", "tcp"):
            with site.client.connect(asked, 53, protocol=protocol) as flow:
                assert (flow.by, flow.seen) == ("server", own)
        assert site.server.connect(asked, 53, protocol="udp").by == "far"
        assert site.client.connect(asked, 123, protocol="udp").by == "gw"
    assert site.client.connect("192.0.2.200", 53, protocol="udp").by == "far"


@example("one-to-one")
def test_one_to_one(case: Case) -> None:
    site = case.site
    site.server.serve(443)
    site.client.serve(443)
    assert seen(site.server, site.far.address) == f"{A}.20"
    assert seen(site.server, site.far.address6) == "2001:db8:a:1::80"
    before = site.used()
    with site.client.connect(site.far.address, 443) as flow:
        assert flow.seen == f"{B}.20"
        assert site.through(before) == ({"isp-b"}, {"isp-b"})
    for public, by in ((f"{A}.20", "server"), ("2001:db8:a:1::80", "server"), (f"{B}.20", "client")):
        assert site.far.connect(public, 443).by == by
        assert site.far.pings(public)
    assert site.client.connect(f"{A}.20", 443).by == "server"
    assert not site.far.pings(f"{A}.21"), "an unused address of the pool"


@example("nptv6")
def test_nptv6(case: Case) -> None:
    site = case.site
    site.server.serve(443)
    assert seen(site.client, site.far.address6) == "2001:db8:a:1::10"
    assert seen(site.server, site.far.address6) == "2001:db8:a:1::80"
    assert site.far.connect("2001:db8:a:1::80", 443).by == "server"
    assert site.far.pings("2001:db8:a:1::10")


@example("public-pool")
def test_public_pool(case: Case) -> None:
    site, far = case.site, case.site.far.address
    assert seen(site.client, far, 25) == f"{B}.18"
    with site.client.connect(far, 5060, protocol="udp", source_port=5060) as flow:
        assert flow.seen == f"{A}.17"
        assert 20000 <= flow.seen_port <= 20999
    pool = {f"{A}.{last}" for last in range(18, 26)}
    first = seen(site.client, far)
    assert first in pool
    assert {seen(site.client, far) for _ in range(5)} == {first}, "persistent"
    other = "192.0.2.200"  # not in 192.0.2.0/25
    site.far.serve(8080, address=other)
    both = [seen(site.client, other, 8080) for _ in range(4)]
    assert set(both) == {f"{A}.26", f"{B}.20"}, "in turn"


@example("tenants", tenants)
def test_tenants(case: Case) -> None:
    site = case.site
    publics = {"red": (f"{A}.17", "2001:db8:a:1::17"), "blue": (f"{B}.17", "2001:db8:b:1::17")}
    services = {"red": (f"{A}.18", "2001:db8:a:1::18"), "blue": (f"{B}.18", "2001:db8:b:1::18")}
    uplinks = {"red": "isp-a", "blue": "isp-b"}
    for name in ("red", "blue"):
        site[f"{name}-server"].serve(443)
    for name, other in (("red", "blue"), ("blue", "red")):
        for far, public, service, other_service in zip(
            (site.far.address, site.far.address6), publics[name], services[name], services[other], strict=True
        ):
            before = site.used()
            with site[f"{name}-client"].connect(far, 443) as flow:
                assert flow.seen == public
                assert site.through(before) == ({uplinks[name]}, {uplinks[name]})
            with site.far.connect(service, 443) as flow:
                assert flow.by == f"{name}-server"
            before = site.used()
            with site[f"{name}-client"].connect(other_service, 443) as flow:
                assert (flow.by, flow.seen) == (f"{other}-server", public)
            with site[f"{name}-client"].connect(service, 443) as flow:
                assert flow.by == f"{name}-server", "a tenant reaches itself by public address"
            assert site.through(before) == (set(), set())


@example("tenants", tenants)
def test_two_tenants_with_one_port_and_address_are_two_flows(case: Case) -> None:
    """Without zones two identical flows share one conntrack entry, and only seem to work."""
    site = case.site
    flows = [site[f"{n}-client"].connect(site.far.address, 443, source_port=40000) for n in ("red", "blue")]
    assert [flow.seen for flow in flows] == [f"{A}.17", f"{B}.17"]
    listed = site.gateway.run("conntrack", "-L", "-p", "tcp", "--orig-port-src", "40000").stdout.splitlines()
    assert len(listed) == 2
    assert [flow.again().seen for flow in flows] == [f"{A}.17", f"{B}.17"]


@example("partner-link", partner_link)
def test_partner_link(case: Case) -> None:
    site = case.site
    site["partner"].serve(443)
    with site.client.connect("10.2.0.20", 443) as flow:
        assert (flow.by, flow.seen) == ("partner", "10.1.0.10")
    assert site.client.pings("10.2.0.20")
    site.client.serve(443)
    with site["partner"].connect("10.1.0.10", 443, source="192.168.1.20") as flow:
        assert (flow.by, flow.seen) == ("client", "10.2.0.20"), "and the other way round"
    assert seen(site.client, site.far.address) == f"{A}.2"


@example("failover")
def test_failover(case: Case) -> None:
    site = case.site
    assert {seen(host, site.far.address) for host in (site.client, site.gateway)} == {f"{A}.2"}
    assert seen(site.client, site.far.address6) == "2001:db8:a::2"
    site.isps["isp-a"].host.ip("link set dev gwa down")
    until(lambda: "NO-CARRIER" in site.gateway.run("ip", "link", "show", "wan0").stdout, "wan0 has no carrier")
    case.gateway.apply(case.example)
    assert {seen(host, site.far.address) for host in (site.client, site.gateway)} == {f"{B}.2"}
    assert seen(site.client, site.far.address6) == "2001:db8:b::2"
    site.isps["isp-a"].host.ip("link set dev gwa up", "addr replace 2001:db8:a::1/64 dev gwa nodad")
    until(lambda: "NO-CARRIER" not in site.gateway.run("ip", "link", "show", "wan0").stdout, "wan0 has a carrier")
    case.gateway.apply(case.example)
    assert seen(site.client, site.far.address) == f"{A}.2"


@example("weighted-uplinks")
def test_weighted_uplinks(case: Case) -> None:
    site = case.site
    assert seen(site.client, site.far.address, 22) == f"{B}.2"
    counts = {f"{A}.2": 0, f"{B}.2": 0}
    for _ in range(60):
        counts[seen(site.client, site.far.address)] += 1
    assert counts[f"{A}.2"] > counts[f"{B}.2"] > 0
    assert {seen(site.client, site.far.address6) for _ in range(30)} == {"2001:db8:a::2", "2001:db8:b::2"}
