"""What users of other tools write: the hint names the word of this language."""

from __future__ import annotations

import pytest

from tests.unit.language.specs import BASE, problems_in

MARKED = "write prefixes, or `mark`, and let a rule of your own mark the packets that you mean"
WITH_ADDRESS = "write it with the server: `to: 192.168.1.80:8443`"
UNCHANGED = "write `unchanged` for what stays untranslated; there are: dsl, isp-a, isp-b"
ANYONE = "leave it out where it may be anyone, or write 0.0.0.0/0 and ::/0"
OWN = "name one of the gateway on an inside interface"


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("  x: {interface: wan9, gateway: 10.0.0.1}", "write `nextHop`"),
        ("  x: {interface: wan9, mss: 1452}", "write `clampMss: true`"),
        ("  x: {interface: wan9, metric: 10}", "write the order where it counts: `as: {first: [...]}`"),
        ("forwards: {x: {ports: 1/tcp, to: 192.168.1.80, source-ip: 192.0.2.1}}", "write `from`"),
        ("forwards: {x: {ports: 1/tcp, to: 192.168.1.80, natReflection: true}}", "write `hairpin`"),
        ("forwards: {x: {ports: 1/tcp, to: 192.168.1.80, toPort: 2}}", WITH_ADDRESS),
        ("forwards: {x: {dport: 1/tcp, to: 192.168.1.80}}", "write `ports`"),
        ("forwards: {x: {ports: 1/both, to: 192.168.1.80}}", "write both: [1/tcp, 1/udp]"),
        ("forwards: {x: {ports: '1:9/tcp', to: 192.168.1.80}}", "write 1-9"),
        ("forwards: {x: {ports: 1/tcp, to: server.lan}}", "names are not looked up: write the address"),
        ("forwards: {x: {ports: 1/tcp, to: 'self:22'}}", OWN),
        ("forwards: {x: {at: wan1, ports: 1/tcp, to: 192.168.1.80}}", "write isp-b, whose interface that is"),
        ("forwards: {x: {at: any, ports: 1/tcp, to: 192.168.1.80}}", "leave it out for every uplink"),
        ("sourceNat: [{name: x, oif: wan0, as: isp-a}]", "write `as`"),
        ("sourceNat: [{name: x, as: wan1}]", "write isp-b, whose interface that is"),
        ("sourceNat: [{name: x, as: none}]", UNCHANGED),
        ("sourceNat: [{name: x, from: any, as: isp-a}]", ANYONE),
        ("sourceNat: [{name: x, from: '02:00:00:00:00:01', as: isp-a}]", MARKED),
        ("sourceNat: [{name: x, to: example.com, as: isp-a}]", MARKED),
        ("routes: [{name: x, to: 192.0.2.1, via: ppp0}]", "write dsl, whose interface that is"),
    ],
)  # fmt: skip
def test_a_word_of_another_tool_is_answered_with_the_one_here(line: str, hint: str) -> None:
    ((_, _, _, told),) = problems_in(f"{BASE}  {line}\n")
    assert told == hint
