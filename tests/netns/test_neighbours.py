"""A gateway beside programs that work on the same objects: what they make is seen, and never taken for owned."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest

from nvi_operator.kernel.bpf import syscall, tcx
from tests.lab import GatewayHost, Site
from tests.netns.scenarios import A, spec

pytestmark = pytest.mark.netns

TCX_PASS, TCX_NEXT = 0, -1


@pytest.fixture
def spec_file(site: Site, gateway: GatewayHost, tmp_path: Path) -> Path:
    file = tmp_path / "gateway.yaml"
    file.write_text(spec())
    site.far.serve(443)
    gateway.nvictl("apply", file)
    return file


def attach(verdict: int) -> None:
    """A program at the tcx egress of nvi0: r0 = verdict; exit."""
    code = struct.pack("=BBhi", 0xB7, 0, 0, verdict) + struct.pack("=BBhi", 0x95, 0, 0, 0)
    program = syscall.load_program(code, "theirs")
    tcx.attach(socket.if_nametoindex("nvi0"), "egress", program, "last", 0)
    os.close(program)


def test_a_tcx_program_at_the_device_is_named(site: Site, gateway: GatewayHost, spec_file: Path) -> None:
    """A filter that lets packets continue is harmless; behind one that passes them the gateway's own never runs."""
    site.gateway.call(attach, TCX_NEXT)
    assert site.client.connect(site.far.address, 443).seen == A
    site.gateway.call(attach, TCX_PASS)
    assert not site.client.pings(site.far.address)
    assert site.leaks() == 0
    plan = gateway.nvictl("plan", spec_file)
    assert "tcx egress has theirs" in plan.stdout + plan.stderr
    assert "tcx-program" in gateway.nvictl("doctor", spec_file, check=False).stdout


def test_a_rule_with_a_word_more_does_not_stand_for_an_owned_one(
    site: Site, gateway: GatewayHost, spec_file: Path
) -> None:
    """It has the gateway's protocol number, so it is drift and is deleted; the owned one stays."""
    owned = (
        site.gateway.run("ip", "-N", "rule", "list", "pref", "1010", "iif", "lan0").stdout.split(":", 1)[1].split()
    )
    site.gateway.run("ip", "rule", "add", "pref", "1010", "ipproto", "tcp", *owned, check=False)
    site.gateway.run("ip", "rule", "del", "pref", "1010", *owned, check=False)
    before = site.gateway.run("ip", "-N", "rule", "list", "pref", "1010").stdout
    assert "ipproto" in before
    gateway.nvictl("apply", spec_file)
    after = site.gateway.run("ip", "-N", "rule", "list", "pref", "1010").stdout
    assert "ipproto" not in after
    assert gateway.differences(spec_file) == []
    assert site.client.connect(site.far.address, 443).seen == A


def test_an_alternative_name_is_refused_with_the_name(site: Site, gateway: GatewayHost, spec_file: Path) -> None:
    site.gateway.ip("link property add dev wan0 altname enp5s0")
    spec_file.write_text(spec().replace("wan0", "enp5s0"))
    for command in ("plan", "apply"):
        refused = gateway.nvictl(command, spec_file, check=False)
        assert refused.returncode == 1
        assert "enp5s0: an alternative name of wan0" in refused.stderr
        assert "write wan0 in the spec" in refused.stderr
    assert site.client.connect(site.far.address, 443).seen == A


def test_a_port_of_a_bridge_is_named_in_the_plan(site: Site, gateway: GatewayHost, spec_file: Path) -> None:
    site.gateway.ip("link add br9 type bridge", "link set wan0 master br9", "link set br9 up")
    plan = gateway.nvictl("plan", spec_file)
    assert "wan0: is a port of br9" in plan.stdout + plan.stderr
    assert "wan0 is a port of bridge br9" in gateway.nvictl("doctor", spec_file, check=False).stdout


def test_policy_routes_before_the_gateways_leak_nothing_and_are_named(
    site: Site, gateway: GatewayHost, spec_file: Path
) -> None:
    """As FRR's pbrd makes them of a pbr-map with two sequences on the inside interface."""
    site.gateway.ip(
        "route add default via 203.0.113.1 dev wan0 table 10000 proto 195 metric 20",
        "rule add pref 309 from 192.168.1.0/24 iif lan0 ipproto tcp lookup 10000 protocol zebra",
        "rule add pref 319 to 10.0.0.0/8 iif lan0 lookup 10000 protocol zebra",
    )
    with pytest.raises(AssertionError):
        site.client.connect(site.far.address, 443)
    assert site.client.pings(site.far.address), "what no such rule takes goes on as before"
    assert site.leaks() == 0
    named = [
        line for line in gateway.nvictl("doctor", spec_file, check=False).stdout.splitlines() if "rule-before" in line
    ]
    assert ["pref 309" in named[0], "pref 319" in named[1]] == [True, True]
    site.gateway.ip("rule del pref 309", "rule del pref 319")
    assert site.client.connect(site.far.address, 443).seen == A
