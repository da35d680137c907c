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
    queues,
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
class DoctorCheck:
    """`topic` is the topic of its findings."""

    topic: str
    run: Run


CHECKS: tuple[DoctorCheck, ...] = (
    DoctorCheck("kernel", machine.kernel),
    DoctorCheck("privileges", machine.privileges),
    DoctorCheck("dataplane", machine.dataplane),
    DoctorCheck("module", module.module),
    DoctorCheck("ifb", machine.ifb),
    DoctorCheck("conntrack", machine.conntrack),
    DoctorCheck("nft-command", nft.command),
    DoctorCheck("nft-binding", nft.binding),
    DoctorCheck("nft-listing", nft.listing),
    DoctorCheck("nft-tables", nft.tables),
    DoctorCheck("nft-ingress", nft.ingress),
    DoctorCheck("iptables-legacy", nft.legacy),
    DoctorCheck("iptables-opaque", nft.opaque),
    DoctorCheck("forward-drop", drops.forward_drop),
    DoctorCheck("untracked-drop", drops.untracked_drop),
    DoctorCheck("reverse-path-drop", drops.reverse_path_drop),
    DoctorCheck("raw-drop", docker.raw_drop),
    DoctorCheck("queue", queues.queue),
    DoctorCheck("mark-write", marks.mark_write),
    DoctorCheck("mark-match", marks.mark_match),
    DoctorCheck("mark-rule", marks.mark_rule),
    DoctorCheck("zone", tracking.zone),
    DoctorCheck("notrack", tracking.notrack),
    DoctorCheck("flowtable", tracking.flowtable),
    DoctorCheck("ipsec", tracking.ipsec),
    DoctorCheck("flow-cache", flow_cache.flow_cache),
    DoctorCheck("tc-filter", tc.tc_filter),
    DoctorCheck("egress-guard", tc.egress_guard),
    DoctorCheck("ingress-guard", tc.ingress_guard),
    DoctorCheck("tcx-program", tc.tcx_program),
    DoctorCheck("helper", tracking.helper),
    DoctorCheck("nat-order", nat.nat_order),
    DoctorCheck("foreign-nat", nat.foreign_nat),
    DoctorCheck("rule-priority", rules.rule_priority),
    DoctorCheck("rule-before", rules.rule_before),
    DoctorCheck("rule-behind", rules.rule_behind),
    DoctorCheck("rule-protocol", rules.rule_protocol),
    DoctorCheck("route-table", routes.route_table),
    DoctorCheck("route-protocol", routes.route_protocol),
    DoctorCheck("wide-route", routes.wide_route),
    DoctorCheck("multipath-route", routes.multipath_route),
    DoctorCheck("refusing-default", routes.refusing_default),
    DoctorCheck("undeclared-interface", routes.undeclared_interface),
    DoctorCheck("undeclared-network", routes.undeclared_network),
    DoctorCheck("networkd", settings.networkd),
    DoctorCheck("networkd-addresses", settings.networkd_addresses),
    DoctorCheck("rp-filter", settings.rp_filter),
    DoctorCheck("forwarding", settings.forwarding),
    DoctorCheck("proxy-arp", settings.proxy_arp),
    DoctorCheck("interfaces", interfaces.present),
    DoctorCheck("addresses", uplinks.addresses),
    DoctorCheck("shared-addresses", uplinks.shared_addresses),
    DoctorCheck("routed-on-wire", uplinks.routed_on_wire),
    DoctorCheck("crowded-wire", uplinks.crowded_wire),
    DoctorCheck("probe-target", uplinks.probe_targets),
    DoctorCheck("device-name", interfaces.device_name),
    DoctorCheck("link-group", interfaces.link_group),
)
