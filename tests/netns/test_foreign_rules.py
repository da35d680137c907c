"""Foreign rules and tables beside a gateway: a mesh VPN's networks are reached, a full tunnel takes none."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path

import pytest

from tests.lab import GatewayHost, Host, Site
from tests.lab.daemon import Daemon
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns

_IP_TRANSPARENT = 19  # include/uapi/linux/in.h

PEER, PEER6 = "100.64.0.9", "fd7a:115c::9"
INTERFACE = "      networks: [192.168.1.0/24, fd00:1::/64]\n"
MESH = INTERFACE + '    mesh0:\n      networks: [100.64.0.0/10, "fd7a:115c::/48"]\n'
DECLARED = spec().replace(INTERFACE, MESH)

# What nftlb makes of a farm with one backend: it marks connections by bit 31, and restores the mark to their packets.
BALANCER = f"""\
table ip nftlb {{
    chain filter {{
        type filter hook prerouting priority mangle
        meta mark 0 meta mark set ct mark
        ip daddr {A} tcp dport 80 ct state new ct mark set 0x80000001
    }}
    chain prerouting {{
        type nat hook prerouting priority dstnat
        ct state new meta mark 0 meta mark set ct mark
        ip daddr {A} tcp dport 80 dnat to ct mark map {{ 0x80000001 : 192.168.1.80 }}
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat
        ct mark & 0x80000000 == 0x80000000 masquerade
    }}
}}
"""


@pytest.fixture
def peer(site: Site) -> Host:
    """A member of a mesh VPN, whose client keeps its routes in table 52 as Tailscale's does."""
    gateway, peer = site.gateway, site.lab.host("peer")
    site.lab.link(gateway, "mesh0", peer, "m0")
    gateway.ip("addr add 100.64.0.1/32 dev mesh0", "addr add fd7a:115c::1/128 dev mesh0 nodad")
    for family, own, other in (("-4", "100.64.0.1/32", f"{PEER}/32"), ("-6", "fd7a:115c::1/128", f"{PEER6}/128")):
        gateway.run("ip", family, "rule", "add", "pref", "5210", "fwmark", "0x80000/0xff0000", "lookup", "main")
        gateway.run("ip", family, "rule", "add", "pref", "5250", "fwmark", "0x80000/0xff0000", "type", "unreachable")
        gateway.run("ip", family, "rule", "add", "pref", "5270", "lookup", "52")
        gateway.run("ip", family, "route", "add", other, "dev", "mesh0", "table", "52")
        peer.run("ip", family, "route", "add", own, "dev", "m0")
    peer.ip(
        f"addr add {PEER}/32 dev m0",
        f"addr add {PEER6}/128 dev m0 nodad",
        "route add 192.168.1.0/24 via 100.64.0.1 dev m0 onlink",
        "route add fd00:1::/64 via fd7a:115c::1 dev m0 onlink",
    )
    peer.address, peer.address6 = PEER, PEER6
    peer.serve(443)
    site.server.serve(443, address="192.168.1.80")
    site.server.serve(443, address="fd00:1::80")
    return peer


def test_a_mesh_vpns_routes_in_a_table_of_its_own_are_honoured(site: Site, gateway: GatewayHost, peer: Host) -> None:
    another_router = "192.168.1.0/24 dev mesh0 table 52", "fd00:1::/64 dev mesh0 table 52"
    site.gateway.ip(*(f"route add {route}" for route in another_router))
    done = gateway.apply(DECLARED)
    assert "5270" not in done.stderr
    for address, client, server in (
        (PEER, site.client.address, "192.168.1.80"),
        (PEER6, site.client.address6, "fd00:1::80"),
    ):
        assert site.client.connect(address, 443).seen == client
        assert site.gateway.connect(address, 443).by == "peer"
        assert peer.connect(server, 443).seen == address
    site.far.serve(443)
    assert site.client.connect(site.far.address, 443).seen == A
    assert site.leaks() == 0
    gateway.down()
    assert site.gateway.connect(PEER, 443).by == "peer"


@pytest.fixture
def wide(site: Site) -> Host:
    """A host at an interface that the spec does not name, by which main knows a network around the mesh VPN's."""
    host, gateway = site.lab.host("wide"), site.gateway
    site.lab.link(gateway, "old0", host, "o0")
    gateway.ip("route add 100.64.0.0/10 dev old0", "route add fd7a:115c::/48 dev old0")
    host.ip(f"addr add {PEER}/32 dev o0", f"addr add {PEER6}/128 dev o0 nodad", "route add default dev o0")
    host.serve(443, address=PEER)
    host.serve(443, address=PEER6)
    return host


def test_a_forward_to_a_peer_leads_where_the_meshs_table_says_and_not_where_main_does(
    site: Site, gateway: GatewayHost, peer: Host, wide: Host, dataplane: str
) -> None:
    peer.ip("route add default via 100.64.0.1 dev m0 onlink", "route add ::/0 via fd7a:115c::1 dev m0 onlink")
    gateway.apply(spec(dataplane, f"    peer:\n      ports: 9443/tcp\n      to: [{PEER}:443, '[{PEER6}]:443']\n"))
    for public in (A, B, A6, B6):
        assert site.far.connect(public, 9443).by == "peer"
    assert site.leaks() == 0


def test_a_peer_that_its_mesh_translates_gets_answers_by_the_meshs_table(
    site: Site, gateway: GatewayHost, peer: Host, wide: Host, dataplane: str
) -> None:
    """As Tailscale translates them for its subnet routes (--snat-subnet-routes). The spec does not name the mesh."""
    rule = "iifname mesh0 oifname lan0 masquerade"
    hook = "type nat hook postrouting priority srcnat"
    site.gateway.nft(f"table inet mesh {{\nchain post {{\n{hook}; {rule}\n}}\n}}\n")
    gateway.apply(spec(dataplane))
    for inside, seen in (("192.168.1.80", "192.168.1.1"), ("fd00:1::80", "fd00:1::1")):
        assert peer.connect(inside, 443).seen == seen
    assert site.leaks() == 0


def test_what_an_uplink_brings_for_a_network_of_a_route_of_the_spec_leaves_by_that_route(
    site: Site, gateway: GatewayHost, peer: Host, wide: Host, dataplane: str
) -> None:
    """main knows a wider one. What it knows more exactly, such as a container's network, it keeps."""
    beyond, near = "100.64.7.7", "100.64.8.8"
    site.gateway.ip(f"route add {near}/32 dev mesh0")
    peer.ip(f"addr add {near}/32 dev m0")
    asking = site.isps["isp-a"].host
    asking.ip(f"route add 100.64.0.0/10 via {A}")
    hook = "type filter hook prerouting priority raw"
    peer.nft(f"table ip seen {{\nchain in {{\n{hook}; ip daddr {near} counter\n}}\n}}\n")
    gateway.apply(spec(dataplane, "  routes: [{ name: site, to: 100.64.0.0/12, via: isp-b }]\n"))
    for address in (beyond, near):
        assert not asking.pings(address, wait=0.3), "no way back"
    assert [line.split(", ")[0] for line in site.leaks().details] == [f"isp-b: 203.0.113.1 > {beyond} icmp"]
    assert "packets 1 " in peer.run("nft", "list", "table", "ip", "seen").stdout


def test_a_full_tunnel_that_comes_up_later_is_named_and_the_gateway_degraded(
    site: Site, gateway: GatewayHost, peer: Host, tmp_path: Path
) -> None:
    """The kernel puts a rule without a priority, as wg-quick adds it, before all others."""
    (tmp_path / "gateway.yaml").write_text(DECLARED)
    site.gateway.ip("route add default dev mesh0 table 51820")
    daemon = Daemon(site.gateway, tmp_path, tmp_path.with_suffix(".log"))
    taken = "not fwmark 0xca6c/0xffffffff lookup 51820: comes before the gateway's rules and matches every packet"
    try:
        daemon.until("in sync")
        assert gateway.nvictl("status", tmp_path).returncode == 0
        for each in ("not fwmark 51820 lookup 51820", "lookup main suppress_prefixlength 0"):
            site.gateway.ip(f"rule add {each}")
        daemon.until(taken)
    finally:
        daemon.stop(signal.SIGKILL)
    assert "lookup main suppress_prefixlength 0: comes before" in gateway.nvictl("plan", tmp_path).stderr
    done = gateway.nvictl("status", tmp_path, check=False)
    assert done.returncode == 1
    assert taken in done.stdout
    assert not site.client.reaches(site.far.address, 443)
    assert site.leaks() == 0


TPROXY = """\
table inet proxy {
    chain take {
        type filter hook prerouting priority mangle;
        iifname "lan0" meta l4proto tcp socket transparent 1 meta mark set 1 accept
        iifname "lan0" ip protocol tcp tcp dport 80 tproxy ip to 127.0.0.1:3129 meta mark set 1 accept
    }
}
"""


def test_a_transparent_proxys_rule_is_named_with_the_place_where_it_works(site: Site, gateway: GatewayHost) -> None:
    """Without a priority, and before the gateway is there, the kernel puts it right before the one for `main`."""
    site.gateway.ip("rule add fwmark 1 lookup 100", "route add local default dev lo table 100")
    site.gateway.nft(TPROXY)
    listening = site.gateway.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_IP, _IP_TRANSPARENT, 1)
    listening.bind(("127.0.0.1", 3129))
    listening.listen(1)
    listening.settimeout(5)
    told = gateway.apply(spec()).stderr
    found = re.search(
        r"pref 32765 fwmark 0x1/0xffffffff lookup 100: would hand .* to apply it: (ip rule add .*)", told
    )
    assert found, told
    site.gateway.run(*found[1].split())
    with site.client.socket(socket.AF_INET, socket.SOCK_STREAM) as asking:
        asking.settimeout(5)
        asking.connect((site.far.address, 80))
        taken, peer = listening.accept()
        assert (taken.getsockname(), peer[0]) == ((site.far.address, 80), site.client.address)
        taken.close()
    listening.close()
    site.far.serve(443)
    assert site.client.connect(site.far.address, 443).seen == A
    assert site.leaks() == 0


def test_what_others_add_is_followed(site: Site, peer: Host, tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(DECLARED)
    for family in ("-4", "-6"):
        site.gateway.run("ip", family, "route", "flush", "table", "52")
    daemon = Daemon(site.gateway, tmp_path, tmp_path.with_suffix(".log"), "--kernel")
    try:
        daemon.until("in sync")
        site.gateway.ip(f"route add {PEER}/32 dev mesh0 table 52")
        daemon.until("lookup 52", "in sync")
        assert site.client.connect(PEER, 443).by == "peer"
        site.gateway.ip("rule del pref 5270")
        daemon.until("lookup 52", "in sync")
        assert not site.client.reaches(PEER, 443)
    finally:
        daemon.stop(signal.SIGKILL)


def test_a_full_tunnel_takes_no_inside_host_and_is_named(site: Site, gateway: GatewayHost, peer: Host) -> None:
    """As wg-quick makes it."""
    site.gateway.ip(
        "route add default dev mesh0 table 51820",
        "rule add pref 32764 lookup main suppress_prefixlength 0",
        "rule add pref 32765 not fwmark 51820 lookup 51820",
    )
    done = gateway.apply(DECLARED)
    assert "lookup 51820: has a default route by mesh0, which packets of inside hosts do not take" in done.stderr
    assert "uplinks: {NAME: {interface: mesh0}}" in done.stderr
    found = gateway.nvictl("doctor", gateway.spec(DECLARED), check=False).stdout
    assert "rule-behind" in found
    site.far.serve(443)
    assert site.client.connect(site.far.address, 443).seen == A
    assert site.client.connect(PEER, 443).by == "peer"
    assert site.leaks() == 0


@pytest.mark.parametrize(
    ("dataplane", "works"), [("{ type: auto }", False), ("{ type: auto, stageBit: 29, localBit: 28 }", True)]
)
def test_a_balancer_that_restores_marks_with_the_stage_bit_is_named_and_works_beside_another_bit(
    site: Site, gateway: GatewayHost, tmp_path: Path, dataplane: str, works: bool
) -> None:
    (tmp_path / "gateway.yaml").write_text(spec(dataplane))
    gateway.apply(spec(dataplane))
    rules = tmp_path / "balancer.nft"
    rules.write_text(BALANCER)
    site.gateway.run("nft", "-f", str(rules))
    site.server.serve(80, address="192.168.1.80")
    if works:
        assert site.far.connect(A, 80).by == "server"
    else:
        with pytest.raises(AssertionError, match="timed out"):
            site.far.connect(A, 80)
    told = gateway.nvictl("doctor", tmp_path, check=False).stdout
    assert ("sets the stage bit 0x80000000 in stage 1" in told) is not works
    assert site.leaks() == 0
