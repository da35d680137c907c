"""The section `checks`: what it takes, and what it refuses with a hint."""

from __future__ import annotations

import pytest

from nvi_operator.errors import SpecError
from nvi_operator.language.load.loader import load_texts

EDGE = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata: {{ name: edge }}
spec:
  interfaces: {{ lan0: {{ networks: 192.168.1.0/24 }} }}
  uplinks: {{ isp-a: {{ interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, default: true }} }}
  checks:
    one: {check}
"""


@pytest.mark.parametrize(
    "check",
    [
        "{ ping: 192.0.2.1, uplink: isp-a }",
        "{ tcp: 192.0.2.1:443, from: 192.168.1.1, netns: guest }",
        "{ dns: 192.0.2.53, name: example.org, within: 0.5 }",
        "{ http: http://192.0.2.80/x, host: example.org }",
        "{ command: reach }",
        "{ command: [reach, 'a b', $HOME], netns: guest }",
    ],
)
def test_each_form_is_read(check: str) -> None:
    assert load_texts({"a.yaml": EDGE.format(check=check)}).counts["checks"] == 1


@pytest.mark.parametrize(
    ("check", "says"),
    [
        ("{ }", "give exactly one of ping, tcp, dns, http and command"),
        ("{ ping: 192.0.2.1, uplink: isp-b }", "there is no uplink 'isp-b'"),
        ("{ ping: 192.0.2.1, from: 'fd00::1' }", "are of two families"),
        ("{ ping: 192.0.2.1, uplink: isp-a, netns: x }", "uplink excludes from and netns"),
        ("{ command: /bin/rm }", "'/bin/rm' is not the name of a program there"),
        ("{ command: ../reach }", "'../reach' is not the name of a program there"),
        ("{ command: reach, uplink: isp-a }", "a command decides by itself how it asks"),
        ("{ ping: 192.0.2.1, netns: ../x }", "is not a name that `ip netns` has"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(check: str, says: str) -> None:
    with pytest.raises(SpecError) as error:
        load_texts({"a.yaml": EDGE.format(check=check)})
    assert "a.yaml:8:" in str(error.value)
    assert says in str(error.value)
