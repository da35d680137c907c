"""What people do to a gateway by hand, and the drift that it shows as."""

from __future__ import annotations

from dataclasses import replace

from nvi_operator.kinds.link import Link
from nvi_operator.kinds.link_group import LinkGroup
from nvi_operator.kinds.route import Route
from nvi_operator.kinds.sysctl import Sysctl
from nvi_operator.nft.ast import Chain, Count, ForeignObject, NamedSet, Opaque, Rule, Verdict
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import Ref
from tests.contract.acts import (
    GUARD,
    INGRESS_GUARD,
    PROGRAM,
    TABLE,
    Fake,
    Real,
    chains,
    change_guard,
    change_program,
    each,
    elements,
    foreign,
    ip,
    lose,
    lose_link,
    more_sets,
    nft,
    on_guard,
    on_program,
    on_rule,
    put,
    rules,
    run,
    sysctl,
    table,
    take_down,
    without_set,
)
from tests.contract.machines import Drift

MISSING, MODIFIED, UNEXPECTED = "owned-missing", "owned-modified", "owned-unexpected"
U32_FILTER = "tc filter add dev nvi0 egress pref 1 protocol ip u32 match u32 0 0"


def _nft(name: str, real: Real, fake: Fake) -> Drift:
    return Drift(name, real, fake, frozenset({(MODIFIED, "nft-table")}))


LOG: Rule = (Opaque('{"log": {"prefix": "x"}}'),)
SERVICE = "198.51.100.2 . udp . 53 : 192.168.1.80 . 53"
LOST_RULE = FibRule(4, 1900, "unreachable", source="192.168.1.0/24")
OWN_RULE = FibRule(4, 1042, "lookup", table=254, source="10.99.0.0/16")
LOST_ROUTE = Route(4, 7802, "0.0.0.0/0", dev="wan1", via="198.51.100.1", onlink=True)
OWN_ROUTE = Route(4, 7899, "10.99.0.0/16", dev="lan0", metric=5)

NFT_DRIFTS = (
    _nft("a rule is deleted", on_rule("srcnat", "delete rule {}"), rules("srcnat", lambda r: r[:-1])),
    _nft(
        "a foreign rule is put first",
        nft('insert rule inet nvi srcnat log prefix "x"'),
        rules("srcnat", lambda r: (LOG, *r)),
    ),
    _nft(
        "a rule is replaced",
        on_rule("srcnat", "replace rule {} accept"),
        rules("srcnat", lambda r: (*r[:-1], (Verdict("accept"),))),
    ),
    _nft(
        "a rule gets a foreign statement",
        on_rule("srcnat", 'replace rule {} counter name "stage_1" log prefix "x"'),
        rules("srcnat", lambda r: (*r[:-1], (Count("stage_1"), *LOG))),
    ),
    _nft(
        "an element is added",
        nft("add element inet nvi inside_4 { 10.99.0.0/24 }"),
        elements("inside_4", lambda s: replace(s, elements=s.elements | {(("10.99.0.0/24",), None)})),
    ),
    _nft(
        "an element is deleted",
        nft(f"delete element inet nvi dnat_port_4 {{ {SERVICE} }}"),
        elements("dnat_port_4", lambda s: replace(s, elements=frozenset(list(s.elements)[1:]))),
    ),
    _nft(
        "an element leads elsewhere",
        nft(
            f"delete element inet nvi dnat_port_4 {{ {SERVICE} }}",
            f"add element inet nvi dnat_port_4 {{ {SERVICE.replace('192.168.1.80', '192.168.1.66')} }}",
        ),
        elements(
            "dnat_port_4", lambda s: replace(s, elements=frozenset((k, ("192.168.1.66", 53)) for k, _ in s.elements))
        ),
    ),
    _nft(
        "a set is deleted",
        nft("flush table inet nvi", "delete set inet nvi inside_4"),
        table(without_set),
    ),
    _nft(
        "a set is emptied",
        nft("flush set inet nvi inside_4"),
        elements("inside_4", lambda s: replace(s, elements=frozenset())),
    ),
    _nft(
        "a chain is deleted",
        nft("flush chain inet nvi own_errors", "delete chain inet nvi own_errors"),
        chains(lambda c: None if c.name == "own_errors" else c),
    ),
    _nft(
        "a chain hangs elsewhere",
        nft(
            "flush chain inet nvi own_errors",
            "delete chain inet nvi own_errors",
            "add chain inet nvi own_errors { type filter hook output priority 7; }",
        ),
        chains(
            lambda c: (
                replace(c, rules=(), hook=replace(c.hook, type="filter", priority=7))
                if c.name == "own_errors" and c.hook
                else c
            )
        ),
    ),
    _nft(
        "a chain drops by policy",
        nft("chain inet nvi guard { policy drop; }"),
        chains(lambda c: replace(c, hook=replace(c.hook, policy="drop")) if c.name == "guard" and c.hook else c),
    ),
    _nft(
        "a foreign chain is put in",
        nft("add chain inet nvi theirs", "add rule inet nvi theirs accept"),
        table(lambda t: replace(t, chains=t.chains | {Chain("theirs", None, ((Verdict("accept"),),))})),
    ),
    _nft(
        "a foreign chain uses an owned object",
        nft(
            "add chain inet nvi theirs",
            "add rule inet nvi theirs ip saddr @inside_4 counter name stage_1",
            "insert rule inet nvi guard jump theirs",
        ),
        rules("guard", lambda r: ((Verdict("jump", "theirs"),), *r)),
    ),
    _nft(
        "a foreign counter is put in",
        nft("add counter inet nvi theirs"),
        table(lambda t: replace(t, counters=t.counters | {"theirs"})),
    ),
    _nft(
        "a foreign set is put in",
        nft("add set inet nvi theirs { type ipv4_addr; }"),
        more_sets(NamedSet("theirs", ("ipv4_addr",), frozenset())),
    ),
    _nft(
        "a foreign set with a timeout is put in",
        nft("add set inet nvi theirs { type ipv4_addr; flags timeout; elements = { 10.0.0.1 timeout 1h }; }"),
        foreign(ForeignObject("set", "theirs", "timeout")),
    ),
    _nft(
        "a foreign quota is put in",
        nft("add quota inet nvi theirs { over 1 mbytes }"),
        foreign(ForeignObject("quota", "theirs")),
    ),
    _nft(
        "an owned set gets a timeout",
        nft(
            "flush table inet nvi",
            "delete set inet nvi inside_4",
            "add set inet nvi inside_4 { type ipv4_addr; flags interval, timeout; }",
        ),
        table(lambda t: replace(without_set(t), foreign=frozenset({ForeignObject("set", "inside_4", "timeout")}))),
    ),
    _nft(
        "the table sleeps",
        nft("add table inet nvi { flags dormant; }"),
        table(lambda t: replace(t, flags=frozenset({"dormant"}))),
    ),
    _nft("the table is flushed", nft("flush table inet nvi"), chains(lambda c: replace(c, rules=()))),
    Drift(
        "the table is deleted",
        nft("delete table inet nvi"),
        lose(TABLE),
        frozenset({(MISSING, "nft-table")}),
    ),
    Drift(
        "the whole ruleset is flushed",
        nft("flush ruleset"),
        lose(TABLE),
        frozenset({(MISSING, "nft-table")}),
    ),
)

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
        run("tc", "filter", "del", "dev", "wan0", "egress"),
        lose(GUARD),
        frozenset({(MISSING, "egress-guard")}),
    ),
    Drift(
        "the qdisc of an uplink's guards is deleted",
        run("tc", "qdisc", "del", "dev", "wan0", "clsact"),
        lose(GUARD, INGRESS_GUARD),
        frozenset({(MISSING, "egress-guard"), (MISSING, "ingress-guard")}),
    ),
    Drift(
        "the guard at an interface's ingress is detached",
        run("tc", "filter", "del", "dev", "wan0", "ingress"),
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
