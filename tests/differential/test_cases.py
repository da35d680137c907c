"""What the generator, the files and the shrinking do without a kernel."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from tests.differential.case import Case, Surroundings, Talk, from_yaml, read_sent, to_yaml
from tests.differential.datagram import Datagram, build, parse
from tests.differential.generate import draw_case
from tests.differential.shrink import shrink

WORDS = (
    "lan0 tcp 192.168.1.10:40000 > 192.0.2.80:443",
    "wan0 udp [2001:db8:f::80]:1 > [2001:db8:a::2]:53 ttl 3 dscp 46",
    "self/wan1 icmp 0.0.0.0 > 192.0.2.80 type 8 code 0 id 7 mark 0x10",
    "lan1 tcp 10.0.0.1:1 > 10.0.0.2:2 flags ack+syn size 1400 df",
    "lan1 gre fd00::1 > fd00::2",
)


@pytest.mark.parametrize("words", WORDS)
def test_a_packet_is_read_as_it_is_written(words: str) -> None:
    assert str(read_sent(words)) == words


@pytest.mark.parametrize("words", WORDS)
def test_a_packet_on_the_wire_is_the_one_that_was_built(words: str) -> None:
    packet = read_sent(words).packet
    read = parse(build(packet))
    assert read is not None
    assert replace(read, size=packet.size, sequence=0, acknowledged=0) == packet


def test_an_error_quotes_the_packet_that_it_is_about() -> None:
    about = read_sent(WORDS[0]).packet
    error = Datagram(ip_address("192.0.2.1"), about.source, 1, icmp=(3, 4), inner=about, mtu=1300)
    read = parse(build(error))
    assert read is not None
    assert read.inner is not None
    assert (read.mtu, read.inner.source_port, read.intact) == (1300, 40000, True)


def test_a_seed_and_a_number_say_the_whole_case() -> None:
    case = draw_case(7, 3, 5)
    assert draw_case(7, 3, 5) == case
    assert from_yaml(to_yaml(case, "seed 7")) == case


def test_a_case_shrinks_to_what_shows_the_disagreement() -> None:
    spec = {"uplinks": {"a": {"interface": "wan0"}, "b": {"interface": "wan1"}}, "routes": [{"to": ["x", "y"]}, {}]}
    links = {"lan0": ("192.168.1.1/24",), "wan0": ("203.0.113.2/29",)}
    talk = Talk(read_sent(WORDS[1]), ("reply", "again"))
    case = Case(Surroundings(links, ("route add default via 203.0.113.1",), "table inet x {}"), spec, (talk,))

    def shows(candidate: Case) -> bool:
        return "b" in candidate.spec.get("uplinks", {}) and "lan0" in candidate.host.links

    expected = Case(
        Surroundings({"lan0": ()}), {"uplinks": {"b": {}}}, (Talk(read_sent(WORDS[1].partition(" ttl")[0])),)
    )
    assert shrink(case, shows) == expected
