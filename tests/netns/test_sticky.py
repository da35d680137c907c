"""A client keeps its address and its server for as long as they are there, whatever else changes."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.daemon import Daemon
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

CLIENTS = 12
SERVERS = [f"192.168.1.{number}" for number in range(81, 85)] + [f"fd00:1::{number:x}" for number in range(81, 85)]
POOL = ["203.0.113.18", "203.0.113.19", "203.0.113.20", "2001:db8:a:1::18", "2001:db8:a:1::19", "2001:db8:a:1::20"]
ONE_MORE_LINE = "    - { name: more, from: 192.168.1.200, as: isp-a }\n"
ONE_MORE_FORWARD = "    more: { ports: 9/tcp, to: { 192.168.1.80: 1, 192.168.1.81: 1 } }\n"


def text(
    *, translation: str, servers: Sequence[str] = (*SERVERS[:3], *SERVERS[4:7]), line: str = "", forward: str = ""
) -> str:
    """The clients' rule translates as `translation`, a farm has these `servers`; `line` and `forward` add to it."""
    weights = ", ".join(f"{_quoted(server)}: 1" for server in servers)
    farm = f"    farm: {{ at: isp-b, ports: [80/udp, 81/udp], to: {{ {weights} }} }}\n"
    lines = f"  sourceNat:\n{line}    - {{ name: clients, as: {translation} }}\n"
    return spec("{ type: bpf }", farm + forward).replace("  sourceNat:\n", lines)


def _quoted(address: str) -> str:
    return f'"{address}"'


@pytest.fixture
def crowd(site: Site) -> Site:
    for host, first in ((site.client, 101), (site.far, 101)):
        net, net6 = ("192.168.1", "fd00:1::") if host is site.client else ("192.0.2", "2001:db8:f::")
        numbers = range(first, first + CLIENTS)
        dev = "eth0" if host is site.client else "lo"
        host.ip(*(f"addr add {net}.{n}/32 dev {dev}" for n in numbers))
        host.ip(*(f"addr add {net6}{n:x}/128 dev {dev} nodad" for n in numbers))
    site.server.ip(*(f"addr add {a}/{128 if ':' in a else 32} dev eth0" for a in SERVERS))
    for address in (site.far.address, site.far.address6):
        site.far.serve(7, protocol="udp", address=address)
    for address in SERVERS:
        site.server.serve(80, protocol="udp", address=address)
    return site


def addresses(site: Site) -> dict[str, str]:
    """As whom each client is seen outside."""
    found = {}
    for number in range(101, 101 + CLIENTS):
        for source, far in ((f"192.168.1.{number}", site.far.address), (f"fd00:1::{number:x}", site.far.address6)):
            with site.client.connect(far, 7, protocol="udp", source=source) as flow:
                found[source] = flow.seen
    return found


def chosen(site: Site, gateway: GatewayHost) -> dict[str, str]:
    """Which server each client from outside is given: conntrack knows."""
    site.gateway.run("conntrack", "-D", check=False)
    for number in range(101, 101 + CLIENTS):
        for source, public in ((f"192.0.2.{number}", "198.51.100.2"), (f"2001:db8:f::{number:x}", "2001:db8:b::2")):
            with site.far.connect(public, 80, protocol="udp", source=source):
                pass
    found = {}
    for family in ("ipv4", "ipv6"):
        for entry in site.gateway.run("conntrack", "-L", "-f", family, "-p", "udp").stdout.splitlines():
            words = [word.split("=")[1] for word in entry.split() if word.startswith("src=")]
            if entry.count("dport=80 ") and len(words) == 2:
                found[words[0]] = words[1]
    assert len(found) == 2 * CLIENTS
    return found


def moved(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    assert before.keys() == after.keys()
    return [f"{client}: {before[client]} -> {after[client]}" for client in before if before[client] != after[client]]


@pytest.mark.parametrize(
    "translation",
    [
        "[isp-a, isp-b]",
        "{ uplinks: { isp-a: 3, isp-b: 1 } }",
        f"{{ pool: [{', '.join(map(_quoted, POOL))}], persistent: true }}",
        "{ pool: ['203.0.113.16/28', '2001:db8:a:1::10/124'], persistent: true }",
        "{ pool: ['203.0.113.16/28', '2001:db8:a:1::/64'], pick: client }",
    ],
)
def test_a_client_keeps_its_address_whatever_else_changes(
    crowd: Site, gateway: GatewayHost, translation: str
) -> None:
    gateway.apply(text(translation=translation))
    before = addresses(crowd)
    assert len(set(before.values())) > 2, "they are spread"
    for other in (
        text(translation=translation, line=ONE_MORE_LINE),
        text(translation=translation, forward=ONE_MORE_FORWARD),
        text(translation=translation),
    ):
        gateway.apply(other)
        assert moved(before, addresses(crowd)) == []
    gateway.down()
    crowd.gateway.run("conntrack", "-F")
    gateway.apply(text(translation=translation))
    assert moved(before, addresses(crowd)) == [], "as after a reboot: nothing is left that could remember"


def test_only_the_clients_of_a_failed_uplink_move_and_they_come_back(crowd: Site, gateway: GatewayHost) -> None:
    both = text(translation="[isp-a, isp-b]")
    gateway.apply(both)
    before = addresses(crowd)
    crowd.isps["isp-b"].host.ip("link set gwa down")
    gateway.apply(both)
    now = addresses(crowd)
    assert {before[c] for c in before if before[c] != now[c]} == {"198.51.100.2", "2001:db8:b::2"}
    crowd.isps["isp-b"].host.ip("link set gwa up", "addr add 2001:db8:b::1/64 dev gwa nodad")
    gateway.apply(both)
    assert moved(before, addresses(crowd)) == []
    assert crowd.leaks() == 0


def test_clients_keep_their_server_and_one_that_joins_takes_only_its_share(crowd: Site, gateway: GatewayHost) -> None:
    gateway.apply(text(translation="isp-a"))
    before = chosen(crowd, gateway)
    assert len(set(before.values())) == 6, "they are spread"
    gateway.apply(text(translation="isp-a", forward=ONE_MORE_FORWARD))
    assert moved(before, chosen(crowd, gateway)) == []
    gateway.apply(text(translation="isp-a", servers=SERVERS))
    after = chosen(crowd, gateway)
    assert {after[client] for client in after if after[client] != before[client]} <= {SERVERS[3], SERVERS[7]}
    gateway.apply(text(translation="isp-a"))
    assert moved(before, chosen(crowd, gateway)) == []


def test_a_daemon_that_is_started_again_moves_no_client(crowd: Site, gateway: GatewayHost, tmp_path: Path) -> None:
    directory = gateway.spec(text(translation="[isp-a, isp-b]"))
    daemon = Daemon(gateway.host, directory, tmp_path / "first.log")
    try:
        daemon.until("in sync")
        before = addresses(crowd)
        daemon.stop(signal.SIGKILL)
        daemon = Daemon(gateway.host, directory, tmp_path / "second.log")
        daemon.until("in sync")
        assert moved(before, addresses(crowd)) == []
    finally:
        daemon.stop()
