"""The state of a gateway as data: what `nvictl status -o json` prints. `status_text.py` shows it to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict

from nvi_operator.events.moment import iso
from nvi_operator.history.decisions import Decisions, Moment
from nvi_operator.kinds.link import LINK, Link
from nvi_operator.language.model.values import FAMILIES, Address
from nvi_operator.plan.change import Plan
from nvi_operator.topology.faults import interface_state, uplink_state
from nvi_operator.topology.interfaces import Uplink
from nvi_operator.topology.model import Topology
from nvi_operator.topology.rules import OneToOne, SourceAction, Spread, ToRange
from nvi_operator.topology.servers import ForwardServer
from nvi_operator.view.flow_cache import FlowCacheStatus, flow_cache_status

Counters = Mapping[str, Mapping[str, int]]


class UplinkStatus(TypedDict):
    """An uplink as the spec calls it, with the addresses and routers that it has now."""

    name: str
    default: bool  # does the spec name it as one?
    defaultNow: bool  # does it take what no rule leads elsewhere?
    interface: str
    state: str  # of the interface
    health: str  # `up`, or why it takes no new flows
    since: str | None  # when that began; None: not known
    pointToPoint: bool
    nextHops: list[str]
    addresses: list[str]
    translateTo: list[str]
    sources: list[str]


class ServerStatus(TypedDict):
    """A server of a forward that has probes."""

    forward: str
    server: str
    state: str  # up, down, or unknown: no probe has ended yet
    reason: str  # why it is down
    takesFlows: bool
    since: str | None


class RuleStatus(TypedDict):
    section: str
    name: str
    flows: int  # new ones, since the table was made
    uplinks: list[str]  # of sourceNat: those that take new ones now


class SourceStatus(TypedDict):
    """A git source. `fetched`: when the remote answered last; `error`: of the last attempt."""

    remote: str
    ref: str
    commit: str | None
    author: str | None
    signer: str | None
    subject: str | None
    fetched: str | None
    error: str | None


class DaemonStatus(TypedDict):
    """What a running daemon adds."""

    pid: int
    spec: str
    since: str
    revision: str | None
    errors: list[str]
    paused: dict[str, float]  # seconds left, by object
    source: SourceStatus | None  # a git source


class Suspended(TypedDict):
    reason: str
    author: str
    since: str
    until: str | None  # None: until `nvictl resume`


class Unconfirmed(TypedDict):
    revision: int
    secondsLeft: float
    by: str  # `hand`, `proof` or `checks`
    missing: str | None  # of a proof: what it lacks yet


class GivenUpRevision(TypedDict):
    """A revision that is not tried until the source changes, and the one that is in force in its place."""

    revision: int
    why: str
    inForce: int


class StatusData(TypedDict):
    """Stable for programs: fields are only ever added."""

    gateway: str | None
    revision: str | None
    up: bool
    inSync: bool | None
    working: bool
    standby: bool  # another gateway has the virtual addresses
    degraded: list[str]
    differences: int | None
    ignored: list[str]  # objects that differ, and that the spec's drift policy ignores
    notes: list[str]
    devices: list[str]
    uplinks: list[UplinkStatus]
    servers: list[ServerStatus]
    rules: list[RuleStatus]
    objects: int
    flowCache: FlowCacheStatus | None
    counters: dict[str, dict[str, int]]
    suspended: Suspended | None
    unconfirmed: Unconfirmed | None
    givenUp: GivenUpRevision | None
    daemon: DaemonStatus | None
    events: list[dict[str, Any]]  # the last ones, of docs/events.md


def status_data(
    name: str,
    seen: Plan,
    counters: Counters,
    faults: Sequence[str] = (),
    *,
    since: Mapping[str, float] | None = None,
    daemon: DaemonStatus | None = None,
    events: Sequence[dict[str, Any]] = (),
    suspended: Suspended | None = None,
    unconfirmed: Unconfirmed | None = None,
    given_up: GivenUpRevision | None = None,
) -> StatusData:
    """`faults` are of topology/faults.py, `since` when the state of each uplink began, in seconds since 1970."""
    links = [obj for obj in seen.before.of_kind("link") if isinstance(obj, Link)]
    topology = seen.topology
    broken = faults or (daemon and daemon["errors"])
    return {
        "gateway": name or None,
        "revision": daemon["revision"] if daemon else None,
        "up": bool(links),
        "inSync": bool(links) and not seen if topology else None,
        "working": bool(links) and (topology is None or not (seen or broken)),
        "standby": bool(links and topology and topology.is_standby),
        "degraded": list(faults),
        "differences": len(seen.steps) if topology else None,
        "ignored": list(seen.ignored),
        "notes": [*_hook_order(counters), *(topology.notes if topology else ())],
        "devices": [LINK.describe(link) for link in links],
        "uplinks": [_uplink(uplink, topology, since or {}) for uplink in topology.uplinks] if topology else [],
        "servers": [_server(server) for server in topology.servers] if topology else [],
        "rules": list(_rules(topology, counters)) if topology else [],
        "objects": len(seen.before),
        "flowCache": flow_cache_status(seen, counters),
        "counters": {group: dict(values) for group, values in counters.items()},
        "suspended": suspended,
        "unconfirmed": unconfirmed,
        "givenUp": given_up,
        "daemon": daemon,
        "events": list(events),
    }


def suspended(decisions: Decisions, now: Moment, wall: float) -> Suspended | None:
    """`wall` in seconds since 1970."""
    if (found := decisions.suspended(now, wall)) is None:
        return None
    left = found.left(now, wall)
    until = None if left is None else iso(wall + left)
    return {"reason": found.reason, "author": found.author, "since": iso(found.since), "until": until}


def unconfirmed(decisions: Decisions, now: Moment) -> Unconfirmed | None:
    found = decisions.pending
    if found is None:
        return None
    left = round(found.left(now), 1)
    return {"revision": found.revision, "secondsLeft": left, "by": found.by, "missing": found.missing or None}


def given_up(decisions: Decisions) -> GivenUpRevision | None:
    found = decisions.held
    return {"revision": found.revision, "why": found.why, "inForce": found.back.revision} if found else None


def _hook_order(counters: Counters) -> Iterator[str]:
    """Of two hooks at INT_MAX the one registered later runs earlier. Packets cross correctly either way."""
    for values in counters.values():
        if values.get("stage_1") and not values.get("marked_after_confirm"):
            yield (
                "the mark hook runs before conntrack confirm: another tool used conntrack first. That is harmless; "
                "`nvictl down` and `apply` before that tool starts put it right"
            )


def _rules(topology: Topology, counters: Counters) -> Iterator[RuleStatus]:
    """The rules that have a counter, in the order of the spec."""
    counts = {name: count for values in counters.values() for name, count in values.items()}
    sections = (
        ("sourceNat", topology.source_rules),
        ("forwards", topology.forward_rules),
        ("redirects", topology.redirects),
    )
    for section, rules in sections:
        for name, counter in dict.fromkeys((rule.name, rule.counter) for rule in rules):
            leads = _leads_to(topology, name) if section == "sourceNat" else []
            yield {"section": section, "name": name, "flows": counts.get(counter, 0), "uplinks": leads}


def _leads_to(topology: Topology, name: str) -> list[str]:
    """The uplinks whose addresses new flows get by a rule of source NAT, hosts beside an uplink apart."""
    last = {rule.conditions.family: rule.action for rule in topology.source_rules if rule.name == name}
    addresses = [address for action in last.values() for address in _translated(action)]
    return [
        uplink.name
        for uplink in topology.uplinks
        if any(a in network for a in addresses for network in uplink.sources(a.version))
    ]


def _translated(action: SourceAction) -> Iterator[Address]:
    match action:
        case ToRange(addresses=addresses):
            yield addresses.first
        case Spread(choices=choices):
            yield from (choice.address for choice in choices if choice.weight)
        case OneToOne(pairs=pairs):
            yield from (mapped.network_address for _, mapped in pairs)


def _uplink(uplink: Uplink, topology: Topology, since: Mapping[str, float]) -> UplinkStatus:
    began = uplink.health.since or since.get(uplink.name)
    return {
        "name": uplink.name,
        "default": uplink.default,
        "defaultNow": any(way.untranslated == uplink.name for way in topology.defaults),
        "interface": uplink.interface.ifname,
        "state": interface_state(uplink.interface),
        "health": uplink_state(uplink),
        "since": iso(began) if began else None,
        "pointToPoint": uplink.point_to_point or bool(uplink.direct),
        "nextHops": list(uplink.next_hops.values()),
        "addresses": [str(address) for address in uplink.addresses],
        "translateTo": [str(address) for family in FAMILIES if (address := uplink.primary(family))],
        "sources": [str(network) for family in FAMILIES for network in uplink.sources(family)],
    }


def _server(server: ForwardServer) -> ServerStatus:
    health = server.health
    return {
        "forward": server.forward,
        "server": str(server.target),
        "state": health.state,
        "reason": health.reason,
        "takesFlows": server.takes_flows,
        "since": iso(health.since) if health.since else None,
    }
