"""What `nvictl explain` prints of a packet: a tree for people, JSON for programs, pictures."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from nvi_operator.cli import main
from nvi_operator.explain.limits import Limit
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.packet import Packet
from nvi_operator.explain.verdict import NotModelled
from nvi_operator.explain.walk import Walk, walks

ROOT = Path(__file__).parents[3]
DUAL_WAN = str(ROOT / "examples" / "dual-wan")
LEASED = """
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: edge }
spec:
  interfaces: { lan0: { networks: 192.168.1.0/24 } }
  uplinks: { isp-a: { interface: wan0, nextHop: auto } }
  sourceNat: [{ name: everyone, as: isp-a }]
"""
OUT = ["-i", "lan0", "tcp", "192.168.1.10:40000", "to", "192.0.2.80:443"]


class Told:
    """What a call of the command printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def lines(self) -> list[str]:
        return [line.strip("│├└─ ") for line in self.out.splitlines()]


@pytest.fixture
def explain(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str, on: str = DUAL_WAN) -> Told:
        code = main(["explain", *arguments, "--on", on])
        printed = capsys.readouterr()
        return Told(code, printed.out, printed.err)

    return call


def test_the_tree_tells_each_hook_with_the_line_of_the_spec(explain: Any) -> None:
    told = explain(*OUT)
    assert told.code == 0
    expected = [
        "tcp 192.168.1.10:40000 to 192.0.2.80:443, in by lan0",
        "stage 1: translate",
        "new flow",
        "lookup 7800",
        "default via 192.0.0.8 dev nvi0 table 7800",
        "source 192.168.1.10:40000 becomes 203.0.113.2:40000",
        "sourceNat everyone (" + DUAL_WAN + "/gateway.yaml:28)",
        "mark 0x0 becomes 0x800003e9",
        "stage 2: route",
        "received again on lan0",
        "from 203.0.113.2/32 lookup 7801",
        "uplink isp-a (" + DUAL_WAN + "/gateway.yaml:13)",
        "default via 203.0.113.1 dev wan0 table 7801",
        "out_isp_a",
        "leaves by wan0 (uplink isp-a) to the next hop 203.0.113.1",
        "tcp 203.0.113.2:40000 to 192.0.2.80:443, TTL 62",
        "answers come from 192.0.2.80:443 to 203.0.113.2:40000 (snat)",
        "1500 bytes fit",
        "does not take the flow: the flow cache is off",
    ]
    at = 0
    for text in expected:
        at = next(number for number, line in enumerate(told.lines[at:], at) if text in line)


def test_reply_tells_the_answers_way_back(explain: Any) -> None:
    told = explain(*OUT, "--reply")
    answer = told.out[told.out.index("answer: tcp 192.0.2.80:443 to 203.0.113.2:40000, in by wan0") :]
    assert "destination 203.0.113.2:40000 becomes 192.168.1.10:40000" in answer
    assert "leaves by lan0 to 192.168.1.10, which is on its wire" in answer


def test_without_an_interface_the_gateway_itself_sends_it(explain: Any) -> None:
    told = explain("udp", "203.0.113.2:5000", "to", "192.0.2.80:53")
    assert "sent by the gateway itself" in told.out
    assert "before the first pass" in told.out


def test_self_is_the_gateway_with_the_address_that_it_chooses(explain: Any) -> None:
    assert "as          udp 203.0.113.2:40000 to 192.0.2.80:53" in explain("udp", "self", "to", "192.0.2.80:53").out


def test_an_uplink_with_a_lease_has_one_that_stands_for_it(explain: Any, tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(LEASED)
    told = explain(*OUT, on=str(tmp_path)).out
    assert "uplink isp-a: 198.18.1.2, router 198.18.1.1 stand for what its lease will say" in told
    assert "leaves by wan0 (uplink isp-a) to the next hop 198.18.1.1" in told


def test_an_address_of_the_spec_stands_for_no_lease(explain: Any, tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(LEASED.replace("wan0", "wan0, addresses: 203.0.113.2"))
    told = explain(*OUT, on=str(tmp_path)).out
    assert "uplink isp-a: router 198.18.1.1 stands for what its lease will say" in told


def test_error_tells_the_way_of_an_icmp_error(explain: Any) -> None:
    told = explain(*OUT, "--error-by", "198.18.0.9").out
    error = told[told.index("ICMP error (unreachable): 198.18.0.9 to 203.0.113.2, in by wan0") :]
    assert "destination 203.0.113.2 becomes 192.168.1.10" in error
    assert "leaves by lan0 to 192.168.1.10" in error
    assert "ICMP error (time exceeded): self to 192.168.1.10" in explain(*OUT, "ttl", "1", "--error").out


def test_hosts_of_one_network_are_told_that_they_do_not_ask_the_gateway(explain: Any) -> None:
    told = explain("-i", "lan0", "tcp", "192.168.1.10", "to", "192.168.1.11:80").out
    assert "note        hosts of 192.168.1.0/24 that are on one wire reach each other without the gateway" in told
    assert "without the gateway" not in explain(*OUT).out


def test_an_echo_has_an_identifier_and_no_port(explain: Any) -> None:
    told = explain("-i", "lan0", "icmp", "192.168.1.10", "to", "192.0.2.80", "id", "7")
    assert "source 192.168.1.10 id 7 becomes 203.0.113.2 id 7" in told.out
    assert "from fd00:1::/64 " in explain("-i", "lan0", "icmp", "fd00:1::10", "to", "2001:db8:f::80").out


def test_a_flow_that_gets_no_answers_is_told_as_such(explain: Any) -> None:
    told = explain("-i", "wan0", "tcp", "192.0.2.80", "to", "192.168.1.80:8443").out
    assert "note        opened from an uplink to an inside address: no answer leaves untranslated" in told
    assert "no answer leaves" not in explain("-i", "wan1", "tcp", "192.0.2.80", "to", "198.51.100.2:443").out


@pytest.mark.parametrize("arrow", ["to", "->", "→"])
def test_an_arrow_is_a_word_and_no_option(explain: Any, arrow: str) -> None:
    told = explain("-i", "lan0", "tcp", "192.168.1.10:40000", arrow, "192.0.2.80:443")
    assert told.code == 0
    assert "leaves by wan0" in told.out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("lan0 tcp 192.168.9.9 to 192.0.2.80:443", "192.168.9.9: it is in no network of lan0 (192.168.1.0/24)"),
        ("wan0 tcp 192.0.2.80 to 203.0.113.2:8443", "no 1:1 NAT takes what comes to 203.0.113.2:8443"),
        ("wan0 tcp 192.0.2.80 to 192.0.2.99:443", "no 1:1 NAT takes what comes to 192.0.2.99:443"),
        ("lan0 tcp 192.168.1.10 to 192.0.2.80:443 flags rst", "192.168.1.10: the packet belongs to no flow"),
        ("wan0 icmp 192.0.2.80 to 203.0.113.2 type echo-reply", "203.0.113.2: the packet belongs to no flow"),
    ],
)
def test_what_nothing_translates_says_why(explain: Any, words: str, why: str) -> None:
    ifname, *packet = words.split()
    assert why in explain("-i", ifname, *packet).out


def test_a_destination_that_is_a_group_is_named_as_not_modelled(explain: Any) -> None:
    told = explain("-i", "lan0", "udp", "192.168.1.10", "to", "224.0.0.251:5353")
    assert (told.code, "not modelled: multicast" in told.out) == (3, True)


def test_a_port_without_brackets_is_hinted_at(explain: Any) -> None:
    told = explain("-i", "lan0", "tcp", "fd00:1::5", "to", "2001:db8:f::80:443")
    assert "hint: write it as in [2001:db8:f::80]:443" in told.err


def test_the_name_of_an_uplink_is_taken_for_its_interface_in_the_hint(explain: Any) -> None:
    told = explain("-i", "isp-b", "tcp", "192.0.2.80", "to", "198.51.100.2:443")
    assert "there is no interface 'isp-b'" in told.err
    assert "hint: isp-b is an uplink: its interface is wan1" in told.err


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["-i", "lna0", "tcp", "192.168.1.10", "to", "192.0.2.80:443"], "there is no interface 'lna0'"),
        (["-i", "nvi0", "tcp", "192.168.1.10", "to", "192.0.2.80:443"], "there is no interface 'nvi0'"),
        (["-i", "lan0", "tcp", "192.168.1.10", "to", "192.0.2.80:443", "bound", "x"], "there is no interface 'x'"),
        (["tcp", "192.168.1.10", "to", "192.0.2.80:443"], "192.168.1.10 is not an address of the gateway"),
        (["-i", "lan0", "tcp", "self", "to", "192.0.2.80:443"], "self sends nothing that comes in by lan0"),
        (["-i", "lan0", "tcp", "192.168.1.10", "to", "192.0.2.80:443", "--error-by", "::2"], "and ::2 is not"),
        (["-i", "lan0", "tcp", "192.168.1.10:40000", "-"], "a shell takes the > of -> for a redirection"),
        (["-i", "lan0", "tpc", "192.168.1.10", "to", "192.0.2.80:443"], "'tpc' is not a protocol"),
    ],
)
def test_wrong_words_are_one_error_with_a_hint_and_nothing_on_stdout(
    explain: Any, words: list[str], error: str
) -> None:
    told = explain(*words)
    assert (told.code, told.out) == (1, "")
    assert told.err.count("nvictl: packet: ") == 1
    assert error in told.err
    assert "  hint: " in told.err


def test_what_is_dropped_says_by_what_and_why(explain: Any) -> None:
    told = explain("-i", "lan0", "tcp", "192.168.9.10", "to", "192.0.2.80:443")
    assert told.code == 0
    assert "refused: rule 1900: the sender gets an ICMP error, unreachable" in told.out


def test_what_is_not_modelled_is_named_and_has_an_exit_code_of_its_own(
    explain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nvi_operator.cli import explaining

    def unknown(machine: Machine, packet: Packet) -> tuple[Walk, ...]:
        return tuple(replace(walk, verdict=NotModelled(Limit.PORT, "lan0")) for walk in walks(machine, packet))

    monkeypatch.setattr(explaining, "walks", unknown)
    told = explain(*OUT)
    assert told.code == 3
    assert f"not modelled: {Limit.PORT.value}: lan0" in told.out
    (way,) = json.loads(explain(*OUT, "--json").out)["ways"]
    assert way["verdict"]["limit"] == "PORT"


def test_json_has_every_step_with_its_origin_and_the_words_of_each_packet(explain: Any) -> None:
    told = json.loads(explain(*OUT, "--reply", "--json").out)
    (way,) = told["ways"]
    assert told["assumed"] is True
    assert way["packet"]["words"] == "tcp 192.168.1.10:40000 to 192.0.2.80:443"
    assert way["verdict"] == {
        "kind": "forwarded",
        "interface": "wan0",
        "nextHop": "203.0.113.1",
        "text": "leaves by wan0 (uplink isp-a) to the next hop 203.0.113.1",
    }
    assert way["leaves"]["words"].startswith("tcp 203.0.113.2:40000 to 192.0.2.80:443")
    assert way["uplink"] == "isp-a"
    assert way["conntrack"]["reply"]["destination"] == "203.0.113.2"
    (translated,) = [step for step in way["steps"] if step["did"] == "translated"]
    assert translated["origin"] == {
        "section": "sourceNat",
        "name": "everyone",
        "place": f"{DUAL_WAN}/gateway.yaml:28",
    }
    assert translated["by"]["chain"] == "srcnat"
    assert "snat ip to 203.0.113.2" in translated["by"]["text"]
    (answer,) = way["after"]
    assert answer["kind"] == "answer"
    assert answer["verdict"]["interface"] == "lan0"


def test_an_element_of_a_map_is_told_with_the_chain_that_asked(explain: Any) -> None:
    told = json.loads(explain("-i", "wan1", "tcp", "192.0.2.80:4", "to", "198.51.100.2:443", "-o", "json").out)
    (step,) = [step for step in told["ways"][0]["steps"] if step["did"] == "translated"]
    assert step["by"]["set"] == "dnat_port_4"
    assert step["by"]["chain"] == "dstnat"
    assert step["origin"]["name"] == "web"


def test_kernel_shows_rules_as_nft_and_ip_have_them(explain: Any) -> None:
    assert "snat ip to 203.0.113.2" in explain(*OUT, "--kernel").out
    assert "snat ip to 203.0.113.2" not in explain(*OUT).out


def test_the_pictures_are_well_formed_and_have_each_step(explain: Any) -> None:
    root = ElementTree.fromstring(explain(*OUT, "--reply", "--svg").out)
    texts = " ".join(element.text or "" for element in root.iter())
    chart = explain(*OUT, "--reply", "--mermaid").out
    for text in ("sourceNat everyone", "stage 1: translate", "leaves by wan0 (uplink isp-a)"):
        assert text in texts
        assert text in chart
    assert chart.startswith("flowchart TB\n")
    names = re.findall(r"subgraph (\w+)", chart) + re.findall(r"^ +(\w+)[\[(]", chart, re.MULTILINE)
    assert len(names) == len(set(names))  # Mermaid draws what has the same name once


def test_ways_that_the_kernel_chooses_from_are_told_one_by_one(explain: Any) -> None:
    told = explain(
        "-i", "lan0", "tcp", "192.168.1.10:40000", "to", "192.0.2.80:443", on=str(ROOT / "examples/weighted-uplinks")
    )
    assert [line for line in told.lines if line.startswith("way ")] == [
        "way 1 of 2: 198.51.100.2 at random",
        "way 2 of 2: 203.0.113.2 at random",
    ]


def test_both_halves_of_twice_nat_are_told_by_its_entry(explain: Any) -> None:
    """Though a far host has an address of the gateway itself, which the rule of destinations leaves out."""
    to_partner = ["-i", "lan0", "tcp", "192.168.1.5:40000", "to", "10.2.0.9:80"]
    told = explain(*to_partner, on=str(ROOT / "examples" / "partner-link"))
    at = told.lines.index("dstnat          destination 10.2.0.9:80 becomes 192.168.1.9:80")
    assert told.lines[at + 1].startswith("twiceNat partner (")


def test_what_the_kernel_chooses_on_one_way_is_told_at_its_end(explain: Any) -> None:
    voice = ["-i", "lan0", "udp", "192.168.1.10:5060", "to", "192.0.2.1:5060"]
    told = explain(*voice, on=str(ROOT / "examples" / "public-pool"))
    assert "chosen      source port 20000-20999: the kernel takes any of them" in told.lines
    sticky = ["-i", "lan0", "tcp", "192.168.1.10:40000", "to", "192.0.2.1:80"]
    told = explain(*sticky, on=str(ROOT / "examples" / "public-pool"))
    assert "the kernel takes" not in told.out, "a hash has one result"


def test_lines_fit_a_terminal(explain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from nvi_operator.cli.commands import explain as command

    monkeypatch.setattr(command, "terminal_width", lambda: 80)
    monkeypatch.chdir(DUAL_WAN)  # paths are told as they were given
    told = explain(*OUT, "--reply", "--kernel", on=".")
    assert max(map(len, told.out.splitlines())) <= 80


def test_the_how_to_shows_what_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "how-to" / "explain.md").read_text()
    monkeypatch.chdir(DUAL_WAN)
    blocks = re.findall(r"```console\n\$ nvictl (.*?)\n(.*?)```", page, re.DOTALL)
    assert len(blocks) > 4
    for command, shown in blocks:
        main(shlex.split(command))
        printed = capsys.readouterr()
        assert printed.out + printed.err == shown, command
