"""An explanation for programs. Nothing of it is cut or summed up."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from nvi_operator.explain.flow import ConntrackEntry, ConntrackTuple
from nvi_operator.explain.packet import Packet, address
from nvi_operator.explain.step import ElementOf, EntryOrigin, HostRoute, RuleAt, Step
from nvi_operator.explain.verdict import Delivered, Dropped, Forwarded, NotModelled, Refused, Verdict
from nvi_operator.explain.words import packet_words
from nvi_operator.kinds import KINDS
from nvi_operator.nft.text import rule_text
from nvi_operator.view.explain.model import Explanation, WalkTree
from nvi_operator.view.explain.words import ending_words, step_words, uplink_of, verdict_words


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    return {
        "gateway": explanation.gateway,
        "about": explanation.about,
        "assumed": explanation.is_assumed,
        "notes": list(explanation.notes),
        "ways": [_way(explanation, way) for way in explanation.ways],
    }


def _way(explanation: Explanation, way: WalkTree) -> dict[str, Any]:
    walk = way.walk
    uplink = uplink_of(explanation.topology, walk)
    return {
        "kind": way.kind,
        "packet": _packet(walk.entering),
        "chosen": list(walk.chosen),
        "steps": [_step(step) for step in walk.steps],
        "verdict": {**_verdict(walk.verdict), "text": verdict_words(walk, uplink)},
        "leaves": _packet(walk.packet),
        "uplink": uplink.name if uplink else None,
        "conntrack": _entry(walk.entry) if walk.entry else None,
        "notCertain": list(way.others),
        "told": dict(ending_words(explanation, way)),
        "after": [_way(explanation, each) for each in way.after],
    }


def _packet(packet: Packet) -> dict[str, Any]:
    return {
        "words": packet_words(packet),
        "inInterface": packet.in_interface,
        "protocol": packet.protocol,
        "source": str(packet.source),
        "sourcePort": packet.source_port,
        "destination": str(packet.destination),
        "destinationPort": packet.destination_port,
        "icmpType": packet.icmp_type,
        "tcpFlags": sorted(packet.tcp_flags) if packet.protocol == 6 else None,
        "dscp": packet.dscp,
        "mark": packet.mark,
        "ttl": packet.ttl,
        "length": packet.length,
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "stage": step.stage,
        "hook": step.hook,
        "did": step.did,
        "by": _subject(step),
        "changes": [
            {"field": change.field, "before": _plain(change.before), "after": _plain(change.after)}
            for change in step.changes
        ],
        "note": step.note or None,
        "origin": asdict(step.origin) if isinstance(step.origin, EntryOrigin) else None,
        "text": step_words(step).text,
    }


def _subject(step: Step) -> dict[str, Any] | None:
    match step.subject:
        case None:
            return None
        case RuleAt(chain, number, rule):
            return {"kind": "nft-rule", "chain": chain, "number": number, "text": rule_text(rule)}
        case ElementOf(name, _, asked):
            by = asked.chain if asked else None
            return {"kind": "nft-element", "set": name, "chain": by, "text": step_words(step).object}
        case HostRoute():
            return {"kind": "route", "owned": False, "text": step_words(step).text}
    for name, kind in KINDS.items():
        if isinstance(step.subject, kind.type):
            subject: Any = step.subject
            return {"kind": name, "owned": True, "text": kind.describe(subject)}
    return {"kind": "other", "text": str(step.subject)}


def _plain(value: object) -> Any:
    return value if value is None or isinstance(value, int | str) else str(value)


def _verdict(verdict: Verdict) -> dict[str, Any]:
    match verdict:
        case Forwarded(interface, hop):
            return {"kind": "forwarded", "interface": interface, "nextHop": str(hop) if hop else None}
        case Delivered():
            return {"kind": "delivered"}
        case Dropped(where, counter):
            return {"kind": "dropped", "where": where, "counter": counter}
        case Refused(error, where, mtu):
            return {"kind": "refused", "error": error, "where": where, "mtu": mtu}
        case NotModelled(what, detail):
            return {"kind": "not-modelled", "limit": what.name, "detail": detail or None}


def _entry(entry: ConntrackEntry) -> dict[str, Any]:
    return {
        "protocol": entry.protocol,
        "original": _tuple(entry, entry.original),
        "reply": _tuple(entry, entry.reply),
        "zone": entry.zone,
        "mark": entry.mark,
        "status": sorted(entry.status),
    }


def _tuple(entry: ConntrackEntry, side: ConntrackTuple) -> dict[str, Any]:
    return {
        "source": str(address(entry.family, side.source)),
        "destination": str(address(entry.family, side.destination)),
        "sourcePort": side.source_port,
        "destinationPort": side.destination_port,
    }
