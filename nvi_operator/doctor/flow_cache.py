"""What on a machine keeps established flows from being cached: what would miss packets, or judge them late. Pure.

A cached packet skips everything between the ingress of one interface and the egress of another. What it skips there
has to do the same to every packet of a flow; otherwise it is a blocker. What runs before (XDP, the hooks of a bridge)
or behind (filters and queues at the egress) sees every packet as before. Packets for the host are never cached.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

from nvi_operator.doctor.footprint import Footprint
from nvi_operator.doctor.hooks import forwarded, received
from nvi_operator.doctor.packet import PartialPacket
from nvi_operator.doctor.per_packet import PerPacketEffect
from nvi_operator.doctor.remedies import tool_of
from nvi_operator.doctor.rule_effects import RuleEffects
from nvi_operator.doctor.ruleset import ListedChain, ListedRule
from nvi_operator.doctor.survey import Survey
from nvi_operator.doctor.survival import Effects
from nvi_operator.language.model.values import FAMILIES, Family
from nvi_operator.language.wording import counted
from nvi_operator.topology.blockers import Blocker

_MOST_STEPS = (
    100_000  # rules times kinds of packets, about half a second; past it rules count as met at any interface
)
_PROTOCOLS = ("tcp", "udp")
_HELPERS = "net/netfilter/nf_conntrack_helper"
_ACCOUNTING = "net/netfilter/nf_conntrack_acct"
_BRIDGE_HOOKS = ("net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables")
_NEVER_LEARNED = frozenset({"helper", "synproxy"})  # their flows, where conntrack can be asked
SETTINGS = (_HELPERS, _ACCOUNTING, *_BRIDGE_HOOKS)  # what has to be surveyed, below /proc/sys


def blockers(survey: Survey, need: Footprint) -> tuple[Blocker, ...]:
    """The blockers, those of the whole gateway first."""
    return merged(rule_blockers(survey, need), host_blockers(survey, need))


def merged(*groups: Iterable[Blocker]) -> tuple[Blocker, ...]:
    found = dict.fromkeys(blocker for group in groups for blocker in group)
    return tuple(sorted(found, key=lambda blocker: blocker.ifname or ""))


def rule_blockers(survey: Survey, need: Footprint) -> tuple[Blocker, ...]:
    """In nft; of the survey, foreign tables are looked at, and whether conntrack can be asked."""
    found = (*_unreadable(survey), *_rules(survey, need))
    return tuple(blocker for blocker in found if not _is_never_learned(survey, blocker))


def host_blockers(survey: Survey, need: Footprint) -> tuple[Blocker, ...]:
    """Elsewhere; of the survey, iptables-legacy, tc, IPsec, settings and links are looked at."""
    found = (
        *_legacy(survey),
        *_filters(survey, need),
        *_ipsec(survey),
        *_settings(survey, need),
        *_masters(survey, need),
    )
    return tuple(blocker for blocker in found if not _is_never_learned(survey, blocker))


def _is_never_learned(survey: Survey, blocker: Blocker) -> bool:
    return survey.conntrack_functions and blocker.reason in _NEVER_LEARNED


# --------------------------------------------------------------------------- nft


def _unreadable(survey: Survey) -> Iterator[Blocker]:
    for failure in survey.nft_failures:
        what = failure.partition(":")[0].removeprefix("nft list ")
        yield Blocker("unreadable", what, "nvictl doctor says what to do about nft-listing")


def _legacy(survey: Survey) -> Iterator[Blocker]:
    for family, name in survey.legacy_tables:
        command = "ip6tables-legacy" if family == 6 else "iptables-legacy"
        yield Blocker(
            "iptables_legacy", f"table {name} of {command}", f"{command}-save\n# and move it to iptables-nft"
        )


def _rules(survey: Survey, need: Footprint) -> Iterator[Blocker]:
    ruleset = survey.ruleset
    rules = RuleEffects(ruleset)
    by_chain: dict[tuple[ListedChain, PerPacketEffect, str | None], set[ListedRule]] = {}
    at = {(chain.family, chain.table, chain.name): chain.devices for chain in survey.nft_ingress}
    for base in ruleset.chains.values():
        if not rules.lead(base):
            continue
        devices = at.get((base.family, base.table, base.name), ()) if base.hook == "ingress" else (None,)
        for ifname in devices:
            for rule, effect in _met(survey, need, rules, base, ifname):
                chain = ruleset.chains[rule.family, rule.table, rule.chain]
                by_chain.setdefault((chain, effect, ifname), set()).add(rule)
    order = {rule: number for number, rule in enumerate(ruleset.rules() if by_chain else ())}
    firsts = {key: min(found, key=lambda rule: order[rule]) for key, found in by_chain.items()}
    for key in sorted(by_chain, key=lambda key: order[firsts[key]]):
        (_, effect, ifname), found, first = key, by_chain[key], firsts[key]
        others = f" and {counted(len(found) - 1, 'other')} of that chain" if len(found) > 1 else ""
        where = f"rule {first.place} ({effect.word}){others}"
        yield Blocker(effect.reason, where, _remedy(survey, first, effect), ifname)


def _met(
    survey: Survey, need: Footprint, rules: RuleEffects, base: ListedChain, ifname: str | None
) -> Iterator[tuple[ListedRule, PerPacketEffect]]:
    """The effects that cached flows miss: first for packets of any interface, then for those that there are."""
    if ifname is not None:
        if ifname not in need.interfaces and not ifname.endswith("*"):
            return
        yield from _effects(survey, rules, base, _at_device(base, need, ifname))
        return
    if base.hook not in ("prerouting", "forward", "postrouting") or base.type == "nat" or base.family == "bridge":
        return
    found = list(_effects(survey, rules, base, _packets(base, replace(need, networks={}, uplinks=()))))
    packets = list(_packets(base, need)) if found else []
    if packets and len(packets) * sum(1 for _ in survey.ruleset.rules()) <= _MOST_STEPS:
        found = list(_effects(survey, rules, base, packets))
    yield from dict.fromkeys(found)


def _effects(
    survey: Survey, rules: RuleEffects, base: ListedChain, packets: Iterable[PartialPacket]
) -> Iterator[tuple[ListedRule, PerPacketEffect]]:
    for packet in packets:
        for protocol in _PROTOCOLS:
            of = Effects(survey.ruleset, rules, replace(packet, protocol=protocol))
            yield from of.of(base)
        if packet.stage == 1 and rules.prepare:  # of the packets before, whatever conntrack says of them
            of = Effects(survey.ruleset, rules, replace(packet, ct_state=None, protocol=None))
            yield from (each for each in of.of(base) if each[1].use == "prepares")


def _packets(base: ListedChain, need: Footprint) -> Iterator[PartialPacket]:
    """As the chain sees those of established flows, and within one inside network or group of uplinks as well."""
    if base.hook == "prerouting":
        found = list(received(base, need, unknown=True))
    else:
        found = list(forwarded(base, need, unknown=True))
        found += list(_hairpin(found))
    for packet in dict.fromkeys(replace(each, reverse_path=None) for each in found):
        if packet.ct_state != "new":
            yield packet


def _hairpin(found: list[PartialPacket]) -> Iterator[PartialPacket]:
    for packet in found:
        if packet.stage == 2:
            yield replace(packet, oif=packet.iif)
            yield replace(packet, iif=packet.oif)


def _at_device(base: ListedChain, need: Footprint, ifname: str) -> Iterator[PartialPacket]:
    """At a netdev hook; there is no conntrack yet, and both passes come by."""
    families: dict[str, tuple[Family, ...]] = {"ip": (4,), "ip6": (6,)}
    stages: tuple[Literal[1, 2], ...] = (1, 2)
    for family in families.get(base.family, FAMILIES):
        for stage in stages:
            yield PartialPacket(family, stage, need.device, need.stage, ifname, None)


def _remedy(survey: Survey, rule: ListedRule, effect: PerPacketEffect) -> str:
    if tool_of(survey.ruleset, rule.family, rule.table) == "nft":
        narrower = (
            "" if effect.use == "prepares" else "\n# or have it match `ct state new` first: it then sees new flows"
        )
        return f"nft delete rule {rule.place}{narrower}"
    return f"# have its maker leave it out: nft -a list chain {rule.chain_place}"


# --------------------------------------------------------------------------- everything else


def _filters(survey: Survey, need: Footprint) -> Iterator[Blocker]:
    for each in survey.filters:
        if each.place == "ingress" and not each.own and each.ifname in need.interfaces:
            where = f"tc filter {each.kind} at ingress of {each.ifname}, pref {each.preference},"
            yield Blocker(
                "tc_filter", where, f"tc filter del dev {each.ifname} ingress pref {each.preference}", each.ifname
            )
    for program in survey.tcx:
        if program.place == "ingress" and program.ifname in need.interfaces:
            where = f"program {program.program} at tcx ingress of {program.ifname}"
            yield Blocker("tcx_program", where, f"bpftool net show dev {program.ifname}", program.ifname)


def _ipsec(survey: Survey) -> Iterator[Blocker]:
    if survey.policies:
        where = "1 IPsec policy" if survey.policies == 1 else f"{survey.policies} IPsec policies"
        yield Blocker("ipsec", where, "ip xfrm policy")


def _settings(survey: Survey, need: Footprint) -> Iterator[Blocker]:
    if survey.sysctls.get(_HELPERS) == "1":
        yield Blocker(
            "helper", "nf_conntrack_helper is 1: the kernel", "sysctl -w net.netfilter.nf_conntrack_helper=0"
        )
    if survey.sysctls.get(_ACCOUNTING) == "1":
        yield Blocker(
            "conntrack_accounting", "nf_conntrack_acct is 1: it", "sysctl -w net.netfilter.nf_conntrack_acct=0"
        )
    hooks = [path for path in _BRIDGE_HOOKS if survey.sysctls.get(path) == "1"]
    for ifname in need.interfaces:
        if hooks and ifname in survey.links and survey.links[ifname].kind == "bridge":
            yield Blocker(
                "bridge_netfilter", f"{hooks[0].rpartition('/')[2]} is 1: it", "\n".join(map(_off, hooks)), ifname
            )


def _off(setting: str) -> str:
    return f"sysctl -w {setting.replace('/', '.')}=0"


def _masters(survey: Survey, need: Footprint) -> Iterator[Blocker]:
    for ifname in need.interfaces:
        master = survey.links[ifname].master if ifname in survey.links else None
        if master is not None:
            yield Blocker("master", f"{ifname} is a port of {master}: it", f"ip link set {ifname} nomaster", ifname)
