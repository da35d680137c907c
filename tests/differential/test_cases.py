"""What the generator, the files and the shrinking do without a kernel."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from nvi_operator.errors import KernelError
from tests.differential.case import Case, Surroundings, Talk, from_yaml, read_sent, to_yaml
from tests.differential.datagram import Datagram, build, parse
from tests.differential.generate import draw_case
from tests.differential.operator import load
from tests.differential.run import Tally, run, shows
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


class _Refusing:
    """In place of a stage whose host refuses every spec that is valid."""

    def apply(self, case: Case) -> Any:
        load(case)
        raise KernelError("nft table: check: Error: conflicting intervals specified")


def test_a_valid_spec_that_the_host_refuses_is_a_disagreement_and_one_that_is_not_valid_is_none() -> None:
    stage: Any = _Refusing()
    valid = {"uplinks": {"isp": {"interface": "wan0", "nextHop": "auto"}}}
    tally, found = Tally(), list[str]()
    for spec in (valid, {"uplinks": {"isp": {}}}):
        run(stage, [Case(Surroundings(), spec)], 1, tally, lambda one: bool(found.append(one.text)) or True)
    assert [text.partition(": Error")[0] for text in found] == [
        "apply: the spec is valid, and the host refuses it: nft table: check"
    ]
    assert sum(tally.refused.values()) == 1
    assert shows(stage, Case(Surroundings(), valid)) == "apply"
