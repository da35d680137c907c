"""A table that a newer nft made, and that kills an older libnftables (1.0.6: segmentation fault).

It dies of reading such a map, and it reads the maps of all tables before it changes a rule. So rules cannot be
changed there, which the error tells; everything else keeps working.
"""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.daemon import Daemon
from tests.netns.scenarios import A, spec

pytestmark = pytest.mark.netns

# What nft 1.1.3 sends for: add table ip other; add map ip other m { type ipv4_addr : interval ipv4_addr;
# flags interval; elements = { 10.0.0.0/8 : 192.168.0.0/16 } }
_BATCH = bytes.fromhex(
    """
    14000000 10000100 00000000 00000000 0000000a
    28000000 000a0100 01000000 00000000 02000000 0a000100 6f746865 72000000 08000200 00000000
    84000000 090a0104 02000000 00000000 02000000 0a000100 6f746865 72000000 06000200 6d000000 08000300 0000000c
    08000400 00000007 08000500 00000004 08000600 00000007 08000700 00000008 08000a00 00000001 2a000d00 00040200
    00000104 02000000 03080004 04000000 01000408 00040400 00000100 06040100 00000000
    84000000 0c0a0104 03000000 00000000 02000000 0a000100 6f746865 72000000 06000200 6d000000 08000400 00000001
    54000380 18000180 08000300 00000001 0c000180 08000100 00000000 20000280 0c000180 08000100 0a000000 10000280
    0c000100 c0a80000 c0a8ffff 18000380 08000300 00000001 0c000180 08000100 0b000000
    14000000 11000100 04000000 00000000 0000000a
    """
)
_NETLINK_NETFILTER = 12


@pytest.fixture
def foreign(site: Site, gateway: GatewayHost, spec_file: Path) -> bool:
    """A gateway, and the table beside it. Does the nft of this machine survive it?"""
    site.far.serve(443)
    site.server.serve(8443)
    gateway.nvictl("apply", spec_file)

    def send() -> None:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as made:
            made.bind((0, 0))
            made.send(_BATCH)

    site.gateway.call(send)
    listed = site.gateway.run("nft", "list", "ruleset", check=False)
    assert "192.168.0.0/16" in listed.stdout or listed.returncode in (-signal.SIGSEGV, 128 + signal.SIGSEGV)
    return listed.returncode == 0


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.yaml"
    file.write_text(spec(more=_forward(9443)))
    return file


def _forward(port: int) -> str:
    return f"    alt: {{at: isp-a, ports: {port}/tcp, to: 192.168.1.80:8443}}\n"


def test_it_is_seen_that_all_is_well(site: Site, gateway: GatewayHost, foreign: bool, spec_file: Path) -> None:
    assert gateway.nvictl("plan", spec_file, "--detailed-exitcode").returncode == 0
    assert gateway.nvictl("drift", spec_file).returncode == 0
    assert "as the spec says" in gateway.nvictl("status", spec_file).stdout
    assert gateway.nvictl("apply", spec_file).returncode == 0
    assert site.client.connect(site.far.address, 443).seen == A


def test_forwards_are_added_and_removed_and_all_but_rules_is_healed(
    site: Site, gateway: GatewayHost, foreign: bool, spec_file: Path, tmp_path: Path
) -> None:
    daemon = Daemon(site.gateway, spec_file, tmp_path / "log")
    try:
        daemon.until("in sync")
        spec_file.write_text(spec(more=_forward(9444)))
        daemon.until("9444", "in sync")
        assert site.far.connect(A, 9444).by == "server"
        site.gateway.run("ip", "rule", "del", "pref", "1010", "iif", "lan0")
        daemon.until("healed")
    finally:
        assert daemon.stop() == 0
    assert gateway.differences(spec_file) == []
    assert site.leaks() == 0


def test_rules_are_changed_or_reported_as_impossible_to_change(
    site: Site, gateway: GatewayHost, foreign: bool, spec_file: Path
) -> None:
    text = spec_file.read_text()
    spec_file.write_text(text.replace("as: isp-a", "as: isp-b", 1))
    done = gateway.nvictl("apply", spec_file, check=False)
    if foreign:
        assert done.returncode == 0
        return
    assert done.returncode == 1
    assert "libnftables died of SIGSEGV" in done.stderr
    assert "nvictl doctor says which" in done.stderr
    output = gateway.nvictl("doctor", spec_file, check=False).stdout
    assert "nft list table ip other: nft ended with SIGSEGV" in output
    spec_file.write_text(text)
    assert gateway.differences(spec_file) == [], "nothing changed"
    assert site.client.connect(site.far.address, 443).seen == A
    site.gateway.run("nft", "delete", "table", "ip", "other", check=False)
    assert site.leaks() == 0
