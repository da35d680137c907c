"""What people do to a gateway's rules, routes and devices by hand, and the drift that it shows as."""

from __future__ import annotations

from dataclasses import replace

from nvi_operator.kernel.bpf.egress import EGRESS
from nvi_operator.kernel.bpf.ingress import INGRESS
from nvi_operator.kinds.link import Link
from nvi_operator.kinds.link_group import LinkGroup
from nvi_operator.kinds.route import Route
from nvi_operator.kinds.sysctl import Sysctl
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import Ref
from tests.contract.acts import (
    GUARD,
    INGRESS_GUARD,
    PROGRAM,
    change_guard,
    change_program,
    each,
    ip,
    lose,
    lose_link,
    on_guard,
    on_program,
    put,
    run,
    sysctl,
    take_down,
    without_guards,
)
from tests.contract.machines import Drift

MISSING, MODIFIED, UNEXPECTED = "owned-missing", "owned-modified", "owned-unexpected"
U32_FILTER = "tc filter add dev nvi0 egress pref 1 protocol ip u32 match u32 0 0"
LOST_RULE = FibRule(4, 1900, "unreachable", source="192.168.1.0/24")
OWN_RULE = FibRule(4, 1042, "lookup", table=254, source="10.99.0.0/16")
LOST_ROUTE = Route(4, 7802, "0.0.0.0/0", dev="wan1", via="198.51.100.1", onlink=True)
OWN_ROUTE = Route(4, 7899, "10.99.0.0/16", dev="lan0", metric=5)

ROUTING_DRIFTS = (
    Drift(
        "a FIB rule is deleted",
        ip("rule del pref 1900 from 192.168.1.0/24 type unreachable"),
        lose(Ref("fib-rule", LOST_RULE.key)),
        frozenset({(MISSING, "fib-rule")}),
    ),
    Drift(
        "a FIB rule with the gateway's protocol is added",
        ip("rule add pref 1042 from 10.99.0.0/16 lookup 254 protocol 78"),
        put("fib-rule", OWN_RULE),
        frozenset({(UNEXPECTED, "fib-rule")}),
    ),
    Drift(
        "a route is deleted",
        ip("route del default table 7802 metric 1024"),
        lose(Ref("route", LOST_ROUTE.key)),
        frozenset({(MISSING, "route")}),
    ),
    Drift(
        "a route leads elsewhere",
        ip("route replace default via 203.0.113.3 dev wan0 onlink table 7802 metric 1024 proto 78"),
        put("route", replace(LOST_ROUTE, via="203.0.113.3", dev="wan0")),
        frozenset({(MODIFIED, "route")}),
    ),
    Drift(
        "a route is replaced by one without the gateway's protocol",
        ip(
            "route replace default dev lan1 table 7800 metric 1024 proto static",
            "-6 route replace default dev lan1 table 7800 metric 1024 proto static",
        ),
        lose(Ref("route", "0.0.0.0/0 table 7800 metric 1024"), Ref("route", "::/0 table 7800 metric 1024")),
        frozenset({(MISSING, "route")}),
    ),
    Drift(
        "an IPv6 route leads elsewhere",
        ip("-6 route replace default via 2001:db8:a::7 dev wan0 onlink table 7802 metric 1024 proto 78"),
        put("route", Route(6, 7802, "::/0", dev="wan0", via="2001:db8:a::7", onlink=True)),
        frozenset({(MODIFIED, "route")}),
    ),
    Drift(
        "a backstop route is deleted",
        ip("-6 route del unreachable default table 7801 metric 4294967295"),
        lose(Ref("route", "::/0 table 7801 metric 4294967295")),
        frozenset({(MISSING, "route")}),
    ),
    Drift(
        "a route with the gateway's protocol is added",
        ip("route add 10.99.0.0/16 dev lan0 table 7899 metric 5 proto 78"),
        put("route", OWN_ROUTE),
        frozenset({(UNEXPECTED, "route")}),
    ),
    Drift(
        "routes of other sorts with the gateway's protocol are added",
        ip(
            "route add blackhole 10.99.0.0/16 table 7899 metric 5 proto 78",
            "-6 route add prohibit fd99::/64 table 7899 metric 5 proto 78",
            "route add local 10.98.0.1 dev lan0 table 7899 metric 5 proto 78",
        ),
        put("route", OWN_ROUTE),
        frozenset({(UNEXPECTED, "route")}),
    ),
    Drift(
        "FIB rules of other sorts with the gateway's protocol are added",
        ip(
            "rule add pref 1042 from 10.99.0.0/16 prohibit protocol 78",
            "-6 rule add pref 1042 to fd99::/64 blackhole protocol 78",
            "rule add pref 1043 oif lan0 ipproto tcp dport 25 lookup 254 protocol 78",
            "rule add pref 1044 not from 10.99.0.0/16 lookup 254 protocol 78",
        ),
        put("fib-rule", OWN_RULE),
        frozenset({(UNEXPECTED, "fib-rule")}),
    ),
)

DEVICE_DRIFTS = (
    Drift(
        "the device is taken down",
        ip("link set nvi0 down"),
        take_down,
        frozenset({(MODIFIED, "link"), (MISSING, "route")}),
    ),
    Drift(
        "the device is deleted",
        ip("link del nvi0"),
        lose_link,
        frozenset({(MISSING, kind) for kind in ("link", "tc-program", "route", "sysctl")}),
    ),
    Drift(
        "the device gets another MTU",
        ip("link set nvi0 mtu 1400"),
        put("link", Link("nvi0", "ifb", 79, 1400)),
        frozenset({(MODIFIED, "link")}),
    ),
    Drift(
        "the device gets another link group",
        ip("link set nvi0 group 0"),
        put("link", Link("nvi0", "ifb", 0, 65535)),
        frozenset({(MODIFIED, "link")}),
    ),
    Drift(
        "the device gets another alias",
        ip("link set nvi0 alias uplink"),
        put("link", Link("nvi0", "ifb", 79, 65535, labelled=False)),
        frozenset({(MODIFIED, "link")}),
    ),
    Drift(
        "the device says that it is another gateway's",
        run("ip", "link", "set", "nvi0", "alias", "nvi-operator: numbers: {linkGroup: 90, protocol: 90}"),
        put("link", Link("nvi0", "ifb", 79, 65535, labelled=False)),
        frozenset({(MODIFIED, "link")}),
    ),
    Drift(
        "the device gets another link group and another alias",
        ip("link set nvi0 group 0", "link set nvi0 alias uplink"),
        put("link", Link("nvi0", "ifb", 0, 65535, labelled=False)),
        frozenset({(MODIFIED, "link")}),
    ),
    Drift(
        "the device loses link group, MTU and program",
        lambda host: (
            host.ip("link set nvi0 group 0 mtu 1400"),
            host.run("tc", "filter", "del", "dev", "nvi0", "egress"),
        ),
        lambda kernel: (kernel.drop([PROGRAM]), put("link", Link("nvi0", "ifb", 0, 1400))(kernel)),
        frozenset({(MODIFIED, "link"), (MISSING, "tc-program")}),
    ),
    Drift(
        "a second device with the gateway's marks appears",
        ip("link add nvi9 group 79 mtu 65535 type ifb"),
        put("link", Link("nvi9", "ifb", 79, 65535, up=False, labelled=False)),
        frozenset({(UNEXPECTED, "link")}),
    ),
    Drift(
        "the program is detached",
        run("tc", "filter", "del", "dev", "nvi0", "egress"),
        lose(PROGRAM),
        frozenset({(MISSING, "tc-program")}),
    ),
    Drift(
        "the program's qdisc is deleted",
        run("tc", "qdisc", "del", "dev", "nvi0", "clsact"),
        lose(PROGRAM),
        frozenset({(MISSING, "tc-program")}),
    ),
    Drift(
        "a filter of another kind takes the place of the program",
        each(
            run("tc", "filter", "del", "dev", "nvi0", "egress"),
            lambda host: host.run(*U32_FILTER.split()),
        ),
        change_program(lambda p: replace(p, options=None, ports=frozenset())),
        frozenset({(MODIFIED, "tc-program")}),
    ),
    Drift(
        "another qdisc takes the place of the program's",
        each(
            run("tc", "qdisc", "del", "dev", "nvi0", "clsact"),
            run("tc", "qdisc", "add", "dev", "nvi0", "ingress"),
        ),
        lose(PROGRAM),
        frozenset({(MISSING, "tc-program")}),
    ),
    Drift(
        "the program is replaced by another",
        on_program(lambda p: replace(p, options=p.options and replace(p.options, hide_hop=True))),
        change_program(lambda p: replace(p, options=p.options and replace(p.options, hide_hop=True))),
        frozenset({(MODIFIED, "tc-program")}),
    ),
    Drift(
        "an interface is taken out of the program's list",
        on_program(lambda p: replace(p, ports=frozenset(sorted(p.ports)[1:]))),
        change_program(lambda p: replace(p, ports=frozenset(sorted(p.ports)[1:]))),
        frozenset({(MODIFIED, "tc-program")}),
    ),
    Drift(
        "the guard of an uplink is detached",
        without_guards(EGRESS),
        lose(GUARD),
        frozenset({(MISSING, "egress-guard")}),
    ),
    Drift(
        "both guards of an uplink are detached",
        without_guards(EGRESS, INGRESS),
        lose(GUARD, INGRESS_GUARD),
        frozenset({(MISSING, "egress-guard"), (MISSING, "ingress-guard")}),
    ),
    Drift(
        "the guard at an interface's ingress is detached",
        without_guards(INGRESS),
        lose(INGRESS_GUARD),
        frozenset({(MISSING, "ingress-guard")}),
    ),
    Drift(
        "an address is taken out of a guard's list",
        on_guard(lambda g: replace(g, entries=frozenset(sorted(g.entries)[1:]))),
        change_guard(lambda g: replace(g, entries=frozenset(sorted(g.entries)[1:]))),
        frozenset({(MODIFIED, "ingress-guard")}),
    ),
    Drift(
        "forwarding is switched off",
        sysctl("net/ipv4/ip_forward", "0"),
        put("sysctl", Sysctl("net/ipv4/ip_forward", "0")),
        # The kernel resets every interface's settings of its own when forwarding changes.
        frozenset({(MODIFIED, "sysctl")}),
    ),
    Drift(
        "the reverse path filter is switched on",
        sysctl("net/ipv4/conf/wan0/rp_filter", "1"),
        put("sysctl", Sysctl("net/ipv4/conf/wan0/rp_filter", "1")),
        frozenset({(MODIFIED, "sysctl")}),
    ),
    Drift(
        "an uplink gets another group",
        ip("link set wan0 group 5"),
        put("link-group", LinkGroup("wan0", 5)),
        frozenset({(MODIFIED, "link-group")}),
    ),
)
