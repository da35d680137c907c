"""`nvictl init` on a machine that has addresses and routes, and is no gateway yet."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.lab import GatewayHost, Lab, Site, dual_wan
from tests.lab.command import ROOT
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

ROUTES = (
    "route add default via 203.0.113.1 dev wan0 metric 100",
    "route add default via 198.51.100.1 dev wan1 metric 200",
    "route add default via 2001:db8:a::1 dev wan0 metric 100",
    "route add 10.20.0.0/16 via 192.168.1.80 dev lan0",
    "route add 192.168.0.0/16 via 203.0.113.1 dev wan0",  # a part of it is inside
)


def test_its_spec_is_a_gateway_that_works(tmp_path: Path) -> None:
    with Lab() as lab:
        site = dual_wan(lab)
        gateway = GatewayHost(site.gateway)
        site.gateway.ip(*ROUTES)
        site.far.serve(443)
        made = tmp_path / "new/spec"
        assert gateway.nvictl("init", made).stdout.startswith(f"{made}/gateway.yaml: written")
        text = (made / "gateway.yaml").read_text()
        assert "networks: [10.20.0.0/16, 192.168.1.0/24, fd00:1::/64]" in text
        assert gateway.nvictl("init").stdout == text
        gateway.apply(made)
        for far in (site.far.address, site.far.address6):
            with site.client.connect(far, 443) as flow:
                assert flow.seen in ("203.0.113.2", "2001:db8:a::2"), "the better default route is the first uplink"
        assert gateway.nvictl("init").stdout == text, "the gateway itself is no part of the spec"
        again = gateway.nvictl("init", made, check=False)
        assert (again.returncode, "already has gateway.yaml" in again.stderr) == (1, True)
        assert (made / "gateway.yaml").read_text() == text


def test_beside_a_gateway_a_user_without_root_may_write_a_spec_and_explain_packets(
    site: Site, gateway: GatewayHost
) -> None:
    """The settings that the gateway changed are saved where only root may read."""
    gateway.apply(spec())
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", f"PYTHONPATH={ROOT}")
    nvictl = (*user, sys.executable, "-m", "nvi_operator")
    assert "      interface: wan0\n" in site.gateway.run(*nvictl, "init").stdout
    packet = ("-i", "lan0", "tcp", f"{site.client.address}:40000", "to", f"{site.far.address}:443")
    example = str(ROOT / "examples/dual-wan")
    assert "leaves by wan0" in site.gateway.run(*nvictl, "explain", "--on", example, *packet).stdout
    planned = site.gateway.run(*nvictl, "plan", example, check=False)
    assert (planned.returncode, "hint: run as root" in planned.stderr) == (1, True)
