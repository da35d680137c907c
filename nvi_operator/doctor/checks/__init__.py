"""The list of checks. Each is a small pure function; its topic is its name here and in docs/doctor.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nvi_operator.dataclass import dataclass
from nvi_operator.doctor.checks import (
    docker,
    drops,
    flow_cache,
    interfaces,
    machine,
    marks,
    module,
    nat,
    nft,
    routes,
    rules,
    settings,
    tc,
    tracking,
    uplinks,
)
from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.survey import Survey
from nvi_operator.language.model.gateway import GatewaySpec

Run = Callable[[Survey, GatewaySpec | None], Iterable[Finding]]


@dataclass(frozen=True)
class Check:
    """`topic` is the topic of its findings."""

    topic: str
    run: Run


CHECKS: tuple[Check, ...] = (
    Check("kernel", machine.kernel),
    Check("privileges", machine.privileges),
    Check("dataplane", machine.dataplane),
    Check("module", module.module),
    Check("ifb", machine.ifb),
    Check("conntrack", machine.conntrack),
    Check("nft-command", nft.command),
    Check("nft-binding", nft.binding),
    Check("nft-listing", nft.listing),
    Check("nft-tables", nft.tables),
    Check("nft-ingress", nft.ingress),
    Check("iptables-legacy", nft.legacy),
    Check("iptables-opaque", nft.opaque),
    Check("forward-drop", drops.forward_drop),
    Check("untracked-drop", drops.untracked_drop),
    Check("reverse-path-drop", drops.reverse_path_drop),
    Check("raw-drop", docker.raw_drop),
    Check("mark-write", marks.mark_write),
    Check("mark-match", marks.mark_match),
    Check("mark-rule", marks.mark_rule),
    Check("zone", tracking.zone),
    Check("notrack", tracking.notrack),
    Check("flowtable", tracking.flowtable),
    Check("ipsec", tracking.ipsec),
    Check("flow-cache", flow_cache.flow_cache),
    Check("tc-filter", tc.tc_filter),
    Check("egress-guard", tc.egress_guard),
    Check("ingress-guard", tc.ingress_guard),
    Check("tcx-program", tc.tcx_program),
    Check("helper", tracking.helper),
    Check("nat-order", nat.nat_order),
    Check("foreign-nat", nat.foreign_nat),
    Check("rule-priority", rules.rule_priority),
    Check("rule-before", rules.rule_before),
    Check("rule-behind", rules.rule_behind),
    Check("rule-protocol", rules.rule_protocol),
    Check("route-table", routes.route_table),
    Check("route-protocol", routes.route_protocol),
    Check("wide-route", routes.wide_route),
    Check("multipath-route", routes.multipath_route),
    Check("refusing-default", routes.refusing_default),
    Check("undeclared-interface", routes.undeclared_interface),
    Check("networkd", settings.networkd),
    Check("networkd-addresses", settings.networkd_addresses),
    Check("rp-filter", settings.rp_filter),
    Check("forwarding", settings.forwarding),
    Check("proxy-arp", settings.proxy_arp),
    Check("interfaces", interfaces.present),
    Check("addresses", uplinks.addresses),
    Check("shared-addresses", uplinks.shared_addresses),
    Check("routed-on-wire", uplinks.routed_on_wire),
    Check("crowded-wire", uplinks.crowded_wire),
    Check("probe-target", uplinks.probe_targets),
    Check("device-name", interfaces.device_name),
    Check("link-group", interfaces.link_group),
)
