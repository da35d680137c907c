"""One line for each kind of object, in the words of the tool that would make it by hand."""

from __future__ import annotations

from functools import singledispatch
from ipaddress import ip_address

from nvi_operator.kmod.facts import Module
from nvi_operator.language.wording import counted
from nvi_operator.nft.ast import Table
from nvi_operator.state.egress_guard import EgressGuard, GuardEntry, Standing
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.ingress_guard import IngressGuard
from nvi_operator.state.link import Link, LinkGroup
from nvi_operator.state.route import Route
from nvi_operator.state.sysctl import Sysctl
from nvi_operator.state.tc import TcProgram


@singledispatch
def describe(obj: object) -> str:
    """The object in one line."""
    return str(obj)


@describe.register
def _(obj: Module) -> str:
    return obj.name


@describe.register
def _(obj: Link) -> str:
    attributes = "".join(f" {name} {_attribute(name, value)}" for name, value in obj.attributes)
    state = f"{'up' if obj.up else 'down'}{'' if obj.labelled else ' without our alias'}"
    return f"{obj.ifname} type {obj.kind}{attributes} mtu {obj.mtu} group {obj.group} {state}"


def _attribute(name: str, value: int) -> str:
    """As if_nvi.h names the values."""
    if name == "stage_mask":
        return f"{value:#x}"
    return ("mark", "skb_iif")[value] if name == "source" else ("off", "on")[value]


@describe.register
def _(obj: LinkGroup) -> str:
    return f"{obj.ifname} group {obj.group}"


@describe.register
def _(obj: Sysctl) -> str:
    return f"{obj.path} = {obj.value}"


@describe.register
def _(obj: Route) -> str:
    words = [f"-{obj.family}", *(["unreachable"] if obj.type == "unreachable" else []), obj.destination]
    words += [f"via {obj.via}"] if obj.via else []
    words += [f"dev {obj.dev}"] if obj.dev else []
    words += [f"table {obj.table} metric {obj.metric}"]
    return " ".join([*words, *(["onlink"] if obj.onlink else [])])


@describe.register
def _(obj: FibRule) -> str:
    return f"-{obj.family} {obj}"


@describe.register
def _(obj: Table) -> str:
    rules, elements = sum(len(c.rules) for c in obj.chains), sum(len(s.elements) for s in obj.sets)
    return (
        f"inet {obj.name}: {counted(len(obj.chains), 'chain')}, {counted(rules, 'rule')}, "
        f"{counted(elements, 'element')}"
    )


@describe.register
def _(obj: TcProgram) -> str:
    if obj.options is None:
        return f"{obj.key}: a program that is not ours"
    ports = ", ".join(
        f"{port.ifindex}" + (f" ({port.mac})" if port.mac else "")
        for port in sorted(obj.ports, key=lambda p: p.ifindex)
    )
    hop = ", hop hidden" if obj.options.hide_hop else ""
    return f"{obj.key}: in-interface by {obj.options.source}{hop}; interfaces {ports}"


@describe.register
def _(obj: EgressGuard) -> str:
    if obj.stage_mask is None:
        return f"{obj.key}: a program that is not ours"
    sources = [entry for entry in obj.entries if entry.side == "source"]
    parts = [
        f"{word} {', '.join(networks)}"
        for word, standing in (("own", Standing.OWN), ("inside", Standing.INSIDE), ("other", Standing.OTHER))
        if (networks := sorted(entry.network for entry in sources if entry.standing & standing))
    ]
    if any(entry.standing & Standing.FREE for entry in sources):
        parts = [*(part.replace("own", "public", 1) for part in parts), "all else leaves"]
    return f"{obj.key}: {'; '.join(parts)}{_lines(obj.entries)}"


@describe.register
def _(obj: IngressGuard) -> str:
    if obj.stage_mask is None:
        return f"{obj.key}: a program that is not ours"
    own = sorted(map(ip_address, obj.entries), key=lambda address: (address.version, address))
    return f"{obj.key}: own {', '.join(map(str, own)) or 'none'}"


def _lines(entries: frozenset[GuardEntry]) -> str:
    count = max((entry.lines.bit_length() for entry in entries), default=0)
    verb = "leaves" if count == 1 else "leave"
    return f"; {counted(count, 'line')} {verb} untranslated" if count else ""
