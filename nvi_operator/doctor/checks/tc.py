"""tc filters and tcx programs, which see a packet before nft does at ingress, and after it at egress."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, takewhile
from typing import Literal

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.footprint import footprint
from nvi_operator.doctor.survey import FilterFact, Survey
from nvi_operator.language.model.gateway import GatewaySpec

_SETS_TC_INDEX = frozenset({0, 1, None})  # TC_ACT_OK, TC_ACT_RECLASSIFY: tc_run() in net/core/dev.c

_REDIRECT = 7  # TC_ACT_REDIRECT
_ENDS = frozenset({0, _REDIRECT, None})  # 0 is TC_ACT_OK: the packet leaves, and later filters do not run


def tc_filter(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Filters that pass packets on and so overwrite tc_index, by which the device recognises those it has seen."""
    need = footprint(spec)
    endless = ", with hideHop for ever" if spec is not None and spec.dataplane.hide_hop else ""
    watched = (each for each in survey.filters if each.place == "ingress" or each.ifname == need.device)
    for (ifname, place), filters in groupby(watched, lambda each: (each.ifname, each.place)):
        # No filter runs after the device's own program; after a guard, which passes packets on, all do.
        asked = list(takewhile(lambda each: each.place == "ingress" or not each.own, filters))
        named = list(dict.fromkeys(_name(e) for e in asked if not e.own and e.verdicts & _SETS_TC_INDEX))
        if named:
            yield Finding(
                "warning",
                "tc-filter",
                f"tc {place} of {ifname}: {', '.join(named[:4])}{' ...' if named[4:] else ''} may overwrite "
                f"tc_index, by which {need.device} recognises a packet that it has seen before: a rule that clears "
                f"the stage bit of the mark may then send packets round in a loop{endless}",
                f"tc -s filter show dev {ifname} {place}\n"
                "# have each end in `action continue` (a policer in conform-exceed drop/continue, a program in "
                "TC_ACT_UNSPEC), or attach it to another interface",
            )


def egress_guard(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Filters at an uplink's egress that end in a verdict before the guard runs."""
    yield from _before_guards(
        survey,
        spec,
        "egress",
        _ENDS,
        "the program that drops untranslated packets runs; packets leave untranslated if the table and the FIB "
        "rules are deleted at the same time",
    )


def ingress_guard(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """What runs before the guard at ingress. Packets redirected there do not reach the gateway."""
    yield from _before_guards(
        survey,
        spec,
        "ingress",
        _ENDS - {_REDIRECT},
        "the program that refuses the gateway's own addresses as sources runs; a neighbour may use them if the table "
        "is deleted",
    )


def _before_guards(
    survey: Survey,
    spec: GatewaySpec | None,
    place: Literal["ingress", "egress"],
    ends: frozenset[int | None],
    what: str,
) -> Iterator[Finding]:
    need = footprint(spec)
    watched = (each for each in survey.filters if each.place == place and each.ifname != need.device)
    for ifname, filters in groupby(watched, lambda each: each.ifname):
        every = list(filters)
        asked = list(takewhile(lambda each: not each.own, every))
        named = list(dict.fromkeys(_name(each) for each in asked if each.verdicts & ends))
        if named and len(asked) < len(every):
            yield Finding(
                "warning",
                f"{place}-guard",
                f"tc {place} of {ifname}: {', '.join(named[:4])}{' ...' if named[4:] else ''} may end before {what}",
                f"tc -s filter show dev {ifname} {place}\n"
                "# have each end in `action continue` (a policer in conform-exceed drop/continue, a program in "
                "TC_ACT_UNSPEC), or move it behind that program",
            )


def tcx_program(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Programs at tcx, which run before all tc filters, the gateway's included."""
    need = footprint(spec)
    for (ifname, place), found in groupby(survey.tcx, lambda each: (each.ifname, each.place)):
        programs = list(found)
        named = ", ".join(each.program for each in programs)
        show = f"bpftool net show dev {ifname}\n"
        if ifname == need.device:
            yield Finding(
                "problem",
                "tcx-program",
                f"tcx {place} of {ifname}: {named}: runs before the device's own program: a packet for which it does "
                "not end in TCX_NEXT (-1) is dropped there",
                f"{show}# have each end in TCX_NEXT, or detach it: bpftool net detach tcx_{place} dev {ifname}",
            )
        elif place == "egress":
            yield Finding(
                "warning",
                "tcx-program",
                f"tcx egress of {ifname}: {named}: runs before the program that drops untranslated packets, which "
                "runs only if it ends in TCX_NEXT (-1): packets leave untranslated if the table and the FIB rules "
                "are deleted at the same time",
                f"{show}# have each end in TCX_NEXT",
            )
        else:
            guard = ", and the program that refuses the gateway's own addresses as sources does not run"
            yield Finding(
                "warning",
                "tcx-program",
                f"tcx {place} of {ifname}: {named}: packets that it drops or redirects never reach the gateway; "
                f"where it ends in TCX_PASS (0), it overwrites tc_index, by which {need.device} recognises a packet "
                f"that it has seen before{'' if all(each.behind for each in programs) else guard}",
                f"{show}# have each end in TCX_NEXT (-1)",
            )


def _name(each: FilterFact) -> str:
    return f"{each.kind} at pref {each.preference}"
