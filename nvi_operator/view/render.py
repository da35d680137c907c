"""What a spec means, as commands that an administrator knows, in the order in which an apply would do the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from nvi_operator.kinds import KINDS
from nvi_operator.plan.diff import plan
from nvi_operator.state.host import HostState
from nvi_operator.topology.model import Topology


def render_lines(topology: Topology, desired: HostState, *, assumed: bool) -> Iterator[str]:
    """A script for sh(1). An object that no command can make is a comment, as is everything else."""
    yield f"# gateway {topology.name}: dataplane {topology.dataplane}, in-interface by {topology.in_interface}"
    yield "# for sh(1), as root, on a host without this gateway, in the order of an apply;"
    yield "# only nvictl loads eBPF programs, and records what settings were before"
    if assumed:
        yield "# interface numbers and MAC addresses are assumed where this host has no such interface"
    for note in topology.notes:
        yield from (f"# note: {line}" for line in note.splitlines())
    for name, changes in groupby(plan(HostState(), desired).steps, key=lambda change: change.ref.kind):
        kind = KINDS[name]
        yield ""
        yield f"# {kind.title}"
        for change in changes:
            script = tuple(kind.script(change.present, topology))
            yield from script or (f"# {kind.describe(change.present)}: no command makes it, nvictl apply does",)
