"""`nvictl show nat`: rules, forwards, translations and pools, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nvi_operator.language.wording import counted
from nvi_operator.state.translation import PORTS, Address, FlowTranslation, PoolUse
from nvi_operator.topology.forward_use import ForwardUse
from nvi_operator.view.segment import Piece, line
from nvi_operator.view.table import TextTable

if TYPE_CHECKING:
    from nvi_operator.view.status import RuleStatus


def rules_text(rules: Sequence[RuleStatus], width: int | None) -> Iterator[Piece]:
    table = TextTable("rules", ("section", "name", "new flows"), right=frozenset({2}))
    table.rows += [(rule["section"], rule["name"], str(rule["flows"])) for rule in rules]
    yield from table.drawn(width)


def forwards_text(uses: Sequence[ForwardUse], total: int, width: int | None) -> Iterator[Piece]:
    shown = "1 public port or address" if total == 1 else f"{total} public ports or addresses"
    if len(uses) < total:
        shown = f"{shown}, the busiest {len(uses)}"
    heading = ("name", "public", "to", "flows now", "their packets", "new flows")
    table = TextTable(shown, heading, right=frozenset({3, 4, 5}))
    for use in uses:
        counts = ("" if count is None else str(count) for count in (use.flows, use.packets, use.new_flows))
        table.rows.append((use.name, use.public, use.servers, *counts))
    yield from table.drawn(width)


def forwards_json(uses: Sequence[ForwardUse], total: int) -> dict[str, Any]:
    keys = ("name", "public", "servers", "flows", "packets", "bytes")
    return {
        "total": total,
        "forwards": [{**{key: getattr(use, key) for key in keys}, "newFlows": use.new_flows} for use in uses],
    }


def translations_text(flows: Sequence[FlowTranslation], total: int, width: int | None) -> Iterator[Piece]:
    heading = ("protocol", "from", "to", "becomes from", "becomes to", "packets", "ends in")
    table = TextTable(f"{len(flows):,} of {counted(total, 'translated flow')}", heading, right=frozenset({5, 6}))
    for flow in flows:
        source, destination = _end(flow.source, flow.source_port), _end(flow.destination, flow.destination_port)
        new_source = _end(flow.new_source, flow.new_source_port)
        new_destination = _end(flow.new_destination, flow.new_destination_port)
        table.rows.append(
            (
                flow.protocol + (f" zone {flow.zone}" if flow.zone else ""),
                source,
                destination,
                "" if new_source == source else new_source,
                "" if new_destination == destination else new_destination,
                "" if flow.packets is None else str(flow.packets),
                f"{flow.seconds_left} s",
            )
        )
    yield from table.drawn(width)


def translations_json(flows: Sequence[FlowTranslation], total: int) -> dict[str, Any]:
    return {
        "total": total,
        "translations": [
            {
                "protocol": flow.protocol,
                "source": str(flow.source),
                "sourcePort": flow.source_port,
                "destination": str(flow.destination),
                "destinationPort": flow.destination_port,
                "newSource": str(flow.new_source),
                "newSourcePort": flow.new_source_port,
                "newDestination": str(flow.new_destination),
                "newDestinationPort": flow.new_destination_port,
                "zone": flow.zone,
                "mark": flow.mark,
                "secondsLeft": flow.seconds_left,
                "packets": flow.packets,
                "bytes": flow.bytes,
            }
            for flow in flows
        ],
    }


def pools_text(uses: Sequence[PoolUse], width: int | None) -> Iterator[Piece]:
    table = TextTable(
        f"addresses that flows leave with; each has {PORTS:,} ports to each destination and port",
        ("address", "protocol", "flows", "busiest destination", "flows there", "of its ports"),
        right=frozenset({2, 4, 5}),
    )
    for use in uses:
        share, busiest = f"{use.share:.1%}", _end(*use.busiest)
        table.rows.append((str(use.address), use.protocol, str(use.flows), busiest, str(use.busiest_flows), share))
    for use in uses:
        if use.is_nearly_full:
            yield line(
                f"{use.address}: {use.protocol} to {_end(*use.busiest)}: {use.share:.0%} of the ports are taken: "
                "give the rule more addresses (as: [...] or a range)",
                "yellow",
            )
    yield from table.drawn(width)


def pools_json(uses: Sequence[PoolUse]) -> dict[str, Any]:
    return {
        "ports": PORTS,
        "pools": [
            {
                "address": str(use.address),
                "protocol": use.protocol,
                "flows": use.flows,
                "busiestDestination": str(use.busiest[0]),
                "busiestPort": use.busiest[1],
                "busiestFlows": use.busiest_flows,
                "share": round(use.share, 4),
                "nearlyFull": use.is_nearly_full,
            }
            for use in uses
        ],
    }


def _end(address: Address, port: int) -> str:
    if not port:
        return str(address)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
