"""`nvictl trace`: what live packets did, rule by rule, is what explain predicts; and nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from nvi_operator.cli import main
from nvi_operator.experiment.probe import Expected, PacketProbe
from nvi_operator.explain.packet import TCP, Packet
from nvi_operator.simulate.exchange import ProbeRunner
from nvi_operator.simulate.simulation import SimulatedGateway
from tests.lab.command import ROOT
from tests.lab.net import until
from tests.lab.simulated import in_gateway

pytestmark = pytest.mark.netns

SPEC = ROOT / "examples/dual-wan"
FAR, CLIENT = ip_address("192.0.2.80"), ip_address("192.168.1.10")
A = ip_address("203.0.113.2")
FIREWALL = "table inet firewall { chain forward { type filter hook forward priority 0; tcp dport 443 drop; }; }"


def in_example(tmp_path: Path, do: Callable[[SimulatedGateway], Any]) -> Any:
    return in_gateway(SPEC, tmp_path, do)


def tracing(output: Path, *arguments: str) -> int:
    """The process of `nvictl trace`."""
    pid = os.fork()
    if pid == 0:
        with output.open("w") as sys.stdout:
            code = main(["trace", "--on", str(SPEC), "--seconds", "20", "-o", "json", *arguments])
        os._exit(code)
    return pid


def traced(gateway: SimulatedGateway, tmp_path: Path, probe: PacketProbe, *arguments: str) -> dict[str, Any]:
    """What was traced while packets like that of the probe were sent, each of a flow of its own."""
    output = tmp_path / "traced.json"
    pid = tracing(output, *arguments)
    port = 30000
    while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        port += 1
        packet = Packet(probe.packet.in_interface, TCP, probe.packet.source, probe.packet.destination, port, 443)
        ProbeRunner(gateway.ends, patience=0.1).run([PacketProbe("", "", "", packet, probe.expected, probe.uplink)])
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    found: dict[str, Any] = json.loads(output.read_text())
    return found


OUT = PacketProbe("", "", "", Packet("lan0", TCP, CLIENT, FAR), Expected())
IN = PacketProbe("", "", "", Packet("wan0", TCP, FAR, A), Expected(), "isp-a")


@pytest.mark.parametrize(
    ("probe", "words", "leaves", "origin"),
    [
        (OUT, ("-i", "lan0", "tcp", "any", "to", "192.0.2.80:443"), "203.0.113.2", "sourceNat everyone"),
        (IN, ("tcp", "192.0.2.80", "to", "any"), "192.168.1.80:8443", "forward web"),
        (IN, ("-i", "wan0", "tcp", "any", "to", "203.0.113.2"), "192.168.1.80:8443", "forward web"),
    ],
    ids=["out", "in", "in-by-address"],
)
def test_a_packet_and_its_answer_go_as_explain_predicts(
    probe: PacketProbe, words: tuple[str, ...], leaves: str, origin: str, tmp_path: Path
) -> None:
    def trace(gateway: SimulatedGateway) -> Any:
        found = traced(gateway, tmp_path, probe, *words, "--reply")
        return found, subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout

    found, tables = in_example(tmp_path, trace)
    packet, answer = found["packets"]
    assert [(each["kind"], each["differences"], each["asPredicted"]) for each in (packet, answer)] == [
        ("packet", [], True),
        ("answer", [], True),
    ]
    assert leaves in packet["leaves"]
    assert any((step["origin"] or "").startswith(f"{origin} (") for step in packet["steps"])
    for each in (packet, answer):
        assert {step["stage"] for step in each["steps"] if step["label"] == "mark_hook"} == {1, 2}
    assert tables == "table inet nvi\n"


def test_a_packet_for_the_gateway_itself_goes_as_explain_predicts(tmp_path: Path) -> None:
    probe = PacketProbe("", "", "", Packet("lan0", TCP, CLIENT, ip_address("192.168.1.1")), Expected())

    def trace(gateway: SimulatedGateway) -> Any:
        return traced(gateway, tmp_path, probe, "-i", "lan0", "tcp", "any", "to", "192.168.1.1")

    (packet,) = in_example(tmp_path, trace)["packets"]
    assert (packet["end"], packet["differences"]) == ("reaches the gateway itself", [])


def test_a_drop_of_another_program_is_named_and_differs_from_the_prediction(tmp_path: Path) -> None:
    def trace(gateway: SimulatedGateway) -> Any:
        subprocess.run(["nft", FIREWALL], check=True)
        return traced(gateway, tmp_path, OUT, "-i", "lan0", "tcp", "any", "to", "192.0.2.80:443")

    (packet,) = in_example(tmp_path, trace)["packets"]
    assert packet["end"] == "is dropped in inet firewall forward"
    assert packet["differences"] == ["expected that it leaves by wan0: it is dropped in inet firewall forward"]
    assert any("rule of another program: inet firewall forward handle" in step["text"] for step in packet["steps"])


def test_its_table_ends_with_it_and_no_packet_is_an_answer_of_its_own(tmp_path: Path) -> None:
    def tables() -> str:
        return subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout

    def kill(gateway: SimulatedGateway) -> Any:
        pid = tracing(tmp_path / "traced.json", "tcp", "any", "to", "192.0.2.80:443")
        until(lambda: "nvi_trace" in tables(), "it waits")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        until(lambda: tables() == "table inet nvi\n", "the table is removed")
        arguments = ["trace", "--on", str(SPEC), "--seconds", "1", "tcp", "any", "to", "192.0.2.81:443"]
        return main(arguments), tables()

    assert in_example(tmp_path, kill) == [3, "table inet nvi\n"]
