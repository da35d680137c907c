"""What becomes of flows, in a sentence for each class. Computes nothing: preview/classes.py does.

lan0 to anywhere: now leaves by isp-b as 198.51.100.2, no longer by isp-a as 203.0.113.2
443/tcp from isp-a to 203.0.113.2: loses its server 192.168.1.80:8443: now is refused (unreachable)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import summarize_address_range
from itertools import islice
from typing import Any

from nvi_operator.explain.packet import WITH_PORTS, address
from nvi_operator.explain.spans import NOTHING, Spans
from nvi_operator.explain.words import packet_words
from nvi_operator.language.model.services import PROTOCOL_NAMES
from nvi_operator.language.model.values import Address
from nvi_operator.language.wording import counted, first_to_last
from nvi_operator.preview.classes import FlowChange
from nvi_operator.preview.outcome import ARRIVED, End, FlowOutcome
from nvi_operator.preview.regions import protocols
from nvi_operator.state.lines import Line

MOST = 12  # sentences, where there is not room for all
_FEW = 3
_PORTS = Spans(((1, 65535),))
_WIDE = {4: 1 << 31, 6: 1 << 127}  # addresses: more than half of them are anywhere
_NAMES = {1: "ping", 58: "ping"}
_VERBS = ("leaves by ", "reaches ", "goes in by ")


def flow_lines(changes: Iterable[FlowChange], most: int | None = MOST) -> Iterator[Line]:
    """What a reader has to know comes first: answers that go astray, what is lost, then the widest classes.

    Classes that differ in who opens the flows are told together where the same becomes of them.
    """
    alike: dict[tuple[str, ...], list[FlowChange]] = {}
    for change in sorted(changes, key=_order):
        alike.setdefault((_sign(change), _services(change), _where(change), _becomes(change)), []).append(change)
    for (sign, services, where, outcome), group in list(alike.items())[:most]:
        yield sign, _sentence(services, ", ".join(dict.fromkeys(_openers(group))), where, outcome)
    if most is not None and len(alike) > most:
        yield " ", f"and {len(alike) - most} more, in the page and in the JSON"


def flow_text(change: FlowChange) -> str:
    """One class."""
    return _sentence(_services(change), _who(change), _where(change), _becomes(change))


def _sentence(services: str, who: str, where: str, outcome: str) -> str:
    return f"{f'{services} from {who}' if services else who} to {where}: {outcome}"


def flow_json(change: FlowChange) -> dict[str, Any]:
    return {
        "text": flow_text(change),
        "from": {name or "": _spans(change, spans) for name, spans in change.sources.items()},
        "to": _spans(change, change.destinations),
        "services": [_service(protocol, ports) for protocol, ports in change.services],
        "before": sorted(_outcome(change, each) for each in change.before),
        "after": sorted(_outcome(change, each) for each in change.after),
        "example": packet_words(change.example),
    }


# --------------------------------------------------------------------------- which flows


def _who(change: FlowChange) -> str:
    """Who opens them: an interface, some of its hosts, or the gateway itself."""
    return ", ".join(_hosts(change, name, spans) for name, spans in change.sources.items())


def _openers(changes: Iterable[FlowChange]) -> Iterator[str]:
    """Who opens any of them: each interface once, where flows of both families are not told together."""
    of_family: dict[int, FlowChange] = {}
    for change in changes:
        known = of_family.get(change.family)
        of_family[change.family] = known.joined(change) if known else change
    yield from map(_who, of_family.values())


def _hosts(change: FlowChange, ifname: str | None, spans: Spans) -> str:
    if ifname is None:
        return "the gateway itself"
    missing = change.asked[ifname] - spans
    name = change.names.get(ifname, ifname)
    if not missing or (ifname in change.names and _size(missing) < _size(spans)):
        return name
    if len(missing.parts) < min(len(spans.parts), _FEW):
        return f"{name} but {_few(_spans(change, missing))}"
    return f"{_few(_spans(change, spans))} ({name})"


def _where(change: FlowChange) -> str:
    if _size(change.destinations) > _WIDE[change.family]:
        return "anywhere"
    return _few(_spans(change, change.destinations))


def _services(change: FlowChange) -> str:
    """Empty where it is all of them; most are told by the others."""
    others = dict.fromkeys(protocols(change.family), _PORTS)
    for protocol, ports in change.services:
        others[protocol] = others[protocol] - ports if protocol in WITH_PORTS else NOTHING
    missing = [_service(protocol, ports) for protocol, ports in sorted(others.items()) if ports]
    if not missing:
        return ""
    services = [_service(*each) for each in change.services]
    is_most = len(services) > _FEW >= len(missing)
    return f"all but {_few(missing, last=' and ')}" if is_most else _few(services, last=" and ")


def _service(protocol: int, ports: Spans) -> str:
    name = _NAMES.get(protocol) or PROTOCOL_NAMES.get(protocol, str(protocol))
    if protocol not in WITH_PORTS or ports == _PORTS:
        return name
    return f"{_few(_ranges(ports))}/{name}"


def _ranges(ports: Spans) -> Iterator[str]:
    return (f"{first}-{last}" if first < last else str(first) for first, last in ports)


def _size(spans: Spans) -> int:
    """More than `len` can tell, of IPv6."""
    return sum(last - first + 1 for first, last in spans)


def _spans(change: FlowChange, spans: Spans) -> list[str]:
    """Addresses, prefixes and ranges."""
    return [_range(address(change.family, first), address(change.family, last)) for first, last in spans]


def _range(first: Address, last: Address) -> str:
    if first == last:
        return str(first)
    (network, *others) = islice(summarize_address_range(first, last), 2)
    return f"{first}-{last}" if others else str(network)


# --------------------------------------------------------------------------- what becomes of them


def _becomes(change: FlowChange) -> str:
    old, new = (_outcomes(change, outcomes) for outcomes in (change.before, change.after))
    if server := _server(change):
        return f"loses its server {server}: now {new}"
    if any(each.end is End.ABSENT for each in change.before):
        return f"new: {new}"
    if old == new:  # what differs is as whom alone
        old, new = (_outcomes(change, outcomes, as_whom=True) for outcomes in (change.before, change.after))
    kept, other = change.before & change.after, change.before ^ change.after
    if len(kept) >= len(other) and max(len(change.before), len(change.after)) > _FEW:
        return _differences(change, len(kept))
    return f"now {new}, no longer {_without_verb(old, new)}"


def _differences(change: FlowChange, kept: int) -> str:
    """What comes and what goes, where most of many ways stay."""
    come, gone = (
        _outcomes(change, side - other) if side - other else ""
        for side, other in ((change.after, change.before), (change.before, change.after))
    )
    parts = [f"now also {come}"] if come else []
    parts += [f"no longer {_without_verb(gone, come)}"] if gone else []
    return f"{', '.join(parts)}; {counted(kept, 'way')} as before"


def _without_verb(text: str, other: str) -> str:
    """The second of two phrases that begin with the same verb is told without it."""
    verb = next((verb for verb in _VERBS if text.startswith(verb) and other.startswith(verb)), "")
    return text.removeprefix(verb.removesuffix("by "))


def _server(change: FlowChange) -> str:
    """What they reached by a forward, and reach no more."""
    if any(each.end is End.INSIDE and each.destination for each in change.after):
        return ""
    return _few(_target(change, each) for each in change.before if each.end is End.INSIDE and each.destination)


def _outcomes(change: FlowChange, outcomes: frozenset[FlowOutcome], *, as_whom: bool = False) -> str:
    uplinks = {each.by for each in outcomes if each.end is End.UPLINK and not each.answer}
    if len(outcomes) == len(uplinks) > _FEW and not as_whom:
        return f"leaves by {first_to_last(uplinks, 'uplink')}"
    first, *others = sorted(_outcome(change, each, as_whom=as_whom) for each in outcomes)
    return _few([first, *(_without_verb(each, first) for each in others)], last=" or ")


def _outcome(change: FlowChange, found: FlowOutcome, *, as_whom: bool = False) -> str:
    """`as_whom`: with all of the source, though it is the gateway's own choice."""
    match found.end:
        case End.NOWHERE:
            return f"is {found.by}"
        case End.ABSENT:
            return "does not come in"
        case End.UNKNOWN:
            return f"is not modelled ({found.by})"
        case End.UPLINK:
            way = f"leaves by {found.by}"
        case End.INSIDE:
            way = f"reaches {_target(change, found)}" if found.destination else f"goes in by {found.by}"
        case End.GATEWAY:
            way = "reaches the gateway itself"
    if found.destination is not None and found.end is End.UPLINK:
        way = f"{way} to {_target(change, found)}"
    if found.end is End.UPLINK or (found.end is End.INSIDE and (as_whom or None not in change.sources)):
        if found.source is not None:
            way += f" as {_few(_spans(change, found.source))}"
            if as_whom and found.source_port is not None:
                way += f" from port {_few(_ranges(found.source_port))}"
        elif found.end is End.UPLINK:
            way += " untranslated"
    return f"{way}, and its answers {_astray(found.answer)}" if found.answer else way


def _target(change: FlowChange, found: FlowOutcome) -> str:
    hosts = _few(_spans(change, found.destination or Spans()))
    if found.port is None or all(ports == found.port for _, ports in change.services):
        return hosts
    return f"{f'[{hosts}]' if change.family == 6 else hosts}:{_few(str(first) for first, _ in found.port)}"


def _astray(answer: str) -> str:
    verbs = {"by": "leave", "to": "go"}
    return f"{verbs.get(answer.partition(' ')[0], 'are')} {answer}"


def _few(texts: Iterable[str], *, last: str = ", ") -> str:
    once = list(dict.fromkeys(texts))
    if len(once) > _FEW:
        return f"{', '.join(once[:_FEW])} and {len(once) - _FEW:,} more"
    return last.join((", ".join(once[:-1]), once[-1])) if len(once) > 1 else "".join(once)


# --------------------------------------------------------------------------- their order


def _sign(change: FlowChange) -> str:
    if _is_transit(change):
        return "~"
    was, now = (any(_works(each) for each in side) for side in (change.before, change.after))
    if (was and not now) or _server(change):
        return "-"
    if _is_astray(change.after) and not _is_astray(change.before):
        return "!"
    return "+" if now and not was else "~"


def _is_transit(change: FlowChange) -> bool:
    """Does it go from one uplink to another? A gateway passes that on and no more, and ISPs do not send it."""
    inner = (End.INSIDE, End.GATEWAY)
    return all(name in change.names for name in change.sources) and not any(
        each.end in inner for each in (*change.before, *change.after)
    )


def _works(found: FlowOutcome) -> bool:
    """Do packets arrive, and answers leave?"""
    return found.end in ARRIVED and (found.answer is None or found.answer.startswith("by "))


def _is_astray(outcomes: frozenset[FlowOutcome]) -> bool:
    """Do answers leave by another way than they should?"""
    return any(each.answer is not None and _works(each) for each in outcomes)


def _order(change: FlowChange) -> tuple[int, bool, bool, bool]:
    works = not _is_transit(change) and any(map(_works, (*change.before, *change.after)))
    rank = {"!": 0, "-": 1, "~": 2, "+": 2}[_sign(change)] if works else 3
    has_server = any(each.destination is not None for side in (change.before, change.after) for each in side)
    is_from_outside = any(ifname in change.names for ifname in change.sources)
    return rank, _size(change.destinations) <= _WIDE[change.family], not has_server, not is_from_outside
