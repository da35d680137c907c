"""`nvictl simulate`: a spec is tried in namespaces of its own, and the host is as it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from nvi_operator.cli import main
from nvi_operator.experiment.outcome import Tried
from nvi_operator.experiment.services import response
from nvi_operator.kernel.bpf.egress import EGRESS
from nvi_operator.simulate import health
from nvi_operator.simulate.health import ask
from nvi_operator.simulate.simulation import SimulatedGateway, try_out
from tests.lab.command import ROOT
from tests.lab.net import until
from tests.lab.simulated import apart, in_gateway
from tests.netns.losses import detach

pytestmark = pytest.mark.netns

EXAMPLES = ("nptv6-two-isps", "overlapping-sites", "partner-link", "public-pool", "tenants")
# What examples have not: leases, a delegated prefix, a tunnel without a router, two uplinks on one wire, announced
# addresses, a single host behind an interface, an order of uplinks, own routes, protocols, rules by DSCP and port.
WIDE = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: wide }
spec:
  interfaces:
    lan0: { networks: [192.168.1.0/24, 10.9.9.9], delegated: { from: cable, subnet: 1 } }
    dmz0.5: { networks: [10.1.0.0/24, fd00:2::/64] }
  uplinks:
    cable: { interface: eth1, nextHop: auto, delegated: auto, default: true }
    lte: { interface: wwan0, nextHop: auto }
    vpn: { interface: wg0, addresses: 10.99.0.2 }
    a:
      { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, routed: 203.0.113.64/27, announce: true,
        health: { probes: [192.0.2.7, tcp: "192.0.2.7:443", dns: 192.0.2.7, http: http://192.0.2.7:8080/up] } }
    b: { interface: wan0, nextHop: 198.51.100.1, addresses: 198.51.100.2, health: 192.0.2.7 }
  sourceNat:
    - { name: site, to: 10.50.0.0/16, as: vpn }
    - { name: to-dmz, to: 10.1.0.0/24, from: 192.168.1.0/28, as: { pool: 10.1.0.1 } }
    - { name: host, from: 192.168.1.5, as: b }
    - { name: pool, from: 192.168.1.32/28, as: { pool: 203.0.113.64/28, overload: false } }
    - { name: dmz, in: dmz0.5, as: { first: [lte, cable] } }
    - { name: rest, as: cable }
  forwards:
    web: { at: [a, b], ports: [80/tcp, 8000-8003/tcp], to: 10.1.0.80, except: 192.0.2.0/24 }
    farm: { at: 203.0.113.65, ports: 443/tcp, to: { 10.1.0.81: 2, 10.1.0.82: 1 }, health: http }
    voice: { at: cable, ports: 5060/udp, dscp: ef, to: 192.168.1.6 }
    ike: { at: cable, ports: 500/udp, fromPorts: 500/udp, to: 192.168.1.7 }
    tunnel: { at: cable, protocol: [gre, esp], to: 192.168.1.7 }
    sctp: { at: cable, ports: 3868/sctp, to: 192.168.1.7 }
    marked: { at: cable, ports: 5070/udp, mark: 0x10, to: 192.168.1.6 }
    all: { at: lte, to: 10.1.0.9 }
  static:
    net: { address: 10.1.0.128/28, as: 203.0.113.80/28 }
  redirects:
    dns: { ports: [53/udp, 53/tcp], to: self }
  routes:
    - { name: far, to: 192.0.2.128/25, via: lte }
    - { name: as-a, from: 203.0.113.2, via: a }
"""
ASSERTING = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: edge }
spec:
  interfaces: { lan0: { networks: 192.168.1.0/24 }, dmz0: { networks: 10.1.0.0/24 } }
  uplinks:
    isp-a: { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, default: true }
    isp-b: { interface: wan1, nextHop: 198.51.100.1, addresses: 198.51.100.2 }
  sourceNat: [{ name: dmz, in: dmz0, as: isp-b }, { name: all, as: isp-a }]
  forwards:
    web: { at: isp-a, ports: 443/tcp, to: "192.168.1.80:8443" }
    ssh: { at: isp-b, ports: 2222/tcp, to: "10.1.0.5:22" }
  assert:
    - { name: dmz-by-b, from: 10.1.0.0/24, to: outside, by: isp-b, as: 198.51.100.2 }
    - { name: no-ssh, from: outside, to: inside, never: 22/tcp }
    - { name: web, from: outside, at: isp-a, ports: 443/tcp, reaches: "192.168.1.80:8443" }
    - { name: lan-dmz, from: 192.168.1.0/24, to: 10.1.0.0/24, never: all }
    - { name: web-only, from: outside, to: 192.168.1.80, only: 8443/tcp }
    - { name: no-ping, from: outside, to: inside, never: icmp }
    - { name: own, from: self, to: outside, by: isp-a }
"""


def told(tried: Tried) -> dict[str, Any]:
    return {
        "laws": sorted({result.probe.law for result in tried.results}),
        "problems": [f"{r.probe.entry}: {r.probe.what}: {p}" for r in tried.failed for p in r.problems],
        "left_out": {name for each in tried.sampled for name, _ in each.left_out},
    }


def plain(tried: Tried) -> dict[str, Any]:
    found = told(tried)
    return {**found, "left_out": sorted(found["left_out"])}


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_passes(example: str, tmp_path: Path) -> None:
    found = in_gateway(
        ROOT / "examples" / example, tmp_path, lambda gateway: plain(try_out(gateway, 100, explain=True))
    )
    assert found["problems"] == []
    assert found["left_out"] == []


def test_a_spec_with_nearly_everything_passes_and_what_cannot_be_tried_is_named(tmp_path: Path) -> None:
    (tmp_path / "wide.yaml").write_text(WIDE)
    found = in_gateway(tmp_path / "wide.yaml", tmp_path, lambda gateway: plain(try_out(gateway, 100, explain=True)))
    assert found["problems"] == []
    assert found["left_out"] == ["marked"]
    assert found["laws"] == [
        "1:1 NAT",
        "explain",
        "forwards",
        "hairpin",
        "health probes",
        "inside networks",
        "redirects",
        "source NAT",
        "the gateway itself",
    ]


def test_flows_leave_by_the_next_uplink_where_the_probes_of_one_get_no_answer(tmp_path: Path) -> None:
    def ways(gateway: SimulatedGateway) -> dict[str, Any]:
        tried = try_out(gateway, 100, explain=True)
        seen = {f"{r.probe.law}: {r.probe.entry}": r.arrived.uplink for r in tried.results if r.arrived}
        return {**plain(tried), "states": [u.health.state for u in gateway.topology.uplinks], "ways": seen}

    found = in_gateway(ROOT / "examples/failover", tmp_path, ways, down=["isp-a"])
    assert found["problems"] == []
    assert found["states"] == ["down", "up"]
    assert found["ways"]["health probes: isp-a"] == "isp-a"
    for flow in (
        "inside networks: lan0 192.168.1.0/24",
        "inside networks: lan0 fd00:1::/64",
        "the gateway itself: IPv4",
    ):
        assert found["ways"][flow] == "isp-b"


SHARED_ROUTER = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata: {name: shared}
spec:
  interfaces: {lan0: {networks: 192.168.1.0/24}}
  uplinks:
    isp-a: {interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, health: {probes: [ping: 192.0.2.9]}}
    isp-b: {interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.3, health: {probes: [ping: 192.0.2.9]}}
  defaultUplink: isp-a
  sourceNat: [{name: mail, from: 192.168.1.25, as: isp-b}, {name: everyone, as: {first: [isp-a, isp-b]}}]
  forwards: {web: {at: [isp-a, isp-b], ports: 443/tcp, to: "192.168.1.80:8443"}}
"""


def test_of_uplinks_with_one_router_that_one_is_taken_which_has_the_source(tmp_path: Path) -> None:
    (tmp_path / "shared.yaml").write_text(SHARED_ROUTER)
    found = in_gateway(tmp_path / "shared.yaml", tmp_path, lambda gateway: plain(try_out(gateway, 100, explain=True)))
    assert found["problems"] == []


def test_of_uplinks_with_one_router_one_may_get_no_answer(tmp_path: Path) -> None:
    def ways(gateway: SimulatedGateway) -> dict[str, Any]:
        seen = {r.probe.entry: r.arrived.uplink for r in try_out(gateway, 100).results if r.arrived}
        return {**seen, "states": [u.health.state for u in gateway.topology.uplinks]}

    (tmp_path / "shared.yaml").write_text(SHARED_ROUTER)
    found = in_gateway(tmp_path / "shared.yaml", tmp_path, ways, down=["isp-a"])
    assert found["states"] == ["down", "up"]
    assert (found["everyone"], found["mail"]) == ("isp-b", "isp-b")


def test_a_probe_that_gets_no_answer_fails(tmp_path: Path) -> None:
    """A foreign rule drops what the gateway itself sends by TCP."""

    def broken(gateway: SimulatedGateway) -> list[str]:
        table = "table inet other { chain out { type filter hook output priority 0; meta l4proto tcp drop; }; }"
        subprocess.run(["nft", table], check=True)
        asked = ask(gateway.spec, gateway.topology, {end.wire.ifname: end for end in gateway.ends}, ())
        return [f"{r.probe.entry}: {r.probe.what}: {problem}" for r in asked.results for problem in r.problems]

    problems = in_gateway(ROOT / "examples/failover", tmp_path, broken)
    assert problems == ["isp-a: tcp 192.0.2.200:443: expected at isp-a: nothing arrived"]


def test_a_probe_may_take_long_on_a_busy_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is answered 1.2 s after it was sent: more than the second that a spec gives it."""
    began = time.monotonic()

    def late(question: bytes) -> bytes | None:
        until(lambda: time.monotonic() > began + 1.2, "the time is over")
        return response(question)

    def busy(gateway: SimulatedGateway) -> list[str]:
        nonlocal began
        began = time.monotonic()
        monkeypatch.setattr(health, "response", late)
        asked = ask(gateway.spec, gateway.topology, {end.wire.ifname: end for end in gateway.ends}, ())
        return [f"{r.probe.entry}: {r.probe.what}: {problem}" for r in asked.results for problem in r.problems]

    assert in_gateway(ROOT / "examples/failover", tmp_path, busy) == []


def test_assertions_are_held_against_the_packets_that_were_sent(tmp_path: Path) -> None:
    (tmp_path / "edge.yaml").write_text(ASSERTING)
    found = in_gateway(tmp_path / "edge.yaml", tmp_path, lambda gateway: plain(try_out(gateway, 100)))
    assert {problem.partition(":")[0] for problem in found["problems"]} == {"no-ssh", "lan-dmz"}
    assert any("arrives at dmz0 as 192.0.2.80:" in problem for problem in found["problems"])
    assert found["left_out"] == []


def test_a_gateway_without_its_table_fails_and_says_what_happened(tmp_path: Path) -> None:
    def broken(gateway: SimulatedGateway) -> dict[str, Any]:
        subprocess.run(["nft", "delete", "table", "inet", "nvi"], check=True)
        return plain(try_out(gateway, 100))

    problems = "\n".join(in_gateway(ROOT / "examples/hairpin", tmp_path, broken)["problems"])
    assert "192.168.1.10 to the Internet: expected at isp-a: nothing arrived" in problems
    assert "web: the Internet to 203.0.113.2 443/tcp by isp-a: expected at lan0: " in problems


def test_a_source_that_leaves_untranslated_fails(tmp_path: Path) -> None:
    """A foreign rule takes the packets away from the gateway."""

    def broken(gateway: SimulatedGateway) -> dict[str, Any]:
        rule = ["ip", "rule", "add", "pref", "1", "iif", "lan0", "lookup", "main"]
        subprocess.run(rule, check=True)
        for command in ("delete table inet nvi", "flush ruleset"):
            subprocess.run(["nft", *command.split()], check=False)
        detach(EGRESS, "wan0")
        return plain(try_out(gateway, 100))

    problems = "\n".join(in_gateway(ROOT / "examples/hairpin", tmp_path, broken)["problems"])
    assert "expected the source 203.0.113.2: it was 192.168.1.10" in problems
    assert "of no connection: expected to be dropped, and left by isp-a (wan0) as 192.168.1.10" in problems


# --------------------------------------------------------------------------- the command

DUAL_WAN = str(ROOT / "examples/dual-wan")


LOOKS = (
    ["ip", "-j", "addr"],
    ["ip", "-j", "route", "show", "table", "all"],
    ["ip", "-j", "rule"],
    ["nft", "list", "ruleset"],
    ["ip", "netns"],
    ["find", "/run", "/var/lib/nvi-operator", "-printf", r"%p %i %T@\n"],
    ["sysctl", "-a", "--pattern", "^net.ipv[46].(ip_forward|conf)"],
    ["grep", "-v", " nsfs ", "/proc/self/mounts"],  # others name and remove namespaces meanwhile
)


def looked() -> list[str]:
    """The host, as far as a gateway could change it."""
    return [subprocess.run(look, capture_output=True, text=True, check=False).stdout for look in LOOKS]


def others() -> list[str]:
    """Processes in the PID namespace of this test, but itself, which is the first: orphans become its children."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return [name for name in os.listdir("/proc") if name.isdecimal() and int(name) != os.getpid()]


def command(*arguments: str, stdin: int = 0, stdout: int = 1, stderr: int = 2) -> int:
    """The process of `nvictl simulate`: a fork, which has all imports."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, stream in enumerate((stdin, stdout, stderr)):
            os.dup2(stream, number)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        code = main(["simulate", *arguments])
        sys.stdout.flush()
        os._exit(code)
    return pid


def test_the_host_is_as_it_was(tmp_path: Path) -> None:
    report, capture, output = tmp_path / "report.xml", tmp_path / "wires.pcapng", tmp_path / "output.json"

    def use() -> object:
        before = looked()
        with output.open("w") as file:
            options = ("--junit", str(report), "--pcap", str(capture), "-o", "json")
            pid = command(DUAL_WAN, *options, stdout=file.fileno())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return before, looked(), code

    before, after, code = apart(tmp_path, use)
    assert before == after
    assert code == 0
    results = json.loads(output.read_text())["results"]
    assert {"192.168.1.10", "fd00:1::a"} <= {word for result in results for word in result["what"].split()}
    cases = ElementTree.parse(report).getroot().findall("testsuite/testcase")
    assert len(cases) == len(results)
    assert b"wan1" in capture.read_bytes()[:200]


def test_explain_in_the_shell_knows_the_gateway_and_the_spec(tmp_path: Path) -> None:
    def ask() -> object:
        (asked, ask), output = os.pipe(), tmp_path / "output"
        with output.open("w") as file:
            pid = command(DUAL_WAN, "--most", "0", "--shell", stdin=asked, stdout=file.fileno())
        os.write(ask, b"nvictl explain --live -i lan0 tcp 192.168.1.10 to 192.0.2.80:443\nexit\n")
        os.waitpid(pid, 0)
        return output.read_text()

    told = apart(tmp_path, ask)
    assert "gateway edge: as this host is now; names by revision 1" in told
    assert "sourceNat everyone (gateway.yaml:28)" in told
    assert "leaves by wan0 (uplink isp-a) to the next hop 203.0.113.1" in told


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_however_it_ends(number: signal.Signals, tmp_path: Path) -> None:
    """With a shell that waits, and programs that it has started in the background."""

    def kill() -> object:
        before = looked()
        (asked, ask), (told, tell) = os.pipe(), os.pipe()
        pid = command(DUAL_WAN, "--most", "0", "--shell", stdin=asked, stdout=tell)
        os.write(ask, b"sleep 1000 & lan0 sleep 1000 & echo ready\n")
        with open(told) as lines:
            assert any(line.strip() == "ready" for line in lines)
        os.kill(pid, number)
        os.waitpid(pid, 0)
        until(lambda: not others(), "no process is left", seconds=10)
        return before, looked()

    before, after = apart(tmp_path, kill)
    assert before == after


def test_a_wrong_spec_has_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("apiVersion: nvi-operator/v1\nkind: Gateway\nmetadata: {name: x}\nspec: {uplinks: 1}\n")
    assert main(["simulate", str(wrong)]) == 2
    assert "wrong.yaml:4" in capsys.readouterr().err
