"""doctor and what tc runs on the way of our packets: filters, and programs at tcx."""

from __future__ import annotations

import os
import socket

import pytest

from nvi_operator.doctor.survey import FilterFact
from nvi_operator.kernel.bpf import syscall, tcx
from nvi_operator.kernel.bpf.syscall import load_program
from nvi_operator.kernel.inspect.tc import filters_at
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.language.load.loader import load_texts
from tests.lab import GatewayHost, Lab, Site
from tests.lab.net import Host
from tests.netns.scenarios import spec as scenario
from tests.netns.surveyed import SPEC, findings, matter, surveyed

pytestmark = pytest.mark.netns


@pytest.fixture
def host(lab: Lab) -> Host:
    return surveyed(lab)


POLICER = "police rate 100mbit burst 100k conform-exceed"


@pytest.mark.parametrize(
    ("filter_", "writes"),
    [
        pytest.param("matchall action ok", True, id="ok"),
        pytest.param("matchall action reclassify", True, id="reclassify"),
        pytest.param("matchall action continue", False, id="continue"),
        pytest.param("matchall action drop", False, id="drop"),
        pytest.param("matchall action skbedit priority 1 pipe action ok", True, id="ok at the end"),
        pytest.param("matchall action skbedit priority 1 pipe action continue", False, id="continue at the end"),
        pytest.param("matchall action mirred egress redirect dev wan1", False, id="redirected"),
        pytest.param("protocol ip flower ip_proto tcp action pass", True, id="flower"),
        pytest.param("protocol ip flower ip_proto tcp action continue", False, id="flower that goes on"),
        pytest.param("protocol ip u32 match u32 0 0 flowid :1", True, id="no action"),
        pytest.param("protocol ip u32 match u32 0 0 action mirred egress redirect dev wan1", False, id="u32"),
        pytest.param(f"protocol ip u32 match u32 0 0 {POLICER} drop flowid :1", True, id="policer of old"),
        pytest.param(f"protocol ip u32 match u32 0 0 {POLICER} drop/continue flowid :1", False, id="told to go on"),
        pytest.param(f"matchall action {POLICER} drop/pipe action ok", True, id="policer and ok"),
        pytest.param(f"matchall action {POLICER} drop/pipe action continue", False, id="policer and continue"),
        pytest.param("matchall action csum ip pipe action continue", True, id="an action that is not known"),
        pytest.param("bpf bytecode '1,6 0 0 4294967295,' flowid :1", True, id="a program"),
    ],
)
def test_a_tc_filter_that_writes_over_our_tag(host: Host, filter_: str, writes: bool) -> None:
    host.run("tc", "qdisc", "add", "dev", "wan0", "clsact")
    made = host.run("sh", "-c", f"tc filter add dev wan0 ingress {filter_}", check=False)
    if made.returncode and any(what in made.stderr for what in ("classifier not found", "load TC action module")):
        pytest.skip("this kernel has no such filter")
    assert made.returncode == 0, made.stderr
    assert matter(findings(host, SPEC)) == ({("warning", "tc-filter")} if writes else set())
    assert matter(findings(host)) == set(), "without a spec wan0 is no uplink"


def test_what_such_a_filter_does(site: Site, gateway: GatewayHost) -> None:
    """With the other guards out of the way a packet goes round until its TTL ends."""
    text = scenario("{ type: bpf }", '  guards: { antiSpoof: "off" }\n')
    gateway.apply(text)
    site.gateway.nft("table inet vandal { chain c { type filter hook prerouting priority -500; meta mark set 5; }; }")
    site.client.pings(site.far.address, wait=0.3)
    assert gateway.counters()["reinjected"] == gateway.counters()["loop"] == 1
    site.gateway.run("tc", "qdisc", "replace", "dev", "lan0", "clsact")
    site.gateway.run("sh", "-c", "tc filter add dev lan0 ingress protocol ip u32 match u32 0 0 flowid :1")
    site.client.pings(site.far.address, wait=0.3)
    assert gateway.counters()["reinjected"] > 60
    spec = load_texts({"gateway.yaml": text.encode()}).spec
    assert ("warning", "tc-filter") in matter(findings(site.gateway, spec))


def test_tc_filters_are_looked_for_where_our_packets_pass(host: Host) -> None:
    host.ip("link add nvi0 group 79 type ifb", "link add other type bridge")
    for ifname in ("wan0", "nvi0", "other"):
        host.run("tc", "qdisc", "add", "dev", ifname, "clsact")
        for place in ("ingress", "egress"):
            host.run("sh", "-c", f"tc filter add dev {ifname} {place} protocol ip u32 match u32 0 0 flowid :1")
    told = [finding.what for finding in findings(host, SPEC) if finding.topic == "tc-filter"]
    assert [what.partition(":")[0] for what in told] == ["tc ingress of wan0", "tc egress of nvi0"]


def test_a_link_may_go_before_its_filters_are_listed(host: Host) -> None:
    def listed() -> list[FilterFact]:
        with Rtnetlink() as rtnetlink:
            return list(filters_at(rtnetlink, "gone", 9999, "ingress"))

    assert host.call(listed) == []


def test_tcx_programs_are_named(host: Host) -> None:
    """They run before tc filters, and so before the gateway's program."""
    host.ip("link add nvi0 type ifb", "link set nvi0 group 79")

    def attach(ifname: str, hook: tcx.Hook) -> None:
        program = load_program(syscall._SHORTEST, "passes")
        tcx.attach(socket.if_nametoindex(ifname), hook, program, "last", 0)
        os.close(program)

    assert matter(findings(host, SPEC)) == set()
    host.call(attach, "nvi0", "egress")
    host.call(attach, "wan0", "ingress")
    host.call(attach, "wan1", "egress")
    found = [f for f in findings(host, SPEC) if f.topic == "tcx-program"]
    heads = [f.what.partition(": runs")[0].partition(": packets")[0].rstrip("0123456789") for f in found]
    assert list(zip((f.level for f in found), heads, strict=True)) == [
        ("problem", "tcx egress of nvi0: passes "),
        ("warning", "tcx ingress of wan0: passes "),
        ("warning", "tcx egress of wan1: passes "),
    ]


def test_a_program_behind_the_gateways_guard_cannot_keep_it_from_running(site: Site, gateway: GatewayHost) -> None:
    gateway.apply(scenario())

    def attach(order: tcx.Order) -> None:
        ifindex = socket.if_nametoindex("lan0")
        program = load_program(syscall._SHORTEST, "passes")
        tcx.attach(ifindex, "ingress", program, order, tcx.programs(ifindex, "ingress").revision)
        os.close(program)

    def warned() -> bool:
        (found,) = (f for f in findings(site.gateway, SPEC) if f.topic == "tcx-program")
        return "as sources does not run" in found.what

    site.gateway.call(attach, "last")
    assert not warned()
    site.gateway.call(attach, "first")
    assert warned()
