"""The state of a gateway on one screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from nvi_operator.kinds.link import LINK, Link
from nvi_operator.language.model.values import FAMILIES
from nvi_operator.language.wording import counted
from nvi_operator.plan.change import Plan
from nvi_operator.topology.faults import interface_state
from nvi_operator.topology.interfaces import Uplink
from nvi_operator.view.table import LabelledText, TextTable

Counters = Mapping[str, Mapping[str, int]]

_SHOWN_FAULTS = 20  # a screen holds no more; the JSON has them all

MEANINGS = {
    "reinjected": "packets handed back to their in-interface",
    "no_stage_bit": "dropped: stage 1 did not see them (table flushed?)",
    "no_device": "dropped: in-interface unknown or gone",
    "device_down": "dropped: in-interface is down",
    "loop": "dropped: here for the second time (a foreign rule took the mark away?)",
    "backlog": "dropped: more than net.core.netdev_max_backlog waiting on a CPU",
    "other": "dropped: not IP, or too short",
    "stage_1": "packets on their way into the device",
    "stage_2": "packets on their second pass",
    "untracked": "dropped: here for the second time, or taken out of tracking by a foreign rule",
    "spoofed": "dropped: inside source from an uplink, or one of the gateway's own addresses",
    "leak_untranslated": "dropped: inside source about to leave untranslated",
    "leak_uplink": "dropped: source of another uplink",
    "ip_options": "dropped: IPv4 options, which may hold inside addresses (record route, timestamps)",
    "wrong_uplink_own": "dropped: the gateway's own, with the source of another uplink",
    "egress_untranslated": "dropped by the uplink's program: inside source about to leave untranslated",
    "egress_foreign": "dropped by the uplink's program: forwarded, and no source of the uplink",
    "egress_reset": "dropped by the uplink's program: a reset of the gateway itself, while the table is gone",
    "egress_wrong_uplink": "dropped by the uplink's program: the gateway's own, with another uplink's source",
    "not_opened": "dropped: opened by the far side of twiceNat",
    "unanswered": "opened from an uplink to an inside address: no answer leaves untranslated (uplinks: networks)",
    "ingress_spoofed": "dropped by the interface's program: source is one of the gateway's own addresses",
    "marked_after_confirm": "new flows whose mark hook ran after conntrack confirm",
}


def status_text(name: str, seen: Plan, counters: Counters, faults: Sequence[str] = ()) -> RenderableType:
    """`faults` are of topology/faults.py."""
    parts: list[RenderableType] = []
    links = [obj for obj in seen.before.of_kind("link") if isinstance(obj, Link)]
    head = Text(f"gateway {name}: " if name else "", style="bold")
    if not links:
        head.append("not applied: no nvi device in this network namespace", style="yellow")
    elif seen.topology is None:
        head.append(counted(len(seen.before), "object") + " of the gateway")
    elif seen:
        head.append(f"{counted(len(seen.steps), 'difference')} from the spec (see nvictl drift)", style="yellow")
    elif faults:
        head.append(f"degraded: {counted(len(faults), 'fault')}", style="yellow")
    else:
        head.append("in sync: as the spec says", style="green")
    parts.append(head)
    parts += [LabelledText(Text("fault   "), fault, "yellow") for fault in faults[:_SHOWN_FAULTS]]
    if (more := len(faults) - _SHOWN_FAULTS) > 0:
        parts.append(LabelledText(Text("fault   "), f"and {more} more (see -o json)", "yellow"))
    parts += [LabelledText(Text("device  "), LINK.describe(link)) for link in links]
    parts += [LabelledText(Text("note    "), note) for note in _hook_order(counters)]
    if seen.topology:
        parts += [LabelledText(Text("note    "), note) for note in seen.topology.notes]
        parts.append(_uplinks(seen))
    for group, values in counters.items():
        parts.append(_counters(group, values))
    return Group(*parts)


def is_working(seen: Plan, faults: Sequence[str]) -> bool:
    """Is it applied, equal to its spec where one is given, and without faults? Otherwise the exit code is 1."""
    up = bool(seen.before.of_kind("link"))
    return up and (seen.topology is None or not (seen or faults))


def _hook_order(counters: Counters) -> Iterator[str]:
    """Of two hooks at INT_MAX the one registered later runs earlier. Packets cross correctly either way."""
    for values in counters.values():
        if values.get("stage_1") and not values.get("marked_after_confirm"):
            yield (
                "the mark hook runs before conntrack confirm: another tool used conntrack first. That is harmless; "
                "`nvictl down` and `apply` before that tool starts put it right"
            )


def _uplinks(seen: Plan) -> TextTable:
    assert seen.topology is not None
    table = TextTable("uplinks", ("name", "interface", "state", "next hop", "address", "sources"))
    for uplink in seen.topology.uplinks:
        table.rows.append(
            (
                uplink.name + (" (default)" if uplink.default else ""),
                uplink.interface.ifname,
                interface_state(uplink.interface),
                ", ".join(uplink.next_hops.values()) or ("point-to-point" if _is_direct(uplink) else "none"),
                ", ".join(str(a) for f in FAMILIES if (a := uplink.primary(f))) or "none",
                counted(sum(len(uplink.sources(f)) for f in FAMILIES), "prefix", "es"),
            )
        )
    return table


def _is_direct(uplink: Uplink) -> bool:
    return uplink.point_to_point or bool(uplink.direct)


def _counters(group: str, values: Mapping[str, int]) -> TextTable:
    table = TextTable(group, ("counter", "packets", "meaning"), right=frozenset({1}))
    for name, value in sorted(values.items()):
        meaning = MEANINGS.get(name, "new flows by this line" if "nat_" in name else "")
        table.rows.append((name, str(value), meaning))
    return table


def status_json(name: str, seen: Plan, counters: Counters, faults: Sequence[str] = ()) -> dict[str, Any]:
    up = bool(seen.before.of_kind("link"))
    return {
        "gateway": name or None,
        "up": up,
        "inSync": up and not seen if seen.topology else None,
        "working": is_working(seen, faults),
        "degraded": list(faults),
        "differences": len(seen.steps) if seen.topology else None,
        "notes": list(seen.topology.notes) if seen.topology else [],
        "uplinks": [_uplink_json(uplink) for uplink in seen.topology.uplinks] if seen.topology else [],
        "objects": len(seen.before),
        "counters": {group: dict(values) for group, values in counters.items()},
    }


def _uplink_json(uplink: Uplink) -> dict[str, Any]:
    """As the spec calls it, with the addresses and routers that it has now."""
    return {
        "name": uplink.name,
        "default": uplink.default,
        "interface": uplink.interface.ifname,
        "state": interface_state(uplink.interface),
        "pointToPoint": _is_direct(uplink),
        "nextHops": list(uplink.next_hops.values()),
        "addresses": [str(address) for address in uplink.addresses],
        "translateTo": [str(address) for family in FAMILIES if (address := uplink.primary(family))],
        "sources": [str(network) for family in FAMILIES for network in uplink.sources(family)],
    }
