"""May established flows skip both passes here and now? (dataplane.flowCache)

What would be lost by it is a `Blocker`: of the spec and of settings here, of other programs' rules in the facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.values import Family
from nvi_operator.topology.blockers import Blocker, Reason
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.interfaces import Interface
from nvi_operator.topology.notes import Note

LONGEST_INTERVAL = 10_000  # milliseconds until the slow path has to confirm a flow again, where there are many
SHORTEST_INTERVAL = 1_000  # and where there are few

# Of flows that have had an answer: a flow whose timeout ends while it is cached would lose its NAT port.
TIMEOUTS = (
    "nf_conntrack_tcp_timeout_established",
    "nf_conntrack_tcp_timeout_fin_wait",
    "nf_conntrack_tcp_timeout_close_wait",
    "nf_conntrack_tcp_timeout_last_ack",
    "nf_conntrack_tcp_timeout_max_retrans",
    "nf_conntrack_tcp_timeout_unacknowledged",
    "nf_conntrack_udp_timeout",
    "nf_conntrack_udp_timeout_stream",
)

# What the module's cache loses nothing by: it holds the conntrack entry, comes after all programs at the ingress, and
# has packets of any link layer. But it takes all interfaces.
_SEEN_BY_MODULE: frozenset[Reason] = frozenset(
    {
        "conntrack_accounting",
        "conntrack_timeout",
        "helper",
        "no_ethernet",
        "no_programs",
        "synproxy",
        "tc_filter",
        "tcx_program",
    }
)


@dataclass(frozen=True)
class FlowCache:
    """How a gateway caches established flows. `entries`: how many at the most."""

    cached: frozenset[str]  # the interfaces between which flows are cached
    entries: Mapping[Family, int]
    interval: int  # milliseconds: the longest after which the slow path has to confirm a flow again


def resolve_flow_cache(
    spec: GatewaySpec,
    facts: Facts,
    dataplane: Literal["kmod", "bpf"],
    families: Iterable[Family],
    interfaces: Iterable[Interface],
    note: Note,
) -> FlowCache | None:
    """None: every packet takes both passes. Notes say why, where the spec asks for a cache."""
    if spec.dataplane.flow_cache == "off":
        return None
    present = [interface for interface in interfaces if interface.ifindex is not None]
    found = tuple(blockers(spec, facts, present))
    if dataplane == "kmod":
        found = tuple(replace(each, ifname=None) for each in found if each.reason not in _SEEN_BY_MODULE)
    for blocker in found:
        note(f"flow cache: off{'' if blocker.ifname is None else f' at {blocker.ifname}'}: {blocker}{_todo(blocker)}")
    blocked = {blocker.ifname for blocker in found}
    cached = frozenset(interface.ifname for interface in present) - blocked
    if None in blocked or not cached:
        return None
    entries = dict.fromkeys(families, spec.dataplane.flow_cache_entries)
    return FlowCache(cached, MappingProxyType(entries), _interval(facts))


def blockers(spec: GatewaySpec, facts: Facts, interfaces: Iterable[Interface]) -> Iterator[Blocker]:
    """What speaks against a cache, for `interfaces`, which exist."""
    if spec.dataplane.keep_marks:
        yield Blocker("keep_marks", "keepMarks", "leave it out of the spec")
    if spec.dataplane.ipsec:
        yield Blocker("ipsec", "policies, as the spec has dataplane.ipsec,", "leave it out of the spec")
    if not facts.programs:
        yield Blocker("no_programs", "eBPF programs", "nvictl doctor says why")
    if _interval(facts) < SHORTEST_INTERVAL:
        name, seconds = min(facts.timeouts.items(), key=lambda item: item[1])
        setting = f"net.netfilter.{name}"
        todo = f"sysctl -w {setting}={2 * SHORTEST_INTERVAL // 1000}"
        yield Blocker("conntrack_timeout", f"{setting} is {seconds}: it", todo)
    for interface in interfaces:
        if interface.mac is None:
            yield Blocker("no_ethernet", interface.ifname, ifname=interface.ifname)
    yield from facts.blockers


def _todo(blocker: Blocker) -> str:
    """The first thing to do."""
    return f"; {blocker.remedy.partition(chr(10))[0].removeprefix('# ')}" if blocker.remedy else ""


def _interval(facts: Facts) -> int:
    return min(LONGEST_INTERVAL, *(seconds * 1000 // 2 for seconds in facts.timeouts.values()), LONGEST_INTERVAL)
