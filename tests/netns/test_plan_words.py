"""An edit, and a change by another process, in the words of the spec: in commands and in the log."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.daemon import Daemon
from tests.lab.net import until
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

DELETED = "nft delete element inet nvi dnat_port_4 { 203.0.113.2 . tcp . 443 }"
UNRULED = "ip rule del pref 1600 from 198.51.100.2"


@pytest.fixture
def spec_file(gateway: GatewayHost) -> Path:
    return Path(gateway.spec(spec()))


@pytest.fixture
def daemon(site: Site, spec_file: Path, tmp_path: Path) -> Iterator[Daemon]:
    started = Daemon(site.gateway, spec_file, tmp_path / "log")
    started.until("in sync")
    yield started
    started.stop(signal.SIGKILL)


def test_a_first_apply_fits_a_screen_and_names_every_uplink(gateway: GatewayHost, spec_file: Path) -> None:
    done = gateway.nvictl("apply", spec_file)
    lines = (done.stdout + done.stderr).splitlines()
    assert sum(1 + (len(line) - 1) // 80 for line in lines) <= 24
    assert any(line.startswith("+ uplink isp-a: new: next hops 203.0.113.1") for line in lines)
    assert any(line.startswith("+ uplink isp-b: new: next hops 198.51.100.1") for line in lines)


def test_drift_names_the_entry_that_no_longer_works(site: Site, gateway: GatewayHost, spec_file: Path) -> None:
    gateway.nvictl("apply", spec_file)
    for command in (DELETED, UNRULED):
        site.gateway.run(*command.split())
    shown = gateway.nvictl("drift", spec_file, check=False).stdout.splitlines()
    assert "~ uplink isp-b: 1 ip rule missing (address 198.51.100.2)" in shown
    assert any("forward web: 443/tcp on isp-a does not go to 192.168.1.80" in line for line in shown)
    planned = gateway.nvictl("plan", spec_file).stdout
    assert "forward web: 443/tcp on isp-a now goes to 192.168.1.80" in planned
    assert "dnat_port_4" not in planned
    assert "203.0.113.2 . tcp . 443" in gateway.nvictl("plan", spec_file, "--kernel").stdout
    data = json.loads(gateway.nvictl("plan", spec_file, "-o", "json").stdout)
    named = {(entry["section"], entry["name"]): entry["steps"] for entry in data["entries"]}
    kinds = {key: {data["steps"][number]["kind"] for number in steps} for key, steps in named.items()}
    assert kinds == {("forwards", "web"): {"nft-table"}, ("uplinks", "isp-b"): {"fib-rule"}}


def test_the_log_names_the_entry_and_who_changed_it(site: Site, daemon: Daemon) -> None:
    """A reconcile that is under way already may see the change before it hears of it: then no process is named."""
    for command, name, entry in (
        (DELETED, "nft", "forward web: 443/tcp on isp-a does not go to 192.168.1.80"),
        (UNRULED, "ip", "uplink isp-b: 1 ip rule missing (address 198.51.100.2)"),
    ):

        def named(command: str = command, name: str = name, entry: str = entry) -> bool:
            site.gateway.run(*command.split())
            text = daemon.until("healed")
            assert entry in text
            return f"drift by {name} (pid" in text

        until(named, f"{name} is named")


def test_the_log_names_the_entry_that_an_edit_changed(spec_file: Path, daemon: Daemon) -> None:
    saved = spec_file if spec_file.is_file() else next(spec_file.glob("*.yaml"))
    saved.write_text(spec(more="  static: { dmz: { address: 192.168.1.10, as: 203.0.113.17 } }\n"))
    assert "+ static dmz: new: 192.168.1.10 is known as 203.0.113.17" in daemon.until("in sync")
    saved.write_text(spec())
    assert "- static dmz: removed: 192.168.1.10 was known as 203.0.113.17" in daemon.until("in sync")
