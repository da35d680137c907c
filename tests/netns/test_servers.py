"""Servers behind a forward: one whose probes fail takes no new flows and its flows end, and the last one stays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.command import ROOT
from tests.lab.daemon import Daemon
from tests.lab.net import Host, until
from tests.netns.scenarios import A6, A, B, spec

pytestmark = pytest.mark.netns

PHONE, PROBED = 5060, 7
QUICK = f"by: tcp, port: {PROBED}, interval: 0.2, timeout: 0.2, down: 2, up: 2, holdDown: 0.5"


def farm(at: str, servers: str) -> str:
    return f"{{ at: {at}, ports: {PHONE}/udp, to: [{servers}], health: {{ {QUICK} }}, pick: round-robin }}"


SERVERS = '192.168.1.80, 192.168.1.10, "fd00:1::80", "fd00:1::10"'
FARM = spec().replace("  forwards:\n", f"  forwards:\n    farm: {farm('isp-a', SERVERS)}\n")
Start = Callable[[Site, GatewayHost, str], Daemon]


def refuse(host: Host, *, family: str = "inet", again: bool = False) -> None:
    """Its probed port is closed, and what it serves goes on."""
    if again:
        host.nft(f"delete table {family} closed")
    else:
        chain = f"type filter hook input priority 0; tcp dport {PROBED} reject with tcp reset;"
        host.nft(f"table {family} closed {{ chain c {{ {chain} }}; }}")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[tuple[Site, Daemon]] = []

    def begin(site: Site, gateway: GatewayHost, text: str) -> Daemon:
        """A daemon, once all servers are up."""
        for host in site.lab.hosts.values():
            if host.name.endswith(("client", "server")):
                host.serve(PHONE, protocol="udp")
                host.serve(PROBED)
        started.append((site, Daemon(site.gateway, gateway.spec(text), tmp_path / "log")))
        daemon = started[-1][1]
        daemon.until("in sync", seconds=60)
        until(lambda: {state for state, _ in states(gateway, text).values()} == {"up"}, "all servers are up")
        return daemon

    yield begin
    for site, daemon in started:
        daemon.stop()
        assert site.leaks() == 0


def states(gateway: GatewayHost, text: str) -> dict[tuple[str, str], tuple[str, bool]]:
    status = json.loads(gateway.nvictl("status", gateway.spec(text), "-o", "json", check=False).stdout)
    return {(s["forward"], s["server"]): (s["state"], s["takesFlows"]) for s in status["servers"]}


def seen(site: Site, public: str) -> set[str]:
    """The hosts that answer four new flows."""
    found = set()
    for _ in range(4):
        with site.far.connect(public, PHONE, protocol="udp") as flow:
            found.add(flow.by)
    return found


def test_it_is_taken_out_and_put_back_and_the_last_one_stays(site: Site, gateway: GatewayHost, start: Start) -> None:
    daemon = start(site, gateway, FARM)
    assert seen(site, A) == seen(site, A6) == {"server", "client"}
    calls = [site.far.connect(A, PHONE, protocol="udp") for _ in range(2)]
    (call,) = (call for call in calls if call.by == "server")
    (other,) = (call for call in calls if call.by == "client")

    refuse(site.server, family="ip")
    refused = "tcp 192.168.1.80:7: Connection refused"
    daemon.until(f"server 192.168.1.80: down: {refused}", f"server 192.168.1.80 is down: {refused}: 3 flows stranded")
    assert (call.again().by, other.again().by) == ("client", "client")
    assert (seen(site, A), seen(site, A6)) == ({"client"}, {"server", "client"})
    assert states(gateway, FARM)["farm", "192.168.1.80"] == ("down", False)
    assert gateway.nvictl("drift", gateway.spec(FARM)).returncode == 0, "what the daemon did is no drift"

    refuse(site.client, family="ip")
    log = daemon.until("server 192.168.1.10: down", "it stays, because none works")
    assert "server 192.168.1.10 is down" not in log, "its flows have nowhere else to go"
    assert (call.again().by, seen(site, A)) == ("client", {"client"})

    refuse(site.server, family="ip", again=True)
    daemon.until("server 192.168.1.80: up", "server 192.168.1.10 is down", "stranded")
    assert seen(site, A) == {"server"}
    refuse(site.client, family="ip", again=True)
    daemon.until("server 192.168.1.10: up", "in sync")
    assert seen(site, A) == {"server", "client"}


def test_a_tenants_server_is_asked_and_not_the_one_of_another_with_the_same_address(
    tenant_site: Site, start: Start
) -> None:
    site, gateway = tenant_site, GatewayHost(tenant_site.gateway)
    text = (ROOT / "examples/tenants/gateway.yaml").read_text()
    for tenant, uplink in (("red", "isp-a"), ("blue", "isp-b")):
        entry = farm(uplink, "192.168.1.80, 192.168.1.10").replace("{", f"{{ tenant: {tenant},", 1)
        text = text.replace(f"    {tenant}-web:\n", f"    {tenant}-farm: {entry}\n    {tenant}-web:\n")
    daemon = start(site, gateway, text)
    refuse(site["red-server"])
    daemon.until("forward red-farm: server 192.168.1.80: down", "in sync")
    assert [name for name, (state, _) in states(gateway, text).items() if state == "down"] == [
        ("red-farm", "192.168.1.80")
    ]
    assert seen(site, A) == {"red-client"}
    assert seen(site, B) == {"blue-client", "blue-server"}
