"""Public addresses on the uplink's own wire: neighbours ask for them, and are told when they appear."""

from __future__ import annotations

import json
import signal
import socket
from ipaddress import ip_address
from pathlib import Path

import pytest

from nvi_operator.kernel.announcement import frame
from tests.lab import GatewayHost, Site
from tests.lab.daemon import Daemon
from tests.lab.net import until
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

# On the wire of isp-a, whose router takes them to be there, and on no interface.
WEB, WEB6 = "203.0.113.4", "2001:db8:a::44"
PUBLICS = f'{WEB}/31, "2001:db8:a::44/127"'


@pytest.fixture
def announcing(dataplane: str) -> str:
    text = spec(dataplane).replace(
        'routed: [203.0.113.16/28, "2001:db8:a:1::/64"]',
        f'routed: [203.0.113.16/28, "2001:db8:a:1::/64", {PUBLICS}]\n      announce: true',
    )
    return (
        text
        + f'    public:\n      at: [{WEB}, "{WEB6}"]\n      ports: 80/tcp\n      to: [192.168.1.80, "fd00:1::80"]\n'
    )


def learned(site: Site) -> dict[str, str]:
    """The neighbours that the ISP's router knows, by address."""
    listed = json.loads(site.isps["isp-a"].host.run("ip", "-j", "neigh", "show", "dev", "gwa").stdout)
    return {entry["dst"]: entry["lladdr"] for entry in listed if "lladdr" in entry}


def mac_of(site: Site) -> str:
    link = json.loads(site.gateway.run("ip", "-j", "link", "show", "dev", "wan0").stdout)[0]
    return str(link["address"])


def test_neighbours_find_addresses_that_are_on_no_interface(
    site: Site, gateway: GatewayHost, announcing: str
) -> None:
    site.server.serve(80)
    isp = site.isps["isp-a"].host
    isp.ip("addr add 203.0.113.9/28 dev gwa")  # its own wire is wider than the gateway's
    before = gateway.foreign()
    stale = "02:00:00:00:00:99"
    for address in (WEB, WEB6):
        isp.ip(f"neigh replace {address} lladdr {stale} dev gwa nud stale")
    gateway.apply(announcing)
    assert {learned(site).get(address) for address in (WEB, WEB6)} == {mac_of(site)}, "told, without being asked"
    isp.ip("neigh flush dev gwa")
    for address in (WEB, WEB6):
        with site.far.connect(address, 80) as flow:
            assert flow.by == "server"
    assert learned(site).keys() >= {WEB, WEB6}
    assert not isp.pings("203.0.113.6", wait=0.3)
    assert "203.0.113.6" not in learned(site), "not everything that is asked for"
    assert gateway.differences(gateway.spec(announcing)) == []
    gateway.down()
    assert gateway.owned() == []
    assert gateway.foreign() == before
    assert site.leaks() == 0


def test_what_is_lost_comes_back_and_is_told_again(
    site: Site, gateway: GatewayHost, announcing: str, tmp_path: Path
) -> None:
    isp = site.isps["isp-a"].host
    daemon = Daemon(site.gateway, gateway.spec(announcing), tmp_path / "log")
    try:
        daemon.until("in sync", seconds=60)
        listen = isp.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        listen.bind(("gwa", 0))
        listen.settimeout(10)
        isp.ip("link set dev gwa down")
        until(lambda: not proxied(site), "no entries while there is no carrier", seconds=20)
        listen.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # that the network is down
        isp.ip("link set dev gwa up")
        until(lambda: len(proxied(site)) == 4, "entries again", seconds=20)
        told = frame(bytes.fromhex(mac_of(site).replace(":", "")), ip_address(WEB))
        assert any(listen.recv(2048) == told for _ in range(200)), "and everyone on the wire is told"
        listen.close()
        site.gateway.ip(f"neigh del proxy {WEB} dev wan0")
        site.gateway.ip("link set dev wan1 down", "link set dev wan1 up")  # the kernel tells no one of proxy entries
        until(lambda: len(proxied(site)) == 4, "healed with the next look", seconds=20)
    finally:
        daemon.stop(signal.SIGKILL)


def proxied(site: Site) -> list[str]:
    return [line.split()[0] for line in site.gateway.run("ip", "neigh", "show", "proxy").stdout.splitlines()]


def test_an_entry_of_another_tool_is_left_alone(site: Site, gateway: GatewayHost, announcing: str) -> None:
    site.gateway.ip(f"neigh add proxy {WEB} dev wan0")
    done = gateway.nvictl("apply", gateway.spec(announcing), check=False)
    assert done.returncode != 0
    assert f"announced address {WEB} dev wan0: create: a proxy entry of another tool is there already" in done.stderr
    assert proxied(site) == [WEB]
