"""Checks of the machine, its settings, interfaces, rules and routes, on surveys made by hand."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from nvi_operator.doctor.checks.uplinks import addresses
from nvi_operator.doctor.diagnosis import diagnose
from nvi_operator.doctor.survey import Binding, MultipathFact, Networkd, RouteFact, RouteUse, RuleFact
from nvi_operator.kmod.facts import ModuleFacts, ModuleFile
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.facts import ForeignRule, RouteTableFact
from tests.unit.doctor.surveys import HEALTHY, found, levels, link, spec, survey

VPN = RuleFact(4, 500, table=51820)


def strongswan(table: RouteTableFact) -> dict[str, Any]:
    """charon's rule, and what its table holds."""
    rule = ForeignRule(FibRule(4, 220, "lookup", 220), table)
    return {"rules": [RuleFact(4, 220, table=220)], "foreign_rules": (rule,)}


FULL_TUNNEL = ForeignRule(
    FibRule(4, 32765, "lookup", 51820, mark=51820, mask=0xFFFFFFFF, inverted=True), RouteTableFact(default=("wg0",))
)
ROUTED = {
    "uplinks": {"isp-a": {"interface": "wan0", "addresses": ["203.0.113.2"], "routed": ["203.0.113.9/32"]}},
}
ANNOUNCED = {"uplinks": {"isp-a": {**ROUTED["uplinks"]["isp-a"], "announce": True}}}
DELEGATED = {
    "interfaces": {"lan0": {"networks": ["fd00:1::/64"], "delegated": [{"from": "a"}]}},
    "uplinks": {"a": {"interface": "wan0", "nextHop": "auto", "delegated": "auto"}},
}
AUTOS = {"uplinks": {name: {"interface": f"wan{n}", "nextHop": "auto"} for n, name in enumerate("ab")}}
ROUTER = link("wan0", next_hops=((4, "192.0.2.80"),))
PROBES = {"uplinks": {"a": {"interface": "wan0", "nextHop": "auto", "health": "192.0.2.80"}}}
TWINS = [link(ifname, "192.168.0.2/24") for ifname in ("wan0", "wan1")]
CALICO = RuleFact(4, 9, mark=1 << 16, mask=0xFFFF0000)
MWAN3 = RuleFact(4, 1001, iif="eth1", table=1)
A_HOST = RuleFact(4, 9, source="192.168.1.80/32", table=9)
MOVED = "ip rule add pref 2000 from all lookup 51820"
LOADED = ModuleFacts(loaded=True, loaded_version="0.3.0")
OLD = ModuleFacts(loaded=True, loaded_version="0.1.0")
ELSEWHERE = ModuleFacts(release="6.12.1-amd64", other_kernels=("6.1.0-9-amd64",))
UNSIGNED = ModuleFacts(
    installed=ModuleFile("/lib/modules/x/updates/nvi.ko", "0.3.0", signed=False), enforced="lockdown"
)
KMOD = {"dataplane": {"type": "kmod"}}
TUN = [link("tun0")]
BOTH = {"interfaces": {"lan0": {"networks": ["192.168.1.0/24", "fd00:1::/64"]}}}
TABLE_USED = {"routes": (RouteUse(4, 7800, 4),)}


def through(ifname: str, *networks: str) -> dict[str, Any]:
    """Routes of `main`."""
    return {"main_routes": tuple(RouteFact(ip_network(network), ifname) for network in networks)}


def mixed(*ifnames: str) -> dict[str, Any]:
    return {"multipath": (MultipathFact(ip_network("10.9.0.0/16"), ifnames),)}


def test_nothing_is_wrong_with_a_healthy_machine() -> None:
    for on in (None, spec()):
        assert {finding.level for finding in diagnose(HEALTHY, on)} == {"ok"}


@pytest.mark.parametrize(
    ("topic", "changes", "sections", "expected"),
    [
        pytest.param("kernel", {"kernel": "5.10.0-30-amd64"}, {}, ["problem"], id="old kernel"),
        pytest.param("kernel", {"kernel": "5.15.0"}, {}, ["ok"], id="oldest kernel"),
        pytest.param("privileges", {"capabilities": frozenset()}, {}, ["problem"], id="no rights"),
        pytest.param("privileges", {"refused": ("writing /proc/sys/x: EROFS",)}, {}, ["problem"], id="read-only"),
        pytest.param("dataplane", {"bpf_error": "EPERM"}, {}, ["problem"], id="neither"),
        pytest.param("dataplane", {"bpf_error": "EPERM", "module": LOADED}, {}, ["ok", "ok"], id="not needed"),
        pytest.param("module", {"module": LOADED}, {}, ["ok"], id="loaded"),
        pytest.param("module", {"module": LOADED, "kinds": {"nvi": "no"}}, {}, ["problem"], id="makes no links"),
        pytest.param("module", {}, {}, ["ok"], id="none, and none is needed"),
        pytest.param("module", {}, KMOD, ["problem"], id="none, and one is needed"),
        pytest.param("module", {"module": OLD}, {}, ["warning"], id="too old, and not needed"),
        pytest.param("module", {"module": OLD}, KMOD, ["problem"], id="too old"),
        pytest.param("module", {"module": OLD}, {"dataplane": {"type": "bpf"}}, [], id="too old, and not asked for"),
        pytest.param("module", {"module": ELSEWHERE}, {}, ["warning"], id="installed for another kernel only"),
        pytest.param("module", {"module": UNSIGNED}, KMOD, ["problem"], id="unsigned"),
        pytest.param("ifb", {"kinds": {"ifb": "no"}}, {}, ["problem"], id="no ifb"),
        pytest.param("ifb", {"kinds": {"ifb": "unknown"}}, {}, ["warning"], id="ifb not tried"),
        pytest.param("ifb", {"kinds": {"ifb": "no"}, "module": LOADED}, {}, [], id="ifb not needed"),
        pytest.param("conntrack", {"conntrack": False}, {}, ["problem"], id="no conntrack"),
        pytest.param(
            "conntrack",
            {"sysctls": {"net/netfilter/nf_conntrack_count": "95", "net/netfilter/nf_conntrack_max": "100"}},
            {},
            ["warning"],
            id="conntrack nearly full",
        ),
        pytest.param("nft-command", {"nft_version": None}, {}, ["problem"], id="no nft"),
        pytest.param("nft-binding", {"binding": Binding(error="No module")}, {}, ["problem"], id="no binding"),
        pytest.param("nft-binding", {"binding": Binding("1.1.3", "0.1")}, {}, ["warning"], id="two libraries"),
        pytest.param("nft-binding", {"binding": Binding("1.0.6", "1.0.2")}, {}, ["warning"], id="copy from PyPI"),
        pytest.param("nft-listing", {"nft_failures": ("nft list table ip x: SIGSEGV",)}, {}, ["warning"], id="crash"),
        pytest.param("iptables-legacy", {"legacy_tables": ((4, "filter"),)}, {}, ["warning"], id="legacy"),
        pytest.param("networkd", {"networkd": Networkd(True, True)}, {}, ["problem"], id="networkd deletes"),
        pytest.param("networkd", {"networkd": Networkd(False, False)}, {}, ["ok"], id="networkd told"),
        pytest.param("rp-filter", {"sysctls": {"net/ipv4/conf/all/rp_filter": "1"}}, {}, ["warning"], id="strict"),
        pytest.param("rp-filter", {"sysctls": {"net/ipv4/conf/all/rp_filter": "2"}}, {}, [], id="loose"),
        pytest.param("forwarding", {"sysctls": {"net/ipv4/ip_forward": "0"}}, {}, ["ok"], id="not forwarding"),
        pytest.param("helper", {"sysctls": {"net/netfilter/nf_conntrack_helper": "1"}}, {}, ["warning"], id="helper"),
        pytest.param(
            "proxy-arp", {"sysctls": {"net/ipv4/conf/lan0/proxy_arp": "1"}}, {}, ["warning"], id="proxy_arp"
        ),
        pytest.param("interfaces", {"links": [link("lan0", up=False)]}, {}, ["warning"], id="down"),
        pytest.param(
            "interfaces", {}, {"interfaces": {"lan7": {"networks": "10.0.0.0/8"}}}, ["warning"], id="absent"
        ),
        pytest.param("addresses", {"links": [link("wan0")]}, {}, ["warning"], id="address not there"),
        pytest.param(
            "addresses",
            {"links": [link("wan0")]},
            {"uplinks": {"isp": {"interface": "wan0", "nextHop": "auto"}}},
            ["warning"],
            id="no address yet",
        ),
        pytest.param("device-name", {"links": [link("nvi0", kind="dummy")]}, {}, ["problem"], id="name taken"),
        pytest.param("device-name", {"links": [link("nvi0", kind="ifb", group=79)]}, {}, [], id="own device"),
        pytest.param("link-group", {"links": [link("eth9", group=78)]}, {}, ["warning"], id="group of the uplinks"),
        pytest.param("link-group", {"links": [link("wan0", group=78)]}, {}, [], id="an uplink of the spec"),
        pytest.param("link-group", {"links": [link("ifb9", kind="ifb", group=79)]}, {}, ["warning"], id="79"),
        pytest.param("device-name", {"links": [link("nvi0", kind="ifb")]}, {}, ["warning"], id="group lost"),
        pytest.param("rule-priority", {"rules": [MWAN3]}, {}, ["warning"], id="mwan3"),
        pytest.param("rule-priority", {"rules": [RuleFact(4, 1500, table=1)]}, {}, ["problem"], id="catches all"),
        pytest.param("rule-priority", {"rules": [RuleFact(4, 1000, l3mdev=True)]}, {}, ["ok"], id="VRF"),
        pytest.param("rule-priority", {"rules": [RuleFact(4, 1010, protocol=78)]}, {}, [], id="own rule"),
        pytest.param("rule-before", {"rules": [VPN]}, {}, ["problem"], id="VPN"),
        pytest.param("rule-before", {"rules": [RuleFact(4, 9, table=254)]}, {}, ["problem"], id="main first"),
        pytest.param("rule-before", {"rules": [RuleFact(6, 9, table=9)]}, {}, [], id="no inside network of IPv6"),
        pytest.param("rule-before", strongswan(RouteTableFact()), {}, [], id="strongSwan without a tunnel"),
        pytest.param("rule-before", strongswan(RouteTableFact(specific=True)), {}, ["warning"], id="strongSwan"),
        pytest.param("rule-before", strongswan(RouteTableFact(default=("wan0",))), {}, ["problem"], id="full tunnel"),
        pytest.param(
            "rule-before",
            {"rules": [RuleFact(4, 500, table=51820, mark=0xCA6C, mask=0xFFFFFFFF, inverted=True)]},
            {},
            ["problem"],
            id="WireGuard moved to the front",
        ),
        pytest.param("rule-before", {"rules": [RuleFact(4, 5270, table=52)]}, {}, [], id="Tailscale comes after"),
        pytest.param(
            "rule-before",
            {"rules": [RuleFact(4, 998, table=254, suppress_prefix_length=0)]},
            {},
            ["warning"],
            id="networks of main",
        ),
        pytest.param(
            "rule-before", {"rules": [A_HOST]}, {}, ["warning"], id="a host"
        ),
        pytest.param(
            "rule-before", {"rules": [RuleFact(4, 9, source="10.9.0.0/16", table=9)]}, {}, [], id="not of the spec"
        ),
        pytest.param("rule-before", {"rules": [RuleFact(4, 9, action="nop")]}, {}, [], id="decides nothing"),
        pytest.param(
            "rule-before", {"rules": [RuleFact(4, 9, action="goto", goto=3000)]}, {}, ["problem"], id="leaps over"
        ),
        pytest.param("rule-protocol", {"rules": [RuleFact(4, 9, protocol=78)]}, {}, ["problem"], id="own number"),
        pytest.param("rule-protocol", {"rules": [RuleFact(6, 32765, protocol=78)]}, {}, [], id="own, before main"),
        pytest.param("route-table", {"routes": (RouteUse(4, 7801, 4),)}, {}, ["problem"], id="table used"),
        pytest.param("route-table", {"routes": (RouteUse(4, 7801, 78),)}, {}, [], id="own table"),
        pytest.param("route-table", {"routes": (RouteUse(4, 7803, 4),)}, {}, [], id="table not needed"),
        pytest.param("route-table", {"rules": [RuleFact(4, 32000, table=7800)]}, {}, ["problem"], id="rule looks in"),
        pytest.param("route-protocol", {"routes": (RouteUse(4, 254, 78),)}, {}, ["problem"], id="foreign route"),
        pytest.param("wide-route", through("tun0", "0.0.0.0/1", "128.0.0.0/1"), {}, ["problem"], id="def1"),
        pytest.param("wide-route", through("tun0", "8.0.0.0/7"), {}, ["problem"], id="least wide"),
        pytest.param("wide-route", through("tun0", "10.0.0.0/8"), {}, [], id="a network"),
        pytest.param("wide-route", through("lan0", "224.0.0.0/4"), {}, [], id="multicast"),
        pytest.param("wide-route", through("wan0", "0.0.0.0/1"), {}, [], id="an uplink's are not asked"),
        pytest.param("wide-route", through("tun0", "2000::/3"), BOTH, ["problem"], id="IPv6"),
        pytest.param("wide-route", through("tun0", "2000::/4"), BOTH, ["problem"], id="OpenVPN's IPv6"),
        pytest.param("wide-route", through("tun0", "2000::/3"), {}, [], id="a family that the spec has not"),
        pytest.param(
            "wide-route",
            {**through("tun0", "0.0.0.0/1"), "links": [link("tun0", group=78)]},
            {},
            [],
            id="in the uplinks' group",
        ),
        pytest.param(
            "undeclared-interface",
            {**through("tun0", "10.8.0.0/24", "fd00:8::/64"), "links": TUN},
            BOTH,
            ["warning"],
            id="a VPN, once",
        ),
        pytest.param(
            "undeclared-interface",
            {**through("tun0", "0.0.0.0/1", "169.254.0.0/16", "fe80::/64", "224.0.0.0/4"), "links": TUN},
            BOTH,
            [],
            id="no networks",
        ),
        pytest.param("undeclared-interface", through("lan0", "10.8.0.0/24"), {}, [], id="declared"),
        pytest.param("undeclared-interface", through("wan0", "203.0.113.0/24"), {}, [], id="an uplink's network"),
        pytest.param("undeclared-interface", through("lo", "10.8.0.0/24"), {}, [], id="lo"),
        pytest.param(
            "undeclared-interface",
            {**through("tun0", "10.8.0.0/24"), "links": [link("tun0", up=False)]},
            {},
            [],
            id="an interface that is down",
        ),
        pytest.param("undeclared-interface", through("tun0", "10.8.0.0/24"), {}, [], id="an interface that has gone"),
        pytest.param(
            "undeclared-network",
            through("lan0", "192.168.1.0/24", "10.8.0.0/24", "10.9.0.0/24"),
            {},
            ["warning"],
            id="behind a router of the LAN, once",
        ),
        pytest.param("undeclared-network", through("lan0", "192.168.0.0/16"), {}, ["warning"], id="a wider one"),
        pytest.param("undeclared-network", through("lan0", "192.168.1.64/26", "0.0.0.0/1"), {}, [], id="a part"),
        pytest.param("undeclared-network", through("lan0", "203.0.113.9/32"), ROUTED, [], id="routed to the gateway"),
        pytest.param("undeclared-network", through("lan0", "2001:db8:7::/64"), DELEGATED, [], id="delegated"),
        pytest.param("undeclared-network", through("tun0", "10.8.0.0/24"), {}, [], id="of an interface that is not"),
        pytest.param("mark-rule", {"rules": [RuleFact(4, 9, mark=5, mask=0xFFFFFFFF)]}, {}, [], id="whole mark"),
        pytest.param(
            "mark-rule",
            {"rules": [RuleFact(4, 9, mark=5, mask=0xFFFFFFFF)]},
            {"dataplane": {"keepMarks": True}},
            ["warning"],
            id="whole mark, kept",
        ),
        pytest.param("multipath-route", mixed("wan0", "lan0"), {}, ["warning"], id="hidden as a whole"),
        pytest.param("multipath-route", mixed("lan0", "wan0"), {}, ["warning"], id="half of it past the choice"),
        pytest.param("multipath-route", mixed("wan0", "wan1"), {}, [], id="uplinks alone"),
        pytest.param("refusing-default", {"refuses": frozenset({4})}, {}, ["problem"], id="a backstop in main"),
        pytest.param("rule-behind", {"foreign_rules": (FULL_TUNNEL,)}, {}, ["warning"], id="wg-quick"),
        pytest.param("routed-on-wire", {}, ROUTED, ["warning"], id="none answers"),
        pytest.param(
            "routed-on-wire",
            {"links": [link("wan0", "203.0.113.2/24", "203.0.113.9/32")]},
            ROUTED,
            [],
            id="on the interface as well",
        ),
        pytest.param("routed-on-wire", {}, ANNOUNCED, [], id="announced"),
        pytest.param("routed-on-wire", {"links": [link("wan0", "10.0.0.2/30")]}, ROUTED, [], id="routed indeed"),
        pytest.param("shared-addresses", {}, {}, [], id="each its own"),
        pytest.param("shared-addresses", {"links": TWINS}, AUTOS, ["problem"], id="two modems of one make"),
        pytest.param("shared-addresses", {"links": [link("wan0", "192.168.1.7/24")]}, {}, ["problem"], id="inside"),
        pytest.param(
            "shared-addresses",
            {"links": [link("wan0", "203.0.113.2/24")]},
            {**ANNOUNCED, "interfaces": {"dmz0": {"networks": ["203.0.113.9/32"]}}},
            [],
            id="an announced address of a host inside",
        ),
        pytest.param("probe-target", {}, PROBES, [], id="far"),
        pytest.param("probe-target", {"links": [ROUTER]}, PROBES, ["warning"], id="router"),
        pytest.param("probe-target", {"links": [link("wan0", "192.0.2.7/24")]}, PROBES, ["warning"], id="wire"),
        pytest.param("probe-target", {"links": [link("lan0", "192.0.2.80/24")]}, PROBES, ["problem"], id="itself"),
        pytest.param("crowded-wire", {"links": [link("wan0", crowded=True)]}, {}, ["warning"], id="BGP"),
        pytest.param("mark-rule", {"rules": [CALICO]}, {}, ["warning"], id="mask"),
        pytest.param("mark-rule", {"rules": [RuleFact(4, 9, mark=0x40000, mask=0xFF0000)]}, {}, [], id="Tailscale"),
        pytest.param(
            "mark-rule",
            {"rules": [RuleFact(4, 9, mark=0x40000, mask=0xFF0000)]},
            {"dataplane": {"stageBit": 20}},
            ["warning"],
            id="Tailscale's bits taken",
        ),
    ],
)  # fmt: skip
def test_a_machine_is_judged_by_what_was_found_on_it(
    topic: str, changes: dict[str, Any], sections: dict[str, Any], expected: list[str]
) -> None:
    assert levels(topic, survey(**changes), spec(**sections)) == expected


@pytest.mark.parametrize(
    ("topic", "changes", "words"),
    [
        pytest.param("rule-before", {"rules": [VPN]}, MOVED, id="moves a rule"),
        pytest.param(
            "rule-priority", {"rules": [RuleFact(4, 1001, iif="a", table=1)]}, "rulePriority: 2000", id="free block"
        ),
        pytest.param(
            "rule-priority",
            {"rules": [RuleFact(4, 1001, table=1)]},
            "rulePriority: 1}",
            id="a block before what catches all",
        ),
        pytest.param("mark-rule", {"rules": [CALICO]}, "below 0x10000", id="mask"),
        pytest.param(
            "networkd",
            {"networkd": Networkd(True, False)},
            "printf '[Network]\\nManageForeignRoutingPolicyRules=no\\n' > /etc/systemd/networkd.conf.d/",
            id="drop-in",
        ),
        pytest.param("route-table", TABLE_USED, "numbers: {table: 9800}", id="free table"),
        pytest.param("link-group", {"links": [link("e", group=79)]}, "linkGroup: 80", id="free group"),
        pytest.param(
            "dataplane",
            {"bpf_error": "EPERM", "capabilities": frozenset({"CAP_NET_ADMIN"})},
            "run with CAP_SYS_ADMIN",
            id="which right is lacking",
        ),
        pytest.param("addresses", {"links": [link("wan0")]}, "ip address add 203.0.113.2/24 dev wan0", id="address"),
        pytest.param(
            "wide-route", through("tun0", "0.0.0.0/1"), "ip -4 route del 0.0.0.0/1 dev tun0", id="wide route"
        ),
        pytest.param(
            "undeclared-interface",
            {**through("tun0", "10.8.0.1/32", "10.8.0.0/24", "fd00:8::/64"), "links": TUN},
            "interfaces: {tun0: {networks: [10.8.0.0/24]}}",
            id="networks to declare",
        ),
        pytest.param(
            "undeclared-interface",
            {**through("tun0", *(f"10.{n}.0.0/16" for n in range(1, 10, 2))), "links": TUN},
            "10.7.0.0/16]}}  # and more: ip route show dev tun0",
            id="more networks than are shown",
        ),
    ],
)  # fmt: skip
def test_a_finding_says_what_to_do(topic: str, changes: dict[str, Any], words: str) -> None:
    (finding,) = found(topic, survey(**changes), spec())
    assert words in finding.todo


def test_routes_are_judged_with_a_spec_only() -> None:
    of = survey(**through("tun0", "0.0.0.0/1", "10.8.0.0/24"), links=TUN)
    assert levels("wide-route", of) == levels("undeclared-interface", of) == []


def test_what_to_do_about_the_module_is_a_list_to_be_pasted() -> None:
    (finding,) = found("module", survey(module=ELSEWHERE), spec(**KMOD))
    assert "6.1.0-9-amd64" in finding.what
    assert finding.todo.splitlines()[-2:] == ["nvictl module install", "# or set spec.dataplane.type to auto or bpf"]


def test_a_likely_owner_is_named() -> None:
    (finding,) = found("mark-rule", survey(rules=[CALICO]), spec())
    assert "Calico" in finding.what


def test_an_address_that_is_in_routed_is_not_to_be_named_there() -> None:
    uplink = {"interface": "wan0", "addresses": ["203.0.113.2", "203.0.113.17"], "routed": ["203.0.113.16/28"]}
    gateway = spec(uplinks={"isp-a": uplink})
    on_wire, routed = addresses(survey(links=[link("wan0", "10.0.0.2/30")]), gateway)
    assert "name it under routed" in on_wire.todo
    assert "since 203.0.113.17 is in routed, leave it out under addresses" in routed.todo
