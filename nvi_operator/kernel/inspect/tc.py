"""tc filters, of whomever: pyroute2 knows neither flower nor what most actions end in.

Source: include/uapi/linux/pkt_cls.h, tc_act/*.h; how a verdict comes about: tcf_exts_exec(), cls_bpf_classify().
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from nvi_operator.doctor.survey import FilterFact, TcxFact
from nvi_operator.errors import KernelError
from nvi_operator.kernel.bpf import tcx
from nvi_operator.kernel.bpf.clsact import ListedFilter, list_filters
from nvi_operator.kernel.bpf.egress import EGRESS
from nvi_operator.kernel.bpf.ingress import INGRESS
from nvi_operator.kernel.bpf.names import is_own
from nvi_operator.kernel.bpf.tcx import Hook
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.nft.wire.attributes import attributes
from nvi_operator.topology.facts import LinkFact

_KIND, _OPTIONS = 1, 2  # TCA_ACT_*
_ACTIONS = {"u32": 7, "fw": 4, "flower": 3, "matchall": 2, "basic": 3, "bpf": 1}  # TCA_*_ACT
_POLICERS = {"u32": 6, "fw": 2, "basic": 4, "bpf": 2}  # TCA_*_POLICE: a policer in the old way, instead of actions
# Of these a TCA_*_PARMS of 2 begins with tc_gen: index, capabilities, verdict.
_PLAIN = frozenset({"gact", "mirred", "skbedit", "vlan"})
_PARAMETERS, _CHANCE = 2, 3  # a gact with TCA_GACT_PROB has a second verdict
_POLICE, _CONFORMING = 1, 5  # TCA_POLICE_TBF, which begins with an index and the verdict of what exceeds
_OK = 0  # TC_ACT_OK, of a filter without actions and of what conforms


def ingress_filters(rtnetlink: Rtnetlink, links: Mapping[str, LinkFact]) -> Iterator[FilterFact]:
    """The ingress filters of these links, by name."""
    for ifname, link in links.items():
        yield from filters_at(rtnetlink, ifname, link.ifindex, "ingress")


def ingress_programs(links: Mapping[str, LinkFact]) -> Iterator[TcxFact]:
    """The programs at tcx ingress of these links, but for the operator's own."""
    for ifname, link in links.items():
        behind = False
        for program in tcx.named(link.ifindex, "ingress"):
            name = program.partition(" ")[0]
            behind |= name == INGRESS.program
            if not is_own(name):
                yield TcxFact(ifname, "ingress", program, behind)


def egress_programs(ifname: str, ifindex: int) -> Iterator[TcxFact]:
    """The programs at tcx egress of a link before the gateway's guard, but for the operator's own."""
    for program in tcx.named(ifindex, "egress"):
        name = program.partition(" ")[0]
        if name == EGRESS.program:
            return
        if not is_own(name):
            yield TcxFact(ifname, "egress", program)


def filters_at(rtnetlink: Rtnetlink, ifname: str, ifindex: int, hook: Hook) -> Iterator[FilterFact]:
    """The filters of a link; none where it is gone, or has no clsact."""
    try:
        with kernel_errors(f"tc filters of {ifname} {hook}: listing"):
            found = list_filters(rtnetlink, ifindex, hook)
    except KernelError:
        return
    for each in found:
        if not (each.is_head or (each.kind == "u32" and not each.handle & 0xFFF)):  # that is a hash table
            verdicts = frozenset(_verdicts(each))
            yield FilterFact(ifname, hook, each.preference, each.kind, is_own(each.name), verdicts)


def _verdicts(found: ListedFilter) -> Iterator[int | None]:
    kind = found.kind
    if kind not in _ACTIONS or found.direct_action:
        yield None
    elif policer := found.options.get(_POLICERS.get(kind, 0)):
        yield from _of_policer(dict(attributes(policer)))
    elif actions := found.options.get(_ACTIONS[kind]):
        for _, action in attributes(actions):
            yield from _of_action(dict(attributes(action)))
    else:
        yield _OK


def _of_action(action: Mapping[int, bytes]) -> Iterator[int | None]:
    """Any of several may be the last: the next one is asked where it says TC_ACT_PIPE, which does no harm."""
    kind = action[_KIND].rstrip(b"\0").decode()
    options = dict(attributes(action.get(_OPTIONS, b"")))
    if kind == "police":
        yield from _of_policer(options)
    elif kind in _PLAIN and (kind != "gact" or _CHANCE not in options):
        yield _number(options[_PARAMETERS], 8)
    else:
        yield None


def _of_policer(options: Mapping[int, bytes]) -> Iterator[int | None]:
    yield _number(options[_POLICE], 4)
    yield _number(options[_CONFORMING]) if _CONFORMING in options else _OK


def _number(data: bytes, offset: int = 0) -> int:
    return int(struct.unpack_from("=i", data, offset)[0])
