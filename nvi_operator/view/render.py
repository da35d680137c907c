"""What a spec means, as commands and files that an administrator knows."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.kinds import KINDS
from nvi_operator.state.host import HostState
from nvi_operator.topology.model import Topology


def render_lines(topology: Topology, desired: HostState, *, assumed: bool) -> Iterator[str]:
    """Line by line. Comments start with '#', so that the nft part can be loaded as it is."""
    yield f"# gateway {topology.name}: dataplane {topology.dataplane}, in-interface by {topology.in_interface}"
    if assumed:
        yield "# interface numbers and MAC addresses are assumed where this host has no such interface"
    for note in topology.notes:
        yield f"# note: {note}"
    for kind in KINDS.values():
        objects = desired.of_kind(kind.name)
        if kind.text is not None:
            for obj in objects:
                yield ""
                yield from kind.text(obj)
        elif objects:
            yield ""
            yield f"# {kind.title}"
            yield from (f"#   {kind.describe(obj)}" for obj in objects)
