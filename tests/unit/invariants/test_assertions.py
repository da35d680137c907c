"""What a spec asserts of packets holds, or is told with one for which it does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nvi_operator.cli import main
from nvi_operator.explain.words import packet_words
from nvi_operator.invariants.result import InvariantResult
from tests.lab.command import ROOT
from tests.unit.invariants.gateways import results
from tests.unit.language.specs import BASE, TENANTS

OFFICE = (
    BASE.replace("    lan0:", "    guest0: {networks: 172.16.0.0/24}\n    lan0:")
    + """\
  sourceNat:
    - {name: mail, from: 192.168.1.25, as: 203.0.113.17}
    - {name: partner, from: 192.168.1.0/24, to: 192.0.2.0/24, as: isp-b}
    - {name: all, as: isp-a}
  forwards:
    web: {at: isp-a, ports: 443/tcp, to: "192.168.1.80:8443"}
    dns: {at: isp-a, ports: 53/udp, to: 192.168.1.53}
  static: {phone: {address: 192.168.1.7, as: 203.0.113.18}}
"""
)


def results_of(*assertions: str, base: str = OFFICE) -> list[InvariantResult]:
    lines = "".join(f"    - {{name: a{number}, {text}}}\n" for number, text in enumerate(assertions))
    found = results(f"  assert:\n{lines}", base)
    return [result for name, result in found.items() if name.startswith("assert ")]


def wrong(assertion: str, base: str = OFFICE) -> str | None:
    """What a packet does for which it does not hold, and the packet."""
    (result,) = results_of(assertion, base=base)
    assert not result.unknown
    if result.holds:
        return None
    finding = result.findings[0]
    does = finding.message.removeprefix("assert 'a0' does not hold: a packet ")
    packet = finding.packet
    return does if packet is None else f"{does} | {packet.in_interface} {packet_words(packet)}"


@pytest.mark.parametrize(
    "assertion",
    [
        # Who may reach what.
        "from: outside, to: 192.168.1.80, only: 8443/tcp",
        "from: outside, to: [192.168.1.80, 192.168.1.53], only: [8443/tcp, 53/udp]",
        "from: 0.0.0.0/0, in: wan0, to: 192.168.1.0/25, except: {to: 192.168.1.7}, only: [8443/tcp, 53/udp]",
        "from: outside, at: isp-b, ports: 443/tcp, to: inside, never: all",
        "from: outside, to: 172.16.0.0/24, never: all",
        "in: wan1, to: inside, never: all",
        "at: isp-a, from: outside, ports: 443/tcp, reaches: '192.168.1.80:8443'",
        "at: isp-a, from: outside, ports: [443/tcp, 53/udp], reaches: [192.168.1.80, 192.168.1.53]",
        "at: 203.0.113.18, from: outside, reaches: 192.168.1.7",
        "at: isp-a, from: inside, ports: 443/tcp, reaches: '192.168.1.80:8443'",
        "at: isp-a, from: outside, ports: 80/tcp, reaches: self",
        # By which uplink, and as which address.
        "from: 192.168.1.25, by: isp-a, as: 203.0.113.17",
        "from: 192.168.1.0/24, except: {to: 192.0.2.0/24}, by: isp-a",
        "from: 192.168.1.32/27, to: 192.0.2.0/24, by: isp-b, as: 198.51.100.2",
        "from: 192.168.1.0/24, as: [203.0.113.2, 203.0.113.16/28, 198.51.100.2]",
        "from: 'fd00:1::/64', as: '2001:db8:a::2'",
        "from: inside, at: 198.18.7.7, ports: 25/tcp, by: isp-a",
        "from: 198.51.100.2, by: isp-b, as: unchanged",
    ],
)
def test_sentences_that_hold(assertion: str) -> None:
    assert wrong(assertion) is None


@pytest.mark.parametrize(
    ("assertion", "does"),
    [
        (
            "from: outside, to: 192.168.1.80, only: 443/tcp",
            "arrives at 192.168.1.80:8443 (tcp), because of forwards 'web' | "
            "wan0 tcp 1.0.0.1:40000 to 203.0.113.2:443",
        ),
        (
            "from: outside, to: 192.168.1.0/25, only: [8443/tcp, 53/udp, icmp]",
            "arrives at 192.168.1.7 (protocol 3), because of static 'phone' | wan0 3 1.0.0.1 to 203.0.113.18",
        ),
        (
            "in: guest0, to: 192.168.1.80, never: 22/tcp",
            "arrives at 192.168.1.80:22 (tcp) | guest0 tcp 172.16.0.3:40000 to 192.168.1.80:22",
        ),
        (
            "from: 192.168.1.0/24, by: isp-a",
            "leaves by uplink 'isp-b' as 198.51.100.2, because of sourceNat 'partner' | "
            "lan0 icmp 192.168.1.3 to 192.0.2.80 id 40000",
        ),
        (
            "from: 192.168.1.16/28, protocol: udp, as: 203.0.113.2",
            "leaves as 203.0.113.17, because of sourceNat 'mail' | lan0 udp 192.168.1.25:40000 to 192.0.2.80:443",
        ),
        (
            "at: isp-a, from: outside, ports: 443/tcp, reaches: 192.168.1.81",
            "arrives at 192.168.1.80:8443, because of forwards 'web' | wan0 tcp 1.0.0.1:40000 to 203.0.113.2:443",
        ),
        (
            "at: 203.0.113.19, from: outside, ports: 443/tcp, reaches: 192.168.1.81",
            "is refused (unreachable): table 8299 | wan0 tcp 1.0.0.1:40000 to 203.0.113.19:443",
        ),
        (
            "from: inside, in: guest0, protocol: tcp, as: unchanged",
            "leaves as 203.0.113.2, because of sourceNat 'all' | guest0 tcp 172.16.0.3:40000 to 192.0.2.80:443",
        ),
        (
            "from: 10.9.9.0/24, in: lan0, by: isp-a",
            "assert 'a0' is about no packet: none is as from, in, at, to and ports say",
        ),
    ],
)
def test_sentences_that_do_not_hold(assertion: str, does: str) -> None:
    assert wrong(assertion) == does


def test_of_several_sentences_each_that_is_wrong_is_told() -> None:
    (result,) = results_of("from: 192.168.1.25, by: isp-b, as: 203.0.113.2")
    does = [finding.message.partition(": ")[2] for finding in result.findings]
    why = "because of sourceNat 'mail'"
    assert does == [
        f"a packet leaves by uplink 'isp-a' as 203.0.113.17, {why}",
        f"a packet leaves as 203.0.113.17, {why}",
    ]
    assert result.what == "from 192.168.1.25/32 by isp-b as 203.0.113.2"


def test_tenants_with_equal_addresses_are_told_apart_by_their_interfaces() -> None:
    rules = "  sourceNat:\n    - {name: red, tenant: red, as: 203.0.113.17}\n    - {name: others, as: isp-a}\n"
    assert wrong("in: red0, as: 203.0.113.17", TENANTS + rules) is None
    assert wrong("in: blue0, as: 203.0.113.2", TENANTS + rules) is None
    assert str(wrong("from: 192.168.1.0/24, as: 203.0.113.2", TENANTS + rules)).startswith("leaves as 203.0.113.17")


def test_packets_are_told_apart_by_the_dscps_that_the_spec_names() -> None:
    rules = "  sourceNat:\n    - {name: voice, dscp: ef, as: isp-b}\n    - {name: all, as: isp-a}\n"
    assert wrong("from: 192.168.1.0/24, dscp: ef, by: isp-b", BASE + rules) is None
    assert str(wrong("from: 192.168.1.0/24, by: isp-a", BASE + rules)).endswith("dscp ef")


def test_packets_are_told_apart_by_the_ports_that_they_are_sent_from() -> None:
    rules = "  sourceNat:\n    - {name: sip, fromPorts: 5060-5069/udp, as: isp-b}\n    - {name: all, as: isp-a}\n"
    assert wrong("from: 192.168.1.0/24, fromPorts: 5061/udp, by: isp-b", BASE + rules) is None
    assert wrong("from: 192.168.1.0/24, ports: 53/udp, fromPorts: 5059-5070/udp, by: isp-a", BASE + rules) == (
        "leaves by uplink 'isp-b' as 198.51.100.2, because of sourceNat 'sip' | "
        "lan0 udp 192.168.1.3:5061 to 192.0.2.80:53"
    )


def test_a_far_host_may_have_the_number_of_an_inside_host() -> None:
    twice = "{partner: {from: 192.168.1.0/24, as: 10.1.0.0/24, to: 10.2.0.0/24, becomes: 192.168.1.0/24, via: isp-b}}"
    base = f"{BASE.replace('198.51.100.2,', '198.51.100.2, routed: 10.1.0.0/24,')}  twiceNat: {twice}\n"
    assert wrong("from: 192.168.1.0/24, at: 10.2.0.64/26, by: isp-b, as: 10.1.0.0/24", base) is None
    assert str(wrong("from: 192.168.1.0/24, at: 10.2.0.64/26, by: isp-a", base)).startswith(
        "leaves by uplink 'isp-b'"
    )


def blocks(page: str) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


def test_the_how_to_is_right_about_the_gateway_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (readme,), (fails, holds) = blocks("README.md"), blocks("docs/how-to/assert.md")
    monkeypatch.chdir(tmp_path)
    Path("gateway.yaml").write_text(readme + holds)
    assert main(["validate", "."]) == 0
    assert capsys.readouterr().out.endswith("8 assertions\n")
    Path("gateway.yaml").write_text(readme + fails)
    assert main(["validate", "."]) == 1
    page = " ".join((ROOT / "docs/how-to/assert.md").read_text().split())
    assert " ".join(capsys.readouterr().err.split()) in page


def test_validate_fails_with_the_place_of_the_assertion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "gw.yaml"
    line = "    - {name: dns-only, from: outside, to: inside, except: {to: 192.168.1.7}, only: 53/udp}\n"
    spec.write_text(f"{OFFICE}  assert:\n{line}")
    assert main(["validate", str(spec)]) == 1
    assert capsys.readouterr().err == (
        f"{spec}:23:7: spec.assert[0]: assert 'dns-only' does not hold: a packet arrives at 192.168.1.80:8443 (tcp), "
        f"because of forwards 'web' ({spec}:19:10); for example -i wan0 tcp 1.0.0.1:40000 to 203.0.113.2:443\n"
    )
    spec.write_text(f"{OFFICE}  assert:\n{line.replace('53/udp', '[53/udp, 8443/tcp]')}")
    assert main(["validate", str(spec)]) == 0
    assert capsys.readouterr().out.endswith("1 assertion\n")


def test_the_gateway_sends_nothing_of_a_family_that_no_uplink_has() -> None:
    head = "apiVersion: nvi-operator/v1\nkind: Gateway\nmetadata: {name: gw}\nspec:\n"
    inside = "  interfaces: {lan0: {networks: [192.168.1.0/24, 'fd00:1::/64']}}\n"
    uplinks = "  uplinks: {isp-a: {interface: wan0, addresses: 203.0.113.2, nextHop: 203.0.113.1}}\n"
    for assertion in ("from: self, by: isp-a", "from: self, ports: 53/udp, as: 203.0.113.2"):
        assert wrong(assertion, base=f"{head}{inside}{uplinks}") is None
    assert "refused" in (wrong("from: inside, by: isp-a", base=f"{head}{inside}{uplinks}") or "")
