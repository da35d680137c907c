"""The rules that need the whole gateway: each with its place, its path, its sentence and its hint."""

from __future__ import annotations

import pytest

from tests.unit.language.specs import BASE, HEAD, TENANTS, Reported, load, problems_in

MIXED = "IPv4 mixed with IPv6: "
NOWHERE = "if it is the address of dsl, write that name instead; else add it to routed"
TAKEN = "a public port leads to one place: change the port, the address or `from`"

# name: (the text after BASE, whose first line is line 13; every problem that is told)
REFUSED: dict[str, tuple[str, list[Reported]]] = {
    # ---- names
    "source NAT, unknown uplink": (
        "  sourceNat: [{name: a, as: isp-c}]",
        [("13:29", "spec.sourceNat[0].as", "there is no uplink 'isp-c'", "did you mean 'isp-b'?")],
    ),
    "source NAT, unknown interface": (
        "  sourceNat: [{name: a, in: lan9, as: isp-a}]",
        [("13:29", "spec.sourceNat[0].in", "there is no interface 'lan9'", "did you mean 'lan0'?")],
    ),
    "source NAT, unknown tenant": (
        "  sourceNat: [{name: a, tenant: red, as: isp-a}]",
        [
            (
                "13:33",
                "spec.sourceNat[0].tenant",
                "there is no tenant 'red'",
                "there are none: add one, or leave this out",
            )
        ],
    ),
    "forward, unknown uplink": (
        "  forwards:\n    web: {at: elsewhere, ports: 443/tcp, to: 192.168.1.80}",
        [("14:15", "spec.forwards.web.at", "there is no uplink 'elsewhere'", "there are: dsl, isp-a, isp-b")],
    ),
    "route, unknown uplink and interface": (
        "  routes: [{name: a, in: x, via: y}]",
        [
            ("13:26", "spec.routes[0].in", "there is no interface 'x'", "there are: lan0, ppp0, self, wan0, wan1"),
            ("13:34", "spec.routes[0].via", "there is no uplink 'y'", "there are: dsl, isp-a, isp-b"),
        ],
    ),
    "twice NAT, both sides by the same numbers": (
        "  twiceNat:\n"
        "    p: {from: 192.168.1.0/28, as: 203.0.113.16/28, to: 203.0.113.24/29, becomes: 192.168.1.8/29, "
        "via: isp-a}",
        [
            (
                "14:56",
                "spec.twiceNat.p.to",
                "203.0.113.24/29 overlaps as 203.0.113.16/28, and from 192.168.1.0/28 overlaps its becomes "
                "192.168.1.8/29: answers would look like what is sent there, and go back",
                "choose addresses for the other side that no `as` has",
            )
        ],
    ),
    "twice NAT, another entry's numbers for the other side": (
        "  twiceNat:\n"
        "    p: {from: 192.168.1.0/28, as: 203.0.113.16/28, to: 10.2.0.0/28, becomes: 192.168.1.0/28, via: isp-a}\n"
        "    q: {from: 192.168.1.0/28, as: 203.0.113.16/28, to: 203.0.113.16/28, becomes: 10.9.0.0/28, via: isp-a}",
        [
            (
                "15:56",
                "spec.twiceNat.q.to",
                "203.0.113.16/28 overlaps as 203.0.113.16/28 of twiceNat 'p', and from 192.168.1.0/28 overlaps its "
                "becomes 192.168.1.0/28: answers would look like what is sent there, and go back",
                "choose addresses for the other side that no `as` has",
            )
        ],
    ),
    "twice NAT, unknown uplink": (
        "  twiceNat:\n"
        "    p: {from: 192.168.1.16/28, as: 203.0.113.16/28, to: 10.2.0.0/28, becomes: 10.3.0.0/28, via: isp}",
        [("14:97", "spec.twiceNat.p.via", "there is no uplink 'isp'", "did you mean 'isp-b'?")],
    ),
    "twice NAT, unknown uplink and an address on none": (
        "  twiceNat:\n"
        "    p: {from: 192.168.1.16/28, as: 10.4.0.0/28, to: 10.2.0.0/28, becomes: 10.3.0.0/28, via: zz}",
        [
            (
                "14:36",
                "spec.twiceNat.p.as",
                "10.4.0.0/28 belongs to no uplink",
                "there is no uplink 'zz': add it to routed of the one that leads there; there are: dsl, isp-a, isp-b",
            ),
            ("14:93", "spec.twiceNat.p.via", "there is no uplink 'zz'", "there are: dsl, isp-a, isp-b"),
        ],
    ),
    "source NAT, masquerade": (
        "  sourceNat: [{name: a, as: masquerade}]",
        [
            (
                "13:29",
                "spec.sourceNat[0].as",
                "there is no uplink 'masquerade'",
                "an uplink's name does what masquerade does; there are: dsl, isp-a, isp-b",
            )
        ],
    ),
    # ---- an address on no uplink
    "source NAT, pool on no uplink": (
        "  sourceNat: [{name: a, as: 203.0.113.30-203.0.113.40}]",
        [
            (
                "13:29",
                "spec.sourceNat[0].as",
                "203.0.113.30-203.0.113.40 belongs to no uplink",
                NOWHERE,
            )
        ],
    ),
    "source NAT, an inside address on its way out": (
        "  sourceNat: [{name: a, to: [192.168.1.0/28, 8.8.8.0/24], as: 192.168.1.1}]",
        [
            (
                "13:63",
                "spec.sourceNat[0].as",
                "192.168.1.1 is an inside address, and nothing leaves by an uplink with such a source",
                "name an uplink; or in `to` the inside network that this rule is meant for",
            )
        ],
    ),
    "forward, address on no uplink": (
        "  forwards:\n    web:\n      at: [isp-b, 192.0.2.9]\n      ports: 443/tcp\n      to: 192.168.1.80",
        [("15:11", "spec.forwards.web.at", "192.0.2.9 belongs to no uplink", NOWHERE)],
    ),
    "1:1, address on no uplink": (
        "  static:\n    a: {address: 192.168.1.80, as: 192.0.2.9}",
        [
            (
                "14:36",
                "spec.static.a.as",
                "192.0.2.9/32 belongs to no uplink",
                NOWHERE + ", or to an interface's knownAs",
            )
        ],
    ),
    # ---- v4 mixed with v6
    "source NAT, from and pool": (
        "  sourceNat: [{name: a, from: 'fd00:1::/64', as: 203.0.113.17}]",
        [
            (
                "13:50",
                "spec.sourceNat[0].as",
                MIXED + "from is IPv6 and as is IPv4",
                "write one rule for each family",
            )
        ],
    ),
    "source NAT, from and to": (
        "  sourceNat: [{name: a, from: 'fd00:1::/64', to: 192.0.2.0/24, as: isp-a}]",
        [
            (
                "13:50",
                "spec.sourceNat[0].to",
                MIXED + "from is IPv6 and to is IPv4",
                "write one rule for each family",
            )
        ],
    ),
    "source NAT, an uplink of IPv4": (
        "  sourceNat: [{name: a, from: 'fd00:1::/64', as: isp-b}]",
        [
            (
                "13:50",
                "spec.sourceNat[0].as",
                MIXED + "from is IPv6 and as is IPv4",
                "write one rule for each family",
            )
        ],
    ),
    "source NAT, icmpv6 to IPv4": (
        "  sourceNat: [{name: a, protocol: icmpv6, as: isp-b}]",
        [
            (
                "13:47",
                "spec.sourceNat[0].as",
                MIXED + "protocol is IPv6 and as is IPv4",
                "write one rule for each family",
            )
        ],
    ),
    "forward, public IPv4 and server IPv6": (
        "  forwards:\n    web: {at: 203.0.113.17, ports: 443/tcp, to: 'fd00:1::80'}",
        [
            (
                "14:15",
                "spec.forwards.web.at",
                MIXED + "203.0.113.17 is IPv4, and no server is",
                "add a server of that family to `to`",
            )
        ],
    ),
    "forward, a server that nothing leads to": (
        "  forwards:\n    web: {at: isp-b, ports: 443/tcp, to: [192.168.1.80, 'fd00:1::80']}",
        [
            (
                "14:42",
                "spec.forwards.web.to",
                MIXED + "a server is IPv6, and it is published on no IPv6 address",
                "publish it on an IPv6 address as well, or leave that server out",
            )
        ],
    ),
    "forward, a port that is part of the address": (
        "  forwards:\n    web: {at: isp-b, ports: 443/tcp, to: 'fd00:1::80:8080'}",
        [
            (
                "14:42",
                "spec.forwards.web.to",
                MIXED + "a server is IPv6, and it is published on no IPv6 address",
                "publish it on an IPv6 address as well, or leave that server out; "
                "a port goes after brackets: [fd00:1::80]:8080",
            )
        ],
    ),
    "forward, an address that ends in no port": (
        "  forwards:\n    web: {at: isp-b, ports: 1/tcp, to: ['fd00:1::80', 'fd00:1::80:bad', '[fd00:1::9:8]:8080']}",
        [
            (
                "14:40",
                "spec.forwards.web.to",
                MIXED + "a server is IPv6, and it is published on no IPv6 address",
                "publish it on an IPv6 address as well, or leave that server out",
            )
        ],
    ),
    "forward, clients of IPv4": (
        "  forwards:\n    web: {at: isp-a, ports: 443/tcp, from: 192.0.2.0/24, to: 'fd00:1::80'}",
        [
            (
                "14:44",
                "spec.forwards.web.from",
                MIXED + "from is IPv4 and the servers are IPv6",
                "name clients of the servers' family",
            )
        ],
    ),
    "route": (
        "  routes: [{name: a, from: 203.0.113.17, to: '2001:db8:f::/48', via: isp-a}]",
        [("13:46", "spec.routes[0].to", MIXED + "from is IPv4 and to is IPv6", "write one route for each family")],
    ),
    "marks that the gateway has, or takes away": (
        "  sourceNat: [{name: a, mark: 0x80000000/0x80000000, as: isp-b}]\n"
        "  forwards: {web: {at: isp-b, ports: 80/tcp, to: 192.168.1.80, mark: 0x10/0x40000010}}\n"
        "  routes: [{name: a, mark: 0x10, via: isp-a}]",
        [
            (
                "13:31",
                "spec.sourceNat[0].mark",
                "0x80000000/0x80000000 asks for bit 31, which is the gateway's own (dataplane.stageBit)",
                "leave that bit out of the mask, or give the gateway another stageBit",
            ),
            (
                "14:70",
                "spec.forwards.web.mark",
                "0x10/0x40000010 asks for bit 30, which is the gateway's own (dataplane.localBit)",
                "leave that bit out of the mask, or give the gateway another localBit",
            ),
            (
                "15:28",
                "spec.routes[0].mark",
                "packets of inside hosts lose their marks before routes are looked up",
                "write dataplane: {keepMarks: true}; or choose the uplink by sourceNat, which sees every mark",
            ),
        ],
    ),
    "exceptions that leave nothing": (
        "  sourceNat: [{name: a, in: self, dscp: ef, ports: 80-90/tcp, except: {ports: [79-85/tcp, 86-99/tcp]}, "
        "as: isp-b}]\n"
        "  forwards: {web: {at: isp-b, ports: 80/tcp, to: 192.168.1.80, from: 192.0.2.0/25, except: 192.0.2.0/24}}\n"
        "  routes: [{name: a, to: [192.0.2.0/25, 192.0.2.128/25], except: {to: 192.0.2.0/24}, via: isp-a}]",
        [
            (
                "13:41",
                "spec.sourceNat[0].dscp",
                "the route of what the gateway sends is looked up before it has a DSCP",
                "leave dscp out, or self",
            ),
            ("13:79", "spec.sourceNat[0].except.ports", "it takes away all of ports", "leave it out, or the rule"),
            (
                "14:92",
                "spec.forwards.web.except",
                "it takes away all of from: no client is left",
                "leave it out, or the forward",
            ),
            ("15:71", "spec.routes[0].except.to", "it takes away all of to", "leave it out, or the rule"),
        ],
    ),
    "own packets that are bound to an uplink's address": (
        "  sourceNat: [{name: a, in: self, from: 203.0.113.2, as: isp-b}]\n"
        "  routes: [{name: a, in: [self, lan0], from: 198.51.100.2, to: 192.0.2.0/24, via: isp-a}]",
        [
            (
                f"{line}",
                path,
                f"{address} is of uplink '{uplink}', and what the gateway sends from it leaves by it",
                "leave from out: it is then about what is bound to no address",
            )
            for line, path, address, uplink in (
                ("13:41", "spec.sourceNat[0].from", "203.0.113.2", "isp-a"),
                ("14:46", "spec.routes[0].from", "198.51.100.2", "isp-b"),
            )
        ],
    ),
    "own packets with what only hosts have": (
        "  sourceNat: [{name: a, in: self, to: 192.168.1.0/24, as: 192.168.1.7},\n"
        "    {name: b, in: self, as: {pool: 203.0.113.16/28, overload: false}}]",
        [
            (
                "13:59",
                "spec.sourceNat[0].as",
                "192.168.1.7 is an inside address, and what the gateway sends to the inside has one already",
                "name an uplink, or leave self out",
            ),
            (
                "14:29",
                "spec.sourceNat[1].as",
                "overload: false gives each of several sources its own address, and the gateway is one",
                "leave overload out",
            ),
        ],
    ),
    "route by an uplink of IPv4": (
        "  routes: [{name: a, to: '2001:db8:f::/48', via: isp-b}]",
        [("13:50", "spec.routes[0].via", MIXED + "to is IPv6 and via is IPv4", "write one route for each family")],
    ),
    # ---- forwards that claim the same
    "forwards, same port": (
        "  forwards:\n"
        "    a: {at: isp-b, ports: 443/tcp, to: 192.168.1.80}\n"
        "    b: {at: 198.51.100.2, ports: 443/tcp, to: 192.168.1.81}",
        [("15:34", "spec.forwards.b.ports", "198.51.100.2 tcp port 443 is already used by forward 'a'", TAKEN)],
    ),
    "forwards, overlapping ranges": (
        "  forwards:\n"
        "    a: {at: isp-b, ports: 8000-8010/udp, to: 192.168.1.80}\n"
        "    b: {ports: [53/udp, 8008-8020/udp], to: 192.168.1.81}",
        [
            (
                "15:16",
                "spec.forwards.b.ports",
                "198.51.100.2 udp ports 8008-8010 are already used by forward 'a'",
                TAKEN,
            )
        ],
    ),
    "forward, same port twice": (
        "  forwards:\n    a: {at: isp-b, ports: [443/tcp, 440-450/tcp], to: 192.168.1.80}",
        [("14:27", "spec.forwards.a.ports", "198.51.100.2 tcp port 443 is used twice", TAKEN)],
    ),
    "forwards, dynamic uplink": (
        "  forwards:\n"
        "    a: {at: dsl, ports: 443/tcp, to: 192.168.1.80}\n"
        "    b: {at: dsl, ports: 443/tcp, to: 192.168.1.81}",
        [("15:25", "spec.forwards.b.ports", "dsl tcp port 443 is already used by forward 'a'", TAKEN)],
    ),
    "forwards, whole address twice": (
        "  forwards:\n    a: {at: isp-b, to: 192.168.1.80}\n    b: {at: isp-b, to: 192.168.1.81}",
        [
            (
                "15:13",
                "spec.forwards.b.at",
                "everything that is sent to 198.51.100.2 is already used by forward 'a'",
                TAKEN,
            )
        ],
    ),
    "forwards, overlapping clients": (
        "  forwards:\n"
        "    a: {at: isp-b, ports: 22/tcp, from: 192.0.2.0/25, to: 192.168.1.80}\n"
        "    b: {at: isp-b, ports: 22/tcp, from: 192.0.2.128/25, to: 192.168.1.81}\n"
        "    c: {at: isp-b, ports: 22/tcp, from: 192.0.2.200, to: 192.168.1.82}",
        [("16:27", "spec.forwards.c.ports", "198.51.100.2 tcp port 22 is already used by forward 'b'", TAKEN)],
    ),
    "redirects, one port for the same clients": (
        "  redirects:\n    a: {ports: [53/udp, 53/tcp], to: 192.168.1.53}\n"
        "    b: {in: lan0, ports: 50-60/tcp, to: self}\n    c: {in: wan0, ports: 1/udp, to: 192.168.1.54}\n",
        [
            (
                "15:26",
                "spec.redirects.b.ports",
                "50-60/tcp is already redirected by 'a'",
                "change the ports, `in` or `from`",
            ),
            ("16:13", "spec.redirects.c.in", "there is no inside interface 'wan0'", "did you mean 'lan0'?"),
        ],
    ),
    "a redirect to the gateway by an uplink's address": (
        "  redirects: {a: {ports: 53/udp, to: 203.0.113.2}}",
        [
            (
                "13:38",
                "spec.redirects.a.to",
                "203.0.113.2 is the gateway's own address on an uplink",
                "write `self`",
            )
        ],
    ),
    "one protocol, two servers": (
        "  forwards:\n    a: {at: isp-b, protocol: [gre, 41], to: 192.168.1.80}\n"
        "    b: {at: isp-b, protocol: 41, to: 192.168.1.81}\n",
        [
            (
                "15:30",
                "spec.forwards.b.protocol",
                "198.51.100.2 protocol 41 is already used by forward 'a'",
                "a protocol leads to one place: change the address or `from`, or leave it out here",
            )
        ],
    ),
    "one port, sent to from ports that overlap": (
        "  forwards:\n    a: {at: isp-b, ports: 500/udp, fromPorts: 500/udp, to: 192.168.1.80}\n"
        "    b: {at: isp-b, ports: 500/udp, fromPorts: 400-600/udp, to: 192.168.1.81}\n",
        [("15:27", "spec.forwards.b.ports", "198.51.100.2 udp port 500 is already used by forward 'a'", TAKEN)],
    ),
    "one port, sent to from some ports and from all": (
        "  forwards:\n    a: {at: isp-b, ports: 500/udp, fromPorts: 500/udp, to: 192.168.1.80}\n"
        "    b: {at: isp-b, ports: 500/udp, to: 192.168.1.81}\n",
        [("15:27", "spec.forwards.b.ports", "198.51.100.2 udp port 500 is already used by forward 'a'", TAKEN)],
    ),
    "forwards, some clients and all": (
        "  forwards:\n"
        "    a: {at: isp-b, ports: 22/tcp, from: 192.0.2.0/25, to: 192.168.1.80}\n"
        "    b: {at: isp-b, ports: 22/tcp, to: 192.168.1.81}",
        [("15:27", "spec.forwards.b.ports", "198.51.100.2 tcp port 22 is already used by forward 'a'", TAKEN)],
    ),
    "forward, shifted too far": (
        "  forwards:\n    a: {at: isp-b, ports: 10000-20000/udp, to: '192.168.1.80:20000-30000'}",
        [
            (
                "14:27",
                "spec.forwards.a.ports",
                "10000-20000/udp is a shifted range of 10001 ports: at most 4096",
                "keep the port numbers as they are, or shift fewer",
            )
        ],
    ),
    "forward to the gateway": (
        "  forwards:\n    a: {at: isp-b, ports: 22/tcp, to: 203.0.113.2}",
        [
            (
                "14:39",
                "spec.forwards.a.to",
                "203.0.113.2 is the gateway's own address (uplink 'isp-a')",
                "name a server: the gateway itself answers what is sent to its own addresses",
            )
        ],
    ),
    # ---- 1:1
    "1:1 and forward": (
        "  static:\n    a: {address: 192.168.1.80, as: 203.0.113.17}\n"
        "  forwards:\n    web: {at: 203.0.113.17, ports: 443/tcp, to: 192.168.1.81}",
        [
            (
                "16:15",
                "spec.forwards.web.at",
                "203.0.113.17 is 192.168.1.80/32 already, by static 'a'",
                "publish on another address, or leave the 1:1 entry out",
            )
        ],
    ),
    "1:1 overlapping, both sides": (
        "  static:\n"
        "    a: {address: 192.168.1.80, as: 203.0.113.17}\n"
        "    b: {address: 192.168.1.80/30, as: 203.0.113.16/30}",
        [
            (
                "15:18",
                "spec.static.b.address",
                "192.168.1.80/30 overlaps 192.168.1.80/32 of static 'a'",
                "each address has one alias",
            ),
            (
                "15:39",
                "spec.static.b.as",
                "203.0.113.16/30 overlaps 203.0.113.17/32 of static 'a'",
                "a public address stands for one address",
            ),
        ],
    ),
    "1:1 towards networks that overlap": (
        "  static:\n"
        "    a: {address: 192.168.1.80, as: 203.0.113.17, to: 192.0.2.0/24}\n"
        "    b: {address: 192.168.1.81, as: 203.0.113.17, to: [192.0.2.128/25, 198.18.0.0/15]}",
        [
            (
                "15:36",
                "spec.static.b.as",
                "203.0.113.17/32 overlaps 203.0.113.17/32 of static 'a'",
                "a public address stands for one address",
            ),
        ],
    ),
    "1:1 for an interface that is none, and for an uplink's": (
        "  static: {a: {address: 192.168.1.80, as: 203.0.113.17, in: [lan9, wan0]}}",
        [
            ("13:61", "spec.static.a.in", "there is no inside interface 'lan9'", "did you mean 'lan0'?"),
            ("13:61", "spec.static.a.in", "there is no inside interface 'wan0'", "did you mean 'lan0'?"),
        ],
    ),
    "1:1 for one interface, twice": (
        "  static:\n"
        "    a: {address: 192.168.1.80, as: 203.0.113.17, in: lan0}\n"
        "    b: {address: 192.168.1.81, as: 203.0.113.17, in: lan0}",
        [
            (
                "15:36",
                "spec.static.b.as",
                "203.0.113.17/32 overlaps 203.0.113.17/32 of static 'a'",
                "a public address stands for one address",
            ),
        ],
    ),
    "nptv6 of networks that no interface has": (
        "  static: {a: {address: 'fd00:9::/48', as: '2001:db8:a::/48', nptv6: true}}",
        [
            (
                "13:25",
                "spec.static.a.address",
                "nptv6: no interface declares a network in fd00:9::/48",
                "name the networks that live there in networks of an interface",
            ),
            (
                "13:44",
                "spec.static.a.as",
                "2001:db8:a::/48 belongs to no uplink",
                NOWHERE + ", or to an interface's knownAs",
            ),
        ],
    ),
    "1:1 of the gateway": (
        "  static:\n    a: {address: 198.51.100.2, as: 203.0.113.17}",
        [
            (
                "14:18",
                "spec.static.a.address",
                "198.51.100.2 is the gateway's own address (uplink 'isp-b')",
                "name the host that is to have another address",
            )
        ],
    ),
    # ---- pools
    "pool too small": (
        "  sourceNat: [{name: a, from: 192.168.1.0/24, as: {pool: 203.0.113.16/29, overload: false}}]",
        [
            (
                "13:51",
                "spec.sourceNat[0].as",
                "the pool is too small: 256 sources, 8 addresses, and overload is false",
                "make the pool as large as from, or let clients share with overload: true",
            )
        ],
    ),
    "pool too small for all that is inside": (
        "  sourceNat: [{name: a, in: lan0, as: {pool: 203.0.113.16/28, overload: false}}]",
        [
            (
                "13:39",
                "spec.sourceNat[0].as",
                "the pool is too small: 256 sources, 16 addresses, and overload is false",
                "make the pool as large as from, or let clients share with overload: true",
            )
        ],
    ),
    "pool for no source": (
        "  sourceNat: [{name: a, in: wan1, as: {pool: 203.0.113.16/28, overload: false}}]",
        [
            (
                "13:39",
                "spec.sourceNat[0].as",
                "overload: false gives each source its own address, and there are no sources",
                "name them in from",
            )
        ],
    ),
    "pool with an address twice": (
        "  sourceNat: [{name: a, as: [203.0.113.17-203.0.113.20, 203.0.113.18]}]",
        [
            (
                "13:29",
                "spec.sourceNat[0].as",
                "203.0.113.18 overlaps 203.0.113.17-203.0.113.20 of the same pool",
                "name each address once",
            )
        ],
    ),
    # ---- twice NAT
    "twice NAT, two aliases in one": (
        "  twiceNat:\n"
        "    p: {from: 192.168.1.0/29, as: 203.0.113.16/29, to: 10.2.0.0/24, becomes: 10.9.0.0/24, via: isp-b}\n"
        "    q: {from: 192.168.1.0/29, as: 203.0.113.16/29, to: 10.2.0.0/25, becomes: 10.8.0.0/25, via: isp-b}",
        [
            (
                "15:56",
                "spec.twiceNat.q.to",
                "10.2.0.0/25 overlaps 10.2.0.0/24 of twiceNat 'p'",
                "each alias stands for one network",
            )
        ],
    ),
    "twice NAT, two networks in one alias": (
        "  twiceNat:\n"
        "    p: {from: 192.168.1.0/29, as: 203.0.113.16/29, to: 10.2.0.0/24, becomes: 10.9.0.0/24, via: isp-b}\n"
        "    q: {from: 192.168.1.8/29, as: 203.0.113.16/29, to: 10.3.0.0/24, becomes: 10.8.0.0/24, via: isp-b}",
        [
            (
                "15:35",
                "spec.twiceNat.q.as",
                "203.0.113.16/29 is another network's already: it overlaps 203.0.113.16/29 of twiceNat 'p'",
                "each network needs its own alias",
            )
        ],
    ),
    "twice NAT, two ways to one place": (
        "  twiceNat:\n"
        "    p: {from: 192.168.1.0/29, as: 203.0.113.16/29, to: 10.2.0.0/24, becomes: 10.9.0.0/24, via: isp-b}\n"
        "    q: {from: 192.168.1.0/29, as: 203.0.113.16/29, to: 10.3.0.0/24, becomes: 10.9.0.0/24, via: isp-a}",
        [
            (
                "15:78",
                "spec.twiceNat.q.becomes",
                "10.9.0.0/24 leads two ways: it overlaps 10.9.0.0/24 of twiceNat 'p'",
                "take the same uplink, or another `as`",
            )
        ],
    ),
}


@pytest.mark.parametrize(("text", "reported"), REFUSED.values(), ids=REFUSED)
def test_refused(text: str, reported: list[Reported]) -> None:
    assert problems_in(BASE + text + "\n") == reported


def uplinks(*lines: str, interfaces: str = "lan0: {networks: 192.168.1.0/24}", more: str = "") -> str:
    body = "".join(f"    {line}\n" for line in lines)
    return f"{HEAD}spec:\n  interfaces:\n    {interfaces}\n  uplinks:\n{body}{more}"


ROUTED_HERE = "add it to routed, if the provider routes it here"
ONE_DEFAULT = "only one can be the default: leave it out here or there"
# Here line 8 is the first uplink.
A = "a: {interface: wan0, addresses: 203.0.113.2, routed: 203.0.113.16/28}"


def from_inside(*lines: str, has: str = "addresses: 198.51.100.2") -> str:
    """Everyone becomes an address of a, but for `lines`; a route asks for addresses inside, in line 11."""
    return uplinks(
        A,
        f"c: {{interface: wan1, {has}, default: true}}",
        more=f"  sourceNat: [{', '.join((*lines, '{name: everyone, as: a}'))}]\n"
        "  routes: [{name: r, from: [203.0.113.17, 192.168.1.10/31], via: c}]\n",
    )


WHOLE: dict[str, tuple[str, list[Reported]]] = {
    "nothing": (
        HEAD + "spec: {host: any}\n",
        [
            (
                "4:7",
                "spec",
                "there is nothing to do: no interfaces and no uplinks",
                "add spec.uplinks and spec.interfaces",
            )
        ],
    ),
    "delegated parts of uplinks that have none, and prefixes that are nobody's": (
        uplinks(
            A.replace("}", ", delegated: auto}"),
            "b: {interface: wan1, addresses: 198.51.100.2, delegated: 192.0.2.0/24}",
            "c: {interface: wan2, addresses: 198.51.100.9}",
            interfaces="lan0: {networks: 192.168.1.0/24, delegated: [{from: c}, {from: d, subnet: 2}]}",
            more="  prefixNat:\n    x: {address: 'fd00:1::/64', as: [{from: a}, '2001:db8:9::/64']}\n"
            "    y: {address: 'fd00:1::/64', as: {from: a}}\n",
        ),
        [
            (
                "6:49",
                "spec.interfaces.lan0.delegated",
                "uplink 'c' has no delegated prefix",
                "write `delegated: auto` there",
            ),
            ("6:49", "spec.interfaces.lan0.delegated", "there is no uplink 'd'", "there are: a, b, c"),
            (
                "9:62",
                "spec.uplinks.b.delegated",
                "192.0.2.0/24 is IPv4: only IPv6 prefixes are delegated",
                "name the ISP's IPv6 prefix, or write auto",
            ),
            ("12:37", "spec.prefixNat.x.as", "2001:db8:9::/64 belongs to no uplink", "add it to routed of one"),
            (
                "13:18",
                "spec.prefixNat.y.address",
                "fd00:1::/64 overlaps fd00:1::/64 of prefixNat 'x'",
                "give all prefixes of it in one entry",
            ),
            (
                "13:37",
                "spec.prefixNat.y.as",
                "subnet 0 of a is already used by prefixNat 'x'",
                "give each its own prefix",
            ),
        ],
    ),
    "prefixes that two entries have, and those that an interface has natively": (
        uplinks(
            A.replace("203.0.113.16/28}", "'2001:db8:a::/48', delegated: auto}"),
            interfaces="lan0: {networks: 192.168.1.0/24, delegated: {from: a, subnet: 1}}",
            more="  static: {s: {address: 'fd00:2::/64', as: '2001:db8:a:1::/64'}}\n"
            "  prefixNat:\n    x: {address: 'fd00:1::/64', as: ['2001:db8:a:1::/64', {from: a, subnet: 18}]}\n"
            "    y: {address: 'fd00:2::/60', as: ['2001:db8:a:20::/60', {from: a, subnet: 1}]}\n"
            "    z: {address: 'fd00:3::/64', as: ['2001:db8:a:21::/64', {from: a, subnet: 1}]}\n",
        ),
        [
            (
                "11:37",
                "spec.prefixNat.x.as",
                "2001:db8:a:1::/64 is already used by static 's'",
                "give each its own prefix",
            ),
            (
                "12:18",
                "spec.prefixNat.y.address",
                "fd00:2::/60 overlaps fd00:2::/64 of static 's'",
                "translate it by one of them",
            ),
            (
                "12:37",
                "spec.prefixNat.y.as",
                "subnet 1 of a overlaps subnet 18 of a of prefixNat 'x'",
                "give each its own prefix",
            ),
            (
                "13:37",
                "spec.prefixNat.z.as",
                "2001:db8:a:21::/64 overlaps 2001:db8:a:20::/60 of prefixNat 'y'",
                "give each its own prefix",
            ),
            (
                "13:37",
                "spec.prefixNat.z.as",
                "subnet 1 of a is already used by interface 'lan0'",
                "give each its own prefix",
            ),
        ],
    ),
    "nothing to announce": (
        uplinks("a: {interface: wan0, addresses: 203.0.113.2, announce: true}"),
        [
            (
                "8:60",
                "spec.uplinks.a.announce",
                "there is nothing to announce: the uplink has no `routed`",
                "name the addresses under routed",
            )
        ],
    ),
    "announced addresses that are elsewhere, and too many": (
        uplinks(A.replace("203.0.113.16/28", "198.18.0.0/16, announce: [198.18.0.0/21, 198.19.0.1]")),
        [
            (
                "8:83",
                "spec.uplinks.a.announce",
                "198.19.0.1/32 is not in routed",
                "add it to routed: it is on no interface",
            ),
            (
                "8:83",
                "spec.uplinks.a.announce",
                "2049 addresses are announced: at most 1024",
                "name a smaller prefix, or let the ISP route it here",
            ),
        ],
    ),
    "the same address": (
        uplinks(A, "b: {interface: wan1, addresses: 203.0.113.2}"),
        [
            (
                "9:37",
                "spec.uplinks.b.addresses",
                "203.0.113.2 already belongs to uplink 'a' (addresses 203.0.113.2)",
                "an address belongs to one uplink: packets follow it",
            )
        ],
    ),
    "overlapping routed prefixes": (
        uplinks(A, "b: {interface: wan1, routed: 203.0.113.24/29}"),
        [
            (
                "9:34",
                "spec.uplinks.b.routed",
                "203.0.113.24/29 already belongs to uplink 'a' (routed 203.0.113.16/28)",
                "an address belongs to one uplink: packets follow it",
            )
        ],
    ),
    "an address to translate to that is nowhere": (
        uplinks("a: {interface: wan0, addresses: 203.0.113.2, translateTo: 203.0.113.33}"),
        [
            (
                "8:63",
                "spec.uplinks.a.translateTo",
                "203.0.113.33 is not in addresses or routed of the uplink",
                ROUTED_HERE,
            )
        ],
    ),
    "an address to translate to that only a lease could have": (
        uplinks("a: {interface: wan0, routed: 203.0.113.16/28, translateTo: 203.0.113.33}"),
        [("8:64", "spec.uplinks.a.translateTo", "203.0.113.33 is not in routed of the uplink", ROUTED_HERE)],
    ),
    "two addresses of one family to translate to": (
        uplinks(A.replace("}", ", translateTo: [203.0.113.17, 203.0.113.18]}")),
        [
            (
                "8:88",
                "spec.uplinks.a.translateTo",
                "203.0.113.17 and 203.0.113.18 are both IPv4",
                "name one address per family; a sourceNat rule may name several as a pool",
            )
        ],
    ),
    "forwards at an address to translate to, and at the uplink's name": (
        uplinks(
            A.replace("addresses: 203.0.113.2", "addresses: auto").replace("}", ", translateTo: 203.0.113.17}"),
            more="  forwards:\n    x: {at: 203.0.113.17, ports: 80/tcp, to: 192.168.1.80}\n"
            "    y: {at: a, ports: 80/tcp, to: 192.168.1.81}\n",
        ),
        [("11:23", "spec.forwards.y.ports", "203.0.113.17 tcp port 80 is already used by forward 'x'", TAKEN)],
    ),
    "an address twice": (
        uplinks("a: {interface: wan0, addresses: [203.0.113.2, 203.0.113.2]}"),
        [("8:37", "spec.uplinks.a.addresses", "203.0.113.2 is in addresses twice", "keep one of them")],
    ),
    "two dynamic uplinks on one interface": (
        uplinks("a: {interface: wan0}", "b: {interface: wan0}", "c: {interface: wan0, addresses: 192.0.2.1}"),
        [
            (
                "9:20",
                "spec.uplinks.b.interface",
                "uplink 'a' is on wan0 as well: with addresses: auto both claim all of them",
                "write the addresses of one of them: the other has the rest",
            )
        ],
    ),
    "interface and uplink": (
        uplinks(A, interfaces="wan0: {networks: 192.168.1.0/24}"),
        [
            (
                "6:11",
                "spec.interfaces.wan0",
                "wan0 is already the interface of uplink 'a'",
                "leave it out here: uplinks take part in NAT by themselves",
            )
        ],
    ),
    "the device is taken": (
        uplinks(A.replace("wan0", "nvi0")),
        [
            (
                "8:20",
                "spec.uplinks.a.interface",
                "nvi0 is the name of the NAT virtual interface",
                "set dataplane.device to another name",
            )
        ],
    ),
    "next hop of another family": (
        uplinks("a: {interface: wan0, addresses: 203.0.113.2, nextHop: '2001:db8::1'}"),
        [
            (
                "8:59",
                "spec.uplinks.a.nextHop",
                "2001:db8::1 is IPv6, and the uplink has no IPv6 address",
                "add an address of that family, or leave this next hop out",
            ),
            (
                "8:59",
                "spec.uplinks.a.nextHop",
                "the uplink has IPv4 addresses, and no IPv4 next hop",
                "add the router of that family",
            ),
        ],
    ),
    "next hop is the uplink itself": (
        uplinks("a: {interface: wan0, addresses: 203.0.113.2, nextHop: 203.0.113.2}"),
        [
            (
                "8:59",
                "spec.uplinks.a.nextHop",
                "203.0.113.2 is the uplink's own address",
                "write the router's address",
            )
        ],
    ),
    "no default": (
        uplinks(A, "b: {interface: wan1}", more="  sourceNat: [{name: x, as: unchanged}]\n"),
        [
            (
                "10:29",
                "spec.sourceNat[0].as",
                "unchanged needs a default uplink, and none of a, b is the default",
                "write defaultUplink: NAME, of the uplink it should leave through",
            )
        ],
    ),
    "two defaults": (
        uplinks(A.replace("}", ", default: true}"), "b: {interface: wan1}", "c: {interface: wan2, default: true}"),
        [("10:35", "spec.uplinks.c.default", "uplink 'a' is already the default", ONE_DEFAULT)],
    ),
    "two defaults of one family, and one of the other": (
        uplinks(
            A.replace("}", ", default: true}"),
            "b: {interface: wan1, addresses: '2001:db8::2', default: true}",
            "c: {interface: wan2, addresses: '2001:db8::3', default: true}",
        ),
        [("10:61", "spec.uplinks.c.default", "uplink 'b' is already the default", ONE_DEFAULT)],
    ),
    "a default that may come to have another family": (
        uplinks(
            A.replace("}", ", nextHop: auto, default: true}"),
            "b: {interface: wan1, addresses: '2001:db8::2', default: true}",
        ),
        [("9:61", "spec.uplinks.b.default", "uplink 'a' is already the default", ONE_DEFAULT)],
    ),
    "a route from inside": (
        from_inside("{name: x, from: 192.168.1.12, as: unchanged}"),
        [
            (
                "11:28",
                "spec.routes[0].from",
                "192.168.1.10/31 is inside, and nothing leaves with such a source",
                "routes match after translation: write sourceNat from: 192.168.1.10/31, as: c",
            )
        ],
    ),
    "alias on an uplink": (
        uplinks(A, interfaces="lan0: {networks: 192.168.1.0/24, knownAs: 203.0.113.0/24}"),
        [
            (
                "6:47",
                "spec.interfaces.lan0.knownAs",
                "its addresses overlap those of uplink 'a'",
                "choose addresses that nothing else uses",
            )
        ],
    ),
    "one alias of two interfaces, and nothing that tells them apart": (
        uplinks(
            A,
            interfaces="lan0: {networks: 192.168.1.0/24, knownAs: 10.1.0.0/24}\n"
            "    lan1: {networks: 192.168.2.0/24, knownAs: 10.1.0.0/24}",
        ),
        [
            (
                "7:47",
                "spec.interfaces.lan1.knownAs",
                "its addresses overlap those of interface 'lan0'",
                "choose addresses that nothing else uses, or name the interfaces that use this alias with `in` of "
                "static",
            )
        ],
    ),
    "1:1 for an interface of the other family": (
        uplinks(
            A,
            interfaces="lan0: {networks: [192.168.1.0/24, 'fd00:1::/64'], knownAs: 'fd00:a9::/64'}\n"
            "    lan1: {networks: 192.168.2.0/24}",
            more="  static: {a: {address: 'fd00:1::/64', as: 'fd00:a9::/64', in: lan1}}\n",
        ),
        [
            (
                "10:64",
                "spec.static.a.in",
                f"{MIXED}lan1 has no IPv6 network",
                "name interfaces that have networks of the same family",
            )
        ],
    ),
    "alias of another family": (
        uplinks(A, interfaces="lan0: {networks: 192.168.1.0/24, knownAs: 'fd00::/64'}"),
        [
            (
                "6:47",
                "spec.interfaces.lan0.knownAs",
                MIXED + "fd00::/64 is IPv6, and the interface has no IPv6 network",
                "an alias is of the same family as what it stands for",
            )
        ],
    ),
    "too many routes, counted by family": (
        uplinks(A, more="  routes:\n" + "".join(f"    - {{name: r{n}, in: lan0, via: a}}\n" for n in range(381))),
        [
            (
                "10:5",
                "spec.routes",
                "381 routes, counting IPv4 and IPv6 apart: at most 380",
                "join them into fewer routes with more prefixes each",
            )
        ],
    ),
}


@pytest.mark.parametrize(("text", "reported"), WHOLE.values(), ids=WHOLE)
def test_interfaces_and_uplinks(text: str, reported: list[Reported]) -> None:
    assert problems_in(text) == reported


# After TENANTS, of 12 lines: red and blue have 192.168.1.0/24, green has 172.17.0.0/24.
OF_TENANTS: dict[str, tuple[str, list[Reported]]] = {
    "overlapping networks": (
        TENANTS.replace("tenant: blue, ", "").replace("    lan0", "    #"),
        [
            (
                "7:23",
                "spec.interfaces.blue0.networks",
                "192.168.1.0/24 overlaps 192.168.1.0/24 of interface 'red0'",
                "give each a tenant, if these are two networks with the same addresses",
            )
        ],
    ),
    "server of several tenants": (
        TENANTS + "  forwards: {web: {at: 203.0.113.17, to: 192.168.1.80}}\n",
        [
            (
                "13:42",
                "spec.forwards.web.to",
                "192.168.1.80 exists in several tenants: blue, red",
                "name one with `tenant`",
            )
        ],
    ),
    "server of another tenant": (
        TENANTS + "  forwards: {web: {at: 203.0.113.17, tenant: green, to: 192.168.1.80}}\n",
        [
            (
                "13:57",
                "spec.forwards.web.to",
                "192.168.1.80 is not in the networks of tenant 'green'",
                "name a server of that tenant, or add its network to the interface",
            )
        ],
    ),
    "unknown tenant": (
        TENANTS + "  forwards: {web: {at: 203.0.113.17, tenant: gren, to: 172.17.0.9}}\n",
        [("13:46", "spec.forwards.web.tenant", "there is no tenant 'gren'", "did you mean 'green'?")],
    ),
    "source NAT of several tenants": (
        TENANTS + "  sourceNat: [{name: a, from: 192.168.1.0/25, as: isp-a}]\n",
        [
            (
                "13:31",
                "spec.sourceNat[0].from",
                "these addresses exist in several tenants: blue, red",
                "name one with `tenant`, or the interface with `in`",
            )
        ],
    ),
    "source NAT of a tenant who has no such address": (
        TENANTS + "  sourceNat: [{name: a, tenant: red, from: 172.17.0.0/24, as: isp-a}]\n",
        [
            (
                "13:44",
                "spec.sourceNat[0].from",
                "none of these addresses is in the networks of tenant 'red'",
                "correct from, or leave it out to mean all of the tenant",
            )
        ],
    ),
    "1:1 in a tenant": (
        TENANTS + "  static: {a: {address: 192.168.1.80, as: 203.0.113.17}}\n",
        [
            (
                "13:25",
                "spec.static.a.address",
                "192.168.1.80/32 exists in tenants blue, red",
                "name one with `tenant`",
            )
        ],
    ),
    "1:1 of another tenant": (
        TENANTS + "  static: {a: {tenant: green, address: 192.168.1.80, as: 203.0.113.17}}\n",
        [
            (
                "13:40",
                "spec.static.a.address",
                "192.168.1.80/32 is not in the networks of tenant 'green'",
                "name an address of that tenant, or add its network to the interface",
            )
        ],
    ),
    "the mark as in-interface": (
        TENANTS + "  dataplane: {inInterface: mark}\n",
        [
            (
                "13:28",
                "spec.dataplane.inInterface",
                "tenants need the mark: inInterface cannot be mark",
                "write inInterface: auto",
            )
        ],
    ),
    "ipsec and tenants": (
        TENANTS + "  dataplane: {ipsec: true}\n",
        [
            (
                "13:22",
                "spec.dataplane.ipsec",
                "ipsec sends what it decrypts by its destination, and tenants' networks have the same",
                "leave it out, or the tenants",
            )
        ],
    ),
    "too many": (
        HEAD
        + "spec:\n  interfaces:\n"
        + "".join(f"    i{n}: {{tenant: t{n}, networks: 192.168.1.0/24}}\n" for n in range(256)),
        [("6:5", "spec.interfaces", "256 tenants: at most 255", "put the others on another gateway")],
    ),
}


@pytest.mark.parametrize(("text", "reported"), OF_TENANTS.values(), ids=OF_TENANTS)
def test_tenants(text: str, reported: list[Reported]) -> None:
    assert problems_in(text) == reported


def many_forwards(count: int) -> str:
    lines = "".join(f"    f{n}: {{at: isp-b, ports: {n + 1}/tcp, to: 192.168.1.80}}\n" for n in range(count))
    return "  forwards:\n" + lines


GOOD = {
    "own address in a prefix that is routed to it": uplinks(A.replace("203.0.113.16/28", "203.0.113.0/28")),
    "an uplink's address of a family that its wire does not have": uplinks(
        "a: {interface: wan0, addresses: 100.64.7.2, routed: '2001:db8:a:1::/64', translateTo: '2001:db8:a:1::1'}",
        interfaces="lan0: {networks: [192.168.1.0/24, 'fd00:1::/64']}",
        more="  sourceNat: [{name: six, from: 'fd00:1::/64', as: a}]\n",
    ),
    "an alias instead of an uplink": uplinks(
        A,
        interfaces="lan0: {networks: 192.168.1.0/24, knownAs: 10.1.0.0/24}",
        more="  static: {a: {address: 192.168.1.0/24, as: 10.1.0.0/24}}\n",
    ),
    "a whole address beside its ports": BASE
    + "  forwards:\n    a: {at: isp-b, to: 192.168.1.80}\n    b: {at: isp-b, ports: 25/tcp, to: 192.168.1.81}\n",
    "protocols without ports beside ports and a whole address": BASE
    + "  forwards:\n    a: {at: isp-b, to: 192.168.1.80}\n    b: {at: isp-b, protocol: esp, to: 192.168.1.81}\n"
    + "    c: {at: isp-b, ports: 500/udp, to: 192.168.1.82}\n"
    + "    d: {at: isp-b, protocol: gre, from: 192.0.2.0/25, to: 192.168.1.80}\n"
    + "    e: {at: isp-b, protocol: 47, from: 192.0.2.128/25, to: 192.168.1.81}\n",
    "redirects of one port for other clients, or in other families": BASE
    + "  redirects:\n    a: {ports: 53/udp, to: 192.168.1.53, from: 192.168.1.0/25}\n"
    + "    b: {ports: 53/udp, to: '192.168.1.54:5353', from: 192.168.1.128/25}\n"
    + "    c: {ports: 53/udp, to: '[fd00:1::53]:5353'}\n    d: {in: [lan0], ports: 123/udp, to: self}\n",
    "one port, other protocols": BASE
    + "  forwards:\n    a: {at: isp-b, ports: [53/udp, 53/tcp], to: 192.168.1.80}\n",
    "one port, other clients": BASE
    + "  forwards:\n    a: {at: isp-b, ports: 22/tcp, from: 192.0.2.0/25, to: 192.168.1.80}\n"
    + "    b: {at: isp-b, ports: 22/tcp, from: 192.0.2.128/25, to: 192.168.1.81}\n",
    "one port, sent to from other ports": BASE
    + "  forwards:\n    a: {at: isp-b, ports: 500/udp, fromPorts: [500/udp, 4500/udp], to: 192.168.1.80}\n"
    + "    b: {at: isp-b, ports: 500/udp, fromPorts: 1024-4499/udp, to: 192.168.1.81}\n",
    "one port, other family, on a dynamic uplink": BASE
    + "  forwards:\n    a: {at: dsl, ports: 443/tcp, to: 192.168.1.80}\n"
    + "    b: {at: dsl, ports: 443/tcp, to: 'fd00:1::80'}\n",
    "balanced ranges of one size": BASE
    + "  forwards:\n    a:\n      at: isp-b\n      ports: 8000-8009/udp\n"
    + "      to: {'192.168.1.80:9000-9009': 2, '192.168.1.81:7000-7009': 1}\n",
    "a range as it is may be as long as it likes": BASE
    + "  forwards:\n    a: {at: isp-b, ports: 1024-65535/udp, to: 192.168.1.80}\n",
    "a server of the only tenant that has it": TENANTS
    + "  forwards: {web: {at: 203.0.113.17, ports: 80/tcp, to: 172.17.0.9}}\n",
    "source NAT by interface": TENANTS + "  sourceNat: [{name: a, in: red0, from: 192.168.1.0/25, as: isp-a}]\n",
    "unchanged among ourselves": uplinks(
        A, "b: {interface: wan1}", more="  sourceNat: [{name: x, to: 192.168.1.0/25, as: unchanged}]\n"
    ),
    "255 tenants": HEAD
    + "spec:\n  interfaces:\n"
    + "".join(f"    i{n}: {{tenant: t{n}, networks: 192.168.1.0/24}}\n" for n in range(255)),
    "one site, several partners": BASE
    + "  twiceNat:\n"
    + "    p: {from: 192.168.1.0/29, as: 203.0.113.16/29, to: 10.2.0.0/24, becomes: 10.9.0.0/24, via: isp-b}\n"
    + "    q: {from: 192.168.1.0/29, as: 203.0.113.16/29, to: 10.3.0.0/24, becomes: 10.8.0.0/24, via: isp-a}\n",
    "1:1 as one thing here, and as another there": BASE
    + "  static:\n    a: {address: 192.168.1.0/28, as: 203.0.113.16/28}\n"
    + "    b: {address: 192.168.1.80, as: 203.0.113.17, to: 192.0.2.0/24}\n"
    + "    c: {address: 192.168.1.81, as: 203.0.113.17, to: 198.18.0.0/15}\n"
    + "    d: {address: 192.168.1.80, as: 203.0.113.18, to: 198.18.0.0/15}\n",
    "one alias, by who asks": TENANTS.replace("red0: {", "red0: {knownAs: 10.9.0.0/24, ").replace(
        "blue0: {", "blue0: {knownAs: 10.9.0.0/24, "
    )
    + "  static:\n    a: {tenant: red, address: 192.168.1.0/24, as: 10.9.0.0/24, in: [blue0, lan0]}\n"
    + "    b: {tenant: blue, address: 192.168.1.0/24, as: 10.9.0.0/24, in: red0}\n"
    + "    c: {tenant: red, address: 192.168.1.0/24, as: 10.9.0.0/24}\n",
    "a forward of what is another's alias for a tenant only": TENANTS
    + "  static: {a: {tenant: red, address: 192.168.1.80, as: 203.0.113.17, in: blue0}}\n"
    + "  forwards: {web: {tenant: blue, at: 203.0.113.17, ports: 80/tcp, to: 192.168.1.80}}\n",
    "1:1 of what another leaves out": BASE
    + "  static:\n    a: {address: 192.168.1.0/28, as: 203.0.113.16/28, except: [192.168.1.1, 203.0.113.18]}\n"
    + "    b: {address: 192.168.1.1, as: 203.0.113.18}\n    c: {address: 192.168.1.2, as: 203.0.113.17}\n",
    "a forward of an uplink's address within a prefix": BASE.replace("203.0.113.16/28", "203.0.113.0/24")
    + "  static: {a: {address: 192.168.1.0/28, as: 203.0.113.0/28}}\n"
    + "  forwards: {web: {at: isp-a, ports: 443/tcp, to: 192.168.1.80}}\n",
    "a pool as large as its sources": BASE
    + "  sourceNat: [{name: a, from: 192.168.1.0/28, as: {pool: 203.0.113.16/28, overload: false}}]\n",
    "a default of each family": uplinks(
        A.replace("}", ", default: true}"), "b: {interface: wan1, addresses: '2001:db8::2', default: true}"
    ),
    "a route from inside, of what stays as it is": from_inside("{name: x, from: 192.168.1.0/25, as: unchanged}"),
    "a route from inside, of what may stay as it is": from_inside("{name: x, to: 192.0.2.0/24, as: unchanged}"),
    "a route from inside, where an uplink has an address": from_inside(has="addresses: 192.168.1.11"),
    "a route from inside, where an uplink may come to have one": from_inside(has="nextHop: auto"),
    "a route from inside and elsewhere": from_inside().replace("192.168.1.10/31", "192.168.0.0/16"),
    "every port of an address": BASE + many_forwards(2000),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_taken(text: str) -> None:
    load(text)


def test_all_rules_are_told_at_once_in_the_order_of_the_file() -> None:
    text = "  routes: [{name: a, in: lan0, via: x}]\n  forwards: {web: {at: y, to: 192.168.1.1}}\n  host: any\n"
    assert [reported[1] for reported in problems_in(BASE + text)] == ["spec.routes[0].via", "spec.forwards.web.at"]


TWICE = "twiceNat: {a: {from: %s/28, as: 203.0.113.16/28, to: 10.2.0.0/28, becomes: %s/28, via: isp-a}}"


@pytest.mark.parametrize(
    ("section", "field"),
    [
        ("static: {a: {address: 127.0.0.1, as: 203.0.113.17}}", "address 127.0.0.1/32"),
        (TWICE % ("127.1.0.0", "10.9.0.0"), "from 127.1.0.0/28"),
        (TWICE % ("192.168.1.0", "127.1.0.0"), "becomes 127.1.0.0/28"),
    ],
)
def test_what_is_translated_to_loopback_is_refused(section: str, field: str) -> None:
    ((_, path, message, hint),) = problems_in(BASE + f"  {section}\n")
    assert (path, message) == (f"spec.{section.split(':')[0]}.a", f"{field} is loopback: no host has it")
    assert hint.startswith("name an address of an inside interface")


EVERY = "name the prefixes that are there and nowhere else"


@pytest.mark.parametrize("networks", ["0.0.0.0/0", "[0.0.0.0/1, 128.0.0.0/1]"])
def test_no_interface_has_every_address(networks: str) -> None:
    spec = f"""{HEAD}spec:
  interfaces: {{lan0: {{networks: {networks}}}}}
  uplinks: {{isp: {{interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, routed: "::/0"}}}}
"""
    assert [reported for reported in problems_in(spec) if reported[2].startswith("this is every")] == [
        ("5:33", "spec.interfaces.lan0.networks", "this is every IPv4 address", EVERY),
        ("6:90", "spec.uplinks.isp.routed", "this is every IPv6 address", EVERY),
    ]


def test_each_uplink_has_a_number_of_one_byte() -> None:
    uplink = "    u{0}: {{interface: w{0}, nextHop: 203.0.{0}.1, addresses: 203.0.{0}.2, default: {1}}}\n"
    uplinks = [uplink.format(number, str(number == 0).lower()) for number in range(256)]
    load(HEAD + "spec:\n  uplinks:\n" + "".join(uplinks[:255]))
    assert problems_in(HEAD + "spec:\n  uplinks:\n" + "".join(uplinks)) == [
        ("6:5", "spec.uplinks", "256 uplinks: at most 255", "put the others on another gateway")
    ]


LINK_LOCAL = "link-local addresses are each link's own: leave it out"


def test_link_local_networks_belong_to_no_interface() -> None:
    spec = f"""{HEAD}spec:
  interfaces: {{lan0: {{networks: [192.168.1.0/24, "fe80::/64", "f000::/4"], knownAs: 169.254.7.0/24}}}}
  uplinks: {{isp: {{interface: wan0, nextHop: "fe80::1", addresses: "2001:db8::2", routed: "fe80:1::/64"}}}}
"""
    assert problems_in(spec) == [
        ("5:33", "spec.interfaces.lan0.networks", "fe80::/64 is link-local", LINK_LOCAL),
        ("5:33", "spec.interfaces.lan0.networks", "fe80::/10 is in f000::/4", LINK_LOCAL),
        ("5:85", "spec.interfaces.lan0.knownAs", "169.254.7.0/24 is link-local", LINK_LOCAL),
        ("6:90", "spec.uplinks.isp.routed", "fe80:1::/64 is link-local", LINK_LOCAL),
    ]


HOSTS = "name the prefixes that hosts have"


def test_no_host_is_in_a_special_network() -> None:
    spec = f"""{HEAD}spec:
  interfaces: {{lan0: {{networks: [192.168.1.0/24, 127.0.0.0/8, "ff02::/16"]}}}}
  uplinks: {{isp: {{interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, routed: 239.1.2.0/24}}}}
"""
    assert problems_in(spec) == [
        ("5:33", "spec.interfaces.lan0.networks", "127.0.0.0/8 is loopback: no host is in it", HOSTS),
        ("5:33", "spec.interfaces.lan0.networks", "ff02::/16 is multicast: no host is in it", HOSTS),
        ("6:90", "spec.uplinks.isp.routed", "239.1.2.0/24 is multicast: no host is in it", HOSTS),
    ]
