"""`flowCache: auto` beside other firewalls: what has to see every packet sees every packet, and says so."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.daemon import Daemon
from tests.lab.net import until
from tests.lab.traffic import Flow
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

ON = spec("{ type: bpf, flowCache: auto }")
MANY = 60  # segments of a flow, of which a cache would hide all but the first few


def firewall(*rules: str, hook: str = "forward") -> str:
    """Of another program; the rules count in both passes, so they choose the first."""
    lines = "".join(f"{rule}\n" for rule in rules)
    return f"table inet fw {{\nchain c {{\ntype filter hook {hook} priority 0\n{lines}}}\n}}\n"


def notes(gateway: GatewayHost, text: str = ON) -> list[str]:
    plan = json.loads(gateway.nvictl("plan", gateway.spec(text), "-o", "json").stdout)
    return [note for note in plan["notes"] if note.startswith("flow cache")]


def fast(gateway: GatewayHost) -> int:
    """Packets that took neither pass."""
    groups = json.loads(gateway.nvictl("status", "-o", "json", check=False).stdout)["counters"]
    return int(groups.get("flow cache", {}).get("fast", 0))


def is_caching(gateway: GatewayHost) -> bool:
    groups = json.loads(gateway.nvictl("status", "-o", "json", check=False).stdout)["counters"]
    return "flow cache" in groups


@pytest.fixture
def flow(site: Site) -> Iterator[Callable[[], Flow]]:
    """Opens a flow from the client to the far server."""
    site.far.serve(443)
    opened: list[Flow] = []

    def connect() -> Flow:
        opened.append(site.client.connect(site.far.address, 443))
        return opened[-1]

    yield connect
    for each in opened:
        each.close()


def talk(flow: Flow, count: int = MANY) -> None:
    for _ in range(count):
        flow.again()


def counted(site: Site) -> int:
    """Packets that the firewall's rule saw."""
    listed = site.gateway.run("nft", "list", "table", "inet", "fw").stdout
    return sum(int(packets) for packets in re.findall(r"counter packets (\d+)", listed))


BLOCKING = {
    "counter": 'tcp dport 443 oifname "nvi0" counter',
    "limit": 'tcp dport 443 oifname "nvi0" counter limit rate 1000/second accept',
    "quota": 'tcp dport 443 oifname "nvi0" counter quota 100 mbytes accept',
    "log": 'tcp dport 443 oifname "nvi0" counter log group 77',
    "packet_match": 'tcp dport 443 oifname "nvi0" counter meta length 1-2000 accept',
    "rewrite": 'tcp dport 443 oifname "nvi0" counter ip dscp set cs1',
    "set_update": 'tcp dport 443 oifname "nvi0" counter update @seen { ip saddr timeout 60s }',
    "mark": 'tcp dport 443 oifname "nvi0" counter meta priority set numgen inc mod 3',
}


# What a note calls it.
WORDS = {
    **{reason: reason for reason in BLOCKING},
    "packet_match": "meta length",
    "rewrite": "ip dscp set",
    "set_update": "set",
    "mark": "meta priority set",
}


@pytest.mark.parametrize("reason", BLOCKING)
def test_a_rule_that_has_to_see_every_packet_does(
    site: Site, gateway: GatewayHost, flow: Callable[[], Flow], reason: str
) -> None:
    site.gateway.nft("table inet fw { set seen { type ipv4_addr; flags dynamic,timeout; }; }\n")
    site.gateway.nft(firewall(BLOCKING[reason]))
    gateway.apply(ON)
    assert any(re.search(rf"rule inet fw c handle \d+ \({WORDS[reason]}\)", note) for note in notes(gateway))
    assert not is_caching(gateway)
    opened = flow()
    before = counted(site)
    talk(opened)
    assert counted(site) >= before + MANY
    site.gateway.run("nft", "delete", "table", "inet", "fw")
    assert notes(gateway) == []
    gateway.apply(ON)
    talk(opened)
    assert fast(gateway) > 0


def test_rules_for_new_flows_see_every_new_flow(site: Site, gateway: GatewayHost, flow: Callable[[], Flow]) -> None:
    """A firewall that counts, limits and logs new flows loses nothing."""
    site.gateway.nft(
        firewall(
            "ct state established,related accept",
            "meta mark & 0x80000000 != 0 accept",
            "tcp dport 443 limit rate 1000/second counter log group 77 accept",
        )
    )
    gateway.apply(ON)
    assert notes(gateway) == []
    for _ in range(3):
        talk(flow())
    assert counted(site) == 3
    assert fast(gateway) > 0


def test_the_ingress_of_one_interface_blocks_that_one(site: Site, gateway: GatewayHost) -> None:
    site.gateway.nft("table netdev fw {\nchain c {\ntype filter hook ingress device wan1 priority 0\ncounter\n}\n}\n")
    gateway.apply(ON)
    (note,) = notes(gateway)
    assert note.startswith("flow cache: off at wan1: rule netdev fw c handle")
    site.gateway.run("nft", "delete", "table", "netdev", "fw")
    assert notes(gateway) == []


def test_settings_of_conntrack_block(site: Site, gateway: GatewayHost) -> None:
    site.gateway.write("net/netfilter/nf_conntrack_acct", "1")
    assert notes(gateway) == [
        "flow cache: off: nf_conntrack_acct is 1: it asks conntrack to count every packet; "
        "sysctl -w net.netfilter.nf_conntrack_acct=0"
    ]


def test_doctor_names_each_blocker_with_what_to_do(site: Site, gateway: GatewayHost) -> None:
    site.gateway.nft(firewall("counter", "log"))
    found = json.loads(gateway.nvictl("doctor", gateway.spec(ON), "-o", "json", check=False).stdout)["findings"]
    mine = [finding for finding in found if finding["topic"] == "flow-cache"]
    assert [finding["what"].partition(" (")[2].partition(")")[0] for finding in mine] == ["counter", "log"]
    for finding in mine:
        site.gateway.run("sh", "-c", finding["todo"][0])
    assert notes(gateway) == []


def test_the_service_follows_rules_that_come_and_go(
    site: Site, gateway: GatewayHost, flow: Callable[[], Flow], tmp_path: Path
) -> None:
    directory = tmp_path / "spec"
    directory.mkdir()
    (directory / "gateway.yaml").write_text(ON)
    daemon = Daemon(site.gateway, directory, tmp_path / "log")
    try:
        daemon.until("applied", seconds=30)
        opened = flow()
        until(lambda: (talk(opened, 20), fast(gateway) > 0)[1], "the flow is cached", seconds=20)
        site.gateway.nft(firewall(BLOCKING["counter"]))
        until(lambda: not is_caching(gateway), "the cache is off", seconds=40)
        before = counted(site)
        talk(opened)
        assert counted(site) >= before + MANY
        site.gateway.run("nft", "delete", "table", "inet", "fw")
        until(lambda: is_caching(gateway), "the cache is on again", seconds=40)
        until(lambda: (talk(opened, 20), fast(gateway) > 0)[1], "the flow is cached", seconds=20)
    finally:
        daemon.stop(signal.SIGKILL)
