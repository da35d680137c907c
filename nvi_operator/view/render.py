"""What a spec means, as commands and files that an administrator knows."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.nft.ast import Table
from nvi_operator.nft.table_text import table_text
from nvi_operator.state.host import HostState
from nvi_operator.topology.model import Topology
from nvi_operator.view.describe import describe

_SECTIONS = (
    ("module", "kernel modules"),
    ("link", "links"),
    ("link-group", "link groups of the uplinks"),
    ("tc-program", "eBPF programs"),
    ("egress-guard", "guards at the uplinks' egress"),
    ("ingress-guard", "guards at the interfaces' ingress"),
    ("route", "ip route"),
    ("fib-rule", "ip rule"),
    ("sysctl", "sysctl"),
)


def render_lines(topology: Topology, desired: HostState, *, assumed: bool) -> Iterator[str]:
    """Line by line. Comments start with '#', so that the nft part can be loaded as it is."""
    yield f"# gateway {topology.name}: dataplane {topology.dataplane}, in-interface by {topology.in_interface}"
    if assumed:
        yield "# interface numbers and MAC addresses are assumed where this host has no such interface"
    for note in topology.notes:
        yield f"# note: {note}"
    for kind, title in _SECTIONS:
        objects = desired.of_kind(kind)
        if objects:
            yield ""
            yield f"# {title}"
            yield from (f"#   {describe(obj)}" for obj in objects)
    for table in desired.of_kind("nft-table"):
        if isinstance(table, Table):
            yield ""
            yield from table_text(table)
