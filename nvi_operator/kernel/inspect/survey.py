"""Takes the survey that `nvi_operator.doctor` judges: one machine, in the calling thread's network namespace.

Nothing is changed: what has to be tried out is tried in a namespace of its own (`machine.py`).
What cannot be read is left empty or told in the survey; nothing here raises for the state of a machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network

from nvi_operator.doctor.flow_cache import SETTINGS
from nvi_operator.doctor.footprint import Footprint, footprint
from nvi_operator.doctor.survey import FilterFact, MultipathFact, RouteFact, RouteUse, RuleFact, Survey, TcxFact
from nvi_operator.kernel.capabilities import capabilities
from nvi_operator.kernel.drivers.fib_rule import Listed, list_rules
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.inspect.census import Census
from nvi_operator.kernel.inspect.conntrack import can_set_conntrack_max, has_conntrack
from nvi_operator.kernel.inspect.facts import read_facts
from nvi_operator.kernel.inspect.machine import (
    bpf_error,
    can_make,
    has_conntrack_functions,
    networkd,
    networkd_links,
)
from nvi_operator.kernel.inspect.next_hop_objects import read_next_hop_objects
from nvi_operator.kernel.inspect.nft import ForeignNft, nft_version, probe_binding, read_ruleset
from nvi_operator.kernel.inspect.settings import legacy_tables, read_settings
from nvi_operator.kernel.inspect.tc import egress_programs, filters_at, ingress_filters, ingress_programs
from nvi_operator.kernel.inspect.xfrm import policies
from nvi_operator.kernel.kmod.survey import survey_module
from nvi_operator.kernel.netlink.rtnetlink import AF, Rtnetlink
from nvi_operator.kernel.rights import refused
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.topology.facts import WIDE, LinkFact

_PATHS = (
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/ipv4/conf/all/rp_filter",
    "net/netfilter/nf_conntrack_count",
    "net/netfilter/nf_conntrack_max",
    *SETTINGS,
    "kernel/unprivileged_bpf_disabled",
)
_PER_LINK = ("rp_filter", "proxy_arp")
_MOST_ROUTES = 32  # of an interface and family: to say what lies behind it takes a few


def take_survey(spec: GatewaySpec | None = None, *, try_binding: bool = True) -> Survey:
    """Look at everything. Raises KernelError only if the kernel's own lists of links, rules and routes cannot be had.

    `spec` says where tc filters are looked for: a host may have very many links.
    `try_binding`: by starting Python, which takes as long as all the rest.
    """
    version = nft_version()
    foreign = read_ruleset() if version is not None else ForeignNft()
    with Rtnetlink() as rtnetlink:
        facts = read_facts(rtnetlink, 0, footprint(spec).uplinks, footprint(spec).protocol, {})
        links = dict(facts.links)
        rules = tuple(map(_rule, list_rules(rtnetlink, lambda _: True)))
        routes, main_routes, multipath = _routes(rtnetlink, links)
        filters = tuple(_filters(rtnetlink, links, footprint(spec)))
        tcx = tuple(_tcx(links, footprint(spec)))
    out, forward = policies()
    return Survey(
        kernel=os.uname().release,
        capabilities=capabilities(),
        nft_version=version,
        nft_objects=foreign.objects,
        nft_tables=foreign.tables,
        nft_ingress=foreign.ingress,
        nft_failures=foreign.failures,
        binding=probe_binding() if try_binding else None,
        refused=tuple(map(str, refused())),
        bpf_error=bpf_error(),
        kinds=can_make("ifb", "nvi"),
        module=survey_module(),
        conntrack=has_conntrack(),
        conntrack_functions=has_conntrack_functions(),
        conntrack_max_is_settable=can_set_conntrack_max(),
        forward_policies=forward,
        policies=out + forward,
        rules=rules,
        foreign_rules=facts.rules,
        routes=routes,
        main_routes=main_routes,
        multipath=multipath,
        refuses=facts.refuses,
        filters=filters,
        tcx=tcx,
        sysctls=_sysctls(links),
        legacy_tables=tuple(legacy_tables()),
        networkd=(running := networkd()),
        networkd_links=tuple(networkd_links(links.values())) if running else (),
        links=links,
    )


def _sysctls(links: Mapping[str, LinkFact]) -> dict[str, str]:
    return read_settings([*_PATHS, *(f"net/ipv4/conf/{ifname}/{name}" for ifname in links for name in _PER_LINK)])


def _filters(rtnetlink: Rtnetlink, links: Mapping[str, LinkFact], need: Footprint) -> Iterator[FilterFact]:
    """The filters on the ways in, and on the ways out: the device's and the uplinks'."""
    yield from ingress_filters(rtnetlink, _present(need.interfaces, links))
    for ifname, link in _present((*need.uplinks, need.device), links).items():
        yield from filters_at(rtnetlink, ifname, link.ifindex, "egress")


def _tcx(links: Mapping[str, LinkFact], need: Footprint) -> Iterator[TcxFact]:
    yield from ingress_programs(_present(need.interfaces, links))
    for ifname, link in _present((*need.uplinks, need.device), links).items():
        yield from egress_programs(ifname, link.ifindex)


def _present(ifnames: Iterable[str], links: Mapping[str, LinkFact]) -> dict[str, LinkFact]:
    return {ifname: links[ifname] for ifname in ifnames if ifname in links}


# --------------------------------------------------------------------------- FIB rules and routes


def _rule(listed: Listed) -> RuleFact:
    rule = listed.rule
    return RuleFact(
        rule.family,
        rule.priority,
        rule.action,
        table=rule.table,
        goto=rule.goto,
        protocol=listed.protocol,
        inverted=rule.inverted,
        iif=rule.iif,
        oif=rule.oif,
        source=rule.source,
        destination=rule.destination,
        mark=rule.mark,
        mask=rule.mask,
        suppress_prefix_length=rule.suppress_prefix_length,
        l3mdev="l3mdev" in rule.other,
        other=tuple(word for word in rule.narrowed if word != "l3mdev"),
    )


def _routes(
    rtnetlink: Rtnetlink, links: Mapping[str, LinkFact]
) -> tuple[tuple[RouteUse, ...], tuple[RouteFact, ...], tuple[MultipathFact, ...]]:
    names = {link.ifindex: link.ifname for link in links.values()}
    uses: list[RouteUse] = []
    main: list[RouteFact] = []
    multipath: list[MultipathFact] = []
    with kernel_errors("next-hop objects: listing"):
        objects = read_next_hop_objects(rtnetlink)
    for family in AF:
        census = Census(family, WIDE[family], _MOST_ROUTES, objects)
        with kernel_errors("routes: listing"):
            census.take(rtnetlink)
        uses += [RouteUse(family, table, protocol) for table, protocol in sorted(census.uses)]
        for ifindex, found in census.networks.items():
            if ifindex in names:  # else it came or went meanwhile
                main += [RouteFact(network, names[ifindex]) for network in sorted(map(ip_network, found))]
        for network, ifindexes in sorted(census.multipath):
            ways = tuple(names[ifindex] for ifindex in ifindexes if ifindex in names)
            multipath.append(MultipathFact(ip_network(network), ways))
    return tuple(uses), tuple(main), tuple(multipath)
