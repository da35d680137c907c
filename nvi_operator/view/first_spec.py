"""A first spec as YAML, with comments for who goes on from there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from nvi_operator.pattern import pattern
from nvi_operator.topology.first_spec import FirstSpec, GuessedInside, GuessedUplink

# Others could be numbers or words to YAML.
_PLAIN = pattern(r"(?!(?i:null|true|false|yes|no|on|off|inf|nan)$)[A-Za-z]{2,}[\w.-]*")


_WIDTH = 80  # of comments, which a terminal would break within words
_SHOWN = 4  # addresses in a comment, and networks on a line


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else f'"{name}"'


def _some(addresses: Sequence[str]) -> str:
    more = len(addresses) - _SHOWN
    return ", ".join(addresses[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def first_spec_lines(spec: FirstSpec) -> Iterator[str]:
    """The lines of gateway.yaml."""
    yield "# From this machine's interfaces, addresses and routes: see that it is what you"
    yield "# mean. Then"
    yield "#   nvictl plan DIR     shows what an apply would do"
    yield "#   nvictl apply DIR    does it, and nvictl down takes it back"
    yield "# The whole language: docs/spec.md; the Debian package has it in"
    yield "# /usr/share/doc/nvi-operator/docs"
    yield "apiVersion: nvi-operator/v1"
    yield "kind: Gateway"
    yield "metadata:"
    yield f"  name: {_quoted(spec.name)}"
    yield "spec:"
    yield from _interfaces(spec.inside)
    yield "  # Ways out: interfaces with a default route. A packet takes the uplink that"
    yield "  # owns its translated source."
    yield "  uplinks:"
    for uplink in spec.uplinks:
        yield from _uplink(uplink, alone=len(spec.uplinks) == 1)
    yield "  # The first rule that matches gives a new connection its source address, and"
    yield "  # so its uplink."
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
        for reason in spec.left_out:
            yield from wrap(
                reason,
                _WIDTH,
                initial_indent="  #   ",
                subsequent_indent="  #     ",
                break_long_words=False,
                break_on_hyphens=False,
            )


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
        if len(each.networks) <= _SHOWN:
            yield f"      networks: [{', '.join(map(str, each.networks))}]"
        else:
            yield "      networks:"
            yield from (f"        - {network}" for network in each.networks)


def _uplink(uplink: GuessedUplink, *, alone: bool) -> Iterator[str]:
    yield f"    {uplink.name}:"
    yield f"      interface: {_quoted(uplink.ifname)}"
    if uplink.routers:
        yield f"      nextHop: auto # now {_some(uplink.routers)}"
    elif uplink.lacks_router:
        router = "203.0.113.1" if uplink.family == 4 else "2001:db8::1"
        yield "      # the router there, which no default route of the main table names:"
        yield f"      # nextHop: {router}"
    yield "      addresses: auto" + (f" # now {_some(uplink.addresses)}" if uplink.addresses else "")
    if uplink.default and not alone:
        yield "      default: true"
    target = "192.0.2.1" if uplink.family == 4 else '"2001:db8::53"'
    yield "      # pinged by nvictl run, to notice an ISP that fails while its link is up"
    yield f"      # health: [{target}]"


def _forwards(spec: FirstSpec) -> Iterator[str]:
    server = spec.inside[0].example if spec.inside else "192.168.1.10"
    yield "  # Servers inside that are reached at an uplink's address."
    yield "  # forwards:"
    yield "  #   web:"
    yield "  #     ports: 443/tcp"
    yield f"  #     to: {server}"
