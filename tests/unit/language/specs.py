"""A spec to which the tests add, and what they say about its problems."""

from __future__ import annotations

import pytest

from nvi_operator.errors import SpecError
from nvi_operator.language.load.loader import LoadedSpec, load_texts

HEAD = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata: {name: gw}
"""
# Lines 1 to 12: what a test adds begins on line 13.
BASE = (
    HEAD
    + """\
spec:
  interfaces:
    lan0: {networks: [192.168.1.0/24, "fd00:1::/64"]}
  uplinks:
    isp-a: {interface: wan0, addresses: [203.0.113.2, "2001:db8:a::2"], routed: 203.0.113.16/28, default: true}
    isp-b: {interface: wan1, addresses: 198.51.100.2, nextHop: 198.51.100.1}
    dsl:
      interface: ppp0
      nextHop: auto
"""
)
# The same with two tenants, who have the same addresses.
TENANTS = (
    HEAD
    + """\
spec:
  interfaces:
    red0: {tenant: red, networks: 192.168.1.0/24}
    blue0: {tenant: blue, networks: 192.168.1.0/24}
    lan0: {networks: 172.16.0.0/24}
    green0: {tenant: green, networks: 172.17.0.0/24}
  uplinks:
    isp-a:
      {interface: wan0, addresses: 203.0.113.2, routed: 203.0.113.16/28}
"""
)

# Here line 8 is the first uplink.
UPLINK_A = "a: {interface: wan0, addresses: 203.0.113.2, routed: 203.0.113.16/28}"

MIXED = "IPv4 mixed with IPv6: "
NOWHERE = "if it is the address of dsl, write that name instead; else add it to routed"
TAKEN = "a public port leads to one place: change the port, the address or `from`"
ADDRESS = "write an address such as 192.0.2.1 or 2001:db8::1"

# (where, path in the document, message, hint): all that a user reads.
Reported = tuple[str, str, str, str]
# name: (a text, or what comes after BASE from line 13 on; every problem that is told)
Rows = dict[str, tuple[str, list[Reported]]]


def load(text: str | bytes) -> LoadedSpec:
    return load_texts({"gw.yaml": text})


def problems_in(texts: dict[str, str | bytes] | str | bytes) -> list[Reported]:
    """Every problem, in the order in which it is told; `where` is line:column, with the file if there are several."""
    several = isinstance(texts, dict)
    with pytest.raises(SpecError) as caught:
        load_texts(texts if isinstance(texts, dict) else {"gw.yaml": texts})
    return [
        (
            str(p.position) if several else f"{p.position.line}:{p.position.column}",
            p.path,
            p.message,
            p.hint,
        )
        for p in caught.value.problems
    ]


def fewer(text: str, *lines: str) -> str:
    """`text` without what contains one of `lines`."""
    return "".join(line for line in text.splitlines(keepends=True) if not any(part in line for part in lines))


def each(rows: Rows) -> pytest.MarkDecorator:
    """A test of `text` and `reported` for each of the rows."""
    return pytest.mark.parametrize(("text", "reported"), rows.values(), ids=rows)


def uplinks(*lines: str, interfaces: str = "lan0: {networks: 192.168.1.0/24}", more: str = "") -> str:
    body = "".join(f"    {line}\n" for line in lines)
    return f"{HEAD}spec:\n  interfaces:\n    {interfaces}\n  uplinks:\n{body}{more}"


def from_inside(*lines: str, has: str = "addresses: 198.51.100.2") -> str:
    """Everyone becomes an address of a, but for `lines`; a route asks for addresses inside, in line 11."""
    return uplinks(
        UPLINK_A,
        f"c: {{interface: wan1, {has}, default: true}}",
        more=f"  sourceNat: [{', '.join((*lines, '{name: everyone, as: a}'))}]\n"
        "  routes: [{name: r, from: [203.0.113.17, 192.168.1.10/31], via: c}]\n",
    )
