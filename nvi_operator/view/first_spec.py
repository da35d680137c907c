"""A first spec as YAML, with comments for who goes on from there."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.pattern import pattern
from nvi_operator.topology.first_spec import FirstSpec, GuessedInside, GuessedUplink

# Others could be numbers or words to YAML.
_PLAIN = pattern(r"[A-Za-z]{2,}\d[\w.-]*")


def _quoted(ifname: str) -> str:
    return ifname if _PLAIN.fullmatch(ifname) else f'"{ifname}"'


def first_spec_lines(spec: FirstSpec) -> Iterator[str]:
    """The lines of gateway.yaml."""
    yield "# From the interfaces, addresses and routes of this machine: see that it is what you mean. Then"
    yield "#   nvictl plan DIR     shows what an apply would do"
    yield "#   nvictl apply DIR    does it, and nvictl down takes it back"
    yield "# The whole language: docs/spec.md, in a package below /usr/share/doc/nvi-operator"
    yield "apiVersion: nvi-operator/v1"
    yield "kind: Gateway"
    yield "metadata:"
    yield f"  name: {spec.name}"
    yield "spec:"
    yield from _interfaces(spec.inside)
    yield "  # Ways out: interfaces with a default route. A packet takes the uplink that owns its translated source."
    yield "  uplinks:"
    for uplink in spec.uplinks:
        yield from _uplink(uplink, alone=len(spec.uplinks) == 1)
    yield "  # The first rule that matches gives a new connection its source address, and so its uplink."
    yield "  sourceNat:"
    yield "    - name: everyone"
    default, *others = sorted(spec.uplinks, key=lambda uplink: not uplink.default)
    if others:
        order = ", ".join(uplink.name for uplink in (default, *others))
        yield f"      as: {{first: [{order}]}} # the first that works"
    else:
        yield f"      as: {default.name}"
    yield from _forwards(spec)
    if spec.left_out:
        yield "  # Left out:"
        yield from (f"  #   {line}" for line in spec.left_out)


def _interfaces(inside: tuple[GuessedInside, ...]) -> Iterator[str]:
    yield "  # Interfaces with hosts that are translated, and the networks behind each."
    if not inside:
        yield "  # None was found; write them like this:"
        yield "  # interfaces:"
        yield "  #   lan0:"
        yield "  #     networks: [192.168.1.0/24]"
        return
    yield "  interfaces:"
    for each in inside:
        yield f"    {_quoted(each.ifname)}:"
        yield f"      networks: [{', '.join(map(str, each.networks))}]"


def _uplink(uplink: GuessedUplink, *, alone: bool) -> Iterator[str]:
    yield f"    {uplink.name}:"
    yield f"      interface: {_quoted(uplink.ifname)}"
    if uplink.routers:
        yield f"      nextHop: auto # of the main table; now {', '.join(uplink.routers)}"
    now = f"; now {', '.join(uplink.addresses)}" if uplink.addresses else ""
    yield f"      addresses: auto # those of the interface{now}"
    if uplink.default and not alone:
        yield "      default: true"
    yield "      # health: [192.0.2.1] # pinged by nvictl run: notices an ISP that fails behind a link that stays up"


def _forwards(spec: FirstSpec) -> Iterator[str]:
    server = next((each.example for each in spec.inside if each.example), "192.168.1.10")
    yield "  # Servers inside that are reached at an uplink's address."
    yield "  # forwards:"
    yield "  #   web:"
    yield "  #     ports: 443/tcp"
    yield f"  #     to: {server}"
