"""What is printed of packets that tried a gateway."""

from __future__ import annotations

from ipaddress import ip_address

from nvi_operator.experiment.judge import ProbeResult
from nvi_operator.experiment.outcome import Tried
from nvi_operator.experiment.probe import Expected, PacketProbe, Sampled
from nvi_operator.explain.packet import TCP, Packet
from nvi_operator.view.simulation import tried_text
from tests.unit.view.lines import lines_of


def test_what_is_not_tried_is_named_before_the_first_result() -> None:
    packet = Packet("lan0", TCP, ip_address("192.168.1.10"), ip_address("192.0.2.80"), 40000, 443)
    probe = PacketProbe("source NAT", "everyone", "a host to the Internet", packet, Expected())
    sampled = Sampled("source NAT", 1, 2, (("voice", "a mark is set on the gateway, and not by a host"),))
    tried = Tried("edge", "bpf", (), (), (sampled,), (ProbeResult(probe, "arrives", ()),))
    lines = lines_of(tried_text(tried, 80, full=False))
    assert lines[1] == "  not tried: source NAT voice: a mark is set on the gateway, and not by a host"
    assert lines[-2:] == ["not tried: 1, named at the beginning", "1 packet: all passed"]
