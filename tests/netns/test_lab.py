"""The laboratory itself: its ISPs count, its hosts are cleaned up, also when a test is interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.lab import Lab, Site, dual_wan, partner_link, tenants
from tests.lab.gateway import ROOT
from tests.lab.net import until
from tests.lab.probe import Prober

pytestmark = pytest.mark.netns


def namespaces() -> str:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("build", [dual_wan, tenants, partner_link])
def test_a_topology_comes_up_and_goes_without_a_trace(build: object) -> None:
    with Lab() as lab:
        site = build(lab)  # type: ignore[operator]
        assert site.gateway.pings("203.0.113.1")
        assert site.gateway.pings("2001:db8:b::1")
        assert site.gateway.pings(site.far.address)
        assert site.isps["isp-b"].host.pings(site.far.address6)
        prefix = lab.prefix
        assert prefix in namespaces()
    assert prefix not in namespaces()


def test_a_router_that_does_not_translate_is_caught_by_the_isps(site: Site) -> None:
    """The proof that a count of 0 elsewhere means something."""
    site.gateway.write("net/ipv4/ip_forward", "1")
    site.gateway.write("net/ipv6/conf/all/forwarding", "1")
    prober = Prober(site)
    prober.send()
    prober.close()
    assert site.leaks() == 6, "2 UDP and 1 stray of each family"


def test_an_isp_counts_the_other_isps_addresses(site: Site) -> None:
    site.gateway.pings("198.51.100.1", source="203.0.113.2", wait=0.3)
    assert site.isps["isp-b"].foreign == 1


def test_the_server_sees_whom_it_should(site: Site) -> None:
    site.server.serve(80)
    site.server.serve(80, protocol="udp")
    for address, own in ((site.server.address, site.client.address), (site.server.address6, site.client.address6)):
        for protocol in ("tcp", "udp"):
            with site.client.connect(address, 80, protocol=protocol) as flow:
                assert (flow.seen, flow.by) == (own, "server")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_an_interrupted_laboratory_leaves_nothing(name: str) -> None:
    code = (
        "from tests.lab import Lab, dual_wan\nimport signal\n"
        "with Lab() as lab:\n  dual_wan(lab)\n  print(lab.prefix, flush=True)\n  signal.pause()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT, stderr=-3)
    assert process.stdout is not None
    prefix = process.stdout.readline().strip()
    assert prefix
    assert prefix in namespaces()
    process.send_signal(getattr(signal, name))
    process.wait(10)
    until(lambda: prefix not in namespaces(), "the namespaces are gone")
