"""An uplink whose line is cut behind the provider's router: carrier and router stay, and probes see it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.command import Command
from tests.lab.daemon import Daemon
from tests.lab.net import until
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns

QUICK = "interval: 0.2, timeout: 0.2, down: 2, up: 2, holdDown: 1"


def probed(probes: str = "192.0.2.80", more: str = QUICK) -> str:
    """isp-a, and isp-b in an emergency; both have probes."""
    text = spec().replace("      default: true\n", "")
    text = text.replace("- name: everyone\n      as: isp-a", "- name: everyone\n      as: { first: [isp-a, isp-b] }")
    for interface in ("wan0", "wan1"):
        line = f"      interface: {interface}\n"
        assert line in text
        text = text.replace(line, f"{line}      health: {{ probes: [{probes}], {more} }}\n")
    return text + "  defaultUplink: { first: [isp-a, isp-b] }\n"


@pytest.fixture
def start(site: Site, gateway: GatewayHost, tmp_path: Path) -> Iterator[Callable[[str], Daemon]]:
    started: list[Daemon] = []

    def begin(text: str) -> Daemon:
        started.append(Daemon(site.gateway, gateway.spec(text), tmp_path / "log"))
        return started[-1]

    site.far.serve(443)
    yield begin
    for daemon in started:
        daemon.stop()
    assert site.leaks() == 0


def states(gateway: GatewayHost, text: str) -> dict[str, str]:
    """The uplinks' states, as `nvictl status` tells them."""
    status = json.loads(gateway.nvictl("status", gateway.spec(text), "-o", "json", check=False).stdout)
    return {uplink["name"]: "up" if uplink["health"] == "up" else "down" for uplink in status["uplinks"]}


def test_it_is_left_while_it_is_down_and_taken_again_when_it_is_back(
    site: Site, gateway: GatewayHost, start: Callable[[str], Daemon]
) -> None:
    text = probed()
    daemon = start(text)
    daemon.until("in sync", seconds=60)
    until(lambda: states(gateway, text) == {"isp-a": "up", "isp-b": "up"}, "both are up")
    assert site.client.connect(site.far.address, 443).seen == A
    with site.client.connect(site.far.address, 443, source_port=4000) as other:
        site.isps["isp-a"].cut()
        log = daemon.until("uplink isp-a: down", "in sync")
        assert "ping 192.0.2.80: no answer" in log
        assert site.client.connect(site.far.address, 443).seen == B
        assert site.gateway.connect(site.far.address, 443).seen == B
        assert site.client.connect(site.far.address6, 443).seen == B6
        assert states(gateway, text) == {"isp-a": "down", "isp-b": "up"}
        assert gateway.differences(text) == [], "what the daemon did is no drift"
        assert gateway.nvictl("drift", gateway.spec(text)).returncode == 0
        site.isps["isp-a"].mend()
        daemon.until("uplink isp-a: up", "in sync")
        assert other.again().seen == A
    assert site.client.connect(site.far.address, 443).seen == A
    assert site.client.connect(site.far.address6, 443).seen == A6


def test_a_restart_during_an_outage_moves_no_flow_to_the_dead_line(
    site: Site, gateway: GatewayHost, start: Callable[[str], Daemon], tmp_path: Path
) -> None:
    """The first reconcile of the new daemon comes before its first probe."""
    netns = ("--netns", gateway.host.netns)
    text = probed(more="interval: 0.2, timeout: 0.2, down: 2, up: 2, holdDown: 1000")
    daemon = start(text)
    daemon.until("in sync", seconds=60)
    until(lambda: states(gateway, text) == {"isp-a": "up", "isp-b": "up"}, "both are up")
    site.isps["isp-a"].cut()
    until(lambda: states(gateway, text)["isp-a"] == "down", "isp-a is down")
    daemon.until("leaves as isp-b", "in sync")
    daemon.stop()
    assert gateway.differences(text) == [], "without a daemon, too"
    applied = gateway.nvictl("apply", gateway.spec(text))
    assert "note: uplink isp-a: down for" in applied.stderr
    watch = Command(["status", str(gateway.spec(text)), "-w", "-o", "json", *netns], tmp_path / "watch")
    until(lambda: watch.text.count('"inSync"') > 1, "it looked several times", seconds=60)
    watch.send(signal.SIGKILL)
    watch.wait()
    assert watch.text.count("note: uplink isp-a: down for") == 1
    assert site.client.connect(site.far.address, 443).seen == B
    site.isps["isp-a"].mend()
    assert "created" not in start(text).until("in sync", seconds=60), "the kernel holds what it asks for"
    until(lambda: states(gateway, text)["isp-b"] == "up", "probes run")
    assert states(gateway, text)["isp-a"] == "down", "the hold-down goes on"
    assert site.client.connect(site.far.address, 443).seen == B


def test_an_uplink_whose_probes_are_taken_out_of_the_spec_is_held_down_by_none(
    site: Site, gateway: GatewayHost, start: Callable[[str], Daemon]
) -> None:
    """The probes may have been what was wrong."""
    text = probed("203.0.113.250")  # which no host has
    text = text.replace("203.0.113.250", "192.0.2.80", 2).replace("192.0.2.80", "203.0.113.250", 1)
    daemon = start(text)
    daemon.until("uplink isp-a: down", "in sync", seconds=60)
    assert site.client.connect(site.far.address, 443).seen == B
    gateway.spec("\n".join(line for line in text.splitlines() if "203.0.113.250" not in line) + "\n")
    daemon.until("uplink isp-a: up", "in sync")
    assert site.client.connect(site.far.address, 443).seen == A


def test_a_gateway_that_was_removed_begins_with_no_verdict(
    site: Site, gateway: GatewayHost, start: Callable[[str], Daemon]
) -> None:
    text = probed(more="interval: 0.2, timeout: 0.2, down: 2, up: 2, holdDown: 1000")
    daemon = start(text)
    daemon.until("in sync", seconds=60)
    until(lambda: states(gateway, text) == {"isp-a": "up", "isp-b": "up"}, "both are up")
    site.isps["isp-a"].cut()
    daemon.until("leaves as isp-b", "in sync")
    daemon.stop()
    gateway.nvictl("down", "--yes")
    site.isps["isp-a"].mend()
    gateway.nvictl("apply", gateway.spec(text))
    assert site.client.connect(site.far.address, 443).seen == A


def test_where_every_uplink_is_down_the_first_is_used_and_nothing_is_worse_than_without_probes(
    site: Site, gateway: GatewayHost, start: Callable[[str], Daemon]
) -> None:
    text = probed("203.0.113.250")  # which no host has
    daemon = start(text)
    daemon.until("uplink isp-a: down", "uplink isp-b: down", seconds=60)
    until(lambda: states(gateway, text) == {"isp-a": "down", "isp-b": "down"}, "both are down")
    assert site.client.connect(site.far.address, 443).seen == A
