"""The largest flows of the cache, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nvi_operator.language.wording import counted
from nvi_operator.state.flow import Flow, FlowTuple
from nvi_operator.view.segment import Piece, line
from nvi_operator.view.table import TextTable

NONE = "No flow is cached here. nvictl status says whether there is a flow cache, and why not."
_HEADING = ("protocol", "in", "original", "out", "translated", "packets", "bytes", "state")


def flows_text(flows: Sequence[Flow], total: int, width: int | None) -> Iterator[Piece]:
    """`total` is how many there are: each direction of a flow is one."""
    if not total:
        yield line(NONE)
        return
    table = TextTable(f"the largest of {counted(total, 'cached direction')}", _HEADING, right=frozenset({5, 6}))
    for flow in flows:
        table.rows.append(
            (
                flow.protocol,
                flow.in_interface,
                _shown(flow.original),
                flow.out_interface,
                _shown(flow.translated),
                str(flow.packets),
                str(flow.bytes),
                "fast" if flow.confirmed else "to be confirmed",
            )
        )
    yield from table.drawn(width)


def flows_json(flows: Sequence[Flow], total: int) -> dict[str, Any]:
    return {
        "total": total,
        "flows": [
            {
                "protocol": flow.protocol,
                "in": flow.in_interface,
                "original": _json(flow.original),
                "out": flow.out_interface,
                "translated": _json(flow.translated),
                "packets": flow.packets,
                "bytes": flow.bytes,
                "confirmed": flow.confirmed,
            }
            for flow in flows
        ],
    }


def _shown(of: FlowTuple) -> str:
    brackets = "[{}]:{}" if of.source.version == 6 else "{}:{}"
    ends = ((of.source, of.source_port), (of.destination, of.destination_port))
    return " > ".join(brackets.format(*end) for end in ends)


def _json(of: FlowTuple) -> dict[str, Any]:
    return {
        "source": str(of.source),
        "sourcePort": of.source_port,
        "destination": str(of.destination),
        "destinationPort": of.destination_port,
    }
